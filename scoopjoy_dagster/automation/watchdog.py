"""The watchdog: every morning, is there a business day that has ended and is not closed?

It looks at the state of all days since go-live, not at events: it also finds what a missed tick, a lost alert, a dead
daemon or a cancelled run has left behind, and days that the nightly look-back no longer reaches. A run excuses its day only while
it is younger than a night may take. Its failed run is alerted like any other.

The check hangs on an asset of its own, which nothing materializes. On `hq_sync` it would be run, as Dagster runs every
check of the assets that are selected, by each manual materialization and each backfill of `hq_sync`, by each close that
selects the asset by key, too: closing day D would fail because of another day. Being an asset check it keeps its
history in the UI, which an op would not.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

import dagster as dg

from scoopjoy_dagster.assets.runner import GROUP, OWNERS
from scoopjoy_dagster.automation.alert import MAX_ROWS, repair_command
from scoopjoy_dagster.automation.alerts import deliver
from scoopjoy_dagster.automation.jobs import WATCH, WATCH_JOB
from scoopjoy_dagster.automation.nightly import Job
from scoopjoy_dagster.automation.state import in_flight_days, settled_days
from scoopjoy_dagster.instance import REMEDY, shortcomings
from scoopjoy_dagster.partitions import TIME_ZONE, ZONE
from scoopjoy_dagster.resources.alerts import AlertsResource
from scoopjoy_dagster.resources.clock import ClockResource
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.mail import MailResource
from scoopjoy_dagster.settings import WATCHDOG_AT

NAME = "is_every_day_closed"
JOB = WATCH_JOB
SCHEDULE = "watchdog_schedule"
CRON = f"{WATCHDOG_AT.minute} {WATCHDOG_AT.hour} * * *"


def build_asset() -> dg.AssetSpec:
    """The asset that the check hangs on: the close as a whole, as seen from outside."""
    return dg.AssetSpec(
        WATCH,
        description="The nightly close as a whole. Nothing materializes it; its check says whether a day is overdue.",
        group_name=GROUP,
        owners=OWNERS,
        kinds={"dagster"},
        tags={"scoopjoy/critical": "no"},
    )


def build_check(
    days: dg.DailyPartitionsDefinition, *, close_at: time, night_minutes: int, automation_on: bool
) -> dg.AssetChecksDefinition:
    """The check, on these business days.

    Args:
        days: the business days.
        close_at: when the night's close begins.
        night_minutes: how long a run may take; one that is older excuses nothing.
        automation_on: whether schedules run by themselves.
    """

    @dg.asset_check(
        name=NAME,
        asset=WATCH,
        blocking=True,
        config_schema={},  # a run of it sets nothing
        description="Is every business day since go-live that has ended closed, or being closed?",
    )
    def is_every_day_closed(
        context: dg.AssetCheckExecutionContext,
        mail: MailResource,
        erpnext: ERPNextResource,
        alerts: AlertsResource,
        clock: ClockResource,
    ) -> dg.AssetCheckResult:
        from scoopjoy_dagster.automation.missed_night import causes, untried

        instance = context.instance
        _flush(context, days, mail, erpnext, alerts)
        now = clock.now()
        ended = days.get_partition_keys(current_time=last_close(now, close_at))
        settled = settled_days(instance, days, ended)
        in_flight = in_flight_days(instance, since=now - timedelta(minutes=night_minutes))
        overdue = [day for day in ended if day not in settled and day not in in_flight]
        missed = untried(instance, days, overdue) if overdue else []
        # Last night is what "missed" is about: an older day without a run is overdue like any other.
        last_night = missed[-1] if missed and missed[-1] == ended[-1] else ""
        seen = causes(instance, now, automation_on=automation_on) if last_night else []
        in_work = sum(day in in_flight for day in ended)
        return verdict(overdue, len(ended), in_work, last_night, seen, shortcomings(instance))

    return is_every_day_closed


def last_close(now: datetime, close_at: time) -> datetime:
    """When the newest night's close began: a day that ended after it is the next night's, even for a look that comes late."""
    begun = datetime.combine(now.astimezone(ZONE).date(), close_at, ZONE)
    # A minute, for the runs of a night that begins at this very moment.
    return begun if begun + timedelta(minutes=1) <= now else begun - timedelta(days=1)


def verdict(
    overdue: list[str],
    ended: int,
    in_flight: int,
    missed_night: str = "",
    seen: Sequence[str] = (),
    lacking: Sequence[str] = (),
) -> dg.AssetCheckResult:
    """What the check says of the overdue days (oldest first) among those that have ended.

    `missed_night` is the newest of them when no run was ever made for it, and `seen` is what is wrong. `lacking` is what the
    Dagster instance lacks.
    """
    from scoopjoy_dagster.automation.facts import OVERDUE

    figures: dict[str, Any] = {
        "overdue_days": len(overdue),
        "ended_days": ended,
        "in_flight_days": in_flight,
    }
    if lacking:
        figures["dagster_lacks"] = " ".join(lacking)
    if lacking and not overdue:
        return dg.AssetCheckResult(
            passed=False,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata=figures,
            description=f"Every business day that has ended is closed, but Dagster runs without its settings. {' '.join(lacking)} "
            f"{REMEDY}",
        )
    if not overdue:
        return dg.AssetCheckResult(
            passed=True,
            metadata=figures,
            description="Every business day that has ended is closed, or being closed.",
        )
    more = f" and {len(overdue) - MAX_ROWS} more" if len(overdue) > MAX_ROWS else ""
    oldest = ", ".join(overdue[:MAX_ROWS]) + more
    repair = repair_command(overdue)
    figures |= {"oldest": oldest, "repair": repair, OVERDUE: dg.MetadataValue.json(overdue)}
    first = ""
    if missed_night:
        figures |= {"missed_night": missed_night, "causes": " ".join(seen)}
        first = f"The night was missed: no run was ever made for {missed_night}. "
    return dg.AssetCheckResult(
        passed=False,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata=figures,
        description=f"{first}Business days that have ended and are not closed: {len(overdue)}, "
        f"the oldest {overdue[0]}. Run: {repair}",
    )


def _flush(
    context: dg.AssetCheckExecutionContext,
    days: dg.DailyPartitionsDefinition,
    mail: MailResource,
    erpnext: ERPNextResource,
    alerts: AlertsResource,
) -> None:
    """Send the alerts that the sensors have not: they may be what is broken."""
    origin = context.run.remote_job_origin
    location = origin.location_name if origin else None
    try:
        delivery = deliver(
            context.instance, mail, erpnext, alerts, datetime.now(UTC), days=days, location=location
        )
        context.log.info("Outbox of alerts: %s", delivery.sentence)
    except Exception:  # the days matter more than the mail about them
        context.log.exception("The outbox of alerts could not be delivered.")


def build_job() -> Job:
    """The job that runs the check and nothing else."""
    return dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey(WATCH), NAME)),
        description="Every morning: fail, and so alert, if a business day that has ended is not closed.",
        tags={"dagster/priority": "20"},
    )


def build_schedule(job: Job, status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    """Every morning at 06:00, when the night's close has begun at the latest."""
    return dg.ScheduleDefinition(
        name=SCHEDULE,
        job=job,
        cron_schedule=CRON,
        execution_timezone=TIME_ZONE,
        default_status=status,
        tags={"scoopjoy/triggered_by": "schedule"},
        description="Every morning at 06:00: is there a business day that is not closed?",
    )
