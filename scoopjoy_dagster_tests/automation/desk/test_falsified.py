"""Batch Runs that people have changed over REST say again what Dagster's record says."""

from __future__ import annotations

import base64
import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from scoopjoy_dagster.automation.desk import sensor as desk_sensor
from scoopjoy_dagster.automation.desk.run_facts import BATCH_RUN
from scoopjoy_dagster.definitions import JOB
from scoopjoy_dagster.erpnext import session as erpnext_session
from scoopjoy_dagster.erpnext.client import KEY_FIELD, Client
from scoopjoy_dagster.erpnext.desk_schema import RUN_DOCTYPE
from scoopjoy_dagster.partitions import PARTITION
from scoopjoy_dagster_tests.automation.desk.test_desk_sensor import BEFORE, Desk, a_desk
from scoopjoy_dagster_tests.erpnext.desk_site import ACCOUNTANT
from scoopjoy_dagster_tests.world import DAY, THANE, change, insert, session_of

VOLATILE = {"modified", "modified_by", "name", "creation", "owner"}


@pytest.fixture
def desk(chain_template: Path, empty_instance: Path, tmp_path: Path) -> Iterator[Desk]:
    with a_desk(chain_template, empty_instance, tmp_path) as made:
        yield made


def put(desk: Desk, name: str, **values: Any) -> None:
    """What an accountant with an API key does."""
    with session_of(desk.world.erpnext, user=ACCOUNTANT) as session:
        Client(session).update("Batch Run", name, values)


def said(document: dict[str, Any]) -> dict[str, Any]:
    """All that a document says, without who saved it when."""
    rows = [{key: value for key, value in row.items() if key not in VOLATILE} for row in document["steps"]]
    return {**{key: value for key, value in document.items() if key not in VOLATILE}, "steps": rows}


def test_whatever_somebody_has_written_into_a_batch_run_is_put_back_at_the_next_look(desk: Desk) -> None:
    desk.start({"scoopjoy/triggered_by": "schedule"})
    desk.tick()
    desk.tick()
    true = said(desk.document)
    name, first = desk.document["name"], desk.document["steps"][0]["name"]
    for lie in (
        {"status": "Failed"},
        {"triggered_by": "nobody@scoopjoy.example"},
        {"execution_log": "nothing happened"},
        {"execution_log": "", "started_at": None, "completed_at": "2020-01-01 00:00:00"},
        {"dagster_run": "another", "dagster_url": "https://evil.example/runs/1"},
        {"dagster_url": "javascript:alert(1)"},
        {KEY_FIELD: "", "status": "Failed"},
        {KEY_FIELD: "batch:another:2026-11-22", "dagster_run": ""},
        {"steps": []},
        {"steps": [{"name": first, "step_name": "Close POS Shifts", "status": "Failed"}]},
    ):
        put(desk, name, **lie)
        assert said(desk.document) != true, lie
        desk.tick()
        assert said(desk.document) == true, lie
        desk.world.erpnext.requests.reset()
        desk.tick()
        assert desk.said == "every run is shown"
        assert desk.world.erpnext.requests.writes == 0
    with session_of(desk.world.erpnext, user=ACCOUNTANT) as session:
        row = desk.document["steps"][1]
        changed = {"status": "Failed", "error_message": "x"}
        Client(session).update("Batch Run Step", row["name"], changed)
    assert said(desk.document) != true
    desk.tick()
    assert said(desk.document) == true
    assert len(desk.documents()) == 1


def bulk_change(desk: Desk, row: str, **values: Any) -> None:
    """Change a row of steps by itself: the moment of its document stays."""
    session = desk.world.erpnext.session(ACCOUNTANT)
    with desk.world.erpnext.site.transaction():
        document = session.load("Batch Run Step", row)
        session.amend(document, values)
        session.save(document)


def moments(desk: Desk) -> list[str]:
    return [one["modified"] for one in desk.documents()]


def assert_put_back_and_quiet(desk: Desk, true: dict[str, Any]) -> None:
    desk.tick()
    assert said(desk.document) == true
    desk.tick()
    desk.world.erpnext.requests.reset()
    desk.tick()
    assert desk.said == "every run is shown"
    assert (desk.world.erpnext.requests.total, desk.world.erpnext.requests.writes) == (3, 0)


def test_a_row_that_somebody_makes_or_changes_by_itself_is_put_back(desk: Desk) -> None:
    desk.start({"scoopjoy/triggered_by": "schedule"})
    desk.tick()
    desk.tick()
    true, saved, name = said(desk.document), moments(desk), desk.document["name"]
    bulk_change(desk, desk.document["steps"][1]["name"], status="Failed", error_message="x")
    assert (said(desk.document) != true, moments(desk)) == (True, saved)
    assert_put_back_and_quiet(desk, true)
    saved = moments(desk)
    held = {"parent": name, "parenttype": "Batch Run", "parentfield": "steps"}
    with session_of(desk.world.erpnext, user=ACCOUNTANT) as session:
        Client(session).insert("Batch Run Step", {**held, "step_name": "Audit", "status": "Success"})
    assert (len(desk.document["steps"]), moments(desk)) == (6, saved)
    assert_put_back_and_quiet(desk, true)


def test_a_row_that_was_saved_as_it_was_is_looked_at_once(desk: Desk) -> None:
    desk.start({"scoopjoy/triggered_by": "schedule"})
    desk.tick()
    desk.tick()
    row = desk.document["steps"][0]
    bulk_change(desk, row["name"], status=row["status"])
    saved = moments(desk)
    desk.tick()
    desk.world.erpnext.requests.reset()
    desk.tick()
    assert desk.said == "every run is shown"
    assert desk.world.erpnext.requests.total == 3
    assert moments(desk) == saved


def test_a_row_that_was_moved_to_another_batch_run_is_taken_out_of_it(desk: Desk) -> None:
    """The document that lacks it says so nowhere; it has the row again when it is written next."""
    desk.start({"scoopjoy/triggered_by": "schedule"})
    desk.start({"scoopjoy/triggered_by": "schedule"})
    desk.tick()
    desk.tick()
    true, saved = {one["name"]: said(one) for one in desk.documents()}, moments(desk)
    first, second = desk.documents()
    bulk_change(desk, first["steps"][4]["name"], parent=second["name"])
    assert [len(one["steps"]) for one in desk.documents()] == [4, 6]
    assert moments(desk) == saved
    desk.tick()
    assert [len(one["steps"]) for one in desk.documents()] == [4, 5]
    desk.tick()
    desk.tick()
    assert desk.said == "every run is shown"
    put(desk, first["name"], status="Failed")
    desk.tick()
    assert {one["name"]: said(one) for one in desk.documents()} == true


def test_documents_of_any_size_stop_no_look(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four of them are too large for one answer, and one is by itself."""
    for _ in range(5):
        desk.start({"scoopjoy/triggered_by": "schedule"})
    desk.tick()
    desk.tick()
    true = {one["name"]: said(one) for one in desk.documents()}
    asked = insert(desk.world.erpnext, "Batch Run", user=ACCOUNTANT, run_date=BEFORE.isoformat())
    for at, one in enumerate(desk.documents()):
        # What is put in cannot be packed, so that only its size counts.
        text = base64.b64encode(random.Random(at).randbytes(400_000 if at in {1, 5} else 100_000)).decode()
        put(desk, one["name"], execution_log=text)
    with session_of(desk.world.erpnext, user=ACCOUNTANT) as session:
        wish = {"batch_run": asked, "action": "Run Pipeline Now", "attempt": 0}
        Client(session).insert("Batch Run Request", wish)
    monkeypatch.setattr(erpnext_session, "ANSWER_BYTES", 400_000)
    (wanted,) = desk.tick()
    assert wanted.tags[BATCH_RUN] == asked
    now = {one["name"]: said(one) for one in desk.documents()}
    assert now.pop(asked)["execution_log"] is None
    assert now == true
    for _ in range(2):
        desk.world.erpnext.requests.reset()
        desk.tick()
    assert desk.world.erpnext.requests.writes == 0


def test_more_changed_documents_than_a_look_takes_are_left_to_the_next(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_sensor, "MOST", 2)
    for number in range(5):
        values = (
            {"run_date": BEFORE.isoformat(), "status": "Completed"}
            if number % 2
            else {"run_date": BEFORE.isoformat()}
        )
        insert(desk.world.erpnext, "Batch Run", user=ACCOUNTANT, **values)
    for left in (3, 1):
        desk.tick()
        assert f"{left} changed documents are left to the next looks" in desk.said
    desk.tick()
    assert "left to the next" not in desk.said
    assert {one["status"] for one in desk.documents()} == {"Queued"}
    for _ in range(2):
        desk.tick()
    assert desk.said == "every run is shown"


def test_a_batch_run_that_no_run_has_made_says_nothing(desk: Desk) -> None:
    done = desk.start()
    desk.tick()
    true = said(desk.document)
    first = desk.document["name"]
    steps = [{"step_name": "Close POS Shifts", "status": "Success"}]
    forged = {
        "run_date": BEFORE.isoformat(), "status": "Completed", "triggered_by": "schedule", "steps": steps,
        "execution_log": "all was well",
    }  # fmt: skip
    for claim in ({}, {"dagster_run": done.run_id}, {KEY_FIELD: f"batch:{done.run_id}:{BEFORE}"}):
        name = insert(desk.world.erpnext, "Batch Run", user=ACCOUNTANT, **forged, **claim)
        desk.tick()
        assert f"Batch Run {name}, last saved by {ACCOUNTANT}, said what no run has done" in desk.said
        by_name = {one["name"]: one for one in desk.documents()}
        put_back = by_name[name]
        assert (put_back["status"], put_back["steps"]) == ("Queued", [])
        assert not any(
            put_back[field] for field in ("triggered_by", "execution_log", "dagster_run", KEY_FIELD)
        )
        assert said(by_name[first]) == true
        desk.tick()
        assert desk.said == "every run is shown"


def test_a_key_that_was_moved_to_another_day_holds_up_nothing(desk: Desk) -> None:
    desk.start({"scoopjoy/triggered_by": "schedule"})
    desk.tick()
    true, name, key = said(desk.document), desk.document["name"], desk.document[KEY_FIELD]
    other = insert(desk.world.erpnext, "Batch Run", user=ACCOUNTANT, run_date=BEFORE.isoformat())
    put(desk, name, **{KEY_FIELD: "", "status": "Failed"})
    put(desk, other, **{KEY_FIELD: key, "status": "Completed"})
    desk.tick()
    shown = {one["name"]: one for one in desk.documents()}
    assert said(shown[name]) == true
    assert (shown[other]["status"], shown[other][KEY_FIELD]) == ("Queued", None)
    desk.tick()
    assert desk.said == "every run is shown"


def test_a_text_with_a_control_character_is_written_once(desk: Desk) -> None:
    desk.start({"scoopjoy/triggered_by": "ops\x1b[0m \u202e"})
    desk.tick()
    name = desk.document["name"]
    assert desk.document["triggered_by"] == "ops[0m "
    put(desk, name, execution_log="nothing happened")
    desk.tick()
    desk.world.erpnext.requests.reset()
    desk.tick()
    assert desk.world.erpnext.requests.writes == 0


def test_a_batch_run_of_a_run_that_this_dagster_does_not_know_is_named_and_left(desk: Desk) -> None:
    """Its record may be lost, or another Dagster's."""
    name = insert(
        desk.world.erpnext, "Batch Run", run_date=BEFORE.isoformat(), status="Completed", dagster_run="of old",
        execution_log="all was well",
    )  # fmt: skip
    desk.tick()
    assert f"Batch Run {name} shows a run that this Dagster does not know" in desk.said
    desk.tick()
    assert desk.said == "every run is shown"
    assert (desk.document["status"], desk.document["execution_log"]) == ("Completed", "all was well")


def test_a_new_batch_run_that_waits_for_its_button_is_left_alone(desk: Desk) -> None:
    insert(desk.world.erpnext, "Batch Run", user=ACCOUNTANT, run_date=DAY.isoformat())
    before = desk.document
    desk.tick()
    assert desk.said == "every run is shown"
    assert desk.document == before


def test_a_text_with_tags_is_written_so_that_erpnext_keeps_it(desk: Desk) -> None:
    """ERPNext rewrites or cuts a text in which it sees a tag: compared with what was sent it would differ for ever."""
    change(desk.world.erpnext, "Customer", THANE, customer_name="<b>Thane</b> & <script>Co -> x")
    desk.world.options["income_account"] = "<Nowhere> - SJ"
    desk.start()
    desk.tick()
    error = desk.document["steps"][1]["error_message"]
    assert "&lt;Nowhere>" in error
    assert "<Nowhere>" not in error
    assert "<script" not in desk.document["execution_log"]
    desk.tick()
    assert desk.said == "every run is shown"


def test_the_desk_of_erpnext_makes_no_link_of_an_address() -> None:
    """It makes one of every field of the kind URL, and takes `javascript:` for a URL."""
    (field,) = [one for one in RUN_DOCTYPE["fields"] if one["fieldname"] == "dagster_url"]
    assert (field["fieldtype"], field["options"]) == ("Data", "")


def test_a_run_that_names_a_root_which_nobody_knows_stops_nothing(desk: Desk) -> None:
    """Whoever launches a run over GraphQL may write any."""
    desk.world.instance.add_run(
        dg.DagsterRun(
            job_name=JOB,
            run_id=str(uuid.uuid4()),
            root_run_id="no such run",
            parent_run_id="no such run",
            status=dg.DagsterRunStatus.FAILURE,
            tags={PARTITION: BEFORE.isoformat()},
        )
    )
    desk.start({"scoopjoy/triggered_by": "schedule"})
    desk.tick()
    assert {one["run_date"] for one in desk.documents()} == {DAY.isoformat(), BEFORE.isoformat()}
