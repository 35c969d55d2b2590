"""Child processes that never outlive us: started in a session of their own, watched, ended with all their children.

Here: starting with a log file, waiting until an HTTP port answers, stopping, free ports, and turning SIGTERM into an
orderly end. Not here: which processes (``services``).

Why a session each: Ctrl-C in a terminal signals the whole foreground group; Dagster's processes would then end in
any order, each complaining of the others. Out of the group, they end in our order. Why a guard process: whoever
kills us with SIGKILL leaves us no chance to stop anybody (see ``process_guard``).
"""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from scoopjoy_dagster.local import process_guard
from scoopjoy_dagster.local.private import private_directory, private_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

GRACE_S = 15.0
"""Seconds between SIGTERM and SIGKILL. A Dagster run in progress uses them to record that it was cancelled."""

LAST_LINES = 15
FRAMES = (" ", "Traceback (most recent call last)", "The above exception was the direct cause")


class ProcessError(Exception):
    """A child process did not come up, or died; the message carries the end of its log."""


@dataclass(frozen=True, slots=True)
class Child:
    """A child process.

    Attributes:
        name: what messages and its log file call it.
        process: the process; its id is also that of its group and session.
        log: where its output goes.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_lines(self) -> str:
        """The end of its log, for a message. Of a traceback, what was raised and by what, not the frames."""
        text = self.log.read_bytes()[-50_000:].decode("utf-8", "replace")
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith(FRAMES)]
        return "\n".join(f"  {line}" for line in lines[-LAST_LINES:]) or "  (its log is empty)"

    def check_alive(self) -> None:
        """Raises ``ProcessError`` when it has ended."""
        code = self.process.poll()
        if code is not None:
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            raise ProcessError(f"{self.name} {how}; its log {self.log} ends with:\n{self.last_lines()}")


class ChildProcesses:
    """Child processes that end, with everything they started, when this context ends or this process dies.

    Args:
        logs: directory of the log files, one ``<name>.log`` for each child, begun afresh at every start; ours alone.
        grace_s: seconds between SIGTERM and SIGKILL.
    """

    def __init__(self, logs: Path, grace_s: float = GRACE_S) -> None:
        self.logs = logs
        self.grace_s = grace_s
        self.children: list[Child] = []
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> Child:
        """Start a child.

        Args:
            name: what messages and its log file call it.
            command: program and arguments.
            environment: its whole environment; ours when not given.
            directory: its working directory; ours when not given.

        Raises:
            ProcessError: the program cannot be run.
        """
        private_directory(self.logs)
        path = self.logs / f"{name}.log"
        to_guard = self._guard_input()
        with private_file(path, "wb") as output:
            try:
                process = subprocess.Popen(  # noqa: S603 - the caller's own command
                    list(command),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=None if environment is None else dict(environment),
                    cwd=directory,
                    start_new_session=True,
                    umask=0o077,  # also the logs that it makes itself
                )
            except OSError as error:
                raise ProcessError(f"{name} cannot be started: {command[0]}: {error.strerror}.") from None
        child = Child(name, process, path)
        self.children.append(child)
        to_guard.write(b"+%d\n" % process.pid)
        return child

    def wait_for_http(self, child: Child, url: str, deadline_s: float = 90.0) -> None:
        """Wait until the child answers HTTP at the URL, with whatever status below 500.

        Raises:
            ProcessError: a child has ended, or the deadline (seconds) has passed.
        """
        deadline = time.monotonic() + deadline_s
        while not _answers(url):
            self.check_alive()
            if time.monotonic() > deadline:
                raise ProcessError(
                    f"{child.name} did not answer at {url} within {deadline_s:g} s; "
                    f"its log {child.log} ends with:\n{child.last_lines()}"
                )
            time.sleep(0.1)

    def check_alive(self) -> None:
        """Raises ``ProcessError`` when any child has ended."""
        for child in self.children:
            child.check_alive()

    def watch(self, interval_s: float = 0.5, sleep: Callable[[float], None] = time.sleep) -> None:
        """Stay until a child ends by itself, which raises ``ProcessError`` (or until an exception ends the wait)."""
        while True:
            self.check_alive()
            sleep(interval_s)

    def stop(self) -> None:
        """End every child and everything it started: SIGTERM, then SIGKILL after the grace period."""
        children, self.children = self.children, []
        if children:
            process_guard.end_groups(
                [child.process.pid for child in children],
                self.grace_s,
                reap=lambda: [child.process.poll() for child in children],
            )
            for child in children:
                child.process.wait()
        guard, self._guard = self._guard, None
        if guard is not None and guard.stdin is not None:
            with guard, suppress(BrokenPipeError):
                for child in children:
                    guard.stdin.write(b"-%d\n" % child.process.pid)

    def _guard_input(self) -> IO[bytes]:
        if self._guard is None:
            self._guard = subprocess.Popen(  # noqa: S603 - our own script
                [sys.executable, "-I", "-S", process_guard.__file__, str(self.grace_s)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env={},  # not ours, which holds secrets
                start_new_session=True,
            )
        if self._guard.stdin is None:  # pragma: no cover - PIPE was asked for
            raise ProcessError("The guard process has no input.")
        return self._guard.stdin


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def orderly_end() -> Iterator[None]:
    """Make SIGTERM and SIGHUP end this process as Ctrl-C does: by an exception, so that contexts are left in order.

    A shell starts a program in the background with SIGINT ignored; an interrupt that is sent on purpose ends it too.

    Raises:
        SystemExit: with code 128 + the signal's number, when one of them comes.
        KeyboardInterrupt: on SIGINT.
    """

    def leave(number: int, _frame: Any) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    # http.client, because it knows no proxies: the address is on this machine.
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=2)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
