"""What clients have asked the embedded ERPNext for: counters and entries for tests."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from scoopjoy_dagster.sandbox.erpnext.wire import Call


@dataclass(frozen=True, slots=True)
class Logged:
    """One request that reached the server; ``status`` 0 means that it was never answered."""

    method: str
    path: str
    doctype: str
    status: int


@dataclass
class RequestLog:
    """What clients have asked for.

    Attributes:
        total: Requests of any kind.
        reads: Requests that may not change anything (GET).
        writes: Committed transactions that changed the database.
        entries: Every request in order.
    """

    total: int = 0
    reads: int = 0
    writes: int = 0
    entries: list[Logged] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def add(self, call: Call, doctype: str, status: int) -> None:
        with self._lock:
            self.total += 1
            self.reads += not call.is_write
            self.entries.append(Logged(call.method, call.path, doctype, status))

    def wrote(self, transactions: int) -> None:
        with self._lock:
            self.writes += transactions

    def reset(self) -> None:
        """Count from zero again."""
        with self._lock:
            self.total = self.reads = self.writes = 0
            self.entries.clear()
