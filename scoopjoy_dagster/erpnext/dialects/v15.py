"""ERPNext and Frappe version 15."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from scoopjoy_dagster.accounting.shifts import ClosingDraft
from scoopjoy_dagster.erpnext.client import Client, Field, Row
from scoopjoy_dagster.erpnext.dialects.closings import answers, closing_head, invoice_rows, payment_rows
from scoopjoy_dagster.erpnext.dialects.interface import TillDocument

GET_POS_INVOICES = "erpnext.accounts.doctype.pos_closing_entry.pos_closing_entry.get_pos_invoices"


class V15:
    """ERPNext and Frappe version 15."""

    line = "v15"
    implies = ""
    open_shift_costs = ""
    writers_in_a_series = 2
    till_documents: Sequence[TillDocument] = (
        TillDocument(
            "POS Invoice",
            "consolidated_invoice",
            (),
            "POS Invoice Reference",
            "pos_transactions",
            "pos_invoice",
        ),
    )

    def is_spoken(self, client: Client) -> bool:
        """The helper of v15 is gone on later lines, and they refuse aggregates as text."""
        return answers(client, GET_POS_INVOICES, self.count("n"))

    def total(self, field: str, alias: str) -> Field:
        """v15 takes aggregates as text; v16+ refuses text and takes only dicts."""
        return f"sum({field}) as {alias}"

    def count(self, alias: str) -> Field:
        """`count(*)` is refused; the name is never null."""
        return f"count(name) as {alias}"

    def newest(self, field: str, alias: str) -> Field:
        """As text, like the others."""
        return f"max({field}) as {alias}"

    def closing_document(self, draft: ClosingDraft) -> Row:
        """Posting date and time become those of the consolidated Sales Invoice, so both are sent."""
        return {
            **closing_head(draft),
            "posting_date": draft.posting_date.isoformat(),
            "posting_time": draft.posting_time.isoformat(),
            **invoice_rows(draft, self.till_documents),
            "payment_reconciliation": payment_rows(draft),
            "taxes": [
                {"account_head": tax.account_head, "rate": tax.rate, "amount": tax.amount}
                for tax in draft.taxes
            ],
        }

    def pos_mode(self, client: Client) -> str:  # noqa: ARG002 - v16+ reads POS Settings
        """v15 has no other mode."""
        return "POS Invoice"

    def remark(self, text: str) -> dict[str, Any]:
        """v15 builds `remark` from `user_remark`."""
        return {"user_remark": text}

    def books_frozen_until(self, client: Client, company: str) -> date | None:  # noqa: ARG002 - v16+ asks the company
        """v15 keeps the date in Accounts Settings, for all companies."""
        frozen = client.get("Accounts Settings", "Accounts Settings").get("acc_frozen_upto")
        return date.fromisoformat(str(frozen)) if frozen else None
