"""Keeps one PostgreSQL server for as long as anybody uses it, then stops it.

Run as a script, with the standard library only: ``python -I -S postgres_keeper.py LOCK LOG UID GID COMMAND...``.
Every user of the server holds a shared lock on the file LOCK. The keeper waits for the exclusive one; it gets it
when the last user has let go or has died, of whatever cause, because the kernel drops a dead process's locks.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
STOP_GRACE_S = 30


class _Stop(Exception):
    """The server ended by itself, or the keeper is told to end."""


def keep(lock: Path, log: Path, uid: int, gid: int, command: list[str]) -> None:
    """Start the server and wait until nobody uses it.

    Args:
        lock: the file that every user locks.
        log: where the server's output goes.
        uid: the user that runs the server (PostgreSQL refuses to run as root).
        gid: its group.
        command: the server and its options.
    """
    with lock.open("rb") as users, log.open("ab") as output:
        own_user = os.geteuid() != 0
        server = subprocess.Popen(  # noqa: S603 - the command is postgres itself
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            user=None if own_user else uid,
            group=None if own_user else gid,
            extra_groups=None if own_user else [],
            preexec_fn=_end_with_the_keeper,  # noqa: PLW1509 - the keeper has a single thread
        )
        try:
            signal.signal(signal.SIGTERM, _stop)
            signal.signal(signal.SIGCHLD, _stop)
            fcntl.flock(users, fcntl.LOCK_EX)
        except _Stop:
            pass
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGINT)  # PostgreSQL's "fast shutdown": roll back, checkpoint, end
    try:
        server.wait(STOP_GRACE_S)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)  # "immediate shutdown": recovers at the next start
        server.wait()


def _stop(*_: Any) -> None:
    raise _Stop


def _end_with_the_keeper() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, lock_path, log_path, uid_text, gid_text, *server_command = sys.argv
    keep(Path(lock_path), Path(log_path), int(uid_text), int(gid_text), server_command)
