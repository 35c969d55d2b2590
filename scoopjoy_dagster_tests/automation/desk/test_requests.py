"""What becomes of a request: a run of the right steps, or a refusal that says why."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from scoopjoy_dagster.automation.desk.requests import RUNS_PER_PERSON, Answer, answer
from scoopjoy_dagster.erpnext.batch_runs import Request, Shown, ShownStep
from scoopjoy_dagster.erpnext.desk_schema import ACTIONS, STEP_NAMES
from scoopjoy_dagster.steps import STEPS

FIRST, LAST = date(2026, 11, 1), date(2026, 11, 22)
ASHA = "asha@scoopjoy.example"
MADE = "2026-11-23 01:00:00"
NEW = Shown("SJ-BATCH-2026-00001", LAST, "Queued", run_id="", key="", modified=MADE, saved_by=ASHA)
RUN_NOW = Request("r", MADE, NEW.name, "Run Pipeline Now", attempt=0, user=ASHA)


def failed(**states: str) -> Shown:
    """A Batch Run that has ended; steps not named are Success."""
    steps = tuple(
        ShownStep(step.title, states.get(step.asset, "Success"), int(states.get(step.asset) == "Failed"))
        for step in STEPS
    )
    return replace(NEW, status="Failed", run_id="run", steps=steps)


def retry(title: str, attempt: int = 1) -> Request:
    return replace(RUN_NOW, action=f"Retry: {title}", attempt=attempt)


def answered(
    request: Request, asked: Shown | None, *, may_write: bool = True, at_work: bool = False, started: int = 0
) -> Answer:
    return answer(
        request, asked, may_write=may_write, first=FIRST, last=LAST, at_work=at_work, started=started
    )


def test_a_new_batch_run_runs_the_whole_close() -> None:
    assert answered(RUN_NOW, NEW).assets == tuple(step.asset for step in STEPS)


def test_a_retry_of_a_critical_step_runs_it_and_what_was_skipped_behind_it() -> None:
    shown = failed(royalties="Failed", invoices="Skipped", hq_sync="Skipped")
    assert answered(retry("Calculate Royalties"), shown).assets == ("royalties", "invoices", "hq_sync")


def test_a_retry_of_another_step_runs_it_alone() -> None:
    shown = failed(reports="Failed", hq_sync="Skipped")
    assert answered(retry("Send Reports"), shown).assets == ("reports",)


@pytest.mark.parametrize(
    ("request_made", "shown", "reason"),
    [
        (RUN_NOW, None, "is gone"),
        (RUN_NOW, failed(), "has been run"),
        (RUN_NOW, replace(NEW, day=date(2026, 11, 23)), "cannot be closed"),
        (RUN_NOW, replace(NEW, day=date(2026, 10, 31)), "2026-11-01 (go-live)"),
        (retry("Send Reports"), failed(), "is Success, not Failed"),
        (retry("Send Reports", 0), failed(reports="Failed"), "has been retried since"),
        (retry("Send Reports"), replace(failed(reports="Failed"), status="Running"), "is at work"),
        (retry("Make Coffee"), failed(reports="Failed"), "has no step 'Make Coffee'"),
        (replace(RUN_NOW, action="Delete Everything"), NEW, "no request that is known"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason(
    request_made: Request, shown: Shown | None, reason: str
) -> None:
    found = answered(request_made, shown)
    assert not found.assets
    assert reason in found.refusal


def test_a_request_that_was_refused_can_be_made_again() -> None:
    """Its number is higher then than the step's retries: the name must be a new one."""
    assert answered(retry("Send Reports", 5), failed(reports="Failed")).assets == ("reports",)


def test_who_may_not_write_batch_run_starts_nothing() -> None:
    found = answered(RUN_NOW, NEW, may_write=False)
    assert not found.assets
    assert "asha@scoopjoy.example may not write Batch Run" in found.refusal


@pytest.mark.parametrize("asked", [RUN_NOW, retry("Send Reports")])
def test_while_a_run_of_the_day_is_at_work_no_second_one_is_started(asked: Request) -> None:
    shown = NEW if asked is RUN_NOW else failed(reports="Failed")
    assert answered(asked, shown).assets
    found = answered(asked, shown, at_work=True)
    assert not found.assets
    assert "A run of 2026-11-22 is at work already" in found.refusal


def test_a_person_starts_a_few_runs_a_day_and_is_told_how_many() -> None:
    assert answered(RUN_NOW, NEW, started=RUNS_PER_PERSON - 1).assets
    found = answered(RUN_NOW, NEW, started=RUNS_PER_PERSON)
    assert not found.assets
    assert found.refusal.startswith(f"{ASHA} has started {RUNS_PER_PERSON} runs here in the last 24 hours")


def test_what_can_be_asked_for_is_a_run_and_a_retry_of_each_step() -> None:
    assert tuple(step.title for step in STEPS) == STEP_NAMES
    for action in ACTIONS:
        assert "no request that is known" not in answered(replace(RUN_NOW, action=action), NEW).refusal
