"""How every asset of the close runs: windows of days, each read and planned at once, and each day recorded as it is known.

A run covers one partition or a range. A day that fails does not hide the others, nor does it stop them: of a range the
assets behind go on with the days that are right, and the last of them fails the run with a summary.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

import dagster as dg

# Dagster's own mark of an output that records no materialization by itself; there is no public name for it. The version
# is pinned, and a test holds it. Without it a range would be recorded at its end, and as a whole: the days that failed, too.
from dagster._core.definitions.source_asset import (
    SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION as RECORDED_ALREADY,
)
from dagster._core.errors import DagsterExecutionInterruptedError

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.assets.lineage import chosen_of, has_checks_behind, has_others_behind
from scoopjoy_dagster.assets.outcome import WRITES_KEY, Outcome, exception_table, plan_table
from scoopjoy_dagster.assets.range_progress import days_left_undone, keep_connection
from scoopjoy_dagster.assets.tools import Tools
from scoopjoy_dagster.erpnext.client import POLICY_FIELD, RUN_FIELD
from scoopjoy_dagster.erpnext.errors import ERPNextError, LoginFailed, Unreachable, UnsupportedSite
from scoopjoy_dagster.erpnext.session import Traffic
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.partitions import days_of
from scoopjoy_dagster.resources.close import DayBusy
from scoopjoy_dagster.resources.launchpad import overrides

GROUP = "nightly_close"
OWNERS = ["team:finance"]

BACKFILL = dg.BackfillPolicy.single_run()
"""A range of days is one run: starting a run costs seconds, a day that is right costs milliseconds."""

IN_PROCESS = {"in_process", "execute_in_process_executor"}
"""Names of Dagster's executors that work on all steps in the process of the run: of a run worker, and of `execute_in_process`."""

Days = Mapping[date, Callable[[], Outcome]]
"""What is left to do for each day of a window, planned from one reading: calling it does it."""

Work = Callable[[Site, Sequence[date], Tools], Days]
"""Reads and plans the days of a window. Raises ERPNextError when the window cannot be read."""


def close_days(
    context: dg.AssetExecutionContext, work: Work, *, ahead: Callable[[], None] | None = None
) -> Iterator[dg.MaterializeResult[None]]:
    """Do `work` for every day of the run, window by window, with one session; yields the asset's output once it is done.

    `ahead` is called when a day was written to and assets behind this one run in the same process: it begins what they will
    wait for otherwise.

    A dry run shows the plan instead, as observations, and yields nothing: the asset is not materialized, and the steps
    behind it are skipped.

    Raises:
        dagster.Failure: a day is not right, and nothing in this run could go on with the other days; its description is a
            summary for people, its metadata are those of the first such day. Op retries are refused: the client has
            retried all that can be retried.
    """
    keep_connection(context.instance)
    asset = context.asset_key.to_user_string()
    days = days_of(context)
    tools = Tools.of(context.resources)
    _only_days_that_have_ended(context, days, tools.clock.now())
    changed = policy_override(tools)
    if changed:
        context.log.warning("This run computes royalties by other terms: %s", changed)
    stamp = {RUN_FIELD: context.run.run_id, POLICY_FIELD: tools.royalty_policy.policy.version}
    record = _Record(context, several=len(days) > 1)
    waiting = days_left_undone(context.instance, context.run, asset, days) if record.several else {}
    todo = [day for day in days if day not in waiting]
    at = 0
    traffic, before = Traffic(), 0
    try:
        with tools.erpnext.open(stamp) as site:
            traffic = site.client.session.traffic
            before = traffic.writes - traffic.records
            if site.unproven:
                context.log.warning(site.unproven)
            if tools.close.dry_run:
                _show_plans(context, site, tools, days, changed)
                return
            for window in tools.close.windows(todo):
                for outcome in _close_window(site, tools, asset, window, work):
                    record.add(with_override(outcome, changed))
                    at += 1
                    if ahead and outcome.written and _others_in_this_process(context):
                        ahead()
    except ERPNextError as problem:
        for day in todo[at:]:
            record.add(failed_outcome(asset, day, problem))
    except DagsterExecutionInterruptedError:
        record.stopped(todo[at], traffic.writes - traffic.records - before)
        raise
    yield from _ended(context, record, waiting)


def _only_days_that_have_ended(
    context: dg.AssetExecutionContext, days: Sequence[date], now: datetime
) -> None:
    """Dagster runs any partition that a run's tags name, in years to come, too.

    Raises:
        dagster.Failure: a day has not ended, or lies before go-live; or there is none.
    """
    partitions = context.assets_def.partitions_def
    assert isinstance(partitions, dg.DailyPartitionsDefinition)  # noqa: S101 - every asset of the close
    ended = partitions.get_partition_keys(current_time=now)
    wrong = [day for day in days if day.isoformat() not in ended]
    if wrong or not days:
        can = (
            f"only the business days from {ended[0]} (go-live) to {ended[-1]} (the last that has ended) can. Launch a run of these"
            if ended
            else "no business day has ended since go-live"
        )
        what = _some_days(wrong) or "A range whose end lies before its start"
        raise dg.Failure(f"{what} cannot be closed: {can}; nothing was done.", allow_retries=False)


def _others_in_this_process(context: dg.AssetExecutionContext) -> bool:
    """Whether assets behind this one run in the process that works on it."""
    one_process = context.job_def.executor_def.name in IN_PROCESS
    return one_process and has_others_behind(context.asset_key.to_user_string(), chosen_of(context.run))


def _ended(
    context: dg.AssetExecutionContext, record: _Record, waiting: Mapping[date, str]
) -> Iterator[dg.MaterializeResult[None]]:
    """The output of the step, or its failure."""
    if record.unchanged:
        context.log.info("%d days were right already: nothing was written", record.unchanged)
    if record.several and (record.failed or waiting):
        asset = context.asset_key.to_user_string()
        more = has_others_behind(asset, chosen_of(context.run)) or has_checks_behind(asset, context.run)
        if not record.done or not more:
            raise _range_failure(record.failed, waiting)
        # The last step of the run fails it.
        context.log.warning("%d days failed; the others go on", len(record.failed))
    elif record.failed:
        raise failure(record.failed)
    if record.several:
        yield dg.MaterializeResult(metadata={RECORDED_ALREADY: True})
    else:
        yield dg.MaterializeResult(metadata=record.only)


@dataclass(slots=True)
class _Record:
    """Tells Dagster of each day as it is known. Keeps only what the end of the step needs, however long the range."""

    context: dg.AssetExecutionContext
    several: bool
    failed: list[Outcome] = field(default_factory=list)
    done: int = 0
    unchanged: int = 0
    """Days of a range of which there is nothing to log: their materializations say all."""
    only: Mapping[str, dg.MetadataValue[Any]] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """A day is known. Of a range it is recorded now: what comes after may fail, or never come. So is a day that failed."""
        if self.several and not outcome.written and not outcome.findings:
            self.unchanged += 1
        else:
            self.context.log.info(outcome.summary)
        if outcome.failed:
            self.failed.append(outcome)
        else:
            self.done += 1
            self.only = {} if self.several else outcome.metadata()
        if self.several or outcome.failed:
            event = dg.AssetObservation if outcome.failed else dg.AssetMaterialization
            self.context.log_event(
                event(
                    asset_key=self.context.asset_key,
                    partition=outcome.business_day.isoformat(),
                    metadata=outcome.metadata(),
                )
            )

    def stopped(self, day: date, writes: int) -> None:
        """The step is stopped in its work on a day, after so many requests to ERPNext that write."""
        metadata = {WRITES_KEY: dg.MetadataValue.int(writes)}
        self.context.log_event(
            dg.AssetObservation(
                asset_key=self.context.asset_key, partition=day.isoformat(), metadata=metadata
            )
        )


def _close_window(
    site: Site, tools: Tools, asset: str, window: Sequence[date], work: Work
) -> Iterator[Outcome]:
    """One reading and plan for the days of a window, then day after day."""
    counted = _Counted(site)
    with tools.close.alone(asset, site.client.session.url, window) as busy:
        free = [day for day in window if day not in busy]
        planned: Days = {}
        unread: ERPNextError | None = None
        try:
            planned = work(site, free, tools) if free else {}
        except (LoginFailed, Unreachable, UnsupportedSite):
            raise  # no other window can do better
        except ERPNextError as problem:
            unread = problem
        for day in window:
            if day in busy:
                outcome = _busy(asset, day, busy[day])
            elif unread:
                outcome = failed_outcome(asset, day, unread)
            else:
                try:
                    outcome = planned[day]()
                except (LoginFailed, Unreachable, UnsupportedSite):
                    raise
                except ERPNextError as problem:
                    outcome = failed_outcome(asset, day, problem)
            yield counted.since(outcome)


class _Counted:
    """Requests and seconds from one day to the next; the first day of a window has those of its reading."""

    def __init__(self, site: Site) -> None:
        self._traffic = site.client.session.traffic
        self._requests, self._moment = self._traffic.requests, time.monotonic()

    def since(self, outcome: Outcome) -> Outcome:
        requests, moment = self._traffic.requests, time.monotonic()
        found = replace(outcome, requests=requests - self._requests, duration_s=moment - self._moment)
        self._requests, self._moment = requests, moment
        return found


def policy_override(tools: Tools) -> str:
    """By what this run computes royalties that other runs do not, in words; empty when there is nothing."""
    policy = [
        f"{name} {ours} instead of {settings}"
        for name, (settings, ours) in overrides(tools.royalty_policy).items()
    ]
    return ", ".join(
        [*policy, *(["re_rate (today's terms instead of the posted ones)"] if tools.close.re_rate else [])]
    )


def with_override(outcome: Outcome, changed: str) -> Outcome:
    """The outcome, which says that its amounts were made by other terms than those of other runs."""
    if not changed:
        return outcome
    facts = {**outcome.facts, "policy_override": changed}
    return replace(
        outcome, findings=(*outcome.findings, _overridden(outcome.business_day, changed)), facts=facts
    )


def _overridden(day: date, changed: str) -> Finding:
    return Finding(
        "warning",
        "royalty policy overridden",
        day.isoformat(),
        f"this run was launched with {changed}",
        "What it books keeps its terms: later runs do not change it. If it was not meant, run the day again by the settings, "
        "with re_rate.",
    )


def _show_plans(
    context: dg.AssetExecutionContext, site: Site, tools: Tools, days: list[date], changed: str
) -> None:
    """Record the plan of everything that the run selected, each on its own asset and day."""
    # The preview is made of all five assets, which are made with this module.
    from scoopjoy_dagster.assets.preview import preview_day, shown_by
    from scoopjoy_dagster.assets.reports import mails_wanted

    mails = mails_wanted(context, resend=tools.close.resend)
    chosen = chosen_of(context.run)
    for day in days:
        for shown in preview_day(site, tools, day, mails=mails):
            if shown_by(shown.asset, chosen) == context.asset_key.to_user_string():
                notes = [_overridden(day, changed)] if changed else []
                metadata = {
                    "dry_run": dg.MetadataValue.bool(True),
                    "business_day": dg.MetadataValue.text(day.isoformat()),
                    "plan": dg.MetadataValue.md(plan_table(shown.lines)),
                    "exception_table": dg.MetadataValue.md(exception_table([*shown.findings, *notes])),
                }
                context.log_event(
                    dg.AssetObservation(asset_key=shown.asset, partition=day.isoformat(), metadata=metadata)
                )
                context.log.info(
                    "dry run, %s %s: %d actions, nothing written", shown.asset, day, len(shown.lines)
                )


def _busy(asset: str, day: date, problem: DayBusy) -> Outcome:
    finding = Finding(
        "error",
        "day in work",
        day.isoformat(),
        str(problem),
        f"Wait until the other run has ended, then re-run `{asset}` for this day. If PostgreSQL is unreachable, fix that first.",
        passes=True,
    )
    return Outcome(asset, day, findings=(finding,))


def failed_outcome(asset: str, day: date, problem: ERPNextError) -> Outcome:
    """The outcome of a day that could not be worked on at all."""
    if problem.is_conflict:
        todo = NOTHING_TO_FIX.format(asset=asset)
    elif problem.exc_type == "DataError":  # ERPNext's answer to a field that it does not know
        todo = f"Run `scoopjoy setup`, then re-run `{asset}` for this day: what was written is adopted."
    else:
        first = problem.cause.remedy or "Run `scoopjoy check`, and fix what it names."
        todo = f"{first} Then re-run `{asset}` for this day: what was written is adopted."
    finding = Finding(
        "error",
        f"ERPNext: {problem.cause}",
        day.isoformat(),
        str(problem),
        todo,
        passes=problem.cause.passes,
    )
    return Outcome(asset, day, findings=(finding,))


NOTHING_TO_FIX = (
    "There is nothing to fix: others wrote in ERPNext at the same time. Re-run `{asset}` for this day."
)
"""The advice for what only lost against another writer."""


def what_to_do(problem: ERPNextError, asset: str) -> str:
    """The advice for something that ERPNext did not take; what only lost against another writer has nothing to fix."""
    if problem.is_conflict:
        return NOTHING_TO_FIX.format(asset=asset)
    first = problem.cause.remedy or "Fix what ERPNext names."
    return f"{first} Then re-run `{asset}` for this day: what was written is adopted."


def failure(outcomes: Sequence[Outcome]) -> dg.Failure:
    """The failure of a step: the summary of every day that is not right, and the metadata of the first."""
    return dg.Failure(
        description="\n".join(outcome.summary for outcome in outcomes[:10]),
        metadata=outcomes[0].metadata(),
        allow_retries=False,
    )


def _range_failure(failed: Sequence[Outcome], waiting: Mapping[date, str]) -> dg.Failure:
    """The failure of a step of a range: the days that failed here, and those that wait for an asset before."""
    behind = [
        f"{asset} failed for {_some_days([day for day, other in waiting.items() if other == asset])}: not started"
        for asset in dict.fromkeys(waiting.values())
    ]
    if failed:
        raised = failure(failed)
        more = len(failed) - 10
        rest = [f"... and {more} more days"] if more > 0 else []
        return dg.Failure(
            description="\n".join([raised.description or "", *rest, *behind]),
            metadata=raised.metadata,
            allow_retries=False,
        )
    return dg.Failure(description="\n".join(behind), allow_retries=False)


def _some_days(days: Sequence[date]) -> str:
    shown = ", ".join(day.isoformat() for day in days[:5])
    return f"{shown} and {len(days) - 5} more days" if len(days) > 5 else shown
