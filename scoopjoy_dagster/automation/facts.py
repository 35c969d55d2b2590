"""From Dagster's record of a failed run to the facts that an alert is made of. Reads, decides nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from scoopjoy_dagster.assets.outcome import OUTCOME_KEY
from scoopjoy_dagster.automation.messages import FailedRun, FailedStep
from scoopjoy_dagster.automation.state import backfill_of, days_of_tags


def read_run(instance: dg.DagsterInstance, record: dg.RunRecord) -> FailedRun:
    """The facts of a run that failed."""
    run = record.dagster_run
    checks = _failed_checks(instance, run.run_id)
    return FailedRun(
        run_id=run.run_id,
        job=run.job_name,
        days=tuple(days_of_tags(run.tags)),
        backfill=backfill_of(run.tags),
        steps=tuple(_step(event, checks) for event in _events(instance, run.run_id, "STEP_FAILURE")),
        reason="\n".join(event.message or "" for event in _events(instance, run.run_id, "RUN_FAILURE")[:1]),
        ended=_moment(record),
    )


def _moment(record: dg.RunRecord) -> datetime:
    """When a run ended; a run that never started has only the moment of its last change (naive UTC)."""
    if record.end_time:
        return datetime.fromtimestamp(record.end_time, UTC)
    changed = record.update_timestamp
    return changed if changed.tzinfo else changed.replace(tzinfo=UTC)


def _events(instance: dg.DagsterInstance, run_id: str, kind: str) -> list[dg.DagsterEvent]:
    connection = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType[kind])
    found = (record.event_log_entry.dagster_event for record in connection.records)
    return [event for event in found if event]


def _failed_checks(instance: dg.DagsterInstance, run_id: str) -> dict[str, list[dg.AssetCheckEvaluation]]:
    """Blocking checks of the run that did not pass, by the key of the step that ran them. A warning fails no step."""
    found: dict[str, list[dg.AssetCheckEvaluation]] = defaultdict(list)
    for event in _events(instance, run_id, "ASSET_CHECK_EVALUATION"):
        check = event.asset_check_evaluation_data
        if event.step_key and check.blocking and not check.passed:
            found[event.step_key].append(check)
    return found


def _step(event: dg.DagsterEvent, checks: Mapping[str, Sequence[dg.AssetCheckEvaluation]]) -> FailedStep:
    key = event.step_key or ""
    failed = checks.get(key, ())
    if len(failed) == 1:
        return FailedStep(key, _said(failed[0]), (), _texts(failed[0].metadata))
    if failed:
        figures = {
            f"{check.check_name}: {name}": text
            for check in failed
            for name, text in _texts(check.metadata).items()
        }
        return FailedStep(key, " ".join(_said(check) for check in failed), (), figures)
    failure = event.step_failure_data
    told = failure.user_failure_data
    if told and told.description:  # a `dagster.Failure`: its text is a sentence for people
        return FailedStep(key, told.description, _exceptions(told.metadata))
    cause = failure.error
    while cause and cause.cause:
        cause = cause.cause
    return FailedStep(key, cause.message.strip() if cause else "The step failed without saying why.")


def _said(check: dg.AssetCheckEvaluation) -> str:
    return check.description or f"The check {check.check_name} failed."


def _exceptions(metadata: Mapping[str, dg.MetadataValue[Any]]) -> tuple[dict[str, str], ...]:
    """Rows of the exception table, from the outcome that every step of the close attaches to its failure."""
    outcome = metadata[OUTCOME_KEY].value if OUTCOME_KEY in metadata else None
    rows = outcome.get("exceptions") if isinstance(outcome, Mapping) else None
    if not isinstance(rows, list):
        return ()
    return tuple(
        {str(name): str(text) for name, text in row.items()} for row in rows if isinstance(row, Mapping)
    )


def _texts(metadata: Mapping[str, dg.MetadataValue[Any]]) -> dict[str, str]:
    return {name: str(entry.value) for name, entry in metadata.items()}
