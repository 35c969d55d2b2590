"""The rows of royalty entries that say which share falls on which sale, and how sales show them.

The rows are a table of the Journal Entry, stored in the insert that posts it. A sale shows them by virtual fields: expressions
that ERPNext evaluates when the document is read, so that nothing is ever written to a sale.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal

from scoopjoy_dagster.accounting.money import ZERO, exact
from scoopjoy_dagster.accounting.shares import Share
from scoopjoy_dagster.erpnext.client import Filter, Row
from scoopjoy_dagster.erpnext.site import Site

DOCTYPE = "Royalty Share"
TABLE = "custom_royalty_shares"
"""The field of the Journal Entry that holds the rows."""

SALE_RATE = "custom_sale_royalty_rate"
SALE_SHARE = "custom_sale_royalty_share"
SALE_ENTRY = "custom_sale_royalty_entry"

_OF_SALE = "{'document_type': doc.doctype, 'document': doc.name, 'docstatus': 1}"

EXPRESSIONS: Mapping[str, str] = {
    SALE_SHARE: f"sum(x or 0 for x in frappe.db.get_all('{DOCTYPE}', filters={_OF_SALE}, pluck='royalty_share'))",
    SALE_ENTRY: f"', '.join(sorted(set(frappe.db.get_all('{DOCTYPE}', filters={_OF_SALE}, pluck='parent'))))",
    SALE_RATE: (
        "frappe.db.get_value('Journal Entry', {'name': frappe.db.get_value("
        f"'{DOCTYPE}', {_OF_SALE}, 'parent', order_by='creation desc') or ''}}, 'custom_royalty_rate') or 0"
    ),
}
"""What each virtual field of a sale evaluates: in percent, in company currency, and the names of the entries that stand."""


def table_rows(shares: Iterable[Share], day: date, franchise: str) -> list[Row]:
    """The rows as the Journal Entry of a franchise and business day is sent with them."""
    return [
        {
            "document_type": one.document[0],
            "document": one.document[1],
            "business_day": day.isoformat(),
            "franchise": franchise,
            "royalty_base": one.base,
            "royalty_share": one.share,
        }
        for one in shares
    ]


def shares_of(site: Site, entries: Iterable[str]) -> dict[str, list[Share]]:
    """The rows about sales in these Journal Entries, by entry; none is asked for where there is no entry. One list call."""
    found: dict[str, list[Share]] = defaultdict(list)
    for row in site.client.rows(
        DOCTYPE,
        ["parent", "document_type", "document", "royalty_base", "royalty_share"],
        _rows_of(entries),
        order_by="parent asc, idx asc",
        parent="Journal Entry",
    ):
        entry = str(row["parent"])
        document = str(row["document_type"] or ""), str(row["document"] or "")
        found[entry].append(Share(document, exact(row["royalty_base"]), exact(row["royalty_share"]), entry))
    return found


def share_totals(site: Site, entries: Iterable[str]) -> dict[str, Decimal]:
    """The shares of sales in each of these Journal Entries, added up by the server, in INR; an entry without any is not there."""
    found: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for row in site.client.rows(
        DOCTYPE,
        ["parent", site.dialect.total("royalty_share", "shares")],
        _rows_of(entries),
        group_by="parent",
        order_by="parent asc",
        parent="Journal Entry",
    ):
        found[str(row["parent"])] += exact(row["shares"])
    return found


def _rows_of(entries: Iterable[str]) -> list[Filter]:
    # The row that stands for all sales of entries without rows (`accounting.shares.UNKNOWN`) names none.
    return [
        ["parent", "in", sorted(set(entries))],
        ["parenttype", "=", "Journal Entry"],
        ["document", "is", "set"],
    ]
