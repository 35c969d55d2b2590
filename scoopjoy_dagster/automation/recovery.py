"""Recovery: a day that somebody was alerted of is settled, and those who were alerted hear of it, once.

The same principle as the outbox's: a failed run whose alert somebody has got, and whose days are settled now, is a
message that waits until the run is noted as recovered. What an alert was about recovers as a whole (a day, a digest's days,
the watchdog's), and all that has recovered is one message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import dagster as dg

from scoopjoy_dagster.automation.alert import SHOWN_DAYS, Alert, Links, Row, clock_time, compose, named, span
from scoopjoy_dagster.automation.backfills import backfill_of
from scoopjoy_dagster.automation.desk.run_facts import triggered_by
from scoopjoy_dagster.automation.digests import days_digest
from scoopjoy_dagster.automation.facts import batch_run_day, read_run
from scoopjoy_dagster.automation.jobs import WATCH_JOB
from scoopjoy_dagster.automation.messages import run_alerts
from scoopjoy_dagster.automation.parcels import (
    ALERTED,
    DIGEST,
    RECOVERED,
    Parcel,
    is_known,
    is_noted,
    lots,
    note_of,
    runs,
)
from scoopjoy_dagster.automation.state import business_day_of, in_flight_days, settled_days
from scoopjoy_dagster.partitions import PARTITION
from scoopjoy_dagster.steps import STEPS

WINDOW_DAYS = 31
"""A day that is made good later than this after its failure is not reported: the alert is forgotten by then."""

BY_HAND = "marked by a person in Dagster"
"""What made a day good that no run did."""


@dataclass(slots=True)
class Group:
    """Failed runs that recover as a whole: those of a day, of a digest, of a backfill, or the watchdog's.

    `about` is what their alerts are about (see `alert.Alert`), `named` the business days; `known`: somebody has got an alert
    of them.
    """

    about: str = ""
    records: list[dg.RunRecord] = field(default_factory=list)
    named: set[str] = field(default_factory=set)
    known: bool = False

    @property
    def days(self) -> tuple[str, ...]:
        """The business days, oldest first."""
        return tuple(sorted(self.named))

    @property
    def run(self) -> dg.DagsterRun:
        """The run that its note lies on."""
        return self.records[0].dagster_run


@dataclass(frozen=True, slots=True)
class Closing:
    """What settled a day: the run (empty for an event without one), who started it, when, and the day of its Batch Run."""

    run_id: str
    who: str
    at: datetime
    batch_run: str = ""


def pending(
    instance: dg.DagsterInstance,
    days: dg.DailyPartitionsDefinition,
    links: Links,
    now: datetime,
    *,
    location: str | None,
) -> Iterator[Parcel]:
    """What waits: one message for all that has recovered, and those that some have got already; `now` is an aware moment."""
    since = now.astimezone(UTC) - timedelta(days=WINDOW_DAYS)
    filters = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since)
    waiting = [one for one in runs(instance, filters, location) if not is_noted(one.dagster_run, RECOVERED)]
    groups = _groups(instance, waiting[::-1])
    ready = sorted((group for group in groups if group.known and group.days), key=lambda one: one.days)
    if not ready:
        return
    names = sorted({day for group in ready for day in group.days})
    settled = settled_days(instance, days, names) - in_flight_days(instance)
    closed = [group for group in ready if settled.issuperset(group.days)]
    begun, rest = lots(closed, RECOVERED, few=len(closed))
    for lot in filter(None, [*begun, rest]):
        firsts = [group.records[0] for group in lot]
        others = [record for group in lot for record in group.records[1:]]
        ours = tuple(record.dagster_run for record in [*firsts, *others])
        yield Parcel((_message(instance, lot, links),), ours, "settled", RECOVERED)


def _groups(instance: dg.DagsterInstance, records: Iterable[dg.RunRecord]) -> Iterable[Group]:
    groups: dict[str, Group] = {}
    for record in records:
        run = record.dagster_run
        backfill = backfill_of(instance, run)
        known = is_known(run)
        if not known and not backfill:
            continue
        watchdog = run.job_name == WATCH_JOB
        day = business_day_of(run.tags)
        # Most runs name their day: one that never recovers costs nothing at each tick.
        days = _overdue_days(instance, record) if watchdog else (day,) if day else ()
        digest = note_of(run, ALERTED)
        about = f"backfill {backfill.id}" if backfill else digest if digest.startswith(DIGEST) else span(days)
        group = groups.setdefault(about, Group(about))
        group.records.append(record)
        group.named.update(days)
        group.known |= known
    return groups.values()


_overdue: dict[str, tuple[str, ...]] = {}
"""Days that a run of the watchdog is about, by its id: a run that has ended changes no more, and is read once."""


def _overdue_days(instance: dg.DagsterInstance, record: dg.RunRecord) -> tuple[str, ...]:
    run_id = record.dagster_run.run_id
    if run_id not in _overdue:
        _overdue[run_id] = read_run(instance, record).days
    return _overdue[run_id]


def _message(instance: dg.DagsterInstance, groups: Sequence[Group], links: Links) -> Alert:
    days = sorted({day for group in groups for day in group.days})
    closings = {day: closed_by(instance, day) for day in days}
    last = max(closings.values(), key=lambda one: one.at)
    run_ids = [record.dagster_run.run_id for group in groups for record in group.records]
    by = list(dict.fromkeys(_named(one) for one in closings.values()))
    more = f" and {len(by) - SHOWN_DAYS} more" if len(by) > SHOWN_DAYS else ""
    closed = "Business day closed" if len(days) == 1 else "Business days closed"
    return compose(
        key=":".join(["recovered", *sorted(run_ids)]),
        days=days,
        ended=last.at,
        when="Closed at",
        subject=f"[RECOVERED] {closed}: {named(days)}",
        lead=["Nothing is left to do."],
        facts=[("Resolved by", "; ".join(by[:SHOWN_DAYS]) + more)],
        rows=[
            Row((subject, clock_time(ended)), f"Run {run_id[:8]}" if run_id else "", severe=False)
            for group in groups
            for subject, ended, run_id in _answered(instance, group, links)
        ],
        title="Alerts that this answers",
        links=[
            links.batch_run(last.batch_run or batch_run_day(groups[-1].records[-1].dagster_run)),
            links.run(last.run_id) if last.run_id else ("", ""),
        ],
        about=[group.about for group in groups],
    )


def _answered(
    instance: dg.DagsterInstance, group: Group, links: Links
) -> Iterator[tuple[str, datetime, str]]:
    """The alerts that a recovery answers: subject, moment, and the run where it is one."""
    facts = [read_run(instance, record) for record in group.records]
    last = max(one.ended for one in facts)
    if group.about.startswith(DIGEST):
        yield days_digest(group.about, facts, links).subject, last, ""
    elif facts[0].backfill:
        yield f"Backfill: {named(group.days)}", last, ""
    else:
        yield from (
            (alert.subject, one.ended, one.run_id) for one in facts for alert in run_alerts(one, links)
        )


def _named(closing: Closing) -> str:
    return f"run {closing.run_id[:8]} ({closing.who})" if closing.run_id else closing.who


def closed_by(instance: dg.DagsterInstance, day: str) -> Closing:
    """What settled a business day that is settled: the newest of its materializations and successful runs."""
    found: list[Closing] = []
    for step in STEPS:
        wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(step.asset), asset_partitions=[day])
        for record in instance.fetch_materializations(wanted, limit=1).records:
            at = datetime.fromtimestamp(record.timestamp, UTC)
            found.append(Closing(record.run_id, "", at))
    good = dg.RunsFilter(tags={PARTITION: day}, statuses=[dg.DagsterRunStatus.SUCCESS])
    for run_record in instance.get_run_records(good, limit=1):
        at = datetime.fromtimestamp(run_record.end_time or 0, UTC)
        found.append(Closing(run_record.dagster_run.run_id, "", at))
    newest = max(found, key=lambda one: one.at)
    run = instance.get_run_by_id(newest.run_id) if newest.run_id else None
    if not run:
        return Closing("", BY_HAND, newest.at)
    return Closing(run.run_id, triggered_by(run.tags), newest.at, batch_run_day(run))
