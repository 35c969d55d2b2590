"""Whether what failed may succeed later without anybody: ERPNext was away, another writer was first, the run was lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.execution.plan.objects import StepFailureData

from scoopjoy_dagster.assets.outcome import OUTCOME_KEY, PASSES

Events = Mapping[str, Sequence[dg.DagsterEvent]]
"""Events of a run by their kind."""

LOST = {"UNEXPECTED_TERMINATION", "START_TIMEOUT", "RUN_WORKER_RESTART"}
"""Dagster's reasons for the failure of a run that no step has failed."""


def passes_by_itself(run: dg.DagsterRun, events: Events) -> bool:
    """Whether every error of a failed run, with its events, can pass by itself, so that the same run may succeed later.

    A run without a failed step was lost: its process was killed, or did not start in time.
    """
    if run.status is not dg.DagsterRunStatus.FAILURE:
        return False
    failed = events.get("STEP_FAILURE", ())
    if not failed:
        return run.tags.get("dagster/failure_reason", "UNEXPECTED_TERMINATION") in LOST
    if any(_crashed(event.step_failure_data) for event in failed):
        return False
    errors = list(_errors(events))
    return bool(errors) and all(errors)


def _crashed(failure: StepFailureData) -> bool:
    """Whether a step ended otherwise than by its own words, or by a blocking control total that does not hold."""
    check = failure.error and failure.error.cls_name == "DagsterAssetCheckFailedError"
    return failure.user_failure_data is None and not check


def _errors(events: Events) -> Iterator[bool]:
    """Of each error that the events tell of, whether it passes."""
    for event in events.get("ASSET_OBSERVATION", ()):
        outcome = event.asset_observation_data.asset_observation.metadata.get(OUTCOME_KEY)
        told: Any = outcome.value if outcome else {}
        rows = told.get("exceptions", [])
        yield from (bool(row.get(PASSES)) for row in rows if row["severity"] == "error")
    for event in events.get("ASSET_CHECK_EVALUATION", ()):
        check = event.asset_check_evaluation_data
        if check.blocking and not check.passed:
            unread = check.metadata.get(PASSES)
            yield bool(unread and unread.value)
