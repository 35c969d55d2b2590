"""The outbox of alerts: what nobody has heard of yet.

There is no list of mails to be sent. Dagster's own record of runs is the outbox: a failed run without our tag is an
alert that has not been delivered, whoever missed it - a mail server that was down, a sensor that raised, a daemon that
was not running. What belongs here: finding the failed runs, and the order of everything that waits. What does not:
sending (`delivery`), warnings of control totals (`control_warnings`), and what was made good since (`recovery`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import dagster as dg

from scoopjoy_dagster.automation import control_warnings, recovery
from scoopjoy_dagster.automation.alert import Links
from scoopjoy_dagster.automation.backfills import RETRIED_BY, WILL_RETRY, backfill_of, ended_backfill
from scoopjoy_dagster.automation.digests import backfill_digest, days_digest
from scoopjoy_dagster.automation.facts import read_run
from scoopjoy_dagster.automation.jobs import WATCH_JOB
from scoopjoy_dagster.automation.messages import FailedRun, Outlook, run_alerts
from scoopjoy_dagster.automation.nightly import AGAIN_MINUTES, TRIGGERED_BY
from scoopjoy_dagster.automation.parcels import (
    ALERTED,
    DIGEST,
    MADE_GOOD,
    RECOVERED,
    REPEATED,
    Parcel,
    is_known,
    is_noted,
    lots,
    runs,
    taken,
)
from scoopjoy_dagster.automation.state import business_day_of, settled_days
from scoopjoy_dagster.partitions import PARTITION, ZONE, Backfill
from scoopjoy_dagster.settings import WATCHDOG_AT

WINDOW_DAYS = 7
"""Failures before that are left alone; a day that is still not closed is the watchdog's to report."""

RETRY_PATIENCE = timedelta(hours=1)
"""A retry that was announced and has not begun after this is not coming."""

FAILED = dg.DagsterRunStatus.FAILURE


def is_alerted(run: dg.DagsterRun) -> bool:
    """Whether the alert of this very run has been delivered."""
    return is_noted(run, ALERTED)


def pending(
    instance: dg.DagsterInstance,
    links: Links,
    now: datetime,
    *,
    days: dg.DailyPartitionsDefinition | None = None,
    location: str | None = None,
) -> list[Parcel]:
    """What has not been delivered: failures, oldest first, then warnings, then what was made good.

    A failure whose days are settled by now needs nobody, unless somebody was alerted of it: it is only to be closed. So is
    one that repeats an alert.

    Args:
        instance: Whose runs.
        links: Addresses.
        now: An aware moment of the real clock: it is compared with Dagster's own.
        days: The business days; None: which are settled is not looked at.
        location: Code location whose runs are ours; None for any. Runs without a location (the command line's) are.
    """
    since = now.astimezone(UTC) - timedelta(days=WINDOW_DAYS)
    filters = dg.RunsFilter(statuses=[FAILED], updated_after=since)
    found = [one for one in runs(instance, filters, location) if not is_alerted(one.dagster_run)]
    parcels = list(_failures(instance, found[::-1], links, now, days))
    parcels += control_warnings.pending(instance, links, now, since=since, location=location)
    if days:
        parcels += recovery.pending(instance, days, links, now, location=location)
    return parcels


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed run that waits: its record, and what went wrong."""

    record: dg.RunRecord
    facts: FailedRun

    @property
    def run(self) -> dg.DagsterRun:
        """The run itself."""
        return self.record.dagster_run

    @property
    def days(self) -> tuple[str, ...]:
        """The business days that are not done."""
        return self.facts.days

    @property
    def steps(self) -> str:
        """The steps that failed, as the note on the run names them."""
        return ",".join(step.key for step in self.facts.steps) or "none"


def _failures(
    instance: dg.DagsterInstance,
    records: Iterable[dg.RunRecord],
    links: Links,
    now: datetime,
    days: dg.DailyPartitionsDefinition | None,
) -> Iterator[Parcel]:
    backfills: list[Backfill] = []
    found: list[Failure] = []
    for record in records:
        run = record.dagster_run
        backfill = backfill_of(instance, run)
        if backfill:
            backfills.append(backfill)
        elif not _retry_follows(instance, record, now):
            found.append(Failure(record, read_run(instance, record)))
    named = sorted({day for one in found for day in one.days})
    settled = settled_days(instance, days, named) if days and named else set()
    waiting: list[Failure] = []
    for one in found:
        if one.days and not taken(one.run) and settled.issuperset(one.days):
            yield Parcel((), (one.run,), MADE_GOOD)
            continue
        passes = one.facts.of_the_close and one.facts.passes
        if passes and not taken(one.run) and _repeats(instance, one, waiting):
            yield Parcel((), (one.run,), REPEATED)
            continue
        waiting.append(Failure(one.record, replace(one.facts, outlook=_outlook(one, now, passes=passes))))
    yield from _parcels(waiting, links)
    for backfill in dict.fromkeys(backfills):
        records_of_all = ended_backfill(instance, backfill, now)
        parcel = _digest(instance, backfill, records_of_all or [], links, now, days)
        if parcel:
            yield parcel


def _parcels(waiting: Sequence[Failure], links: Links) -> Iterator[Parcel]:
    """Each failure as alerts of its own; those of more than a few days as one."""
    of_days = [one for one in waiting if one.days and one.facts.job != WATCH_JOB]
    together, alone = lots(of_days, ALERTED)
    for one in [*alone, *(one for one in waiting if one not in of_days)]:
        yield Parcel(tuple(run_alerts(one.facts, links)), (one.run,), one.steps)
    for lot in together:
        key = f"{DIGEST}{lot[0].run.run_id}"
        alert = days_digest(key, [one.facts for one in lot], links)
        yield Parcel((alert,), tuple(one.run for one in lot), key)


def _repeats(instance: dg.DagsterInstance, failure: Failure, waiting: Sequence[Failure]) -> bool:
    """Whether people know already, or are about to: the same steps failed for the same day, by causes that pass, and the
    day was not reported as closed since.
    """
    if len(failure.days) != 1 or failure.facts.job == WATCH_JOB:
        return False
    filters = dg.RunsFilter(statuses=[FAILED], tags={PARTITION: failure.days[0]})
    known = [
        Failure(one, read_run(instance, one))
        for one in instance.get_run_records(filters)
        if one.storage_id < failure.record.storage_id
        and is_known(one.dagster_run)
        and not is_noted(one.dagster_run, RECOVERED)
    ]
    return any(
        one.days == failure.days and one.steps == failure.steps and one.facts.passes
        for one in [*known, *waiting]
    )


def _outlook(failure: Failure, now: datetime, *, passes: bool) -> Outlook:
    """Whether a failure heals by itself. The schedule asks again for what it has asked for."""
    if not failure.facts.of_the_close or failure.facts.job == WATCH_JOB:
        return Outlook.UNKNOWN
    if not passes:
        return Outlook.STAYS
    by_schedule = failure.run.tags.get(TRIGGERED_BY) == "schedule" and len(failure.days) == 1
    next_look = (now.astimezone(ZONE) + timedelta(minutes=AGAIN_MINUTES)).time()
    return Outlook.AGAIN if by_schedule and next_look < WATCHDOG_AT else Outlook.MAY_HEAL


def _retry_follows(instance: dg.DagsterInstance, record: dg.RunRecord, now: datetime) -> bool:
    """Whether an automatic retry stands for this run: its outcome, not this one, is what people should hear of."""
    tags = record.dagster_run.tags
    if tags.get(WILL_RETRY) != "true":
        return False
    retry = instance.get_run_by_id(tags.get(RETRIED_BY, ""))
    # The tag alone is no proof: whoever launches a run may write any.
    if retry and retry.parent_run_id == record.dagster_run.run_id:
        return True
    return now.timestamp() - (record.end_time or 0) < RETRY_PATIENCE.total_seconds()


def _digest(
    instance: dg.DagsterInstance,
    backfill: Backfill,
    records: Sequence[dg.RunRecord],
    links: Links,
    now: datetime,
    days: dg.DailyPartitionsDefinition | None,
) -> Parcel | None:
    """The digest of a backfill that has ended: of its days that are still open, unless somebody has got it already."""
    # A run and its retries have one root: the newest of them is the outcome.
    latest = {record.dagster_run.root_run_id or record.dagster_run.run_id: record for record in records}
    bad = [record for record in latest.values() if record.dagster_run.status is FAILED]
    if any(_retry_follows(instance, record, now) for record in bad):
        return None
    failed = tuple(record.dagster_run for record in records if record.dagster_run.status is FAILED)
    facts = sorted((read_run(instance, record) for record in bad), key=lambda run: run.days)
    if days and not any(map(taken, failed)):
        settled = settled_days(instance, days, sorted({day for run in facts for day in run.days}))
        facts = [run for run in facts if not run.days or not settled.issuperset(run.days)]
    if not facts:
        return Parcel((), failed, MADE_GOOD) if failed else None
    count = len({business_day_of(record.dagster_run.tags) for record in records})
    return Parcel((backfill_digest(*backfill, facts, count, links),), failed, "digest")
