"""The whitelisted functions behind ``/api/method/...`` that the embedded site answers.

Belongs here: one small function for each. Does not belong here: dispatch and errors (``routes``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scoopjoy_dagster.sandbox.erpnext import files, keys, lists, permissions, takings, workflows
from scoopjoy_dagster.sandbox.erpnext.document import Doc
from scoopjoy_dagster.sandbox.erpnext.errors import thrown, unknown_to_the_sandbox
from scoopjoy_dagster.sandbox.erpnext.lines import V15, Line
from scoopjoy_dagster.sandbox.erpnext.meta import CHILD, STANDARD
from scoopjoy_dagster.sandbox.erpnext.remote import Docs, document_of, insert_document, run_method, update_row
from scoopjoy_dagster.sandbox.erpnext.session import Session
from scoopjoy_dagster.sandbox.erpnext.values import whole
from scoopjoy_dagster.sandbox.erpnext.wire import Call, loads, parsed

#: More is refused by the site (04-46).
MOST_INSERTS = 200


@dataclass(frozen=True, slots=True)
class Method:
    """A whitelisted function: what it does, by which HTTP methods, and whether a guest may."""

    run: Callable[[Session, Call, dict[str, Any]], Any]
    verbs: frozenset[str] = frozenset({"GET", "POST", "PUT", "DELETE"})
    guest: bool = False


_WRITE = frozenset({"POST", "PUT"})


def _list_call(args: dict[str, Any]) -> lists.ListCall:
    return lists.ListCall(
        doctype=str(args.get("doctype") or ""),
        fields=parsed(args.get("fields")),
        filters=parsed(args.get("filters")),
        or_filters=parsed(args.get("or_filters")),
        group_by=args.get("group_by"),
        order_by=args.get("order_by"),
        limit_start=args.get("limit_start"),
        limit_page_length=args.get("limit_page_length", lists.DEFAULT_PAGE),
        parent=args.get("parent"),
        as_dict=str(args.get("as_dict", "true")).lower() not in {"false", "0"},
    )


def resource_list(session: Session, doctype: str, args: dict[str, Any]) -> list[Any]:
    """The list of ``/api/resource``: fields and filters arrive as JSON texts, ``limit`` is an alias."""
    if args.get("limit_page_length") in (None, ""):
        args = args | {"limit_page_length": args.get("limit") or lists.DEFAULT_PAGE}
    if isinstance(args.get("fields"), str):
        args = args | {"fields": loads(args["fields"])}
    return lists.get_list(session, _list_call(args | {"doctype": doctype}))


def _get_list(session: Session, _: Call, args: dict[str, Any]) -> Any:
    return lists.get_list(session, _list_call(args))


def _get_count(session: Session, _: Call, args: dict[str, Any]) -> Any:
    return lists.count(session, str(args.get("doctype")), parsed(args.get("filters")))


def _get(session: Session, _: Call, args: dict[str, Any]) -> Any:
    doctype = str(args.get("doctype"))
    if args.get("name"):
        name = str(args["name"])
    elif session.site.meta(doctype).issingle:
        name = doctype
    else:
        found = lists.get_list(
            session, lists.ListCall(doctype, filters=parsed(args.get("filters")), limit_page_length=1)
        )
        if not found:
            raise thrown(f"{doctype} {args.get('filters')} not found", "DoesNotExistError")
        name = found[0]["name"]
    doc = session.load(doctype, name)
    session.require(doctype, "read", doc.name)
    return permissions.hide_guarded(session, doc).shown(nulls=not session.site.line.get_hides_nulls)


def _form_meta(session: Session, _: Call, args: dict[str, Any]) -> Any:
    """What the desk loads of a DocType and its tables before it shows a form; everybody who has logged in may."""
    doctype = str(args.get("doctype"))
    tables = [field.options for field in session.site.meta(doctype).tables]
    return Docs([_form(session, one) for one in [doctype, *tables]], None)


def _form(session: Session, doctype: str) -> dict[str, Any]:
    """A DocType as it is in force: with Custom Fields and Property Setters, and its active workflow."""
    shown = session.load("DocType", doctype).shown(nulls=False)
    kinds = ("fieldname", "label", "fieldtype", "options", "default", "permlevel")
    shown["fields"] = [
        {kind: getattr(field, kind) or None for kind in kinds} | {"reqd": int(field.reqd), "idx": idx}
        for idx, field in enumerate(session.site.meta(doctype).fields, 1)
    ]
    flow = workflows.active(session, doctype)
    shown["__workflow_docs"] = [flow.shown(nulls=False)] if flow else []
    return shown


def _form_document(session: Session, _: Call, args: dict[str, Any]) -> Any:
    """What the desk loads of a document to show it in a form."""
    doctype, name = str(args.get("doctype")), str(args.get("name"))
    if not session.exists(doctype, name):
        raise unknown_to_the_sandbox("the form of a document that does not exist")
    session.require(doctype, "read", name)
    return Docs(permissions.hide_guarded(session, session.load(doctype, name)), None)


def _get_value(session: Session, _: Call, args: dict[str, Any]) -> Any:
    doctype = str(args.get("doctype"))
    wanted = parsed(args.get("fieldname"))
    fields = wanted if isinstance(wanted, list) else [str(wanted)]
    if session.site.meta(doctype).issingle:
        permissions.require_list(session, doctype)
        doc = session.load(doctype, doctype)
        return {key: doc.get(key) for key in fields}
    call = lists.ListCall(
        doctype,
        fields=fields,
        filters=parsed(args.get("filters")),
        limit_page_length=1,
        parent=args.get("parent"),
    )
    found = lists.get_list(session, call)
    return found[0] if found else {}


def _get_single_value(session: Session, _: Call, args: dict[str, Any]) -> Any:
    doctype = str(args.get("doctype"))
    permissions.require_list(session, doctype)
    return session.load(doctype, doctype).get(str(args.get("field")))


def _set_value(session: Session, _: Call, args: dict[str, Any]) -> Any:
    doctype, name = str(args.get("doctype")), str(args.get("name"))
    field, value = parsed(args.get("fieldname")), args.get("value")
    if isinstance(field, str) and (field in STANDARD or field in CHILD):
        raise thrown("Cannot edit standard fields")
    values = field if isinstance(field, dict) else {str(field): value or ""}
    if session.site.meta(doctype).istable:
        return update_row(session, doctype, name, values)[1].shown()
    doc = session.load(doctype, name)
    session.amend(doc, {key: item for key, item in values.items() if key != "modified"})
    return session.save(doc).shown()


def _insert(session: Session, _: Call, args: dict[str, Any]) -> Any:
    return insert_document(session, args.get("doc")).shown()


def _insert_many(session: Session, _: Call, args: dict[str, Any]) -> Any:
    docs = parsed(args.get("docs"))
    if len(docs) > MOST_INSERTS:
        raise thrown(f"Only {MOST_INSERTS} inserts allowed in one request")
    return [insert_document(session, doc).name for doc in docs]


def _save(session: Session, _: Call, args: dict[str, Any]) -> Any:
    return session.save(document_of(session, args.get("doc"))).shown()


def _submit(session: Session, _: Call, args: dict[str, Any]) -> Any:
    return session.submit(document_of(session, args.get("doc"))).shown()


def _cancel(session: Session, _: Call, args: dict[str, Any]) -> Any:
    return session.cancel(session.load(str(args.get("doctype")), str(args.get("name")))).shown()


def _delete(session: Session, _: Call, args: dict[str, Any]) -> Any:
    session.delete(str(args.get("doctype")), str(args.get("name")))


def _has_permission(session: Session, _: Call, args: dict[str, Any]) -> Any:
    right = str(args.get("perm_type") or "read").lower()
    doctype = str(args.get("doctype"))
    if args.get("docname"):
        session.load(doctype, str(args["docname"]))
    # Everybody shares the own User document, and a share is enough for a yes.
    shared = doctype == "User" and right in {"read", "write"} and session.user != "Guest"
    return {"has_permission": shared or permissions.may(session, doctype, right)}


def _user_permissions(session: Session, _: Call, args: dict[str, Any]) -> Any:
    if args.get("user"):
        raise unknown_to_the_sandbox("User Permissions of another user")
    return permissions.user_permissions(session)


def _run_doc_method(session: Session, _: Call, args: dict[str, Any]) -> Any:
    if args.get("dt"):
        doc = session.load(str(args["dt"]), str(args.get("dn") or args["dt"]))
    else:
        sent = parsed(args.get("docs"))
        kept = session.load(str(sent.get("doctype")), str(sent.get("name")))
        doc = document_of(session, sent) if kept.meta.issingle else kept
    session.require(doc.doctype, "read", doc.name)
    result = run_method(session, doc, str(args.get("method")), parsed(args.get("args")) or {})
    return Docs(doc, result.shown() if isinstance(result, Doc) else result)


def _get_pos_invoices(session: Session, _: Call, args: dict[str, Any]) -> Any:
    return takings.get_pos_invoices(session, args)


def _get_invoices(session: Session, _: Call, args: dict[str, Any]) -> Any:
    return takings.get_invoices(session, args)


def _upload(session: Session, call: Call, args: dict[str, Any]) -> Any:
    if call.upload is None:
        raise unknown_to_the_sandbox("upload_file without a file")
    return files.store(session, call.upload, args).shown(nulls=False)


def _attach(session: Session, _: Call, args: dict[str, Any]) -> Any:
    return files.attach(session, args).shown()


def _add_comment(session: Session, _: Call, args: dict[str, Any]) -> Any:
    keys = ("reference_doctype", "reference_name", "content", "comment_email", "comment_by")
    values = {"comment_type": "Comment"} | {key: args.get(key) for key in keys}
    return session.insert_unasked("Comment", values).shown(nulls=False)


def _make_mail(session: Session, _: Call, args: dict[str, Any]) -> Any:
    for address in re.split(r"[,;\s]+", str(args.get("recipients") or "")):
        if address and not re.fullmatch(r"[^@\s]+@[^@\s]+", address):
            raise thrown(f"{address} is not a valid Email Address", "InvalidEmailAddressError")
    if whole(args.get("send_email")):
        raise thrown(
            "Unable to send mail because of a missing email account. Please setup default Email Account from"
            " Settings > Email Account",
            "OutgoingEmailError",
        )
    values = {
        "subject": args.get("subject"),
        "content": args.get("content"),
        "recipients": args.get("recipients"),
        "sender": session.user,
        "communication_medium": "Email",
        "sent_or_received": "Sent",
        "reference_doctype": args.get("doctype"),
        "reference_name": args.get("name"),
    }
    return {"name": session.insert(session.new("Communication", values)).name, "emails_not_sent_to": ""}


def _logged_user(session: Session, _: Call, __: dict[str, Any]) -> Any:
    return session.user


def _generate_keys(session: Session, _: Call, args: dict[str, Any]) -> Any:
    return keys.generate(session, str(args.get("user") or ""))


def _ping(_: Session, __: Call, ___: dict[str, Any]) -> Any:
    return "pong"


def _time_zone(session: Session, _: Call, __: dict[str, Any]) -> Any:
    return {"time_zone": session.value("System Settings", "System Settings", "time_zone")}


def _versions(session: Session, _: Call, __: dict[str, Any]) -> Any:
    line = session.site.line
    return {
        "frappe": {
            "title": "Frappe Framework",
            "description": "Full stack web framework with Python, Javascript, MariaDB, Redis, Node",
            "branch": line.branch,
            "version": line.frappe,
        },
        "erpnext": {
            "title": "ERPNext",
            "description": "ERP made simple",
            "branch": line.branch,
            "version": line.erpnext,
        },
    }


def _scheduler_status(session: Session, _: Call, __: dict[str, Any]) -> Any:
    active = session.value("System Settings", "System Settings", "enable_scheduler")
    return {"status": "active" if active else "inactive"}


METHODS: dict[str, Method] = {
    "ping": Method(_ping, guest=True),
    "frappe.ping": Method(_ping, guest=True),
    "frappe.client.get_time_zone": Method(_time_zone, guest=True),
    "frappe.utils.change_log.get_versions": Method(_versions),
    "frappe.utils.scheduler.get_scheduler_status": Method(_scheduler_status),
    "frappe.auth.get_logged_user": Method(_logged_user),
    "frappe.client.get": Method(_get),
    "frappe.client.get_list": Method(_get_list),
    "frappe.client.get_count": Method(_get_count),
    "frappe.client.get_value": Method(_get_value),
    "frappe.client.get_single_value": Method(_get_single_value),
    "frappe.client.set_value": Method(_set_value, _WRITE),
    "frappe.client.insert": Method(_insert, _WRITE),
    "frappe.client.insert_many": Method(_insert_many, _WRITE),
    "frappe.client.save": Method(_save, _WRITE),
    "frappe.client.submit": Method(_submit, _WRITE),
    "frappe.client.cancel": Method(_cancel, _WRITE),
    "frappe.client.delete": Method(_delete, frozenset({"DELETE", "POST"})),
    "frappe.client.has_permission": Method(_has_permission),
    "frappe.client.attach_file": Method(_attach, _WRITE),
    "frappe.desk.form.load.getdoc": Method(_form_document),
    "frappe.desk.form.load.getdoctype": Method(_form_meta),
    "frappe.desk.form.utils.add_comment": Method(_add_comment, _WRITE),
    "frappe.core.doctype.communication.email.make": Method(_make_mail),
    "frappe.core.doctype.user_permission.user_permission.get_user_permissions": Method(_user_permissions),
    "frappe.core.doctype.user.user.generate_keys": Method(_generate_keys, frozenset({"POST"})),
    "run_doc_method": Method(_run_doc_method),
    "upload_file": Method(_upload),
}

#: What belongs to a shift is told by another function on each line.
_TAKINGS = {"get_pos_invoices": Method(_get_pos_invoices), "get_invoices": Method(_get_invoices)}

#: Functions that exist on a real site and may not be called over HTTP.
NOT_WHITELISTED = frozenset(
    {
        "erpnext.accounts.doctype.pos_closing_entry.pos_closing_entry.make_closing_entry_from_opening",
        "frappe.core.doctype.role.role.get_users",
        "frappe.get_doc",
        "frappe.db.sql",
    }
)


def find(line: Line, name: str) -> Method | None:
    """A whitelisted function of a line; ``None`` if it has none of that name."""
    module, _, function = name.rpartition(".")
    if module == takings.MODULE and function in _TAKINGS:
        return _TAKINGS[function] if function == line.takings else None
    return METHODS.get(name)


def is_gone(line: Line, name: str) -> bool:
    """Whether a function was there in an earlier line."""
    module, _, function = name.rpartition(".")
    return line is not V15 and module == takings.MODULE and function in _TAKINGS
