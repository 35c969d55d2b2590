"""Workflows: the state that a document of a DocType with an active one gets, and what the form shows of it.

Belongs here: ``Workflow`` as ``frappe.model.workflow.validate_workflow`` sees it for documents that are inserted or saved over
REST. Does not belong here: transitions, which are actions of the desk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scoopjoy_dagster.sandbox.erpnext.controllers.base import Controller
from scoopjoy_dagster.sandbox.erpnext.database import table

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext.document import Doc
    from scoopjoy_dagster.sandbox.erpnext.session import Session


def active(session: Session, doctype: str) -> Doc | None:
    """The active Workflow of a DocType."""
    found = session.site.db.one(
        f"SELECT name FROM {table('Workflow')} WHERE document_type = ? AND is_active = 1", (doctype,)
    )
    return session.load("Workflow", str(found[0])) if found else None


def set_state(session: Session, doc: Doc) -> None:
    """A document without a state gets the first of its ``docstatus``: one that is inserted as submitted looks approved."""
    if not doc.meta.is_submittable:
        return
    flow = active(session, doc.doctype)
    if flow is None or doc.get(str(flow["workflow_state_field"])):
        return
    states = flow.rows("states")
    fitting = [row for row in states if str(row["doc_status"]) == str(doc.docstatus)] or states
    doc[str(flow["workflow_state_field"])] = fitting[0]["state"]


class Workflow(Controller):
    """Makes the field of the state, hidden and no part of a form."""

    def on_update(self, session: Session, doc: Doc) -> None:
        field = str(doc["workflow_state_field"])
        if field not in session.site.meta(doc["document_type"]).by_name:
            values = {
                "dt": doc["document_type"],
                "fieldname": field,
                "label": "Workflow State",
                "fieldtype": "Link",
            }
            session.insert_unasked("Custom Field", values | {"options": "Workflow State"})


CONTROLLERS: dict[str, Controller] = {"Workflow": Workflow()}
