"""What a run has read already, so that five assets of one day do not ask ERPNext the same five times.

A list is remembered only where its reader allows it, only until the same session writes anything, and only for a minute:
what other people do meanwhile is seen then, or by the next run at the latest. The memory is bounded; what does not fit
is read again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LONGEST_S = 60.0
"""Seconds for which a list is good."""

MOST_ROWS = 300_000
"""Rows that one memory holds at most, of all lists together: about three hundred megabytes. No usual night comes near it."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _List:
    of_records: bool
    writes: int
    read_at: float
    rows: tuple[Row, ...]


class Remembered:
    """Lists by their arguments."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lists: dict[bytes, _List] = {}

    def or_read(
        self, arguments: bytes, writes: int, read: Callable[[], list[Row]], *, of_records: bool = False
    ) -> list[Row]:
        """The rows of a list: those of before, or what `read` brings.

        Args:
            arguments: what was asked for, to the byte.
            writes: how often the session has written so far what this list may show.
            read: asks ERPNext.
            of_records: whether it is a list of our own records, whose writes are counted apart.
        """
        known = self._lists.get(arguments)
        if known and known.writes == writes and self._clock() - known.read_at < LONGEST_S:
            return list(known.rows)
        began = self._clock()
        rows = read()
        self._keep(arguments, _List(of_records, writes, began, tuple(rows)))
        return rows

    def forget(self) -> None:
        """Read everything again: ERPNext has changed something by itself."""
        self._lists.clear()

    def _keep(self, arguments: bytes, found: _List) -> None:
        # What was read before the last write is of no use to anybody.
        kept = {
            key: one
            for key, one in self._lists.items()
            if (one.of_records != found.of_records or one.writes == found.writes) and key != arguments
        }
        kept[arguments] = found
        while len(kept) > 1 and sum(len(one.rows) for one in kept.values()) > MOST_ROWS:
            del kept[next(iter(kept))]
        self._lists = kept
