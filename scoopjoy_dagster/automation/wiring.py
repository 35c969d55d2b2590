"""All automation in one value, for `definitions` to merge: what runs by itself, on these days and by these settings."""

from dataclasses import dataclass

import dagster as dg

from scoopjoy_dagster.automation import alerts, late_changes, nightly, retention, watchdog
from scoopjoy_dagster.automation.desk import sensor as desk
from scoopjoy_dagster.settings import Settings


@dataclass(frozen=True, slots=True)
class Automation:
    """Definitions of what runs by itself. They need the resources `mail`, `alerts`, `erpnext`, `royalty_policy` and `clock`."""

    assets: list[dg.AssetSpec]
    asset_checks: list[dg.AssetChecksDefinition]
    jobs: list[nightly.Job]
    schedules: list[dg.ScheduleDefinition]
    sensors: list[dg.SensorDefinition]


def build(days: dg.DailyPartitionsDefinition, job: nightly.Job, settings: Settings) -> Automation:
    """The automation of the job that closes one of these business days."""
    on = settings.automation == "on"
    ticking = dg.DefaultScheduleStatus.RUNNING if on else dg.DefaultScheduleStatus.STOPPED
    sensing = dg.DefaultSensorStatus.RUNNING if on else dg.DefaultSensorStatus.STOPPED
    watch = watchdog.build_job()
    purge = retention.build_job(settings.event_log_days, job.name)
    return Automation(
        assets=[watchdog.build_asset()],
        asset_checks=[
            watchdog.build_check(
                days, close_at=settings.close_at, night_minutes=settings.night_minutes, automation_on=on
            )
        ],
        jobs=[watch, purge],
        schedules=[
            nightly.build(
                days,
                job,
                close_at=settings.close_at,
                lookback_days=settings.lookback_days,
                status=ticking,
            ),
            watchdog.build_schedule(watch, ticking),
            retention.build_schedule(purge, ticking),
        ],
        sensors=[
            *alerts.build(days, sensing),
            *(
                [desk.build(job, go_live=settings.go_live, day_ends_at=settings.day_ends_at, status=sensing)]
                if settings.batch_run_desk == "on"
                else []
            ),
            late_changes.build(
                days,
                job,
                status=sensing,
                window_days=settings.late_change_days,
            ),
        ],
    )
