"""The shares of a royalty: which part of it falls on which sale, as the royalty entries carry it. Pure.

The first entry of a franchise and day has a row for each sale; an adjustment has rows for the sales that it changes, with the
differences. So the base and the share of a sale are the sums of its rows over the entries that stand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from scoopjoy_dagster.accounting.money import ZERO, apportion, quantum

Document = tuple[str, str]
"""DocType and name of a sale; two empty texts stand for all sales behind entries that carry no rows."""

UNKNOWN: Document = ("", "")
"""In the first adjustment of an entry without rows, what takes that entry's base and amount back: the sales have them from then on.
Such a row is written and not read."""


@dataclass(frozen=True, slots=True)
class Share:
    """A row of a royalty entry: a sale, its base and its share of the royalty, in INR; of an adjustment, the differences."""

    document: Document
    base: Decimal
    share: Decimal
    entry: str = ""
    """The Journal Entry that carries the row; empty before it is posted."""


def by_document(rows: Iterable[Share]) -> dict[Document, Share]:
    """Base and share of each sale, over all these rows."""
    bases: dict[Document, Decimal] = defaultdict(lambda: ZERO)
    shares: dict[Document, Decimal] = defaultdict(lambda: ZERO)
    for row in rows:
        bases[row.document] += row.base
        shares[row.document] += row.share
    return {document: Share(document, base, shares[document]) for document, base in bases.items()}


def differences(
    bases: Mapping[Document, Decimal],
    own: Iterable[Share],
    merged: Iterable[Share] = (),
    *,
    rate: Decimal,
    amount: Decimal,
    precision: int,
) -> list[Share]:
    """The rows of the next entry, after which the own rows add up to `amount`, to the paisa.

    A sale that is gone has neither base nor share afterwards. One whose base is as posted, and whose share is less than a paisa
    away from what is due, has no row. What is left after rounding goes to the sales that have one, by largest remainder; if that
    is a paisa or more for one of them, then to all sales.

    Args:
        bases: the sales of now, each with its base in INR.
        own: the rows of the entries that this one goes on from.
        merged: rows of entries that stay as they are; what was sold besides is due at `rate`.
        rate: in percent; 0 where nothing is due.
        amount: what the own rows must add up to, in INR.
        precision: decimals of the company currency.
    """
    own, merged = list(own), list(merged)
    before, apart = by_document([*own, *merged]), by_document(merged)
    gone: list[Share] = []
    kept: list[Share] = []
    for document in sorted(bases.keys() | before.keys()):
        nothing = Share(document, ZERO, ZERO)
        was, stays, base = (
            before.get(document, nothing),
            apart.get(document, nothing),
            bases.get(document, ZERO),
        )
        due = rate * (base - stays.base) / 100 + stays.share
        stands = document in bases or document in apart or not bases
        (kept if stands else gone).append(
            Share(document, base - was.base, (due if stands else ZERO) - was.share)
        )
    unit = quantum(precision)
    left = amount - _sum([*own, *gone])
    changed = [one for one in kept if one.document not in before or one.base or abs(one.share) >= unit]
    given = changed if abs(left - _sum(changed)) < unit else kept
    parts = apportion(left, [one.share for one in given], precision)
    rows = [*gone, *(Share(one.document, one.base, part) for one, part in zip(given, parts, strict=True))]
    moved = [one for one in rows if one.base or one.share or one.document not in before]
    return sorted(moved, key=lambda one: one.document)


def _sum(rows: Iterable[Share]) -> Decimal:
    return sum((one.share for one in rows), ZERO)


@dataclass(frozen=True, slots=True)
class Changes:
    """The sales that came, went and changed between two entries, by name and in order."""

    came: tuple[str, ...]
    went: tuple[str, ...]
    changed: tuple[str, ...]


def changes(rows: Iterable[Share], bases: Mapping[Document, Decimal], before: Iterable[Share]) -> Changes:
    """What the rows of an adjustment say of the sales: `bases` are those of now, `before` the rows of the entries before it.

    Nothing, where one of those entries carries no rows: which sales it was posted on is not known.
    """
    moved = {row.document for row in rows if row.base}
    if UNKNOWN in moved:
        return Changes((), (), ())
    known = {one.document for one in by_document(before).values() if one.base}
    return Changes(
        tuple(sorted(name for _, name in (moved & bases.keys()) - known)),
        tuple(sorted(name for _, name in moved - bases.keys())),
        tuple(sorted(name for _, name in moved & bases.keys() & known)),
    )
