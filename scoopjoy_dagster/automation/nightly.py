"""The nightly schedule: it asks for every day that is not settled, so an outage heals by itself.

It looks every quarter of an hour until the watchdog does: at the first look of a night every unsettled day is asked for; later
only what failed by something that passes by itself (ERPNext was away, the run was lost), and what nobody could ask for before.

Dagster's own schedule for partitioned jobs asks only for the newest day: after three nights without a scheduler two
days would never be closed, and nobody would be told. This one looks at the state of the days instead. Days older than
the look-back are not run without a person: the watchdog reports them.
"""

from collections.abc import Mapping, Sequence
from datetime import time
from typing import TypeAlias

import dagster as dg

# What `define_asset_job` returns; Dagster gives it no public name.
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from scoopjoy_dagster.automation.jobs import HOUSEKEEPING
from scoopjoy_dagster.automation.state import days_to_run, in_flight_days, settled_days
from scoopjoy_dagster.partitions import PARTITION, TIME_ZONE, ZONE
from scoopjoy_dagster.settings import WATCHDOG_AT

NAME = "nightly_close_schedule"
REASON = "scoopjoy/reason"
TRIGGERED_BY = "scoopjoy/triggered_by"
NIGHT = "scoopjoy/night"
"""Tag of the runs that the schedule asks for: the date of the night."""

AGAIN_MINUTES = 15
"""Minutes between two looks of a night."""

Job: TypeAlias = dg.JobDefinition | UnresolvedAssetJobDefinition


def build(
    days: dg.DailyPartitionsDefinition,
    job: Job,
    *,
    close_at: time,
    lookback_days: int,
    status: dg.DefaultScheduleStatus,
) -> dg.ScheduleDefinition:
    """The schedule, for the job that closes one of these business days at `close_at`.

    The newest `lookback_days` ended days are caught up; `status` says whether the schedule is on before anybody has
    touched it.
    """

    @dg.schedule(
        name=NAME,
        job=job,
        cron_schedule=cron_of(close_at),
        execution_timezone=TIME_ZONE,
        default_status=status,
        tags={TRIGGERED_BY: "schedule"},
        description=f"Every night at {close_at:%H:%M}: close the business day that has just ended, and every recent one that is not "
        f"settled. What fails because ERPNext is away is tried again every {AGAIN_MINUTES} minutes until {WATCHDOG_AT:%H:%M}.",
    )
    def nightly_close_schedule(
        context: dg.ScheduleEvaluationContext,
    ) -> list[dg.RunRequest] | dg.SkipReason:
        # The day that has begun meanwhile has no partition yet: a day has one once it has ended.
        moment = context.scheduled_execution_time
        ended, night = (
            days.get_partition_keys(current_time=moment),
            moment.astimezone(ZONE).date().isoformat(),
        )
        if not ended:
            return dg.SkipReason("no business day has ended since go-live")
        try:
            settled = settled_days(context.instance, days, ended)
            todo = days_to_run(ended, settled, in_flight_days(context.instance), lookback_days)
            again = [day for day in todo if _asked_for(context.instance, day, night)]
            todo = [day for day in todo if day not in again or _may_succeed_now(context.instance, day)]
        except Exception as problem:  # noqa: BLE001 - a tick that raises is not repeated that night
            # A day too many costs nothing: what is right already is left as it is. A day too few is a day not closed.
            context.log.warning(
                "The state of the days could not be read (%s): only %s is asked for; the watchdog and the next night "
                "see to the others.",
                problem,
                ended[-1],
            )
            todo, again = list(ended[-1:]), []
        if not todo and again:
            return dg.SkipReason(
                f"{', '.join(again)}: what failed needs a person; it is asked for again tomorrow night"
            )
        if not todo:
            return dg.SkipReason("every ended day is settled")
        return [
            dg.RunRequest(
                # Dagster wants a key of each when they are several. With the tick in it, it stands against a second
                # run by the same tick only, never against another night's.
                run_key=f"{day}@{moment.isoformat()}",
                partition_key=day,
                tags={
                    REASON: "again" if day in again else "nightly" if day == ended[-1] else "catch-up",
                    TRIGGERED_BY: "schedule",
                    NIGHT: night,
                },
            )
            for day in todo
        ]

    return nightly_close_schedule


def cron_of(close_at: time) -> list[str]:
    """When the schedule looks: at `close_at`, and every quarter of an hour from then until the watchdog's hour."""
    minutes = sorted((close_at.minute + AGAIN_MINUTES * number) % 60 for number in range(60 // AGAIN_MINUTES))
    first = [minute for minute in minutes if minute >= close_at.minute]
    hours = range(close_at.hour + 1, WATCHDOG_AT.hour)
    crons = [f"{_some(first)} {close_at.hour} * * *"]
    return [*crons, f"{_some(minutes)} {_some(hours)} * * *"] if hours else crons


def _some(numbers: Sequence[int]) -> str:
    return ",".join(str(number) for number in numbers)


def _asked_for(instance: dg.DagsterInstance, day: str, night: str) -> bool:
    """Whether this schedule has asked for a day in this night before."""
    return bool(_closes(instance, {PARTITION: day, NIGHT: night}))


def _may_succeed_now(instance: dg.DagsterInstance, day: str) -> bool:
    """Whether the newest run of a day failed by something that passes by itself."""
    from scoopjoy_dagster.automation.facts import read_run  # which needs this module

    newest = _closes(instance, {PARTITION: day})[:1]
    return all(read_run(instance, record).passes for record in newest)


def _closes(instance: dg.DagsterInstance, tags: Mapping[str, str]) -> list[dg.RunRecord]:
    """The newest runs with these tags, without those that close nothing: whoever launches a run may write any tag."""
    found = instance.get_run_records(dg.RunsFilter(tags=tags), limit=20)
    return [one for one in found if one.dagster_run.job_name not in HOUSEKEEPING]
