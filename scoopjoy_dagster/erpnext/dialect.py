"""What differs between the lines of ERPNext, behind one interface; nothing outside this module knows a version.

The traps that make this necessary are silent ones: the rows of a POS Closing Entry have other names on v16+, and
ERPNext ignores names that it does not know, closes the shift, and leaves its invoices without a ledger entry. So a
site whose line is not known is refused, not tried.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Protocol

from scoopjoy_dagster.accounting.money import exact
from scoopjoy_dagster.accounting.shifts import ClosingDraft, Opening, Payment, ShiftInvoice, TaxAmount
from scoopjoy_dagster.erpnext.client import DIGEST_FIELD, KEY_FIELD, Client, Row
from scoopjoy_dagster.erpnext.errors import UnsupportedSite

UNCOUNTED_FIELD = "custom_scoopjoy_uncounted"

PAYMENT_FIELDS = ("mode_of_payment", "opening_amount", "expected_amount", "closing_amount", UNCOUNTED_FIELD)
"""What is read of a mode of payment of a POS Closing Entry."""

_GET_POS_INVOICES = "erpnext.accounts.doctype.pos_closing_entry.pos_closing_entry.get_pos_invoices"


class Dialect(Protocol):
    """One line of ERPNext."""

    line: str
    closing_rows_doctype: str
    """DocType of the rows that name the invoices of a POS Closing Entry."""

    def total(self, field: str, alias: str) -> str:
        """The sum of a field, as a list call wants it."""

    def count(self, alias: str) -> str:
        """The number of rows of a group, as a list call wants it."""

    def newest(self, field: str, alias: str) -> str:
        """The greatest value of a field, as a list call wants it."""

    def shift_invoices(self, client: Client, opening: Opening, until: datetime) -> list[ShiftInvoice]:
        """Submitted, unconsolidated POS Invoices of a shift up to `until` (site time)."""

    def closing_document(self, draft: ClosingDraft) -> Row:
        """The body of a POS Closing Entry."""

    def closing_invoices(self, document: Row) -> tuple[str, ...]:
        """Names of the invoices in the rows of a POS Closing Entry."""

    def closings_with_payments(
        self, client: Client, fields: Sequence[str], openings: Sequence[str], *, remember: bool
    ) -> list[Row]:
        """All POS Closing Entries of these openings: a row for each of their modes of payment.

        Beside `fields` of the entry each row has `invoices` and `returns` (how many it holds), and `payment_row` (None where
        the entry has no mode of payment), `mode_of_payment`, `opening_amount`, `expected_amount`, `closing_amount`
        and `custom_scoopjoy_uncounted` of the mode.
        """

    def pos_mode(self, client: Client) -> str:
        """`POS Invoice` or `Sales Invoice`: which documents a POS sale makes."""

    def remark(self, text: str) -> dict[str, Any]:
        """The fields of a Journal Entry that carry a remark."""

    def books_frozen_until(self, client: Client, company: str) -> date | None:
        """The last day on which nothing may be posted any more, or None."""


class V15:
    """ERPNext and Frappe version 15."""

    line = "v15"
    closing_rows_doctype = "POS Invoice Reference"

    def total(self, field: str, alias: str) -> str:
        """v15 takes aggregates as text; v16+ refuses text and takes only dicts."""
        return f"sum({field}) as {alias}"

    def count(self, alias: str) -> str:
        """`count(*)` is refused; the name is never null."""
        return f"count(name) as {alias}"

    def newest(self, field: str, alias: str) -> str:
        """As text, like the others."""
        return f"max({field}) as {alias}"

    def shift_invoices(self, client: Client, opening: Opening, until: datetime) -> list[ShiftInvoice]:
        """Full documents from the helper of the closing form: owner is the cashier, inside [start, until]."""
        rows: list[Row] = (
            client.call(
                _GET_POS_INVOICES,
                {
                    "start": _stamp(opening.period_start),
                    "end": _stamp(until),
                    "pos_profile": opening.pos_profile,
                    "user": opening.user,
                },
                doing=f"read the POS Invoices of {opening.label}",
            )
            or []
        )
        return sorted((_shift_invoice(row) for row in rows), key=lambda one: (one.posted_at, one.name))

    def closing_document(self, draft: ClosingDraft) -> Row:
        """Posting date and time become those of the consolidated Sales Invoice, so both are sent."""
        return {
            KEY_FIELD: draft.key,
            DIGEST_FIELD: draft.digest,
            UNCOUNTED_FIELD: int(draft.uncounted),
            "pos_opening_entry": draft.opening.name,
            "company": draft.opening.company,
            "period_end_date": _stamp(draft.period_end),
            "posting_date": draft.posting_date.isoformat(),
            "posting_time": draft.posting_time.isoformat(),
            "grand_total": draft.grand_total,
            "net_total": draft.net_total,
            "total_quantity": draft.quantity,
            "pos_transactions": [
                {
                    "pos_invoice": invoice.name,
                    "posting_date": invoice.posted_at.date().isoformat(),
                    "grand_total": invoice.grand_total,
                    "customer": invoice.customer,
                }
                for invoice in draft.invoices
            ],
            "payment_reconciliation": [
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
            ],
            "taxes": [
                {"account_head": tax.account_head, "rate": tax.rate, "amount": tax.amount}
                for tax in draft.taxes
            ],
        }

    def closing_invoices(self, document: Row) -> tuple[str, ...]:
        """The child table is `pos_transactions`."""
        return tuple(str(row["pos_invoice"]) for row in document.get("pos_transactions", []))

    def closings_with_payments(
        self, client: Client, fields: Sequence[str], openings: Sequence[str], *, remember: bool
    ) -> list[Row]:
        """One list call: v15 joins both child tables, and counts the one within each row of the other."""
        entry, payment, invoice = (
            f"`tab{doctype}`"
            for doctype in ("POS Closing Entry", "POS Closing Entry Detail", self.closing_rows_doctype)
        )
        return client.rows(
            "POS Closing Entry",
            [
                *fields,
                f"{payment}.name as payment_row",
                *(f"{payment}.{name}" for name in PAYMENT_FIELDS),
                # v15 refuses an aggregate over a child table of which no plain column is asked for.
                f"{invoice}.parenttype as held",
                f"count({invoice}.name) as invoices",
                f"sum({invoice}.is_return) as returns",
            ],
            [["pos_opening_entry", "in", list(openings)]],
            group_by=f"{entry}.name, {payment}.name",
            order_by=f"{entry}.name asc, {payment}.idx asc",
            remember=remember,
        )

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


def detect(client: Client) -> tuple[Dialect, str]:
    """The dialect of the site and its ERPNext version.

    Raises:
        UnsupportedSite: ERPNext is not installed there, or is of a line that this program does not know.
    """
    doing = "find the version of ERPNext"
    versions = client.call("frappe.utils.change_log.get_versions", doing=doing) or {}
    version = str((versions.get("erpnext") or {}).get("version") or "")
    major = re.match(r"\d+", version)
    if major is None:
        raise UnsupportedSite(
            doing, f"{client.session.url} has no ERPNext; set ERPNEXT_URL to a site with ERPNext v15"
        )
    if int(major.group()) != 15:
        raise UnsupportedSite(
            doing,
            f"{client.session.url} runs ERPNext {version}, and this program knows v15 only: "
            "elsewhere a closing could orphan a shift's invoices in silence",
        )
    return V15(), version


def _shift_invoice(row: Row) -> ShiftInvoice:
    return ShiftInvoice(
        name=str(row["name"]),
        customer=str(row["customer"]),
        posted_at=moment(row["posting_date"], row.get("posting_time")),
        grand_total=exact(row["grand_total"]),
        net_total=exact(row["net_total"]),
        quantity=exact(row["total_qty"]),
        is_return=bool(row.get("is_return")),
        payments=tuple(
            Payment(
                str(payment["mode_of_payment"]),
                exact(payment.get("amount")),
                str(payment.get("account") or ""),
            )
            for payment in row.get("payments") or []
        ),
        change_amount=exact(row.get("change_amount")),
        change_account=str(row.get("account_for_change_amount") or ""),
        taxes=tuple(
            TaxAmount(str(tax["account_head"]), exact(tax.get("rate")), exact(tax.get("tax_amount")))
            for tax in row.get("taxes") or []
        ),
    )


def moment(day: object, clock_time: object) -> datetime:
    """ERPNext's posting date and time, e.g. `2026-11-22` and `9:05:00` or `9:05:00.123456`, in site time."""
    hours, minutes, seconds = ([*str(clock_time or "0:0:0").split(":"), "0", "0"])[:3]
    return datetime.combine(date.fromisoformat(str(day)), datetime.min.time()).replace(
        hour=int(hours), minute=int(minutes), second=int(float(seconds))
    )


def _stamp(value: datetime) -> str:
    return value.strftime("%Y-%m-%d %H:%M:%S")
