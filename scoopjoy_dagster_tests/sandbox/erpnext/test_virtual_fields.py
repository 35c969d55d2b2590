"""Tables and virtual fields that the owner of a site adds: what is refused, what a restart keeps; and reports."""

from __future__ import annotations

from datetime import date

import pytest

from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster_tests.sandbox.erpnext.conftest import NOW, Client, journal_entry, share_bodies

INVOICE, FIELD = "/api/resource/Sales Invoice", "/api/resource/Custom Field"
SHARE = "sum(x or 0 for x in frappe.db.get_all('Night Share', filters={'document': doc.name, 'docstatus': 1}, pluck='share'))"


def virtual(options: str, fieldtype: str = "Currency", **more: object) -> dict[str, object]:
    body = {"dt": "Sales Invoice", "fieldname": "custom_share", "fieldtype": fieldtype, "options": options}
    return body | {"is_virtual": 1, **more}


def install(client: Client) -> None:
    for body in share_bodies():
        client.post(*body)
    client.post(FIELD, virtual(SHARE))


@pytest.mark.parametrize(
    "options",
    [
        "",
        "1 +",
        "1 + 1",
        "open('/etc/passwd')",
        "().__class__",
        "doc.customer",
        "frappe.db.sql('select 1')",
        "frappe.db.get_all('Night Share', filters={}, pluck='share', limit=1)",
        "', '.format(doc.name)",
        "[x for x in frappe.db.get_all('Night Share', filters={}, pluck='share')]",
        "(lambda: doc.name)()",
    ],
)
def test_an_expression_that_is_not_known_is_refused_when_the_field_is_made(robot, options):
    assert robot.refused("POST", FIELD, virtual(options)) == (501, "SandboxNotImplemented")
    assert robot.get(FIELD, filters=[["fieldname", "=", "custom_share"]]) == []


@pytest.mark.parametrize(
    "body",
    [
        virtual("doc.name", "Link"),
        virtual("doc.name", "Data", permlevel=1),
        virtual("doc.name", "Data", dt="Sales Invoice Item"),
    ],
)
def test_virtual_fields_of_other_kinds_are_refused(robot, body):
    status, _ = robot.refused("POST", FIELD, body)
    assert status in (417, 501)


def test_a_list_by_a_virtual_field_is_refused(robot, newer_robot):
    for client in (robot, newer_robot):
        install(client)
        for query in ({"filters": [["custom_share", ">", 0]]}, {"order_by": "custom_share asc"}):
            answer = client.refused("GET", INVOICE, **query)
            assert answer == (501, "SandboxNotImplemented")


def test_tables_and_virtual_fields_are_still_there_after_a_restart(tmp_path, template):
    path = tmp_path / "site.db"
    with SandboxERPNext(path, clock=lambda: NOW, template=template) as world:
        install(Client(world.url, world.robot))
        name = seed.add_invoice(world, "Franchise Thane", date(2026, 11, 22), 10)
    with SandboxERPNext(path, clock=lambda: NOW) as world:
        robot = Client(world.url, world.robot)
        rows = [{"document": name, "share": 7.5}]
        robot.post("/api/resource/Journal Entry", journal_entry(docstatus=1, custom_shares=rows))
        assert robot.get(f"{INVOICE}/{name}")["custom_share"] == 7.5


def test_a_virtual_field_whose_doctype_is_gone_breaks_the_document(world, robot):
    """So the fields go first when they are taken away."""
    install(robot)
    name = seed.add_invoice(world, "Franchise Thane", date(2026, 11, 22), 10)
    robot.call("DELETE", f"{FIELD}/Journal Entry-custom_shares")
    robot.call("DELETE", "/api/resource/DocType/Night Share")
    assert robot.refused("GET", f"{INVOICE}/{name}") == (404, "DoesNotExistError")
    robot.call("DELETE", f"{FIELD}/Sales Invoice-custom_share")
    assert "custom_share" not in robot.get(f"{INVOICE}/{name}")


def test_a_stored_field_becomes_virtual_only_when_it_is_made_anew(world, robot):
    for body in share_bodies():
        robot.post(*body)
    path = f"{FIELD}/Sales Invoice-custom_share"
    stored = {
        "dt": "Sales Invoice",
        "fieldname": "custom_share",
        "fieldtype": "Currency",
        "allow_on_submit": 1,
    }
    robot.post(FIELD, stored)
    name = seed.add_invoice(world, "Franchise Thane", date(2026, 11, 22), 10)
    robot.put(f"{INVOICE}/{name}", {"custom_share": 3})
    change = {"is_virtual": 1, "options": SHARE}
    assert robot.refused("PUT", path, change) == (501, "SandboxNotImplemented")
    robot.call("DELETE", path)
    robot.post(FIELD, virtual(SHARE))
    assert robot.get(f"{INVOICE}/{name}")["custom_share"] == 0
    assert robot.get(INVOICE, fields=["name", "custom_share"]) == [{"name": name}]


def test_a_report_is_made_changed_and_listed_by_a_system_manager(world, robot):
    report = {
        "report_name": "Night Shares",
        "ref_doctype": "Journal Entry",
        "report_type": "Report Builder",
        "is_standard": "No",
        "json": "{}",
    }
    path = "/api/resource/Report"
    assert robot.post(path, report)["name"] == "Night Shares"
    assert robot.refused("POST", path, report) == (409, "DuplicateEntryError")
    assert robot.put(f"{path}/Night Shares", {"json": "[]"})["json"] == "[]"
    fields = ["name", "ref_doctype", "report_type", "is_standard", "disabled", "json"]
    expected = report | {"name": "Night Shares", "json": "[]", "disabled": 0}
    assert robot.get(path, fields=fields) == [{field: expected[field] for field in fields}]
    cashier = Client(world.url, world.credentials(seed.OUTLETS[0].cashier))
    assert cashier.refused("POST", path, report) == (403, "PermissionError")
