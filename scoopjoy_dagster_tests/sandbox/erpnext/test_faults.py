"""Faults strike where they are told to, and the database is as the fault says."""

from __future__ import annotations

import time

import pytest
import requests

from scoopjoy_dagster_tests.sandbox.erpnext.conftest import journal_entry

JE = "/api/resource/Journal Entry"


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


def test_an_unknown_fault_is_named_with_those_that_exist(world):
    with pytest.raises(KeyError, match="committed_never_answered"):
        world.faults.add("gremlins")
