"""The figures of a day that people and headquarters are told, and what changed from one revision to the next.

The figures told last are kept with the delivery record, so that a revision can say what changed, whoever makes it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal

from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.royalties import Action
from scoopjoy_dagster.clean_text import held, released_json


@dataclass(frozen=True, slots=True)
class FranchiseFigures:
    """One franchise's day: number of invoices, base in INR, rate in percent, royalty in INR, name of its first entry."""

    customer: str
    customer_name: str
    invoices: int
    base: Decimal
    rate: Decimal
    royalty: Decimal
    entry: str = ""

    @property
    def sentence(self) -> str:
        """The figures in words."""
        return (
            f"{self.invoices} invoices, base {self.base:.2f}, rate {self.rate.normalize():f} %, "
            f"royalty {self.royalty:.2f}"
        )


@dataclass(frozen=True, slots=True)
class DayFigures:
    """The figures of one day. Amounts in INR; `pos_sales` are those of the closed shifts.

    `view` marks the outlets that they are about; empty: the whole chain.
    """

    sales: Decimal
    royalty: Decimal
    pos_sales: Decimal
    shifts: int
    franchises: tuple[FranchiseFigures, ...]
    view: str = ""

    def as_text(self) -> str:
        """The figures as JSON with exact decimal strings, for a field of a document."""
        fields = asdict(self)
        if not self.view:
            del fields["view"]  # the whole chain's figures read as they always did
        return json.dumps(fields, default=_plain, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> DayFigures | None:
        """The figures that `as_text` wrote; None for anything else, as in a record of an earlier version."""
        try:
            found = held(json.loads(released_json(text)))  # whether or not the text was read from ERPNext
            return cls(
                Decimal(found["sales"]),
                Decimal(found["royalty"]),
                Decimal(found["pos_sales"]),
                int(found["shifts"]),
                tuple(
                    FranchiseFigures(
                        row["customer"],
                        row["customer_name"],
                        int(row["invoices"]),
                        Decimal(row["base"]),
                        Decimal(row["rate"]),
                        Decimal(row["royalty"]),
                        str(row.get("entry", "")),
                    )
                    for row in found["franchises"]
                ),
                str(found.get("view", "")),
            )
        except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError):
            return None


@dataclass(frozen=True, slots=True)
class Change:
    """One line of what changed since the revision before: who, the figures then and now, and why."""

    who: str
    before: str
    after: str
    reason: str


def franchise_figures(action: Action) -> FranchiseFigures:
    """The figures of the franchise that an action of the royalty plan is about."""
    royalty = action.royalty
    return FranchiseFigures(
        royalty.customer,
        royalty.customer_name,
        royalty.invoice_count,
        royalty.base,
        royalty.rate,
        royalty.amount,
        action.entries[0].name if action.entries else "",
    )


def changes(before: DayFigures | None, after: DayFigures, reasons: Mapping[str, str]) -> tuple[Change, ...]:
    """What changed, franchise by franchise in order of name, then the shifts. Never empty: a revision has a reason.

    Args:
        before: the figures of the revision before; None when they were not kept.
        after: the figures now.
        reasons: by customer, why its royalty was adjusted last.
    """
    if before is None:
        return (Change("The day", "not kept", "", "the figures of the revision before were not kept"),)
    then = with_names_of_now(before.franchises, after.franchises)
    now = {one.customer: one for one in after.franchises}
    found = [
        _franchise(then.get(customer), now.get(customer), reasons.get(customer, ""))
        for customer in sorted(then.keys() | now.keys())
        if _figures(then.get(customer)) != _figures(now.get(customer))
    ]
    if (before.shifts, before.pos_sales) != (after.shifts, after.pos_sales):
        found.append(
            Change(
                "POS shifts",
                f"{before.shifts} closed, sales {before.pos_sales:.2f}",
                f"{after.shifts} closed, sales {after.pos_sales:.2f}",
                "a shift of the day was closed or cancelled since",
            )
        )
    return tuple(found) or (
        Change(
            "The day",
            "",
            "",
            "the totals are the same; documents, names of outlets, counted amounts or exceptions changed",
        ),
    )


def with_names_of_now(
    then: Iterable[FranchiseFigures], now: Collection[FranchiseFigures]
) -> dict[str, FranchiseFigures]:
    """The figures of before by the customer of now: one that was renamed since has its entry still, and else its figures."""
    left = {one.customer: one for one in then}
    found = {one.customer: left.pop(one.customer) for one in now if one.customer in left}
    for one in now:
        if one.customer not in found:
            same = [
                old
                for old in left.values()
                if (old.entry == one.entry if old.entry and one.entry else _figures(old) == _figures(one))
            ]
            if same:
                found[one.customer] = left.pop(same[0].customer)
    return found | left


def _figures(one: FranchiseFigures | None) -> tuple[int, Decimal, Decimal, Decimal]:
    """What is compared: no franchise is the same as one without sales. A rate without sales decides about nothing."""
    if one is None:
        return (0, ZERO, ZERO, ZERO)
    return (one.invoices, one.base, one.rate if one.invoices else ZERO, one.royalty)


def _franchise(then: FranchiseFigures | None, now: FranchiseFigures | None, reason: str) -> Change:
    name = (now or then).customer_name  # type: ignore[union-attr]  # one of the two is there
    royalties = [one.royalty if one else ZERO for one in (then, now)]
    if royalties[0] == royalties[1] or not reason:
        reason = "invoices of the day, the rate or the exemption changed since"
    return Change(
        name, then.sentence if then else "no franchise", now.sentence if now else "no franchise", reason
    )


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    message = f"a {type(value).__name__} cannot be kept with the figures"
    raise TypeError(message)
