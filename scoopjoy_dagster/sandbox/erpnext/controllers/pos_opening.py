"""POS Opening Entry: opens a shift; its status follows the closing that it points to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scoopjoy_dagster.sandbox.erpnext.controllers import totals
from scoopjoy_dagster.sandbox.erpnext.controllers.base import Controller
from scoopjoy_dagster.sandbox.erpnext.errors import thrown

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
    """Several may be open for one profile, user and day."""

    def validate(self, session: Session, doc: Doc) -> None:
        if doc.get("pos_profile") and doc["company"] != session.value(
            "POS Profile", doc["pos_profile"], "company"
        ):
            raise thrown(f"POS Profile {doc['pos_profile']} does not belongs to company {doc['company']}")
        if doc.get("user") and not session.value("User", doc["user"], "enabled"):
            raise thrown(f"User {doc['user']} is disabled. Please select valid user/cashier")
        for row in doc.rows("balance_details"):
            if row.get("mode_of_payment"):
                totals.payment_account(session, row["mode_of_payment"], doc["company"])
        doc["status"] = "Draft"

    def on_submit(self, session: Session, doc: Doc) -> None:
        session.set_fields(doc, {"status": status_of(doc)}, touch=False)

    def before_cancel(self, session: Session, doc: Doc) -> None:
        del session
        if doc.get("pos_closing_entry"):
            raise thrown("POS Opening Entry is closed. Cancel the POS Closing Entry first", "LinkExistsError")

    def on_cancel(self, session: Session, doc: Doc) -> None:
        session.set_fields(doc, {"status": "Cancelled"}, touch=False)


CONTROLLERS = {"POS Opening Entry": POSOpeningEntry()}
