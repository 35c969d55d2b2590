"""ERPNext and Frappe version 16 and later, as far as they are known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.shifts import ClosingDraft
from scoopjoy_dagster.erpnext.client import Client, Field, Row
from scoopjoy_dagster.erpnext.dialects.closings import answers, closing_head, invoice_rows, payment_rows
from scoopjoy_dagster.erpnext.dialects.interface import TillDocument

GET_INVOICES = "erpnext.accounts.doctype.pos_closing_entry.pos_closing_entry.get_invoices"

POS_INVOICE, SALES_INVOICE = "POS Invoice", "Sales Invoice"


class V16:
    """ERPNext and Frappe version 16 and later."""

    line = "v16+"
    implies = (
        "a closing is dated when it is made, and a till sells nothing before its shift of the day before is closed: "
        "close before the outlets open"
    )
    open_shift_costs = "; until it is closed, its till sells nothing on the next day"
    # With MariaDB 11.6.2 and later a second one is refused (1020), and would have to come again with all its files.
    writers_in_a_series = 1
    till_documents: Sequence[TillDocument] = (
        TillDocument(
            POS_INVOICE, "consolidated_invoice", (), "POS Invoice Reference", "pos_invoices", "pos_invoice"
        ),
        TillDocument(
            SALES_INVOICE,
            "pos_closing_entry",
            (["is_pos", "=", 1], ["is_created_using_pos", "=", 1]),
            "Sales Invoice Reference",
            "sales_invoices",
            "sales_invoice",
        ),
    )

    def is_spoken(self, client: Client) -> bool:
        """v15 has no such helper, and fails on aggregates that are no text."""
        return answers(client, GET_INVOICES, self.count("n"))

    def total(self, field: str, alias: str) -> Field:
        """Aggregates as text are refused: ERPNext builds the query itself."""
        return {"SUM": field, "as": alias}

    def count(self, alias: str) -> Field:
        """The name is never null."""
        return {"COUNT": "name", "as": alias}

    def newest(self, field: str, alias: str) -> Field:
        """As the others."""
        return {"MAX": field, "as": alias}

    def closing_document(self, draft: ClosingDraft) -> Row:
        """No posting date: ERPNext puts its own there, on every save. User and POS Profile are taken from the opening."""
        taxes: dict[str, Decimal] = defaultdict(lambda: ZERO)
        for tax in draft.taxes:
            taxes[tax.account_head] += tax.amount
        return {
            **closing_head(draft),
            "total_taxes_and_charges": sum(taxes.values(), ZERO),
            **invoice_rows(draft, self.till_documents),
            "payment_reconciliation": payment_rows(draft),
            "taxes": [{"account_head": head, "amount": amount} for head, amount in taxes.items()],
        }

    def pos_mode(self, client: Client) -> str:
        """A setting of the site; a new site makes Sales Invoices."""
        return str(client.get("POS Settings", "POS Settings").get("invoice_type") or SALES_INVOICE)

    def remark(self, text: str) -> dict[str, Any]:
        """`remark` is what reports show, and is kept only where the entry says that it has one of its own."""
        return {"user_remark": text, "custom_remark": 1, "remark": text}

    def books_frozen_until(self, client: Client, company: str) -> date | None:
        """Each company has a date of its own."""
        frozen = client.get("Company", company).get("accounts_frozen_till_date")
        return date.fromisoformat(str(frozen)) if frozen else None
