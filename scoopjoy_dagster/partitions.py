"""The business day: one daily partition in the company's time zone, and the only place that turns keys into dates."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    import dagster as dg

TIME_ZONE = "Asia/Kolkata"
"""Time zone of the business day. ERPNext's site time zone must be the same; `scoopjoy check` compares them."""

ZONE = ZoneInfo(TIME_ZONE)


def business_days(go_live: date) -> dg.DailyPartitionsDefinition:
    """Daily partitions from the first business day that this program closes; a day exists once it has ended.

    Days before `go_live` were closed by other means and must never be closed by a catch-up.
    """
    import dagster as dg  # here: the completion of days in a shell needs this module, and none of Dagster

    return dg.DailyPartitionsDefinition(start_date=go_live.isoformat(), timezone=TIME_ZONE, end_offset=0)


def day_of(partition_key: str) -> date:
    """The business day of a partition key.

    Raises:
        ValueError: the key is no date.
    """
    return date.fromisoformat(partition_key)


def days_of(context: dg.AssetExecutionContext) -> list[date]:
    """The business days of a run, oldest first: one for a partition, several for a range."""
    return sorted(day_of(key) for key in context.partition_keys)


def last_ended_day(now: datetime) -> date:
    """The newest business day that has ended at `now` (an aware datetime)."""
    return now.astimezone(ZONE).date() - timedelta(days=1)


def site_time(now: datetime) -> datetime:
    """`now` as ERPNext writes it: naive, in site time."""
    return now.astimezone(ZONE).replace(tzinfo=None)
