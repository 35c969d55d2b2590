"""Ends process groups when the process that started them is gone.

Run as a script, with the standard library only: ``python -I -S process_guard.py GRACE``. It reads lines from its
standard input: ``+PGID`` puts a process group under guard, ``-PGID`` releases it. The end of the input means that
the parent has ended, of whatever cause, SIGKILL included: every group still under guard is then ended.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def guard(lines: Iterable[str], grace_s: float) -> None:
    """Read until the parent has ended, then end its groups."""
    groups: dict[int, None] = {}
    for line in lines:
        group = int(line[1:])
        if line.startswith("+"):
            groups[group] = None
        else:
            groups.pop(group, None)
    end_groups(groups, grace_s)


def end_groups(groups: Iterable[int], grace_s: float, reap: Callable[[], object] = lambda: None) -> None:
    """SIGTERM to every process of the groups, and SIGKILL to those that are left after the grace period.

    Args:
        groups: process group ids.
        grace_s: seconds between the two.
        reap: collects ended children; a child that is not collected would count as left.
    """
    left = [group for group in groups if _signal(group, signal.SIGTERM)]
    deadline = time.monotonic() + grace_s
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        reap()
        left = [group for group in left if _signal(group, 0)]
    for group in left:
        _signal(group, signal.SIGKILL)


def _signal(group: int, number: int) -> bool:
    """Signal a process group; False when no process of it is left."""
    with suppress(ProcessLookupError):
        os.killpg(group, number)
        return True
    return False


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    guard(sys.stdin, float(sys.argv[1]))
