"""POS Invoice: paid at the counter, booked only when a closing consolidates it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from scoopjoy_dagster.sandbox.erpnext.controllers import tills, totals
from scoopjoy_dagster.sandbox.erpnext.controllers.sales_invoice import Invoice
from scoopjoy_dagster.sandbox.erpnext.errors import SiteError, thrown
from scoopjoy_dagster.sandbox.erpnext.values import number

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext.document import Doc
    from scoopjoy_dagster.sandbox.erpnext.session import Session


def status_of(doc: Doc) -> str:
    """Status of a submitted POS Invoice."""
    if doc.get("consolidated_invoice"):
        return "Consolidated"
    if doc.get("is_return"):
        return "Return"
    unpaid = number(doc.get("outstanding_amount"))
    if unpaid > 0:
        return "Partly Paid" if unpaid < totals.payable(doc) else "Unpaid"
    return "Paid"


class POSInvoice(Invoice):
    """Makes no ledger rows of its own."""

    def validate(self, session: Session, doc: Doc) -> None:
        if not doc.get("is_pos"):
            raise thrown("POS Invoice should have the field <strong>Include Payment</strong> checked.")
        if not doc.get("customer") and doc.get("pos_profile"):
            doc["customer"] = session.value("POS Profile", doc["pos_profile"], "customer")
        self._follow_profile(session, doc)
        super().validate(session, doc)
        tills.check_pos_invoice(session, doc)
        if not doc.rows("payments"):
            raise thrown("At least one mode of payment is required for POS invoice.")
        if doc.is_new and doc.get("is_return") and "paid_amount" not in doc.sent:
            raise SiteError("TypeError", "'>' not supported between instances of 'NoneType' and 'float'")
        self._check_payments(doc)
        totals.fill_change(doc)
        totals.fill_payments(session, doc)
        doc["status"] = "Draft"
        # On v15 not even an underpaid one keeps an outstanding amount (10-08).
        doc["outstanding_amount"] = 0.0
        tills.check_full_payment(session, doc)

    @staticmethod
    def _follow_profile(session: Session, doc: Doc) -> None:
        account, warehouse = session.values(
            "POS Profile", doc.get("pos_profile"), ["account_for_change_amount", "warehouse"]
        )
        doc["account_for_change_amount"] = account or doc.get("account_for_change_amount")
        doc["set_warehouse"] = warehouse or doc.get("set_warehouse")

    @staticmethod
    def _check_payments(doc: Doc) -> None:
        for row in doc.rows("payments"):
            amount = number(row.get("amount"))
            if not doc.get("is_return") and amount < 0:
                raise thrown(f"Row #{row['idx']} (Payment Table): Amount must be positive")
            if doc.get("is_return") and amount > 0:
                raise thrown(f"Row #{row['idx']} (Payment Table): Amount must be negative")

    def before_submit(self, session: Session, doc: Doc) -> None:
        super().before_submit(session, doc)
        if session.site.line.full_payment_only:
            rest = totals.payable(doc) - number(doc.get("paid_amount"))
            doc["outstanding_amount"] = float(max(rest, Decimal(0)))

    def on_submit(self, session: Session, doc: Doc) -> None:
        session.set_fields(doc, {"status": status_of(doc)}, touch=False)

    def before_cancel(self, session: Session, doc: Doc) -> None:
        if doc.get("consolidated_invoice"):
            closing = session.site.db.one(
                'SELECT parent FROM "tabPOS Invoice Reference" WHERE pos_invoice = ? AND docstatus = 1'
                " AND parenttype = 'POS Closing Entry'",
                (doc.name,),
            )
            raise thrown(
                f"You need to cancel POS Closing Entry {closing[0] if closing else ''} to be able to cancel this"
                " document.",
                title="Not Allowed",
            )

    def on_cancel(self, session: Session, doc: Doc) -> None:
        session.set_fields(doc, {"status": "Cancelled"}, touch=False)


CONTROLLERS = {"POS Invoice": POSInvoice()}
