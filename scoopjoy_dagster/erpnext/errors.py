"""What ERPNext's answers mean for the caller: rejected, duplicate, rolled back, or not known.

ERPNext's status codes do not tell: 417 is every business error, 500 is a deadlock as well as a programming error.
So answers are classified by `exc_type` first. The four families decide what may be done next:

* `Rejected`: the request is wrong; asking again cannot help. Nothing was stored.
* `Duplicate` (a `Rejected`): a unique key is taken; fetch what is there and compare. `NameTaken`: the name that ERPNext
  itself has counted out is taken; unless the document that has it is ours, the counter of its naming series is behind.
* `Transient`: certainly nothing was stored (rolled back, or never reached the server); ask again later.
* `Ambiguous`: the request may have been carried out; look before doing anything else.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from scoopjoy_dagster.clean_text import shown

MESSAGE_LIMIT = 400
MESSAGES = 10
"""Messages of one answer that an error repeats."""

_ROLLED_BACK = frozenset({"QueryDeadlockError", "QueryTimeoutError"})
"""Deadlock and lock wait: HTTP 500, but the transaction is rolled back."""

_NOT_SERVED = frozenset(
    {"TooManyRequestsError", "SessionStopped", "InReadOnlyMode", "QueueOverloaded", "ServiceUnavailable"}
)


class Cause(StrEnum):
    """Why a request did not end well, where the remedy depends on it."""

    NAME_NOT_RESOLVED = "name not resolved"
    CONNECTION_REFUSED = "connection refused"
    NO_CONNECTION = "no connection"
    CERTIFICATE_EXPIRED = "certificate expired"
    CERTIFICATE_UNKNOWN = "certificate unknown"
    CERTIFICATE_NAME = "certificate of another name"
    TLS = "no secure connection"
    TIMEOUT = "timeout"
    BROKEN_OFF = "connection broken off"
    MAINTENANCE = "maintenance"
    OVERLOADED = "overloaded"
    NOT_SERVING = "not serving"
    CONFLICT = "conflict"
    IN_BACKGROUND = "still in the background"
    EXCESSIVE = "answer too large"
    LOGIN = "login"
    NO_PERMISSION = "no permission"
    REFUSED = "request refused"

    @property
    def passes(self) -> bool:
        """Whether it can pass without anybody: what is asked again later may succeed."""
        return self in _PASSING

    @property
    def remedy(self) -> str:
        """What a person does about it; empty where ERPNext's own words say it."""
        return _REMEDIES.get(self, "")


_PASSING = frozenset(
    {
        Cause.NAME_NOT_RESOLVED,
        Cause.CONNECTION_REFUSED,
        Cause.NO_CONNECTION,
        Cause.TIMEOUT,
        Cause.BROKEN_OFF,
        Cause.MAINTENANCE,
        Cause.OVERLOADED,
        Cause.NOT_SERVING,
        Cause.CONFLICT,
        Cause.IN_BACKGROUND,
    }
)

_REMEDIES = {
    Cause.NAME_NOT_RESOLVED: "Check the host name in ERPNEXT_URL and the DNS of this machine.",
    Cause.CONNECTION_REFUSED: "Start ERPNext's web server, or correct the port in ERPNEXT_URL.",
    Cause.NO_CONNECTION: "Check that the site is up, and the network and firewall between this machine and it.",
    Cause.CERTIFICATE_EXPIRED: "Renew the certificate of the ERPNext site.",
    Cause.CERTIFICATE_UNKNOWN: "Set ERPNEXT_CA_BUNDLE to the certificate of the authority that issued the site's certificate.",
    Cause.CERTIFICATE_NAME: "Set ERPNEXT_URL to the host name that the site's certificate is for.",
    Cause.TLS: "Check that ERPNEXT_URL is right: https only where the site serves it.",
    Cause.TIMEOUT: "See why ERPNext is slow (its load, its database), or raise ERPNEXT_READ_TIMEOUT_S.",
    Cause.BROKEN_OFF: "Look at the logs of ERPNext's web server: it, or a proxy before it, cut the connection.",
    Cause.MAINTENANCE: "Wait until ERPNext's update has ended; if none is running, run `bench set-maintenance-mode off`.",
    Cause.OVERLOADED: "Wait: ERPNext asks for fewer requests at the moment.",
    Cause.NOT_SERVING: "Look at ERPNext's web server and the proxy before it.",
    Cause.IN_BACKGROUND: "See that ERPNext's background workers run (`bench doctor`).",
    Cause.EXCESSIVE: "See what answers at ERPNEXT_URL: ERPNext sends no such thing. If it was a list, lower SCOOPJOY_WINDOW_DAYS.",
    Cause.LOGIN: "Check ERPNEXT_API_KEY and ERPNEXT_API_SECRET: generate new keys for the integration user if they are lost.",
    Cause.NO_PERMISSION: "Give the integration user the roles that `scoopjoy check` names.",
}


class ERPNextError(Exception):
    """A request to ERPNext that did not end well.

    The text is a sentence for people: what was being done and what ERPNext said. It never holds a header, a
    request body or a credential.

    Args:
        doing: what was asked, in words.
        said: what the answer was, in words.
        status: HTTP status, where there was an answer.
        exc_type: ERPNext's name of the error.
        cause: why, where the status does not say it.
    """

    def __init__(
        self,
        doing: str,
        said: str,
        *,
        status: int | None = None,
        exc_type: str = "",
        cause: Cause = Cause.REFUSED,
    ) -> None:
        self.doing = doing
        self.said = said
        self.status = status
        self.exc_type = exc_type
        self.cause = cause
        super().__init__(f"{doing}: {said}")

    @property
    def is_conflict(self) -> bool:
        """Whether the request only lost against another writer (deadlock, lock wait): nothing is wrong with it."""
        return self.cause is Cause.CONFLICT


class Rejected(ERPNextError):
    """The request is wrong and nothing was stored; repeating it cannot help."""


class Duplicate(Rejected):
    """A unique key is taken already."""


class NameTaken(Duplicate):
    """A document has the name already that ERPNext has given the new one.

    ERPNext counts names in a transaction: a refused insert takes the counter back with it, so the next insert is given
    the same name and is refused again, for as long as the counter is behind (seen on v15 and 17-dev).
    """


class NotFound(Rejected):
    """There is no such document, DocType or method."""


class Forbidden(Rejected):
    """The user's roles do not allow it."""


class LoginFailed(Rejected):
    """The API key or secret is wrong; never retried, so that a rotated key does not hammer the site."""


class Stale(Rejected):
    """The document was changed since it was read (`modified` differs)."""


class Transient(ERPNextError):
    """Certainly nothing was stored; the same request may succeed later."""

    retry_after_s: float | None = None


class Unreachable(Transient):
    """No connection could be made."""


class Ambiguous(ERPNextError):
    """The request may or may not have been carried out: look by key before repeating a write."""


class Excessive(Ambiguous):
    """The answer is beyond what is read of one (bytes, headers, nesting); it is not asked for again."""


class UnsupportedSite(ERPNextError):
    """The site answers, but this program must not work with it as it is."""


_REFUSALS: Mapping[str | int, type[Rejected]] = {
    "DuplicateEntryError": NameTaken,
    "UniqueValidationError": Duplicate,
    "TimestampMismatchError": Stale,
    403: Forbidden,
    404: NotFound,
    409: Duplicate,
}
"""By `exc_type`, or else by HTTP status: what is wrong with a request, where the caller may have to know."""

_Kind = TypeVar("_Kind", bound=ERPNextError)


def classify(
    doing: str, status: int, body: Mapping[str, Any] | None, retry_after: str | None = None
) -> ERPNextError:
    """The error that an answer with a status of 300 or more stands for.

    Args:
        doing: what was asked, in words, e.g. `insert Journal Entry`.
        status: HTTP status.
        body: the decoded JSON object, or None when the answer was not JSON (a proxy, or ERPNext's HTML page).
        retry_after: the header of that name.
    """
    exc_type = shown(str((body or {}).get("exc_type") or ""))[:MESSAGE_LIMIT]
    said = _what_was_said(status, exc_type, body)

    cause = _cause(status, exc_type)

    def make(kind: type[_Kind]) -> _Kind:
        return kind(doing, said, status=status, exc_type=exc_type, cause=cause)

    if exc_type in _ROLLED_BACK or exc_type in _NOT_SERVED or status in {429, 503}:
        error = make(Transient)
        from scoopjoy_dagster.bounded_http import seconds

        error.retry_after_s = seconds(retry_after)
        return error
    if status in {502, 504, 408} or (status >= 500 and (body is None or exc_type == "OperationalError")):
        return make(Ambiguous)
    if status == 401:
        return LoginFailed(
            doing,
            "ERPNext does not accept the API key and secret",
            status=status,
            exc_type=exc_type,
            cause=cause,
        )
    return make(_REFUSALS.get(exc_type) or _REFUSALS.get(status) or Rejected)


def _cause(status: int, exc_type: str) -> Cause:
    match status, exc_type:
        case _, "SessionStopped" | "InReadOnlyMode":
            return Cause.MAINTENANCE
        case _, _ if exc_type in _ROLLED_BACK:
            return Cause.CONFLICT
        case (429, _) | (_, "TooManyRequestsError" | "QueueOverloaded"):
            return Cause.OVERLOADED
        case 408 | 504, _:
            return Cause.TIMEOUT
        case (502 | 503, _) | (_, "ServiceUnavailable" | "OperationalError"):
            return Cause.NOT_SERVING
        case 500, "":
            return Cause.NOT_SERVING
        case 401, _:
            return Cause.LOGIN
        case 403, _:
            return Cause.NO_PERMISSION
    return Cause.REFUSED


def _what_was_said(status: int, exc_type: str, body: Mapping[str, Any] | None) -> str:
    if body is None:
        return f"HTTP {status} without a JSON answer (a proxy, or a server that is starting or failing)"
    texts = server_messages(body)
    if not texts and isinstance(body.get("_error_message"), str):
        texts = [plain_text(body["_error_message"])]
    if not texts and isinstance(body.get("exception"), str):
        texts = [plain_text(body["exception"].partition(": ")[2] or body["exception"])]
    said = "; ".join([text for text in texts if text][:MESSAGES])
    label = exc_type or f"HTTP {status}"
    return f"{label}: {said}" if said else label


def server_messages(body: Mapping[str, Any]) -> list[str]:
    """The messages of an answer as plain text. ERPNext sends a JSON list of JSON strings, some of them lists."""
    raw = body.get("_server_messages")
    if not isinstance(raw, str):
        return []
    try:
        entries = json.loads(raw)
    except (ValueError, RecursionError):
        return [plain_text(raw)]
    texts: list[str] = []
    for entry in entries if isinstance(entries, list) else [entries]:
        try:
            message = json.loads(entry) if isinstance(entry, str) else entry
        except (ValueError, RecursionError):
            message = entry
        if isinstance(message, dict):
            message = message.get("message", "")
        for part in message if isinstance(message, list) else [message]:
            texts.append(plain_text(str(part)))
    return [text for text in texts if text]


def plain_text(message: str) -> str:
    """A message of ERPNext without its HTML and control characters, on one line, at most 400 characters (head and tail are kept)."""
    text = shown(html.unescape(re.sub(r"<[^<>]*>", " ", message)))
    text = " ".join(text.split())
    if len(text) > MESSAGE_LIMIT:
        half = MESSAGE_LIMIT // 2
        text = f"{text[:half]} ... {text[-half:]}"
    return text
