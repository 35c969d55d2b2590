"""Jobs and assets beside the close: what watches over it, and what keeps house."""

from __future__ import annotations

WATCH = "nightly_close_watch"
"""Asset key that the watchdog's check hangs on; see `automation.watchdog` for why it has one of its own."""

WATCH_JOB = "watchdog"
"""The job that runs it."""

RETENTION_JOB = "retention"
HOUSEKEEPING = {WATCH_JOB, RETENTION_JOB}
"""Jobs that close nothing, whatever the tags of their runs say."""


def is_watchdog(step_key: str) -> bool:
    """Whether a step key is the watchdog's."""
    return step_key == WATCH or step_key.startswith(f"{WATCH}_")
