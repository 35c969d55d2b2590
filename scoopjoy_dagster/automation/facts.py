"""From Dagster's record of a run to the facts that an alert is made of. Reads, decides nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from scoopjoy_dagster.assets.outcome import PASSES
from scoopjoy_dagster.automation import range_facts
from scoopjoy_dagster.automation.backfills import backfill_of
from scoopjoy_dagster.automation.desk.run_facts import BATCH_RUN
from scoopjoy_dagster.automation.messages import FailedRun, FailedStep
from scoopjoy_dagster.automation.passing import passes_by_itself
from scoopjoy_dagster.automation.range_facts import Events, exception_rows, said, title_of
from scoopjoy_dagster.automation.state import days_of_tags
from scoopjoy_dagster.automation.steps import is_watchdog

OVERDUE = "overdue"
"""Figure of the watchdog's check: its overdue days, all of them."""

_KINDS = {
    dg.DagsterEventType[name]
    for name in (
        "STEP_FAILURE",
        "RUN_FAILURE",
        "ASSET_CHECK_EVALUATION",
        "ASSET_MATERIALIZATION_PLANNED",
    )
}


def read_run(instance: dg.DagsterInstance, record: dg.RunRecord) -> FailedRun:
    """The facts of a run that failed."""
    run = record.dagster_run
    all_days = tuple(days_of_tags(run.tags))
    several = len(all_days) > 1
    backfill = backfill_of(instance, run)
    events = _events(instance, run.run_id, _KINDS | range_facts.KINDS)
    checks = _failed_checks(events["ASSET_CHECK_EVALUATION"])
    if several:
        days = range_facts.days_not_done(events, all_days)
        steps = _steps_of_range(events, checks)
    else:
        days = all_days or _overdue(checks)
        steps = tuple(_step(event, checks) for event in events["STEP_FAILURE"])
    done, skipped = range_facts.done_and_skipped(events, steps, days)
    return FailedRun(
        run_id=run.run_id,
        job=run.job_name,
        days=days,
        backfill=backfill.id if backfill else None,
        steps=steps,
        reason="\n".join(event.message or "" for event in events["RUN_FAILURE"][:1]),
        ended=ended(record),
        done=done,
        skipped=skipped,
        batch_run=batch_run_day(run),
        of_days=len(all_days) or len(days),
        passes=passes_by_itself(run, events),
    )


def batch_run_day(run: dg.DagsterRun) -> str:
    """The business day (ISO) whose Batch Run shows a run of one day; empty for none.

    Not the document that the run's tag names: whoever launches a run can write any name there.
    """
    days = days_of_tags(run.tags)
    return days[0] if run.tags.get(BATCH_RUN) and len(days) == 1 else ""


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


def _steps_of_range(
    events: Events, checks: Mapping[str, Sequence[dg.AssetCheckEvaluation]]
) -> tuple[FailedStep, ...]:
    """What really failed in a run over several days.

    A step that fails with a sentence of its own (a `dagster.Failure`) repeats what is recorded for each day, or says that a
    day is missing: it counts only where nothing else does, as in a re-execution of such steps. A step that crashed counts.
    """
    found = range_facts.culprits(events)
    own_words = [event for event in events["STEP_FAILURE"] if event.step_failure_data.user_failure_data]
    crashed = [event for event in events["STEP_FAILURE"] if event not in own_words]
    return (*found, *(_step(event, checks) for event in (crashed if found else events["STEP_FAILURE"])))


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
        return FailedStep(key, own.description, exception_rows(own.metadata))
    cause = failure.error
    while cause and cause.cause:
        cause = cause.cause
    message = cause.message.strip() if cause else "The step failed without saying why."
    return FailedStep(key, message, cause="unexpected error")


def _texts(metadata: Mapping[str, dg.MetadataValue[Any]]) -> dict[str, str]:
    return {name: str(entry.value) for name, entry in metadata.items()}
