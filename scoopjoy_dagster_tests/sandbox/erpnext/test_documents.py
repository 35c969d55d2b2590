"""The life of documents: keys, transitions, Journal Entries, customisation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date

from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster_tests.sandbox.erpnext.conftest import NOW, Client, journal_entry, key_field

JE = "/api/resource/Journal Entry"


def test_a_unique_custom_field_ignores_case_and_trailing_spaces_and_outlives_cancellation(robot):
    robot.post("/api/resource/Custom Field", key_field())
    assert robot.refused("POST", "/api/resource/Custom Field", key_field()) == (417, "ValidationError")
    first = robot.post(JE, journal_entry(custom_scoopjoy_key="royalty:A", docstatus=1))
    for key in ("royalty:A", "ROYALTY:a", "royalty:A  "):
        twice = journal_entry(custom_scoopjoy_key=key, docstatus=1)
        assert robot.refused("POST", JE, twice) == (417, "UniqueValidationError")
    robot.post("/api/method/frappe.client.cancel", {"doctype": "Journal Entry", "name": first["name"]})
    assert (
        robot.refused("POST", JE, journal_entry(custom_scoopjoy_key="royalty:A"))[1]
        == "UniqueValidationError"
    )
    robot.post(JE, journal_entry(custom_scoopjoy_key=""))
    robot.post(JE, journal_entry(custom_scoopjoy_key=""))


def test_of_eight_simultaneous_inserts_with_one_key_exactly_one_wins(world, robot):
    robot.post("/api/resource/Custom Field", key_field())
    body = journal_entry(custom_scoopjoy_key="race", docstatus=1)
    with ThreadPoolExecutor(8) as pool:
        clients = [Client(world.url, world.robot) for _ in range(8)]
        statuses = list(pool.map(lambda client: client.call("POST", JE, body).status_code, clients))
    assert sorted(statuses) == [200] + [417] * 7
    assert len(world.documents("GL Entry")) == 2


def test_insert_many_is_atomic_and_takes_at_most_200(world, robot):
    bad = journal_entry(doctype="Journal Entry", docstatus=1)
    bad["accounts"][0]["party"] = "Nobody"
    docs = [journal_entry(doctype="Journal Entry", docstatus=1) for _ in range(3)]
    path = "/api/method/frappe.client.insert_many"
    assert robot.refused("POST", path, {"docs": [*docs, bad]}) == (417, "LinkValidationError")
    assert world.documents("Journal Entry") == []
    assert robot.post(path, {"docs": docs}) == [f"ACC-JV-2026-0000{n}" for n in (1, 2, 3)]
    assert robot.refused("POST", path, {"docs": docs * 67}) == (417, "ValidationError")


def test_a_journal_entry_is_held_to_its_rules(world, robot):
    unbalanced = journal_entry(docstatus=1)
    unbalanced["accounts"][1]["credit_in_account_currency"] = 99
    no_party = journal_entry()
    del no_party["accounts"][0]["party"]
    no_center = journal_entry(docstatus=1)
    no_center["accounts"][1]["cost_center"] = ""
    group = journal_entry(docstatus=1)
    group["accounts"][1]["account"] = "Direct Income - SJ"
    for body in (unbalanced, no_party, no_center, group, journal_entry(0)):
        assert robot.refused("POST", JE, body) == (417, "ValidationError")
    assert (
        robot.refused("POST", JE, journal_entry(docstatus=1, posting_date="2031-03-01"))[1]
        == "FiscalYearError"
    )
    assert world.documents("Journal Entry") == []


def test_amounts_are_rounded_half_to_even_row_by_row_and_negative_ones_change_sides(world, robot):
    made = robot.post(JE, journal_entry(100.005, docstatus=1))
    assert made["total_debit"] == 100.0
    turned = robot.post(JE, journal_entry(-50, docstatus=1))
    rows = world.documents("GL Entry", voucher_no=turned["name"])
    assert {(r["account"], r["debit"], r["credit"]) for r in rows} == {
        ("Debtors - SJ", 0.0, 50.0),
        ("Royalty Income - SJ", 50.0, 0.0),
    }


def test_frozen_books_and_closed_periods_refuse_entries(world, robot):
    world.settings.frozen_upto = date(2026, 11, 22)
    answer = robot.call("POST", JE, journal_entry(docstatus=1))
    assert "before 22-11-2026" in answer.json()["exception"]
    world.settings.frozen_upto = None
    robot.post(
        "/api/resource/Accounting Period",
        {
            "period_name": "Nov",
            "start_date": "2026-11-01",
            "end_date": "2026-11-30",
            "company": "ScoopJoy",
            "closed_documents": [{"document_type": "Journal Entry", "closed": 1}],
        },
    )
    assert robot.refused("POST", JE, journal_entry(docstatus=1)) == (417, "ClosedAccountingPeriod")


def test_cancelled_rows_of_the_ledger_are_marked_and_reversed(world, robot):
    name = robot.post(JE, journal_entry(docstatus=1))["name"]
    robot.put(f"{JE}/{name}", {"docstatus": 2})
    rows = world.documents("GL Entry", voucher_no=name)
    assert len(rows) == 4
    assert all(row["is_cancelled"] for row in rows)
    assert sum(row["debit"] - row["credit"] for row in rows) == 0
    assert robot.refused("PUT", f"{JE}/{name}", {"user_remark": "x"}) == (417, "ValidationError")
    assert robot.refused("DELETE", f"{JE}/{name}") == (417, "LinkExistsError")


def test_a_stale_modified_is_refused_and_a_missing_one_overwrites(robot):
    path = "/api/resource/POS Opening Entry"
    doc = robot.post(
        path,
        {
            "period_start_date": "2026-11-22 09:00:00",
            "pos_profile": seed.OUTLETS[0].profile,
            "user": seed.OUTLETS[0].cashier,
            "balance_details": [{"mode_of_payment": "Cash", "opening_amount": 1}],
        },
    )
    path = f"{path}/{doc['name']}"
    robot.put(path, {"set_posting_date": 1})
    stale = {"modified": doc["modified"], "set_posting_date": 0}
    assert robot.refused("PUT", path, stale) == (417, "TimestampMismatchError")
    assert robot.put(path, {"set_posting_date": 0})["set_posting_date"] == 0


def test_after_submission_only_allowed_fields_change(world, robot):
    for name, allowed in (("custom_run", 1), ("custom_locked", 0)):
        robot.post(
            "/api/resource/Custom Field",
            {"dt": "Sales Invoice", "fieldname": name, "fieldtype": "Data", "allow_on_submit": allowed},
        )
    path = f"/api/resource/Sales Invoice/{seed.add_invoice(world, 'Franchise Thane', date(2026, 11, 22), 10)}"
    for refused in ({"remarks": "x"}, {"custom_locked": "R"}):
        assert robot.refused("PUT", path, refused) == (417, "UpdateAfterSubmitError")
    assert robot.put(path, {"custom_run": "R"})["custom_run"] == "R"


def test_a_custom_doctype_and_its_fields_are_still_there_after_a_restart(tmp_path, template):
    path = tmp_path / "site.db"
    child = {
        "name": "Batch Run Step",
        "module": "Custom",
        "custom": 1,
        "istable": 1,
        "fields": [{"fieldname": "op", "fieldtype": "Data", "label": "Op", "reqd": 1}],
    }
    parent = {
        "name": "Batch Run",
        "module": "Custom",
        "custom": 1,
        "autoname": "naming_series:",
        "fields": [
            {
                "fieldname": "naming_series",
                "fieldtype": "Select",
                "options": "SJ-BATCH-.YYYY.-.#####",
                "reqd": 1,
            },
            {"fieldname": "run_key", "fieldtype": "Data", "label": "Run Key", "unique": 1},
            {"fieldname": "steps", "fieldtype": "Table", "options": "Batch Run Step"},
        ],
        "permissions": [{"role": "System Manager", "read": 1, "write": 1, "create": 1}],
    }
    with SandboxERPNext(path, clock=lambda: NOW, template=template) as world:
        robot = Client(world.url, world.robot)
        refused = robot.refused("POST", "/api/resource/DocType", parent)
        assert refused == (417, "WrongOptionsDoctypeLinkError")
        robot.post("/api/resource/DocType", child)
        robot.post("/api/resource/DocType", parent)
        assert robot.refused("POST", "/api/resource/DocType", parent) == (409, "DuplicateEntryError")
        robot.post("/api/resource/Custom Field", key_field())
    with SandboxERPNext(path, clock=lambda: NOW) as world:
        robot = Client(world.url, world.robot)
        doc = robot.post("/api/resource/Batch Run", {"run_key": "a", "steps": [{"op": "x"}, {"op": "y"}]})
        assert doc["name"] == "SJ-BATCH-2026-00001"
        one = robot.put(f"/api/resource/Batch Run/{doc['name']}", {"steps": [{"op": "only"}]})
        assert [row["op"] for row in one["steps"]] == ["only"]
        assert (
            robot.refused("POST", "/api/resource/Batch Run", {"run_key": "A"})[1] == "UniqueValidationError"
        )
        robot.post(JE, journal_entry(custom_scoopjoy_key="k"))
        assert robot.refused("POST", JE, journal_entry(custom_scoopjoy_key="K"))[1] == "UniqueValidationError"
