"""What franchises were invoiced on many days, added up by the server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from scoopjoy_dagster.accounting.money import exact
from scoopjoy_dagster.accounting.policy import Base, RoyaltyPolicy
from scoopjoy_dagster.erpnext.site import Books, Site


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
