"""POS Closing Entry: closes a shift and consolidates its invoices, at once or in the background.

Follows real servers in everything that hurts: it computes and checks no totals, closes a shift without its
invoices if asked to, and keeps the status ``Failed`` on a draft (captures 03-*).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scoopjoy_dagster.sandbox.erpnext import jobs
from scoopjoy_dagster.sandbox.erpnext.controllers import pos_opening
from scoopjoy_dagster.sandbox.erpnext.controllers.base import Controller
from scoopjoy_dagster.sandbox.erpnext.errors import SiteError, thrown, unknown_to_the_sandbox

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext.document import Doc
    from scoopjoy_dagster.sandbox.erpnext.session import Session

#: From so many rows on the work is done in the background.
IN_BACKGROUND = 10
JOB = "consolidate"


def job_key(name: str) -> str:
    """One job for each closing, however often it is asked for."""
    return f"pos_invoice_merge::{name}"


class POSClosingEntry(Controller):
    """Submission consolidates; ``retry`` tries again after a failure."""

    whitelisted = frozenset({"submit", "cancel", "save", "retry", "get_payment_reconciliation_details"})

    def validate(self, session: Session, doc: Doc) -> None:
        if session.value("POS Opening Entry", doc.get("pos_opening_entry"), "status") != "Open":
            raise thrown("Selected POS Opening Entry should be open.", title="Invalid Opening Entry")
        self._check_duplicates(doc)
        self._check_invoices(session, doc)

    @staticmethod
    def _check_duplicates(doc: Doc) -> None:
        places: dict[str, list[int]] = {}
        for row in doc.rows("pos_transactions"):
            places.setdefault(row.get("pos_invoice") or "", []).append(row["idx"])
        twice = [
            f"<strong>{name}</strong> is added multiple times on rows: <strong>{rows}</strong>"
            for name, rows in places.items()
            if len(rows) > 1
        ]
        if twice:
            raise thrown(twice, title="Duplicate POS Invoices found")

    @staticmethod
    def _check_invoices(session: Session, doc: Doc) -> None:
        wrong = []
        for row in doc.rows("pos_transactions"):
            if not session.exists("POS Invoice", row.get("pos_invoice")):
                raise SiteError("IndexError", "list index out of range")
            fields = ["consolidated_invoice", "pos_profile", "docstatus", "owner"]
            merged, profile, docstatus, owner = session.values("POS Invoice", row["pos_invoice"], fields)
            where = f"Row #{row['idx']}"
            if merged:
                wrong.append(f"{where}: POS Invoice is already consolidated")
                continue
            if profile != doc.get("pos_profile"):
                wrong.append(f"{where}: POS Profile doesn't match <strong>{doc.get('pos_profile')}</strong>")
            if docstatus != 1:
                wrong.append(f"{where}: POS Invoice is not submitted")
            if owner != doc.get("user"):
                wrong.append(f"{where}: POS Invoice isn't created by user <strong>{doc['owner']}</strong>")
        if wrong:
            raise thrown(wrong, title="Invalid POS Invoices")

    def on_submit(self, session: Session, doc: Doc) -> None:
        consolidate(session, doc)

    def on_cancel(self, session: Session, doc: Doc) -> None:
        logs = session.site.db.rows(
            'SELECT name FROM "tabPOS Invoice Merge Log" WHERE pos_closing_entry = ? AND docstatus = 1',
            (doc.name,),
        )
        if len(logs) >= IN_BACKGROUND:
            raise unknown_to_the_sandbox(f"cancelling a closing with {IN_BACKGROUND} merge logs or more")
        before, session.ignore_permissions = session.ignore_permissions, True
        try:
            for (name,) in logs:
                session.cancel(session.load("POS Invoice Merge Log", name))
        finally:
            session.ignore_permissions = before
        session.set_fields(doc, {"status": "Cancelled", "error_message": ""})
        _update_opening(session, doc, None)

    def call(self, session: Session, doc: Doc, method: str, args: dict[str, Any]) -> Any:
        if method == "retry":
            return consolidate(session, doc)
        if method == "get_payment_reconciliation_details":
            # Renders a table and fills nothing in.
            return '<div class="closing-voucher-details"></div>'
        return super().call(session, doc, method, args)


def _update_opening(session: Session, doc: Doc, closing: str | None) -> None:
    opening = session.load("POS Opening Entry", doc["pos_opening_entry"])
    opening["pos_closing_entry"] = closing
    opening["status"] = pos_opening.status_of(opening)
    session.save(opening)


def consolidate(session: Session, doc: Doc) -> None:
    """Consolidate the invoices of a closing: fewer than ten rows now, otherwise in the background."""
    if len(doc.rows("pos_transactions")) < IN_BACKGROUND:
        merge(session, doc)
        return
    session.set_fields(doc, {"status": "Queued"})
    if jobs.enqueue(session, JOB, job_key(doc.name), {"closing": doc.name}):
        session.say("POS Invoices will be consolidated in a background process", alert=1)


def merge(session: Session, doc: Doc) -> None:
    """Make the merge logs. A failure undoes everything and is recorded in the closing, which is committed."""
    site = session.site
    try:
        _make_logs(session, doc)
        session.set_fields(doc, {"status": "Submitted", "error_message": ""})
        _update_opening(session, doc, doc.name)
    except SiteError as error:
        site.restart_transaction(keep=False)
        session.saving.discard((doc.doctype, doc.name))
        session.set_fields(doc, {"status": "Failed", "error_message": error.text})
        site.restart_transaction(keep=True)
        # The message is taken out of the log for error_message, so the answer carries none.
        error.server_messages = []
        raise


def _make_logs(session: Session, doc: Doc) -> None:
    by_customer: dict[str, list[Doc]] = {}
    for row in doc.rows("pos_transactions"):
        by_customer.setdefault(row["customer"], []).append(row)
    moved: dict[int, Doc] = {}
    for customer, rows in by_customer.items():
        keys = ("pos_invoice", "posting_date", "customer", "grand_total", "is_return", "return_against")
        log = session.new(
            "POS Invoice Merge Log",
            {
                "posting_date": doc["posting_date"],
                "posting_time": doc["posting_time"],
                "customer": customer,
                "pos_closing_entry": doc.name,
                "pos_invoices": [{key: row.get(key) for key in keys} for row in rows],
            },
        )
        before, session.ignore_permissions = session.ignore_permissions, True
        try:
            session.insert(log)
        finally:
            session.ignore_permissions = before
        session.submit(log)
        moved |= {row["idx"]: made for row, made in zip(rows, log.rows("pos_invoices"), strict=True)}
    # The answer to a submission shows the rows of the merge logs in place of the closing's own (03-44).
    for row in doc.rows("pos_transactions"):
        if row["idx"] in moved:
            row.update(moved[row["idx"]] | {"idx": row["idx"]})


def run_job(session: Session, payload: dict[str, Any]) -> None:
    """The background half: the closing as it was when queued, whatever has happened to it since."""
    doc = session.load("POS Closing Entry", payload["closing"])
    merge(session, doc)


CONTROLLERS = {"POS Closing Entry": POSClosingEntry()}
