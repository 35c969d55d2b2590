"""Many business days read from ERPNext at once, for `accounting.verification`. Reads only.

Every function costs a fixed number of list calls for the days it is asked about, whatever the number of days,
franchises and invoices; `read_days` is meant for a month at a time, so that answers stay of a size. What a day means
is not decided here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from scoopjoy_dagster.accounting.day_record import (
    BookedEntry,
    DayRecord,
    OtherRoyalty,
    Told,
)
from scoopjoy_dagster.accounting.figures import DayFigures
from scoopjoy_dagster.accounting.keys import day_of_key, key_range
from scoopjoy_dagster.accounting.money import ZERO, exact
from scoopjoy_dagster.accounting.policy import Base, RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import (
    CANCELLED,
    SUBMITTED,
    BaseInvoice,
    FormerFranchise,
    Franchise,
    PostedEntry,
)
from scoopjoy_dagster.accounting.shifts import unbooked_sales
from scoopjoy_dagster.erpnext import deliveries, pos, royalty_entries, royalty_shares, statements
from scoopjoy_dagster.erpnext.client import KEY_FIELD, Row
from scoopjoy_dagster.erpnext.other_royalties import read_other_royalties
from scoopjoy_dagster.erpnext.sale_documents import SALE_DOCUMENTS, rows_by_day
from scoopjoy_dagster.erpnext.single_sales import sale_of
from scoopjoy_dagster.erpnext.site import Books, Site


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """A delivery as ERPNext has recorded it: to whom, which revision, when (site time), and its reference there.

    `reference` and `delivered_at` are empty where nobody knows whether it has arrived.
    `royalty` is the day's royalty in INR that it told; None when the record kept no figures.
    """

    channel: str
    day: date
    recipient: str
    revision: int
    delivered_at: str
    reference: str
    royalty: Decimal | None


def months(first: date, last: date) -> Iterator[tuple[date, date]]:
    """The days from `first` to `last` cut at the ends of months."""
    while first <= last:
        end = (first.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        yield first, min(end, last)
        first = end + timedelta(days=1)


def read_days(
    site: Site,
    books: Books,
    policy: RoyaltyPolicy,
    customers: Sequence[Franchise],
    first: date,
    last: date,
    *,
    headquarters: bool,
) -> list[DayRecord]:
    """Every business day from `first` to `last`, oldest first.

    Args:
        site: the open site.
        books: company and customer group of the royalties.
        policy: says which total of an invoice is the base.
        customers: the franchises as they are now.
        first: first business day.
        last: last business day.
        headquarters: whether there is a headquarters that must have acknowledged each day.
    """
    invoices = _invoices(site, books, policy, customers, first, last)
    booked = _entries(site, books, first, last)
    posted = [entry.posted for entries in booked.values() for entry in entries]
    former = royalty_entries.former_franchises(site, customers, posted, books.franchise_group)
    shares = royalty_shares.shares_of(site, (one.name for one in posted if one.docstatus == SUBMITTED))
    attached = frozenset(statements.attached_statements(site, sorted({entry.name for entry in posted})))
    told = _told(read_deliveries(site, books.company, first, last, ["hq"])) if headquarters else {}
    openings = pos.openings(site, first, last, remember=False)
    sales = pos.till_sales(site, first, last, remember=False)
    unbooked = unbooked_sales(sales, openings, site.day_end)
    others: dict[date, list[OtherRoyalty]] = defaultdict(list)
    for one in read_other_royalties(site, books, [one.customer for one in customers], first, last):
        others[one.day].append(one)
    days = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    return [
        DayRecord(
            day,
            tuple(invoices.get(day, ())),
            tuple(row for one in booked.get(day, ()) for row in shares.get(one.posted.name, ())),
            tuple(booked.get(day, ())),
            _of_day(former, booked.get(day, ())),
            attached,
            told.get(day, Told()) if headquarters else None,
            tuple(one.label for one in pos.of_day(site, openings, day) if one.status == "Open"),
            tuple(one for one in unbooked if one.day == day),
            tuple(others.get(day, ())),
        )
        for day in days
    ]


def _of_day(former: Iterable[FormerFranchise], entries: Iterable[BookedEntry]) -> tuple[FormerFranchise, ...]:
    present = {entry.posted.customer for entry in entries}
    return tuple(one for one in former if one.customer in present)


# -- sales ------------------------------------------------------------------------------------------------------


def _invoices(
    site: Site,
    books: Books,
    policy: RoyaltyPolicy,
    customers: Sequence[Franchise],
    first: date,
    last: date,
) -> dict[date, list[BaseInvoice]]:
    """The sales to franchises."""
    amounts = sorted({policy.base.field, Base.GRAND_TOTAL.field})
    invoices: dict[date, list[BaseInvoice]] = defaultdict(list)
    for sale in SALE_DOCUMENTS:
        for row in rows_by_day(
            site,
            sale.doctype,
            ["name", "posting_date", "customer", *amounts, "is_return", "currency"],
            [
                ["docstatus", "=", SUBMITTED],
                *sale.only(site),
                ["company", "=", books.company],
                ["posting_date", "between", [first.isoformat(), last.isoformat()]],
                ["customer", "in", [one.customer for one in customers]],
            ],
        ):
            invoices[_date(row["posting_date"])].append(sale_of(sale.doctype, row, policy))
    return invoices


# -- entries and the general ledger -----------------------------------------------------------------------------


def _entries(site: Site, books: Books, first: date, last: date) -> dict[date, list[BookedEntry]]:
    """Our entries by business day, each with the totals that the document and the ledger give."""
    found = royalty_entries.entries_between(site, books, first, last)
    keyed = {str(row["name"]): row for row in _documents(site, books, first, last)}
    names = {entry.name for entries in found.values() for entry in entries}
    amended = {
        str(row["name"]): row
        for row in site.client.rows(
            "Journal Entry", ["name", "total_debit"], [["name", "in", sorted(names - keyed.keys())]]
        )
    }
    ledger = _ledger_totals(site, sorted(names | keyed.keys()))
    by_key = {str(row[KEY_FIELD]): name for name, row in keyed.items()}
    return {
        day: [_booked(entry, by_key, keyed, amended, ledger) for entry in entries]
        for day, entries in found.items()
    }


def _documents(site: Site, books: Books, first: date, last: date) -> list[Row]:
    """The Journal Entries that carry the keys of these days."""
    lowest, after = key_range("royalty", books.company, first, last)
    return site.client.rows(
        "Journal Entry",
        ["name", "docstatus", "total_debit", KEY_FIELD, royalty_entries.ENTRY_ADJUSTS_FIELD],
        [["company", "=", books.company], [KEY_FIELD, ">=", lowest], [KEY_FIELD, "<", after]],
    )


def _booked(
    entry: PostedEntry,
    by_key: dict[str, str],
    keyed: dict[str, Row],
    amended: dict[str, Row],
    ledger: dict[str, tuple[Decimal, Decimal]],
) -> BookedEntry:
    origin = entry.name if entry.name in keyed else by_key.get(entry.key, entry.name)
    document = keyed.get(origin, {})
    cancelled = int(document.get("docstatus", 0)) == CANCELLED
    debit, credit = ledger.get(entry.name, (ZERO, ZERO))
    return BookedEntry(
        entry,
        keyed=origin,
        total=exact((amended.get(entry.name) or document).get("total_debit")),
        debit=debit,
        credit=credit,
        left_over=ledger.get(origin, (ZERO, ZERO))[0] if cancelled else ZERO,
        adjusts=str(document.get(royalty_entries.ENTRY_ADJUSTS_FIELD) or ""),
    )


def _ledger_totals(site: Site, entries: Sequence[str]) -> dict[str, tuple[Decimal, Decimal]]:
    """Debit and credit of each Journal Entry in the general ledger, over all accounts, in INR."""
    rows = site.client.rows(
        "GL Entry",
        ["voucher_no", site.dialect.total("debit", "debits"), site.dialect.total("credit", "credits")],
        [
            ["voucher_type", "=", "Journal Entry"],
            ["voucher_no", "in", list(entries)],
            ["is_cancelled", "=", 0],
        ],
        group_by="voucher_no",
        order_by="voucher_no asc",
    )
    return {str(row["voucher_no"]): (exact(row["debits"]), exact(row["credits"])) for row in rows}


# -- deliveries and shifts ----------------------------------------------------------------------------------------


def read_deliveries(
    site: Site, company: str, first: date, last: date, channels: Sequence[str]
) -> list[DeliveryRecord]:
    """What was delivered for these days over these channels (`report`, `hq`), by day, oldest revision first."""
    rows = site.client.rows(
        deliveries.DOCTYPE,
        [
            "name",
            "channel",
            "business_day",
            "recipient",
            "revision",
            "delivered_at",
            "reference",
            KEY_FIELD,
            deliveries.FIGURES_FIELD,
        ],
        [
            ["channel", "in", list(channels)],
            ["business_day", "between", [first.isoformat(), last.isoformat()]],
        ],
        order_by="business_day asc, revision asc, name asc",
    )
    found = []
    for row in rows:
        day, channel = _date(row["business_day"]), str(row["channel"])
        if day_of_key(str(row[KEY_FIELD]), channel, company) != day:
            continue  # of another company of the site
        figures = DayFigures.from_text(str(row[deliveries.FIGURES_FIELD] or ""))
        found.append(
            DeliveryRecord(
                channel,
                day,
                str(row["recipient"]),
                int(row["revision"]),
                str(row["delivered_at"] or "")[:19],
                str(row["reference"] or ""),
                figures.royalty if figures else None,
            )
        )
    return found


def _told(records: Iterable[DeliveryRecord]) -> dict[date, Told]:
    """The last that headquarters has acknowledged of each day; nothing, where what was sent last was never answered."""
    return {one.day: Told(one.revision, one.royalty) if one.reference else Told() for one in records}


def _date(value: object) -> date:
    return date.fromisoformat(str(value))
