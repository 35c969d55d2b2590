"""What was invoiced on many days, added up by the server: as many requests for a month of a thousand franchises as for a day of one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from scoopjoy_dagster.accounting.money import exact
from scoopjoy_dagster.accounting.policy import Base, RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import BaseInvoice
from scoopjoy_dagster.erpnext.invoice_royalty import ENTRY, RATE, SHARE
from scoopjoy_dagster.erpnext.site import Books, Site


@dataclass(frozen=True, slots=True)
class Marked:
    """Invoices of one customer and day that say the same of their royalty: rate in percent, Journal Entry (empty: none).

    `share` is the sum of what they carry, in INR.
    """

    entry: str
    rate: Decimal
    invoices: int
    share: Decimal


@dataclass(frozen=True, slots=True)
class DaySales:
    """The submitted Sales Invoices of one business day.

    Attributes:
        invoices: one for each customer and currency, added up.
        marked: by customer, what its invoices say of their royalty.
    """

    invoices: tuple[BaseInvoice, ...] = ()
    marked: Mapping[str, Sequence[Marked]] = field(default_factory=dict)


def day_sales(
    site: Site, books: Books, policy: RoyaltyPolicy, first: date, last: date
) -> dict[date, DaySales]:
    """Every business day from `first` to `last` that has invoices, of all customers; one grouped list call.

    All customers, because an invoice may carry the royalty of a customer that is no franchise any more.
    """
    base, sales = policy.base.field, Base.GRAND_TOTAL.field
    rows = site.client.rows(
        "Sales Invoice",
        [
            "posting_date",
            "customer",
            "currency",
            ENTRY,
            RATE,
            site.dialect.count("invoices"),
            site.dialect.total(base, "royalty_base"),
            site.dialect.total(sales, "sales"),
            site.dialect.total(SHARE, "shares"),
            site.dialect.newest("creation", "newest"),
        ],
        [
            ["docstatus", "=", 1],
            ["company", "=", books.company],
            ["posting_date", "between", [first.isoformat(), last.isoformat()]],
        ],
        group_by=f"posting_date, customer, currency, {ENTRY}, {RATE}",
        order_by="posting_date asc, customer asc",
        remember=True,
    )
    invoices: dict[date, dict[tuple[str, str], BaseInvoice]] = defaultdict(dict)
    marked: dict[date, dict[str, dict[tuple[str, Decimal], Marked]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        day, customer, currency = (
            date.fromisoformat(str(row["posting_date"])),
            str(row["customer"]),
            str(row["currency"]),
        )
        count = int(row["invoices"])
        more = BaseInvoice(
            "",
            customer,
            exact(row["royalty_base"]),
            currency=currency,
            sales=exact(row["sales"]),
            count=count,
            newest=str(row["newest"]),
        )
        known = invoices[day].get((customer, currency))
        invoices[day][customer, currency] = _together(known, more) if known else more
        mark = Marked(str(row[ENTRY] or ""), exact(row[RATE]), count, exact(row["shares"]))
        before = marked[day][customer].get((mark.entry, mark.rate))
        if before:  # of another currency
            mark = replace(mark, invoices=mark.invoices + before.invoices, share=mark.share + before.share)
        marked[day][customer][mark.entry, mark.rate] = mark
    return {
        day: DaySales(
            tuple(found.values()),
            {customer: tuple(marks.values()) for customer, marks in marked[day].items()},
        )
        for day, found in invoices.items()
    }


def _together(one: BaseInvoice, other: BaseInvoice) -> BaseInvoice:
    return replace(
        one,
        base=one.base + other.base,
        sales=one.sales + other.sales,
        count=one.count + other.count,
        newest=max(one.newest, other.newest),
    )


@dataclass(frozen=True, slots=True)
class FranchiseSales:
    """The submitted Sales Invoices of one franchise and day: how many, royalty base and grand total in INR, returns signed."""

    customer: str
    day: date
    invoices: int
    base: Decimal
    sales: Decimal


def sales_by_franchise(
    site: Site, books: Books, policy: RoyaltyPolicy, customers: Iterable[str], start: date, end: date
) -> list[FranchiseSales]:
    """Every franchise and day in [start, end] that has invoices, in order of day and customer; one grouped list call."""
    base, sales = policy.base.field, Base.GRAND_TOTAL.field
    rows = site.client.rows(
        "Sales Invoice",
        [
            "posting_date",
            "customer",
            site.dialect.count("invoices"),
            site.dialect.total(base, "royalty_base"),
            site.dialect.total(sales, "sales"),
        ],
        [
            ["docstatus", "=", 1],
            ["company", "=", books.company],
            ["posting_date", "between", [start.isoformat(), end.isoformat()]],
            ["customer", "in", list(customers)],
        ],
        group_by="posting_date, customer",
        order_by="posting_date asc, customer asc",
    )
    return [
        FranchiseSales(
            str(row["customer"]),
            date.fromisoformat(str(row["posting_date"])),
            int(row["invoices"]),
            exact(row["royalty_base"]),
            exact(row["sales"]),
        )
        for row in rows
    ]
