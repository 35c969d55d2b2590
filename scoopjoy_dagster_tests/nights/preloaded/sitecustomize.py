"""Loaded by every Python process of a simulated night: who waits for longer than a moment waits by the simulated clock.

So a scheduler that waits for the next minute sees at once that it is the next hour. And libfaketime takes away the sleep that Python
has since 3.11, which waits for an absolute moment of a clock that was set meanwhile.
"""

import threading
import time

MOMENT_S = 1.0
LOOK_S = 0.25

_wait = threading.Event.wait


def _wait_by_the_clock(event: threading.Event, timeout: float | None = None) -> bool:
    if timeout is None or timeout <= MOMENT_S:
        return _wait(event, timeout)
    end = time.time() + timeout
    while (left := end - time.time()) > 0:
        if _wait(event, min(left, LOOK_S)):
            return True
    return event.is_set()


def _sleep(seconds: float) -> None:
    threading.Event().wait(seconds)


threading.Event.wait = _wait_by_the_clock  # type: ignore[method-assign]
time.sleep = _sleep
