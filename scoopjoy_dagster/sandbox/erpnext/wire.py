"""Requests and replies as plain values, and the JSON bodies of Frappe.

Belongs here: shapes of bodies and headers. Does not belong here: sockets (``server``), dispatch (``routes``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from scoopjoy_dagster.sandbox.erpnext.errors import SiteError, thrown
from scoopjoy_dagster.sandbox.erpnext.messages import packed

JSON = "application/json"
HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Upload:
    """The file of a multipart request."""

    filename: str
    content: bytes


@dataclass(slots=True)
class Call:
    """A request, read from the socket in full. ``path`` is decoded; header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""
    form: dict[str, str] | None = None
    upload: Upload | None = None
    #: What the database was like when the request came (``snapshots``).
    snapshot: int | None = None

    @property
    def is_write(self) -> bool:
        return self.method not in {"GET", "HEAD", "OPTIONS"}

    def arguments(self) -> dict[str, Any]:
        """Query string, then form or JSON body: what Frappe calls the form dict."""
        found: dict[str, Any] = dict(parse_qsl(self.query, keep_blank_values=True))
        sent = self.sent()
        return found | sent

    def sent(self) -> dict[str, Any]:
        """The body alone."""
        if self.form is not None:
            return dict(self.form)
        if not self.body.strip():
            return {}
        if "json" in self.headers.get("content-type", ""):
            return self._json()
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    def require_json(self) -> None:
        """Refuse a body that says it is JSON and cannot be read."""
        if self.form is None and self.body.strip() and "json" in self.headers.get("content-type", ""):
            try:
                json.loads(self.body)
            except json.JSONDecodeError:
                raise thrown("Invalid request body", "DataError") from None

    def document(self) -> dict[str, Any]:
        """The body as a document: JSON whatever its type says, form fields otherwise; ``data`` unwrapped."""
        sent = self.sent()
        if "data" in sent and len(sent) == 1 and isinstance(sent["data"], str):
            return loads(sent["data"])  # type: ignore[no-any-return]
        return sent

    def _json(self) -> dict[str, Any]:
        value = loads(self.body)
        if isinstance(value, list):
            raise SiteError("TypeError", f"pop expected at most 1 argument, got {len(value)}")
        if not isinstance(value, dict):
            raise thrown("Invalid request arguments")
        return value


@dataclass(slots=True)
class Reply:
    """An answer before it is written to the socket."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


def loads(text: str | bytes) -> Any:
    """JSON as Frappe reads it: malformed text is its 500 JSONDecodeError."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise SiteError("JSONDecodeError", str(error)) from None


def parsed(value: Any) -> Any:
    """An argument that may be JSON in a string or the value itself."""
    return loads(value) if isinstance(value, str) and value[:1] in {"[", "{"} else value


def answer(
    body: dict[str, Any], messages: list[dict[str, Any]], status: int = 200, *, clean: bool = False
) -> Reply:
    """A JSON answer with the messages of the session."""
    if messages:
        body = {**body, "_server_messages": packed(messages, clean=clean)}
    return Reply(status, json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode())


def failure(
    error: SiteError,
    messages: list[dict[str, Any]],
    *,
    traceback: bool = True,
    wants_html: bool = False,
    clean: bool = False,
) -> Reply:
    """The answer to an error; without System Settings.allow_error_traceback nothing but type and messages."""
    if wants_html:
        return html(error.status, error.exc_type.removesuffix("Error"), error.text, error.headers)
    body: dict[str, Any] = {"exc_type": error.exc_type}
    if error.exc_type != "DoesNotExistError" and traceback:
        body = {
            "exception": error.exception,
            "exc_type": error.exc_type,
            "exc": json.dumps([f"Traceback (most recent call last):\n  (not kept)\n{error.exception}\n"]),
        }
    every = messages + error.server_messages
    if every:
        body["_server_messages"] = packed(every, clean=clean)
    if error.error_message:
        body["_error_message"] = error.error_message
    return Reply(error.status, json.dumps(body, separators=(",", ":")).encode(), JSON, dict(error.headers))


def html(status: int, title: str, text: str = "", headers: dict[str, str] | None = None) -> Reply:
    """An HTML page, as proxies and gunicorn answer."""
    page = (
        f"<html>\n  <head>\n    <title>{title}</title>\n  </head>\n  <body>\n    <h1>{title}</h1>\n    {text}\n"
        "  </body>\n</html>\n"
    )
    return Reply(status, page.encode(), HTML, dict(headers or {}))
