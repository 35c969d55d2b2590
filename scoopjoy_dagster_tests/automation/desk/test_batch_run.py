"""What several runs of Dagster come to in one Batch Run."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.automation.desk.batch_run import (
    MAX_LOG_LINES,
    Run,
    StepRun,
    StepState,
    batch_run,
    ended_steps,
)
from scoopjoy_dagster.steps import STEPS

BEGIN = datetime(2026, 11, 23, 1, 0)
NAMES = [step.asset for step in STEPS]


def run(states: dict[str, StepState], *, after: int = 0, **more: object) -> Run:
    """A run that began so many minutes after the first, and has ended unless told otherwise."""
    at = BEGIN + timedelta(minutes=after)
    steps = tuple(
        StepRun(name, state, at, at, f"{name} failed" if state == "Failed" else "")
        for name, state in states.items()
    )
    made = Run(
        run_id=f"run-{after}",
        root_run_id=f"run-{after}",
        day=date(2026, 11, 22),
        state="ended",
        created_at=at,
        started_at=at,
        ended_at=at + timedelta(seconds=30),
        triggered_by="schedule" if not after else "asha@scoopjoy.example",
        steps=steps,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def all_of(state: StepState, **others: StepState) -> dict[str, StepState]:
    return {name: others.get(name, state) for name in NAMES}


def states(made: Run, *others: Run) -> dict[str, str]:
    return {one.step.asset: one.state for one in batch_run([made, *others]).steps}


def test_a_run_of_which_all_steps_are_right_is_completed() -> None:
    made = batch_run([run(all_of("Success"))])
    assert (made.status, made.triggered_by) == ("Completed", "schedule")
    assert [one.order for one in made.steps] == [1, 2, 3, 4, 5]
    assert [one.step.critical for one in made.steps] == [True, True, False, False, False]


@pytest.mark.parametrize("asset", ["invoices", "reports", "hq_sync"])
def test_a_failed_step_that_is_not_critical_leaves_completed_with_errors(asset: str) -> None:
    assert batch_run([run(all_of("Success", **{asset: "Failed"}))]).status == "Completed with Errors"


@pytest.mark.parametrize("asset", ["closed_shifts", "royalties"])
@pytest.mark.parametrize("state", ["Failed", "Skipped"])
def test_without_a_critical_step_the_batch_has_failed(asset: str, state: StepState) -> None:
    assert batch_run([run(all_of("Success", **{asset: state}))]).status == "Failed"


def test_a_retry_that_runs_what_was_skipped_completes_the_batch() -> None:
    first = run(
        {"closed_shifts": "Success", "royalties": "Failed", "invoices": "Skipped", "reports": "Skipped",
         "hq_sync": "Skipped"}
    )  # fmt: skip
    retry = run(dict.fromkeys(NAMES[1:], "Success"), after=5)
    assert batch_run([first]).status == "Failed"
    made = batch_run([retry, first])
    assert (made.status, made.run_id, made.triggered_by) == ("Completed", "run-5", "schedule")
    assert {one.step.asset: one.retries for one in made.steps} == {
        "closed_shifts": 0, "royalties": 1, "invoices": 0, "reports": 0, "hq_sync": 0,
    }  # fmt: skip
    assert made.completed_at == BEGIN + timedelta(minutes=5, seconds=30)


def test_a_retry_of_one_step_keeps_the_others_as_they_were() -> None:
    first = run(all_of("Success", reports="Failed", hq_sync="Failed"))
    retry = run({"reports": "Success"}, after=5)
    assert states(first, retry) == all_of("Success", hq_sync="Failed")
    assert batch_run([first, retry]).status == "Completed with Errors"


def test_a_run_that_has_ended_leaves_nothing_pending() -> None:
    made = batch_run([run(all_of("Pending", closed_shifts="Failed"))])
    assert [one.state for one in made.steps] == ["Failed", *["Skipped"] * 4]


def test_a_run_at_work_shows_pending_steps_and_no_end() -> None:
    at_work = run(all_of("Pending", closed_shifts="Running"), state="running", ended_at=None)
    made = batch_run([at_work])
    assert (made.status, made.completed_at, made.at_work) == ("Running", None, True)
    assert [one.state for one in made.steps] == ["Running", *["Pending"] * 4]


def test_a_run_that_waits_its_turn_is_queued_again() -> None:
    first = run(all_of("Success", reports="Failed"))
    retry = run({"reports": "Pending"}, after=5, state="queued", started_at=None, ended_at=None)
    made = batch_run([first, retry])
    assert (made.status, made.completed_at) == ("Queued", None)


def test_a_run_whose_process_was_lost_fails_the_step_that_was_at_work() -> None:
    lost = ended_steps(run(all_of("Pending", closed_shifts="Success", royalties="Running")))
    made = batch_run([lost])
    assert [one.state for one in made.steps] == ["Success", "Failed", "Skipped", "Skipped", "Skipped"]
    assert "process was lost" in made.steps[1].error
    assert made.status == "Failed"


def test_a_run_that_selected_one_step_shows_that_one() -> None:
    made = batch_run([run({"reports": "Success"})])
    assert [one.step.title for one in made.steps] == ["Send Reports"]
    assert made.status == "Completed"


def test_a_run_that_never_came_to_a_step_has_failed() -> None:
    """E.g. its definitions could not be loaded."""
    assert batch_run([run({})]).status == "Failed"


def test_a_long_log_keeps_its_end_and_says_how_much_is_left_out() -> None:
    lines = tuple((BEGIN, f"line {number}") for number in range(MAX_LOG_LINES + 7))
    log = batch_run([run(all_of("Success"), log=lines)]).log.splitlines()
    assert log[0] == "(7 earlier lines are in Dagster)"
    assert log[-1].endswith(f"line {MAX_LOG_LINES + 6}")
    assert len(log) == MAX_LOG_LINES + 1


ANY: st.SearchStrategy[StepState] = st.sampled_from(["Success", "Failed", "Skipped"])


@given(st.lists(st.dictionaries(st.sampled_from(NAMES), ANY, min_size=1), min_size=1, max_size=6))
def test_completed_means_that_every_step_was_right_at_last(history: list[dict[str, StepState]]) -> None:
    runs = [run(states, after=number) for number, states in enumerate(history)]
    made = batch_run(runs)
    last: dict[str, str] = {}
    for states_of_run in history:
        last |= states_of_run
    assert (made.status == "Completed") == (set(last.values()) == {"Success"})
    assert (made.status == "Failed") == any(last.get(name, "Success") != "Success" for name in NAMES[:2])
    assert batch_run(runs[::-1]) == made
