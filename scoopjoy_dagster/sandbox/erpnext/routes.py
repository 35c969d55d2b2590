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
from scoopjoy_dagster.sandbox.erpnext.lines import Line
from scoopjoy_dagster.sandbox.erpnext.session import Session
from scoopjoy_dagster.sandbox.erpnext.site import Site
from scoopjoy_dagster.sandbox.erpnext.wire import Call, Reply, answer, failure, html, parsed

#: gunicorn's ``limit_request_line``.
LONGEST_REQUEST_LINE = 4094
#: What is answered before the site knows who asks.
_BEFORE_LOGIN = frozenset({"AuthenticationError", "SessionStopped", "TooManyRequestsError"})


@dataclass(slots=True)
class RateLimit:
    """At most ``requests`` in ``window_s`` seconds."""

    requests: int
    window_s: float = 60.0
    seen: deque[float] = field(default_factory=deque)

    def take(self, unit: int = 1) -> dict[str, str]:
        """Count one request; returns the headers, raises 429 when there were too many.

        ``unit``: What one request counts in the headers; a million is a second of work in microseconds.
        """
        now = time.monotonic()
        while self.seen and self.seen[0] <= now - self.window_s:
            self.seen.popleft()
        left = self.requests - len(self.seen)
        reset = max(1, round(self.window_s - (now - self.seen[0]))) if self.seen else round(self.window_s)
        headers = {
            "X-RateLimit-Limit": str(self.requests * unit),
            "X-RateLimit-Remaining": str(max(left - 1, 0) * unit),
            "X-RateLimit-Reset": str(reset),
        }
        if left <= 0:
            raise SiteError("TooManyRequestsError", headers=headers | {"Retry-After": str(reset)})
        self.seen.append(now)
        return headers


class Gate:
    """Switches of the site that stand before every request."""

    def __init__(self, line: Line) -> None:
        self._unit = 1_000_000 if line.limits_time else 1
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
        return self.rate_limit.take(self._unit) if self.rate_limit else {}


def user_of(site: Site, authorization: str) -> str:
    """The user of an Authorization header; no header is a guest, a wrong one 401."""
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
    if user is None or not (site.line.disabled_users_keys_work or site.master("User", user).get("enabled")):
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
        self.gate = Gate(site.line)

    def handle(self, call: Call) -> Reply:
        """Answer one request in one transaction. Nothing is sent before it is committed."""
        line = self.site.line
        if len(call.method) + len(call.headers.get(":target", "")) + 10 > LONGEST_REQUEST_LINE:
            return html(*line.long_request_line, "Request Line is too large")
        session = Session(self.site, "Guest")
        headers: dict[str, str] = {}
        with self.site.db.lock, self.site.snapshots.seeing(call.snapshot):
            try:
                headers = self.gate.pass_through(call)
                if line.checks_body_first:
                    call.require_json()
                with self.site.transaction():
                    session.user = user_of(self.site, call.headers.get("authorization", ""))
                    reply = self._dispatch(session, call)
            except SiteError as error:
                reply = self._refusal(session, call, error)
        reply.headers |= headers
        return self._with_headers(call, reply)

    def refuse(self, call: Call, error: SiteError) -> Reply:
        """The answer to an error from outside of the site's own work: a fault."""
        line = self.site.line
        bare = line.system_users_see_tracebacks and error.exc_type in _BEFORE_LOGIN
        reply = failure(error, [], traceback=not bare, clean=line.clean_messages)
        return self._with_headers(call, reply)

    def _with_headers(self, call: Call, reply: Reply) -> Reply:
        line = self.site.line
        if line.headers:
            reply.headers = {**line.headers, **reply.headers}
        if line.authenticate_header and reply.status in {401, 403}:
            where = f"http://{call.headers.get('host', '127.0.0.1')}/.well-known/oauth-protected-resource"
            reply.headers["WWW-Authenticate"] = f'Bearer resource_metadata="{where}"'
        return reply

    def _refusal(self, session: Session, call: Call, error: SiteError) -> Reply:
        line = self.site.line
        error = permissions.of_missing(session, error)
        found = self.site.db.one('SELECT allow_error_traceback FROM "tabSystem Settings"')
        allowed = (not found or bool(found[0])) and error.traceback
        accepts = call.headers.get("accept", "")
        return failure(
            error,
            session.messages,
            traceback=allowed and (session.is_system_user or not line.system_users_see_tracebacks),
            wants_html=accepts.startswith("text/html"),
            clean=line.clean_messages,
        )

    @staticmethod
    def _answer(session: Session, body: dict[str, Any], status: int = 200) -> Reply:
        return answer(body, session.messages, status, clean=session.site.line.clean_messages)

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
            if "\n" in name:  # no route has a line break in it
                raise SiteError("DoesNotExistError")
            return (
                self._document(session, call, names[0], name) if name else self._list(session, call, names[0])
            )
        raise SiteError("DoesNotExistError")

    # -- /api/method --------------------------------------------------------------------------------

    def _method(self, session: Session, call: Call, name: str) -> Reply:
        method = methods.find(session.site.line, name)
        if method is None:
            raise self._unknown_method(session, name)
        if session.user == "Guest" and not method.guest:
            raise remote.not_whitelisted(session, name)
        if call.method not in method.verbs:
            raise thrown("Not permitted", "PermissionError")
        result = method.run(session, call, call.arguments())
        if isinstance(result, remote.Docs):
            body: dict[str, Any] = {"docs": result.docs}
            if result.message is not None:
                body["message"] = result.message
            return self._answer(session, body)
        return self._answer(session, {} if result is None else {"message": result})

    @staticmethod
    def _unknown_method(session: Session, name: str) -> SiteError:
        if name in methods.NOT_WHITELISTED:
            return remote.not_whitelisted(session, name)
        if methods.is_gone(session.site.line, name):
            module, _, function = name.rpartition(".")
            return thrown(
                f"Failed to get method for command {name} with module '{module}' has no attribute '{function}'"
            )
        app, dot, _ = name.partition(".")
        if not dot:
            return thrown(f"Failed to get method for command {name} with '{name}'")
        if app in {"frappe", "erpnext"}:
            return unknown_to_the_sandbox(f"method {name}")
        first = f"App {app} is not installed"
        error = thrown(f"Failed to get method for command {name} with {first}")
        error.server_messages = thrown(first).server_messages + error.server_messages
        return error

    # -- /api/resource ------------------------------------------------------------------------------

    def _list(self, session: Session, call: Call, doctype: str) -> Reply:
        if call.method == "GET":
            return self._answer(session, {"data": methods.resource_list(session, doctype, call.arguments())})
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
        return self._answer(session, {"data": doc.shown(nulls=False)})

    def _document(self, session: Session, call: Call, doctype: str, name: str) -> Reply:
        if call.method == "DELETE":
            session.delete(doctype, name)
            return self._answer(session, {"data": "ok"}, 202)
        args = call.arguments()
        if call.method == "POST" or "run_method" in args:
            return self._run(session, call, doctype, name, args)
        if call.method == "PUT":
            return self._update(session, call, doctype, name)
        if call.method != "GET":
            raise SiteError("DoesNotExistError")
        doc = session.load(doctype, name)
        self._require_read(session, doc)
        return self._answer(session, {"data": permissions.hide_guarded(session, doc).shown(nulls=False)})

    @staticmethod
    def _require_read(session: Session, doc: Doc) -> None:
        owner = str(session.value(doc.doctype, doc.name, "parenttype")) if doc.meta.istable else doc.doctype
        session.require(owner, "read", doc.name)

    def _update(self, session: Session, call: Call, doctype: str, name: str) -> Reply:
        if doctype in session.site.metas and session.site.meta(doctype).istable:
            row, _ = remote.update_row(session, doctype, name, call.document())
            return self._answer(session, {"data": row.shown(nulls=False)})
        doc = session.load(doctype, name)
        session.amend(doc, call.document())
        return self._answer(session, {"data": session.save(doc).shown(nulls=False)})

    def _run(self, session: Session, call: Call, doctype: str, name: str, args: dict[str, Any]) -> Reply:
        if not args.get("run_method"):
            raise SiteError("KeyError", "'run_method'")
        doc = session.load(doctype, name)
        session.require(doctype, "write" if call.method == "POST" else "read", doc.name)
        rest = {key: value for key, value in args.items() if key != "run_method"}
        result = remote.run_method(session, doc, str(args["run_method"]), rest)
        shown = result.shown(nulls=False) if isinstance(result, Doc) else result
        return self._answer(session, {} if shown is None else {"data": shown})
