"""The parts of a POS Closing Entry that are the same on every line."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from scoopjoy_dagster.accounting.money import exact
from scoopjoy_dagster.accounting.shifts import ClosingDraft, LooseInvoice, ShiftInvoice
from scoopjoy_dagster.erpnext.client import DIGEST_FIELD, KEY_FIELD, Client, Field, Row
from scoopjoy_dagster.erpnext.dialects.interface import UNCOUNTED_FIELD
from scoopjoy_dagster.erpnext.errors import Rejected


def answers(client: Client, helper: str, aggregate: Field) -> bool:
    """Whether the site has this helper of the closing form, and lists with aggregates of this kind. Reads nothing of anybody."""
    nobody = {"start": "2000-01-01 00:00:00", "end": "2000-01-01 00:00:01", "pos_profile": "", "user": ""}
    try:
        client.call(helper, nobody, doing="see what the site can do")
        client.rows("POS Invoice", [aggregate], [["name", "=", ""]])
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


def invoice_rows(invoices: Iterable[ShiftInvoice], field: str) -> list[Row]:
    """The rows that name the invoices, each in `field`."""
    return [
        {
            field: invoice.name,
            "posting_date": invoice.posted_at.date().isoformat(),
            "grand_total": invoice.grand_total,
            "customer": invoice.customer,
        }
        for invoice in invoices
    ]


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


LOOSE_FIELDS = ("name", "pos_profile", "owner", "posting_date", "posting_time", "grand_total")


def loose_invoice(row: Row) -> LooseInvoice:
    """An invoice of a till from a list of `LOOSE_FIELDS`."""
    return LooseInvoice(
        str(row["name"]),
        str(row["pos_profile"]),
        str(row["owner"]),
        moment(row["posting_date"], row["posting_time"]),
        exact(row["grand_total"]),
    )


def unconsolidated(client: Client, invoices: Iterable[ShiftInvoice]) -> list[str]:
    """Which of these POS Invoices are still without a consolidated invoice."""
    rows = client.rows(
        "POS Invoice",
        ["name"],
        [["name", "in", [one.name for one in invoices]], ["consolidated_invoice", "is", "not set"]],
    )
    return [str(row["name"]) for row in rows]


def moment(day: object, clock_time: object) -> datetime:
    """ERPNext's posting date and time, e.g. `2026-11-22` and `9:05:00` or `9:05:00.123456`, in site time."""
    hours, minutes, seconds = ([*str(clock_time or "0:0:0").split(":"), "0", "0"])[:3]
    return datetime.combine(date.fromisoformat(str(day)), datetime.min.time()).replace(
        hour=int(hours), minute=int(minutes), second=int(float(seconds))
    )


def stamp(value: datetime) -> str:
    """A moment as ERPNext writes it, to the second."""
    return value.strftime("%Y-%m-%d %H:%M:%S")
