"""Warnings of control totals: they fail nothing, so no failed run brings them to anybody.

One alert for each run whose latest answers warn; one for the runs of a backfill, and for more than a few that wait together.
A warning that a later run of the same day has answered otherwise is not sent any more, nor is one that people have got.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from scoopjoy_dagster.accounting.totals import CONTROL_TOTALS
from scoopjoy_dagster.automation.alert import Links, Row, compose, cut, named, titled
from scoopjoy_dagster.automation.backfills import backfill_of, ended_backfill
from scoopjoy_dagster.automation.facts import batch_run_day, ended, read_checks, said, title_of
from scoopjoy_dagster.automation.parcels import WARNED, Parcel, is_noted, lots, note_of, runs, taken
from scoopjoy_dagster.automation.state import business_day_of
from scoopjoy_dagster.partitions import PARTITION, Backfill

WARNING_CHECKS = tuple(
    dg.AssetCheckKey(dg.AssetKey(one.asset), one.name) for one in CONTROL_TOTALS if not one.blocking
)
FINISHED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE)
TODO = (
    "Look at what it names. If the figures are right, there is nothing to do. If they are wrong, correct them in ERPNext: "
    "the day is then closed again by itself."
)


@dataclass(frozen=True, slots=True)
class Warned:
    """A run whose control totals warn: the business days of which they do, and what each of them says."""

    record: dg.RunRecord
    days: tuple[str, ...]
    checks: tuple[dg.AssetCheckEvaluation, ...]

    @property
    def run(self) -> dg.DagsterRun:
        """The run itself."""
        return self.record.dagster_run

    @property
    def prints(self) -> str:
        """What it says, as fingerprints for the note on the run: the same check of the same day with the same figures has
        the same.
        """
        return ",".join(sorted(_print(self, check) for check in self.checks))


def pending(
    instance: dg.DagsterInstance, links: Links, now: datetime, *, since: datetime, location: str | None
) -> Iterator[Parcel]:
    """What has not been sent, oldest first; `since` and `now` are aware moments of the real clock."""
    alone: list[Warned] = []
    backfills: dict[Backfill, list[Warned]] = defaultdict(list)
    for warned in _standing(instance, since, location):
        backfill = backfill_of(instance, warned.run)
        if backfill:
            backfills[backfill].append(warned)
        elif taken(warned.run):
            alone.append(warned)
        elif (news := _news(instance, warned)).checks:
            alone.append(news)
        else:
            yield Parcel((), (warned.run,), warned.prints, WARNED)
    together, alone = lots(alone, WARNED)
    for warned in alone:
        yield _parcel([warned], f"{warned.run.run_id}:control-totals", links)
    for lot in together:
        yield _parcel(lot, f"several:control-totals:{lot[0].run.run_id}", links)
    for backfill, lot in backfills.items():
        if ended_backfill(instance, backfill, now):
            key = ":".join([backfill.id, "control-totals", *sorted(one.run.run_id for one in lot)])
            yield _parcel(lot, key, links, links.backfill(*backfill), f"backfill {backfill.id}")


def _standing(instance: dg.DagsterInstance, since: datetime, location: str | None) -> Iterator[Warned]:
    """Runs whose warnings stand and are not noted as sent, oldest first."""
    # Dagster's partitioned checks are young and have no public reader yet (see `state`).
    found = instance.event_log_storage.get_asset_check_partition_info(list(WARNING_CHECKS))
    standing: dict[str, set[tuple[dg.AssetCheckKey, str | None]]] = defaultdict(set)
    for one in found:
        if one.latest_execution_status is AssetCheckExecutionRecordStatus.FAILED:
            standing[one.latest_planned_run_id].add((one.check_key, one.partition_key))
    if not standing:
        return
    filters = dg.RunsFilter(run_ids=sorted(standing), statuses=list(FINISHED), updated_after=since)
    new = [one for one in runs(instance, filters, location) if not is_noted(one.dagster_run, WARNED)]
    for record in new[::-1]:
        warned = _read(instance, record, standing[record.dagster_run.run_id])
        if warned.checks:
            yield warned


def _news(instance: dg.DagsterInstance, warned: Warned) -> Warned:
    """Without what people have got of these days after an earlier run."""
    filters = dg.RunsFilter(tags={PARTITION: list(warned.days)}, statuses=list(FINISHED))
    notes = (note_of(one.dagster_run, WARNED) for one in instance.get_run_records(filters))
    sent = {fingerprint for note in notes for fingerprint in note.split(",")}
    return replace(warned, checks=tuple(one for one in warned.checks if _print(warned, one) not in sent))


def _print(warned: Warned, check: dg.AssetCheckEvaluation) -> str:
    figures = {name: str(entry.value) for name, entry in check.metadata.items()}
    days = check.partition or " ".join(warned.days)
    text = "\x1f".join([check.check_name, days, said(check), str(sorted(figures.items()))])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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
    days = {one.partition for one in checks if one.partition} or {business_day_of(run.tags)} - {""}
    return Warned(record, tuple(sorted(days)), tuple(checks))


def _parcel(
    lot: Sequence[Warned], key: str, links: Links, link: tuple[str, str] = ("", ""), about: str = ""
) -> Parcel:
    """One message for the warnings of a run, or of several: of a backfill that has ended, or of those that wait together."""
    days = sorted({day for one in lot for day in one.days})
    found = [(check, one) for one in sorted(lot, key=lambda one: one.days) for check in one.checks]
    questions = list(dict.fromkeys(title_of(check) for check, _ in found))
    if len(lot) == 1 and not about:
        what = questions[0] + (f" and {len(questions) - 1} more" if len(questions) > 1 else "")
        run = lot[0].run
        where = [links.batch_run(batch_run_day(run)), links.run(run.run_id)]
    else:
        what, where = f"{len(days)} business day{'s' if len(days) > 1 else ''}", [link]
    alert = compose(
        key=key,
        days=days,
        ended=max(ended(one.record) for one in lot),
        when="Run ended at",
        subject=titled(f"[WARNING] Control totals: {what}", days),
        lead=["Nothing was stopped. Look at these control totals."],
        rows=[
            Row(
                (title_of(check), named([check.partition] if check.partition else one.days)),
                cut(said(check)),
                severe=False,
            )
            for check, one in found
        ],
        title="Control totals",
        todo=TODO,
        runbook=links.page(found[0][0].asset_key.to_user_string()),
        links=where,
        about=[about] if about else [],
    )
    notes = {one.run.run_id: one.prints for one in lot}
    return Parcel((alert,), tuple(one.run for one in lot), "control-totals", WARNED, notes)
