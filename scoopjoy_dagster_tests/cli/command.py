"""The `scoopjoy` command as a person runs it: a process of its own, which knows nothing of this process's settings."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCOOPJOY = Path(sysconfig.get_path("scripts")) / "scoopjoy"
KEPT = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR")
"""What a command is given of this process's environment; its settings are the test's business."""

# Whoever started the tests may have SIGINT ignored (a job in the background), and children inherit that.
WITH_DEFAULT_SIGNALS = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_{}); os.execv(sys.argv[1], sys.argv[1:])"
)


@dataclass(frozen=True, slots=True)
class Done:
    """What a command came to: its exit code, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output, which must be one JSON document and nothing else."""
        return json.loads(self.out)

    @property
    def text(self) -> str:
        """Both outputs, every run of white space one blank."""
        return " ".join((self.out + "\n" + self.err).split())

    @property
    def sentences(self) -> str:
        """Standard error alone, every run of white space one blank."""
        return " ".join(self.err.split())

    def has_no_traceback(self) -> Done:
        """This, seen to be fit for a person to read."""
        assert "Traceback" not in self.out + self.err, self.out + self.err
        assert not re.search(r'File ".*", line \d+', self.out + self.err), self.out + self.err
        return self


def environment(directory: Path, settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """A command's whole environment: its directory, and these settings."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {**kept, "SCOOPJOY_DIRECTORY": str(directory), **(settings or {})}


def scoopjoy(*args: str, environment: Mapping[str, str], timeout_s: float = 120) -> Done:
    """Run the command to its end."""
    done = subprocess.run(
        [str(SCOOPJOY), *args],
        check=False,
        capture_output=True,
        text=True,
        env=dict(environment),
        timeout=timeout_s,
        stdin=subprocess.DEVNULL,
    )
    return Done(done.returncode, done.stdout, done.stderr).has_no_traceback()


class Running:
    """The command, running; what it has printed is read from a file."""

    def __init__(
        self,
        args: Sequence[str],
        *,
        environment: Mapping[str, str],
        output: Path,
        interrupts: str = "DFL",
    ) -> None:
        self._output = output
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-c", WITH_DEFAULT_SIGNALS.format(interrupts), str(SCOOPJOY), *args],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=dict(environment),
            )

    @property
    def printed(self) -> str:
        """All it has printed so far."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, pattern: str, within_s: float) -> re.Match[str]:
        """Wait until it has printed a line like this."""
        deadline = time.monotonic() + within_s
        while (found := re.search(pattern, self.printed)) is None:
            assert self.process.poll() is None, (
                f"it ended with {self.process.returncode} and printed:\n{self.printed}"
            )
            assert time.monotonic() < deadline, f"no {pattern!r} in {within_s} s; it printed:\n{self.printed}"
            time.sleep(0.1)
        return found

    def end(self, number: signal.Signals, within_s: float = 45) -> int:
        """Signal it, and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(within_s)


@contextmanager
def running(
    *args: str, environment: Mapping[str, str], output: Path, interrupts: str = "DFL"
) -> Iterator[Running]:
    """The command, running; killed at the end if the test has not ended it.

    Args:
        args: of the command.
        environment: its whole environment.
        output: file for what it prints.
        interrupts: `DFL`, or `IGN` for a command that was started with SIGINT ignored.
    """
    started = Running(args, environment=environment, output=output, interrupts=interrupts)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
            started.process.wait()


def processes_of(directory: Path) -> dict[int, str]:
    """Processes, zombies aside, that name the directory in their command line or environment, by process id.

    Children inherit the environment, so everything that a command with this directory has started is found, however
    far it has gone from its parent.
    """
    listing = subprocess.run(
        ["ps", "axeww", "-o", "pid=,stat=,args="],
        check=True,
        capture_output=True,
        text=True,
        errors="replace",
    ).stdout
    found = {}
    for line in listing.splitlines():
        pid, state, rest = line.split(None, 2)
        if str(directory) in rest and not state.startswith("Z"):
            found[int(pid)] = rest[:200]
    return found


def eventually(true: Callable[[], bool], within_s: float) -> bool:
    """Wait until something outside this process has become true; False when it has not in time."""
    deadline = time.monotonic() + within_s
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
