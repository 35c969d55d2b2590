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
from typing import Any, TypeVar

MESSAGE_LIMIT = 400

_ROLLED_BACK = frozenset({"QueryDeadlockError", "QueryTimeoutError"})
"""Deadlock and lock wait: HTTP 500, but the transaction is rolled back."""

_NOT_SERVED = frozenset(
    {"TooManyRequestsError", "SessionStopped", "InReadOnlyMode", "QueueOverloaded", "ServiceUnavailable"}
)


class ERPNextError(Exception):
    """A request to ERPNext that did not end well.

    The text is a sentence for people: what was being done and what ERPNext said. It never holds a header, a
    request body or a credential.
    """

    def __init__(self, doing: str, said: str, *, status: int | None = None, exc_type: str = "") -> None:
        self.doing = doing
        self.said = said
        self.status = status
        self.exc_type = exc_type
        super().__init__(f"{doing}: {said}")

    @property
    def is_conflict(self) -> bool:
        """Whether the request only lost against another writer (deadlock, lock wait): nothing is wrong with it."""
        return self.exc_type in _ROLLED_BACK


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
    exc_type = str((body or {}).get("exc_type") or "")
    said = _what_was_said(status, exc_type, body)

    def make(kind: type[_Kind]) -> _Kind:
        return kind(doing, said, status=status, exc_type=exc_type)

    if exc_type in _ROLLED_BACK or exc_type in _NOT_SERVED or status in {429, 503}:
        error = make(Transient)
        if retry_after and retry_after.strip().isdigit():
            error.retry_after_s = float(retry_after)
        return error
    if status in {502, 504, 408} or (status >= 500 and (body is None or exc_type == "OperationalError")):
        return make(Ambiguous)
    if status == 401:
        return LoginFailed(
            doing, "ERPNext does not accept the API key and secret", status=status, exc_type=exc_type
        )
    return make(_REFUSALS.get(exc_type) or _REFUSALS.get(status) or Rejected)


def _what_was_said(status: int, exc_type: str, body: Mapping[str, Any] | None) -> str:
    if body is None:
        return f"HTTP {status} without a JSON answer (a proxy, or a server that is starting or failing)"
    texts = server_messages(body)
    if not texts and isinstance(body.get("_error_message"), str):
        texts = [plain_text(body["_error_message"])]
    if not texts and isinstance(body.get("exception"), str):
        texts = [plain_text(body["exception"].partition(": ")[2] or body["exception"])]
    said = "; ".join(text for text in texts if text)
    label = exc_type or f"HTTP {status}"
    return f"{label}: {said}" if said else label


def server_messages(body: Mapping[str, Any]) -> list[str]:
    """The messages of an answer as plain text. ERPNext sends a JSON list of JSON strings, some of them lists."""
    raw = body.get("_server_messages")
    if not isinstance(raw, str):
        return []
    try:
        entries = json.loads(raw)
    except ValueError:
        return [plain_text(raw)]
    texts: list[str] = []
    for entry in entries if isinstance(entries, list) else [entries]:
        try:
            message = json.loads(entry) if isinstance(entry, str) else entry
        except ValueError:
            message = entry
        if isinstance(message, dict):
            message = message.get("message", "")
        for part in message if isinstance(message, list) else [message]:
            texts.append(plain_text(str(part)))
    return [text for text in texts if text]


def plain_text(message: str) -> str:
    """A message of ERPNext without its HTML, on one line, at most 400 characters (head and tail are kept)."""
    text = html.unescape(re.sub(r"<[^>]*>", " ", message))
    text = " ".join(text.split())
    if len(text) > MESSAGE_LIMIT:
        half = MESSAGE_LIMIT // 2
        text = f"{text[:half]} ... {text[-half:]}"
    return text
