"""How every asset of the close runs: day after day, each day's result recorded as it is known.

A run covers one partition or a range. A day that fails does not hide the others: it is recorded with its exception
table, the days that are right are materialized, and then the step fails with a summary.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date

import dagster as dg

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.assets.outcome import Outcome, exception_table, plan_table
from scoopjoy_dagster.assets.tools import Tools
from scoopjoy_dagster.erpnext.client import POLICY_FIELD, RUN_FIELD
from scoopjoy_dagster.erpnext.errors import ERPNextError, LoginFailed, Unreachable, UnsupportedSite
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.partitions import days_of
from scoopjoy_dagster.resources.close import DayBusy
from scoopjoy_dagster.resources.launchpad import overrides

GROUP = "nightly_close"
OWNERS = ["team:finance"]

# No backfill policy: a backfill then makes a run per day. A day whose critical step fails stops its own later steps and
# no other day's; and each run carries the tag `dagster/partition`, by which the run queue lets one run of a day in at a
# time (with any policy, even of one day per run, Dagster tags a range instead and that limit does not see it).

Work = Callable[[Site, date, Tools], Outcome]


def close_days(context: dg.AssetExecutionContext, work: Work) -> Iterator[dg.MaterializeResult[None]]:
    """Do `work` for every day of the run, with one session; yields the asset's output once all days are right.

    A dry run shows the plan instead, as observations, and yields nothing: the asset is not materialized, and the steps
    behind it are skipped.

    Raises:
        dagster.Failure: at least one day is not right; its description is a summary for people, its metadata are
            those of the first such day. Op retries are refused: the client has retried all that can be retried.
    """
    asset = context.asset_key.to_user_string()
    days = days_of(context)
    tools = Tools.of(context.resources)
    changed = policy_override(tools)
    if changed:
        context.log.warning("The royalty policy is overridden for this run: %s", changed)
    stamp = {RUN_FIELD: context.run.run_id, POLICY_FIELD: tools.royalty_policy.policy.version}
    try:
        with tools.erpnext.open(stamp) as site:
            if tools.close.dry_run:
                _show_plans(context, site, tools, days, changed)
                return
            outcomes = [with_override(_close_day(site, tools, asset, day, work), changed) for day in days]
    except ERPNextError as problem:
        raise failure([failed_outcome(asset, day, problem) for day in days]) from None
    for outcome in outcomes:
        context.log.info(outcome.summary)
    if any(outcome.failed for outcome in outcomes):
        _record_finished(context, outcomes)
        raise failure([outcome for outcome in outcomes if outcome.failed])
    for outcome in outcomes:
        context.add_asset_metadata(outcome.metadata(), partition_key=outcome.business_day.isoformat())
    yield dg.MaterializeResult()


def _close_day(site: Site, tools: Tools, asset: str, day: date, work: Work) -> Outcome:
    before = site.client.session.traffic.requests
    started = time.monotonic()
    try:
        with tools.close.alone(asset, site.client.session.url, day):
            outcome = work(site, day, tools)
    except DayBusy as problem:
        outcome = _busy(asset, day, problem)
    except (LoginFailed, Unreachable, UnsupportedSite):
        raise  # no other day can do better
    except ERPNextError as problem:
        outcome = failed_outcome(asset, day, problem)
    requests = site.client.session.traffic.requests - before
    return replace(outcome, requests=requests, duration_s=time.monotonic() - started)


def policy_override(tools: Tools) -> str:
    """How the royalty policy of this run differs from the settings, in words; empty when it does not."""
    return ", ".join(
        f"{name} {ours} instead of {settings}"
        for name, (settings, ours) in overrides(tools.royalty_policy).items()
    )


def with_override(outcome: Outcome, changed: str) -> Outcome:
    """The outcome, which says that its amounts were made by another policy than the one in the settings."""
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
        f"this run was launched with {changed}: its amounts are not those of the settings",
        "Meant for this run only? The next run of the day without it books the difference back. Meant for good? Change the settings.",
    )


def _show_plans(
    context: dg.AssetExecutionContext, site: Site, tools: Tools, days: list[date], changed: str
) -> None:
    """Record the plan of everything that the run selected, each on its own asset and day."""
    # The preview is made of all five assets, which are made with this module.
    from scoopjoy_dagster.assets.preview import preview_day, shown_by

    # Empty or None: all of the job.
    chosen = {key.to_user_string() for key in context.run.asset_selection or ()}
    for day in days:
        for shown in preview_day(site, tools, day):
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
        f"Wait until the other run has ended, then materialize {asset} for the day again; if PostgreSQL cannot be asked, mend that.",
    )
    return Outcome(asset, day, findings=(finding,))


def failed_outcome(asset: str, day: date, problem: ERPNextError) -> Outcome:
    """The outcome of a day that could not be worked on at all."""
    finding = Finding(
        "error",
        f"{asset} could not be done",
        day.isoformat(),
        str(problem),
        # ERPNext's answer to a field that it does not know.
        (
            "Run `scoopjoy setup`"
            if problem.exc_type == "DataError"
            else "Run `scoopjoy check`, mend what it names"
        )
        + ", and materialize the day again: what was written is adopted.",
    )
    return Outcome(asset, day, findings=(finding,))


def failure(outcomes: list[Outcome]) -> dg.Failure:
    """The failure of a step: the summary of every day that is not right, and the metadata of the first."""
    return dg.Failure(
        description="\n".join(outcome.summary for outcome in outcomes[:10]),
        metadata=outcomes[0].metadata(),
        allow_retries=False,
    )


def _record_finished(context: dg.AssetExecutionContext, outcomes: list[Outcome]) -> None:
    """Keep what is known although the step will fail: right days are materialized, wrong ones observed."""
    for outcome in outcomes:
        event = dg.AssetObservation if outcome.failed else dg.AssetMaterialization
        context.log_event(
            event(
                asset_key=context.asset_key,
                partition=outcome.business_day.isoformat(),
                metadata=outcome.metadata(),
            )
        )
