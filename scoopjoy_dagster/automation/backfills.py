"""Backfills, Dagster's and the command line's: whether one has ended, and its runs."""

from __future__ import annotations

from datetime import datetime, timedelta

import dagster as dg

from scoopjoy_dagster.automation.state import UNFINISHED
from scoopjoy_dagster.partitions import BACKFILL_TAG, COMMAND_BACKFILL

WILL_RETRY = "dagster/will_retry"
RETRIED_BY = "dagster/auto_retry_run_id"

QUIET = timedelta(minutes=5)
"""A backfill of the command line has ended when it has started no run for so long."""


def tag_of(run: dg.DagsterRun) -> str:
    """The tag that names the backfill of a run."""
    return BACKFILL_TAG if BACKFILL_TAG in run.tags else COMMAND_BACKFILL


def ended_backfill(
    instance: dg.DagsterInstance, tag: str, backfill: str, now: datetime
) -> list[dg.RunRecord] | None:
    """All runs of a backfill, oldest first, when it has ended; None while it works."""
    known = instance.get_backfill(backfill)
    if known and known.status.value in {"REQUESTED", "CANCELING", "FAILING"}:
        return None
    records = list(instance.get_run_records(dg.RunsFilter(tags={tag: backfill}), ascending=True))
    if any(record.dagster_run.status in UNFINISHED for record in records):
        return None
    newest = max((record.end_time or 0 for record in records), default=0)
    if not known and now.timestamp() - newest < QUIET.total_seconds():
        return None  # the command runs day after day; between two of them nothing is unfinished
    return records
