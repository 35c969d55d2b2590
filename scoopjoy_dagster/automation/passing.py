"""Whether what failed may succeed later without anybody: ERPNext was away, another writer was first, the run was lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster._core.execution.plan.objects import StepFailureData

from scoopjoy_dagster.assets.outcome import OUTCOME_KEY, PASSES

LOST = {"UNEXPECTED_TERMINATION", "START_TIMEOUT", "RUN_WORKER_RESTART"}
"""Dagster's reasons for the failure of a run that no step has failed."""

_KIND = dg.DagsterEventType
_TELLING = {
    _KIND.STEP_FAILURE,
    _KIND.ASSET_OBSERVATION,
    _KIND.ASSET_CHECK_EVALUATION,
}


def passes_by_itself(instance: dg.DagsterInstance, record: dg.RunRecord) -> bool:
    """Whether every error of a failed run can pass by itself, so that the same run may succeed later.

    A run without a failed step was lost: its process was killed, or did not start in time.
    """
    run = record.dagster_run
    if run.status is not dg.DagsterRunStatus.FAILURE:
        return False
    found = instance.get_records_for_run(run.run_id, of_type=_TELLING).records
    events = [one.event_log_entry.dagster_event for one in found if one.event_log_entry.dagster_event]
    failed = [event.step_failure_data for event in events if event.event_type is _KIND.STEP_FAILURE]
    if not failed:
        return run.tags.get("dagster/failure_reason", "UNEXPECTED_TERMINATION") in LOST
    if any(_crashed(one) for one in failed):
        return False
    errors = [passes for event in events for passes in _errors(event)]
    return bool(errors) and all(errors)


def _crashed(failure: StepFailureData) -> bool:
    """Whether a step ended otherwise than by its own words, or by a blocking control total that does not hold."""
    check = failure.error and failure.error.cls_name == "DagsterAssetCheckFailedError"
    return failure.user_failure_data is None and not check


def _errors(event: dg.DagsterEvent) -> Iterator[bool]:
    """Of each error that an event tells of, whether it passes."""
    if event.event_type is _KIND.ASSET_OBSERVATION:
        outcome = event.asset_observation_data.asset_observation.metadata.get(OUTCOME_KEY)
        told: Any = outcome.value if outcome else {}
        rows = told.get("exceptions", [])
        yield from (bool(row.get(PASSES)) for row in rows if row["severity"] == "error")
    elif event.event_type is _KIND.ASSET_CHECK_EVALUATION:
        check = event.asset_check_evaluation_data
        if check.blocking and not check.passed:
            unread = check.metadata.get(PASSES)
            yield bool(unread and unread.value)
