"""What the tests need to know of the machine: which processes are there."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def processes_with(text: str) -> list[str]:
    """The command lines, zombies aside, that hold the text."""
    listing = subprocess.run(
        ["ps", "-ww", "-eo", "stat=,pid=,args="], check=True, capture_output=True, text=True
    ).stdout
    lines = [line.split(None, 2) for line in listing.splitlines()]
    return [
        f"{pid} {args}"
        for state, pid, args in lines
        if text in args and state[0] != "Z" and int(pid) != os.getpid()
    ]


def eventually(true: Callable[[], bool], within_s: float = 30) -> bool:
    """Wait until something outside this process has become true; False when it has not in time."""
    deadline = time.monotonic() + within_s
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
