"""The sales of a day one by one, for the franchises that need them: those that are posted, and those in a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from scoopjoy_dagster.accounting.money import exact
from scoopjoy_dagster.accounting.policy import Base, RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import BaseInvoice
from scoopjoy_dagster.erpnext.client import PAGE, Row
from scoopjoy_dagster.erpnext.sale_documents import SALE_DOCUMENTS, pages_by_day
from scoopjoy_dagster.erpnext.site import Books, Site


def single_sales(
    site: Site, books: Books, policy: RoyaltyPolicy, day: date, counts: Mapping[str, int]
) -> Iterator[dict[str, list[BaseInvoice]]]:
    """The sales of `day` to some customers, by customer and some customers at a time (see `sale_documents`).

    A part holds about a page of rows, so memory stays flat however many invoices the day has.

    Args:
        site: the open site.
        books: the company.
        policy: says which total of an invoice is the base.
        day: the business day.
        counts: the customers, and about how many invoices each has.
    """
    amounts = sorted({policy.base.field, Base.GRAND_TOTAL.field})
    for customers in _parts(counts):
        found: dict[str, list[BaseInvoice]] = {customer: [] for customer in customers}
        for sale in SALE_DOCUMENTS:
            for page in pages_by_day(
                site,
                sale.doctype,
                ["name", "customer", *amounts, "is_return", "currency", "creation"],
                [
                    ["docstatus", "=", 1],
                    *sale.only(site),
                    ["company", "=", books.company],
                    ["posting_date", "=", day.isoformat()],
                    ["customer", "in", customers],
                ],
            ):
                for row in page:
                    found.setdefault(str(row["customer"]), []).append(sale_of(sale.doctype, row, policy))
        yield found


def sale_of(doctype: str, row: Row, policy: RoyaltyPolicy) -> BaseInvoice:
    """A sale from its row in a list; when it was created only where the list asks for it."""
    return BaseInvoice(
        str(row["name"]),
        str(row["customer"]),
        exact(row[policy.base.field]),
        bool(row["is_return"]),
        str(row["currency"]),
        exact(row[Base.GRAND_TOTAL.field]),
        newest=str(row.get("creation") or ""),
        doctype=doctype,
    )


def _parts(counts: Mapping[str, int]) -> Iterator[list[str]]:
    """Customers in order, as many together as have about a page of invoices."""
    part: list[str] = []
    rows = 0
    for customer in sorted(counts):
        if part and rows + counts[customer] > PAGE:
            yield part
            part, rows = [], 0
        part.append(customer)
        rows += counts[customer]
    if part:
        yield part
