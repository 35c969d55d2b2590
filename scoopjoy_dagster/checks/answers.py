"""From the questions of one asset to the results of its checks: each asked for every day of the run, none left out.

A check that gives no result would let what is behind it go on, so whatever ERPNext answers becomes a result: a
verdict, or a failure that says why the figures could not be read. A check never passes for want of figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date

import dagster as dg

from scoopjoy_dagster.accounting.totals import ControlTotal, Verdict, combined, totals_of
from scoopjoy_dagster.erpnext.errors import ERPNextError, Rejected
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.partitions import day_of
from scoopjoy_dagster.resources.erpnext import ERPNextResource

Questions = Mapping[str, Callable[[], Verdict]]
"""The questions about one day, by the name of the control total."""

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
    asset: str,
    questions_about: Callable[[Site, date], Questions],
) -> Iterator[dg.AssetCheckResult]:
    """The results of the asset's checks that were selected, from one session for all of them.

    Those that passed and the warnings come first: an alert shows the last failure of a step.
    """
    wanted = {key.name for key in context.selected_asset_check_keys}
    totals = [one for one in totals_of(asset) if one.name in wanted]
    days = [day_of(key) for key in sorted(context.partition_keys)]
    found = _ask(erpnext, totals, days, questions_about)
    for total in sorted(totals, key=lambda one: one.blocking):
        yield _result(total, found[total.name])


def _ask(
    erpnext: ERPNextResource,
    totals: Sequence[ControlTotal],
    days: Sequence[date],
    questions_about: Callable[[Site, date], Questions],
) -> dict[str, Verdict | ERPNextError]:
    """Every question for every day. A site that does not answer is not asked again for each of them."""
    verdicts: dict[str, dict[date, Verdict]] = {one.name: {} for one in totals}
    problems: dict[str, ERPNextError] = {}
    try:
        with erpnext.open() as site:
            for day in days:
                questions = questions_about(site, day)
                for total in totals:
                    try:
                        verdicts[total.name][day] = questions[total.name]()
                    except Rejected as problem:  # of this list; another one may be answered
                        problems[total.name] = problem
    except ERPNextError as problem:
        unanswered = [one.name for one in totals if len(verdicts[one.name]) < len(days)]
        problems = {**dict.fromkeys(unanswered, problem), **problems}
    return {one.name: problems.get(one.name) or combined(verdicts[one.name]) for one in totals}


def _result(total: ControlTotal, found: Verdict | ERPNextError) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.ERROR if total.severity == "error" else dg.AssetCheckSeverity.WARN
    if isinstance(found, ERPNextError):
        unknown = dict.fromkeys(("expected", "actual", "difference", "worst_five"), "unknown")
        return dg.AssetCheckResult(
            check_name=total.name,
            asset_key=total.asset,
            passed=False,
            severity=severity,
            description=f"{UNREAD}{found}",
            metadata=unknown,
        )
    return dg.AssetCheckResult(
        check_name=total.name,
        asset_key=total.asset,
        passed=found.ok,
        severity=severity,
        description=found.sentence,
        metadata=found.texts(),
    )
