"""Events of steps: which state they leave, whose they are, and why a step failed, as lines for people."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import dagster as dg

from scoopjoy_dagster.assets.outcome import OUTCOME_KEY
from scoopjoy_dagster.automation.alert import cut
from scoopjoy_dagster.automation.desk.batch_run import StepState
from scoopjoy_dagster.steps import Step, step_of

MAX_FINDINGS = 10
"""Exception rows of a step that its error text and the log name; Dagster has them all."""

Event = tuple[datetime, dg.DagsterEvent]
"""An event of a run and its moment, in site time (naive)."""

_KIND = dg.DagsterEventType

STATES: dict[dg.DagsterEventType, StepState] = {
    _KIND.STEP_START: "Running",
    _KIND.STEP_SUCCESS: "Success",
    _KIND.STEP_FAILURE: "Failed",
    _KIND.STEP_SKIPPED: "Skipped",
}


def judges(step: Step, event: dg.DagsterEvent) -> bool:
    """Whether an event is of the control totals of a step."""
    return bool(event.step_key) and event.step_key != step.asset and step_of(event.step_key or "") == step


def error_of(event: dg.DagsterEvent, events: Iterable[Event]) -> str:
    """Why a step failed: the control totals that did not hold, or its own sentence and its exception rows."""
    broken = broken_totals(one for one in events if one[1].step_key == event.step_key)
    if broken:
        return broken
    if event.event_type is not _KIND.STEP_FAILURE:
        return ""
    data = event.step_failure_data
    told = data.user_failure_data
    if told and told.description:
        # The rows say more than the sentence, which is made of the first of them.
        return "\n".join(findings(told.metadata.get(OUTCOME_KEY))) or cut(told.description)
    error = data.error
    while error and error.cause:
        error = error.cause
    return cut(" ".join(error.message.split())) if error else "the step failed without a message"


def findings(entry: Any) -> list[str]:
    """Exception rows of an outcome, errors first, as lines for people."""
    rows = list(entry.value.get("exceptions", [])) if entry else []
    ordered = sorted(rows, key=lambda row: row.get("severity") != "error")
    lines = [
        cut(f"{row['severity']}: {row['what']} - {row['who']}: {row['message']} -> {row['action']}")
        for row in ordered[:MAX_FINDINGS]
    ]
    left_out = len(ordered) - len(lines)
    return [*lines, f"... and {left_out} more, in Dagster"] if left_out else lines


def broken_totals(events: Iterable[Event]) -> str:
    """The blocking control totals among these events that did not hold, a line for each; empty for none."""
    return "\n".join(
        cut(f"{check.check_name}: {check.description}")
        for _, one in events
        if one.event_type is _KIND.ASSET_CHECK_EVALUATION
        for check in [one.asset_check_evaluation_data]
        if check.blocking and not check.passed
    )
