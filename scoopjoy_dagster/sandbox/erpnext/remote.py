"""Documents as clients send them: as dicts, as single rows of a table, with the name of a method.

Belongs here: the step from a request's values to a document. Does not belong here: the functions of
``/api/method`` (``methods``).
"""

from __future__ import annotations

from typing import Any

from scoopjoy_dagster.sandbox.erpnext import files
from scoopjoy_dagster.sandbox.erpnext.controllers import controller
from scoopjoy_dagster.sandbox.erpnext.document import Doc
from scoopjoy_dagster.sandbox.erpnext.errors import SiteError, thrown
from scoopjoy_dagster.sandbox.erpnext.meta import CHILD, STANDARD
from scoopjoy_dagster.sandbox.erpnext.session import Session
from scoopjoy_dagster.sandbox.erpnext.wire import loads


class Docs:
    """Answer with documents under ``docs``, as of ``run_doc_method``; the result under ``message``."""

    def __init__(self, docs: Doc | list[dict[str, Any]], message: Any) -> None:
        self.docs = [docs.shown(nulls=False)] if isinstance(docs, Doc) else docs
        self.message = message


def not_whitelisted(session: Session, name: str) -> SiteError:
    """403 of a function that exists and may not be called."""
    login = " Login to access" if session.site.line.new_words else ""
    return thrown(
        f"<details><summary>You are not permitted to access this resource.{login}</summary>Function"
        f" <strong>{name}</strong> is not whitelisted.</details>",
        "PermissionError",
        title="Method Not Allowed",
    )


def document_of(session: Session, value: Any) -> Doc:
    """A document from a dict that the client holds: stored if it has a name that exists."""
    data = loads(value) if isinstance(value, str) else value
    if not isinstance(data, dict) or not data.get("doctype"):
        raise SiteError("TypeError", "doc must be a dict with a doctype")
    doctype, name = str(data["doctype"]), data.get("name")
    if not name or data.get("__islocal") or not session.exists(doctype, name):
        return session.new(doctype, data)
    kept = session.load(doctype, str(name))
    doc = Doc(kept.meta, {key: kept[key] for key in STANDARD}, is_new=False)
    doc.site = kept.site
    doc |= {field.fieldname: kept.rows(field.fieldname) for field in kept.meta.tables}
    doc["docstatus"] = kept.docstatus
    session.amend(doc, data)
    doc |= {f.fieldname: [] for f in kept.meta.tables if f.fieldname not in data}
    return doc


def insert_document(session: Session, value: Any) -> Doc:
    """``frappe.client.insert``; a row of a table is appended to its parent."""
    data = loads(value) if isinstance(value, str) else value
    doctype = str(data.get("doctype") or "")
    if session.site.meta(doctype).istable:
        return insert_row(session, doctype, data)
    if doctype == "File" and data.get("content"):
        return files.insert(session, data)
    return session.insert(session.new(doctype, data))


def insert_row(session: Session, doctype: str, data: dict[str, Any]) -> Doc:
    """A row posted by itself: stored under its parent, its ``idx`` left at 0 (07-14)."""
    if not all(data.get(key) for key in CHILD):
        raise thrown("Parent, Parent Type and Parent Field are required to insert a child record")
    session.require(str(data["parenttype"]), "write", str(data["parent"]))
    parent = session.load(str(data["parenttype"]), str(data["parent"]))
    if data["parentfield"] not in {field.fieldname for field in parent.meta.tables}:
        raise SiteError("PermissionError")
    session.ignore_permissions, before = True, session.ignore_permissions
    try:
        row = session.new(doctype, data | {"docstatus": parent.docstatus})
        return session.insert(row)
    finally:
        session.ignore_permissions = before


def update_row(session: Session, doctype: str, name: str, values: dict[str, Any]) -> tuple[Doc, Doc]:
    """Change a row through its parent; returns row and parent."""
    found = session.values(doctype, name, ["parenttype", "parent"])
    if found[0] is None:
        raise SiteError("DoesNotExistError")
    parent = session.load(str(found[0]), str(found[1]))
    row = next(part for part in parent.all_rows() if part.doctype == doctype and part.name == name)
    row.amend(values, {})
    session.save(parent)
    return row, parent


def run_method(session: Session, doc: Doc, method: str, args: dict[str, Any]) -> Any:
    """Run a whitelisted method of a document."""
    hooks = controller(doc.doctype)
    if method not in hooks.whitelisted:
        raise not_whitelisted(session, method)
    return hooks.call(session, doc, method, args)
