"""The outbox of alerts: what nobody has been told of.

There is no list of mails to be sent. Dagster's own record of runs is the outbox: a failed run without our tag is an
alert that has not been delivered, whoever missed it - a mail server that was down, a sensor that raised, a daemon that
was not running. What belongs here: finding the failed runs, and the order of everything that waits. What does not:
sending (`delivery`), warnings of control totals (`control_warnings`), and what was made good since (`recovery`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from scoopjoy_dagster.automation import control_warnings, recovery
from scoopjoy_dagster.automation.alert import Links
from scoopjoy_dagster.automation.backfills import RETRIED_BY, WILL_RETRY, ended_backfill, tag_of
from scoopjoy_dagster.automation.digests import backfill_digest
from scoopjoy_dagster.automation.facts import read_run
from scoopjoy_dagster.automation.messages import run_alerts
from scoopjoy_dagster.automation.parcels import ALERTED, MADE_GOOD, Parcel, is_noted, runs
from scoopjoy_dagster.automation.state import backfill_of, days_of_tags

WINDOW_DAYS = 7
"""Failures before that are left alone; a day that is still not closed is the watchdog's to report."""

RETRY_PATIENCE = timedelta(hours=1)
"""A retry that was announced and has not begun after this is not coming."""

FAILED = dg.DagsterRunStatus.FAILURE


def is_alerted(run: dg.DagsterRun) -> bool:
    """Whether the alert of this very run has been delivered."""
    return is_noted(run, ALERTED)


def why_not_alone(run: dg.DagsterRun) -> str:
    """Why a run that has just failed gets no alert of its own; empty when it gets one."""
    if is_alerted(run):
        return "its alert was delivered before"
    if run.tags.get(WILL_RETRY) == "true":
        return "an automatic retry follows"
    return "one digest follows when the backfill has ended" if backfill_of(run.tags) else ""


def pending(
    instance: dg.DagsterInstance,
    links: Links,
    now: datetime,
    *,
    days: dg.DailyPartitionsDefinition | None = None,
    only: str | None = None,
    location: str | None = None,
    window_days: int = WINDOW_DAYS,
) -> list[Parcel]:
    """What has not been delivered: failures, oldest first, then warnings, then what was made good.

    Args:
        instance: Whose runs.
        links: Addresses.
        now: An aware moment of the real clock: it is compared with Dagster's own.
        days: The business days; None: what was made good is not looked for.
        only: A run id, to look at the failure of this run and at nothing else.
        location: Code location whose runs are ours; None for any. Runs without a location (the command line's) are.
        window_days: Runs that failed before are left alone.
    """
    filters = dg.RunsFilter(
        run_ids=[only] if only else None,
        statuses=[FAILED],
        updated_after=now.astimezone(UTC) - timedelta(days=window_days),
    )
    found = [one for one in runs(instance, filters, location) if not is_alerted(one.dagster_run)]
    parcels = list(_failures(instance, found[::-1], links, now))
    if only:
        return parcels
    since = now.astimezone(UTC) - timedelta(days=window_days)
    parcels += control_warnings.pending(instance, links, now, since=since, location=location)
    if days:
        parcels += recovery.pending(instance, days, links, now, location=location)
    return parcels


def _failures(
    instance: dg.DagsterInstance, records: Iterable[dg.RunRecord], links: Links, now: datetime
) -> Iterator[Parcel]:
    backfills: dict[str, str] = {}
    for record in records:
        run = record.dagster_run
        backfill = backfill_of(run.tags)
        if backfill:
            backfills[backfill] = tag_of(run)
        elif not _retry_follows(record, now):
            facts = read_run(instance, record)
            steps = ",".join(step.key for step in facts.steps) or "none"
            yield Parcel(tuple(run_alerts(facts, links)), (run,), steps)
    for backfill, tag in backfills.items():
        records_of_all = ended_backfill(instance, tag, backfill, now)
        parcel = _digest(instance, tag, backfill, records_of_all, links, now) if records_of_all else None
        if parcel:
            yield parcel


def _retry_follows(record: dg.RunRecord, now: datetime) -> bool:
    """Whether an automatic retry stands for this run: its outcome, not this one, is what people should hear of."""
    tags = record.dagster_run.tags
    if tags.get(WILL_RETRY) != "true":
        return False
    return RETRIED_BY in tags or now.timestamp() - (record.end_time or 0) < RETRY_PATIENCE.total_seconds()


def _digest(
    instance: dg.DagsterInstance,
    tag: str,
    backfill: str,
    records: Sequence[dg.RunRecord],
    links: Links,
    now: datetime,
) -> Parcel | None:
    """The digest of a backfill that has ended."""
    # A run and its retries have one root: the newest of them is the outcome.
    latest = {record.dagster_run.root_run_id or record.dagster_run.run_id: record for record in records}
    bad = [record for record in latest.values() if record.dagster_run.status is FAILED]
    if any(_retry_follows(record, now) for record in bad):
        return None
    failed = tuple(record.dagster_run for record in records if record.dagster_run.status is FAILED)
    if not bad:
        return Parcel((), failed, MADE_GOOD)
    facts = sorted((read_run(instance, record) for record in bad), key=lambda run: run.days)
    days = {day for record in records for day in days_of_tags(record.dagster_run.tags)}
    return Parcel((backfill_digest(tag, backfill, facts, len(days), links),), failed, "digest")
