"""POS Closing Entry: in everything as real servers were seen to behave."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.seed import OUTLETS, Sale
from scoopjoy_dagster_tests.sandbox.erpnext.conftest import Client

PCE = "/api/resource/POS Closing Entry"
PSINV = "/api/resource/POS Invoice"
GET_INVOICES = "/api/method/erpnext.accounts.doctype.pos_closing_entry.pos_closing_entry.get_pos_invoices"
OPENED = datetime(2026, 11, 22, 9)


def shift(world, sales, outlet=OUTLETS[0]):
    return seed.add_shift(world, outlet.profile, outlet.cashier, OPENED, sales)


def closing(made, names=None, **extra):
    rows = [{"pos_invoice": name} for name in (made.invoices if names is None else names)]
    return {
        "pos_opening_entry": made.opening,
        "company": "ScoopJoy",
        "period_end_date": "2026-11-22 23:59:59",
        "posting_date": "2026-11-22",
        "posting_time": "23:59:00",
        "pos_transactions": rows,
        **extra,
    }


def bill(paid, qty=1, **extra):
    """A POS Invoice over a tub of 189 INR, paid in cash; the rest of the amount is change."""
    tax = {
        "charge_type": "On Net Total",
        "account_head": "GST Output - SJ",
        "description": "GST 5%",
        "rate": 5,
    }
    return {
        "customer": seed.masters.WALK_IN,
        "is_pos": 1,
        "pos_profile": OUTLETS[0].profile,
        "set_posting_time": 1,
        "posting_date": "2026-11-22",
        "posting_time": "10:00:00",
        "items": [{"item_code": "SJ-VAN-500", "qty": qty, "rate": 180}],
        "taxes": [tax],
        "payments": [{"mode_of_payment": "Cash", "amount": paid}],
        **extra,
    }


def status(world, name):
    doc = world.documents("POS Closing Entry", name=name)[0]
    return doc["docstatus"], doc["status"]


def opening_status(world, made):
    return world.documents("POS Opening Entry", name=made.opening)[0]["status"]


def test_few_invoices_are_consolidated_at_once_into_an_invoice_and_a_credit_note(world, robot):
    made = shift(world, [180, 210, Sale(Decimal(210), returns=1)])
    found = robot.post(
        GET_INVOICES,
        {
            "start": str(OPENED),
            "end": "2026-11-22 23:59:59",
            "pos_profile": made.profile,
            "user": made.cashier,
        },
    )
    assert {doc["name"] for doc in found} == set(made.invoices)
    draft = robot.post(PCE, closing(made))
    assert draft["pos_transactions"][0]["grand_total"] == 189.0
    assert robot.put(f"{PCE}/{draft['name']}", {"docstatus": 1})["status"] == "Submitted"
    merged = world.documents("Sales Invoice", is_consolidated=1)
    assert sorted(doc["grand_total"] for doc in merged) == [-220.5, 409.5]
    assert {doc["status"] for doc in world.documents("POS Invoice")} == {"Consolidated"}
    assert opening_status(world, made) == "Closed"
    rows = world.documents("GL Entry")
    assert round(sum(row["debit"] - row["credit"] for row in rows), 2) == 0
    robot.put(f"{PCE}/{draft['name']}", {"docstatus": 1})
    assert len(world.documents("Sales Invoice")) == 2


def test_ten_invoices_are_queued_and_consolidated_in_the_background(world, robot):
    made = shift(world, [180] * 10)
    done = robot.post(PCE, closing(made, docstatus=1))
    assert (done["docstatus"], done["status"]) == (1, "Queued")
    assert opening_status(world, made) == "Open"
    assert world.run_background_jobs() == 1
    assert status(world, done["name"]) == (1, "Submitted")
    assert opening_status(world, made) == "Closed"


def test_a_failed_background_closing_can_be_retried_once_the_cause_is_gone(world, robot):
    made = shift(world, [180] * 10)
    name = robot.post(PCE, closing(made, docstatus=1, posting_date="2030-01-15"))["name"]
    world.run_background_jobs()
    assert status(world, name) == (1, "Failed")
    assert opening_status(world, made) == "Open"
    with world.site.transaction():
        session = world.session()
        year = {"year": "2029-2030", "year_start_date": "2029-04-01", "year_end_date": "2030-03-31"}
        session.insert(session.new("Fiscal Year", year))
    robot.post(f"{PCE}/{name}", {"run_method": "retry"})
    assert status(world, name) == (1, "Queued")
    world.run_background_jobs()
    assert status(world, name) == (1, "Submitted")
    robot.post("/api/method/run_doc_method", {"dt": "POS Closing Entry", "dn": name, "method": "retry"})
    world.run_background_jobs()
    assert status(world, name) == (1, "Failed")


def test_a_failed_submission_of_few_leaves_a_failed_draft_and_one_request_leaves_nothing(world, robot):
    made = shift(world, [180, 210])
    assert (
        robot.refused("POST", PCE, closing(made, docstatus=1, posting_date="2035-01-15"))[1]
        == "FiscalYearError"
    )
    assert world.documents("POS Closing Entry") == []
    name = robot.post(PCE, closing(made, posting_date="2035-01-15"))["name"]
    answer = robot.call("PUT", f"{PCE}/{name}", {"docstatus": 1})
    assert answer.status_code == 417
    assert "_server_messages" not in answer.json()
    assert status(world, name) == (0, "Failed")
    assert world.documents("Sales Invoice") == []
    robot.put(f"{PCE}/{name}", {"docstatus": 1, "posting_date": "2026-11-22"})
    assert status(world, name) == (1, "Submitted")


def test_an_empty_closing_closes_the_shift_and_orphans_its_invoices(world, robot):
    made = shift(world, [180, 210])
    robot.post(PCE, closing(made, names=[], docstatus=1))
    assert opening_status(world, made) == "Closed"
    assert {doc["status"] for doc in world.documents("POS Invoice")} == {"Paid"}
    assert robot.refused("POST", PCE, closing(made)) == (417, "ValidationError")


def test_of_two_drafts_for_one_shift_only_one_can_be_submitted(world, robot):
    made = shift(world, [180])
    first, second = (robot.post(PCE, closing(made))["name"] for _ in range(2))
    robot.put(f"{PCE}/{first}", {"docstatus": 1})
    assert robot.refused("PUT", f"{PCE}/{second}", {"docstatus": 1}) == (417, "ValidationError")


def test_the_scheduler_must_run_for_ten_invoices(world, robot):
    made = shift(world, [180] * 10)
    world.settings.scheduler_active = False
    assert robot.get("/api/method/frappe.utils.scheduler.get_scheduler_status") == {"status": "inactive"}
    name = robot.post(PCE, closing(made))["name"]
    assert robot.refused("PUT", f"{PCE}/{name}", {"docstatus": 1}) == (417, "ValidationError")
    assert status(world, name)[0] == 0


def test_without_a_worker_a_closing_stays_queued_and_a_stale_job_spoils_a_cancelled_one(world, robot):
    made = shift(world, [180] * 10)
    world.settings.background_worker = False
    name = robot.post(PCE, closing(made, docstatus=1))["name"]
    assert world.run_background_jobs() == 0
    robot.post("/api/method/frappe.client.cancel", {"doctype": "POS Closing Entry", "name": name})
    assert status(world, name) == (2, "Cancelled")
    world.settings.background_worker = True
    world.run_background_jobs()
    assert status(world, name) == (2, "Failed")
    assert world.documents("Sales Invoice") == []


def test_cancelling_a_closing_gives_invoices_and_shift_back(world, robot):
    made = shift(world, [180, Sale(Decimal(180), returns=0)])
    name = robot.post(PCE, closing(made, docstatus=1))["name"]
    robot.post("/api/method/frappe.client.cancel", {"doctype": "POS Closing Entry", "name": name})
    assert opening_status(world, made) == "Open"
    assert {doc["status"] for doc in world.documents("POS Invoice")} == {"Paid", "Return"}
    assert {doc["docstatus"] for doc in world.documents("Sales Invoice")} == {2}
    assert sum(row["debit"] - row["credit"] for row in world.documents("GL Entry")) == pytest.approx(0)


def test_rows_of_another_till_another_cashier_and_twice_are_refused(world, robot):
    made = shift(world, [180])
    other = shift(world, [180], OUTLETS[1])
    answer = robot.call("POST", PCE, closing(made, names=[*made.invoices, *other.invoices]))
    assert "POS Profile doesn't match" in answer.text
    assert "isn't created by user" in answer.text
    assert robot.refused("POST", PCE, closing(made, names=made.invoices * 2)) == (417, "ValidationError")
    assert robot.refused("POST", PCE, closing(made, names=["NOPE"])) == (500, "IndexError")


def test_a_return_needs_its_original_in_the_same_closing_or_in_an_earlier_one(world, robot):
    made = shift(world, [180, Sale(Decimal(180), returns=0)])
    name = robot.post(PCE, closing(made, names=made.invoices[1:]))["name"]
    answer = robot.call("PUT", f"{PCE}/{name}", {"docstatus": 1})
    assert answer.status_code == 417
    assert "is not consolidated" in answer.json()["exception"]


def test_a_return_of_a_consolidated_sale_is_taken_by_a_later_closing(world, robot):
    first = shift(world, [180])
    robot.post(PCE, closing(first, docstatus=1))
    second = shift(world, [])
    cashier = Client(world.url, world.credentials(second.cashier))
    back = cashier.post(
        PSINV, bill(-189, qty=-1, is_return=1, return_against=first.invoices[0], paid_amount=-189)
    )["name"]
    cashier.put(f"{PSINV}/{back}", {"docstatus": 1})
    done = robot.post(PCE, closing(second, names=[back], docstatus=1))
    assert done["status"] == "Submitted"
    note = world.documents("POS Invoice Merge Log", pos_closing_entry=done["name"])[0]
    assert note["consolidated_invoice"] is None
    merged = world.documents("Sales Invoice", name=note["consolidated_credit_note"])[0]
    assert (merged["is_return"], merged["grand_total"]) == (1, -189.0)


def test_an_invoice_left_out_is_orphaned_until_a_later_closing_takes_it(world, robot):
    first = shift(world, [180, 210])
    taken, left = first.invoices
    assert robot.post(PCE, closing(first, names=[taken], docstatus=1))["status"] == "Submitted"
    assert opening_status(world, first) == "Closed"
    assert world.documents("POS Invoice", name=left)[0]["status"] == "Paid"
    second = seed.add_shift(world, first.profile, first.cashier, datetime(2026, 11, 23, 9))
    period = {"end": "2026-11-23 23:59:59", "pos_profile": first.profile, "user": first.cashier}
    assert robot.post(GET_INVOICES, {"start": "2026-11-23 09:00:00", **period}) == []
    assert [doc["name"] for doc in robot.post(GET_INVOICES, {"start": str(OPENED), **period})] == [left]
    assert robot.post(PCE, closing(second, names=[left], docstatus=1))["status"] == "Submitted"
    assert world.documents("POS Invoice", name=left)[0]["status"] == "Consolidated"


def test_without_the_queue_a_background_closing_is_a_500_and_stays_a_draft_that_can_be_submitted(
    world, robot
):
    made = shift(world, [180] * 10)
    name = robot.post(PCE, closing(made))["name"]
    world.settings.queue_reachable = False
    assert robot.refused("PUT", f"{PCE}/{name}", {"docstatus": 1}) == (500, "ConnectionError")
    assert status(world, name) == (0, "Draft")
    world.settings.queue_reachable = True
    assert robot.put(f"{PCE}/{name}", {"docstatus": 1})["status"] == "Queued"
    assert world.run_background_jobs() == 1
    assert status(world, name) == (1, "Submitted")


def test_the_change_of_an_overpaid_sale_comes_with_the_save_after_the_insert(world):
    cashier = Client(world.url, world.credentials(OUTLETS[0].cashier))
    draft = cashier.post(PSINV, bill(200))
    assert (draft["paid_amount"], draft["change_amount"], draft["base_change_amount"]) == (200, 0, 0)
    saved = cashier.put(f"{PSINV}/{draft['name']}", {"po_no": "x"})
    assert (saved["docstatus"], saved["change_amount"], saved["base_change_amount"]) == (0, 11, 11)
    submitted = cashier.put(f"{PSINV}/{draft['name']}", {"docstatus": 1})
    assert (submitted["change_amount"], submitted["base_change_amount"]) == (11, 11)
    assert submitted["account_for_change_amount"] == "Cash - SJ"


@pytest.mark.parametrize("paid", [189, 100])
def test_what_is_not_overpaid_gives_no_change(world, paid):
    cashier = Client(world.url, world.credentials(OUTLETS[0].cashier))
    draft = cashier.post(PSINV, bill(paid))
    assert cashier.put(f"{PSINV}/{draft['name']}", {"docstatus": 1})["change_amount"] == 0


def test_a_change_that_the_till_sends_is_kept(world):
    cashier = Client(world.url, world.credentials(OUTLETS[0].cashier))
    draft = cashier.post(PSINV, bill(200, change_amount=10))
    assert draft["change_amount"] == 10
    assert cashier.put(f"{PSINV}/{draft['name']}", {"docstatus": 1})["change_amount"] == 10


def test_the_seed_closes_with_the_cash_that_is_left_after_the_change(world):
    made = shift(world, [Sale(Decimal(180), tendered=Decimal(500)), Sale(Decimal(60), mode="UPI")])
    assert world.documents("POS Invoice", name=made.invoices[0])[0]["change_amount"] == 311
    name = seed.close_shift(world, made.opening, datetime(2026, 11, 22, 23, 59))
    counted = world.documents("POS Closing Entry", name=name)[0]["payment_reconciliation"]
    assert {row["mode_of_payment"]: row["expected_amount"] for row in counted} == {
        "Cash": 2000 + 500 - 311,
        "Card": 0,
        "UPI": 63,
    }


def test_a_cashier_may_not_close(world):
    made = shift(world, [180])
    cashier = Client(world.url, world.credentials(made.cashier))
    assert cashier.refused("POST", PCE, closing(made)) == (403, "PermissionError")
