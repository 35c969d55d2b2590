"""Checks that hold for every document, whatever its DocType: links, mandatory fields, selections, lengths,
what may change after submission.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from scoopjoy_dagster.sandbox.erpnext.database import column, table
from scoopjoy_dagster.sandbox.erpnext.errors import SiteError, noted, thrown
from scoopjoy_dagster.sandbox.erpnext.meta import SHORT_TEXT, TABLES, Field
from scoopjoy_dagster.sandbox.erpnext.values import cast, stored

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext.document import Doc
    from scoopjoy_dagster.sandbox.erpnext.session import Session


def check_links(session: Session, doc: Doc) -> None:
    """Every link must lead to a document; values are fetched through links on the way."""
    missing: list[str] = []
    cancelled: list[str] = []
    for part in (doc, *doc.all_rows()):
        for field in part.meta.links:
            if part.get(field.fieldname):
                _check_link(session, doc, part, field, (missing, cancelled))
    if missing:
        raise thrown(f"Could not find {', '.join(missing)}", "LinkValidationError")
    if cancelled:
        raise thrown(f"Cannot link cancelled document: {', '.join(cancelled)}", "CancelledLinkError")


def _check_link(
    session: Session, doc: Doc, part: Doc, field: Field, found: tuple[list[str], list[str]]
) -> None:
    target = field.options if field.fieldtype == "Link" else str(part.get(field.options) or "")
    if not target:
        raise thrown(f"{part.meta.by_name[field.options].label} must be set first")
    name = str(part[field.fieldname])
    where = f"{field.label}: {name}"
    if part.meta.istable and part is not doc:
        where = f"Row #{part.get('idx')}: {where}"
    if target not in session.site.metas:
        found[0].append(where)
        return
    fetched = part.meta.fetched.get(field.fieldname, [])
    meta = session.site.meta(target)
    real = target if meta.issingle else session.site.real_name(target, name)
    if real is None:
        # On v15 a link that also fetches values is not reported when its target is missing (03-11, 03-13).
        if not fetched or session.site.line.reports_missing_links:
            found[0].append(where)
        return
    part[field.fieldname] = real
    if fetched and (part.is_new or doc.docstatus == 0):
        _fetch(session, part, fetched, target, real)
    if doc.meta.is_submittable and meta.is_submittable and field.fieldname != "amended_from":
        status = session.values(target, real, ["docstatus"])
        if status[0] == 2:
            found[1].append(where)


def _fetch(session: Session, part: Doc, goals: list[Field], target: str, name: str) -> None:
    values = session.values(target, name, [goal.fetch_from.split(".")[1] for goal in goals])
    for goal, value in zip(goals, values, strict=True):
        if not (goal.fetch_if_empty and part.get(goal.fieldname)):
            part[goal.fieldname] = cast(goal, value)


def check_values(session: Session, doc: Doc) -> None:
    """Mandatory fields, selections and lengths, in this order."""
    _check_mandatory(doc)
    for part in (doc, *doc.all_rows()):
        for field in part.meta.stored:
            value = part.get(field.fieldname)
            if isinstance(value, str) and value:
                _check_text(session, doc, part, field, value)


def _check_mandatory(doc: Doc) -> None:
    missing: list[str] = []
    messages: list[dict[str, Any]] = []
    for part in (doc, *doc.all_rows()):
        for field in part.meta.fields:
            if not field.reqd:
                continue
            value = part.get(field.fieldname)
            if value not in (None, []) and str(value).strip():
                continue
            missing.append(field.fieldname)
            if part is not doc:
                text = f"Error: <strong>{part.doctype}</strong> Row #{part['idx']}: Value missing for: {field.label}"
            elif field.fieldtype in TABLES:
                text = f"Error: Data missing in table: {field.label}"
            else:
                text = f"Error: Value missing for {doc.doctype}: {field.label}"
            messages.append({"message": text, "title": "Message"})
    if missing:
        text = f"[{doc.doctype}, {doc.name}]: {', '.join(missing)}"
        raise SiteError("MandatoryError", text, server_messages=messages)


def _is_url(value: str, *, any_scheme: bool) -> bool:
    """``frappe.utils.validate_url``."""
    parts = urlsplit(value)
    found = parts.scheme and (parts.netloc or parts.path) if any_scheme else parts.netloc
    return bool(found) or value.startswith("/")


def _check_text(session: Session, doc: Doc, part: Doc, field: Field, value: str) -> None:
    if field.fieldtype == "Select" and field.options and field.fieldname != "naming_series":
        part[field.fieldname] = value = value.strip()
        if value not in field.choices:
            prefix = f"Row #{part['idx']}:" if part is not doc else ""
            options = ", ".join(f'"{choice}"' for choice in field.choices if choice)
            raise thrown(f'{prefix} {field.label} cannot be "{value}". It should be one of {options}')
    any_scheme = session.site.line.any_scheme_is_url
    if field.fieldtype == "Data" and field.options == "URL" and not _is_url(value, any_scheme=any_scheme):
        raise thrown(f"'<strong>{value}</strong>' is not a valid URL")
    limit = field.length or 140
    if field.fieldtype in SHORT_TEXT and len(value) > limit:
        where = f"{doc.doctype} {doc.name}"
        if part is not doc:
            where = f"{where}, Row #{part['idx']}"
        raise thrown(
            f"{where}: '<strong>{field.label}</strong>' ({value}) will get truncated, as max characters"
            f" allowed is {limit}",
            "CharacterLengthExceededError",
            title="Value too big",
        )


def check_after_submit(doc: Doc) -> None:
    """After submission only fields with ``allow_on_submit`` may change."""
    assert doc.before is not None  # noqa: S101 - only called for stored documents
    _compare(doc, doc.before, "")
    for field in doc.meta.tables:
        new, old = doc.rows(field.fieldname), doc.before.rows(field.fieldname)
        if field.allow_on_submit:
            continue
        if len(new) != len(old):
            raise _not_allowed(field.label, str(len(old)), str(len(new)), "")
        for row, before in zip(new, old, strict=True):
            _compare(row, before, f"Row #{row['idx']}:")


def _compare(doc: Doc, before: Doc, prefix: str) -> None:
    for field in doc.meta.stored:
        if field.allow_on_submit:
            continue
        new, old = doc.get(field.fieldname), before.get(field.fieldname)
        if (new or old) and stored(field, new) != stored(field, old):
            raise _not_allowed(field.label, str(old), str(new), prefix)


def _not_allowed(label: str, old: str, new: str, prefix: str) -> SiteError:
    return thrown(
        f"{prefix} Not allowed to change <strong>{label}</strong> after submission from"
        f" <strong>{old}</strong> to <strong>{new}</strong>",
        "UpdateAfterSubmitError",
        title="Cannot Update After Submit",
    )


def check_constants(doc: Doc) -> None:
    """A field that is set only once keeps its value. So do who made a document and when (frappe/model/meta.py)."""
    assert doc.before is not None  # noqa: S101 - only called for stored documents
    for name, label in (("creation", "Created On"), ("owner", "Created By")):
        if str(doc.get(name)) != str(doc.before.get(name)):
            raise thrown(f"Value cannot be changed for <strong>{label}</strong>", "CannotChangeConstantError")
    for field in doc.meta.constants:
        if stored(field, doc.get(field.fieldname)) != stored(field, doc.before.get(field.fieldname)):
            raise thrown(
                f"Value cannot be changed for <strong>{field.label}</strong>", "CannotChangeConstantError"
            )


def unique_violation(doc: Doc, fieldname: str, name: str) -> SiteError:
    """What a violated unique index becomes on the wire: 409 for a name, 417 for a field."""
    if fieldname == "name":
        return SiteError(
            "DuplicateEntryError",
            f"('{doc.doctype}', '{name}', IntegrityError(1062, \"Duplicate entry '{name}' for key 'PRIMARY'\"))",
            server_messages=[
                {
                    "message": f"{doc.doctype} <strong>{name}</strong> already exists",
                    "title": "Duplicate Name",
                    "indicator": "red",
                }
            ],
        )
    value = doc.get(fieldname)
    text = (
        f"('{doc.doctype}', '{doc.name}', IntegrityError(1062, \"Duplicate entry '{value}' for key"
        f" '{fieldname}'\"))"
    )
    return noted(text, "UniqueValidationError", f"{doc.meta.by_name[fieldname].label} must be unique")


def check_unlinked(session: Session, doc: Doc) -> None:
    """A document that others link to cannot be deleted."""
    pairs = [(meta.name, field) for meta in session.site.metas.values() for field in meta.links]
    direct = [
        (name, field) for name, field in pairs if field.fieldtype == "Link" and field.options == doc.doctype
    ]
    dynamic = [(name, field) for name, field in pairs if field.fieldtype == "Dynamic Link"]
    for name, field in direct + dynamic:
        found = _linking(session, doc, name, field)
        if found is not None:
            raise linked(doc, *found)


def _linking(session: Session, doc: Doc, doctype: str, field: Field) -> tuple[str, str] | None:
    if doctype in {"Comment", "Communication", "Version", "ToDo", "DocField", "DocPerm", "Custom Field"}:
        return None
    meta = session.site.meta(doctype)
    parents = ", parenttype, parent" if meta.istable else ""
    sql = f"SELECT name{parents} FROM {table(doctype)} WHERE {column(field.fieldname)} = ?"
    params: list[Any] = [doc.name]
    if field.fieldtype == "Dynamic Link":
        sql += f" AND {column(field.options)} = ?"
        params.append(doc.doctype)
    for row in session.site.db.rows(sql + " LIMIT 2", params):
        holder = (str(row[1]), str(row[2])) if meta.istable else (doctype, str(row[0]))
        if holder != (doc.doctype, doc.name):
            return holder
    return None


def linked(doc: Doc, by_type: str, by_name: str) -> SiteError:
    """What the site answers when another document links to one that is to be deleted or cancelled."""
    text = (
        f'Cannot delete or cancel because {doc.doctype} <a href="/app/Form/{doc.doctype}/{doc.name}">{doc.name}</a>'
        f' is linked with {by_type} <a href="/app/Form/{by_type}/{by_name}">{by_name}</a> '
    )
    error = thrown(text, "LinkExistsError")
    if "disabled" in doc.meta.by_name:
        instead = thrown(f"You can disable this {doc.doctype} instead of deleting it.", "LinkExistsError")
        instead.server_messages = error.server_messages + instead.server_messages
        return instead
    return error
