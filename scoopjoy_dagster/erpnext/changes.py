"""What has changed on the site since a moment of its own clock, and what business days look like now.

What belongs here: the reads of the `late_changes` sensor, a fixed number of list calls however many franchises there
are. What does not: deciding whether a day has changed (`automation.changed_days`), and anything that writes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from scoopjoy_dagster.accounting.inputs import Sold, together
from scoopjoy_dagster.accounting.keys import day_of_key, digest, key_range
from scoopjoy_dagster.accounting.money import ZERO, exact
from scoopjoy_dagster.accounting.policy import Base
from scoopjoy_dagster.accounting.royalties import CANCELLED, SUBMITTED, PostedEntry
from scoopjoy_dagster.erpnext import pos
from scoopjoy_dagster.erpnext.client import KEY_FIELD, Filter, Row
from scoopjoy_dagster.erpnext.royalty_entries import entries_between
from scoopjoy_dagster.erpnext.sale_documents import SALE_DOCUMENTS, rows_by_day, sale_rows
from scoopjoy_dagster.erpnext.site import Books, Site


@dataclass(frozen=True, slots=True)
class Touched:
    """What a look by `modified` has found. A touched day may have changed; most often it was only annotated.

    Attributes:
        days: business days that a touched document is about, each with when one was touched last, in site time.
        newest: the newest `modified` that was read, in site time; None when nothing was.
        fingerprint: of all that was read: the same as long as nothing else is touched.
    """

    days: Mapping[date, datetime] = field(default_factory=dict)
    newest: datetime | None = None
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class DayNow:
    """A business day as ERPNext has it now.

    Attributes:
        sold: by customer of those asked for and of `payers`, what was sold.
        payers: parties of our submitted royalty entries of the day by the ledger, which follows a renamed Customer.
        ledger: what franchises owe by our royalty entries of the day, in INR.
        shifts: number of submitted POS Opening Entries that began on the day.
        open_shifts: names of those that are open.
    """

    sold: Mapping[str, Sold] = field(default_factory=dict)
    payers: frozenset[str] = frozenset()
    ledger: Decimal = ZERO
    shifts: int = 0
    open_shifts: tuple[str, ...] = ()


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


def read_days(
    site: Site, books: Books, customers: Collection[str], days: Collection[date]
) -> dict[date, DayNow]:
    """These business days as they are now, with the filters by which royalties are computed and shifts are closed.

    `customers` are those whose sales are read, besides those who owe royalties for the days.
    """
    if not days:
        return {}
    first, last = min(days), max(days)
    entries = {
        day: [one for one in found if one.docstatus == SUBMITTED]
        for day, found in entries_between(site, books, first, last).items()
    }
    payers = {day: frozenset(one.customer for one in found if one.customer) for day, found in entries.items()}
    sold = _sold(site, books, {*customers, *(one for day in days for one in payers.get(day, ()))}, days)
    shifts: dict[date, list[Row]] = defaultdict(list)
    for row in site.client.rows(
        "POS Opening Entry",
        ["name", "status", "period_start_date"],
        [["docstatus", "=", SUBMITTED], ["company", "=", books.company], *pos.began(site, first, last)],
    ):
        shifts[pos.day_of(site, row)].append(row)
    return {
        day: DayNow(
            sold[day],
            payers.get(day, frozenset()),
            _owed(entries.get(day, ())),
            len(shifts[day]),
            tuple(str(row["name"]) for row in shifts[day] if row["status"] == "Open"),
        )
        for day in days
    }


def _owed(entries: Sequence[PostedEntry]) -> Decimal:
    return sum((one.amount for one in entries), ZERO)


def _sold(
    site: Site, books: Books, customers: Collection[str], days: Collection[date]
) -> dict[date, dict[str, Sold]]:
    """The sales of these days to these customers, added up by the server."""
    rows = sale_rows(
        site,
        [
            *("posting_date", "customer"),
            site.dialect.count("invoices"),
            site.dialect.total(Base.GRAND_TOTAL.field, "sales"),
            site.dialect.newest("creation", "newest"),
        ],
        [
            ["company", "=", books.company],
            ["posting_date", "in", sorted(day.isoformat() for day in days)],
            ["customer", "in", sorted(customers)],
        ],
        group_by="posting_date, customer",
        order_by="posting_date asc, customer asc",
    )
    found: dict[date, dict[str, Sold]] = {day: {} for day in days}
    for row in rows:
        of_day, customer = found[_day(row["posting_date"])], str(row["customer"])
        more = Sold(int(row["invoices"]), exact(row["sales"]), str(row["newest"]))
        of_day[customer] = together([of_day.get(customer, Sold()), more])
    return found


def _day(value: object) -> date:
    return date.fromisoformat(str(value))


def _moment(row: Row) -> datetime:
    return datetime.fromisoformat(str(row["modified"]))


def _stamp(value: datetime) -> str:
    return value.strftime("%Y-%m-%d %H:%M:%S.%f")
