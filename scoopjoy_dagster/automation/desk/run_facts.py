"""From Dagster's record of a run to what a Batch Run is made of. Reads, decides little."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Literal

import dagster as dg

from scoopjoy_dagster.assets.outcome import OUTCOME_KEY
from scoopjoy_dagster.automation.alert import cut
from scoopjoy_dagster.automation.desk.batch_run import Run, StepRun, StepState, ended_steps
from scoopjoy_dagster.automation.nightly import TRIGGERED_BY
from scoopjoy_dagster.automation.state import UNFINISHED, backfill_of
from scoopjoy_dagster.automation.steps import STEPS, Step, step_of
from scoopjoy_dagster.partitions import site_time

BATCH_RUN = "scoopjoy/batch_run"
"""Run tag: the name of the Batch Run that shows the run in ERPNext."""

FROM_UI = "dagster/from_ui"
MAX_FINDINGS = 10
"""Exception rows of a step that its error text and the log name; Dagster has them all."""

_KIND = dg.DagsterEventType
_WANTED = {
    _KIND.ASSET_MATERIALIZATION_PLANNED,
    _KIND.ASSET_MATERIALIZATION,
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
_STATES: dict[dg.DagsterEventType, StepState] = {
    _KIND.STEP_START: "Running",
    _KIND.STEP_SUCCESS: "Success",
    _KIND.STEP_FAILURE: "Failed",
    _KIND.STEP_SKIPPED: "Skipped",
}

Event = tuple[datetime, dg.DagsterEvent]


def read_run(instance: dg.DagsterInstance, record: dg.RunRecord, day: date) -> Run:
    """The facts of a run for one of its business days."""
    run = record.dagster_run
    events = list(_events(instance, run.run_id))
    started, ended = _moment(record.start_time), _moment(record.end_time)
    created = site_time(_aware(record.create_timestamp))
    found = Run(
        run_id=run.run_id,
        root_run_id=run.root_run_id or run.run_id,
        day=day,
        state=_state(run.status),
        created_at=created,
        started_at=started,
        # A run that never started has only the moment of its last change.
        ended_at=None if run.status in UNFINISHED else ended or site_time(_aware(record.update_timestamp)),
        triggered_by=triggered_by(run.tags),
        steps=tuple(_step(step, events, day) for step in _selected(events)),
        log=tuple(_log(run, created, events, day)),
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


def _step(step: Step, events: Sequence[Event], day: date) -> StepRun:
    """A step's state: that of its asset, and of the control totals that judge it."""
    own = [one for one in events if one[1].step_key == step.asset and one[1].event_type in _STATES]
    judged = [one for one in events if _judges(step, one[1]) and one[1].event_type in _STATES]
    started = next((moment for moment, event in own if event.event_type is _KIND.STEP_START), None)
    if not own:
        return StepRun(step.asset, "Pending")
    state = _STATES[own[-1][1].event_type]
    if state == "Failed" and _materialized(step, events, day):
        state = "Success"  # another day of the run's range is what failed
    deciding = own
    if state == "Success" and judged:
        state, deciding = _STATES[judged[-1][1].event_type], judged
        state = "Success" if state == "Skipped" else state
    moment, event = deciding[-1]
    return StepRun(
        step.asset,
        state,
        started,
        None if state == "Running" else moment,
        _error(event, events) if state == "Failed" else "",
    )


def _judges(step: Step, event: dg.DagsterEvent) -> bool:
    return bool(event.step_key) and event.step_key != step.asset and step_of(event.step_key or "") == step


def _materialized(step: Step, events: Iterable[Event], day: date) -> bool:
    return any(
        event.event_type is _KIND.ASSET_MATERIALIZATION
        and event.asset_key == dg.AssetKey(step.asset)
        and event.partition == day.isoformat()
        for _, event in events
    )


def _error(event: dg.DagsterEvent, events: Iterable[Event]) -> str:
    """Why a step failed: the control totals that did not hold, or its own sentence and its exception rows."""
    broken = [
        f"{check.check_name}: {check.description}"
        for _, one in events
        if one.event_type is _KIND.ASSET_CHECK_EVALUATION and one.step_key == event.step_key
        for check in [one.asset_check_evaluation_data]
        if check.blocking and not check.passed
    ]
    if broken:
        return "\n".join(cut(line) for line in broken)
    if event.event_type is not _KIND.STEP_FAILURE:
        return ""
    data = event.step_failure_data
    told = data.user_failure_data
    if told and told.description:
        # The rows say more than the sentence, which is made of the first of them.
        return "\n".join(_findings(told.metadata.get(OUTCOME_KEY))) or cut(told.description)
    error = data.error
    while error and error.cause:
        error = error.cause
    return cut(" ".join(error.message.split())) if error else "the step failed without a message"


def _findings(entry: Any) -> list[str]:
    """Exception rows of an outcome, errors first, as lines for people."""
    rows = list(entry.value.get("exceptions", [])) if entry else []
    ordered = sorted(rows, key=lambda row: row.get("severity") != "error")
    lines = [
        cut(f"{row['severity']}: {row['what']} - {row['who']}: {row['message']} -> {row['action']}")
        for row in ordered[:MAX_FINDINGS]
    ]
    left_out = len(ordered) - len(lines)
    return [*lines, f"... and {left_out} more, in Dagster"] if left_out else lines


def _log(
    run: dg.DagsterRun, created: datetime, events: Sequence[Event], day: date
) -> Iterator[tuple[datetime, str]]:
    yield created, f"run {run.run_id[:8]} asked for by {triggered_by(run.tags)}"
    for moment, event in events:
        for line in _lines(event, day):
            yield moment, line


def _lines(event: dg.DagsterEvent, day: date) -> Iterator[str]:
    step = step_of(event.step_key or "")
    kind = event.event_type
    if kind is _KIND.ASSET_MATERIALIZATION and step and event.partition in {None, day.isoformat()}:
        entry = event.step_materialization_data.materialization.metadata.get(OUTCOME_KEY)
        outcome: Mapping[str, Any] = entry.value if entry else {}  # type: ignore[assignment]
        counts = ", ".join(f"{outcome.get(name, 0)} {name}" for name in _COUNTS)
        yield f"{step.title}: {counts}, amount {outcome.get('amount', '0.00')}"
        yield from (f"    {line}" for line in _findings(entry))
    elif kind is _KIND.ASSET_CHECK_EVALUATION and not event.asset_check_evaluation_data.passed:
        check = event.asset_check_evaluation_data
        level = "error" if check.blocking else "warning"
        yield cut(f"{level}: control total {check.check_name} does not hold: {check.description}")
    elif step and kind in _STATES:
        control = "" if event.step_key == step.asset else " (control totals)"
        if not control or kind is _KIND.STEP_FAILURE:
            yield f"{step.title}{control}: {_STATES[kind]}".replace(": Running", ": started")
        if kind is _KIND.STEP_FAILURE:
            yield from (f"    {line}" for line in _error(event, ()).splitlines())
    elif kind in _RUN_WORDS:
        yield _RUN_WORDS[kind]


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
