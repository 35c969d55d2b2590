"""A real HTTP server on loopback that answers what a test has written down, one answer after another."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from scoopjoy_dagster.erpnext.session import RetryRule, Session

KEY, SECRET = "the-api-key", "the-api-secret"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: status, JSON object (or raw text), headers; or a connection that is reset before or in it."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    reset: bool = False
    cut: bool = False

    @property
    def content(self) -> bytes:
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body or {}).encode()


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Site(ThreadingHTTPServer):
    """The server: `answers` are given in order, the last one again and again."""

    daemon_threads = True

    def __init__(self, answers: Sequence[Answer]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = list(answers)
        self.asked: list[Asked] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that the test itself has reset is no error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Site

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.server.asked.append(
            Asked(
                self.command,
                self.path,
                {name.lower(): value for name, value in self.headers.items()},
                self.rfile.read(length),
            )
        )
        answer = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        if answer.reset:
            self._reset()
            return
        content = answer.content
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) + 10 * answer.cut))
        self.end_headers()
        self.wfile.write(content)
        if answer.cut:
            self.close_connection = True

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - the names that the base class calls

    def log_message(self, *_: Any) -> None:
        """Nothing on the terminal."""


@contextmanager
def answering(*answers: Answer) -> Iterator[Site]:
    """A site that gives these answers."""
    site = Site(answers)
    thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.shutdown()
        site.server_close()
        thread.join()


@dataclass
class Waits:
    """A sleep that only writes down how long."""

    seconds: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@contextmanager
def session_with(
    site: Site, waits: Waits | None = None, *, rule: RetryRule | None = None, jitter: float = 1.0
) -> Iterator[Session]:
    """A session with that site which never really waits; a jitter of 1 is the longest wait of its step."""
    with Session(
        site.url, KEY, SECRET, retry=rule, sleep=waits or Waits(), jitter=lambda: jitter, read_timeout_s=5.0
    ) as session:
        yield session
