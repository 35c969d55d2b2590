"""From a request to a reply: authentication, dispatch, one transaction, Frappe's way of answering.

Belongs here: what happens around a call. Does not belong here: what the calls do (``methods``), sockets.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from scoopjoy_dagster.sandbox.erpnext import files, keys, methods, permissions, remote
from scoopjoy_dagster.sandbox.erpnext.document import Doc
from scoopjoy_dagster.sandbox.erpnext.errors import SiteError, thrown, unknown_to_the_sandbox
from scoopjoy_dagster.sandbox.erpnext.session import Session
from scoopjoy_dagster.sandbox.erpnext.site import Site
from scoopjoy_dagster.sandbox.erpnext.wire import Call, Reply, answer, failure, html, parsed

#: gunicorn's ``limit_request_line``.
LONGEST_REQUEST_LINE = 4094


@dataclass(slots=True)
class RateLimit:
    """At most ``requests`` in ``window_s`` seconds."""

    requests: int
    window_s: float = 60.0
    seen: deque[float] = field(default_factory=deque)

    def take(self) -> dict[str, str]:
        """Count one request; returns the headers, raises 429 when there were too many."""
        now = time.monotonic()
        while self.seen and self.seen[0] <= now - self.window_s:
            self.seen.popleft()
        left = self.requests - len(self.seen)
        reset = max(1, round(self.window_s - (now - self.seen[0]))) if self.seen else round(self.window_s)
        headers = {
            "X-RateLimit-Limit": str(self.requests),
            "X-RateLimit-Remaining": str(max(left - 1, 0)),
            "X-RateLimit-Reset": str(reset),
        }
        if left <= 0:
            raise SiteError("TooManyRequestsError", headers=headers | {"Retry-After": str(reset)})
        self.seen.append(now)
        return headers


class Gate:
    """Switches of the site that stand before every request."""

    def __init__(self) -> None:
        self.maintenance = False
        self.reads_during_maintenance = False
        self.rate_limit: RateLimit | None = None

    def pass_through(self, call: Call) -> dict[str, str]:
        """Headers for the answer, or the refusal."""
        if self.maintenance:
            if not self.reads_during_maintenance:
                raise SiteError("SessionStopped", "Session Stopped")
            if call.is_write:
                raise thrown(
                    "Site is running in read only mode for maintenance or site update, this action can not be"
                    " performed right now. Please try again later.",
                    "InReadOnlyMode",
                    title="In Read Only Mode",
                )
        return self.rate_limit.take() if self.rate_limit else {}


def user_of(site: Site, authorization: str) -> str:
    """The user of an Authorization header; no header is a guest, a wrong one 401.

    A disabled user's key goes on working, as on this version of ERPNext (08-03).
    """
    if not authorization:
        return "Guest"
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            value = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise SiteError("AuthenticationError") from None
    elif scheme.lower() != "token":
        raise SiteError("AuthenticationError")
    key, colon, secret = value.partition(":")
    user = keys.owner(site, key, secret) if colon else None
    if user is None:
        raise SiteError("AuthenticationError")
    return user


def doctype_of(call: Call) -> str:
    """The DocType that a request is about, for fault rules and the log; empty if it is about none."""
    parts = call.path.strip("/").split("/")
    if "resource" in parts[:3] and len(parts) > parts.index("resource") + 1:
        return parts[parts.index("resource") + 1]
    try:
        args = call.arguments()
        found = args.get("doctype") or args.get("dt")
        for key in ("doc", "docs"):
            value = parsed(args.get(key))
            if isinstance(value, list) and value:
                value = value[0]
            if not found and isinstance(value, dict):
                found = value.get("doctype")
    except SiteError:
        return ""
    return str(found or "")


class Application:
    """The site behind HTTP, without sockets."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.gate = Gate()

    def handle(self, call: Call) -> Reply:
        """Answer one request in one transaction. Nothing is sent before it is committed."""
        if len(call.method) + len(call.headers.get(":target", "")) + 10 > LONGEST_REQUEST_LINE:
            return html(400, "Bad Request", "Request Line is too large")
        session = Session(self.site, "Guest")
        headers: dict[str, str] = {}
        with self.site.db.lock:
            try:
                headers = self.gate.pass_through(call)
                with self.site.transaction():
                    session.user = user_of(self.site, call.headers.get("authorization", ""))
                    reply = self._dispatch(session, call)
            except SiteError as error:
                reply = self._refusal(session, call, error)
        reply.headers |= headers
        return reply

    def _refusal(self, session: Session, call: Call, error: SiteError) -> Reply:
        found = self.site.db.one('SELECT allow_error_traceback FROM "tabSystem Settings"')
        accepts = call.headers.get("accept", "")
        return failure(
            error,
            session.messages,
            traceback=not found or bool(found[0]),
            wants_html=accepts.startswith("text/html"),
        )

    def _dispatch(self, session: Session, call: Call) -> Reply:
        if call.path.startswith(("/files/", "/private/files/")):
            return files.download(session, call.path)
        parts = call.path.split("/")
        if parts[:2] != ["", "api"]:
            raise SiteError("DoesNotExistError")
        rest = parts[3:] if parts[2:3] == ["v1"] else parts[2:]
        if parts[2:3] == ["v2"]:
            raise unknown_to_the_sandbox(f"API v2: {call.method} {call.path}")
        kind, *names = rest
        if kind == "method" and names and names[0]:
            return self._method(session, call, names[0])
        if kind == "resource" and names and names[0]:
            name = "/".join(names[1:]).rstrip("/")
            return (
                self._document(session, call, names[0], name) if name else self._list(session, call, names[0])
            )
        raise SiteError("DoesNotExistError")

    # -- /api/method --------------------------------------------------------------------------------

    def _method(self, session: Session, call: Call, name: str) -> Reply:
        method = methods.METHODS.get(name)
        if method is None:
            raise self._unknown_method(name)
        if session.user == "Guest" and not method.guest:
            raise remote.not_whitelisted(name)
        if call.method not in method.verbs:
            raise thrown("Not permitted", "PermissionError")
        result = method.run(session, call, call.arguments())
        if isinstance(result, remote.Docs):
            body: dict[str, Any] = {"docs": [result.doc.shown(nulls=False)]}
            if result.message is not None:
                body["message"] = result.message
            return answer(body, session.messages)
        return answer({} if result is None else {"message": result}, session.messages)

    @staticmethod
    def _unknown_method(name: str) -> SiteError:
        if name in methods.NOT_WHITELISTED:
            return remote.not_whitelisted(name)
        app = name.partition(".")[0]
        if app in {"frappe", "erpnext"}:
            return unknown_to_the_sandbox(f"method {name}")
        first = f"App {app} is not installed"
        error = thrown(f"Failed to get method for command {name} with {first}")
        error.server_messages = thrown(first).server_messages + error.server_messages
        return error

    # -- /api/resource ------------------------------------------------------------------------------

    @staticmethod
    def _list(session: Session, call: Call, doctype: str) -> Reply:
        if call.method == "GET":
            return answer(
                {"data": methods.resource_list(session, doctype, call.arguments())}, session.messages
            )
        if call.method != "POST":
            raise SiteError("DoesNotExistError")
        data = call.document()
        if doctype not in session.site.metas:
            module = doctype.lower().replace(" ", "_")
            raise SiteError("ImportError", f"No module named 'frappe.core.doctype.{module}'")
        if session.site.meta(doctype).istable:
            doc = remote.insert_row(session, doctype, data)
        else:
            doc = session.insert(session.new(doctype, data))
        return answer({"data": doc.shown(nulls=False)}, session.messages)

    def _document(self, session: Session, call: Call, doctype: str, name: str) -> Reply:
        if call.method == "DELETE":
            session.delete(doctype, name)
            return answer({"data": "ok"}, session.messages, 202)
        args = call.arguments()
        if call.method == "POST" or "run_method" in args:
            return self._run(session, call, doctype, name, args)
        if call.method == "PUT":
            return self._update(session, call, doctype, name)
        if call.method != "GET":
            raise SiteError("DoesNotExistError")
        doc = session.load(doctype, name)
        self._require_read(session, doc)
        return answer({"data": permissions.hide_guarded(session, doc).shown(nulls=False)}, session.messages)

    @staticmethod
    def _require_read(session: Session, doc: Doc) -> None:
        owner = str(session.value(doc.doctype, doc.name, "parenttype")) if doc.meta.istable else doc.doctype
        session.require(owner, "read", doc.name)

    @staticmethod
    def _update(session: Session, call: Call, doctype: str, name: str) -> Reply:
        if doctype in session.site.metas and session.site.meta(doctype).istable:
            row, _ = remote.update_row(session, doctype, name, call.document())
            return answer({"data": row.shown(nulls=False)}, session.messages)
        doc = session.load(doctype, name)
        session.amend(doc, call.document())
        return answer({"data": session.save(doc).shown(nulls=False)}, session.messages)

    @staticmethod
    def _run(session: Session, call: Call, doctype: str, name: str, args: dict[str, Any]) -> Reply:
        if not args.get("run_method"):
            raise SiteError("KeyError", "'run_method'")
        doc = session.load(doctype, name)
        session.require(doctype, "write" if call.method == "POST" else "read", doc.name)
        rest = {key: value for key, value in args.items() if key != "run_method"}
        result = remote.run_method(session, doc, str(args["run_method"]), rest)
        shown = result.shown(nulls=False) if isinstance(result, Doc) else result
        return answer({} if shown is None else {"data": shown}, session.messages)
