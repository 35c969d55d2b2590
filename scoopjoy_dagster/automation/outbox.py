"""The outbox of alerts: which failed runs nobody has been told of.

There is no list of mails to be sent. Dagster's own record of runs is the outbox: a failed run without our tag is an
alert that has not been delivered, whoever missed it - a mail server that was down, a sensor that raised, a daemon that
was not running. What belongs here: finding those runs and closing them. What does not: sending (`delivery`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from scoopjoy_dagster.automation.facts import read_run
from scoopjoy_dagster.automation.messages import Alert, backfill_digest, run_alerts
from scoopjoy_dagster.automation.state import (
    BACKFILL,
    COMMAND_BACKFILL,
    UNFINISHED,
    backfill_of,
    days_of_tags,
)

ALERTED = "scoopjoy/alerted"
"""Run tag: `<run id> <steps> <ISO moment>`. The run's own id is in it because a re-execution inherits the tags of the
run that it repeats, and its failure is news."""

WINDOW_DAYS = 7
"""Failures before that are left alone; a day that is still not closed is the watchdog's to report."""

WILL_RETRY = "dagster/will_retry"
RETRIED_BY = "dagster/auto_retry_run_id"
RETRY_PATIENCE = timedelta(hours=1)
"""A retry that was announced and has not begun after this is not coming."""

QUIET = timedelta(minutes=5)
"""A backfill of the command line has ended when it has started no run for so long."""

_PAGE = 200


@dataclass(frozen=True, slots=True)
class Parcel:
    """Alerts that are delivered together: those of a run, or the digest of a backfill and all its failed runs.

    A parcel without alerts is of failures that were made good: its runs are only to be closed.
    """

    alerts: tuple[Alert, ...]
    runs: tuple[dg.DagsterRun, ...]
    steps: str


def is_alerted(run: dg.DagsterRun) -> bool:
    """Whether the alert of this very run has been delivered."""
    return run.tags.get(ALERTED, "").split(" ")[0] == run.run_id


def why_not_alone(run: dg.DagsterRun) -> str:
    """Why a run that has just failed gets no alert of its own; empty when it gets one."""
    if is_alerted(run):
        return "its alert was delivered before"
    if run.tags.get(WILL_RETRY) == "true":
        return "an automatic retry follows"
    return "one digest follows when the backfill has ended" if backfill_of(run.tags) else ""


def pending(
    instance: dg.DagsterInstance,
    ui_url: str,
    now: datetime,
    *,
    only: str | None = None,
    location: str | None = None,
    window_days: int = WINDOW_DAYS,
) -> list[Parcel]:
    """What has not been delivered, oldest first.

    Args:
        instance: Whose runs.
        ui_url: Address of Dagster's UI, for links; empty for none.
        now: An aware moment of the real clock: it is compared with Dagster's own.
        only: A run id, to look at no other run.
        location: Code location whose runs are ours; None for any. Runs without a location (the command line's) are.
        window_days: Runs that failed before are left alone.
    """
    filters = dg.RunsFilter(
        run_ids=[only] if only else None,
        statuses=[dg.DagsterRunStatus.FAILURE],
        updated_after=now.astimezone(UTC) - timedelta(days=window_days),
    )
    found: list[dg.RunRecord] = []
    cursor = None
    while page := instance.get_run_records(filters, limit=_PAGE, cursor=cursor):
        found += [one for one in page if _ours(one.dagster_run, location) and not is_alerted(one.dagster_run)]
        cursor = page[-1].dagster_run.run_id
    return list(_parcels(instance, found[::-1], ui_url, now))


def close(instance: dg.DagsterInstance, parcel: Parcel, now: datetime) -> None:
    """Note on the runs that people know."""
    for run in parcel.runs:
        instance.add_run_tags(run.run_id, {ALERTED: f"{run.run_id} {parcel.steps} {now.isoformat()}"})


def _ours(run: dg.DagsterRun, location: str | None) -> bool:
    origin = run.remote_job_origin
    return location is None or origin is None or origin.location_name == location


def _parcels(
    instance: dg.DagsterInstance, records: list[dg.RunRecord], ui_url: str, now: datetime
) -> Iterator[Parcel]:
    backfills: dict[tuple[str, str], None] = {}
    for record in records:
        run = record.dagster_run
        backfill = backfill_of(run.tags)
        if backfill:
            backfills[BACKFILL if BACKFILL in run.tags else COMMAND_BACKFILL, backfill] = None
        elif not _retry_follows(record, now):
            facts = read_run(instance, record)
            steps = ",".join(step.key for step in facts.steps) or "none"
            yield Parcel(tuple(run_alerts(facts, ui_url)), (run,), steps)
    for tag, backfill in backfills:
        parcel = _digest(instance, tag, backfill, ui_url, now)
        if parcel:
            yield parcel


def _retry_follows(record: dg.RunRecord, now: datetime) -> bool:
    """Whether an automatic retry stands for this run: its outcome, not this one, is what people should hear of."""
    tags = record.dagster_run.tags
    if tags.get(WILL_RETRY) != "true":
        return False
    return RETRIED_BY in tags or now.timestamp() - (record.end_time or 0) < RETRY_PATIENCE.total_seconds()


def _digest(
    instance: dg.DagsterInstance, tag: str, backfill: str, ui_url: str, now: datetime
) -> Parcel | None:
    """The digest of a backfill that has ended; None while it works."""
    known = instance.get_backfill(backfill)
    if known and known.status.value in {"REQUESTED", "CANCELING", "FAILING"}:
        return None
    records = instance.get_run_records(dg.RunsFilter(tags={tag: backfill}), ascending=True)
    if any(record.dagster_run.status in UNFINISHED for record in records):
        return None
    newest = max((record.end_time or 0 for record in records), default=0)
    if not known and now.timestamp() - newest < QUIET.total_seconds():
        return None  # the command runs day after day; between two of them nothing is unfinished
    # A run and its retries have one root: the newest of them is the outcome.
    latest = {record.dagster_run.root_run_id or record.dagster_run.run_id: record for record in records}
    failed = dg.DagsterRunStatus.FAILURE
    bad = [record for record in latest.values() if record.dagster_run.status is failed]
    if any(_retry_follows(record, now) for record in bad):
        return None
    runs = tuple(record.dagster_run for record in records if record.dagster_run.status is failed)
    if not bad:
        return Parcel((), runs, "made-good")
    facts = sorted((read_run(instance, record) for record in bad), key=lambda run: run.days)
    days = {day for record in records for day in days_of_tags(record.dagster_run.tags)}
    return Parcel((backfill_digest(backfill, facts, len(days), ui_url),), runs, "digest")
