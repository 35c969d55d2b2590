"""Whether what failed a run can pass without anybody: a server that is away, another writer, a lost process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from scoopjoy_dagster.assets.outcome import OUTCOME_KEY

PASSES = "passes"
"""Metadata of a check that could not be read (`checks.answers.PASSES`)."""

KINDS = {
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.ASSET_OBSERVATION,
}


def passes_by_itself(instance: dg.DagsterInstance, record: dg.RunRecord) -> bool:
    """Whether every error of a failed run is of a kind that passes. A run without a failed step was lost, which passes too."""
    run_id = record.dagster_run.run_id
    found = instance.get_records_for_run(run_id, of_type=KINDS).records
    events = [event for one in found if (event := one.event_log_entry.dagster_event)]
    failures = [event for event in events if event.event_type is dg.DagsterEventType.STEP_FAILURE]
    verdicts = [_check_passes(event) for event in events if _is_failed_check(event)]
    checked = {event.step_key for event in events if _is_failed_check(event)}
    for event in events:
        if event.event_type is dg.DagsterEventType.ASSET_OBSERVATION:
            observed = event.asset_observation_data.asset_observation.metadata
            verdicts += _errors_pass(observed) if OUTCOME_KEY in observed else []
    for event in failures:
        if event.step_key not in checked:
            said = event.step_failure_data.user_failure_data
            verdicts += (_errors_pass(said.metadata) if said else []) or [False]
    return all(verdicts)


def _is_failed_check(event: dg.DagsterEvent) -> bool:
    if event.event_type is not dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        return False
    check = event.asset_check_evaluation_data
    return bool(check.blocking) and not check.passed


def _check_passes(event: dg.DagsterEvent) -> bool:
    entry = event.asset_check_evaluation_data.metadata.get(PASSES)
    return entry is not None and entry.value is True


def _errors_pass(metadata: Mapping[str, dg.MetadataValue[Any]]) -> list[bool]:
    outcome = metadata[OUTCOME_KEY].value if OUTCOME_KEY in metadata else None
    rows: Iterable[Any] = outcome.get("exceptions", ()) if isinstance(outcome, Mapping) else ()
    return [bool(row.get("passes")) for row in rows if row.get("severity") == "error"]
