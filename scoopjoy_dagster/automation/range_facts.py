"""What went wrong in a run over several days, and on which of them, from events that were read.

Such a run goes on with its good days when one fails, so its failed steps do not tell what happened: a day that failed is
an observation of its asset, and the last steps fail the run because a day is missing (`assets.nightly`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from scoopjoy_dagster.accounting.totals import CONTROL_TOTALS
from scoopjoy_dagster.assets.outcome import OUTCOME_KEY
from scoopjoy_dagster.automation.messages import FailedStep
from scoopjoy_dagster.automation.state import BLOCKING_CHECKS
from scoopjoy_dagster.automation.steps import STEPS, Step, step_of

KINDS = {
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_OBSERVATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
}
"""Further events that say what became of each day."""

Events = Mapping[str, Sequence[dg.DagsterEvent]]
"""Events of a run by their kind."""

MAX_SUMMARIES = 10
"""Days of which a message says what was wrong; the others are counted."""


def culprits(events: Events) -> tuple[FailedStep, ...]:
    """What really failed, in order of the close: assets with days that failed, and control totals that did not hold."""
    return tuple(one for step in STEPS for one in _of_step(step, events))


def days_not_done(events: Events, days: Sequence[str]) -> tuple[str, ...]:
    """The days of the run that it has not got right: all of them where nothing says which.

    A day is done when every asset that the run was to do is materialized for it, and every blocking control total that the
    run was to answer has passed.
    """
    right = _right(events)
    missing = [day for day in days if not all(day in done for done in right.values())]
    return tuple(missing or days)


def done_and_skipped(
    events: Events, failed: Sequence[FailedStep], days: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Steps that the run did for all of these days all the same, and those that it left out; names for people."""
    bad = {step.asset for one in failed if (step := step_of(one.key))}
    right = _materialized(events)
    good = [step for step in STEPS if step.asset in right and step.asset not in bad]
    done = tuple(step.title for step in good if right[step.asset].issuperset(days))
    return done, tuple(step.title for step in good if step.title not in done)


def _right(events: Events) -> dict[str, set[str]]:
    """The days that are right, for each asset and each blocking control total that the run was to do."""
    right = _materialized(events)
    for event in events.get("ASSET_CHECK_EVALUATION_PLANNED", ()):
        key = event.asset_check_planned_data.asset_check_key
        if key in BLOCKING_CHECKS:
            right[key.to_user_string()] = set()
    for event in events.get("ASSET_CHECK_EVALUATION", ()):
        check = event.asset_check_evaluation_data
        held = right.get(check.asset_check_key.to_user_string())
        if held is not None and check.partition:
            (held.add if check.passed else held.discard)(check.partition)
    return right


def _materialized(events: Events) -> dict[str, set[str]]:
    """The days that are materialized, for each asset that the run was to do."""
    found: dict[str, set[str]] = {
        event.asset_key.to_user_string(): set()
        for event in events.get("ASSET_MATERIALIZATION_PLANNED", ())
        if event.asset_key
    }
    for event in events.get("ASSET_MATERIALIZATION", ()):
        if event.asset_key and event.partition:
            found.setdefault(event.asset_key.to_user_string(), set()).add(event.partition)
    return found


def _of_step(step: Step, events: Events) -> Iterator[FailedStep]:
    failed = dict(sorted(_failed_days(step, events)))
    if failed:
        yield FailedStep(
            step.asset,
            _lines([_summary(step, day, rows) for day, rows in failed.items()]),
            tuple(_dated(row, day) for day, rows in failed.items() for row in rows),
            days=tuple(failed),
        )
    broken: dict[str, list[dg.AssetCheckEvaluation]] = defaultdict(list)
    for event in events.get("ASSET_CHECK_EVALUATION", ()):
        check = event.asset_check_evaluation_data
        if check.blocking and not check.passed and check.partition and step_of(event.step_key or "") == step:
            broken[event.step_key or ""].append(check)
    for key, found in broken.items():
        checks = sorted(found, key=lambda one: (str(one.partition), one.check_name))
        yield FailedStep(
            key,
            _lines([f"{one.partition}: {said(one)}" for one in checks]),
            tuple(
                {
                    "severity": "error",
                    "what": title_of(one),
                    "who": str(one.partition),
                    "message": said(one),
                    "action": "",
                }
                for one in checks
            ),
            days=tuple(dict.fromkeys(str(one.partition) for one in checks)),
            cause=said(checks[0]),
        )


def title_of(check: dg.AssetCheckEvaluation) -> str:
    """What a check asks; a check of no control total has only its name."""
    return next((one.question for one in CONTROL_TOTALS if one.name == check.check_name), check.check_name)


def said(check: dg.AssetCheckEvaluation) -> str:
    """What a check answered."""
    return check.description or f"It did not pass: {title_of(check)}"


def exception_rows(metadata: Mapping[str, dg.MetadataValue[Any]]) -> tuple[dict[str, str], ...]:
    """Rows of the exception table, from the outcome that a step of the close attaches to whatever did not succeed."""
    outcome = metadata[OUTCOME_KEY].value if OUTCOME_KEY in metadata else None
    rows = outcome.get("exceptions") if isinstance(outcome, Mapping) else None
    if not isinstance(rows, list):
        return ()
    return tuple(
        {str(name): str(text) for name, text in row.items()} for row in rows if isinstance(row, Mapping)
    )


def _failed_days(step: Step, events: Events) -> Iterator[tuple[str, tuple[dict[str, str], ...]]]:
    """Days that an asset observed to have failed, with their exception rows. A plan of a dry run has no outcome."""
    for event in events.get("ASSET_OBSERVATION", ()):
        observed = event.asset_observation_data.asset_observation
        ours = observed.asset_key == dg.AssetKey(step.asset) and OUTCOME_KEY in observed.metadata
        if ours and observed.partition:
            yield observed.partition, exception_rows(observed.metadata)


def _summary(step: Step, day: str, rows: Sequence[Mapping[str, str]]) -> str:
    """The sentence of a day that failed, as `assets.outcome.Outcome.summary` says it, without its counts."""
    errors = [row for row in rows if row.get("severity") == "error"]
    if not errors:
        return f"{step.asset} {day}: failed"
    first = errors[0]
    more = f" and {len(errors) - 1} more" if len(errors) > 1 else ""
    return f"{step.asset} {day}: {first.get('what')} - {first.get('who')}: {first.get('message')}{more}"


def _dated(row: Mapping[str, str], day: str) -> Mapping[str, str]:
    """A row that says of which day it is."""
    who = row.get("who", "")
    return {**row, "who": who if day in who else f"{day} {who}".strip()}


def _lines(summaries: Sequence[str]) -> str:
    more = len(summaries) - MAX_SUMMARIES
    return "\n".join([*summaries[:MAX_SUMMARIES], *([f"... and {more} more"] if more > 0 else [])])
