"""From Dagster's record of a run to the facts that an alert is made of. Reads, decides nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from scoopjoy_dagster.accounting.totals import CONTROL_TOTALS
from scoopjoy_dagster.assets.outcome import OUTCOME_KEY, PASSES
from scoopjoy_dagster.automation.backfills import backfill_of
from scoopjoy_dagster.automation.desk.run_facts import BATCH_RUN
from scoopjoy_dagster.automation.jobs import is_watchdog
from scoopjoy_dagster.automation.messages import FailedRun, FailedStep
from scoopjoy_dagster.automation.passing import Events, passes_by_itself
from scoopjoy_dagster.automation.state import business_day_of
from scoopjoy_dagster.steps import STEPS, step_of

OVERDUE = "overdue"
"""Figure of the watchdog's check: its overdue days, all of them."""

_KINDS = {
    dg.DagsterEventType[name]
    for name in (
        "STEP_FAILURE",
        "RUN_FAILURE",
        "ASSET_CHECK_EVALUATION",
        "ASSET_MATERIALIZATION_PLANNED",
        "ASSET_MATERIALIZATION",
        "ASSET_OBSERVATION",
    )
}


def read_run(instance: dg.DagsterInstance, record: dg.RunRecord) -> FailedRun:
    """The facts of a run that failed."""
    run = record.dagster_run
    day = business_day_of(run.tags)
    backfill = backfill_of(instance, run)
    events = _events(instance, run.run_id, _KINDS)
    checks = _failed_checks(events["ASSET_CHECK_EVALUATION"])
    steps = tuple(_step(event, checks) for event in events["STEP_FAILURE"])
    done, skipped = _done_and_skipped(events, steps)
    return FailedRun(
        run_id=run.run_id,
        job=run.job_name,
        days=(day,) if day else _overdue(checks),
        backfill=backfill.id if backfill else None,
        steps=steps,
        reason="\n".join(event.message or "" for event in events["RUN_FAILURE"][:1]),
        ended=ended(record),
        done=done,
        skipped=skipped,
        batch_run=batch_run_day(run),
        passes=passes_by_itself(run, events),
    )


def batch_run_day(run: dg.DagsterRun) -> str:
    """The business day (ISO) whose Batch Run shows a run; empty for none.

    Not the document that the run's tag names: whoever launches a run can write any name there.
    """
    return business_day_of(run.tags) if run.tags.get(BATCH_RUN) else ""


def read_checks(instance: dg.DagsterInstance, run_id: str) -> list[dg.AssetCheckEvaluation]:
    """The checks of a run that warn: they did not pass, and stopped nothing."""
    found = [
        event.asset_check_evaluation_data
        for event in _events(instance, run_id, {dg.DagsterEventType.ASSET_CHECK_EVALUATION})[
            "ASSET_CHECK_EVALUATION"
        ]
    ]
    return [check for check in found if not check.passed and not check.blocking]


def ended(record: dg.RunRecord) -> datetime:
    """When a run ended; a run that never started has only the moment of its last change (naive UTC)."""
    if record.end_time:
        return datetime.fromtimestamp(record.end_time, UTC)
    changed = record.update_timestamp
    return changed if changed.tzinfo else changed.replace(tzinfo=UTC)


def _events(instance: dg.DagsterInstance, run_id: str, kinds: set[dg.DagsterEventType]) -> Events:
    found: dict[str, list[dg.DagsterEvent]] = defaultdict(list)
    for record in instance.get_records_for_run(run_id, of_type=kinds).records:
        event = record.event_log_entry.dagster_event
        if event:
            found[event.event_type.name].append(event)
    return found


def _failed_checks(events: Iterable[dg.DagsterEvent]) -> dict[str, list[dg.AssetCheckEvaluation]]:
    """Blocking checks of the run that did not pass, by the key of the step that ran them. A warning fails no step."""
    found: dict[str, list[dg.AssetCheckEvaluation]] = defaultdict(list)
    for event in events:
        check = event.asset_check_evaluation_data
        if event.step_key and check.blocking and not check.passed:
            found[event.step_key].append(check)
    return found


def _overdue(checks: Mapping[str, Sequence[dg.AssetCheckEvaluation]]) -> tuple[str, ...]:
    """The days that a watchdog's run is about: it has no partition."""
    for key, failed in checks.items():
        for check in failed:
            if is_watchdog(key) and OVERDUE in check.metadata:
                days = check.metadata[OVERDUE].value
                return tuple(str(day) for day in days) if isinstance(days, list) else ()
    return ()


def _done_and_skipped(
    events: Events, failed: Sequence[FailedStep]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Steps that the run did all the same, and those that it left out; names for people."""
    planned, materialized = (
        {event.asset_key.to_user_string() for event in events.get(kind, ()) if event.asset_key}
        for kind in ("ASSET_MATERIALIZATION_PLANNED", "ASSET_MATERIALIZATION")
    )
    bad = {step.asset for one in failed if (step := step_of(one.key))}
    good = [step for step in STEPS if step.asset in planned - bad]
    return (
        tuple(step.title for step in good if step.asset in materialized),
        tuple(step.title for step in good if step.asset not in materialized),
    )


def _step(event: dg.DagsterEvent, checks: Mapping[str, Sequence[dg.AssetCheckEvaluation]]) -> FailedStep:
    key = event.step_key or ""
    failed = checks.get(key, ())
    if failed:
        one = len(failed) == 1
        figures = {
            name if one else f"{title_of(check)} {name}": text
            for check in failed
            if PASSES not in check.metadata
            for name, text in _texts(check.metadata).items()
        }
        answers = list(dict.fromkeys(said(check) for check in failed))
        return FailedStep(key, " ".join(answers), (), figures, cause=answers[0])
    failure = event.step_failure_data
    own = failure.user_failure_data
    if own and own.description:  # a `dagster.Failure`: its text is a sentence for people
        return FailedStep(key, own.description, _exception_rows(own.metadata))
    cause = failure.error
    while cause and cause.cause:
        cause = cause.cause
    message = cause.message.strip() if cause else "The step failed without saying why."
    return FailedStep(key, message, cause="unexpected error")


def _texts(metadata: Mapping[str, dg.MetadataValue[Any]]) -> dict[str, str]:
    return {name: str(entry.value) for name, entry in metadata.items()}


def title_of(check: dg.AssetCheckEvaluation) -> str:
    """What a check asks; a check of no control total has only its name."""
    return next((one.question for one in CONTROL_TOTALS if one.name == check.check_name), check.check_name)


def said(check: dg.AssetCheckEvaluation) -> str:
    """What a check answered."""
    return check.description or f"It did not pass: {title_of(check)}"


def _exception_rows(metadata: Mapping[str, dg.MetadataValue[Any]]) -> tuple[dict[str, str], ...]:
    """Rows of the exception table, from the outcome that a step of the close attaches to whatever did not succeed."""
    outcome = metadata[OUTCOME_KEY].value if OUTCOME_KEY in metadata else None
    rows = outcome.get("exceptions") if isinstance(outcome, Mapping) else None
    if not isinstance(rows, list):
        return ()
    return tuple(
        {str(name): str(text) for name, text in row.items()} for row in rows if isinstance(row, Mapping)
    )
