"""How every step of the close runs: one business day, alone, for real or as a dry run, with its outcome as metadata."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from weakref import WeakSet

import dagster as dg
from dagster._core.errors import DagsterExecutionInterruptedError

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.assets.outcome import WRITES_KEY, Outcome, exception_table, plan_table
from scoopjoy_dagster.assets.tools import TOOLS, Tools, mails_wanted
from scoopjoy_dagster.erpnext.client import POLICY_FIELD, RUN_FIELD
from scoopjoy_dagster.erpnext.errors import ERPNextError
from scoopjoy_dagster.erpnext.session import Traffic
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.partitions import day_of
from scoopjoy_dagster.resources.close import DayBusy
from scoopjoy_dagster.resources.launchpad import overrides
from scoopjoy_dagster.steps import Step

GROUP = "nightly_close"
OWNERS = ["team:finance"]

Work = Callable[[Site, date, Tools], Outcome]
"""Does a step for a business day."""

_kept: WeakSet[dg.DagsterInstance] = WeakSet()


def keep_connection(instance: dg.DagsterInstance) -> None:
    """Let this process keep its connection to Dagster's PostgreSQL: a day is recorded in 20 events and more.

    By default Dagster opens one or two for each event, and a settled day would take longer to record than to verify
    (docs/database.md). Dagster's webserver keeps its connections in the same way. One that was made half a minute ago is
    replaced, so that none is used that a firewall or a pooler has cut in a long silence.
    """
    if instance not in _kept:
        _kept.add(instance)
        instance.optimize_for_webserver(statement_timeout=0, pool_recycle=30, max_overflow=-1)


def asset_of(
    step: Step,
    work: Work,
    days: dg.DailyPartitionsDefinition,
    *,
    description: str,
    kinds: set[str],
    freshness: dg.FreshnessPolicy | None = None,
) -> dg.AssetsDefinition:
    """The asset of a step, on these business days.

    It has no backfill policy: so a backfill is a run for each day, each with the tag of its partition.
    """

    @dg.asset(
        name=step.asset,
        description=description,
        deps=[step.upstream] if step.upstream else [],
        partitions_def=days,
        group_name=GROUP,
        owners=OWNERS,
        kinds=kinds,
        code_version="1",
        freshness_policy=freshness,
        output_required=False,
        required_resource_keys=set(TOOLS),
        config_schema={},  # all that a run may set is in definitions.OVERRIDABLE
        tags={"scoopjoy/critical": "yes" if step.critical else "no"},
    )
    def close(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        yield from _run(context, step, work)

    return close


def _run(context: dg.AssetExecutionContext, step: Step, work: Work) -> Iterator[dg.MaterializeResult[None]]:
    """Do `work` for the day of the run; yields the asset's output once it is done.

    A dry run shows the plan instead, as observations, and yields nothing: the asset is not materialized, and the steps
    behind it are skipped.

    Raises:
        dagster.Failure: the day is not right; its description is a summary for people, its metadata are those of the outcome. Op
            retries are refused: the client has retried all that can be retried.
    """
    keep_connection(context.instance)
    tools = Tools.of(context.resources, mails=mails_wanted(context.instance, context.run))
    day = _ended_day(context, tools.clock.now())
    changed = policy_override(tools)
    if changed:
        context.log.warning("This run computes royalties by other terms: %s", changed)
    stamp = {RUN_FIELD: context.run.run_id, POLICY_FIELD: tools.royalty_policy.policy.version}
    traffic, requests, writes, started = Traffic(), 0, 0, time.monotonic()
    try:
        with tools.erpnext.open(stamp) as site:
            session = site.client.session
            traffic = session.traffic
            requests, writes = traffic.requests, traffic.writes - traffic.records
            if site.unproven:
                context.log.warning(site.unproven)
            if tools.close.dry_run:
                _show_plans(context, site, tools, day, changed)
                return
            with tools.close.alone(step.asset, session.url, day):
                outcome = work(site, day, tools)
    except ERPNextError as problem:
        outcome = failed_outcome(step.asset, day, problem)
    except DayBusy as problem:
        outcome = _busy(step.asset, day, problem)
    except DagsterExecutionInterruptedError:
        sent = traffic.writes - traffic.records - writes
        _observe(context, day, {WRITES_KEY: dg.MetadataValue.int(sent)})
        raise
    outcome = replace(
        with_override(outcome, changed),
        requests=traffic.requests - requests,
        duration_s=time.monotonic() - started,
    )
    if outcome.failed:
        # Dagster shows the metadata of a failure in the run only; an observation shows them at the asset and day.
        _observe(context, day, outcome.metadata())
        raise failure(outcome)
    context.log.info(outcome.summary)
    yield dg.MaterializeResult(metadata=outcome.metadata())


def _observe(
    context: dg.AssetExecutionContext,
    day: date,
    metadata: Mapping[str, dg.MetadataValue[Any]],
    asset: dg.AssetKey | None = None,
) -> None:
    key = asset or context.asset_key
    context.log_event(dg.AssetObservation(asset_key=key, partition=day.isoformat(), metadata=metadata))


def chosen_of(run: dg.DagsterRun) -> frozenset[str]:
    """The assets that a run is to do; empty: all of the job."""
    return frozenset(key.to_user_string() for key in run.asset_selection or ())


def _ended_day(context: dg.AssetExecutionContext, now: datetime) -> date:
    """The business day of the run. Dagster runs any partition that a run's tags name, in years to come, too.

    Raises:
        dagster.Failure: the day has not ended, or lies before go-live; or the run names several.
    """
    partitions = context.assets_def.partitions_def
    assert isinstance(partitions, dg.DailyPartitionsDefinition)  # noqa: S101 - every asset of the close
    ended = partitions.get_partition_keys(current_time=now)
    first, last = context.partition_key_range
    if first != last:
        raise dg.Failure(
            f"One run closes one business day; this one names {first} to {last}. Launch a backfill of these days: it makes one run "
            "for each. Nothing was done.",
            allow_retries=False,
        )
    if first not in ended:
        can = (
            f"only the business days from {ended[0]} (go-live) to {ended[-1]} (the last that has ended) can. Launch a run of these"
            if ended
            else "no business day has ended since go-live"
        )
        raise dg.Failure(f"{first} cannot be closed: {can}; nothing was done.", allow_retries=False)
    return day_of(first)


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


def _show_plans(context: dg.AssetExecutionContext, site: Site, tools: Tools, day: date, changed: str) -> None:
    """Record the plan of everything that the run selected, each on its own asset and day."""
    # The preview is made of all five assets, which are made with this module.
    from scoopjoy_dagster.assets.preview import preview_day, shown_by

    chosen = chosen_of(context.run)
    for shown in preview_day(site, tools, day):
        if shown_by(shown.asset, chosen) == context.asset_key.to_user_string():
            notes = [_overridden(day, changed)] if changed else []
            metadata = {
                "dry_run": dg.MetadataValue.bool(True),
                "business_day": dg.MetadataValue.text(day.isoformat()),
                "plan": dg.MetadataValue.md(plan_table(shown.lines)),
                "exception_table": dg.MetadataValue.md(exception_table([*shown.findings, *notes])),
            }
            _observe(context, day, metadata, dg.AssetKey(shown.asset))
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


def failure(outcome: Outcome) -> dg.Failure:
    """The failure of a step whose day is not right: the summary for people, and the outcome's metadata."""
    return dg.Failure(description=outcome.summary, metadata=outcome.metadata(), allow_retries=False)
