"""Sales Invoices: the royalty base, and the marks that are put on submitted ones."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from .books import LOCK, NOTE, money
from .marks import only_v16
from .site import patiently

if TYPE_CHECKING:
    from .books import Books
    from .site import Caller

SI = "Sales Invoice"


@pytest.fixture
def invoice(robot: Caller, books: Books, franchise: str) -> str:
    made = patiently(lambda: robot.insert(SI, **books.invoice(franchise), docstatus=1))
    return str(made.value["name"])


def test_base_grand_total_includes_tax_and_base_net_total_does_not(
    robot: Caller, books: Books, franchise: str
) -> None:
    made = robot.insert(SI, **books.invoice(franchise, 3), docstatus=1).value
    assert (made["docstatus"], money(made["base_net_total"]), money(made["base_grand_total"])) == (
        1,
        money(300),
        money(315),
    )


def test_the_answer_of_a_one_request_submit_has_an_old_status_and_the_stored_document_the_true_one(
    robot: Caller, books: Books, franchise: str
) -> None:
    made = robot.insert(SI, **books.invoice(franchise), docstatus=1).value
    assert made["docstatus"] == 1
    stored = robot.get(SI, made["name"]).value
    assert stored["status"] in {"Unpaid", "Overdue"}
    assert money(stored["outstanding_amount"]) == money(105)


def test_the_posting_date_holds_only_with_set_posting_time(
    robot: Caller, books: Books, franchise: str
) -> None:
    day = books.other_day.isoformat()
    kept = robot.insert(SI, **books.invoice(franchise, posting_date=day, due_date=None)).value
    assert kept["posting_date"] == day
    replaced = robot.insert(
        SI, **books.invoice(franchise, posting_date=day, due_date=None, set_posting_time=0)
    ).value
    assert replaced["posting_date"] == robot.insert(SI, **books.invoice(franchise)).value["creation"][:10]


def test_a_draft_is_submitted_by_put_and_a_second_submit_is_a_no_op(
    robot: Caller, books: Books, franchise: str
) -> None:
    name = robot.insert(SI, **books.invoice(franchise)).value["name"]
    for _ in range(2):
        assert robot.submit(SI, name).value["docstatus"] == 1
    receivable = [["voucher_no", "=", name], ["account", "=", books.receivable]]
    assert len(robot.rows("GL Entry", ["name"], receivable)) == 1


def test_a_return_has_negative_totals(robot: Caller, books: Books, franchise: str, invoice: str) -> None:
    back = books.invoice(franchise, -1, is_return=1, return_against=invoice, docstatus=1)
    made = robot.insert(SI, **back).value
    assert (made["is_return"], money(made["base_net_total"]), money(made["base_grand_total"])) == (
        1,
        money(-100),
        money(-105),
    )


def test_a_disabled_customer_cannot_be_invoiced(robot: Caller, books: Books) -> None:
    closed = books.customer(robot, "Closed For Sales", disabled=1)
    robot.insert(SI, **books.invoice(closed)).refused(417, "PartyDisabled")


def test_a_quantity_of_zero_is_refused(robot: Caller, books: Books, franchise: str) -> None:
    robot.insert(SI, **books.invoice(franchise, 0)).refused(417, "InvalidQtyError")


def test_a_submitted_invoice_takes_allow_on_submit_fields_by_put(robot: Caller, invoice: str) -> None:
    assert robot.put(SI, invoice, **{NOTE: "5 %"}).value[NOTE] == "5 %"
    assert robot.put(SI, invoice, **{NOTE: "6 %"}).value[NOTE] == "6 %"
    stored = robot.get(SI, invoice).value
    assert (stored["docstatus"], stored[NOTE]) == (1, "6 %")


def test_a_submitted_invoice_takes_allow_on_submit_fields_by_set_value(robot: Caller, invoice: str) -> None:
    answer = robot.rpc("frappe.client.set_value", doctype=SI, name=invoice, fieldname=NOTE, value="set")
    assert answer.value[NOTE] == "set"
    answer = robot.rpc("frappe.client.set_value", doctype=SI, name=invoice, fieldname={NOTE: "again"})
    assert answer.value[NOTE] == "again"


@pytest.mark.parametrize("field", [LOCK, "remarks", "due_date", "customer"])
def test_other_fields_of_a_submitted_invoice_are_refused(
    robot: Caller, books: Books, invoice: str, field: str
) -> None:
    changed = {
        LOCK: "x",
        "remarks": "x",
        "due_date": (books.today + dt.timedelta(days=30)).isoformat(),
        "customer": books.customer(robot, f"Not The Debtor {field}"),
    }[field]
    robot.put(SI, invoice, **{field: changed}).refused(417, "UpdateAfterSubmitError")


@only_v16
def test_since_v16_a_submitted_invoice_does_not_become_an_opening_one(robot: Caller, invoice: str) -> None:
    """On v15 the site's settings for reposting decide."""
    robot.put(SI, invoice, is_opening="Yes").refused(417, "UpdateAfterSubmitError")


@pytest.mark.parametrize("how", ["put", "frappe.client.cancel"])
def test_a_cancelled_invoice_is_docstatus_2_and_final(robot: Caller, invoice: str, how: str) -> None:
    answer = robot.put(SI, invoice, docstatus=2) if how == "put" else robot.cancel(SI, invoice)
    assert answer.value["docstatus"] == 2
    stored = robot.get(SI, invoice).value
    assert (stored["docstatus"], stored["status"]) == (2, "Cancelled")
    assert robot.rows(SI, ["name"], [["name", "=", invoice], ["docstatus", "=", 1]]) == []
    robot.put(SI, invoice, **{NOTE: "late"}).refused(417, "ValidationError")
    assert robot.put(SI, invoice, docstatus=1).status == 417


def test_a_submitted_invoice_does_not_become_a_draft(robot: Caller, invoice: str) -> None:
    robot.put(SI, invoice, docstatus=0).refused(417, "DocstatusTransitionError")


def test_a_submitted_invoice_cannot_be_deleted(robot: Caller, invoice: str) -> None:
    robot.delete(SI, invoice).refused(417, "ValidationError")
    assert robot.get(SI, invoice).value["docstatus"] == 1


def test_a_change_moves_modified_so_that_late_changes_can_be_found(robot: Caller, invoice: str) -> None:
    seen = robot.get(SI, invoice).value["modified"]
    which = [["name", "=", invoice], ["modified", ">", seen]]
    assert robot.rows(SI, ["name"], which) == []
    robot.cancel(SI, invoice).accepted()
    assert robot.rows(SI, ["name"], which) == [{"name": invoice}]


# What is no sale


def opening(books: Books, customer: str, income: str) -> dict[str, Any]:
    item = {"item_name": "Old balance", "uom": books.unit, "qty": 1, "rate": 20000, "conversion_factor": 1}
    rows = [{**item, "income_account": income, "cost_center": books.cost_center}]
    return books.invoice(customer, is_opening="Yes", items=rows, taxes=[], docstatus=1)


def test_an_opening_invoice_is_booked_against_a_balance_sheet_account_only(
    robot: Caller, books: Books, franchise: str
) -> None:
    robot.insert(SI, **opening(books, franchise, books.income)).refused(417, "ValidationError")
    made = robot.insert(SI, **opening(books, franchise, books.temporary)).value
    rows = robot.rows("GL Entry", ["account", "is_opening"], [["voucher_no", "=", made["name"]]])
    assert {row["account"]: row["is_opening"] for row in rows} == {
        books.receivable: "Yes",
        books.temporary: "Yes",
    }


def test_lists_tell_opening_invoices_from_sales_and_have_sales_without_a_company_behind_the_customer(
    robot: Caller, books: Books
) -> None:
    customer = books.customer(robot, "With An Old Balance")
    sold = robot.insert(SI, **books.invoice(customer), docstatus=1).value["name"]
    robot.insert(SI, **opening(books, customer, books.temporary)).accepted()
    wanted = [
        ["customer", "=", customer],
        ["is_opening", "!=", "Yes"],
        ["represents_company", "!=", books.company],
    ]
    assert robot.rows(SI, ["name"], wanted) == [{"name": sold}]
    answer = robot.rpc("frappe.client.get_list", doctype=SI, fields=["name"], filters=wanted)
    assert answer.value == [{"name": sold}]
    assert robot.rows("POS Invoice", ["name"], wanted[:2]) == []
