"""From Dagster's record of a run to what a Batch Run is made of. Reads, decides little."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from heapq import merge
from operator import itemgetter
from typing import Any, Literal

import dagster as dg

from scoopjoy_dagster.assets.outcome import OUTCOME_KEY, WRITES_KEY
from scoopjoy_dagster.automation.alert import cut
from scoopjoy_dagster.automation.desk.batch_run import Run, StepRun, ended_steps
from scoopjoy_dagster.automation.desk.range_steps import crashed, steps_of_range
from scoopjoy_dagster.automation.desk.step_errors import STATES, Event, error_of, findings, judges
from scoopjoy_dagster.automation.nightly import TRIGGERED_BY
from scoopjoy_dagster.automation.state import UNFINISHED, backfill_of, days_of_tags
from scoopjoy_dagster.automation.steps import STEPS, Step, step_of
from scoopjoy_dagster.partitions import site_time

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

Placed = tuple[int, datetime, dg.DagsterEvent]
"""An event with its place in the order of its run."""


def read_run(instance: dg.DagsterInstance, record: dg.RunRecord, day: date) -> Run:
    """The facts of a run for one of its business days; of a run over several, use `RunLog`, which reads it once."""
    return RunLog.read(instance, record).of(day)


@dataclass(frozen=True, slots=True)
class RunLog:
    """A run with its events, read once for all of its business days.

    Attributes:
        days: how many business days it is over.
        events: those of all its days, with their place in the order of the run.
        by_day: those of one day (ISO).
    """

    record: dg.RunRecord
    days: Sequence[str]
    events: Sequence[Placed]
    by_day: Mapping[str, Sequence[Placed]]

    @classmethod
    def read(cls, instance: dg.DagsterInstance, record: dg.RunRecord) -> RunLog:
        """The run as Dagster has it now."""
        common: list[Placed] = []
        by_day: dict[str, list[Placed]] = defaultdict(list)
        for place, (moment, event) in enumerate(_events(instance, record.dagster_run.run_id)):
            partition = _partition(event)
            (by_day[partition] if partition else common).append((place, moment, event))
        return cls(record, days_of_tags(record.dagster_run.tags), common, by_day)

    def of(self, day: date) -> Run:
        """The facts for one of the days."""
        record, run = self.record, self.record.dagster_run
        events = [
            (moment, event)
            for _, moment, event in merge(
                self.events, self.by_day.get(day.isoformat(), ()), key=itemgetter(0)
            )
        ]
        ended = _moment(record.end_time)
        created = site_time(_aware(record.create_timestamp))
        selected = _selected(events)
        several = len(self.days) > 1
        found = Run(
            run_id=run.run_id,
            root_run_id=run.root_run_id or run.run_id,
            day=day,
            state=_state(run.status),
            created_at=created,
            started_at=_moment(record.start_time),
            # A run that never started has only the moment of its last change.
            ended_at=None
            if run.status in UNFINISHED
            else ended or site_time(_aware(record.update_timestamp)),
            triggered_by=triggered_by(run.tags),
            steps=tuple(
                steps_of_range(selected, events) if several else (_step(step, events) for step in selected)
            ),
            log=tuple(_log(run, created, events, self.days)),
            batch_run=run.tags.get(BATCH_RUN, ""),
        )
        return ended_steps(found)


def _partition(event: dg.DagsterEvent) -> str:
    """The business day that an event is of; empty for one that is of all days of its run."""
    if event.event_type is _KIND.ASSET_CHECK_EVALUATION:
        return event.asset_check_evaluation_data.partition or ""
    return event.partition or ""


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
    """A step's state in a run of one day: that of its asset, and of the control totals that judge it."""
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


def _log(
    run: dg.DagsterRun, created: datetime, events: Sequence[Event], days: Sequence[str]
) -> Iterator[tuple[datetime, str]]:
    several = len(days) > 1
    about = f" for {len(days)} business days, {days[0]} to {days[-1]}" if several else ""
    yield created, f"run {run.run_id[:8]} asked for by {triggered_by(run.tags)}{about}"
    for moment, event in events:
        for line in _lines(event, len(days) if several else 0):
            yield moment, line


def _lines(event: dg.DagsterEvent, of_days: int) -> Iterator[str]:
    """What the log says of an event; `of_days`: how many days the run is over, 0 for one."""
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
        if OUTCOME_KEY in metadata:
            yield f"{step.title}: Failed"
            yield from (f"    {line}" for line in findings(metadata[OUTCOME_KEY]))
        elif WRITES_KEY in metadata:
            yield f"{step.title}: stopped; requests that write, sent before: {metadata[WRITES_KEY].value}"
    elif kind is _KIND.ASSET_CHECK_EVALUATION and not event.asset_check_evaluation_data.passed:
        check = event.asset_check_evaluation_data
        level = "error" if check.blocking else "warning"
        yield cut(f"{level}: control total {check.check_name} does not hold: {check.description}")
    elif step and kind in STATES:
        if not of_days or kind is _KIND.STEP_START or crashed(event):
            yield from _step_lines(step, event)
    elif kind in _RUN_WORDS:
        words = _RUN_WORDS[kind]
        yield words.replace("run ended", f"run of {of_days} days ended") if of_days else words


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
