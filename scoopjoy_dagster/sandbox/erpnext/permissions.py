"""Who may do what: rights by role.

Belongs here: the answer yes or no, and the 403 that says so; fields of higher permission levels. Does not belong
here: authentication.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scoopjoy_dagster.sandbox.erpnext.errors import SiteError

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext.document import Doc
    from scoopjoy_dagster.sandbox.erpnext.meta import Field
    from scoopjoy_dagster.sandbox.erpnext.session import Session


def may(session: Session, doctype: str, right: str) -> bool:
    """Whether the session's user has a right on a DocType. Rows inherit from nothing here: ask the parent."""
    if session.user == "Administrator":
        return True
    granted = session.site.meta(doctype).permissions
    return any(right in granted.get(role, ()) for role in session.roles)


def require(session: Session, doctype: str, right: str, name: str = "") -> None:
    """Raise the 403 of a document operation unless the user has the right."""
    if may(session, doctype, right):
        return
    lines = []
    if not may(session, doctype, "read"):
        lines.append(
            f"User <strong>{session.user}</strong> does not have doctype access via role permission for"
            f" document <strong>{doctype}</strong>"
        )
    lines.append(f"User <strong>{session.user}</strong> does not have access to this document")
    where = f"{doctype} {name}".strip()
    raise SiteError(
        "PermissionError",
        server_messages=[{"message": "<br>".join(lines), "title": "Message"}],
        error_message=f"Insufficient Permission for {where} (<strong>{right}</strong>)",
    )


def may_field(session: Session, doctype: str, field: Field, right: str) -> bool:
    """Whether the user may read or write a field of a document of ``doctype``, or of a row of one of its tables."""
    if not field.permlevel or session.user == "Administrator":
        return True
    granted = session.site.meta(doctype).level_permissions.get(field.permlevel, {})
    return any(right in granted.get(role, ()) for role in session.roles)


def hide_guarded(session: Session, doc: Doc) -> Doc:
    """Take the fields out of a loaded document that the user may not read."""
    for part in (doc, *doc.all_rows()):
        for field in part.meta.guarded:
            if not may_field(session, doc.doctype, field, "read"):
                part.pop(field.fieldname, None)
    return doc


def reset_guarded(session: Session, doc: Doc) -> None:
    """Undo, without a word, what the user may not write: back to the stored value, or to none in a new document.

    Rows of a new document are left alone, and so are new rows (frappe/model/document.py,
    ``validate_higher_perm_levels``).
    """
    if session.ignore_permissions:
        return
    before = {} if doc.before is None else {part.name: part for part in (doc.before, *doc.before.all_rows())}
    for part in (doc, *([] if doc.is_new else doc.all_rows())):
        kept = before.get(part.name)
        for field in part.meta.guarded:
            if (part is doc or kept is not None) and not may_field(session, doc.doctype, field, "write"):
                part[field.fieldname] = None if kept is None else kept.get(field.fieldname)


def require_list(session: Session, doctype: str) -> None:
    """Raise the 403 of a list unless the user may read (or at least select) the DocType."""
    if may(session, doctype, "read") or may(session, doctype, "select"):
        return
    text = (
        f"User <strong>{session.user}</strong> does not have doctype access via role permission for"
        f" document <strong>{doctype}</strong>"
    )
    raise SiteError(
        "PermissionError",
        server_messages=[{"message": text, "title": "Message"}],
        error_message=f"No permission for {doctype}",
    )


def require_parent(session: Session, doctype: str, parent: str | None) -> None:
    """A table's rows are listed only through a readable parent DocType."""
    if not parent or parent not in session.site.metas:
        raise SiteError("PermissionError")
    meta = session.site.meta(parent)
    if not any(field.options == doctype for field in meta.tables):
        raise SiteError("PermissionError")
    require_list(session, parent)
