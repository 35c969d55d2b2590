"""Snapshot isolation, as MariaDB has it from 11.6.2 on (``innodb_snapshot_isolation``): a transaction that wants to change a
row which another one has changed and committed since it began is refused with error 1020, and rolled back.

So of requests that use one naming series at the same time one is carried out and the others answer ``QueryDeadlockError``,
where an older database lets them wait for each other. The sandbox carries requests out one after the other; what counts here
is when each came.

Belongs here: what has changed since when. Does not belong here: locks.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from scoopjoy_dagster.sandbox.erpnext.errors import SiteError

_REMEMBERED = 4096
"""Rows whose last change is remembered: many more than change while one request is under way."""


def record_changed(table: str) -> SiteError:
    """What the site answers when a row was changed in between."""
    return SiteError(
        "QueryDeadlockError",
        f"(1020, \"Record has changed since last read in table 'tab{table}'; try restarting transaction\")",
    )


class Snapshots:
    """When rows were changed, counted in commits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._commits = 0
        self._changed: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._touched: set[tuple[str, str]] = set()
        self._seen: int | None = None

    def now(self) -> int:
        """A snapshot: what a transaction that begins now sees."""
        with self._lock:
            return self._commits

    @contextmanager
    def seeing(self, snapshot: int | None) -> Iterator[None]:
        """Work on a snapshot for the length of the block; ``None``: without isolation. The database's lock is held."""
        before, self._seen = self._seen, snapshot
        try:
            yield
        finally:
            self._seen = before

    def renew(self) -> None:
        """A new transaction in the middle of the work sees everything up to now."""
        if self._seen is not None:
            self._seen = self.now()

    def change(self, table: str, name: str) -> None:
        """A row is about to be changed; refused if somebody has done so since the snapshot."""
        key = (table, name)
        if self._seen is not None and self._changed.get(key, 0) > self._seen:
            raise record_changed(table)
        self._touched.add(key)

    def committed(self) -> None:
        """The transaction under way is committed."""
        if not self._touched:
            return
        with self._lock:
            self._commits += 1
            for key in self._touched:
                self._changed[key] = self._commits
                self._changed.move_to_end(key)
            while len(self._changed) > _REMEMBERED:
                self._changed.popitem(last=False)
        self._touched.clear()

    def rolled_back(self) -> None:
        """The transaction under way is undone."""
        self._touched.clear()
