"""What clients have asked the embedded ERPNext for: counters and entries for tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from scoopjoy_dagster.sandbox.erpnext.wire import Call


@dataclass(frozen=True, slots=True)
class Logged:
    """One request that reached the server.

    Attributes:
        method: HTTP method.
        path: Decoded path.
        doctype: DocType that it was about; empty if it was about none.
        status: HTTP status of the answer; 0 means that it was never answered.
        fault: The fault that hit it; empty for none.
        at: When the answer was ready, by ``time.monotonic``.
    """

    method: str
    path: str
    doctype: str
    status: int
    fault: str = ""
    at: float = 0.0


@dataclass
class RequestLog:
    """What clients have asked for.

    Attributes:
        total: Requests of any kind.
        reads: Requests that may not change anything (GET).
        writes: Committed transactions that changed the database.
        entries: Every request in order.
        under_way: Requests that have come and are not done with; the client may have given them up.
    """

    total: int = 0
    reads: int = 0
    writes: int = 0
    under_way: int = 0
    entries: list[Logged] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While the server is at work on one request."""
        with self._lock:
            self.under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self.under_way -= 1

    def add(self, call: Call, doctype: str, status: int, fault: str = "") -> None:
        with self._lock:
            self.total += 1
            self.reads += not call.is_write
            self.entries.append(Logged(call.method, call.path, doctype, status, fault, time.monotonic()))

    def wrote(self, transactions: int) -> None:
        with self._lock:
            self.writes += transactions

    def reset(self) -> None:
        """Count from zero again."""
        with self._lock:
            self.total = self.reads = self.writes = 0
            self.entries.clear()
