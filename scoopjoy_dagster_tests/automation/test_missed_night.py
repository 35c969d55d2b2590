"""A night in which nothing was tried: the watchdog says so, and what of Dagster can be seen to be wrong."""

from __future__ import annotations

from datetime import datetime, timedelta

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import RemoteInstigatorOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
    TickData,
    TickStatus,
)
from dagster._daemon.types import DaemonHeartbeat
from dagster_shared.error import SerializableErrorInfo

from scoopjoy_dagster.automation import nightly
from scoopjoy_dagster.automation.missed_night import causes, untried
from scoopjoy_dagster_tests.automation.test_alerts import fail, outbox_tick
from scoopjoy_dagster_tests.automation.test_watchdog import watch
from scoopjoy_dagster_tests.automation.world import DAYS, Close, Inbox, mail_server, origin

SIX = datetime.fromisoformat("2026-03-03T06:00:00+05:30")
DAY_BEFORE, LAST_NIGHT = "2026-03-01", "2026-03-02"


@pytest.fixture(autouse=True)
def _six_in_the_morning(close: Close) -> None:
    close.now = SIX.isoformat()


def schedule(close: Close, status: InstigatorStatus) -> InstigatorState:
    """The night's schedule, as Dagster's storage knows it."""
    state = InstigatorState(
        RemoteInstigatorOrigin(origin().repository_origin, nightly.NAME),
        InstigatorType.SCHEDULE,
        status,
        ScheduleInstigatorData("0 1 * * *", start_timestamp=0.0),
    )
    return close.instance.add_instigator_state(state)


def tick(
    close: Close, state: InstigatorState, status: TickStatus, hours_before: float, **said: object
) -> None:
    at = (SIX - timedelta(hours=hours_before)).timestamp()
    close.instance.create_tick(
        TickData(
            state.instigator_origin_id,
            nightly.NAME,
            InstigatorType.SCHEDULE,
            status,
            timestamp=at,
            selector_id=state.selector_id,
            **said,  # type: ignore[arg-type]
        )
    )


def seen(close: Close, *, automation_on: bool = True) -> list[str]:
    """What is wrong with the schedule."""
    return [one for one in causes(close.instance, SIX, automation_on=automation_on) if nightly.NAME in one]


def test_the_alert_says_missed_night_with_the_cause_and_the_command(
    close: Close, inbox: Inbox, port: int
) -> None:
    fail(close, DAY_BEFORE)
    schedule(close, InstigatorStatus.STOPPED)
    with mail_server(inbox, port) as close.mail:
        watch(close)
        outbox_tick(close)
        subjects = {str(mail["Subject"]) for mail in inbox.mails}
        assert "[CRITICAL] Missed night: no run for 2 Mar" in subjects
        text = next(inbox.text(n) for n, mail in enumerate(inbox.mails) if "Missed" in str(mail["Subject"]))
    assert f"no run was ever made for {LAST_NIGHT}" in text
    assert f"What is wrong: {nightly.NAME} is switched off (Dagster's UI, Automation)." in text
    assert f"scoopjoy backfill --from {DAY_BEFORE} --to {LAST_NIGHT}" in text
    assert "docs/operations.md#when-something-is-down" in text


def test_a_night_whose_run_failed_was_not_missed(close: Close) -> None:
    fail(close, LAST_NIGHT)
    _, verdict = watch(close)
    assert "missed_night" not in verdict.metadata
    assert untried(close.instance, DAYS, [DAY_BEFORE, LAST_NIGHT]) == [DAY_BEFORE]


def test_a_night_whose_run_a_person_cancelled_was_not_missed(close: Close) -> None:
    run = close.queue({"dagster/partition": LAST_NIGHT})
    close.instance.report_run_canceled(run)
    assert untried(close.instance, DAYS, [LAST_NIGHT]) == []


def test_a_schedule_that_is_off_by_the_settings_is_named(close: Close) -> None:
    assert seen(close, automation_on=False) == [
        f"{nightly.NAME} is off: SCOOPJOY_AUTOMATION is off, and nobody has started it."
    ]


def test_a_schedule_that_no_scheduler_has_seen_is_named(close: Close) -> None:
    assert seen(close) == [f"{nightly.NAME} has never run: no scheduler of Dagster has seen it."]


def test_a_night_without_a_tick_is_named(close: Close) -> None:
    state = schedule(close, InstigatorStatus.DECLARED_IN_CODE)
    tick(close, state, TickStatus.SUCCESS, hours_before=29, run_ids=[])  # the night before
    assert seen(close) == [
        f"{nightly.NAME} did not tick last night: Dagster's daemon, or the machine, was not running."
    ]


@pytest.mark.parametrize(
    ("status", "said", "sentence"),
    [
        (
            TickStatus.FAILURE,
            {"error": SerializableErrorInfo("the code server cannot be reached\n", [], None)},
            f"The tick of {nightly.NAME} at 01:00 failed: the code server cannot be reached",
        ),
        (
            TickStatus.SKIPPED,
            {"skip_reason": "no business day has ended since go-live"},
            f"The tick of {nightly.NAME} at 01:00 asked for nothing: no business day has ended since go-live.",
        ),
        (TickStatus.STARTED, {}, f"The tick of {nightly.NAME} at 01:00 never ended."),
    ],
)
def test_what_became_of_the_nights_tick_is_named(
    close: Close, status: TickStatus, said: dict[str, object], sentence: str
) -> None:
    tick(close, schedule(close, InstigatorStatus.RUNNING), status, hours_before=5, **said)
    assert seen(close) == [sentence]


@pytest.mark.parametrize("hours_before", [5, 0.02, 6])
def test_a_tick_that_was_right_is_no_cause(close: Close, hours_before: float) -> None:
    """Whenever the night begins: from midnight to the minute before the watchdog."""
    state = schedule(close, InstigatorStatus.RUNNING)
    tick(close, state, TickStatus.SUCCESS, hours_before=hours_before, run_ids=[])
    assert seen(close) == []


def test_daemons_without_a_recent_sign_of_life_are_named(close: Close) -> None:
    now = datetime.now().timestamp()
    close.instance.add_daemon_heartbeat(DaemonHeartbeat(now, "SCHEDULER", "d", []))
    close.instance.add_daemon_heartbeat(DaemonHeartbeat(now - 7200, "SENSOR", "d", []))
    said = [one for one in causes(close.instance, SIX, automation_on=True) if one.startswith("The daemon")]
    assert not any("SCHEDULER" in one for one in said)
    assert any("SENSOR, which sends alerts, is not well; its last sign of life was at" in one for one in said)


def test_daemons_that_were_never_there_are_named(close: Close) -> None:
    said = causes(close.instance, SIX, automation_on=True)
    assert "The daemon SCHEDULER, which starts the night's runs, has never given a sign of life." in said


def test_a_watchdog_that_finds_all_closed_looks_for_no_cause(close: Close) -> None:
    close.settle(DAY_BEFORE, LAST_NIGHT)
    run, verdict = watch(close)
    assert isinstance(run, dg.DagsterRun)
    assert verdict.passed
    assert "causes" not in verdict.metadata
