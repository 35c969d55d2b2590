"""From Dagster's record of a run to what a Batch Run is made of. Reads, decides little."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Literal

import dagster as dg

from scoopjoy_dagster.assets.outcome import OUTCOME_KEY, WRITES_KEY
from scoopjoy_dagster.automation.alert import cut
from scoopjoy_dagster.automation.desk.batch_run import Run, StepRun, ended_steps
from scoopjoy_dagster.automation.desk.step_errors import STATES, Event, error_of, findings, judges
from scoopjoy_dagster.automation.nightly import TRIGGERED_BY
from scoopjoy_dagster.automation.state import UNFINISHED, backfill_of
from scoopjoy_dagster.partitions import site_time
from scoopjoy_dagster.steps import STEPS, Step, step_of

BATCH_RUN = "scoopjoy/batch_run"
"""Run tag: the name of the Batch Run that shows the run in ERPNext."""

FROM_UI = "dagster/from_ui"
_KIND = dg.DagsterEventType
_WANTED = {
    _KIND.ASSET_MATERIALIZATION_PLANNED,
    _KIND.ASSET_MATERIALIZATION,
    _KIND.ASSET_OBSERVATION,
    _KIND.ASSET_CHECK_EVALUATION,
    _KIND.STEP_START,
    _KIND.STEP_SUCCESS,
    _KIND.STEP_FAILURE,
    _KIND.STEP_SKIPPED,
    _KIND.RUN_START,
    _KIND.RUN_SUCCESS,
    _KIND.RUN_FAILURE,
    _KIND.RUN_CANCELED,
}


def read_run(instance: dg.DagsterInstance, record: dg.RunRecord, day: date) -> Run:
    """The facts of a run that closes `day`."""
    run = record.dagster_run
    events = list(_events(instance, run.run_id))
    ended = _moment(record.end_time)
    created = site_time(_aware(record.create_timestamp))
    found = Run(
        run_id=run.run_id,
        root_run_id=run.root_run_id or run.run_id,
        day=day,
        state=_state(run.status),
        created_at=created,
        started_at=_moment(record.start_time),
        # A run that never started has only the moment of its last change.
        ended_at=None if run.status in UNFINISHED else ended or site_time(_aware(record.update_timestamp)),
        triggered_by=triggered_by(run.tags),
        steps=tuple(_step(step, events) for step in _selected(events)),
        log=tuple(_log(run, created, events)),
        batch_run=run.tags.get(BATCH_RUN, ""),
    )
    return ended_steps(found)


def triggered_by(tags: Mapping[str, str]) -> str:
    """Who or what started a run, in words. Dagster itself knows no users: its UI is named as such."""
    backfill = backfill_of(tags)
    if backfill:
        return f"backfill {backfill}"
    return tags.get(TRIGGERED_BY) or ("Dagster UI" if tags.get(FROM_UI) else "Dagster")


def _state(status: dg.DagsterRunStatus) -> Literal["queued", "running", "ended"]:
    if status not in UNFINISHED:
        return "ended"
    at_work = {dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING}
    return "running" if status in at_work else "queued"


def _events(instance: dg.DagsterInstance, run_id: str) -> Iterator[Event]:
    for entry in instance.all_logs(run_id, of_type=_WANTED):
        if entry.dagster_event:
            yield site_time(datetime.fromtimestamp(entry.timestamp, UTC)), entry.dagster_event


def _selected(events: Iterable[Event]) -> list[Step]:
    planned = {
        event.asset_key.to_user_string()
        for _, event in events
        if event.event_type is _KIND.ASSET_MATERIALIZATION_PLANNED and event.asset_key
    }
    return [step for step in STEPS if step.asset in planned]


def _step(step: Step, events: Sequence[Event]) -> StepRun:
    """A step's state in a run: that of its asset, and of the control totals that judge it."""
    own = [one for one in events if one[1].step_key == step.asset and one[1].event_type in STATES]
    judged = [one for one in events if judges(step, one[1]) and one[1].event_type in STATES]
    started = next((moment for moment, event in own if event.event_type is _KIND.STEP_START), None)
    if not own:
        return StepRun(step.asset, "Pending")
    state = STATES[own[-1][1].event_type]
    deciding = own
    if state == "Success" and judged:
        state, deciding = STATES[judged[-1][1].event_type], judged
        state = "Success" if state == "Skipped" else state
    moment, event = deciding[-1]
    return StepRun(
        step.asset,
        state,
        started,
        None if state == "Running" else moment,
        error_of(event, events) if state == "Failed" else "",
    )


def _log(run: dg.DagsterRun, created: datetime, events: Sequence[Event]) -> Iterator[tuple[datetime, str]]:
    yield created, f"run {run.run_id[:8]} asked for by {triggered_by(run.tags)}"
    for moment, event in events:
        for line in _lines(event):
            yield moment, line


def _lines(event: dg.DagsterEvent) -> Iterator[str]:
    """What the log says of an event."""
    step = step_of(event.step_key or "")
    kind = event.event_type
    if kind is _KIND.ASSET_MATERIALIZATION and step:
        entry = event.step_materialization_data.materialization.metadata.get(OUTCOME_KEY)
        outcome: Mapping[str, Any] = entry.value if entry else {}  # type: ignore[assignment]
        counts = ", ".join(f"{outcome.get(name, 0)} {name}" for name in _COUNTS)
        yield f"{step.title}: {counts}, amount {outcome.get('amount', '0.00')}"
        yield from (f"    {line}" for line in findings(entry))
    elif kind is _KIND.ASSET_OBSERVATION and step:
        metadata = event.asset_observation_data.asset_observation.metadata
        if WRITES_KEY in metadata:
            yield f"{step.title}: stopped; requests that write, sent before: {metadata[WRITES_KEY].value}"
    elif kind is _KIND.ASSET_CHECK_EVALUATION and not event.asset_check_evaluation_data.passed:
        check = event.asset_check_evaluation_data
        level = "error" if check.blocking else "warning"
        yield cut(f"{level}: control total {check.check_name} does not hold: {check.description}")
    elif step and kind in STATES:
        yield from _step_lines(step, event)
    elif kind in _RUN_WORDS:
        yield _RUN_WORDS[kind]


def _step_lines(step: Step, event: dg.DagsterEvent) -> Iterator[str]:
    kind = event.event_type
    control = "" if event.step_key == step.asset else " (control totals)"
    if not control or kind is _KIND.STEP_FAILURE:
        yield f"{step.title}{control}: {STATES[kind]}".replace(": Running", ": started")
    if kind is _KIND.STEP_FAILURE:
        yield from (f"    {line}" for line in error_of(event, ()).splitlines())


_COUNTS = ("seen", "written", "adopted", "skipped")
_RUN_WORDS = {
    _KIND.RUN_START: "run started",
    _KIND.RUN_SUCCESS: "run ended: all steps done",
    _KIND.RUN_FAILURE: "run ended: failed",
    _KIND.RUN_CANCELED: "run ended: cancelled",
}


def _moment(timestamp: float | None) -> datetime | None:
    return site_time(datetime.fromtimestamp(timestamp, UTC)) if timestamp else None


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
