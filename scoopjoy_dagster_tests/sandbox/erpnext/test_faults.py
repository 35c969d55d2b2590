"""Faults strike where they are told to, and the database is as the fault says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import datetime

import pytest
import requests

from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster_tests.sandbox.erpnext.conftest import journal_entry

JE = "/api/resource/Journal Entry"
MORNING = datetime(2026, 11, 22, 9)


def stored(world):
    return len(world.documents("Journal Entry"))


@pytest.mark.parametrize(
    ("kind", "committed"),
    [("refused_before_commit", 0), ("committed_never_answered", 1), ("reset_in_body", 1)],
)
def test_a_broken_connection_tells_nothing_about_the_commit(world, robot, kind, committed):
    world.faults.add(kind, method="POST", doctype="Journal Entry")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        robot.call("POST", JE, journal_entry())
    assert stored(world) == committed
    assert robot.call("POST", JE, journal_entry()).status_code == 200
    assert world.requests.writes == committed + 1


@pytest.mark.parametrize(
    ("kind", "status", "exc_type", "committed"),
    [
        ("deadlock", 500, "QueryDeadlockError", 0),
        ("lock_timeout", 500, "QueryTimeoutError", 0),
        ("rate_limited", 429, "TooManyRequestsError", 0),
        ("maintenance", 503, "SessionStopped", 0),
        ("permission_lost", 403, "PermissionError", 0),
        ("html_500", 500, None, 0),
        ("bad_gateway_before_commit", 502, None, 0),
        ("bad_gateway_after_commit", 502, None, 1),
        ("gateway_timeout_before_commit", 504, None, 0),
        ("gateway_timeout_after_commit", 504, None, 1),
    ],
)
def test_a_wrong_answer_says_whether_it_was_committed(world, robot, kind, status, exc_type, committed):
    world.faults.add(kind, method="POST", path="/api/resource", seconds=3)
    answer = robot.call("POST", JE, journal_entry())
    assert answer.status_code == status
    if exc_type:
        assert answer.json()["exc_type"] == exc_type
    else:
        assert answer.headers["Content-Type"].startswith("text/html")
    if kind == "rate_limited":
        assert answer.headers["Retry-After"] == "3"
    assert stored(world) == committed


def test_a_slow_answer_is_committed_before_the_client_gives_up(world, robot):
    world.faults.add("slow", method="POST", seconds=1.0)
    with pytest.raises(requests.ReadTimeout):
        robot.http.post(robot.url + JE, json=journal_entry(), timeout=0.4)
    deadline = time.monotonic() + 5
    while not stored(world) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert stored(world) == 1


def test_the_nth_request_is_hit_and_chance_is_repeatable(world, robot):
    world.faults.add("html_500", path="/api/method/ping", nth=3)
    assert [robot.call("GET", "/api/method/ping").status_code for _ in range(4)] == [200, 200, 500, 200]
    world.faults.clear()
    runs = []
    for _ in range(2):
        world.faults.reseed(7)
        world.faults.rules.clear()
        world.faults.add("html_500", probability=0.5)
        runs.append([robot.call("GET", "/api/method/ping").status_code for _ in range(12)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 500}


def test_a_truncated_page_looks_whole_to_http_and_is_no_json(world, robot):
    world.faults.add("truncated_page", method="POST", doctype="Journal Entry")
    answer = robot.call("POST", JE, journal_entry())
    assert answer.status_code == 200
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()
    assert stored(world) == 1


@pytest.mark.parametrize(("kind", "committed"), [("kill_before_commit", 0), ("kill_after_commit", 1)])
def test_a_kill_strikes_its_process_at_the_request_and_nobody_is_answered(world, robot, kind, committed):
    victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    seen = []

    def kill(call):
        seen.append((call.method, call.path, stored(world)))
        os.kill(victim.pid, signal.SIGKILL)

    world.faults.add(kind, method="POST", doctype="Journal Entry", hook=kill)
    with pytest.raises(requests.ConnectionError):
        robot.call("POST", JE, journal_entry())
    assert victim.wait(10) == -signal.SIGKILL
    assert seen == [("POST", JE, committed)]
    assert stored(world) == committed
    assert world.requests.entries[-1].fault == kind
    assert world.requests.entries[-1].status == 0


def test_something_else_happens_in_the_middle_and_the_request_goes_on(world, robot):
    happened = []
    world.faults.add("meanwhile", nth=2, hook=lambda call: happened.append(call.path))
    assert [robot.call("GET", "/api/method/ping").status_code for _ in range(3)] == [200] * 3
    assert happened == ["/api/method/ping"]


def test_a_kind_with_a_hook_is_refused_without_one_and_the_reverse(world):
    with pytest.raises(ValueError, match="needs a hook"):
        world.faults.add("kill_after_commit")
    with pytest.raises(ValueError, match="knows no hook"):
        world.faults.add("deadlock", hook=lambda _call: None)


def ten_sales_closed(world):
    """A shift of ten sales and its closing, queued for the background."""
    shift = seed.add_shift(world, "POS Bandra", "cashier.bandra@scoopjoy.example", MORNING, ["100"] * 10)
    session = world.session("robot@scoopjoy.example")
    body = {
        "pos_opening_entry": shift.opening,
        "company": "ScoopJoy",
        "period_end_date": "2026-11-22 23:00:00",
        "posting_date": "2026-11-22",
        "pos_transactions": [{"pos_invoice": name} for name in shift.invoices],
    }
    with world.site.transaction():
        name = session.submit(session.insert(session.new("POS Closing Entry", body))).name
    return name, shift.invoices


def merged(world, invoices):
    return [name for name in invoices if world.documents("POS Invoice", name=name)[0]["consolidated_invoice"]]


def test_a_background_job_fails_once_and_works_on_retry(world, robot):
    name, invoices = ten_sales_closed(world)
    world.faults.fail_jobs()
    assert world.run_background_jobs() == 1
    closing = world.documents("POS Closing Entry", name=name)[0]
    assert (closing["docstatus"], closing["status"]) == (1, "Failed")
    assert "Deadlock" in closing["error_message"]
    assert merged(world, invoices) == []
    assert world.faults.struck == [("background_job_failed", "JOB", "consolidate")]

    body = {"dt": "POS Closing Entry", "dn": name, "method": "retry"}
    assert robot.call("POST", "/api/method/run_doc_method", body).status_code == 200
    assert world.run_background_jobs() == 1
    assert world.documents("POS Closing Entry", name=name)[0]["status"] == "Submitted"
    assert merged(world, invoices) == invoices


def test_a_closing_is_queued_as_long_as_no_worker_is_there(world):
    name, invoices = ten_sales_closed(world)
    world.settings.background_worker = False
    assert world.run_background_jobs() == 0
    assert world.documents("POS Closing Entry", name=name)[0]["status"] == "Queued"
    world.settings.background_worker = True
    assert world.run_background_jobs() == 1
    assert merged(world, invoices) == invoices


def test_an_unknown_fault_is_named_with_those_that_exist(world):
    with pytest.raises(KeyError, match="committed_never_answered"):
        world.faults.add("gremlins")
