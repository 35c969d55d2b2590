"""What Dagster knows about business days: which are settled, which are being worked on, and which are to be run.

What belongs here: reading Dagster's storage, and the one pure decision that follows. What does not: anything that
ERPNext would have to be asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import dagster as dg

# Dagster has no public name for these; the version is pinned, and the tests read them from real storage.
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.partition_status_cache import AssetPartitionStatus

from scoopjoy_dagster.accounting.totals import CONTROL_TOTALS
from scoopjoy_dagster.automation.jobs import HOUSEKEEPING
from scoopjoy_dagster.partitions import BACKFILL_TAG, COMMAND_BACKFILL, PARTITION
from scoopjoy_dagster.steps import STEPS

if TYPE_CHECKING:
    from dagster._core.execution.backfill import PartitionBackfill

BLOCKING_CHECKS = tuple(
    dg.AssetCheckKey(dg.AssetKey(one.asset), one.name) for one in CONTROL_TOTALS if one.blocking
)
"""The control totals whose failure leaves a day unsettled (`checks.control_totals`)."""

UNFINISHED = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


def days_to_run(
    ended: Sequence[str], settled: Collection[str], in_flight: Collection[str], lookback: int
) -> list[str]:
    """The days that a run is to be asked for, oldest first.

    Args:
        ended: Every business day since go-live that has ended, oldest first.
        settled: Days on which nothing is left to do.
        in_flight: Days that a run is working on, or will.
        lookback: How many of the newest ended days are caught up without being asked.
    """
    return [day for day in ended[-lookback:] if day not in settled and day not in in_flight]


def settled_days(
    instance: dg.DagsterInstance, days: dg.DailyPartitionsDefinition, ended: Sequence[str]
) -> set[str]:
    """Those of the ended days on which nothing is left to do.

    Settled is a day for which every step is materialized, no step's latest attempt failed, and no blocking control
    total's latest answer was a failure. A re-run that fails therefore unsettles its day, whatever was right before. A
    re-run that a person cancels does not: that was a decision.
    """
    settled = set(ended)
    for step in STEPS:
        # None: never materialized, nor ever tried.
        status = instance.get_status_by_partition(dg.AssetKey(step.asset), ended, days) or {}
        settled &= {key for key in settled if status.get(key) is AssetPartitionStatus.MATERIALIZED}
    return settled - _wrong_days(instance)


def _wrong_days(instance: dg.DagsterInstance) -> set[str]:
    """Days for which the latest answer of a blocking control total is a failure, or never came.

    The steps' own states do not say it: a run of `royalties` alone whose check fails leaves all five materialized.
    """
    # Dagster's partitioned checks are young and have no public reader yet.
    results = instance.event_log_storage.get_asset_check_partition_info(list(BLOCKING_CHECKS))
    unanswered: dict[str, set[str]] = defaultdict(set)
    wrong: set[str] = set()
    for result in results:
        if not result.partition_key:
            continue
        if result.latest_execution_status is AssetCheckExecutionRecordStatus.FAILED:
            wrong.add(result.partition_key)
        if result.latest_execution_status is AssetCheckExecutionRecordStatus.PLANNED:
            unanswered[result.latest_planned_run_id].add(result.partition_key)
    if unanswered:
        failed = dg.RunsFilter(run_ids=sorted(unanswered), statuses=[dg.DagsterRunStatus.FAILURE])
        for record in instance.get_run_records(failed):
            wrong |= unanswered[record.dagster_run.run_id]
    return wrong


def in_flight_days(instance: dg.DagsterInstance, since: datetime | None = None) -> set[str]:
    """The days that a run which has not finished names, and those that a backfill in progress has still to launch.

    With `since`, an aware moment, only runs count that were made after it. A backfill that has still to launch days is no
    run: it counts as long as it works.
    """
    from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus  # costs much to load

    found: set[str] = set()
    unfinished = dg.RunsFilter(statuses=list(UNFINISHED), created_after=since and since.astimezone(UTC))
    for record in instance.get_run_records(unfinished):
        if record.dagster_run.job_name not in HOUSEKEEPING:
            day = business_day_of(record.dagster_run.tags)
            if day:
                found.add(day)
    requested = BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])
    for backfill in instance.get_backfills(filters=requested):
        found.update(_not_launched(backfill))
    return found


def business_day_of(tags: Mapping[str, str]) -> str:
    """The business day (ISO) that a run's tags name; empty for a run of something that is not partitioned by day."""
    try:
        return date.fromisoformat(tags.get(PARTITION, "")).isoformat()
    except ValueError:
        return ""


def backfill_of(tags: Mapping[str, str]) -> str | None:
    """The backfill that a run's tags name, in words for people: whoever launched it may have written any (see `backfills`)."""
    return tags.get(BACKFILL_TAG) or tags.get(COMMAND_BACKFILL)


def _not_launched(backfill: PartitionBackfill) -> set[str]:
    """Days of a backfill that it has asked no run for yet; what it has asked for shows in the runs."""
    if backfill.partition_names is not None:  # a backfill of a job: in this order
        names = list(backfill.partition_names)
        last = backfill.last_submitted_partition_name
        return set(names[names.index(last) + 1 :] if last in names else names)
    data = backfill.asset_backfill_data
    if data is None:
        return set()
    waiting = data.target_subset - data.requested_subset
    ours = {dg.AssetKey(step.asset) for step in STEPS}
    return {
        one.partition_key
        for one in waiting.iterate_asset_partitions()
        if one.asset_key in ours and one.partition_key
    }
