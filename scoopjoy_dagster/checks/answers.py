"""From the questions of one asset to the results of its checks: each asked for every day of the run, none left out.

A check that gives no result would let what is behind it go on, so whatever ERPNext answers becomes a result: a
verdict, or a failure that says why the figures could not be read. A check never passes for want of figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg

# What a result says it judged; Dagster finds it by itself for a run of one partition only.
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Judged,
)

from scoopjoy_dagster.accounting.totals import ControlTotal, Verdict, totals_of
from scoopjoy_dagster.assets.lineage import chosen_of, has_others_behind
from scoopjoy_dagster.assets.outcome import PASSES
from scoopjoy_dagster.assets.range_progress import Recorded, days_got_right, keep_connection
from scoopjoy_dagster.erpnext.errors import ERPNextError, Rejected
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.partitions import day_of
from scoopjoy_dagster.resources.close import CloseResource
from scoopjoy_dagster.resources.erpnext import ERPNextResource

Questions = Mapping[str, Callable[[], Verdict]]
"""The questions about one day, by the name of the control total."""

About = Callable[[Site, Sequence[date]], Callable[[date], Questions]]
"""Reads what the questions about the days of a window share; gives the questions about each of them."""

Answer = dg.AssetCheckResult | dg.Output[None]

UNREAD = "The figures could not be read: "
"""How the description of a check begins that has no verdict."""


def step_name(asset: str) -> str:
    """Name of the step that answers for an asset; it begins with the asset's, so that alerts know whose it is."""
    return f"{asset}_control_totals"


def specs(asset: str, days: dg.DailyPartitionsDefinition) -> list[dg.AssetCheckSpec]:
    """The checks of an asset, on these business days."""
    return [
        dg.AssetCheckSpec(
            one.name,
            asset=asset,
            description=one.question,
            blocking=one.blocking,
            partitions_def=days,
            metadata={"severity": one.severity},
        )
        for one in totals_of(asset)
    ]


def answered(
    context: dg.AssetCheckExecutionContext,
    erpnext: ERPNextResource,
    close: CloseResource,
    asset: str,
    about: About,
) -> Iterator[Answer]:
    """The results of the asset's checks that were selected, for each day of the run, from one session for all of them.

    Those that passed and the warnings come first: an alert shows the last failure of a step. Of a range, only the days that
    the asset has got right in this run are asked about, and each is recorded as it is known.

    Raises:
        dagster.Failure: a blocking control total of a range does not hold, or the asset is not done for a day of it, and
            nothing in this run waits for the asset; where something does, it goes on with the days that are right.
    """
    keep_connection(context.instance)
    wanted = {key.name for key in context.selected_asset_check_keys}
    totals = sorted((one for one in totals_of(asset) if one.name in wanted), key=lambda one: one.blocking)
    days = sorted(day_of(key) for key in context.partition_keys)
    if len(days) == 1:
        found = dict(_ask(erpnext, close, totals, days, about))[days[0]]
        for total in totals:
            yield dg.AssetCheckResult(
                check_name=total.name, asset_key=asset, **_told(total, found[total.name])
            )
        return
    _range(context, erpnext, close, asset, totals, days, about)
    for total in totals:
        # Each day's answer is recorded already; this says that there was one.
        yield dg.Output(None, output_name=dg.AssetCheckSpec(total.name, asset=asset).get_python_identifier())


def _range(
    context: dg.AssetCheckExecutionContext,
    erpnext: ERPNextResource,
    close: CloseResource,
    asset: str,
    totals: Sequence[ControlTotal],
    days: Sequence[date],
    about: About,
) -> None:
    run, instance = context.run, context.instance
    chosen = chosen_of(run)
    alone = bool(chosen) and asset not in chosen  # a run of the checks only
    done = {} if alone else days_got_right(instance, run, asset)
    broken: list[str] = []
    for day, found in _ask(erpnext, close, totals, [day for day in days if alone or day in done], about):
        for total in totals:
            told = _told(total, found[total.name])
            if total.blocking and not told["passed"]:
                broken.append(f"{total.name} of {day}: {told['description']}")
            # Dagster takes it, and records it as one that it was given as a result; its annotation is behind.
            context.op_execution_context.log_event(
                dg.AssetCheckEvaluation(  # type: ignore[arg-type]
                    asset_key=dg.AssetKey(asset),
                    check_name=total.name,
                    partition=day.isoformat(),
                    blocking=total.blocking,
                    target_materialization_data=_judged(instance, asset, day, done.get(day)),
                    **told,
                )
            )
    undone = [] if alone else [day.isoformat() for day in days if day not in done]
    if undone:
        left_out = f" and {len(undone) - 5} more" if len(undone) > 5 else ""
        broken.append(f"{asset} is not done for {', '.join(undone[:5])}{left_out}")
    if broken and not has_others_behind(asset, chosen):
        more = [f"... and {len(broken) - 10} more"] if len(broken) > 10 else []
        raise dg.Failure(description="\n".join([*broken[:10], *more]), allow_retries=False)


def _judged(instance: dg.DagsterInstance, asset: str, day: date, recorded: Recorded | None) -> Judged | None:
    """The materialization that is judged: this run's, or the newest."""
    found: Recorded | dg.EventLogRecord | None = recorded
    if found is None:
        newest = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[day.isoformat()])
        found = next(iter(instance.fetch_materializations(newest, limit=1).records), None)
    if found is None:
        return None
    return Judged(storage_id=found.storage_id, run_id=found.run_id, timestamp=found.timestamp)


def _ask(
    erpnext: ERPNextResource,
    close: CloseResource,
    totals: Sequence[ControlTotal],
    days: Sequence[date],
    about: About,
) -> Iterator[tuple[date, Mapping[str, Verdict | ERPNextError]]]:
    """Every question for every day. A site that does not answer is not asked again for each of them."""
    answered_days: set[date] = set()
    try:
        with erpnext.open() as site:
            for window in close.windows(days):
                questions_about = about(site.for_control_totals(), window)
                for day in window:
                    questions = questions_about(day)
                    found = {one.name: _answer(questions[one.name]) for one in totals}
                    answered_days.add(day)
                    yield day, found
    except ERPNextError as problem:
        for day in days:
            if day not in answered_days:
                yield day, dict.fromkeys((one.name for one in totals), problem)


def _answer(question: Callable[[], Verdict]) -> Verdict | ERPNextError:
    try:
        return question()
    except Rejected as problem:  # of this list; another one may be answered
        return problem


def _told(total: ControlTotal, found: Verdict | ERPNextError) -> dict[str, Any]:
    """What a result says, as Dagster wants it."""
    severity = dg.AssetCheckSeverity.ERROR if total.severity == "error" else dg.AssetCheckSeverity.WARN
    if isinstance(found, ERPNextError):
        unknown = dict.fromkeys(("expected", "actual", "difference", "worst_five"), "unknown")
        return {
            "passed": False,
            "severity": severity,
            "description": f"{UNREAD}{found}",
            "metadata": {**unknown, PASSES: found.cause.passes},
        }
    return {
        "passed": found.ok,
        "severity": severity,
        "description": found.sentence,
        "metadata": found.texts(),
    }
