"""What becomes of a request that a person made at a Batch Run: a run, or a refusal with its reason. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from scoopjoy_dagster.automation.desk.batch_run import QUEUED, RUNNING
from scoopjoy_dagster.erpnext.batch_runs import Request, Shown, ShownStep
from scoopjoy_dagster.erpnext.desk_schema import RETRY_PREFIX, RUN_NOW
from scoopjoy_dagster.steps import STEPS, Step

RUNS_PER_PERSON = 5
"""Runs that one person may start at the desk in 24 hours: enough to put a bad morning right, too few to fill the queue or to
hold up the night. Many days are a backfill, which Dagster does."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Run these assets for this day; or, without any, the reason why not."""

    assets: tuple[str, ...] = ()
    refusal: str = ""


def answer(
    request: Request,
    asked: Shown | None,
    *,
    may_write: bool,
    first: date,
    last: date,
    at_work: bool = False,
    started: int = 0,
) -> Answer:
    """What a request comes to.

    Args:
        request: what was asked.
        asked: the Batch Run; None when it is gone.
        may_write: whether who asked may write Batch Run.
        first: first business day that can be closed (go-live).
        last: the newest business day that has ended.
        at_work: whether a run closes that day already, or is about to.
        started: runs that the same person has started at the desk in the last 24 hours.
    """
    if not may_write:
        return Answer(refusal=f"{request.user} may not write Batch Run, so may not start a run.")
    if asked is None:
        return Answer(refusal=f"Batch Run {request.batch_run} is gone.")
    if asked.name.startswith("/"):  # what ERPNext takes for another address: nothing could be shown there
        return Answer(refusal="This Batch Run has a name that no address can have: make a new one.")
    if not first <= asked.day <= last:
        return Answer(
            refusal=f"{asked.day} cannot be closed: the business days from {first} (go-live) to {last} (the last that has ended) can."
        )
    found = _asked_for(request, asked)
    if not found.assets:
        return found
    if at_work:
        return Answer(
            refusal=f"A run of {asked.day} is at work already, and has a Batch Run of its own: wait until it has ended."
        )
    if started >= RUNS_PER_PERSON:
        return Answer(
            refusal=f"{request.user} has started {started} runs here in the last 24 hours, and {RUNS_PER_PERSON} are the most. "
            "Ask again tomorrow, or let somebody with access to Dagster run a backfill."
        )
    return found


def _asked_for(request: Request, asked: Shown) -> Answer:
    if request.action == RUN_NOW:
        return _run(asked)
    if request.action.startswith(RETRY_PREFIX):
        return _retry(request, asked)
    return Answer(refusal=f"{request.action!r} is no request that is known.")


def _run(asked: Shown) -> Answer:
    if asked.run_id or asked.status != QUEUED:
        return Answer(refusal="This Batch Run has been run; retry its failed steps, or make a new one.")
    return Answer(assets=tuple(step.asset for step in STEPS))


def _retry(request: Request, asked: Shown) -> Answer:
    title = request.action.removeprefix(RETRY_PREFIX)
    rows = {row.title: row for row in asked.steps}
    row, step = rows.get(title), _by_title().get(title)
    if row is None or step is None:
        return Answer(refusal=f"This Batch Run has no step {title!r}.")
    if asked.status in {QUEUED, RUNNING}:
        return Answer(refusal="A run of this Batch Run is at work; wait until it has ended.")
    if row.state != "Failed":
        return Answer(refusal=f"{title} is {row.state}, not Failed: there is nothing to retry.")
    # A request that was refused can be made again under a higher number; a lower one was made before the last retry.
    if row.retries > request.attempt:
        return Answer(refusal=f"{title} has been retried since this was asked.")
    return Answer(assets=(step.asset, *_skipped_behind(step, rows)))


def _skipped_behind(step: Step, rows: Mapping[str, ShownStep]) -> list[str]:
    """Steps that were skipped because this one failed: a critical step stops all that come after it."""
    if not step.critical:
        return []
    behind = STEPS[STEPS.index(step) + 1 :]
    return [one.asset for one in behind if one.title in rows and rows[one.title].state == "Skipped"]


def _by_title() -> dict[str, Step]:
    return {step.title: step for step in STEPS}
