"""Server Scripts of type API: the text that is stored on the site is run, with the names that Frappe gives to one.

Frappe compiles a script with RestrictedPython and hands it a chosen part of itself (``frappe.utils.safe_exec``). Here it is
Python with the part that ours uses; any other name is an AttributeError, as it is there. That Frappe accepts the text is
proven on a real site (``contract/test_annotation_script.py``).

Belongs here: what a script sees. Does not belong here: which script there is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from scoopjoy_dagster.sandbox.erpnext import lists, methods, remote
from scoopjoy_dagster.sandbox.erpnext.document import Doc
from scoopjoy_dagster.sandbox.erpnext.errors import SiteError, thrown
from scoopjoy_dagster.sandbox.erpnext.session import Session
from scoopjoy_dagster.sandbox.erpnext.wire import Call

_DISABLED = (
    "Server Scripts are disabled. Please enable server scripts from bench configuration.<br>"
    "<a href='https://frappeframework.com/docs/user/en/desk/scripting/server-script'>Read the documentation to know more</a>"
)


def find(session: Session, method: str) -> Doc | None:
    """The enabled Server Script that answers under this name: those of the site come before Frappe's own functions."""
    found = session.site.db.one(
        """SELECT name FROM "tabServer Script" WHERE script_type = 'API' AND api_method = ? AND NOT disabled""",
        (method,),
    )
    return session.load("Server Script", str(found[0])) if found else None


def run(session: Session, call: Call, script: Doc) -> dict[str, Any]:
    """The body of the answer; nothing of a script that fails is stored."""
    if session.user == "Guest" and not script.get("allow_guest"):
        raise remote.not_whitelisted(session, str(script.get("api_method")))
    if not session.site.server_scripts:
        raise thrown(_DISABLED, "ServerScriptNotEnabled")
    response: dict[str, Any] = {}
    names = {"json": SimpleNamespace(loads=json.loads, dumps=json.dumps), "frappe": _frappe(session, call)}
    names["frappe"].response = response
    try:
        exec(str(script["script"]), names)  # noqa: S102 - the owner of the site wrote it, as there
    except SiteError:
        raise
    except Exception as error:
        raise SiteError(type(error).__name__, str(error)) from error
    return response


def _frappe(session: Session, call: Call) -> SimpleNamespace:
    return SimpleNamespace(
        form_dict=SimpleNamespace(**call.arguments()),
        call=_calls(session, call),
        get_doc=lambda data: SimpleNamespace(db_insert=lambda: session.store(data)),
        get_list=lambda doctype, **asked: _rows(session, doctype, asked),
        get_all=lambda doctype, **asked: _rows(Session(session.site, "Administrator"), doctype, asked),
        utils=SimpleNamespace(flt=_flt),
        db=SimpleNamespace(set_value=_set_value(session)),
    )


def _flt(value: Any) -> float:
    """A number; text that is none is 0."""
    try:
        return float(value or 0)
    except ValueError:
        return 0.0


def _calls(session: Session, call: Call) -> Callable[..., Any]:
    def called(name: str, **arguments: Any) -> Any:
        method = methods.find(session.site.line, name)
        if method is None:
            raise thrown(f"Failed to get method for command {name}")
        return method.run(session, call, arguments)

    return called


def _rows(session: Session, doctype: str, asked: dict[str, Any]) -> list[Any]:
    """``get_list`` and ``get_all``; of one field alone with ``pluck``, and never a page unless one is asked for."""
    pluck = asked.get("pluck")
    rows = lists.get_list(
        session,
        lists.ListCall(
            doctype,
            fields=[pluck] if pluck else asked.get("fields"),
            filters=asked.get("filters"),
            limit_page_length=asked.get("limit_page_length", 0),
        ),
    )
    return [row[pluck] for row in rows] if pluck else rows


def _set_value(session: Session) -> Callable[[str, str, dict[str, Any]], None]:
    def set_value(doctype: str, name: str, values: dict[str, Any]) -> None:
        session.set_fields(session.load(doctype, name), values)

    return set_value
