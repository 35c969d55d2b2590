"""Loaded by every Python process of a simulated night: libfaketime takes away the sleep that Python has since 3.11.

`time.sleep` waits for an absolute moment of the monotonic clock, which libfaketime refuses once its own clock was set.
"""

import threading
import time


def _sleep(seconds: float) -> None:
    threading.Event().wait(seconds)


time.sleep = _sleep
