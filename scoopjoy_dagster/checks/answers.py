"""From the questions of one asset to the results of its checks: each asked for every day of the run, none left out.

A check that gives no result would let what is behind it go on, so whatever ERPNext answers becomes a result: a
verdict, or a failure that says why the figures could not be read. A check never passes for want of figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

import dagster as dg

from scoopjoy_dagster.accounting.totals import ControlTotal, Verdict, totals_of
from scoopjoy_dagster.assets.outcome import PASSES
from scoopjoy_dagster.assets.runner import keep_connection
from scoopjoy_dagster.erpnext.errors import ERPNextError, Rejected
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.partitions import day_of
from scoopjoy_dagster.resources.erpnext import ERPNextResource

Questions = Mapping[str, Callable[[], Verdict]]
"""The questions about one day, by the name of the control total."""

About = Callable[[Site, date], Questions]
"""The questions about a day of the site; what they share is read when it is first asked for."""

Answer = dg.AssetCheckResult

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
    context: dg.AssetCheckExecutionContext, erpnext: ERPNextResource, asset: str, about: About
) -> Iterator[Answer]:
    """The results of the asset's checks that were selected, for the day of the run, from one session for all of them.

    Those that passed and the warnings come first: an alert shows the last failure of a step.
    """
    keep_connection(context.instance)
    wanted = {key.name for key in context.selected_asset_check_keys}
    totals = sorted((one for one in totals_of(asset) if one.name in wanted), key=lambda one: one.blocking)
    found: Mapping[str, Verdict | ERPNextError]
    try:
        with erpnext.open() as site:
            questions = about(site.for_control_totals(), day_of(context.partition_key))
            found = {one.name: _answer(questions[one.name]) for one in totals}
    except ERPNextError as problem:  # a site that does not answer is not asked again
        found = dict.fromkeys((one.name for one in totals), problem)
    for total in totals:
        yield dg.AssetCheckResult(check_name=total.name, asset_key=asset, **_told(total, found[total.name]))


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
