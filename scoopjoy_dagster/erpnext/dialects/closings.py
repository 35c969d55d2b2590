"""The parts of a POS Closing Entry that are the same on every line."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from scoopjoy_dagster.accounting.shifts import ClosingDraft
from scoopjoy_dagster.erpnext.client import DIGEST_FIELD, KEY_FIELD, Client, Field, Row
from scoopjoy_dagster.erpnext.dialects.interface import UNCOUNTED_FIELD, TillDocument
from scoopjoy_dagster.erpnext.errors import Forbidden, Rejected


def answers(client: Client, helper: str, aggregate: Field) -> bool:
    """Whether the site has this helper of the closing form, and lists with aggregates of this kind. Reads nothing of anybody."""
    nobody = {"start": "2000-01-01 00:00:00", "end": "2000-01-01 00:00:01", "pos_profile": "", "user": ""}
    try:
        client.call(helper, nobody, doing="see what the site can do")
    except Rejected:
        return False
    try:
        client.rows("POS Invoice", [aggregate], [["name", "=", ""]])
    except Forbidden:
        return (
            True  # of the site's ways the helper tells enough; what the user's roles lack is another matter
        )
    except Rejected:
        return False
    return True


def closing_head(draft: ClosingDraft) -> Row:
    """The fields of the entry itself."""
    return {
        KEY_FIELD: draft.key,
        DIGEST_FIELD: draft.digest,
        UNCOUNTED_FIELD: int(draft.uncounted),
        "pos_opening_entry": draft.opening.name,
        "company": draft.opening.company,
        "period_end_date": stamp(draft.period_end),
        "grand_total": draft.grand_total,
        "net_total": draft.net_total,
        "total_quantity": draft.quantity,
    }


def invoice_rows(draft: ClosingDraft, kinds: Iterable[TillDocument]) -> dict[str, list[Row]]:
    """The rows that name the invoices, by the table that they stand in."""
    return {
        kind.table: [
            {
                kind.named_in: invoice.name,
                "posting_date": invoice.posted_at.date().isoformat(),
                "grand_total": invoice.grand_total,
                "customer": invoice.customer,
            }
            for invoice in draft.invoices
            if invoice.doctype == kind.doctype
        ]
        for kind in kinds
    }


def payment_rows(draft: ClosingDraft) -> list[Row]:
    """The rows of the modes of payment."""
    return [
        {
            "mode_of_payment": line.mode,
            "opening_amount": line.opening_amount,
            "expected_amount": line.expected,
            # The field is mandatory: an amount that nobody counted repeats the expected one, invents
            # neither shortage nor surplus, and is flagged on its row.
            "closing_amount": line.expected if line.counted is None else line.counted,
            "difference": line.difference or 0,
            UNCOUNTED_FIELD: int(line.counted is None),
        }
        for line in draft.payments
    ]


def stamp(value: datetime) -> str:
    """A moment as ERPNext writes it, to the second."""
    return value.strftime("%Y-%m-%d %H:%M:%S")
