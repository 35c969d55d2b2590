"""Ticks of the nightly schedule."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from itertools import islice
from pathlib import Path

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from scoopjoy_dagster.automation import nightly, wiring
from scoopjoy_dagster.settings import load_settings
from scoopjoy_dagster_tests.automation.world import DAYS, GO_LIVE, Close, refusal, unreachable


def tick(close: Close, moment: str) -> tuple[list[dg.RunRequest], str]:
    schedule = close.automation.schedules[0]
    context = dg.build_schedule_context(
        instance=close.instance,
        scheduled_execution_time=datetime.fromisoformat(moment),
        repository_def=close.defs.get_repository_def(),
    )
    data = schedule.evaluate_tick(context)
    return list(data.run_requests or []), data.skip_message or ""


def days(close: Close, moment: str) -> list[str]:
    return [str(request.partition_key) for request in tick(close, moment)[0]]


def test_it_ticks_at_one_in_the_morning_in_india(close: Close) -> None:
    schedule = close.automation.schedules[0]
    assert schedule.execution_timezone == "Asia/Kolkata"

    def following(moment: str, count: int = 1) -> list[str]:
        start = datetime.fromisoformat(moment).timestamp()
        found = schedule_execution_time_iterator(
            start, schedule.cron_schedule, "Asia/Kolkata", ascending=True
        )
        return [f"{one:%d %H:%M}" for one in islice(found, count)]

    assert following("2026-03-02T00:59:59+05:30") == ["02 01:00"]
    assert following("2026-03-01T19:30:00+00:00", 3) == ["02 01:00", "02 01:15", "02 01:30"]
    assert following("2026-03-02T05:30:00+05:30", 3) == ["02 05:30", "02 05:45", "03 01:00"]


@pytest.mark.parametrize(
    ("moment", "newest"),
    [
        ("2026-03-02T00:59:59+05:30", "2026-03-01"),
        ("2026-03-02T01:00:00+05:30", "2026-03-01"),
        ("2026-03-02T18:29:59+00:00", "2026-03-01"),  # a second before midnight in India
        ("2026-03-02T18:30:00+00:00", "2026-03-02"),  # midnight in India: the day has ended
    ],
)
def test_it_closes_the_day_that_has_ended_and_never_the_one_that_has_begun(
    close: Close, moment: str, newest: str
) -> None:
    assert days(close, moment)[-1] == newest


def test_nothing_before_go_live_is_asked_for(close: Close) -> None:
    assert days(close, "2026-03-03T01:00:00+05:30") == ["2026-03-01", "2026-03-02"]
    assert tick(close, "2026-03-01T01:00:00+05:30") == ([], "no business day has ended since go-live")


def test_after_three_nights_without_a_scheduler_all_three_days_are_asked_for_oldest_first(
    close: Close,
) -> None:
    close.settle(*[f"2026-03-{n:02d}" for n in range(1, 7)])
    requests, _ = tick(close, "2026-03-10T01:00:00+05:30")
    assert [request.partition_key for request in requests] == ["2026-03-07", "2026-03-08", "2026-03-09"]
    assert [request.tags["scoopjoy/reason"] for request in requests] == ["catch-up", "catch-up", "nightly"]
    assert {request.tags["scoopjoy/triggered_by"] for request in requests} == {"schedule"}


def test_a_hole_between_settled_days_is_asked_for(close: Close) -> None:
    close.settle("2026-03-05", "2026-03-06", "2026-03-08", "2026-03-09")
    close.lookback = 5
    close.rebuild_quietly()
    assert days(close, "2026-03-10T01:00:00+05:30") == ["2026-03-07"]


def test_a_day_that_a_queued_run_will_close_is_not_asked_for_again(close: Close) -> None:
    close.settle(*[f"2026-03-{n:02d}" for n in range(1, 8)])
    close.queue({"dagster/partition": "2026-03-08"})
    assert days(close, "2026-03-10T01:00:00+05:30") == ["2026-03-09"]


def test_a_day_whose_re_run_failed_is_asked_for_the_next_night(close: Close) -> None:
    close.settle("2026-03-01", "2026-03-02")
    close.boom["hq_sync"] = refusal("hq_sync", "2026-03-01")
    close.run("2026-03-01", only=["hq_sync"])
    close.settle("2026-03-03")
    (first,), _ = tick(close, "2026-03-03T01:00:00+05:30")
    (second,), _ = tick(close, "2026-03-04T01:00:00+05:30")
    assert first.partition_key == second.partition_key == "2026-03-01"
    assert first.run_key != second.run_key


def test_it_says_so_when_every_day_is_settled(close: Close) -> None:
    close.settle("2026-03-01", "2026-03-02")
    assert tick(close, "2026-03-03T01:00:00+05:30") == ([], "every ended day is settled")


def test_days_beyond_the_look_back_are_left_to_the_watchdog(close: Close) -> None:
    asked = days(close, "2026-03-20T01:00:00+05:30")
    assert asked == [f"2026-03-{n}" for n in range(13, 20)]


def test_the_day_just_ended_is_asked_for_even_when_the_state_of_the_days_cannot_be_read(
    close: Close, tmp_path: Path
) -> None:
    days(close, "2026-03-03T01:00:00+05:30")  # creates the database
    for database in tmp_path.rglob("runs.db"):
        with sqlite3.connect(database) as connection:
            connection.execute("DROP TABLE bulk_actions")
        connection.close()
    assert days(close, "2026-03-03T01:00:00+05:30") == ["2026-03-02"]


def built(**settings: str) -> wiring.Automation:
    """The automation by these settings."""
    return wiring.build(
        DAYS,
        dg.define_asset_job("nightly_close", selection=["closed_shifts"]),
        load_settings(
            {
                "ERPNEXT_URL": "http://127.0.0.1:9",
                "ERPNEXT_API_KEY": "k",
                "ERPNEXT_API_SECRET": "s",
                "SCOOPJOY_GO_LIVE": GO_LIVE,
                **settings,
            }
        ),
    )


def asked_again(close: Close, moment: str) -> list[str]:
    """Days that a look of the first night asks for; what it asks for is run at once."""
    requests, _ = tick(close, moment)
    for request in requests:
        close.run(request.partition_key, tags=request.tags)
    return [str(request.tags["scoopjoy/reason"]) for request in requests]


@pytest.mark.parametrize("passes", [True, False])
def test_what_passes_by_itself_is_asked_for_again_in_the_same_night_and_a_refusal_the_next(
    close: Close, passes: bool
) -> None:
    close.boom["royalties"] = (unreachable if passes else refusal)("royalties", "2026-03-01")
    assert asked_again(close, "2026-03-02T01:00:00+05:30") == ["nightly"]
    again = ["again"] if passes else []
    assert asked_again(close, "2026-03-02T01:15:00+05:30") == again
    assert asked_again(close, "2026-03-02T05:45:00+05:30") == again
    del close.boom["royalties"]
    assert asked_again(close, "2026-03-03T01:00:00+05:30") == ["catch-up", "nightly"]
    assert asked_again(close, "2026-03-03T01:15:00+05:30") == []


def test_a_refusal_beside_what_passes_is_a_refusal(close: Close) -> None:
    close.boom["invoices"] = refusal("invoices", "2026-03-01")
    close.boom["hq_sync"] = unreachable("hq_sync", "2026-03-01")
    assert asked_again(close, "2026-03-02T01:00:00+05:30") == ["nightly"]
    requests, why = tick(close, "2026-03-02T01:15:00+05:30")
    assert requests == []
    assert why.startswith("2026-03-01: what failed needs a person")


@pytest.mark.parametrize("unread", [True, False])
def test_a_control_total_that_could_not_be_read_is_asked_for_again_and_one_that_does_not_hold_is_not(
    close: Close, unread: bool
) -> None:
    close.ledger_ok = False
    close.ledger_figures = {"difference": "unknown", "passes": True} if unread else {"difference": "-10.00"}
    asked_again(close, "2026-03-02T01:00:00+05:30")
    assert asked_again(close, "2026-03-02T01:15:00+05:30") == (["again"] if unread else [])


def test_a_step_that_crashes_is_not_asked_for_again_in_the_same_night(close: Close) -> None:
    close.boom["royalties"] = ZeroDivisionError("a fault of ours")
    asked_again(close, "2026-03-02T01:00:00+05:30")
    assert asked_again(close, "2026-03-02T01:15:00+05:30") == []


def test_a_day_whose_run_was_lost_is_asked_for_again_and_one_that_a_person_cancelled_is_not(
    close: Close,
) -> None:
    for moment, ended, reasons in (
        ("2026-03-02T01:15:00+05:30", "PIPELINE_FAILURE", ["again"]),
        ("2026-03-02T01:30:00+05:30", "PIPELINE_CANCELED", []),
    ):
        run = close.queue({"dagster/partition": "2026-03-01", "scoopjoy/night": "2026-03-02"})
        close.instance.report_dagster_event(dg.DagsterEvent(ended, job_name=run.job_name), run.run_id)
        requests, _ = tick(close, moment)
        assert [request.tags["scoopjoy/reason"] for request in requests] == reasons


def test_a_night_whose_first_look_was_missed_is_asked_for_by_a_later_one(close: Close) -> None:
    assert days(close, "2026-03-02T03:30:00+05:30") == ["2026-03-01"]


@pytest.mark.parametrize(
    ("close_at", "cron"),
    [
        ("00:00", ["0,15,30,45 0 * * *", "0,15,30,45 1,2,3,4,5 * * *"]),
        ("04:40", ["40,55 4 * * *", "10,25,40,55 5 * * *"]),
        ("05:50", ["50 5 * * *"]),
    ],
)
def test_it_ticks_when_the_settings_say(close_at: str, cron: list[str]) -> None:
    schedule = built(SCOOPJOY_CLOSE_AT=close_at).schedules[0]
    assert (schedule.cron_schedule, schedule.execution_timezone) == (cron, "Asia/Kolkata")
    assert close_at in (schedule.description or "")


@pytest.mark.parametrize("automation", ["on", "off"])
def test_automation_off_leaves_every_schedule_and_sensor_stopped(automation: str) -> None:
    made = built(SCOOPJOY_AUTOMATION=automation)
    status = "RUNNING" if automation == "on" else "STOPPED"
    assert {one.default_status.value for one in made.schedules} == {status}
    assert {one.default_status.value for one in made.sensors} == {status}
    assert nightly.NAME in {one.name for one in made.schedules}
