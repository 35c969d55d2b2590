"""POS Opening Entry: opens a shift; its status follows the closing that it points to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scoopjoy_dagster.sandbox.erpnext import takings
from scoopjoy_dagster.sandbox.erpnext.controllers import tills, totals
from scoopjoy_dagster.sandbox.erpnext.controllers.base import Controller
from scoopjoy_dagster.sandbox.erpnext.errors import thrown
from scoopjoy_dagster.sandbox.erpnext.values import as_datetime

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext.document import Doc
    from scoopjoy_dagster.sandbox.erpnext.session import Session


def status_of(doc: Doc) -> str:
    """Status of an opening by what it says."""
    if doc.docstatus == 2:
        return "Cancelled"
    if doc.docstatus == 0:
        return "Draft"
    return "Closed" if doc.get("pos_closing_entry") else "Open"


class POSOpeningEntry(Controller):
    """On v15 several may be open for one profile, user and day."""

    def validate(self, session: Session, doc: Doc) -> None:
        if doc.get("pos_profile") and doc["company"] != session.value(
            "POS Profile", doc["pos_profile"], "company"
        ):
            raise thrown(f"POS Profile {doc['pos_profile']} does not belongs to company {doc['company']}")
        if doc.get("user") and not session.value("User", doc["user"], "enabled"):
            raise thrown(f"User {doc['user']} is disabled. Please select valid user/cashier")
        if session.site.line.one_open_shift:
            self._check_alone(session, doc)
        for row in doc.rows("balance_details"):
            if row.get("mode_of_payment"):
                totals.payment_account(session, row["mode_of_payment"], doc["company"])
        doc["status"] = "Draft"

    @staticmethod
    def _check_alone(session: Session, doc: Doc) -> None:
        """No other shift is open at the till, nor with the cashier."""
        if tills.open_shifts(session, pos_profile=doc.get("pos_profile")):
            raise thrown(
                f"<strong>{doc.get('pos_profile')}</strong> is open. Close the POS or cancel the existing POS Opening"
                " Entry to create a new POS Opening Entry.",
                title="POS Opening Entry Exists",
            )
        if tills.open_shifts(session, user=doc.get("user")):
            raise thrown("Cashier is currently assigned to another POS.", title="Cannot Assign Cashier")

    def on_submit(self, session: Session, doc: Doc) -> None:
        session.set_fields(doc, {"status": status_of(doc)}, touch=False)

    def before_cancel(self, session: Session, doc: Doc) -> None:
        if session.site.line.shifts_end_by_closing:
            start, end = as_datetime(doc["period_start_date"]), session.site.now()
            if takings.of_shift(session, doc["user"], doc["pos_profile"], start, end):
                raise thrown(
                    "POS Opening Entry cannot be cancelled as unconsolidated Invoices exists.",
                    title="POS Opening Entry Cancellation Error",
                )
        if doc.get("pos_closing_entry"):
            raise thrown("POS Opening Entry is closed. Cancel the POS Closing Entry first", "LinkExistsError")

    def on_cancel(self, session: Session, doc: Doc) -> None:
        session.set_fields(doc, {"status": "Cancelled"}, touch=False)


CONTROLLERS = {"POS Opening Entry": POSOpeningEntry()}
