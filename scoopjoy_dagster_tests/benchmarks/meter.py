"""Seconds inside a server, measured at the client: the time in which at least one request to it is on its way.

A request is on its way from the first byte sent until its answer is read. The same meter stands under the program's own
session and under the naive way, so that both are measured alike; what the client does with an answer is not in it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import requests

READING = (
    "get_list",
    "get_count",
    "get_pos_invoices",
    "get_value",
    "/ping",
    "get_logged_user",
    "get_user_permissions",
    "get_versions",
)
"""Ends of methods that change nothing although they may be asked by POST."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, with the unix seconds at which it began and ended."""

    begin: float
    end: float
    writes: bool


def is_write(method: str, url: str) -> bool:
    """Whether a request may change something."""
    return method.upper() != "GET" and not url.partition("?")[0].endswith(READING)


def union(spans: Iterable[tuple[float, float]], first: float = 0.0, last: float = float("inf")) -> float:
    """Seconds of [first, last] that at least one span covers."""
    total, reached = 0.0, first
    for begin, end in sorted(spans):
        if min(end, last) > max(begin, reached):
            total += min(end, last) - max(begin, reached)
            reached = min(end, last)
    return total


class Meter:
    """What was asked of one server."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/") + "/"
        self._lock = threading.Lock()
        self.asked: list[Asked] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count while the block runs."""
        send = requests.Session.send

        def counted(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:
            if not str(request.url).startswith(self._url):
                return send(session, request, **options)
            begin = time.time()
            try:
                return send(session, request, **options)
            finally:
                asked = Asked(begin, time.time(), is_write(str(request.method), str(request.url)))
                with self._lock:
                    self.asked.append(asked)

        with mock.patch.object(requests.Session, "send", counted):
            yield

    def between(self, first: float, last: float) -> dict[str, Any]:
        """Seconds inside, requests and writes of a span of time. A request counts where it ended."""
        inside: Sequence[Asked] = [one for one in self.asked if one.end > first and one.begin < last]
        ended = [one for one in inside if one.end <= last]
        return {
            "inside_s": union(((one.begin, one.end) for one in inside), first, last),
            "requests": len(ended),
            "writes": sum(one.writes for one in ended),
        }
