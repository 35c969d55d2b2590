"""What was invoiced on many days, added up by the server: as many requests for a month of a thousand franchises as for a day of one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from scoopjoy_dagster.accounting.money import ZERO, exact
from scoopjoy_dagster.accounting.policy import Base, RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import BaseInvoice
from scoopjoy_dagster.erpnext.client import Row
from scoopjoy_dagster.erpnext.sale_documents import SALE_DOCUMENTS, SaleDocument, rows_by_day, sale_rows
from scoopjoy_dagster.erpnext.site import Books, Site


def summed(base: Base) -> str:
    """The alias under which the sum of a base comes back."""
    return f"sum_{base.value}"


def _grouped(site: Site, sale: SaleDocument, first: date, last: date) -> list[Row]:
    """Submitted sales of the company on the days from `first` to `last`, added up by business day, customer and currency."""
    group = ["posting_date", "customer", "currency"]
    return rows_by_day(
        site,
        sale.doctype,
        [
            *group,
            site.dialect.count("invoices"),
            *(site.dialect.total(base.field, summed(base)) for base in Base),
            site.dialect.newest("creation", "newest"),
            site.dialect.newest("modified", "touched"),
        ],
        [
            ["docstatus", "=", 1],
            ["company", "=", site.company["name"]],
            ["posting_date", "between", [first.isoformat(), last.isoformat()]],
            *sale.only(site),
        ],
        group_by=", ".join(group),
        order_by="posting_date asc, customer asc",
        remember=True,
    )


def day_sales(site: Site, policy: RoyaltyPolicy, first: date, last: date) -> dict[date, list[BaseInvoice]]:
    """Every business day from `first` to `last` that has sales: one for each customer and currency, added up; two grouped list calls."""
    invoices: dict[date, dict[tuple[str, str], BaseInvoice]] = defaultdict(dict)
    for row in (row for one in SALE_DOCUMENTS for row in _grouped(site, one, first, last)):
        day = date.fromisoformat(str(row["posting_date"]))
        customer, currency = str(row["customer"]), str(row["currency"])
        more = BaseInvoice(
            "",
            customer,
            exact(row[summed(policy.base)]),
            currency=currency,
            sales=exact(row[summed(Base.GRAND_TOTAL)]),
            count=int(row["invoices"]),
            newest=str(row["newest"]),
            touched=str(row["touched"]),
        )
        known = invoices[day].get((customer, currency))
        invoices[day][customer, currency] = _together(known, more) if known else more
    return {day: list(found.values()) for day, found in invoices.items()}


def _together(one: BaseInvoice, other: BaseInvoice) -> BaseInvoice:
    return replace(
        one,
        base=one.base + other.base,
        sales=one.sales + other.sales,
        count=one.count + other.count,
        newest=max(one.newest, other.newest),
        touched=max(one.touched, other.touched),
    )


@dataclass(frozen=True, slots=True)
class FranchiseSales:
    """The sales to one franchise on one day: how many invoices, royalty base and grand total in INR, returns signed."""

    customer: str
    day: date
    invoices: int
    base: Decimal
    sales: Decimal


def sales_by_franchise(
    site: Site, books: Books, policy: RoyaltyPolicy, customers: Iterable[str], start: date, end: date
) -> list[FranchiseSales]:
    """Every franchise and day in [start, end] that has invoices, in order of day and customer; two grouped list calls."""
    base, sales = policy.base.field, Base.GRAND_TOTAL.field
    found: dict[tuple[date, str], FranchiseSales] = {}
    for row in sale_rows(
        site,
        [
            "posting_date",
            "customer",
            site.dialect.count("invoices"),
            site.dialect.total(base, "royalty_base"),
            site.dialect.total(sales, "sales"),
        ],
        [
            ["company", "=", books.company],
            ["posting_date", "between", [start.isoformat(), end.isoformat()]],
            ["customer", "in", list(customers)],
        ],
        group_by="posting_date, customer",
        order_by="posting_date asc, customer asc",
    ):
        day, customer = date.fromisoformat(str(row["posting_date"])), str(row["customer"])
        known = found.get((day, customer), FranchiseSales(customer, day, 0, ZERO, ZERO))
        found[day, customer] = replace(
            known,
            invoices=known.invoices + int(row["invoices"]),
            base=known.base + exact(row["royalty_base"]),
            sales=known.sales + exact(row["sales"]),
        )
    return [found[key] for key in sorted(found)]
