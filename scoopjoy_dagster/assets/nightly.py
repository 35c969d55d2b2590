"""How every asset of the close runs: day after day, each day's result recorded as it is known.

A run covers one partition or a range. A day that fails does not hide the others: it is recorded with its exception
table, the days that are right are materialized, and then the step fails with a summary.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import dagster as dg

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.assets.outcome import Outcome
from scoopjoy_dagster.erpnext.errors import ERPNextError, LoginFailed, Unreachable, UnsupportedSite
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.partitions import days_of
from scoopjoy_dagster.resources.erpnext import ERPNextResource

GROUP = "nightly_close"
OWNERS = ["team:finance"]

# No backfill policy: a backfill then makes a run per day. A day whose critical step fails stops its own later steps and
# no other day's; and each run carries the tag `dagster/partition`, by which the run queue lets one run of a day in at a
# time (with any policy, even of one day per run, Dagster tags a range instead and that limit does not see it).

Work = Callable[[Site, date], Outcome]


def close_days(context: dg.AssetExecutionContext, erpnext: ERPNextResource, work: Work) -> None:
    """Do `work` for every day of the run, with one session.

    Raises:
        dagster.Failure: at least one day is not right; its description is a summary for people, its metadata are
            those of the first such day. Op retries are refused: the client has retried all that can be retried.
    """
    asset = context.asset_key.to_user_string()
    days = days_of(context)
    try:
        with erpnext.open() as site:
            outcomes = [_close_day(site, asset, day, work) for day in days]
    except ERPNextError as problem:
        raise failure([failed_outcome(asset, day, problem) for day in days]) from None
    for outcome in outcomes:
        context.log.info(outcome.summary)
    if any(outcome.failed for outcome in outcomes):
        _record_finished(context, outcomes)
        raise failure([outcome for outcome in outcomes if outcome.failed])
    for outcome in outcomes:
        context.add_asset_metadata(outcome.metadata(), partition_key=outcome.business_day.isoformat())


def _close_day(site: Site, asset: str, day: date, work: Work) -> Outcome:
    before = site.client.session.traffic.requests
    started = time.monotonic()
    try:
        outcome = work(site, day)
    except (LoginFailed, Unreachable, UnsupportedSite):
        raise  # no other day can do better
    except ERPNextError as problem:
        outcome = failed_outcome(asset, day, problem)
    requests = site.client.session.traffic.requests - before
    return replace(outcome, requests=requests, duration_s=time.monotonic() - started)


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
