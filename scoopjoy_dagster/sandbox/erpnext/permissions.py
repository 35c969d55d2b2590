"""Who may do what: rights by role, and documents by User Permission.

Belongs here: the answer yes or no, and the 403 that says so; fields of higher permission levels; what a list leaves out
in silence. Does not belong here: authentication.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scoopjoy_dagster.sandbox.erpnext.database import column, table
from scoopjoy_dagster.sandbox.erpnext.errors import SiteError, thrown, unknown_to_the_sandbox

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext.document import Doc
    from scoopjoy_dagster.sandbox.erpnext.meta import Field, Meta
    from scoopjoy_dagster.sandbox.erpnext.session import Session

_OVERLOOKED = {
    ("Account", "parent_account"),
    ("Cost Center", "parent_cost_center"),
    ("Customer", "default_currency"),
    ("Customer", "default_price_list"),
    ("Customer Group", "parent_customer_group"),
    ("Item", "stock_uom"),
    ("Item Group", "parent_item_group"),
    ("Journal Entry", "amended_from"),
    ("POS Invoice", "amended_from"),
    ("Sales Invoice", "amended_from"),
    ("Territory", "parent_territory"),
    ("ToDo", "allocated_to"),
    ("Warehouse", "parent_warehouse"),
}
"""Links that User Permissions do not look at (``ignore_user_permissions``); so are all of Company and Global Defaults."""


def may(session: Session, doctype: str, right: str) -> bool:
    """Whether the session's user has a right on a DocType. Rows inherit from nothing here: ask the parent."""
    if session.user == "Administrator":
        return True
    meta = session.site.meta(doctype)
    return any(
        right in granted.get(role, ())
        for granted in (meta.permissions, meta.own_permissions)
        for role in session.roles
    )


def _sees_own_only(session: Session, meta: Meta) -> bool:
    """Whether the user may read a document of the DocType only where it is its owner."""
    if session.user == "Administrator" or not meta.own_permissions:
        return False
    return not any({"read", "select"} & meta.permissions.get(role, set()) for role in session.roles)


def require(session: Session, doctype: str, right: str, name: str = "") -> None:
    """Raise the 403 of a document operation unless the user has the right, and may see the document."""
    if may(session, doctype, right):
        if name and not _shown(session, doctype, name):
            raise SiteError(
                "PermissionError",
                server_messages=[
                    {"message": f"Not allowed for {doctype}: {name}", "title": "Message"},
                ],
                error_message=f"Insufficient Permission for {doctype} {name}",
            )
        return
    if right == "read" and name in _shared(session, doctype):
        return
    if session.site.line.hides_missing_documents:
        raise no_access(session, doctype)
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


def _shared(session: Session, doctype: str) -> set[str]:
    """The documents that somebody has shared with the session's user, to be read."""
    sql = f"SELECT share_name FROM {table('DocShare')} WHERE user = ? AND share_doctype = ?"
    return {name for (name,) in session.site.db.rows(sql, (session.user, doctype))}


def no_access(session: Session, doctype: str) -> SiteError:
    """The 403 that tells nothing of the document, not even that there is none."""
    text = (
        f"User <strong>{session.user}</strong> does not have doctype access via role permission for document"
        f" <strong>{doctype}</strong>"
    )
    return SiteError(
        "PermissionError",
        server_messages=[{"message": text, "title": "Message"}],
        error_message=f"No permission for {doctype}",
        traceback=False,
    )


def of_missing(session: Session, error: SiteError) -> SiteError:
    """What somebody is told who asks for a document that does not exist."""
    hides = session.site.line.hides_missing_documents and error.doctype in session.site.metas
    if hides and not may(session, error.doctype, "read"):
        return no_access(session, error.doctype)
    return error


def insufficient(doctype: str) -> SiteError:
    """The 403 of a list, of a line that has one text for all reasons."""
    return thrown(
        f"Insufficient Permission for <strong>{doctype}</strong>", "PermissionError", title="Permission Error"
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
    if _shared(session, doctype):
        raise unknown_to_the_sandbox("a list of shared documents")
    if session.site.line.hides_missing_documents:
        raise insufficient(doctype)
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
    refusal = (
        insufficient(doctype) if session.site.line.hides_missing_documents else SiteError("PermissionError")
    )
    if not parent or parent not in session.site.metas:
        raise refusal
    meta = session.site.meta(parent)
    if not any(field.options == doctype for field in meta.tables):
        raise refusal
    require_list(session, parent)


def user_permissions(session: Session) -> dict[str, list[dict[str, Any]]]:
    """The User Permissions of the session's user, by the DocType that they allow; trees with what is below."""
    found: dict[str, list[dict[str, Any]]] = {}
    if session.user in {"Administrator", "Guest"}:
        return found
    for allow, name, applicable, default, alone in session.site.db.rows(
        f"SELECT allow, for_value, applicable_for, is_default, hide_descendants FROM {table('User Permission')}"
        " WHERE user = ? ORDER BY creation",
        (session.user,),
    ):
        row = {"doc": name, "applicable_for": applicable or None, "is_default": default or 0}
        found.setdefault(allow, []).append(row)
        if not alone and session.site.meta(allow).has_column("lft"):
            tree = table(allow)
            below = session.site.db.rows(
                f"SELECT d.name FROM {tree} d JOIN {tree} a ON d.lft > a.lft AND d.rgt < a.rgt WHERE a.name = ?",
                (name,),
            )
            found[allow] += [{**row, "doc": one, "is_default": 0} for (one,) in below]
    return found


def visible(session: Session, meta: Meta) -> tuple[list[str], list[str]]:
    """Conditions, and their parameters, for the documents that User Permissions leave to the user."""
    if _sees_own_only(session, meta):
        return [f"{table(meta.name)}.owner = ?"], [session.user]
    allowed = user_permissions(session)
    conditions: list[str] = []
    params: list[str] = []
    linked = [
        (field.fieldname, field.options)
        for field in meta.links
        if field.fieldtype == "Link"
        and meta.name not in {"Company", "Global Defaults"}
        and (meta.name, field.fieldname) not in _OVERLOOKED
    ]
    for fieldname, doctype in [*linked, ("name", meta.name)] if allowed else ():
        names = [
            str(one["doc"]) for one in allowed.get(doctype, ()) if one["applicable_for"] in (None, meta.name)
        ]
        if names:
            at = f"{table(meta.name)}.{column(fieldname)}"
            conditions.append(f"(coalesce({at}, '') = '' OR {at} IN ({', '.join('?' * len(names))}))")
            params += names
    return conditions, params


def _shown(session: Session, doctype: str, name: str) -> bool:
    conditions, params = visible(session, session.site.meta(doctype))
    if not conditions:
        return True
    sql = f"SELECT 1 FROM {table(doctype)} WHERE {table(doctype)}.name = ? AND {' AND '.join(conditions)}"
    return session.site.db.one(sql, (name, *params)) is not None
