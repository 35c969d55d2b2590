"""Rules of later lines for what is sold at a till: by which kind of invoice, in which shift, how it is paid.

Belongs here: the checks that POS Invoice, Sales Invoice and the entries of a shift share. Does not belong here: closings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scoopjoy_dagster.sandbox.erpnext import takings
from scoopjoy_dagster.sandbox.erpnext.controllers import totals
from scoopjoy_dagster.sandbox.erpnext.controllers.base import Controller
from scoopjoy_dagster.sandbox.erpnext.database import column
from scoopjoy_dagster.sandbox.erpnext.errors import SiteError, thrown, unknown_to_the_sandbox
from scoopjoy_dagster.sandbox.erpnext.values import as_date, number

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext.document import Doc
    from scoopjoy_dagster.sandbox.erpnext.session import Session


def open_shifts(session: Session, **where: Any) -> list[tuple[str, Any]]:
    """Name and start of the open shifts with such a till or cashier, the latest first."""
    tests = "".join(f" AND {column(name)} = ?" for name in where)
    rows = session.site.db.rows(
        f"SELECT name, period_start_date FROM \"tabPOS Opening Entry\" WHERE status = 'Open'{tests}"
        " ORDER BY period_start_date DESC",
        where.values(),
    )
    return [(str(name), start) for name, start in rows]


def check_pos_invoice(session: Session, doc: Doc) -> None:
    """A POS Invoice is in a shift of today, and the till sells with POS Invoices."""
    _check_shift(session, doc)
    if takings.invoice_type(session) != takings.SALES_INVOICE:
        return
    if doc.get("is_return"):
        raise unknown_to_the_sandbox("returns of POS Invoices where tills make Sales Invoices")
    raise thrown("Sales Invoice mode is activated in POS. Please create Sales Invoice instead.")


def check_sales_invoice(session: Session, doc: Doc) -> None:
    """A Sales Invoice of a till, likewise."""
    if not doc.get("pos_profile"):
        raise thrown("POS Profile is mandatory to mark this invoice as POS Transaction.")
    if takings.invoice_type(session) == takings.POS_INVOICE and not doc.get("is_return"):
        raise thrown("Transactions using Sales Invoice in POS are disabled.")
    _check_shift(session, doc)
    check_full_payment(session, doc)


def _check_shift(session: Session, doc: Doc) -> None:
    """Exactly one open shift of the profile, opened on the site's day; the day of the invoice does not matter."""
    if not session.site.line.tills_sell_today:
        return
    profile = doc.get("pos_profile")
    shifts = open_shifts(session, pos_profile=profile)
    if not shifts:
        raise thrown(
            f"No open POS Opening Entry found for POS Profile <strong>{profile}</strong>.",
            title="POS Opening Entry Missing",
        )
    if len(shifts) > 1:
        raise thrown(
            f"POS Profile - {profile} has multiple open POS Opening Entries. Please close or cancel the existing"
            " entries before proceeding.",
            title="Multiple POS Opening Entry",
        )
    name, start = shifts[0]
    if as_date(start) != session.site.clock().date():
        raise thrown(
            f"POS Opening Entry - {name} is outdated. Please close the POS and create a new POS Opening Entry.",
            title="Outdated POS Opening Entry",
        )


def check_full_payment(session: Session, doc: Doc) -> None:
    """What is submitted is paid in full. One that is inserted as submitted has no paid amount yet, and breaks."""
    if not session.site.line.full_payment_only or doc.docstatus != 1 or doc.get("is_return"):
        return
    if session.value("POS Profile", doc.get("pos_profile"), "allow_partial_payment"):
        return
    if doc.is_new and doc.doctype == takings.POS_INVOICE and "paid_amount" not in doc.sent:
        raise SiteError("TypeError", "'<' not supported between instances of 'NoneType' and 'float'")
    if number(doc.get("paid_amount")) < totals.payable(doc):
        raise thrown("Partial Payment in POS Transactions are not allowed.", "PartialPaymentValidationError")


def check_paid_drafts(session: Session, doc: Doc) -> None:
    """The accounts of payments are found for drafts only, so a Sales Invoice must be one before it is submitted."""
    if not session.site.line.pays_drafts_only or doc.docstatus != 1 or not doc.is_new:
        return
    if any(number(row.get("amount")) and not row.get("account") for row in doc.rows("payments")):
        raise thrown("Account is required")


def check_not_closed(session: Session, doc: Doc) -> None:
    """A Sales Invoice that a closing has taken, or made, is cancelled with it."""
    if not session.site.line.shifts_end_by_closing:
        return
    closing = doc.get("pos_closing_entry")
    if doc.get("is_created_using_pos") and closing:
        if session.value("POS Closing Entry", closing, "docstatus") == 1:
            raise thrown(
                f"To cancel this Sales Invoice you need to cancel the POS Closing Entry {_link(closing)}.",
                title="Not Allowed",
            )
        return
    if doc.get("is_consolidated"):
        found = session.site.db.one(
            'SELECT pos_closing_entry FROM "tabPOS Invoice Merge Log" WHERE docstatus = 1'
            " AND (consolidated_invoice = ? OR consolidated_credit_note = ?)",
            (doc.name, doc.name),
        )
        if found and found[0]:
            raise thrown(
                "To cancel a <strong>Consolidated Sales Invoice</strong> you need to cancel the POS Closing Entry"
                f" {_link(str(found[0]))}.",
                title="Not Allowed",
            )


def _link(closing: str) -> str:
    return f'<a href="/desk/pos-closing-entry/{closing}">{closing}</a>'


class POSSettings(Controller):
    """Which invoice tills make: not changed while one of them is open."""

    def validate(self, session: Session, doc: Doc) -> None:
        if doc.before is None or not session.site.line.invoice_modes:
            return
        if doc.get("invoice_type") != doc.before.get("invoice_type") and open_shifts(session):
            raise thrown(
                "<strong>Invoice Type</strong> cannot be changed with opened Opening Entries.",
                title="Invoice Document Type Selection Error",
            )


CONTROLLERS: dict[str, Controller] = {"POS Settings": POSSettings()}
