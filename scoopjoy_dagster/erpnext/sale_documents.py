"""Which documents of ERPNext are sales: each sale once, as the document that was made when it was sold, on its own date.

A sale at the till is a POS Invoice first. The closing of its shift consolidates it: a Sales Invoice of the whole shift takes
it into the ledger, and a credit note takes the returns. When those are dated is ERPNext's affair (on v15 as the closing
says, on v16+ the last sale's date for the one and the day of the closing for the other), and a shift may go on over midnight. So a
consolidation is no sale of ours; what it consolidates is, once it is in the ledger. Where the till makes Sales
Invoices (v16+, *Sales Invoice* mode) there is nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scoopjoy_dagster.erpnext.client import Field, Filter, Row
from scoopjoy_dagster.erpnext.site import Site

NO_OPENING: Filter = ["is_opening", "!=", "Yes"]
"""An opening invoice brings in an old balance: what was sold for it is in the sales of the books before."""


@dataclass(frozen=True, slots=True)
class SaleDocument:
    """A DocType whose documents are sales, and which of its submitted documents are."""

    doctype: str
    once: Filter
    """That a sale is counted once."""
    transfers: bool
    """Whether its documents may be transfers within a company: the customer stands for that company itself."""

    def only(self, site: Site) -> list[Filter]:
        """Which submitted documents of the site's company are sales."""
        found: list[Filter] = [self.once, NO_OPENING]
        return [*found, ["represents_company", "!=", site.company["name"]]] if self.transfers else found


SALES_INVOICE = SaleDocument("Sales Invoice", ["is_consolidated", "=", 0], transfers=True)
POS_INVOICE = SaleDocument("POS Invoice", ["consolidated_invoice", "is", "set"], transfers=False)
SALE_DOCUMENTS = (SALES_INVOICE, POS_INVOICE)


def sale_rows(
    site: Site,
    fields: Sequence[Field],
    filters: Sequence[Filter],
    *,
    order_by: str = "name asc",
    group_by: str | None = None,
) -> list[Row]:
    """The submitted sales that match; a list call for each DocType. Arguments as of `Client.rows`."""
    return [
        row
        for one in SALE_DOCUMENTS
        for row in site.client.rows(
            one.doctype,
            fields,
            [["docstatus", "=", 1], *one.only(site), *filters],
            order_by=order_by,
            group_by=group_by,
        )
    ]
