"""The steps of a run over several days, seen for one of them.

Such a run goes on with its good days when one fails (`assets.nightly`), so the state of a step of Dagster says nothing of
a day: what does is the materialization of the day, or the observation that it failed, and its own control totals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import dagster as dg

from scoopjoy_dagster.assets.lineage import BEFORE
from scoopjoy_dagster.assets.outcome import OUTCOME_KEY
from scoopjoy_dagster.automation.desk.batch_run import StepRun, StepState
from scoopjoy_dagster.automation.desk.step_errors import (
    STATES,
    Event,
    broken_totals,
    error_of,
    findings,
    judges,
)
from scoopjoy_dagster.automation.steps import Step

_KIND = dg.DagsterEventType


def steps_of_range(selected: Sequence[Step], events: Sequence[Event]) -> Iterator[StepRun]:
    """The steps that a run has selected, in order of the close; `events`: those of the day, and those of no day."""
    states: dict[str, StepState] = {}
    for step in selected:
        found = _step(step, events, behind=states.get(BEFORE.get(step.asset, "")) in {"Failed", "Skipped"})
        states[step.asset] = found.state
        yield found


def crashed(event: dg.DagsterEvent) -> bool:
    """Whether a step failed as a whole. With a sentence of its own it says only that days failed, and they are recorded."""
    return event.event_type is _KIND.STEP_FAILURE and not event.step_failure_data.user_failure_data


def _step(step: Step, events: Sequence[Event], *, behind: bool) -> StepRun:
    """A step's state for the day; `behind`: it waits for a step that is not right for the day."""
    own = [one for one in events if one[1].step_key == step.asset and one[1].event_type in STATES]
    started = next((moment for moment, event in own if event.event_type is _KIND.STEP_START), None)
    known = [one for one in events if _tells(step, one[1])]
    if known:
        moment, event = known[-1]
        if event.event_type is _KIND.ASSET_OBSERVATION:
            rows = findings(event.asset_observation_data.asset_observation.metadata[OUTCOME_KEY])
            return StepRun(step.asset, "Failed", started, moment, "\n".join(rows))
        return _judged(step, events, StepRun(step.asset, "Success", started, moment))
    if behind:
        return StepRun(step.asset, "Skipped")
    if not own:
        return StepRun(step.asset, "Pending")
    moment, event = own[-1]
    if event.event_type is _KIND.STEP_START:
        return StepRun(step.asset, "Running", started)
    if crashed(event):
        return StepRun(step.asset, "Failed", started, moment, error_of(event, ()))
    return StepRun(
        step.asset, "Skipped"
    )  # the asset that it waits for was left undone by a run before this one


def _judged(step: Step, events: Sequence[Event], right: StepRun) -> StepRun:
    """A step whose asset is right for the day, as the control totals leave it."""
    answers = [
        one for one in events if judges(step, one[1]) and one[1].event_type is _KIND.ASSET_CHECK_EVALUATION
    ]
    broken = broken_totals(answers)
    if broken:
        return StepRun(step.asset, "Failed", right.started_at, answers[-1][0], broken)
    ends = [one for one in events if judges(step, one[1]) and crashed(one[1])]
    if ends and not answers:
        moment, event = ends[-1]
        return StepRun(step.asset, "Failed", right.started_at, moment, error_of(event, ()))
    return right


def _tells(step: Step, event: dg.DagsterEvent) -> bool:
    """Whether an event says how the day came out for the asset itself."""
    if event.event_type not in {_KIND.ASSET_MATERIALIZATION, _KIND.ASSET_OBSERVATION}:
        return False
    if event.asset_key != dg.AssetKey(step.asset):
        return False
    return (
        event.event_type is _KIND.ASSET_MATERIALIZATION
        or OUTCOME_KEY in event.asset_observation_data.asset_observation.metadata
    )
