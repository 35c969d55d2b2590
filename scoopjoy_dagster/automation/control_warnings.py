"""Warnings of control totals: they fail nothing, so no failed run tells anybody of them.

One alert for each run whose latest answers warn, and one for each backfill. A warning that a later run of the same day
has answered otherwise is not told any more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from scoopjoy_dagster.accounting.totals import CONTROL_TOTALS
from scoopjoy_dagster.automation.alert import Alert, Links, Row, compose, cut
from scoopjoy_dagster.automation.backfills import ended_backfill, tag_of
from scoopjoy_dagster.automation.desk.run_facts import BATCH_RUN
from scoopjoy_dagster.automation.facts import ended, read_checks
from scoopjoy_dagster.automation.parcels import WARNED, Parcel, is_noted, runs
from scoopjoy_dagster.automation.range_facts import said
from scoopjoy_dagster.automation.state import backfill_of, days_of_tags
from scoopjoy_dagster.automation.steps import step_of

WARNING_CHECKS = tuple(
    dg.AssetCheckKey(dg.AssetKey(one.asset), one.name) for one in CONTROL_TOTALS if not one.blocking
)
FINISHED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE)
TODO = (
    "Look at what it names. If the figures are right, nothing is to do; if they are not, mend them in ERPNext: "
    "the day is then closed again by itself."
)


@dataclass(frozen=True, slots=True)
class Warned:
    """A run whose control totals warn: the business days of which they do, and what each of them says."""

    record: dg.RunRecord
    days: tuple[str, ...]
    checks: tuple[dg.AssetCheckEvaluation, ...]


def pending(
    instance: dg.DagsterInstance, links: Links, now: datetime, *, since: datetime, location: str | None
) -> Iterator[Parcel]:
    """What has not been told, oldest first; `since` and `now` are aware moments of the real clock."""
    # Dagster's partitioned checks are young and have no public reader yet (see `state`).
    found = instance.event_log_storage.get_asset_check_partition_info(list(WARNING_CHECKS))
    failed = AssetCheckExecutionRecordStatus.FAILED
    standing: dict[str, set[tuple[dg.AssetCheckKey, str | None]]] = defaultdict(set)
    for one in found:
        if one.latest_execution_status is failed:
            standing[one.latest_planned_run_id].add((one.check_key, one.partition_key))
    if not standing:
        return
    filters = dg.RunsFilter(run_ids=sorted(standing), statuses=list(FINISHED), updated_after=since)
    new = [one for one in runs(instance, filters, location) if not is_noted(one.dagster_run, WARNED)][::-1]
    backfills: dict[str, str] = {}
    for record in new:
        run = record.dagster_run
        backfill = backfill_of(run.tags)
        if backfill:
            backfills[backfill] = tag_of(run)
            continue
        warned = _read(instance, record, standing[run.run_id])
        if warned.checks:
            yield Parcel((_of_run(warned, links),), (run,), "control-totals", WARNED)
    for backfill, tag in backfills.items():
        records = ended_backfill(instance, tag, backfill, now)
        if records:
            ours = [
                _read(instance, one, standing[one.dagster_run.run_id])
                for one in new
                if backfill_of(one.dagster_run.tags) == backfill
            ]
            warned_runs = [one for one in ours if one.checks]
            days = {day for one in records for day in days_of_tags(one.dagster_run.tags)}
            if warned_runs:
                alert = _of_backfill(tag, backfill, warned_runs, len(days), links)
                yield Parcel(
                    (alert,), tuple(one.record.dagster_run for one in warned_runs), "control-totals", WARNED
                )


def _read(
    instance: dg.DagsterInstance,
    record: dg.RunRecord,
    standing: Collection[tuple[dg.AssetCheckKey, str | None]],
) -> Warned:
    """The warnings of a run that no later run of their day has answered otherwise."""
    run = record.dagster_run
    names = {key.name for key in WARNING_CHECKS}
    checks = [
        one
        for one in read_checks(instance, run.run_id)
        if one.check_name in names
        and (one.partition is None or (one.asset_check_key, one.partition) in standing)
    ]
    checks.sort(key=lambda one: one.partition or "")
    days = {one.partition for one in checks if one.partition} or set(days_of_tags(run.tags))
    return Warned(record, tuple(sorted(days)), tuple(checks))


def _title(check: dg.AssetCheckEvaluation) -> str:
    step = step_of(check.asset_key.to_user_string())
    return step.title if step else check.asset_key.to_user_string()


def _question(check: dg.AssetCheckEvaluation) -> str:
    return next((one.question for one in CONTROL_TOTALS if one.name == check.check_name), "")


def _of_run(warned: Warned, links: Links) -> Alert:
    run = warned.record.dagster_run
    names = ", ".join(dict.fromkeys(check.check_name for check in warned.checks))
    several = len(days_of_tags(run.tags)) > 1
    return compose(
        key=f"{run.run_id}:control-totals",
        days=warned.days,
        ended=ended(warned.record),
        when="Run ended at",
        subject=f"[WARNING] Control totals: {names}",
        lead=["Nothing was stopped: a control total wants a look."],
        rows=[
            Row(
                (check.check_name, (several and check.partition) or _title(check)),
                cut(said(check)),
                _question(check),
                severe=False,
            )
            for check in warned.checks
        ],
        title="Control totals",
        todo=TODO,
        runbook=links.page(warned.checks[0].asset_key.to_user_string()),
        links=[links.batch_run(run.tags.get(BATCH_RUN, "")), links.run(run.run_id)],
    )


def _of_backfill(tag: str, backfill: str, warned: Sequence[Warned], days: int, links: Links) -> Alert:
    named = sorted({day for one in warned for day in one.days})
    return compose(
        key=":".join([backfill, "control-totals", *sorted(one.record.dagster_run.run_id for one in warned)]),
        days=named,
        ended=max(ended(one.record) for one in warned),
        when="Last run ended at",
        subject=f"[WARNING] Backfill {backfill}: control totals of {len(named)} of {days} days",
        lead=[f"The backfill {backfill} has ended. Nothing was stopped: control totals want a look."],
        rows=[
            Row(
                (check.partition or ", ".join(one.days[:3]), check.check_name), cut(said(check)), severe=False
            )
            for one in sorted(warned, key=lambda one: one.days)
            for check in one.checks
        ],
        title="Control totals",
        todo=TODO,
        runbook=links.page(warned[0].checks[0].asset_key.to_user_string()),
        links=[links.backfill(tag, backfill)],
        about=f"backfill {backfill}",
    )
