"""What people can do at the desk over REST, past its form: no request stops another, and nobody asks in another's name."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from scoopjoy_dagster.automation.desk.inbox import REQUEST
from scoopjoy_dagster.automation.desk.mirror import MIRRORED
from scoopjoy_dagster.automation.desk.requests import RUNS_PER_PERSON
from scoopjoy_dagster.automation.desk.run_facts import BATCH_RUN
from scoopjoy_dagster.automation.nightly import TRIGGERED_BY
from scoopjoy_dagster.automation.state import PARTITION
from scoopjoy_dagster.definitions import JOB
from scoopjoy_dagster.erpnext.client import Client
from scoopjoy_dagster.erpnext.errors import Forbidden, NotFound, Rejected
from scoopjoy_dagster_tests.automation.desk.test_desk_sensor import Desk, a_desk, sensor_and_definitions
from scoopjoy_dagster_tests.erpnext.desk_site import ACCOUNTANT, CASHIER, SECOND_ACCOUNTANT
from scoopjoy_dagster_tests.world import DAY, insert, session_of

NOW = "Run Pipeline Now"


@pytest.fixture
def desk(chain_template: Path, empty_instance: Path, tmp_path: Path) -> Iterator[Desk]:
    with a_desk(chain_template, empty_instance, tmp_path) as made:
        yield made


def a_run(desk: Desk, days_ago: int = 0, user: str = "Administrator", **values: Any) -> str:
    """A new Batch Run that somebody has saved."""
    day = (DAY - timedelta(days=days_ago)).isoformat()
    return insert(desk.world.erpnext, "Batch Run", user=user, **{"run_date": day, **values})


def asked(desk: Desk, run: str, user: str = ACCOUNTANT, **values: Any) -> str:
    with session_of(desk.world.erpnext, user=user) as session:
        request = {"batch_run": run, "action": NOW, "attempt": 0, **values}
        return str(Client(session).insert("Batch Run Request", request)["name"])


def as_of_an_earlier_version(desk: Desk, request: str, action: str) -> str:
    """A request as a site held it whose setup was of a version in which an action could be any text; its new name."""
    (row,) = desk.world.erpnext.documents("Batch Run Request", name=request)
    name = f"{row['batch_run']} {action} 0"
    with desk.world.erpnext.site.transaction():
        desk.world.erpnext.site.db.run(
            'UPDATE "tabBatch Run Request" SET name = ?, action = ? WHERE name = ?', (name, action, request)
        )
    return name


def states(desk: Desk) -> dict[str, tuple[str, str]]:
    """Status and answer of every request, by the Batch Run that it was made at."""
    return {row["batch_run"]: (row["status"], row["answer"] or "") for row in desk.requests()}


def started(desk: Desk, request: dg.RunRequest, status: dg.DagsterRunStatus) -> None:
    """The run of a request in Dagster's storage, without its work."""
    desk.world.instance.add_run(
        dg.DagsterRun(
            job_name=JOB,
            run_id=str(uuid.uuid4()),
            status=status,
            tags={**request.tags, PARTITION: str(request.partition_key)},
        )
    )


# -- one request kills nothing ------------------------------------------------------------------------------------------


def test_a_request_with_a_line_break_is_set_aside_and_named_once_and_the_desk_goes_on(desk: Desk) -> None:
    first, second = a_run(desk, 1), a_run(desk)
    name = as_of_an_earlier_version(desk, asked(desk, first), "a\nb")
    with session_of(desk.world.erpnext) as session, pytest.raises(NotFound):
        Client(session).update("Batch Run Request", name, {"status": "Refused"})

    assert desk.tick() == []
    assert repr(name) in desk.said
    assert "set aside" in desk.said
    assert ACCOUNTANT in desk.said
    assert "scoopjoy setup" not in desk.said
    assert desk.tick() == []
    assert desk.said == "every run is shown"

    asked(desk, second, SECOND_ACCOUNTANT)
    (request,) = desk.tick()
    assert request.tags[BATCH_RUN] == second
    desk.run(request)
    desk.tick()
    assert states(desk)[second][0] == "Started"
    assert {one["name"]: one["status"] for one in desk.documents()}[second] == "Completed"


def test_a_request_that_is_set_aside_holds_up_no_other_of_the_same_look(desk: Desk) -> None:
    first, second = a_run(desk, 1), a_run(desk)
    as_of_an_earlier_version(desk, asked(desk, first), "a\nb")
    asked(desk, second, SECOND_ACCOUNTANT)
    assert [one.tags[BATCH_RUN] for one in desk.tick()] == [second]


def test_a_request_that_erpnext_fails_to_write_waits_alone(desk: Desk) -> None:
    first, second = a_run(desk, 1), a_run(desk)
    name = as_of_an_earlier_version(desk, asked(desk, first), "Delete Everything")
    asked(desk, second, SECOND_ACCOUNTANT)
    path = f"/api/resource/Batch Run Request/{name}"
    desk.world.erpnext.faults.add("deadlock", method="PUT", path=path, probability=1.0)
    assert [one.tags[BATCH_RUN] for one in desk.tick()] == [second]
    assert states(desk)[first][0] == "Pending"
    desk.world.erpnext.faults.clear()


def test_what_cannot_be_written_because_of_its_action_is_named_and_starts_nothing(desk: Desk) -> None:
    """A row of an earlier version: its answer is refused, since its action is none that can be chosen now."""
    name = as_of_an_earlier_version(desk, asked(desk, a_run(desk)), "Delete Everything")
    assert desk.tick() == []
    assert repr(name) in desk.said
    assert "Action cannot be" in desk.said


def test_a_batch_run_that_cannot_be_written_hides_no_other(desk: Desk) -> None:
    """It counts for nothing more than itself: not for a site without the desk."""
    done = desk.start()
    desk.tick()
    odd = "SJ-BATCH\n1"
    with desk.world.erpnext.site.transaction():
        desk.world.erpnext.site.db.run('UPDATE "tabBatch Run" SET name = ?, status = ?', (odd, "Failed"))
    desk.world.instance.add_run_tags(done.run_id, {MIRRORED: "", BATCH_RUN: odd})
    desk.start()
    desk.tick()
    assert "the Batch Run of 2026-11-22 could not be written" in desk.said
    assert "scoopjoy setup" not in desk.said
    assert {one["name"]: one["status"] for one in desk.documents()} == {
        odd: "Failed",
        "SJ-BATCH-2026-11-00002": "Completed",
    }


@pytest.mark.parametrize("action", ["a\nb", "Delete Everything", "Retry: Make Coffee", ""])
def test_an_action_that_is_none_is_refused_by_erpnext_itself(desk: Desk, action: str) -> None:
    with pytest.raises(Rejected):
        asked(desk, a_run(desk), action=action)
    assert desk.requests() == []


# -- how much one person can start --------------------------------------------------------------------------------------


def test_ten_documents_for_one_day_are_one_run(desk: Desk) -> None:
    runs = [a_run(desk) for _ in range(10)]
    for run in runs:
        asked(desk, run)
    (request,) = desk.tick()
    assert request.tags[BATCH_RUN] == runs[0]
    refused = [answer for status, answer in states(desk).values() if status == "Refused"]
    assert len(refused) == 9
    assert all("A run of 2026-11-22 is at work already" in answer for answer in refused)

    started(desk, request, dg.DagsterRunStatus.STARTED)
    asked(desk, runs[1], attempt=1)
    asked(desk, runs[2], SECOND_ACCOUNTANT, attempt=1)
    assert desk.tick() == []
    assert states(desk)[runs[0]][0] == "Started"
    assert {row["status"] for row in desk.requests() if row["batch_run"] != runs[0]} == {"Refused"}


def test_a_person_starts_a_few_runs_a_day_and_others_still_can(desk: Desk) -> None:
    runs = [a_run(desk, number) for number in range(RUNS_PER_PERSON + 2)]
    for run in runs[: RUNS_PER_PERSON + 1]:
        asked(desk, run)
    requests = desk.tick()
    assert [one.tags[BATCH_RUN] for one in requests] == runs[:RUNS_PER_PERSON]
    status, answer = states(desk)[runs[RUNS_PER_PERSON]]
    assert status == "Refused"
    assert f"{ACCOUNTANT} has started {RUNS_PER_PERSON} runs here in the last 24 hours" in answer

    for request in requests:
        started(desk, request, dg.DagsterRunStatus.SUCCESS)
    asked(desk, runs[-1])
    assert desk.tick() == []
    assert states(desk)[runs[-1]][0] == "Refused"
    asked(desk, runs[-1], SECOND_ACCOUNTANT, attempt=1)
    (request,) = desk.tick()
    assert request.tags[TRIGGERED_BY] == SECOND_ACCOUNTANT


def test_what_people_ask_for_waits_behind_the_night(desk: Desk) -> None:
    asked(desk, a_run(desk))
    (request,) = desk.tick()
    _, definitions = sensor_and_definitions()
    night = int(definitions.resolve_job_def(JOB).tags["dagster/priority"])
    assert int(request.tags["dagster/priority"]) < night


# -- in whose name ------------------------------------------------------------------------------------------------------


def test_a_request_made_in_anothers_name_is_its_makers(desk: Desk) -> None:
    asked(desk, a_run(desk), owner=SECOND_ACCOUNTANT, modified_by=SECOND_ACCOUNTANT)
    (request,) = desk.tick()
    assert request.tags[TRIGGERED_BY] == ACCOUNTANT


def test_who_asked_and_what_cannot_be_changed(desk: Desk) -> None:
    name = asked(desk, a_run(desk))
    with session_of(desk.world.erpnext, user=ACCOUNTANT) as session:
        with pytest.raises(Rejected, match="Value cannot be changed for Created By"):
            Client(session).update("Batch Run Request", name, {"owner": SECOND_ACCOUNTANT})
        with pytest.raises(Rejected, match="Value cannot be changed for Action"):
            Client(session).update("Batch Run Request", name, {"action": "Retry: Send Reports"})
        with pytest.raises(Rejected, match="Value cannot be changed for Batch Run"):
            Client(session).update("Batch Run Request", name, {"batch_run": a_run(desk, 1)})


def test_a_request_that_was_answered_and_is_opened_again_starts_no_second_run(desk: Desk) -> None:
    run = a_run(desk)
    name = asked(desk, run)
    (request,) = desk.tick()
    started(desk, request, dg.DagsterRunStatus.SUCCESS)
    desk.tick()
    with session_of(desk.world.erpnext, user=ACCOUNTANT) as session:
        Client(session).update("Batch Run Request", name, {"status": "Pending"})
    assert desk.tick() == []
    assert states(desk)[run][0] == "Started"
    assert [one.tags[REQUEST] for one in desk.world.instance.get_runs()] == [request.tags[REQUEST]]


def test_a_cashier_can_make_neither_a_batch_run_nor_a_request_nor_change_one(desk: Desk) -> None:
    run = a_run(desk)
    name = asked(desk, run)
    with session_of(desk.world.erpnext, user=CASHIER) as session:
        client = Client(session)
        for attempt in (
            lambda: client.insert("Batch Run", {"run_date": DAY.isoformat()}),
            lambda: client.update("Batch Run", run, {"status": "Completed"}),
            lambda: client.insert("Batch Run Request", {"batch_run": run, "action": NOW, "attempt": 1}),
            lambda: client.update("Batch Run Request", name, {"owner": CASHIER}),
            lambda: client.get("Batch Run Request", name),
        ):
            with pytest.raises(Forbidden):
                attempt()
