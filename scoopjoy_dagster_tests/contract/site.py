"""An ERPNext site as seen over HTTP: one call, one answer, and the users that the suite makes for itself.

Deliberately plain `requests`, not the client of scoopjoy_dagster: the contract must not share a mistake with the
program that relies on it. What an ERPNext means by its answers is stated in the tests, not here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

TIMEOUT_SECONDS = 120
PATIENCE = 20
_TAG = re.compile(r"<[^>]+>")


@dataclass(frozen=True)
class Answer:
    """What the server answered: status, headers, raw bytes and, where they are JSON, the parsed body."""

    status: int
    headers: Mapping[str, str]  # of any case
    content: bytes
    body: Any

    @property
    def exc_type(self) -> str | None:
        """The class name of the server's exception, the one stable name an error has."""
        return self.body.get("exc_type") if isinstance(self.body, dict) else None

    @property
    def messages(self) -> list[str]:
        """Texts of `_server_messages` (a JSON list of JSON objects, whose message may itself be a list), without HTML."""
        raw = self.body.get("_server_messages") if isinstance(self.body, dict) else None
        return [_TAG.sub("", text) for text in _texts(json.loads(raw) if raw else [])]

    @property
    def value(self) -> Any:
        """The payload of a success: `data` of /api/resource, `message` of /api/method (absent means None)."""
        self.accepted()
        return self.body.get("data", self.body.get("message"))

    def accepted(self) -> None:
        """Assert that the call succeeded, where its payload does not matter."""
        assert self.status in (200, 202), self.summary()

    def refused(self, status: int, exc_type: str) -> Answer:
        """Assert that the call failed exactly so, and hand the answer on for a look at its messages."""
        assert (self.status, self.exc_type) == (status, exc_type), self.summary()
        return self

    def summary(self) -> str:
        said = self.messages
        if isinstance(self.body, dict):
            said = said or [str(self.body.get("exception", ""))]
        return f"HTTP {self.status} {self.exc_type}: {'; '.join(said)[:500] or self.content[:300]!r}"


def _texts(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        message = json.loads(entry).get("message", "") if isinstance(entry, str) else entry
        yield from (str(part) for part in (message if isinstance(message, list) else [message]))


def patiently(call: Callable[[], Answer]) -> Answer:
    """The answer of a call once no other writer is in its way: what ends in a deadlock has stored nothing."""
    for _ in range(PATIENCE):
        answer = call()
        if answer.exc_type != "QueryDeadlockError":
            break
    return answer


@dataclass
class Caller:
    """Somebody who calls the site: an API key, or nobody at all."""

    url: str
    authorization: str | None = field(default=None, repr=False)  # a secret stays out of test reports
    user: str = "Guest"
    session: requests.Session = field(default_factory=requests.Session, repr=False)

    def again(self) -> Caller:
        """The same identity over a connection of its own, for calls made at the same moment."""
        return Caller(self.url, self.authorization, self.user)

    def close(self) -> None:
        self.session.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> Answer:
        sent = {"Accept": "application/json", **(headers or {})}
        if self.authorization:
            sent.setdefault("Authorization", self.authorization)
        response = self.session.request(
            method, self.url + path, json=json, params=params, headers=sent, timeout=TIMEOUT_SECONDS, **more
        )
        try:
            body = response.json()
        except ValueError:
            body = None
        return Answer(response.status_code, response.headers, response.content, body)

    def rpc(self, method: str, /, **arguments: Any) -> Answer:
        """POST /api/method/METHOD with a JSON object of arguments."""
        return self.call("POST", f"/api/method/{method}", json=arguments)

    def insert(self, doctype: str, /, **fields: Any) -> Answer:
        return self.call("POST", f"/api/resource/{quote(doctype)}", json=fields)

    def get(self, doctype: str, name: str) -> Answer:
        return self.call("GET", resource(doctype, name))

    def put(self, doctype: str, name: str, /, **fields: Any) -> Answer:
        return self.call("PUT", resource(doctype, name), json=fields)

    def delete(self, doctype: str, name: str) -> Answer:
        return self.call("DELETE", resource(doctype, name))

    def page(self, doctype: str, fields: list[Any], filters: Any = (), **params: Any) -> Answer:
        """GET /api/resource/DOCTYPE: a page as the server cuts it, unless a limit is among the parameters."""
        query = {"fields": _json(fields), "filters": _json(filters), **params}
        return self.call("GET", f"/api/resource/{quote(doctype)}", params=query)

    def rows(self, doctype: str, fields: list[Any], filters: Any = (), **params: Any) -> Any:
        """All rows of a list, ordered by name unless told otherwise."""
        return self.page(
            doctype, fields, filters, **{"order_by": "name asc", "limit_page_length": 0, **params}
        ).value

    def submit(self, doctype: str, name: str) -> Answer:
        return self.put(doctype, name, docstatus=1)

    def cancel(self, doctype: str, name: str) -> Answer:
        return self.rpc("frappe.client.cancel", doctype=doctype, name=name)


def resource(doctype: str, name: str) -> str:
    return f"/api/resource/{quote(doctype)}/{quote(name, safe='')}"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


class Site:
    """The site under test. `robot` is the user of the key that was given; others are hired by the suite."""

    def __init__(self, url: str, authorization: str, prefix: str, line: str) -> None:
        self.url, self.prefix, self.line = url, prefix, line
        self._callers: list[Caller] = []
        self._hired: list[str] = []
        self.guest = self._caller(None, "Guest")
        self.owner = self.robot = self._caller(authorization, "")
        self.owner.user = self.owner.call("GET", "/api/method/frappe.auth.get_logged_user").value

    def _caller(self, authorization: str | None, user: str) -> Caller:
        self._callers.append(Caller(self.url, authorization, user))
        return self._callers[-1]

    def hire(self, label: str, roles: list[str]) -> Caller:
        """Make a user with these roles and an API key, the way the desk's "Generate Keys" button does."""
        email = f"{self.prefix.lower()}-{label}@example.com"
        made = self.owner.insert(
            "User",
            email=email,
            first_name=f"{self.prefix} {label}",
            enabled=1,
            send_welcome_email=0,
            roles=[{"role": role} for role in roles],
        )
        user = made.value["name"]
        self._hired.append(user)
        secret = self.owner.rpc("frappe.core.doctype.user.user.generate_keys", user=user).value["api_secret"]
        key = self.owner.get("User", user).value["api_key"]
        return self._caller(f"token {key}:{secret}", user)

    def close(self) -> None:
        """Disable the users that were made (nobody should write to them) and close all connections."""
        for user in self._hired:
            self.owner.put("User", user, enabled=0).accepted()
        for caller in self._callers:
            caller.close()
