"""Who may do what: rights by role.

Belongs here: the answer yes or no, and the 403 that says so. Does not belong here: authentication.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scoopjoy_dagster.sandbox.erpnext.errors import SiteError

if TYPE_CHECKING:
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
