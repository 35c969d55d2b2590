"""HTTP answers of servers that are not trusted: bounded in time, in bytes, in headers and in nesting.

`requests` and what it is made of bound the wait for the next byte, and nothing else: a byte a second holds a request for
ever, in the headers as in the body; 389 kB of gzip become 400 MB; the body of a redirect that is not followed is read all
the same. Here: the session and the reader that both clients use. Not here: what an answer means.
"""

from __future__ import annotations

import io
import json
import socket
import time
from decimal import Decimal
from http.client import HTTPException, HTTPResponse, LineTooLong
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from scoopjoy_dagster.clean_text import held

HEADER_BYTES = 256 << 10
"""Bytes of the headers; `http.client` itself takes 100 lines of 64 kB each, and any number of interim answers."""

UNPACKED = 16 << 20
"""Bytes to which an answer may unpack however few were sent."""

RATIO = 100
"""Beyond `UNPACKED`: how many bytes one that was sent may unpack to. Lists of ERPNext unpack to 10 to 25; a bomb to 1,000."""

DIGITS = 40
"""Digits before or behind the point that a number may have."""

_CHUNK = 64 << 10


class Excess(Exception):
    """An answer is beyond a bound; the text says which. What became of the request is not known."""


def whole_s(timeout_s: float) -> float:
    """Seconds for a whole answer, headers and all: the timeout of a read for it to begin, and as long again to come."""
    return 2 * timeout_s


def session() -> requests.Session:
    """A session whose answers are to be read with `read`, asked for with `stream=True`."""
    made = _Session()
    made.mount("http://", _Adapter())
    made.mount("https://", _Adapter())
    return made


def read(answer: requests.Response, most: int) -> bytes | bytearray:
    """The unpacked body of an answer that was asked for with `stream=True`, which is closed then.

    Args:
        answer: of a `session`.
        most: how many bytes it may have.

    Raises:
        Excess: it has more, or unpacks out of all proportion.
        requests.RequestException: it broke off, or did not come in time.
    """
    body = bytearray()
    # urllib3 does not count the bytes of chunked answers.
    received = cast("_Response", answer.raw._original_response).received  # noqa: SLF001
    with answer:
        try:
            for chunk in answer.iter_content(_CHUNK):
                body += chunk
                if len(body) > most:
                    raise Excess(f"has more than {most >> 20} MiB")
                if len(body) > UNPACKED and len(body) > RATIO * received():
                    raise Excess(f"unpacks to more than {RATIO} times of what was sent")
        except requests.RequestException:
            raise
        except ValueError:  # http.client's, of a chunk of less than no bytes
            raise Excess("has chunks that cannot be read") from None
    return body


def decoded(body: bytes | bytearray) -> Any:
    """The JSON of a body; numbers with a point are `Decimal`, and no text holds a control character: see `clean_text.held`.

    Raises:
        ValueError: it is no JSON.
        Excess: it is nested too deeply, or has a number that nobody can work with.
    """
    try:
        # Of bytes `json` would guess the encoding, and UTF-16 can be all ASCII to the eye.
        value = json.loads(body.decode("utf-8-sig"), parse_float=_number)
    except RecursionError:
        raise Excess("is nested too deeply") from None
    # Control characters come as escapes, as DEL, or beyond ASCII; most answers have none of these.
    return held(value) if b"\\" in body or b"\x7f" in body or not body.isascii() else value


def seconds(header: str | None) -> float | None:
    """A header's number of whole seconds; None when it is not one. `²` is a digit to `str.isdigit`."""
    text = (header or "").strip()
    return float(text) if text.isascii() and text.isdigit() else None


def _number(text: str) -> Decimal:
    if len(text) <= DIGITS and "e" not in text and "E" not in text:  # all that ERPNext sends
        return Decimal(text)
    try:
        value = Decimal(text)
    except ArithmeticError:
        value = Decimal("Infinity")
    if not value.is_finite() or abs(value.adjusted()) > DIGITS:
        raise Excess("has a number that is too long")
    return value


class _Socket(io.RawIOBase):
    """The bytes of a socket until the answer must be there; each byte has the socket's own timeout besides."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw, self._sock = raw, sock
        self._timeout_s = sock.gettimeout()
        self._until = time.monotonic() + whole_s(self._timeout_s or 0)
        self.received = 0
        self.most = HEADER_BYTES
        """Until the headers are there."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.most and self.received > self.most:
            raise Excess(f"has more than {self.most >> 10} KiB of headers")
        if self._timeout_s is not None:
            left = self._until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._sock.settimeout(min(self._timeout_s, left))
        count = self._raw.readinto(buffer)
        self.received += count or 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    """An answer that is read through a `_Socket`."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self._bytes = _Socket(self.fp.detach(), sock)
        self.fp = io.BufferedReader(self._bytes)

    def begin(self) -> None:
        try:
            super().begin()
            while 101 < self.status < 200:  # `http.client` takes these for the answer, which comes after them
                self.headers = self.msg = None  # type: ignore[assignment]
                super().begin()
        except HTTPException as problem:
            # The plain class is what http.client says when there are too many of them.
            if type(problem) in {HTTPException, LineTooLong}:
                raise Excess("has too many headers, or too long ones") from None
            raise
        self._bytes.most = 0

    def received(self) -> int:
        """Bytes that have come over the wire, headers included."""
        return self._bytes.received


class _HTTP(HTTPConnection):
    response_class = _Response


class _HTTPS(HTTPSConnection):
    response_class = _Response


class _Adapter(HTTPAdapter):
    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> HTTPConnectionPool:
        pool = cast("HTTPConnectionPool", super().get_connection_with_tls_context(*arguments, **options))
        pool.ConnectionCls = _HTTPS if pool.scheme == "https" else _HTTP
        return pool


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - the signature of `requests`
        """None: `requests` would read all of a redirect's body before it looks whether to follow it."""
        return None
