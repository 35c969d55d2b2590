"""Delivery records on the site: who has got which revision of a report, and what headquarters acknowledged.

They live in ERPNext (DocType `ScoopJoy Delivery`), so that a re-run from any process and any machine knows what was
delivered, and a person can look it up. A record is made before the thing leaves us and confirmed when it has arrived: what was
under way when a run died, or was never answered, may be in somebody's hands, and the next run must know.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime

from scoopjoy_dagster.accounting.figures import DayFigures
from scoopjoy_dagster.accounting.keys import day_of_key, day_prefix, delivery_key, normalised
from scoopjoy_dagster.erpnext.client import DIGEST_FIELD, KEY_FIELD, Row
from scoopjoy_dagster.erpnext.site import Site

DOCTYPE = "ScoopJoy Delivery"
FIGURES_FIELD = "figures"

STATEMENTS = "statements"
"""Channel of the records that statements were attached: one for a request, see `statement_files`."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing delivered to one recipient: `digest` tells what, `revision` which version of the day, from 0.

    `reference` is the Message-ID or the receipt; empty: nobody knows whether it has arrived. `name` is the record's ID and
    `owner` the user who wrote it, both empty before it is written.
    """

    channel: str
    business_day: date
    recipient: str
    revision: int
    digest: str
    reference: str = ""
    name: str = ""
    owner: str = ""

    @property
    def confirmed(self) -> bool:
        """Whether it has arrived for certain."""
        return bool(self.reference)

    @property
    def view(self) -> str:
        """Which outlets a report was about (`View.key`, which stands before its digest); empty: the whole chain."""
        return _view_of(self.digest)


def deliveries(
    site: Site, company: str, first: date, last: date, *, remember: bool = True
) -> dict[tuple[str, date], list[Delivery]]:
    """What was delivered for the days from `first` to `last`, by channel (`report`, `hq` or `statements`) and day, oldest revision first; one list call."""
    rows = site.client.rows(
        DOCTYPE,
        [
            "name",
            "owner",
            "channel",
            "business_day",
            "recipient",
            "revision",
            "reference",
            KEY_FIELD,
            DIGEST_FIELD,
        ],
        [["business_day", "between", [first.isoformat(), last.isoformat()]]],
        order_by="revision asc, name asc",
        remember=remember,
    )
    found: dict[tuple[str, date], list[Delivery]] = defaultdict(list)
    for row in rows:
        channel, day = str(row["channel"]), date.fromisoformat(str(row["business_day"]))
        if not normalised(str(row[KEY_FIELD])).startswith(normalised(day_prefix(channel, company, day))):
            continue  # of another company of the site
        found[channel, day].append(
            Delivery(
                channel,
                day,
                str(row["recipient"]),
                int(row["revision"]),
                str(row[DIGEST_FIELD] or ""),
                str(row["reference"] or ""),
                str(row["name"]),
                str(row["owner"]),
            )
        )
    return found


def figures_told(site: Site, delivered: Iterable[Delivery], revision: int) -> DayFigures | None:
    """The figures of the day that the newest of these deliveries before `revision` told; None when none kept them."""
    newest = max(
        (one for one in delivered if one.revision < revision), key=lambda one: one.revision, default=None
    )
    if newest is None:
        return None
    rows = site.client.rows(DOCTYPE, ["name", FIGURES_FIELD], [["name", "=", newest.name]])
    return DayFigures.from_text(str(rows[0][FIGURES_FIELD] or "")) if rows else None


@dataclass(frozen=True, slots=True)
class Told:
    """Figures of a day that somebody holds, and when they were recorded, in site time as ERPNext writes it."""

    figures: DayFigures
    at: str


def told_last(site: Site, company: str, days: Collection[date]) -> dict[date, list[Told]]:
    """What was told last of each of these days: of the whole chain, or else of each view of some outlets; two list calls."""
    rows = site.client.rows(
        DOCTYPE,
        ["name", "channel", "business_day", "creation", KEY_FIELD, DIGEST_FIELD],
        [
            ["business_day", "in", sorted(day.isoformat() for day in days)],
            ["channel", "in", ["report", "hq"]],
        ],
        order_by="creation asc, name asc",
    )
    newest: dict[date, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        day = date.fromisoformat(str(row["business_day"]))
        if day_of_key(str(row[KEY_FIELD]), str(row["channel"]), company) == day:
            newest[day][_view_of(str(row[DIGEST_FIELD] or ""))] = row
    chosen = {day: [views[""]] if "" in views else [*views.values()] for day, views in newest.items()}
    names = [str(row["name"]) for rows in chosen.values() for row in rows]
    kept = {
        str(row["name"]): DayFigures.from_text(str(row[FIGURES_FIELD] or ""))
        for row in site.client.rows(DOCTYPE, ["name", FIGURES_FIELD], [["name", "in", names]])
    }
    return {
        day: [Told(figures, str(row["creation"])) for row in rows if (figures := kept.get(str(row["name"])))]
        for day, rows in chosen.items()
    }


def _view_of(digest: str) -> str:
    return digest.rpartition("-")[0]


def announce(site: Site, company: str, delivery: Delivery, figures: DayFigures) -> Delivery:
    """Record, once, a delivery that is about to be made and the figures that it tells; returns it with the record's name."""
    written = site.client.insert_once(
        DOCTYPE,
        {
            "channel": delivery.channel,
            "business_day": delivery.business_day.isoformat(),
            "recipient": delivery.recipient,
            "revision": delivery.revision,
            KEY_FIELD: delivery_key(
                delivery.channel, company, delivery.business_day, delivery.recipient, delivery.revision
            ),
            DIGEST_FIELD: delivery.digest,
            FIGURES_FIELD: figures.as_text(),
        },
        label=delivery.recipient,
    )
    return replace(delivery, name=written.name)


def confirm(site: Site, delivery: Delivery, reference: str, at: datetime) -> None:
    """Say in the record of a delivery that it has arrived, for the first time or again: its reference, and when (site time)."""
    site.client.update(
        DOCTYPE,
        delivery.name,
        {"delivered_at": at.strftime("%Y-%m-%d %H:%M:%S"), "reference": reference},
        label=delivery.recipient,
    )
