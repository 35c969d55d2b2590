"""What was touched on the site since a moment of its own clock: four list calls, however many franchises there are.

What does not belong here: deciding whether a day has changed (`automation.changed_days`), and anything that writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from scoopjoy_dagster.accounting.keys import day_of_key, digest, key_range
from scoopjoy_dagster.accounting.royalties import CANCELLED, SUBMITTED
from scoopjoy_dagster.erpnext import pos
from scoopjoy_dagster.erpnext.client import KEY_FIELD, Filter, Row
from scoopjoy_dagster.erpnext.sale_documents import SALE_DOCUMENTS, rows_by_day
from scoopjoy_dagster.erpnext.site import Books, Site


@dataclass(frozen=True, slots=True)
class Touched:
    """What a look by `modified` has found. A touched day may have changed.

    Attributes:
        days: business days that a touched document is about, each with when one was touched last, in site time.
        newest: the newest `modified` that was read, in site time; None when nothing was.
        fingerprint: of all that was read: the same as long as nothing else is touched.
    """

    days: Mapping[date, datetime] = field(default_factory=dict)
    newest: datetime | None = None
    fingerprint: str = ""


def newest_modification(site: Site, books: Books) -> datetime | None:
    """When a Sales Invoice of the company was last touched, in site time: where a watermark can begin.

    ERPNext has no method that tells its own time, and this machine's clock may differ from it.
    """
    rows: list[Row] | None = site.client.call(
        "frappe.client.get_list",
        {
            "doctype": "Sales Invoice",
            "fields": ["name", "modified"],
            "filters": [["company", "=", books.company]],
            "order_by": "modified desc",
            "limit_page_length": 1,
        },
        doing="find the newest Sales Invoice",
    )
    return _moment(rows[0]) if rows else None


def touched_since(site: Site, books: Books, first: date, last: date, since: datetime) -> Touched:
    """The business days from `first` to `last` that a document touched at `since` (site time) or later is about.

    - Sales Invoices and POS Invoices by their business day, cancelled ones too: cancelling touches them.
    - POS Opening Entries by the day on which the shift began; opening, closing and reopening a shift touch them.
    - Royalty entries of ours that were cancelled, by the day in their key. Only a person cancels one.
    """
    found = _Found()
    new = ["modified", ">=", _stamp(since)]
    company = ["company", "=", books.company]
    days = [first.isoformat(), last.isoformat()]
    submitted = ["docstatus", ">=", SUBMITTED]

    posted: list[Filter] = [submitted, company, ["posting_date", "between", days], new]
    for sale in SALE_DOCUMENTS:
        for row in found.read(site, sale.doctype, ["posting_date"], posted):
            found.touch(_day(row["posting_date"]), row)
    for row in found.read(
        site,
        "POS Opening Entry",
        ["period_start_date"],
        [submitted, company, *pos.began(site, first, last), new],
    ):
        found.touch(pos.day_of(site, row), row)
    lowest, after = key_range("royalty", books.company, first, last)
    ours: list[Filter] = [[KEY_FIELD, ">=", lowest], [KEY_FIELD, "<", after], ["docstatus", "=", CANCELLED]]
    for row in found.read(site, "Journal Entry", [KEY_FIELD], [*ours, new]):
        day = day_of_key(str(row[KEY_FIELD]), "royalty", books.company)
        if day:
            found.touch(day, row)
    return Touched(
        {day: at for day, at in found.days.items() if first <= day <= last},
        max(found.moments, default=None),
        digest({"documents": found.marks}),
    )


@dataclass(slots=True)
class _Found:
    """What the lists of one look have brought so far."""

    days: dict[date, datetime] = field(default_factory=dict)
    moments: list[datetime] = field(default_factory=list)
    marks: list[list[str]] = field(default_factory=list)

    def read(self, site: Site, doctype: str, fields: Sequence[str], filters: Sequence[Filter]) -> list[Row]:
        rows = rows_by_day(site, doctype, ["name", "modified", *fields], filters)
        self.moments += [_moment(row) for row in rows]
        self.marks += [[doctype, str(row["name"]), str(row["modified"])] for row in rows]
        return rows

    def touch(self, day: date, row: Row) -> None:
        at = _moment(row)
        self.days[day] = max(at, self.days.get(day, at))


def _day(value: object) -> date:
    return date.fromisoformat(str(value))


def _moment(row: Row) -> datetime:
    return datetime.fromisoformat(str(row["modified"]))


def _stamp(value: datetime) -> str:
    return value.strftime("%Y-%m-%d %H:%M:%S.%f")
