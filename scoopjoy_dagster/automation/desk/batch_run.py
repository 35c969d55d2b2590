"""A Batch Run: what the runs of Dagster that belong to one close of one business day come to. Pure.

What belongs here: the state of each step after several runs, the status of the whole, the lines of the log. What does
not: reading Dagster (`run_facts`), reading and writing ERPNext (`mirror`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal

from scoopjoy_dagster.steps import STEPS, Step

StepState = Literal["Pending", "Running", "Success", "Failed", "Skipped"]
Status = Literal["Queued", "Running", "Completed", "Completed with Errors", "Failed"]

QUEUED: Status = "Queued"
RUNNING: Status = "Running"
"""The statuses of a Batch Run that is still at work; the others are its ends."""

MAX_LOG_LINES = 400
"""A run writes about twenty lines, and is retried a few times; a document must stay quick to load."""


@dataclass(frozen=True, slots=True)
class StepRun:
    """What one run of Dagster did with one step of one day. Moments are site time (naive)."""

    asset: str
    state: StepState
    started_at: datetime | None = None
    completed_at: datetime | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of Dagster, seen for one business day.

    Attributes:
        state: `queued`, `running` or `ended`.
        steps: those that the run has selected, in order of the close.
        log: moments (site time) and lines.
        batch_run: name of the Batch Run that its tags name; empty for none.
    """

    run_id: str
    root_run_id: str
    day: date
    state: Literal["queued", "running", "ended"]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    triggered_by: str
    steps: tuple[StepRun, ...]
    log: tuple[tuple[datetime, str], ...] = ()
    batch_run: str = ""


@dataclass(frozen=True, slots=True)
class BatchStep:
    """A row of Batch Run Step."""

    step: Step
    order: int
    state: StepState
    started_at: datetime | None
    completed_at: datetime | None
    error: str
    retries: int


@dataclass(frozen=True, slots=True)
class BatchRun:
    """A Batch Run as ERPNext is to show it."""

    day: date
    status: Status
    triggered_by: str
    started_at: datetime | None
    completed_at: datetime | None
    run_id: str
    steps: tuple[BatchStep, ...]
    log: str

    @property
    def at_work(self) -> bool:
        """Whether it will change by itself."""
        return self.status in {QUEUED, RUNNING}


def batch_run(runs: Sequence[Run]) -> BatchRun:
    """The Batch Run that these runs of one day make: a first one, and those that retried steps of it.

    Each step stands as the newest run that selected it has left it, so a retry that runs what was skipped completes
    the whole (the old pipeline's Batch Run could never become Completed again).
    """
    ordered = sorted(runs, key=lambda run: (run.created_at, run.run_id))
    latest = ordered[-1]
    steps = tuple(_steps(ordered))
    at_work = [run for run in ordered if run.state != "ended"]
    begun = [run.started_at for run in ordered if run.started_at]
    ended = [run.ended_at for run in ordered if run.ended_at]
    return BatchRun(
        day=latest.day,
        status=_at_work_status(at_work) if at_work else status_of(steps),
        triggered_by=ordered[0].triggered_by,
        started_at=min(begun, default=None),
        completed_at=None if at_work else max(ended, default=None),
        run_id=latest.run_id,
        steps=steps,
        log=_log(ordered),
    )


def status_of(steps: Iterable[BatchStep]) -> Status:
    """Completed, Completed with Errors (only what is not critical is wrong) or Failed, of steps that have ended.

    Runs that ended before they came to any step, e.g. because the definitions could not be loaded, have failed.
    """
    ended = list(steps)
    wrong = [one for one in ended if one.state != "Success"]
    if not ended or any(one.step.critical for one in wrong):
        return "Failed"
    return "Completed with Errors" if wrong else "Completed"


def _at_work_status(runs: Sequence[Run]) -> Status:
    return RUNNING if any(run.state == "running" for run in runs) else QUEUED


def _steps(ordered: Sequence[Run]) -> Iterable[BatchStep]:
    for order, step in enumerate(STEPS, start=1):
        seen = [(run, one) for run in ordered for one in run.steps if one.asset == step.asset]
        if not seen:
            continue
        run, last = seen[-1]
        tried = sum(one.state not in {"Pending", "Skipped"} for _, one in seen)
        yield BatchStep(
            step,
            order,
            # A run that has ended leaves nothing pending: what it never came to was skipped.
            "Skipped" if last.state == "Pending" and run.state == "ended" else last.state,
            last.started_at,
            last.completed_at,
            last.error,
            max(0, tried - 1),
        )


def _log(ordered: Sequence[Run]) -> str:
    lines = [f"{moment:%Y-%m-%d %H:%M:%S}  {text}" for run in ordered for moment, text in run.log]
    if len(lines) > MAX_LOG_LINES:
        left_out = len(lines) - MAX_LOG_LINES
        lines = [f"({left_out} earlier lines are in Dagster)", *lines[-MAX_LOG_LINES:]]
    return "\n".join(lines)


def ended_steps(run: Run) -> Run:
    """A run that ended without saying so of each step: what was at work has failed with it."""
    if run.state != "ended":
        return run
    lost = "The run ended while this step was at work: its process was lost, or it was cancelled."
    steps = tuple(
        replace(one, state="Failed", completed_at=run.ended_at, error=lost) if one.state == "Running" else one
        for one in run.steps
    )
    return replace(run, steps=steps)
