"""POS Closing Entry: closes a shift and consolidates its invoices, at once or in the background.

Follows real servers in everything that hurts: it computes and checks no totals, closes a shift without its
invoices if asked to, and keeps the status ``Failed`` on a draft (captures 03-*).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scoopjoy_dagster.sandbox.erpnext import jobs, takings
from scoopjoy_dagster.sandbox.erpnext.controllers import pos_opening, tills
from scoopjoy_dagster.sandbox.erpnext.controllers.base import Controller
from scoopjoy_dagster.sandbox.erpnext.errors import SiteError, thrown, unknown_to_the_sandbox
from scoopjoy_dagster.sandbox.erpnext.validation import linked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scoopjoy_dagster.sandbox.erpnext.document import Doc
    from scoopjoy_dagster.sandbox.erpnext.session import Session

#: From so many rows on the work is done in the background.
IN_BACKGROUND = 10
JOB = "consolidate"
UNDO = "unconsolidate"


def job_key(name: str) -> str:
    """One job for each closing, however often it is asked for."""
    return f"pos_invoice_merge::{name}"


def pos_rows(session: Session, doc: Doc) -> list[Doc]:
    """The rows of a closing with POS Invoices."""
    return doc.rows(session.site.line.closing_rows)


class POSClosingEntry(Controller):
    """Submission consolidates; ``retry`` tries again after a failure."""

    whitelisted = frozenset({"submit", "cancel", "save", "retry", "get_payment_reconciliation_details"})

    def validate(self, session: Session, doc: Doc) -> None:
        if session.site.line.closing_dated_now:
            now = session.site.now()
            doc |= {"posting_date": now.date().isoformat(), "posting_time": str(now.time())}
        if session.value("POS Opening Entry", doc.get("pos_opening_entry"), "status") != "Open":
            raise thrown("Selected POS Opening Entry should be open.", title="Invalid Opening Entry")
        if takings.invoice_type(session) == takings.SALES_INVOICE and pos_rows(session, doc):
            raise thrown("POS Invoices can't be added when Sales Invoice is enabled")
        _check_duplicates(pos_rows(session, doc), "pos_invoice", "POS Invoices")
        self._check_pos_invoices(session, doc)
        _check_duplicates(doc.rows("sales_invoices"), "sales_invoice", "Sales Invoices")
        self._check_sales_invoices(session, doc)

    @staticmethod
    def _check_pos_invoices(session: Session, doc: Doc) -> None:
        wrong = []
        for row in pos_rows(session, doc):
            if not session.exists("POS Invoice", row.get("pos_invoice")):
                raise SiteError("IndexError", "list index out of range")
            fields = ["consolidated_invoice", "pos_profile", "docstatus", "owner"]
            merged, profile, docstatus, owner = session.values("POS Invoice", row["pos_invoice"], fields)
            where = f"Row #{row['idx']}"
            if merged:
                wrong.append(f"{where}: POS Invoice is already consolidated")
                continue
            wrong += [
                f"{where}: {text}" for text in _of_another(doc, "POS Invoice", profile, docstatus, owner)
            ]
        if wrong:
            raise thrown(wrong, title="Invalid POS Invoices")

    @staticmethod
    def _check_sales_invoices(session: Session, doc: Doc) -> None:
        wrong = []
        for row in doc.rows("sales_invoices"):
            fields = [
                "pos_closing_entry",
                "is_pos",
                "is_created_using_pos",
                "pos_profile",
                "docstatus",
                "owner",
            ]
            closing, is_pos, at_till, *of = session.values("Sales Invoice", row["sales_invoice"], fields)
            where = f"Row #{row['idx']}"
            if closing:
                wrong.append(f"{where}: Sales Invoice is already consolidated")
                continue
            if not is_pos:
                wrong.append(f"{where}: Sales Invoice does not have Payments")
            if not at_till:
                wrong.append(f"{where}: Sales Invoice is not created using POS")
            wrong += [f"{where}: {text}" for text in _of_another(doc, "Sales Invoice", *of)]
        if wrong:
            raise thrown(wrong, title="Invalid Sales Invoices")

    def on_submit(self, session: Session, doc: Doc) -> None:
        consolidate(session, doc)
        _stamp_sales_invoices(session, doc, doc.name)

    def before_cancel(self, session: Session, doc: Doc) -> None:
        open_again = tills.open_shifts(session, pos_profile=doc.get("pos_profile"))
        if session.site.line.shifts_end_by_closing and open_again:
            raise thrown(
                f"POS Profile - <strong>{doc.get('pos_profile')}</strong> is currently open. Please close the POS or"
                " cancel the existing POS Opening Entry before cancelling this POS Closing Entry.",
                title="Cannot cancel POS Closing Entry",
            )

    def on_cancel(self, session: Session, doc: Doc) -> None:
        if session.site.line.shifts_end_by_closing and len(pos_rows(session, doc)) >= IN_BACKGROUND:
            _cancel_in_background(session, doc)
        if len(_logs(session, doc.name)) >= IN_BACKGROUND:
            raise unknown_to_the_sandbox(f"cancelling a closing with {IN_BACKGROUND} merge logs or more")
        _cancel_logs(session, doc.name)
        session.set_fields(doc, {"status": "Cancelled", "error_message": ""})
        _update_opening(session, doc, None)
        _stamp_sales_invoices(session, doc, None)

    def call(self, session: Session, doc: Doc, method: str, args: dict[str, Any]) -> Any:
        if method == "retry":
            return consolidate(session, doc)
        if method == "get_payment_reconciliation_details":
            # Renders a table and fills nothing in.
            return '<div class="closing-voucher-details"></div>'
        return super().call(session, doc, method, args)


def _check_duplicates(rows: list[Doc], field: str, what: str) -> None:
    places: dict[str, list[int]] = {}
    for row in rows:
        places.setdefault(row.get(field) or "", []).append(row["idx"])
    twice = [
        f"<strong>{name}</strong> is added multiple times on rows: <strong>{idxs}</strong>"
        for name, idxs in places.items()
        if len(idxs) > 1
    ]
    if twice:
        raise thrown(twice, title=f"Duplicate {what} found")


def _of_another(doc: Doc, what: str, profile: Any, docstatus: Any, owner: Any) -> Iterable[str]:
    """Why an invoice is none of the shift's."""
    if profile != doc.get("pos_profile"):
        yield f"POS Profile doesn't match <strong>{doc.get('pos_profile')}</strong>"
    if docstatus != 1:
        yield f"{what} is not submitted"
    if owner != doc.get("user"):
        yield f"{what} isn't created by user <strong>{doc['owner']}</strong>"


def _update_opening(session: Session, doc: Doc, closing: str | None) -> None:
    opening = session.load("POS Opening Entry", doc["pos_opening_entry"])
    opening["pos_closing_entry"] = closing
    opening["status"] = pos_opening.status_of(opening)
    session.save(opening)


def _stamp_sales_invoices(session: Session, doc: Doc, closing: str | None) -> None:
    """Sales Invoices of a till are booked already; a closing only puts its name on them."""
    for row in doc.rows("sales_invoices"):
        session.set_fields(
            session.load("Sales Invoice", row["sales_invoice"]), {"pos_closing_entry": closing}
        )


def consolidate(session: Session, doc: Doc) -> None:
    """Consolidate the invoices of a closing: fewer than ten rows now, otherwise in the background."""
    if len(pos_rows(session, doc)) < IN_BACKGROUND:
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
        if site.line.masks_failures and doc.is_new:
            # The note about the failure wants to hang on a closing that is gone with the rest.
            text = f"Could not find Reference Name: {doc.name}"
            raise thrown(text, "LinkValidationError") from error
        session.set_fields(doc, {"status": "Failed", "error_message": error.text})
        site.restart_transaction(keep=True)
        # The message is taken out of the log for error_message, so the answer carries none.
        error.server_messages = []
        raise


def _make_logs(session: Session, doc: Doc) -> None:
    by_customer: dict[str, list[Doc]] = {}
    for row in pos_rows(session, doc):
        by_customer.setdefault(row["customer"], []).append(row)
    moved: dict[int, Doc] = {}
    for customer, rows in by_customer.items():
        keys = ("pos_invoice", "posting_date", "customer", "grand_total", "is_return", "return_against")
        log = session.new(
            "POS Invoice Merge Log",
            {
                "posting_date": doc["posting_date"],
                "posting_time": doc["posting_time"],
                "company": doc["company"],
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
    for row in pos_rows(session, doc):
        if row["idx"] in moved:
            row.update(moved[row["idx"]] | {"idx": row["idx"]})


def run_job(session: Session, payload: dict[str, Any]) -> None:
    """The background half: the closing as it was when queued, whatever has happened to it since."""
    doc = session.load("POS Closing Entry", payload["closing"])
    merge(session, doc)


# -- cancellation -----------------------------------------------------------------------------------


def _logs(session: Session, closing: str) -> list[str]:
    rows = session.site.db.rows(
        'SELECT name FROM "tabPOS Invoice Merge Log" WHERE pos_closing_entry = ? AND docstatus = 1',
        (closing,),
    )
    return [str(name) for (name,) in rows]


def _cancel_logs(session: Session, closing: str) -> None:
    before, session.ignore_permissions = session.ignore_permissions, True
    try:
        for name in _logs(session, closing):
            session.cancel(session.load("POS Invoice Merge Log", name))
    finally:
        session.ignore_permissions = before


def _cancel_in_background(session: Session, doc: Doc) -> None:
    """Many rows: the work is queued, and then the request is refused because it is not done yet. The work goes on all the same.

    So the closing stays submitted, its shift is open again, and its invoices are what they were before it.
    """
    site, logs = session.site, _logs(session, doc.name)
    site.restart_transaction(keep=False)
    jobs.enqueue(session, UNDO, job_key(doc.name), {"closing": doc.name})
    session.say("POS Invoices will be unconsolidated in a background process", alert=1)
    site.restart_transaction(keep=True)
    raise linked(doc, "POS Invoice Merge Log", logs[0] if logs else "")


def undo_job(session: Session, payload: dict[str, Any]) -> None:
    """The background half of a cancellation."""
    doc = session.load("POS Closing Entry", payload["closing"])
    _cancel_logs(session, doc.name)
    _update_opening(session, doc, None)


CONTROLLERS = {"POS Closing Entry": POSClosingEntry()}
