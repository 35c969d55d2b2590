"""An embedded headquarters: receives the day's totals as the real one does, and keeps the highest revision of a day.

Here: the receiving side of the webhook (Standard Webhooks: signature, clock skew; idempotency, receipts), a page that
shows the days, and switches that make it fail. It shares no code with the sending side, so each checks the other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import sqlite3
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from jinja2 import Environment
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from scoopjoy_dagster.sandbox.loopback import ONLY_LOOPBACK_NAMES, LoopbackServer, cut

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.requests import Request

PATH = "/webhooks/daily-totals"
SKEW_S = 300
"""How far, in seconds, a delivery's timestamp may be from this clock, either way."""

MOST_BYTES = 32 << 20
"""Bytes that a body may have; a day of 50,000 franchises has about 13 MB."""

MOST_LEVELS = 4
"""How deep a document is nested: the names of the Journal Entries in a row of the franchises."""

_IDS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:scoopjoy.daily-totals/1")

_REQUIRED = {"schema", "company", "business_day", "revision", "currency", "policy", "totals", "franchises"}

_TABLE = """
CREATE TABLE IF NOT EXISTS delivery (
    idempotency_key TEXT PRIMARY KEY,
    delivery_id TEXT NOT NULL,
    body BLOB NOT NULL,
    company TEXT NOT NULL,
    business_day TEXT NOT NULL,
    revision INTEGER NOT NULL,
    receipt TEXT NOT NULL,
    received_at REAL NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One accepted delivery: its key, its id, the document, and the receipt that was answered."""

    idempotency_key: str
    delivery_id: str
    payload: dict[str, Any]
    receipt: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One POST that arrived: its headers (names in lower case), and the status it was answered (None: connection cut)."""

    headers: dict[str, str]
    status: int | None


@dataclass(frozen=True, slots=True)
class _Failure:
    answer: int | Literal["drop", "truncate"]
    after_storing: bool
    retry_after_s: int | None
    hook: Callable[[], None] | None


class SandboxHQ:
    """Headquarters on loopback.

    Args:
        secret: the shared secret, `whsec_` and base64 or any other text; made up when not given.
        database: SQLite file that outlives the process; in memory when not given.
        clock: the present time in unix seconds.
    """

    def __init__(
        self,
        secret: str | None = None,
        database: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.secret = secret or "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        self.attempts: list[Attempt] = []
        self._clock = clock
        self._failures: deque[_Failure] = deque()
        self._lock = threading.Lock()
        self._db = sqlite3.connect(str(database or ":memory:"), check_same_thread=False, isolation_level=None)
        self._db.execute(_TABLE)
        routes = [Route(PATH, self._receive, methods=["POST"]), Route("/", self._page, methods=["GET"])]
        self._server = LoopbackServer(Starlette(routes=routes, middleware=[ONLY_LOOPBACK_NAMES]))

    def __repr__(self) -> str:
        return f"SandboxHQ({self.page_url!r})"

    def start(self, port: int = 0) -> str:
        """Listen on the port (0: any free one) and return ``url``."""
        self._server.start(port)
        return self.url

    def stop(self) -> None:
        """Stop listening. What it holds stays readable, and it may be started again."""
        self._server.stop()

    def close(self) -> None:
        """Stop, and let go of the database."""
        self.stop()
        self._db.close()

    @property
    def url(self) -> str:
        """Where deliveries are posted."""
        return self._server.url + PATH

    @property
    def page_url(self) -> str:
        """The page for people."""
        return self._server.url + "/"

    @property
    def deliveries(self) -> list[Delivery]:
        """Every accepted delivery, oldest first; a repeated key is not a new one."""
        with self._lock:
            rows = self._db.execute(
                "SELECT idempotency_key, delivery_id, body, receipt FROM delivery ORDER BY rowid"
            ).fetchall()
        return [
            Delivery(key, ident, json.loads(body), json.loads(receipt)) for key, ident, body, receipt in rows
        ]

    @property
    def days(self) -> dict[tuple[str, str], dict[str, Any]]:
        """By (company, business day), the document with the highest revision."""
        held: dict[tuple[str, str], dict[str, Any]] = {}
        for payload in sorted((d.payload for d in self.deliveries), key=lambda payload: payload["revision"]):
            held[payload["company"], payload["business_day"]] = payload
        return dict(sorted(held.items()))

    def fail_next(
        self,
        answer: int | Literal["drop", "truncate"],
        times: int = 1,
        *,
        after_storing: bool = False,
        retry_after_s: int | None = None,
        hook: Callable[[], None] | None = None,
    ) -> None:
        """Make the next deliveries fail.

        Args:
            answer: the HTTP status to answer; ``"drop"`` cuts the connection without an answer, ``"truncate"``
                stores the delivery and answers half of the receipt.
            times: for how many deliveries.
            after_storing: fail only once the delivery is stored: the sender cannot know that it was.
            retry_after_s: seconds for a Retry-After header.
            hook: called before the answer; kills the sender, for one.
        """
        self._failures.extend([_Failure(answer, after_storing, retry_after_s, hook)] * times)

    @property
    def failures_left(self) -> int:
        """How many of the failures asked for have not come yet."""
        return len(self._failures)

    def heal(self) -> None:
        """No failures any more."""
        self._failures.clear()

    async def _receive(self, request: Request) -> Response:
        received = bytearray()
        async for chunk in request.stream():
            received += chunk
            if len(received) > MOST_BYTES:
                return _refusal(413, f"the body has more than {MOST_BYTES >> 20} MiB")
        body = bytes(received)
        failure = self._failures.popleft() if self._failures else None
        response: Response
        if failure is None:
            response = self._accept(request, body)
        else:
            truncated = failure.answer == "truncate"
            receipt = self._accept(request, body) if failure.after_storing or truncated else Response()
            if failure.hook is not None:
                await run_in_threadpool(failure.hook)
            if failure.answer == "drop":
                self.attempts.append(Attempt(dict(request.headers), None))
                return await cut(request)
            if failure.answer == "truncate":
                half = bytes(receipt.body)[: len(receipt.body) // 2]
                response = Response(half, receipt.status_code, media_type="application/json")
            else:
                wait = {} if failure.retry_after_s is None else {"Retry-After": str(failure.retry_after_s)}
                response = _refusal(failure.answer, "this failure was asked for", wait)
        self.attempts.append(Attempt(dict(request.headers), response.status_code))
        return response

    def _accept(self, request: Request, body: bytes) -> Response:
        headers = request.headers
        ident, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not self._is_signed(ident, timestamp, body, headers.get("webhook-signature", "")):
            return _refusal(401, "no signature is that of the id, the timestamp and the body")
        if not re.fullmatch("[0-9]{1,12}", timestamp) or abs(int(timestamp) - self._clock()) > SKEW_S:
            return _refusal(401, f"the timestamp is missing or more than {SKEW_S} s off")
        if headers.get("X-ScoopJoy-Event") != "daily_totals":
            return _refusal(422, "this address takes the event daily_totals only")
        try:
            payload = json.loads(body)
            json.dumps(payload, ensure_ascii=False).encode()  # half a character cannot be kept or answered
        except (ValueError, RecursionError):
            return _refusal(400, "the body is no JSON")
        problem = _problem(payload)
        if problem:
            return _refusal(400, problem)
        key = f"hq:{payload['company']}:{payload['business_day']}:{payload['revision']}"
        if unquote(headers.get("Idempotency-Key", "")) != key:
            return _refusal(400, "Idempotency-Key is missing, or is not that of the body")
        if ident != str(uuid.uuid5(_IDS, key)):
            return _refusal(400, "webhook-id is not that of the body")
        with self._lock:
            return self._store(key, ident, body, payload)

    def _is_signed(self, ident: str, timestamp: str, body: bytes, signatures: str) -> bool:
        given = self.secret.removeprefix("whsec_")
        secret = self.secret.encode() if given == self.secret else base64.b64decode(given)
        expected = hmac.digest(secret, f"{ident}.{timestamp}.".encode() + body, hashlib.sha256)
        signature = b"v1," + base64.b64encode(expected)
        return any(hmac.compare_digest(signature, one.encode()) for one in signatures.split(" "))

    def _store(self, key: str, ident: str, body: bytes, payload: dict[str, Any]) -> Response:
        known = self._db.execute(
            "SELECT body, receipt FROM delivery WHERE idempotency_key = ?", (key,)
        ).fetchone()
        if known is not None:
            if known[0] != body:
                return _refusal(409, f"the key {key} was used for another body")
            return JSONResponse({**json.loads(known[1]), "duplicate": True}, 200)
        day = (payload["company"], payload["business_day"])
        higher = self._db.execute(
            "SELECT body FROM delivery WHERE company = ? AND business_day = ? AND revision > ?"
            " ORDER BY revision DESC LIMIT 1",
            (*day, payload["revision"]),
        ).fetchone()
        held = payload if higher is None else json.loads(higher[0])
        receipt = {
            "receipt_id": f"HQ-{day[1]}-{secrets.token_hex(4)}",
            "revision": held["revision"],
            "totals": held["totals"],
            "duplicate": False,
        }
        self._db.execute(
            "INSERT INTO delivery VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (key, ident, body, *day, payload["revision"], json.dumps(receipt), self._clock()),
        )
        return JSONResponse(receipt, 201)

    async def _page(self, _request: Request) -> Response:
        return HTMLResponse(_PAGE.render(days=reversed(self.days.values()), deliveries=len(self.deliveries)))


def _refusal(status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": reason}, status, headers)


def _problem(payload: Any) -> str | None:
    """What is wrong with the document, None when nothing is."""
    if not isinstance(payload, dict) or not payload.keys() >= _REQUIRED:
        return f"the body must be an object with {', '.join(sorted(_REQUIRED))}"
    if payload["schema"] != "scoopjoy.daily-totals/1":
        return "schema must be scoopjoy.daily-totals/1"
    if not _is_plain(payload):
        return f"amounts must be decimal strings, and the body at most {MOST_LEVELS} levels deep"
    if not all(isinstance(payload[name], str) and payload[name] for name in ("company", "business_day")):
        return "company and business_day must be texts"
    if type(payload["revision"]) is not int or not 0 <= payload["revision"] < 2**63:  # as SQLite holds
        return "revision must be a whole number, 0 or more"
    if not isinstance(payload["totals"], dict) or not isinstance(payload["franchises"], list):
        return "totals must be an object and franchises a list"
    return None


def _is_plain(value: Any, levels: int = MOST_LEVELS) -> bool:
    """Whether it is text and whole numbers, and objects and lists of them in at most so many levels."""
    if isinstance(value, (dict, list)):
        inside = value.values() if isinstance(value, dict) else value
        return levels > 0 and all(_is_plain(one, levels - 1) for one in inside)
    return not isinstance(value, float)


_PAGE = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><title>ScoopJoy headquarters</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222; }
  table { border-collapse: collapse; width: 100%; } caption { text-align: left; color: #666; padding: .5rem 0; }
  th, td { border-bottom: 1px solid #ddd; padding: .4rem .6rem; text-align: left; vertical-align: top; }
  .n { text-align: right; font-variant-numeric: tabular-nums; } details table { margin: .5rem 0; }
</style>
</head>
<body>
<h1>Headquarters</h1>
<table>
<caption>{{ deliveries }} deliveries accepted; the highest revision of each day</caption>
<thead><tr><th>Business day</th><th>Company</th><th class="n">Revision</th><th class="n">Invoices</th>
<th class="n">Sales</th><th class="n">Royalty base</th><th class="n">Royalty</th><th class="n">POS sales</th>
<th>Franchises</th></tr></thead>
<tbody>
{% for day in days %}
<tr><td>{{ day.business_day }}</td><td>{{ day.company }}</td><td class="n">{{ day.revision }}</td>
{% for total in ["invoices", "sales", "royalty_base", "royalty", "pos_sales"] %}
<td class="n">{{ day.totals[total] }}</td>
{% endfor %}
<td><details><summary>{{ day.franchises | length }}</summary><table>
<thead><tr><th>Customer</th><th class="n">Base</th><th class="n">Rate %</th><th class="n">Royalty</th></tr></thead>
{% for row in day.franchises %}
<tr><td>{{ row.customer_name }}</td><td class="n">{{ row.base }}</td><td class="n">{{ row.rate }}</td>
<td class="n">{{ row.royalty }}</td></tr>
{% endfor %}
</table></details></td></tr>
{% else %}
<tr><td colspan="9">No day has been delivered yet.</td></tr>
{% endfor %}
</tbody>
</table>
</body>
</html>
""")
