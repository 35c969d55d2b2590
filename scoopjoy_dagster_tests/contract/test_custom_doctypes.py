"""DocTypes made over REST, as the Batch Run desk is: child first, then the parent with permissions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .site import Answer, Caller, Site


@dataclass(frozen=True)
class Desk:
    run: str  # name of the parent DocType
    step: str
    series: str

    def child_body(self) -> dict[str, Any]:
        return {
            "name": self.step,
            "module": "Custom",
            "custom": 1,
            "istable": 1,
            "fields": [
                {"fieldname": "step_name", "label": "Step", "fieldtype": "Data", "reqd": 1},
                {
                    "fieldname": "status",
                    "label": "Status",
                    "fieldtype": "Select",
                    "options": "Pending\nSuccess\nFailed",
                    "default": "Pending",
                },
                {"fieldname": "error_message", "label": "Error", "fieldtype": "Small Text"},
            ],
        }

    def parent_body(self) -> dict[str, Any]:
        return {
            "name": self.run,
            "module": "Custom",
            "custom": 1,
            "autoname": "naming_series:",
            "track_changes": 1,
            "fields": [
                {
                    "fieldname": "naming_series",
                    "label": "Series",
                    "fieldtype": "Select",
                    "options": self.series,
                    "default": self.series,
                    "reqd": 1,
                },
                {"fieldname": "run_key", "label": "Run Key", "fieldtype": "Data", "unique": 1},
                {"fieldname": "run_date", "label": "Day", "fieldtype": "Date", "reqd": 1},
                {
                    "fieldname": "status",
                    "label": "Status",
                    "fieldtype": "Select",
                    "options": "Queued\nRunning\nCompleted",
                    "default": "Queued",
                },
                {"fieldname": "started_at", "label": "Started", "fieldtype": "Datetime"},
                {"fieldname": "steps", "label": "Steps", "fieldtype": "Table", "options": self.step},
                {"fieldname": "details", "label": "Details", "fieldtype": "JSON"},
                {"fieldname": "secret", "label": "Secret", "fieldtype": "Data", "permlevel": 1},
            ],
            "permissions": [
                {"role": "System Manager", "read": 1, "write": 1, "create": 1, "delete": 1},
                {"role": "System Manager", "permlevel": 1, "read": 1, "write": 1},
                {"role": "Accounts User", "read": 1, "write": 0, "create": 0, "delete": 0},
                {"role": "Stock User", "permlevel": 0},
            ],
        }


@pytest.fixture(scope="session")
def desk(site: Site) -> Iterator[Desk]:
    desk = Desk(f"{site.prefix} Run", f"{site.prefix} Run Step", f"{site.prefix}-RUN-.YYYY.-.#####")
    assert site.robot.insert("DocType", **desk.child_body()).value["name"] == desk.step
    assert site.robot.insert("DocType", **desk.parent_body()).value["name"] == desk.run
    yield desk
    for doctype in (desk.run, desk.step):
        removed = site.robot.delete("DocType", doctype)
        assert removed.status == 202, removed.summary()


def start(robot: Caller, desk: Desk, **fields: Any) -> Answer:
    steps = [{"step_name": "Close POS Shifts"}, {"step_name": "Calculate Royalties"}]
    return robot.insert(desk.run, **{"run_date": "2026-11-22", "steps": steps, **fields})


def test_a_parent_is_refused_before_its_child_exists(robot: Caller, desk: Desk) -> None:
    early = Desk(f"{desk.run} Early", f"{desk.step} Early", desk.series)
    robot.insert("DocType", **early.parent_body()).refused(417, "WrongOptionsDoctypeLinkError")
    assert robot.rows("DocType", ["name"], [["name", "=", early.run]]) == []


def test_a_doctype_made_again_is_409(robot: Caller, desk: Desk) -> None:
    robot.insert("DocType", **desk.parent_body()).refused(409, "DuplicateEntryError")
    robot.insert("DocType", **desk.child_body()).refused(409, "DuplicateEntryError")


def test_whether_a_doctype_exists_is_a_list_away(robot: Caller, desk: Desk) -> None:
    rows = robot.rows("DocType", ["name", "custom"], [["name", "in", [desk.run, desk.step, "Nowhere"]]])
    assert rows == [{"name": desk.run, "custom": 1}, {"name": desk.step, "custom": 1}]


def test_documents_are_numbered_by_the_series_and_take_defaults(robot: Caller, desk: Desk) -> None:
    made = start(robot, desk).value
    assert made["name"].startswith(f"{desk.series.split('.')[0]}{made['creation'][:4]}-")
    assert made["name"].rsplit("-", 1)[1].isdigit()
    assert made["status"] == "Queued"
    assert [(row["idx"], row["step_name"], row["status"]) for row in made["steps"]] == [
        (1, "Close POS Shifts", "Pending"),
        (2, "Calculate Royalties", "Pending"),
    ]


def test_a_unique_field_of_a_doctype_binds(robot: Caller, desk: Desk) -> None:
    assert start(robot, desk, run_key="once").status == 200
    start(robot, desk, run_key="once").refused(417, "UniqueValidationError")


@pytest.mark.parametrize(
    ("fields", "exc_type"),
    [
        ({"status": "Weird"}, "ValidationError"),
        ({"run_date": None}, "MandatoryError"),
        ({"steps": [{"status": "Pending"}]}, "MandatoryError"),
        ({"steps": [{"step_name": "x", "status": "Weird"}]}, "ValidationError"),
    ],
)
def test_selects_and_mandatory_fields_bind_in_parent_and_child(
    robot: Caller, desk: Desk, fields: dict[str, Any], exc_type: str
) -> None:
    start(robot, desk, **fields).refused(417, exc_type)


def test_put_without_the_table_keeps_the_rows(robot: Caller, desk: Desk) -> None:
    made = start(robot, desk).value
    changed = robot.put(desk.run, made["name"], status="Running", started_at="2026-11-23 01:00:00").value
    assert (changed["status"], changed["started_at"]) == ("Running", "2026-11-23 01:00:00")
    assert [row["name"] for row in changed["steps"]] == [row["name"] for row in made["steps"]]


def test_put_with_the_table_replaces_it_and_rows_with_a_name_are_kept(robot: Caller, desk: Desk) -> None:
    made = start(robot, desk).value
    first = made["steps"][0]["name"]
    rows = [
        {"name": first, "step_name": "Close POS Shifts", "status": "Success"},
        {"step_name": "Send Reports", "status": "Failed", "error_message": "boom"},
    ]
    changed = robot.put(desk.run, made["name"], steps=rows).value["steps"]
    assert [(row["step_name"], row["status"]) for row in changed] == [
        ("Close POS Shifts", "Success"),
        ("Send Reports", "Failed"),
    ]
    assert changed[0]["name"] == first
    assert changed[1]["name"] not in {row["name"] for row in made["steps"]}


def test_a_row_in_put_must_be_complete(robot: Caller, desk: Desk) -> None:
    made = start(robot, desk).value
    rows = [{"name": row["name"], "status": "Success"} for row in made["steps"]]
    robot.put(desk.run, made["name"], steps=rows).refused(417, "MandatoryError")


def test_one_child_row_is_changed_by_set_value(robot: Caller, desk: Desk) -> None:
    made = start(robot, desk).value
    row = made["steps"][1]["name"]
    changed = {"status": "Failed", "error_message": "boom"}
    answer = robot.rpc("frappe.client.set_value", doctype=desk.step, name=row, fieldname=changed)
    assert answer.status == 200
    steps = robot.get(desk.run, made["name"]).value["steps"]
    assert [(step["status"], step.get("error_message")) for step in steps] == [
        ("Pending", None),
        ("Failed", "boom"),
    ]


def test_json_fields_take_text_or_an_object_and_give_text(robot: Caller, desk: Desk) -> None:
    as_text = start(robot, desk, details='{"a": 1}').value
    as_object = start(robot, desk, details={"a": 1}).value
    assert as_text["details"].replace(" ", "") == as_object["details"].replace(" ", "") == '{"a":1}'


def test_the_permissions_of_the_doctype_bind(
    robot: Caller, cashier: Caller, limited: Caller, desk: Desk
) -> None:
    name = start(robot, desk).value["name"]
    assert cashier.get(desk.run, name).value["name"] == name
    start(cashier, desk).refused(403, "PermissionError")
    cashier.put(desk.run, name, status="Running").refused(403, "PermissionError")
    limited.page(desk.run, ["name"]).refused(403, "PermissionError")


def test_read_write_create_and_delete_are_granted_where_a_permission_row_leaves_them_out(
    robot: Caller, desk: Desk
) -> None:
    rights = ["read", "write", "create", "delete", "submit", "cancel"]
    rows = {row["role"]: row for row in robot.get("DocType", desk.run).value["permissions"]}
    assert [rows["Stock User"][right] for right in rights] == [1, 1, 1, 1, 0, 0]
    assert [rows["Accounts User"][right] for right in rights] == [1, 0, 0, 0, 0, 0]


def test_a_field_that_the_user_may_not_read_is_left_out_of_lists_in_silence(
    robot: Caller, cashier: Caller, desk: Desk
) -> None:
    name = start(robot, desk, secret="not for all").value["name"]
    which = [["name", "=", name]]
    assert robot.rows(desk.run, ["name", "secret"], which) == [{"name": name, "secret": "not for all"}]
    assert cashier.rows(desk.run, ["name", "secret"], which) == [{"name": name}]


def test_a_client_script_is_made_with_a_name_and_only_once(robot: Caller, desk: Desk) -> None:
    script: dict[str, Any] = {
        "name": f"{desk.run} Form",
        "dt": desk.run,
        "view": "Form",
        "enabled": 1,
        "script": f"frappe.ui.form.on('{desk.run}', {{ refresh(frm) {{}} }});",
    }
    assert robot.insert("Client Script", **script).value["name"] == script["name"]
    robot.insert("Client Script", **script).refused(409, "DuplicateEntryError")
    changed = robot.put("Client Script", script["name"], script="// changed", enabled=0).value
    assert (changed["script"], changed["enabled"]) == ("// changed", 0)
    assert robot.delete("Client Script", script["name"]).status == 202


def test_a_custom_field_is_added_to_a_doctype_in_use(robot: Caller, desk: Desk) -> None:
    made = start(robot, desk).value["name"]
    field = {"dt": desk.run, "fieldname": "custom_run_link", "label": "Run Link", "fieldtype": "Data"}
    assert robot.insert("Custom Field", **field, insert_after="status").status == 200
    robot.insert("Custom Field", **field, insert_after="status").refused(417, "ValidationError")
    changed = robot.put(desk.run, made, custom_run_link="https://example.com/runs/1").value
    assert changed["custom_run_link"] == "https://example.com/runs/1"
    which = [["custom_run_link", "like", "%/runs/1"]]
    assert robot.rows(desk.run, ["name"], which) == [{"name": made}]


def test_a_document_is_deleted(robot: Caller, desk: Desk) -> None:
    name = start(robot, desk).value["name"]
    assert robot.delete(desk.run, name).status == 202
    robot.get(desk.run, name).refused(404, "DoesNotExistError")
