"""The nightly schedule: it asks for every day that is not settled, so an outage heals by itself.

Dagster's own schedule for partitioned jobs asks only for the newest day: after three nights without a scheduler two
days would never be closed, and nobody would be told. This one looks at the state of the days instead. Days older than
the look-back are not run without a person: the watchdog reports them.
"""

from datetime import time
from typing import TypeAlias

import dagster as dg

# What `define_asset_job` returns; Dagster gives it no public name.
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from scoopjoy_dagster.automation.state import days_to_run, in_flight_days, settled_days
from scoopjoy_dagster.partitions import TIME_ZONE

NAME = "nightly_close_schedule"
REASON = "scoopjoy/reason"
TRIGGERED_BY = "scoopjoy/triggered_by"

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
        cron_schedule=f"{close_at.minute} {close_at.hour} * * *",
        execution_timezone=TIME_ZONE,
        default_status=status,
        tags={TRIGGERED_BY: "schedule"},
        description=f"Every night at {close_at:%H:%M}: close the business day that has just ended, and every recent one "
        "that is not settled.",
    )
    def nightly_close_schedule(
        context: dg.ScheduleEvaluationContext,
    ) -> list[dg.RunRequest] | dg.SkipReason:
        # The day that has begun meanwhile has no partition yet: a day has one once it has ended.
        ended = days.get_partition_keys(current_time=context.scheduled_execution_time)
        if not ended:
            return dg.SkipReason("no business day has ended since go-live")
        try:
            settled = settled_days(context.instance, days, ended)
            todo = days_to_run(ended, settled, in_flight_days(context.instance), lookback_days)
        except Exception as problem:  # noqa: BLE001 - a tick that raises is not repeated that night
            # A day too many costs nothing: what is right already is left as it is. A day too few is a day not closed.
            context.log.warning(
                "The state of the days could not be read (%s): only %s is asked for; the watchdog and the next night "
                "see to the others.",
                problem,
                ended[-1],
            )
            todo = list(ended[-1:])
        if not todo:
            return dg.SkipReason("every ended day is settled")
        return [
            dg.RunRequest(
                # Dagster wants a key of each when they are several. With the tick in it, it stands against a second
                # run by the same tick only, never against another night's.
                run_key=f"{day}@{context.scheduled_execution_time.isoformat()}",
                partition_key=day,
                tags={REASON: "nightly" if day == ended[-1] else "catch-up", TRIGGERED_BY: "schedule"},
            )
            for day in todo
        ]

    return nightly_close_schedule
