"""Spends the time that a real ERPNext would: locks of naming series, and two cores that requests share.

The sandbox's own work is part of the modelled time; only what is left of it is waited, outside of the database's lock.
So a request takes at least the modelled time, and more only where the sandbox itself is slower.

Belongs here: waiting. Does not belong here: how long (``latency``).
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass

from scoopjoy_dagster.sandbox.erpnext.latency import READERS, WRITERS, Cost, task_of
from scoopjoy_dagster.sandbox.erpnext.site import Site
from scoopjoy_dagster.sandbox.erpnext.wire import Call, Reply

_TICK_S = 1e-6
"""Less than this is no time: the rest of a division must not be waited for, again and again."""


@dataclass(eq=False, slots=True)
class _Job:
    """A request in work: how much of its time at full speed has passed, in seconds."""

    speeds: tuple[float, ...]
    done_s: float = 0.0


class Cores:
    """Requests at work side by side; each goes on more slowly the more there are."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._jobs: set[_Job] = set()
        self._at = clock()
        self._changed = asyncio.Event()

    @contextmanager
    def job(self, speeds: tuple[float, ...]) -> Iterator[_Job]:
        """Be at work for the length of the block. ``speeds``: all jobs together with 1, 2, ... at work."""
        made = _Job(speeds)
        self._account()
        self._jobs.add(made)
        self._tell()
        try:
            yield made
        finally:
            self._account()
            self._jobs.discard(made)
            self._tell()

    async def until(self, job: _Job, seconds: float) -> None:
        """Wait until so many seconds of work at full speed have passed since the job began."""
        while True:
            self._account()
            left = seconds - job.done_s
            if left < _TICK_S:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left / self._speed(job))

    def _speed(self, job: _Job) -> float:
        many = len(self._jobs)
        return job.speeds[min(many, len(job.speeds)) - 1] / many

    def _account(self) -> None:
        now = self._clock()
        for job in self._jobs:
            job.done_s += (now - self._at) * self._speed(job)
        self._at = now

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Pace:
    """The pace of one server; lives in its event loop."""

    def __init__(
        self,
        site: Site,
        costs: Mapping[str, Cost],
        clock: Callable[[], float] = time.monotonic,
        *,
        look: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._site = site
        self._costs = costs
        self._look = look
        self._cores = Cores(clock)
        self._series: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def keep(self, call: Call, work: Callable[[], Awaitable[Reply]]) -> Reply:
        """Do the work of a request; returns when a real ERPNext would answer."""
        call.snapshot = self._look()  # when it came: it may wait for a lock below
        task = task_of(self._site, call)
        cost = self._costs[task.operation]
        async with AsyncExitStack() as locks:
            for series in task.series:
                await locks.enter_async_context(self._series[series])
            with self._cores.job(READERS if task.shares_well else WRITERS) as job:
                reply = await work()
                units = task.answered(reply)
                await self._cores.until(job, cost.locked_s(units, task.rows))
                await locks.aclose()
                await self._cores.until(job, cost.total_s(units, task.rows))
        return reply


def background_s(costs: Mapping[str, Cost], invoices: int) -> float:
    """Seconds from the queueing of a POS closing until the one worker has consolidated it."""
    return costs["closing in background"].total_s(invoices)
