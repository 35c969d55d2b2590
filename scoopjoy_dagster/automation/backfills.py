"""Backfills, Dagster's and the command line's: which one a run is of, whether it has ended, and its runs."""

from __future__ import annotations

from datetime import datetime, timedelta

import dagster as dg

from scoopjoy_dagster.automation.state import UNFINISHED
from scoopjoy_dagster.partitions import BACKFILL_TAG, Backfill, proven_backfill

WILL_RETRY = "dagster/will_retry"
RETRIED_BY = "dagster/auto_retry_run_id"

QUIET = timedelta(minutes=5)
"""A backfill of the command line has ended when it has started no run for so long."""


def backfill_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Backfill | None:
    """The backfill that a run is of, where that is proven."""
    return proven_backfill(instance, run)


def ended_backfill(
    instance: dg.DagsterInstance, backfill: Backfill, now: datetime
) -> list[dg.RunRecord] | None:
    """All runs of a backfill, oldest first, when it has ended; None while it works."""
    known = instance.get_backfill(backfill.id) if backfill.tag == BACKFILL_TAG else None
    if known and known.status.value in {"REQUESTED", "CANCELING", "FAILING"}:
        return None
    tagged = instance.get_run_records(dg.RunsFilter(tags={backfill.tag: backfill.id}), ascending=True)
    records = [one for one in tagged if backfill_of(instance, one.dagster_run) == backfill]
    if any(record.dagster_run.status in UNFINISHED for record in records):
        return None
    newest = max((record.end_time or 0 for record in records), default=0)
    if not known and now.timestamp() - newest < QUIET.total_seconds():
        return None  # the command runs day after day; between two of them nothing is unfinished
    return records
