"""Closing a shift of fewer than ten invoices: the recipe, what the server checks, and what it does not.

Source: erpnext/accounts/doctype/pos_closing_entry/pos_closing_entry.py and pos_invoice_merge_log.py. What only v16 and
later do is in `test_pos_closing_since_v16`.
"""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from .books import POS_NOTE, money
from .lines import V15
from .marks import only_v15
from .shifts import CLOSING, OPENING, OPENING_CASH, TAKINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from .books import Books
    from .shifts import Shift
    from .site import Answer, Caller

LOGS = "POS Invoice Merge Log"


def merge_logs(shift: Shift, closing: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = shift.robot.rows(
        LOGS,
        ["name", "customer", "consolidated_invoice", "consolidated_credit_note"],
        [["pos_closing_entry", "=", closing], ["docstatus", "=", 1]],
    )
    return rows


def is_consolidated(shift: Shift, invoice: str) -> bool:
    return bool(shift.invoice(invoice).get("consolidated_invoice"))


# Opening and taking


def test_an_opening_is_open_with_the_cash_it_was_given(shift: Shift) -> None:
    filters = [["status", "=", "Open"], ["docstatus", "=", 1], ["pos_profile", "=", shift.counter.profile]]
    fields = ["name", "user", "period_start_date", "posting_date", "company"]
    assert {
        "name": shift.opening,
        "user": shift.counter.cashier.user,
        "period_start_date": f"{shift.books.day} 00:00:00",
        "posting_date": shift.books.day,
        "company": shift.books.company,
    } in shift.robot.rows(OPENING, fields, filters)
    details = shift.robot.get(OPENING, shift.opening).value["balance_details"]
    assert [(row["mode_of_payment"], money(row["opening_amount"])) for row in details] == [
        (shift.books.mode, money(OPENING_CASH))
    ]


def test_the_takings_are_the_submitted_unconsolidated_invoices_of_user_and_profile(shift: Shift) -> None:
    sold = [shift.sell(1), shift.sell(2, 300)]
    draft = shift.counter.cashier.insert("POS Invoice", **shift.bill()).value["name"]
    takings = {invoice["name"]: invoice for invoice in shift.takings()}
    assert set(sold) <= set(takings)
    assert draft not in takings
    change = takings[sold[1]]
    assert (money(change["grand_total"]), money(change["net_total"]), change["total_qty"]) == (
        money(210),
        money(200),
        2,
    )
    assert [money(row["amount"]) for row in change["payments"]] == [money(300)]
    assert money(change["change_amount"]) == money(90)
    assert [money(row["tax_amount"]) for row in change["taxes"]] == [money(10)]


def test_the_takings_end_at_the_given_times(shift: Shift) -> None:
    sold = shift.sell(1, posting_time="00:00:05")
    day = shift.books.day
    assert sold in shift.told(start=f"{day} 00:00:05")
    assert sold not in shift.told(start=f"{day} 00:00:06")
    assert sold in shift.told(end=f"{day} 00:00:05")
    assert sold not in shift.told(end=f"{day} 00:00:04")


def test_the_takings_are_told_to_any_user_and_by_get_too(shift: Shift, limited: Caller) -> None:
    sold = shift.sell(1)
    path = f"/api/method/{TAKINGS[shift.counter.line]}"
    by_get = shift.robot.call("GET", path, params=shift.period()).value
    assert sold in str(by_get)
    assert sold in shift.told(limited)


@only_v15
def test_a_pos_invoice_inserted_and_submitted_at_once_books_no_payment(shift: Shift) -> None:
    made = shift.counter.cashier.insert("POS Invoice", **shift.bill(), docstatus=1).value
    stored = shift.invoice(made["name"])
    assert money(stored["paid_amount"]) == money(0)
    properly = shift.invoice(shift.sell(1))
    assert money(properly["paid_amount"]) == money(105)
    assert properly["status"] == "Paid"


def test_the_change_is_not_in_the_answer_of_the_insert_but_in_the_submitted_invoice(shift: Shift) -> None:
    draft = shift.counter.cashier.insert("POS Invoice", **shift.bill(1, 200)).value
    assert (money(draft["paid_amount"]), money(draft["change_amount"])) == (money(200), money(0))
    submitted = shift.counter.cashier.submit("POS Invoice", draft["name"]).value
    assert money(submitted["change_amount"]) == money(95)
    exact = shift.invoice(shift.sell(1))
    assert money(exact["change_amount"]) == money(0)


# The recipe


def test_three_invoices_become_one_consolidated_sales_invoice(shift: Shift) -> None:
    sold = [shift.sell(1), shift.sell(2), shift.sell(3, 400)]
    draft = shift.robot.insert(CLOSING, **shift.closing(shift.only(*sold))).value
    assert (draft["docstatus"], draft["status"]) == (0, "Draft")
    assert (money(draft["grand_total"]), money(draft["net_total"]), draft["total_quantity"]) == (
        money(630),
        money(600),
        6,
    )
    (cash,) = draft["payment_reconciliation"]
    assert money(cash["expected_amount"]) == money(OPENING_CASH + 630)  # the change of 85 is out of the till

    closed = shift.submit(draft["name"]).value
    assert (closed["docstatus"], closed["status"]) == (1, "Submitted")
    (log,) = merge_logs(shift, draft["name"])
    assert log["customer"] == shift.counter.walk_in
    assert {shift.invoice(name)["consolidated_invoice"] for name in sold} == {log["consolidated_invoice"]}
    assert {shift.invoice(name)["status"] for name in sold} == {"Consolidated"}

    invoice = shift.robot.get("Sales Invoice", log["consolidated_invoice"]).value
    assert (
        invoice["docstatus"],
        invoice["is_consolidated"],
        invoice["is_pos"],
        invoice["is_return"],
        invoice["customer"],
        invoice["status"],
        invoice["posting_date"],
    ) == (1, 1, 1, 0, shift.counter.walk_in, "Paid", shift.books.day)
    assert (money(invoice["base_net_total"]), money(invoice["base_grand_total"])) == (money(600), money(630))

    opening = shift.robot.get(OPENING, shift.opening).value
    assert (opening["status"], opening["pos_closing_entry"]) == ("Closed", draft["name"])
    assert not {invoice["name"] for invoice in shift.takings()} & set(sold)


def test_a_consolidated_pos_invoice_takes_allow_on_submit_fields_and_what_consolidates_it_says_what_it_is(
    shift: Shift,
) -> None:
    """What bears royalty is the POS Invoice, and it carries its share after its shift is closed."""
    sold = shift.sell(2)
    shift.submit(shift.draft(sold)).accepted()
    shift.robot.put("POS Invoice", sold, **{POS_NOTE: "5 %"}).accepted()
    stored = shift.invoice(sold)
    assert (stored[POS_NOTE], stored["status"]) == ("5 %", "Consolidated")
    names = [["name", "=", stored["consolidated_invoice"]]]
    assert shift.robot.rows("Sales Invoice", ["name"], [*names, ["is_consolidated", "=", 1]])
    assert not shift.robot.rows("Sales Invoice", ["name"], [*names, ["is_consolidated", "=", 0]])
    (row,) = shift.robot.rows(
        "POS Invoice", ["name"], [["name", "=", sold], ["consolidated_invoice", "is", "set"]]
    )
    assert row["name"] == sold


def test_insert_and_submit_in_one_request_closes_too(shift: Shift) -> None:
    sold = shift.sell(1)
    made = shift.robot.insert(CLOSING, **shift.closing(shift.only(sold)), docstatus=1).value
    assert made["docstatus"] == 1
    assert shift.settled(made["name"])["status"] == "Submitted"
    assert is_consolidated(shift, sold)
    assert shift.status() == "Closed"


@only_v15
def test_the_closings_posting_date_becomes_that_of_the_consolidated_invoice(
    shift: Shift, books: Books
) -> None:
    sold = shift.sell(1)
    day = books.other_day.isoformat()
    closing = shift.draft(sold, posting_date=day)
    shift.submit(closing).accepted()
    (log,) = merge_logs(shift, closing)
    assert shift.robot.get("Sales Invoice", log["consolidated_invoice"]).value["posting_date"] == day


@only_v15
def test_a_closing_with_a_return_may_be_dated_before_its_shift_began(shift: Shift, books: Books) -> None:
    """A shift that is opened after midnight may be of the business day before."""
    sold = shift.sell(3)
    returned = shift.give_back(sold, 1)
    day = (books.today - dt.timedelta(days=1)).isoformat()
    closing = shift.draft(sold, returned, posting_date=day, posting_time="23:59:59")
    shift.submit(closing).accepted()
    (log,) = merge_logs(shift, closing)
    booked = [
        shift.robot.get("Sales Invoice", log[name]).value["posting_date"]
        for name in ("consolidated_invoice", "consolidated_credit_note")
    ]
    assert booked == [day, day]


def test_a_closing_may_end_at_the_moment_at_which_its_shift_began(shift: Shift) -> None:
    closing = shift.draft(period_end_date=f"{shift.books.day} 00:00:00")
    shift.submit(closing).accepted()
    assert shift.status() == "Closed"


def test_one_consolidated_invoice_for_each_customer(shift: Shift, books: Books, cashier: Caller) -> None:
    regular = books.customer(cashier, "Regular", books.south)
    sold = [shift.sell(1), shift.sell(1, customer=regular), shift.sell(2)]
    closing = shift.close(*sold)
    logs = merge_logs(shift, closing)
    assert {log["customer"] for log in logs} == {shift.counter.walk_in, regular}
    assert len({shift.invoice(name)["consolidated_invoice"] for name in sold}) == 2


def test_a_sale_and_its_return_make_an_invoice_and_a_credit_note(shift: Shift) -> None:
    sold = shift.sell(3)
    returned = shift.give_back(sold, 1)
    assert shift.invoice(returned)["status"] == "Return"
    closing = shift.close(sold, returned)
    (log,) = merge_logs(shift, closing)
    note = shift.robot.get("Sales Invoice", log["consolidated_credit_note"]).value
    assert (note["is_return"], note["is_consolidated"], money(note["base_grand_total"])) == (
        1,
        1,
        money(-105),
    )
    invoice = shift.robot.get("Sales Invoice", log["consolidated_invoice"]).value
    assert money(invoice["base_grand_total"]) == money(315)


def test_a_shift_without_invoices_closes_and_books_nothing(shift: Shift) -> None:
    closing = shift.close()
    assert merge_logs(shift, closing) == []
    assert shift.status() == "Closed"


# What is fetched, and what nobody checks


def test_user_profile_and_start_are_always_those_of_the_opening(
    shift: Shift, books: Books, other_cashier: Caller
) -> None:
    sold = shift.sell(1)
    wrong = {"user": other_cashier.user, "period_start_date": f"{books.day} 05:00:00"}
    made = shift.robot.insert(CLOSING, **shift.closing(shift.only(sold), **wrong)).value
    assert (made["user"], made["pos_profile"], made["period_start_date"]) == (
        shift.counter.cashier.user,
        shift.counter.profile,
        f"{books.day} 00:00:00",
    )


def test_invoice_names_alone_suffice_the_rest_of_the_row_is_fetched(shift: Shift) -> None:
    sold = shift.sell(2)
    body = shift.closing(shift.only(sold), **{shift.rows_field: [{"pos_invoice": sold}]})
    (row,) = shift.robot.insert(CLOSING, **body).value[shift.rows_field]
    assert (row["pos_invoice"], row["customer"], money(row["grand_total"]), row["posting_date"]) == (
        sold,
        shift.counter.walk_in,
        money(210),
        shift.books.day,
    )


def test_totals_and_expected_amounts_are_stored_as_sent_right_or_wrong(shift: Shift) -> None:
    sold = shift.sell(1)
    wrong = {
        "grand_total": 1,
        "net_total": 2,
        "total_quantity": 3,
        "payment_reconciliation": [
            {
                "mode_of_payment": shift.books.mode,
                "opening_amount": 0,
                "expected_amount": 5,
                "closing_amount": 999,
            }
        ],
    }
    closing = shift.draft(sold, **wrong)
    closed = shift.submit(closing).value
    assert (closed["status"], closed["grand_total"], closed["net_total"], closed["total_quantity"]) == (
        "Submitted",
        1,
        2,
        3,
    )
    (row,) = closed["payment_reconciliation"]
    assert (row["expected_amount"], row["closing_amount"]) == (5, 999)
    assert is_consolidated(shift, sold)


def test_an_invoice_left_out_is_orphaned_until_a_later_closing_takes_it(
    open_shift: Callable[[], Shift],
) -> None:
    first = open_shift()
    taken, left = first.sell(1), first.sell(1)
    first.close(taken)
    assert first.status() == "Closed"
    assert not is_consolidated(first, left)
    second = open_shift()
    second.close(left)
    assert is_consolidated(second, left)


def test_a_naive_closing_without_invoices_closes_the_shift_and_orphans_them(shift: Shift) -> None:
    sold = shift.sell(1)
    naive = {
        "pos_opening_entry": shift.opening,
        "company": shift.books.company,
        "pos_profile": shift.counter.profile,
        "user": shift.counter.cashier.user,
        "posting_date": shift.books.day,
        "period_end_date": f"{shift.books.day} 23:59:59",
    }
    closing = shift.robot.insert(CLOSING, **naive).value["name"]
    closed = shift.submit(closing).value
    assert (closed["docstatus"], closed["status"], closed["grand_total"], closed[shift.rows_field]) == (
        1,
        "Submitted",
        0,
        [],
    )
    assert shift.status() == "Closed"
    assert not is_consolidated(shift, sold)
    late = shift.robot.insert(CLOSING, **shift.closing(shift.only(sold)))
    late.refused(417, "ValidationError")


# One opening, one closing


def test_two_drafts_for_one_opening_are_allowed_and_one_of_them_is_submitted(shift: Shift) -> None:
    sold = shift.sell(1)
    first, second = shift.draft(sold), shift.draft(sold)
    filters = [["pos_opening_entry", "=", shift.opening], ["docstatus", "!=", 2]]
    assert {row["name"] for row in shift.robot.rows(CLOSING, ["name"], filters)} == {first, second}
    assert shift.submit(first).value["status"] == "Submitted"
    shift.submit(second).refused(417, "ValidationError")
    assert shift.robot.get(CLOSING, second).value["docstatus"] == 0
    assert len(merge_logs(shift, first)) == 1


def test_two_drafts_submitted_at_the_same_moment_book_once(shift: Shift) -> None:
    sold = [shift.sell(1), shift.sell(2)]
    drafts = [shift.draft(*sold), shift.draft(*sold)]

    def submit(name: str) -> Answer:
        caller = shift.robot.again()
        try:
            return caller.submit(CLOSING, name)
        finally:
            caller.close()

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(submit, drafts))
    assert sorted(answer.status == 200 for answer in answers) == [False, True]
    documents = [shift.robot.get(CLOSING, name).value for name in drafts]
    assert sorted(document["docstatus"] for document in documents) == [0, 1]
    assert sum(len(merge_logs(shift, name)) for name in drafts) == 1


def test_a_closed_opening_takes_no_further_closing(shift: Shift) -> None:
    shift.close(shift.sell(1))
    answer = shift.robot.insert(CLOSING, **shift.closing([])).refused(417, "ValidationError")
    assert answer.messages


def test_submitting_a_submitted_closing_books_nothing_again(shift: Shift) -> None:
    sold = shift.sell(1)
    closing = shift.close(sold)
    before = shift.invoice(sold)["consolidated_invoice"]
    again = shift.submit(closing).value
    assert (again["docstatus"], again["status"]) == (1, "Submitted")
    assert len(merge_logs(shift, closing)) == 1
    assert shift.invoice(sold)["consolidated_invoice"] == before


def test_an_opening_with_a_submitted_closing_cannot_be_cancelled(shift: Shift) -> None:
    shift.close(shift.sell(1))
    shift.robot.cancel(OPENING, shift.opening).refused(417, "LinkExistsError")


def test_cancelling_a_closing_opens_the_shift_again(shift: Shift) -> None:
    sold = shift.sell(1)
    closing = shift.close(sold)
    consolidated = shift.invoice(sold)["consolidated_invoice"]
    assert shift.robot.cancel(CLOSING, closing).value["docstatus"] == 2
    assert shift.robot.get("Sales Invoice", consolidated).value["docstatus"] == 2
    invoice = shift.invoice(sold)
    assert (invoice["status"], invoice.get("consolidated_invoice")) == ("Paid", None)
    assert shift.status() == "Open"
    shift.close(sold)
    assert is_consolidated(shift, sold)


# What is refused


def test_an_unknown_opening_is_refused(shift: Shift) -> None:
    body = shift.closing([], pos_opening_entry=f"{shift.books.prefix} nowhere")
    answer = shift.robot.insert(CLOSING, **body)
    answer.refused(417, "ValidationError" if shift.counter.line == V15 else "LinkValidationError")


def test_an_unknown_invoice_is_500_index_error_and_since_v16_417_link_validation_error(shift: Shift) -> None:
    row = {"pos_invoice": f"{shift.books.prefix} nowhere", "customer": shift.counter.walk_in}
    row |= {"grand_total": 1, "posting_date": shift.books.day}
    answer = shift.robot.insert(CLOSING, **shift.closing([], **{shift.rows_field: [row]}))
    answer.refused(*(500, "IndexError") if shift.counter.line == V15 else (417, "LinkValidationError"))


def test_an_invoice_of_another_user_is_invisible_and_refused(shift: Shift, other_cashier: Caller) -> None:
    theirs = shift.sell(1, by=other_cashier)
    assert theirs not in shift.told()
    of_them = {invoice["name"]: invoice for invoice in shift.takings(user=other_cashier.user)}
    answer = shift.robot.insert(CLOSING, **shift.closing([of_them[theirs]]))
    messages = answer.refused(417, "ValidationError").messages
    assert len(messages) == 1
    assert "1" in messages[0]  # the message is a list and names the row


@pytest.mark.parametrize("what", ["draft", "twice", "consolidated"])
def test_a_draft_a_duplicate_and_a_consolidated_invoice_are_refused(
    open_shift: Callable[[], Shift], what: str
) -> None:
    shift = open_shift()
    sold = shift.sell(1)
    (invoice,) = shift.only(sold)
    rows = {"draft": [], "twice": [invoice, invoice], "consolidated": [invoice]}[what]
    if what == "consolidated":
        shift.close(sold)
        shift = open_shift()
    if what == "draft":
        rows = [shift.counter.cashier.insert("POS Invoice", **shift.bill()).value]
    shift.robot.insert(CLOSING, **shift.closing(rows)).refused(417, "ValidationError")


def test_a_return_without_its_original_is_refused_and_closes_nothing(shift: Shift) -> None:
    sold = shift.sell(2)
    returned = shift.give_back(sold, 1)
    closing = shift.draft(returned)
    shift.submit(closing).refused(417, "ValidationError")
    failed = shift.robot.get(CLOSING, closing).value
    assert (failed["docstatus"], failed["status"]) == (0, "Failed")
    assert sold in failed["error_message"]
    assert shift.status() == "Open"
    shift.close(sold, returned)


def test_a_return_of_a_consolidated_sale_is_taken_by_a_later_closing(
    open_shift: Callable[[], Shift],
) -> None:
    first = open_shift()
    sold = first.sell(2)
    first.close(sold)
    second = open_shift()
    returned = second.give_back(sold, 1)
    closing = second.close(returned)
    (log,) = merge_logs(second, closing)
    assert log["consolidated_credit_note"]
    assert is_consolidated(second, returned)


def test_a_cashier_may_neither_make_nor_submit_a_closing(
    shift: Shift, cashier: Caller, limited: Caller
) -> None:
    sold = shift.sell(1)
    body = shift.closing(shift.only(sold))
    cashier.insert(CLOSING, **body).refused(403, "PermissionError")
    limited.insert(CLOSING, **body).refused(403, "PermissionError")
    closing = shift.draft(sold)
    cashier.submit(CLOSING, closing).refused(403, "PermissionError")
    cashier.page(CLOSING, ["name"]).refused(403, "PermissionError")


@only_v15
def test_payment_reconciliation_details_only_render_html(shift: Shift) -> None:
    sold = shift.sell(1)
    closing = shift.draft(sold, payment_reconciliation=[])
    method = {"dt": CLOSING, "dn": closing, "method": "get_payment_reconciliation_details"}
    assert "<" in shift.robot.rpc("run_doc_method", **method).value
    assert shift.robot.get(CLOSING, closing).value["payment_reconciliation"] == []
    unsaved = {"doctype": CLOSING, "pos_opening_entry": shift.opening, "company": shift.books.company}
    answer = shift.robot.rpc("run_doc_method", docs=unsaved, method="get_payment_reconciliation_details")
    answer.refused(404, "DoesNotExistError")


# A failure inside the request


@only_v15
def test_a_failed_submit_leaves_a_failed_draft_that_is_corrected_and_submitted(
    shift: Shift, books: Books
) -> None:
    sold = shift.sell(1)
    closing = shift.draft(sold, posting_date=books.no_fiscal_year.isoformat())
    answer = shift.submit(closing).refused(417, "FiscalYearError")
    assert answer.messages == []  # the text is only in the exception and in error_message
    failed = shift.robot.get(CLOSING, closing).value
    assert (failed["docstatus"], failed["status"], bool(failed["error_message"])) == (0, "Failed", True)
    assert shift.status() == "Open"
    assert not is_consolidated(shift, sold)
    shift.robot.put(CLOSING, closing, posting_date=books.day, docstatus=1).accepted()
    booked = shift.settled(closing)
    assert (booked["docstatus"], booked["status"]) == (1, "Submitted")
    assert not booked.get("error_message")
    assert is_consolidated(shift, sold)


@only_v15
def test_a_failed_one_request_submit_leaves_nothing_and_says_why(shift: Shift, books: Books) -> None:
    sold = shift.sell(1)
    body = shift.closing(shift.only(sold), posting_date=books.no_fiscal_year.isoformat(), docstatus=1)
    shift.robot.insert(CLOSING, **body).refused(417, "FiscalYearError")
    assert shift.robot.rows(CLOSING, ["name"], [["pos_opening_entry", "=", shift.opening]]) == []
    assert shift.status() == "Open"


def test_a_disabled_customer_fails_the_closing_until_enabled(
    shift: Shift, robot: Caller, books: Books
) -> None:
    guest = books.customer(robot, "Leaving Guest", books.south)
    sold = shift.sell(1, customer=guest)
    closing = shift.draft(sold)
    robot.put("Customer", guest, disabled=1).accepted()
    shift.submit(closing).refused(417, "PartyDisabled")
    robot.put("Customer", guest, disabled=0).accepted()
    assert shift.submit(closing).value["docstatus"] == 1
    assert is_consolidated(shift, sold)


def test_a_pos_invoice_outside_the_period_is_accepted_and_not_among_the_takings(shift: Shift) -> None:
    day = shift.books.other_day.isoformat()
    sold = shift.sell(1, posting_date=day, due_date=day)
    assert sold not in shift.told()
    assert sold in shift.told(start=f"{day} 00:00:00", end=f"{day} 23:59:59")
