"""The heartbeat: one request for each settled night and each good watchdog, tried again until it is taken."""

from __future__ import annotations

import io

import dagster as dg
import pytest

from scoopjoy_dagster.automation import watchdog
from scoopjoy_dagster.automation.heartbeat import NOTE, beat
from scoopjoy_dagster.resources.alerts import AlertsResource
from scoopjoy_dagster_tests.automation.receiver import Receiver
from scoopjoy_dagster_tests.automation.test_alerts import outbox_tick
from scoopjoy_dagster_tests.automation.world import Close

DAYS = ["2026-03-01", "2026-03-02"]
QUIET = "no alert is waiting"


def ping(port: int) -> str:
    return f"http://127.0.0.1:{port}/ping/5ec7e7"


def tick(close: Close, port: int) -> str:
    close.alerts = AlertsResource(heartbeat_url=ping(port))
    return outbox_tick(close)


def test_a_settled_night_is_one_request(close: Close, receiver: Receiver, http_port: int) -> None:
    close.now = "2026-03-03T01:10:00+05:30"
    with receiver.at(http_port):
        close.settle(DAYS[0])
        assert tick(close, http_port) == QUIET  # the newest night is not settled
        close.settle(DAYS[1])
        assert tick(close, http_port) == f"{QUIET}; heartbeat delivered"
        assert tick(close, http_port) == QUIET
        close.now = "2026-03-04T01:10:00+05:30"
        assert tick(close, http_port) == QUIET
        close.settle("2026-03-03")
        assert tick(close, http_port) == f"{QUIET}; heartbeat delivered"
    assert receiver.beats == ["/ping/5ec7e7"] * 2


def test_a_good_watchdog_is_one_request_and_a_bad_one_none(
    close: Close, receiver: Receiver, http_port: int
) -> None:
    close.now = "2026-03-03T06:00:00+05:30"
    with receiver.at(http_port):
        close.rebuild_quietly()
        assert close.run(job=watchdog.JOB).is_failure
        assert "heartbeat" not in tick(close, http_port)
        close.settle(*DAYS)
        assert tick(close, http_port).endswith("heartbeat delivered")
        close.rebuild_quietly()
        assert close.run(job=watchdog.JOB).is_success
        assert tick(close, http_port).endswith("heartbeat delivered")
        assert "heartbeat" not in tick(close, http_port)
    assert len(receiver.beats) == 2


def test_a_heartbeat_that_is_not_taken_is_tried_at_every_tick_and_its_address_never_shown(
    close: Close, receiver: Receiver, http_port: int, whole_log: io.StringIO
) -> None:
    close.now = "2026-03-03T01:10:00+05:30"
    close.settle(*DAYS)
    said = [tick(close, http_port), tick(close, http_port)]
    assert all("the heartbeat was not delivered (ConnectionError); it is tried again" in one for one in said)
    with receiver.at(http_port):
        receiver.status = 500
        said.append(tick(close, http_port))
        assert "(HTTP status 500)" in said[-1]
        receiver.status = 200
        assert tick(close, http_port).endswith("heartbeat delivered")
    assert "5ec7e7" not in " ".join(said) + whole_log.getvalue()


def test_without_an_address_there_is_no_heartbeat(close: Close) -> None:
    days = dg.DailyPartitionsDefinition(start_date="2026-03-01")
    close.settle("2026-03-01")
    assert beat(close.instance, "", days, ["2026-03-01"]) == ""


def test_a_note_that_cannot_be_read_is_begun_again_and_the_log_says_so_once(
    close: Close, receiver: Receiver, http_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    close.now = "2026-03-03T01:10:00+05:30"
    close.settle(*DAYS)
    close.instance.daemon_cursor_storage.set_cursor_values({NOTE: "half a no"})
    with receiver.at(http_port):
        said = [tick(close, http_port), tick(close, http_port)]
    assert [one.endswith("heartbeat delivered") for one in said] == [True, False]
    assert sum("half a no" in one.message for one in caplog.records) == 1
