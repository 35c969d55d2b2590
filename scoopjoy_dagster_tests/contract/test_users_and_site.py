"""Who is told, what the site is, and whether its background work runs."""

from __future__ import annotations

import zoneinfo
from typing import TYPE_CHECKING

import pytest

from .lines import V15, VERSIONS

if TYPE_CHECKING:
    from .books import Books
    from .site import Caller, Site


def test_users_with_a_role_are_found_by_a_filter_on_the_child_table_without_administrator(
    keeper: Caller, cashier: Caller
) -> None:
    filters = [["Has Role", "role", "=", "System Manager"], ["User", "enabled", "=", 1]]
    rows = keeper.rows("User", ["name", "email", "full_name", "enabled"], filters)
    found = {row["name"]: row for row in rows}
    assert cashier.user not in found
    assert "Administrator" not in found  # only Administrator sees Administrator and Guest
    assert (found[keeper.user]["email"], found[keeper.user]["enabled"]) == (keeper.user, 1)


def test_users_with_a_role_are_found_in_the_child_doctype_with_its_parent(
    robot: Caller, keeper: Caller, cashier: Caller
) -> None:
    filters = [["role", "=", "System Manager"], ["parenttype", "=", "User"]]
    robot.page("Has Role", ["parent"], filters).refused(403, "PermissionError")
    rows = robot.rows("Has Role", ["parent"], filters, parent="User", order_by="parent asc")
    found = {row["parent"] for row in rows}
    assert keeper.user in found
    assert cashier.user not in found


def test_the_roles_of_the_close_are_enough_to_ask_who_has_a_role_and_is_enabled(
    small: Caller, robot: Caller, keeper: Caller, cashier: Caller
) -> None:
    of_role = [["role", "=", "System Manager"], ["parenttype", "=", "User"]]
    holders = [
        row["parent"]
        for row in small.rows("Has Role", ["parent"], of_role, parent="User", order_by="parent asc")
    ]
    assert keeper.user in holders
    assert cashier.user not in holders
    enabled = [["name", "in", holders], ["name", "not in", ["Administrator", "Guest"]], ["enabled", "=", 1]]
    found = {row["name"]: row["email"] for row in small.rows("User", ["name", "email"], enabled)}
    assert found[keeper.user] == keeper.user
    assert "Administrator" not in found
    # To be asked for a permission on users says nothing: everybody may read the own one.
    asked = small.rpc("frappe.client.has_permission", doctype="User", docname="", perm_type="read").value
    assert asked == {"has_permission": True}


def test_a_disabled_user_leaves_the_list(robot: Caller, site: Site) -> None:
    leaving = site.hire("leaving-manager", ["System Manager"])
    filters = [["Has Role", "role", "=", "System Manager"], ["User", "name", "=", leaving.user]]
    assert len(robot.rows("User", ["name"], filters)) == 1
    assert robot.put("User", leaving.user, enabled=0).value["enabled"] == 0
    assert robot.rows("User", ["name"], [*filters, ["User", "enabled", "=", 1]]) == []


def test_the_roles_of_a_user_are_in_the_user_document(robot: Caller, cashier: Caller) -> None:
    roles = {row["role"] for row in robot.get("User", cashier.user).value["roles"]}
    assert {"Sales User", "Accounts User"} <= roles


def test_get_versions_tells_the_line(robot: Caller, line: str) -> None:
    versions = robot.call("GET", VERSIONS).value
    for app in ("frappe", "erpnext"):
        major = int(versions[app]["version"].split(".")[0])
        assert major == 15 if line == V15 else major > 15


def test_whether_others_may_ask_for_the_holders_of_a_role_depends_on_the_line(
    robot: Caller, cashier: Caller, line: str
) -> None:
    filters = [["Has Role", "role", "=", "System Manager"], ["User", "name", "=", robot.user]]
    answer = cashier.page("User", ["name"], filters)
    if line == V15:
        assert answer.value == [{"name": robot.user}]
    else:
        answer.refused(403, "PermissionError")


def test_get_time_zone_names_the_zone_of_all_naive_times(robot: Caller) -> None:
    zone = robot.call("GET", "/api/method/frappe.client.get_time_zone").value["time_zone"]
    assert zoneinfo.ZoneInfo(zone).key == zone


def test_get_scheduler_status_tells_whether_background_work_runs(robot: Caller, limited: Caller) -> None:
    path = "/api/method/frappe.utils.scheduler.get_scheduler_status"
    for caller in (robot, limited):
        assert caller.call("GET", path).value == {"status": "active"}


def test_the_background_workers_are_listed_with_their_queues(robot: Caller, small: Caller, line: str) -> None:
    asked = {"doctype": "RQ Worker", "fields": ["name", "queue_type"], "limit_page_length": 0}
    workers = robot.rpc("frappe.client.get_list", **asked).value
    assert any("long" in one["queue_type"].split(",") for one in workers)
    answer = small.rpc("frappe.client.get_list", **asked)
    if line == V15:
        answer.refused(403, "PermissionError")
    else:
        assert {one["name"] for one in answer.value} == {one["name"] for one in workers}


@pytest.mark.parametrize("permission", ["read", "submit", "cancel"])
def test_has_permission_answers_for_one_document(
    robot: Caller, limited: Caller, books: Books, franchise: str, permission: str
) -> None:
    name = robot.insert("Journal Entry", **books.royalty(franchise)).value["name"]
    asked = {"doctype": "Journal Entry", "docname": name, "perm_type": permission}
    method = "frappe.client.has_permission"
    assert robot.rpc(method, **asked).value == {"has_permission": True}
    assert limited.rpc(method, **asked).value == {"has_permission": False}


@pytest.mark.parametrize(
    ("doctype", "permission", "cashier_may"),
    [
        ("Journal Entry", "create", True),
        ("POS Closing Entry", "create", False),
        ("POS Closing Entry", "submit", False),
        ("Sales Invoice", "read", True),
        ("Custom Field", "create", False),
    ],
)
def test_has_permission_answers_for_a_doctype_when_the_name_is_empty(
    robot: Caller, cashier: Caller, doctype: str, permission: str, cashier_may: bool
) -> None:
    asked = {"doctype": doctype, "docname": "", "perm_type": permission}
    method = "frappe.client.has_permission"
    assert robot.rpc(method, **asked).value == {"has_permission": True}
    assert cashier.rpc(method, **asked).value == {"has_permission": cashier_may}


def test_the_company_names_its_default_accounts(robot: Caller, books: Books) -> None:
    company = robot.get("Company", books.company).value
    assert company["abbr"]
    assert company["default_currency"] == books.currency
    account = robot.get("Account", company["default_receivable_account"]).value
    assert (account["account_type"], account["company"], account["is_group"]) == (
        "Receivable",
        books.company,
        0,
    )
