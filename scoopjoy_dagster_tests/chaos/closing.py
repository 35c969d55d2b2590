"""One run of the nightly close, in a process of its own that can be killed for real.

Here: starting such a process, waiting for it, and what it came to. Not here: when it is killed (``schedule``).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from multiprocessing.connection import Connection

CONTEXT = multiprocessing.get_context("forkserver")
DEADLINE_S = 90.0
"""Seconds after which a run is taken to hang."""


def preload() -> None:
    """Have this process's fork server import everything, with the environment as it is now, before it is first used."""
    CONTEXT.set_forkserver_preload(["scoopjoy_dagster_tests.chaos.preloaded"])


@dataclass(frozen=True, slots=True)
class Order:
    """What to run.

    Attributes:
        first: first business day.
        last: last business day; they are closed one after the other, by one process.
        hurried: whether the run loses patience soon.
        recorded: whether Dagster keeps the run in PostgreSQL; otherwise in memory, as long as the process lives. What a
            close does is read from ERPNext and never from Dagster's record, and writing that is half of a run's time.
        pooled: whether Dagster keeps its connections to PostgreSQL, as its webserver does. A run opens a hundred of
            them otherwise, which is half of its time.
        environment: addresses, secrets, and where Dagster keeps its runs.
    """

    first: date
    last: date
    hurried: bool
    recorded: bool
    pooled: bool
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ended:
    """What a run came to.

    Attributes:
        settled: every asset of every day succeeded, and no check failed.
        died: it was killed, or hung and had to be.
        said: what it complained about.
    """

    settled: bool
    died: bool = False
    said: tuple[str, ...] = ()


class Closing:
    """A run that has been started."""

    def __init__(self, order: Order) -> None:
        self._answer, theirs = CONTEXT.Pipe(duplex=False)
        self._process = CONTEXT.Process(target=_close, args=(order, theirs), name="nightly-close")
        self._process.start()
        theirs.close()

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self._process.is_alive()

    def kill(self) -> None:
        """End it at once, as the kernel does when memory runs out. It does not come to know."""
        if self._process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    def wait(self) -> Ended:
        """What it came to, once it has ended."""
        ended = Ended(settled=False, died=True, said=(f"no end within {DEADLINE_S:g} s",))
        if self._answer.poll(DEADLINE_S):
            try:
                ended = self._answer.recv()
            except EOFError:
                ended = Ended(settled=False, died=True)
        else:
            self.kill()
        self._process.join()
        self._answer.close()
        return ended


def _close(order: Order, answer: Connection) -> None:
    """The process itself."""
    import dagster as dg

    from scoopjoy_dagster_tests.chaos import preloaded

    os.environ.update(order.environment)
    _quiet()
    instance = preloaded.instance() if order.recorded else dg.DagsterInstance.ephemeral()
    if order.recorded and order.pooled:
        instance.optimize_for_webserver(statement_timeout=60_000, pool_recycle=3_600, max_overflow=5)
    said: list[str] = []
    settled = True
    for number in range((order.last - order.first).days + 1):
        day = order.first + timedelta(days=number)
        try:
            result = preloaded.job(hurried=order.hurried).execute_in_process(
                instance=instance,
                partition_key=day.isoformat(),
                raise_on_error=False,
                run_config=preloaded.QUIET,
            )
            wrong = _wrong(result)
            settled = settled and bool(result.success) and not wrong
            said += wrong
        except Exception as problem:  # noqa: BLE001 - whatever ended the run is what it came to
            settled = False
            said.append(f"{type(problem).__name__}: {str(problem)[:400]}")
    answer.send(Ended(settled=settled, said=tuple(said)))
    answer.close()


def _quiet() -> None:
    """Thousands of runs fail here on purpose; what they print is in Dagster's event log too."""
    sink = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.close(sink)


def _wrong(result: Any) -> list[str]:
    """What a run complained about."""
    import dagster as dg

    said: list[str] = []
    for event in result.all_events:
        if event.event_type == dg.DagsterEventType.STEP_FAILURE:
            data = event.step_failure_data
            told = data.user_failure_data.description if data.user_failure_data else data.error_display_string
            said.append(f"{event.step_key}: {str(told)[:400]}")
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            data = event.event_specific_data
            if not data.passed and data.severity == dg.AssetCheckSeverity.ERROR:
                said.append(f"{data.check_name} failed")
    return said
