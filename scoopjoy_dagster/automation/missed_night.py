"""Why a night was missed: overdue days that nothing was ever tried for, and what can be seen to be wrong.

What belongs here: reading Dagster's storage for the watchdog. What does not: the verdict (`watchdog`), the wording of the
alert (`messages`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, TickStatus

from scoopjoy_dagster.automation import nightly
from scoopjoy_dagster.automation.alert import clock_time, cut
from scoopjoy_dagster.automation.state import business_day_of
from scoopjoy_dagster.partitions import PARTITION, ZONE
from scoopjoy_dagster.steps import STEPS

DAEMONS = {
    "SCHEDULER": "starts the night's runs",
    "SENSOR": "sends alerts",
    "QUEUED_RUN_COORDINATOR": "lets queued runs begin",
}
"""Daemons that a night needs, and what for."""

NIGHT = timedelta(hours=7)
"""So long before the watchdog the night's tick was due at the earliest, at midnight, with an hour to spare."""


def untried(
    instance: dg.DagsterInstance, days: dg.DailyPartitionsDefinition, overdue: Sequence[str]
) -> list[str]:
    """Those of the overdue days for which no run was ever made, oldest first."""
    left = set(overdue)
    for step in STEPS:
        status = instance.get_status_by_partition(dg.AssetKey(step.asset), list(overdue), days) or {}
        left = {day for day in left if status.get(day) is None}
    if left:
        # A run that a person cancelled leaves no state behind.
        tried = instance.get_run_records(dg.RunsFilter(tags={PARTITION: sorted(left)}))
        left -= {business_day_of(record.dagster_run.tags) for record in tried}
    return sorted(left)


def causes(instance: dg.DagsterInstance, now: datetime, *, automation_on: bool) -> list[str]:
    """What can be seen to be wrong, a sentence each; empty when nothing can. `now` is the watchdog's moment."""
    return [*_schedule(instance, now, automation_on), *_daemons(instance)]


def _schedule(instance: dg.DagsterInstance, now: datetime, automation_on: bool) -> Iterator[str]:
    states = [
        state
        for state in instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
        if state.instigator_name == nightly.NAME
    ]
    if not states:
        if not automation_on:
            yield f"{nightly.NAME} is off: SCOOPJOY_AUTOMATION is off, and nobody has started it."
        else:
            yield f"{nightly.NAME} has never run: no scheduler of Dagster has seen it."
        return
    if all(state.status is InstigatorStatus.STOPPED for state in states):
        yield f"{nightly.NAME} is switched off (Dagster's UI, Automation)."
        return
    for state in states:
        if state.status is not InstigatorStatus.STOPPED:
            yield from _tick(instance, state, now)


def _tick(instance: dg.DagsterInstance, state: InstigatorState, now: datetime) -> Iterator[str]:
    """What became of the night's tick."""
    ticks = instance.get_ticks(
        state.instigator_origin_id, state.selector_id, after=(now - NIGHT).timestamp(), limit=1
    )
    if not ticks:
        yield f"{nightly.NAME} did not tick last night: Dagster's daemon, or the machine, was not running."
        return
    data = ticks[0].tick_data
    at = f"{datetime.fromtimestamp(data.timestamp, ZONE):%H:%M}"
    if data.status is TickStatus.FAILURE:
        said = data.error.message.strip() if data.error else "it did not say why"
        yield f"The tick of {nightly.NAME} at {at} failed: {cut(said)}"
    elif data.status is TickStatus.SKIPPED:
        yield f"The tick of {nightly.NAME} at {at} asked for nothing: {data.skip_reason or 'it did not say why'}."
    elif data.status is TickStatus.STARTED:
        yield f"The tick of {nightly.NAME} at {at} never ended."


def _daemons(instance: dg.DagsterInstance) -> Iterator[str]:
    statuses = instance.get_daemon_statuses(list(DAEMONS))
    for name, status in statuses.items():
        if not status.required or status.healthy:
            continue
        if status.last_heartbeat is None:
            yield f"The daemon {name}, which {DAEMONS[name]}, has never given a sign of life."
            continue
        last = datetime.fromtimestamp(status.last_heartbeat.timestamp, ZONE)
        errors = status.last_heartbeat.errors or []
        said = f": {cut(errors[0].message.strip())}" if errors else ""
        yield f"The daemon {name}, which {DAEMONS[name]}, is not well; its last sign of life was at {clock_time(last)}{said}."
