"""DocTypes made over REST: permission levels, default rights, deletion."""

from __future__ import annotations

import pytest

from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster.sandbox.seed import OUTLETS
from scoopjoy_dagster_tests.sandbox.erpnext.conftest import NOW, Client, run_doctypes

DOCTYPE, RUN = "/api/resource/DocType", "/api/resource/Night Run"
GET_LIST = "/api/method/frappe.client.get_list"
PERMISSIONS = [
    {"role": "System Manager"},
    {"role": "System Manager", "permlevel": 1},
    {"role": "Sales User", "delete": 0},
    {"role": "Accounts User", "permlevel": 1, "read": 0, "write": 0},
]


def make(client: Client) -> None:
    for body in run_doctypes(PERMISSIONS):
        client.post(DOCTYPE, body)


@pytest.fixture
def runs(robot):
    make(robot)
    steps = [{"op": "close", "secret": "b"}]
    return [robot.post(RUN, {"title": "one", "secret": "a", "amount": 5, "steps": steps})["name"]]


@pytest.fixture
def cashier(world):
    return Client(world.url, world.credentials(OUTLETS[0].cashier))


def test_rights_that_a_permission_row_leaves_out_are_given_and_those_of_submission_are_not(robot, runs):
    row = robot.get(f"{DOCTYPE}/Night Run")["permissions"][0]
    given = {"read", "write", "create", "delete", "report", "export", "share", "print", "email"}
    withheld = {"submit", "cancel", "amend", "import"}
    assert {right: row[right] for right in given | withheld} == {
        **dict.fromkeys(given, 1),
        **dict.fromkeys(withheld, 0),
    }


def test_a_default_right_binds_and_one_that_was_withheld_does_too(cashier, runs):
    assert cashier.put(f"{RUN}/{runs[0]}", {"title": "two"})["title"] == "two"
    assert cashier.refused("DELETE", f"{RUN}/{runs[0]}") == (403, "PermissionError")


def test_fields_of_a_higher_level_are_left_out_of_rows_and_documents_without_a_word(robot, cashier, runs):
    fields = ["name", "secret", "steps.secret as step_secret"]
    assert robot.get(RUN, fields=fields) == [{"name": runs[0], "secret": "a", "step_secret": "b"}]
    assert cashier.get(RUN, fields=fields) == [{"name": runs[0]}]
    assert cashier.post(GET_LIST, {"doctype": "Night Run", "fields": ["secret"]}) == []
    everything = cashier.get(RUN, fields=["*"])[0]
    assert "title" in everything
    assert not {"secret", "amount"} & set(everything)
    doc = cashier.get(f"{RUN}/{runs[0]}")
    assert not {"secret", "amount"} & set(doc)
    assert "secret" not in doc["steps"][0]
    assert robot.get(f"{RUN}/{runs[0]}")["steps"][0]["secret"] == "b"
    shown = cashier.post("/api/method/frappe.client.get", {"doctype": "Night Run", "name": runs[0]})
    assert shown["secret"] is None


def test_a_sum_over_a_field_of_a_higher_level_is_left_out_too(robot, cashier, runs):
    fields = ["title", "sum(amount) as total"]
    assert robot.get(RUN, fields=fields, group_by="title") == [{"title": "one", "total": 5.0}]
    assert cashier.get(RUN, fields=fields, group_by="title") == [{"title": "one"}]


def test_rows_of_a_table_are_guarded_by_the_levels_of_their_parent(robot, cashier, runs):
    asked = {"parent": "Night Run", "fields": ["op", "secret"]}
    assert robot.get("/api/resource/Night Step", **asked) == [{"op": "close", "secret": "b"}]
    assert cashier.get("/api/resource/Night Step", **asked) == [{"op": "close"}]


def test_what_the_user_may_not_write_is_put_back_without_a_word(robot, cashier, runs):
    row = robot.get(f"{RUN}/{runs[0]}")["steps"][0]["name"]
    steps = [{"name": row, "op": "open", "secret": "mine"}]
    cashier.put(f"{RUN}/{runs[0]}", {"title": "two", "secret": "mine", "amount": 9, "steps": steps})
    doc = robot.get(f"{RUN}/{runs[0]}")
    assert (doc["title"], doc["secret"], doc["amount"]) == ("two", "a", 5)
    assert [(step["op"], step["secret"]) for step in doc["steps"]] == [("open", "b")]
    made = cashier.post(RUN, {"title": "three", "secret": "mine", "amount": 9})["name"]
    doc = robot.get(f"{RUN}/{made}")
    assert (doc["secret"], doc["amount"]) == ("-", 0)


def test_levels_of_a_doctype_are_still_there_after_a_restart(tmp_path, template):
    path = tmp_path / "site.db"
    with SandboxERPNext(path, clock=lambda: NOW, template=template) as world:
        make(Client(world.url, world.robot))
    with SandboxERPNext(path, clock=lambda: NOW) as world:
        robot = Client(world.url, world.robot)
        robot.post(RUN, {"title": "one", "secret": "a"})
        cashier = Client(world.url, world.credentials(OUTLETS[0].cashier))
        assert robot.get(RUN, fields=["title", "secret"]) == [{"title": "one", "secret": "a"}]
        assert cashier.get(RUN, fields=["title", "secret"]) == [{"title": "one"}]


def test_a_deleted_doctype_is_gone_and_finds_its_documents_again_when_it_is_remade(robot, runs):
    field = {"dt": "Night Run", "fieldname": "custom_link", "fieldtype": "Data"}
    robot.post("/api/resource/Custom Field", field)
    for name in ("Night Run", "Night Step"):
        answer = robot.call("DELETE", f"{DOCTYPE}/{name}")
        assert (answer.status_code, answer.json()) == (202, {"data": "ok"})
    assert robot.get(DOCTYPE, filters=[["custom", "=", 1]]) == []
    assert robot.refused("GET", RUN) == (404, "DoesNotExistError")
    assert robot.refused("GET", f"{RUN}/{runs[0]}") == (500, "ImportError")
    make(robot)
    assert robot.get(f"{RUN}/{runs[0]}")["title"] == "one"
    assert robot.put(f"{RUN}/{runs[0]}", {"custom_link": "x"})["custom_link"] == "x"


def test_a_standard_doctype_is_not_deleted_and_only_system_managers_delete_others(robot, cashier, runs):
    answer = robot.call("DELETE", f"{DOCTYPE}/Customer")
    assert (answer.status_code, "Standard DocType" in answer.text) == (417, True)
    assert cashier.refused("DELETE", f"{DOCTYPE}/Night Run") == (403, "PermissionError")
