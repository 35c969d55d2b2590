"""What a run has got right of its days so far, read from Dagster's record of this very run.

The steps of a run may be processes of their own: what they tell each other stands in the event log and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import dagster as dg

from scoopjoy_dagster.assets.lineage import chosen_of, waits_for

_WANTED = {dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_CHECK_EVALUATION}


def days_left_undone(
    instance: dg.DagsterInstance, run: dg.DagsterRun, asset: str, days: Sequence[date]
) -> Mapping[date, str]:
    """The days of a run that the asset before `asset` was to do and did not get right, and the name of that asset."""
    before = waits_for(asset, chosen_of(run))
    if before is None:
        return {}
    right = days_got_right(instance, run, before)
    return {day: before for day in days if day not in right}


def days_got_right(
    instance: dg.DagsterInstance, run: dg.DagsterRun, asset: str
) -> Mapping[date, dg.EventLogRecord]:
    """The days that `asset` has materialized in a run, and of which no blocking control total has said otherwise since."""
    right: dict[date, dg.EventLogRecord] = {}
    for run_id in reversed(list(_runs(instance, run, asset))):
        for record in instance.get_records_for_run(run_id, of_type=_WANTED).records:
            event = record.event_log_entry.dagster_event
            if event is None:
                continue
            if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
                if event.asset_key == dg.AssetKey(asset) and event.partition:
                    right[date.fromisoformat(event.partition)] = record
                continue
            check = event.asset_check_evaluation_data
            broken = check.blocking and not check.passed
            if broken and check.asset_key == dg.AssetKey(asset) and check.partition:
                right.pop(date.fromisoformat(check.partition), None)
    return right


def _runs(instance: dg.DagsterInstance, run: dg.DagsterRun, asset: str) -> Iterator[str]:
    """The run, and where it repeats only the failed steps of another, the ones before it: the newest first."""
    looked: dg.DagsterRun | None = run
    while looked:
        yield looked.run_id
        # None: all steps of the run are its own.
        if looked.step_keys_to_execute is None or asset in looked.step_keys_to_execute:
            return
        looked = instance.get_run_by_id(looked.parent_run_id) if looked.parent_run_id else None
