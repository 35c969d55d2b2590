"""The business day: one daily partition in the company's time zone, and the only place that turns keys into dates."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from scoopjoy_dagster.accounting.business_day import DayEnd

if TYPE_CHECKING:
    import dagster as dg

TIME_ZONE = "Asia/Kolkata"
"""Time zone of the business day. ERPNext's site time zone must be the same; `scoopjoy check` compares them."""

ZONE = ZoneInfo(TIME_ZONE)

# Tags of runs, as Dagster sets them. It has no public names for them.
PARTITION = "dagster/partition"
BACKFILL_TAG = "dagster/backfill"
COMMAND_BACKFILL = "scoopjoy/backfill"
"""Tag of the runs of one `scoopjoy backfill`, of which Dagster keeps no record as a backfill."""


def business_days(go_live: date, day_ends_at: time = time.min) -> dg.DailyPartitionsDefinition:
    """Daily partitions from the first business day that this program closes; a day exists once it has ended.

    It ends at `day_ends_at` of the next date. Days before `go_live` were closed by other means and must never be closed by a catch-up.
    """
    import dagster as dg  # here: the completion of days in a shell needs this module, and none of Dagster

    return dg.DailyPartitionsDefinition(
        start_date=go_live.isoformat(),
        timezone=TIME_ZONE,
        hour_offset=day_ends_at.hour,
        minute_offset=day_ends_at.minute,
        end_offset=0,
    )


class Backfill(NamedTuple):
    """A backfill of Dagster's or of the command line's: the tag that names it on its runs, and its id."""

    tag: str
    id: str


def proven_backfill(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Backfill | None:
    """The backfill that a run is of; None for none, and where only a tag says so.

    A backfill keeps its reports back, and its alerts until it has ended; whoever launches a run may write any tag. So Dagster must
    know its backfill, with the day of the run. The command line's runs have no origin, as every run has that Dagster launched.
    """
    tags = run.tags
    known = instance.get_backfill(tags[BACKFILL_TAG]) if BACKFILL_TAG in tags else None
    if known:
        data = known.asset_backfill_data
        targets: Iterable[Any] = (
            data.target_subset.partitions_subsets_by_asset_key.values()
            if data
            else [known.partition_names or ()]
        )
        if any(tags.get(PARTITION) in target for target in targets):
            return Backfill(BACKFILL_TAG, known.backfill_id)
    if COMMAND_BACKFILL in tags and run.remote_job_origin is None:
        return Backfill(COMMAND_BACKFILL, tags[COMMAND_BACKFILL])
    return None


def day_of(partition_key: str) -> date:
    """The business day of a partition key.

    Raises:
        ValueError: the key is no date.
    """
    return date.fromisoformat(partition_key)


def last_ended_day(now: datetime, day_ends_at: time = time.min) -> date:
    """The newest business day that has ended at `now` (an aware datetime); it ends at `day_ends_at` of the next date."""
    return DayEnd(day_ends_at).day_of(site_time(now)) - timedelta(days=1)


def site_time(now: datetime) -> datetime:
    """`now` as ERPNext writes it: naive, in site time."""
    return now.astimezone(ZONE).replace(tzinfo=None)
