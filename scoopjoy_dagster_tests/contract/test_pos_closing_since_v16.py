"""What closing a shift is like on v16 and later, where it is not what it was: tables, dates, refusals.

Tills make POS Invoices here; for those that make Sales Invoices see `test_pos_closing_sales_invoice_mode`.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from .books import money
from .marks import only_v16
from .shifts import CLOSING, GET_INVOICES, GET_POS_INVOICES, OPENING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .books import Books
    from .shifts import Shift
    from .site import Caller

pytestmark = only_v16

LOGS = "POS Invoice Merge Log"


def merged(shift: Shift, closing: str) -> dict[str, Any]:
    """The one merge log of a closing."""
    fields = ["posting_date", "consolidated_invoice", "consolidated_credit_note"]
    which = [["pos_closing_entry", "=", closing], ["docstatus", "=", 1]]
    (log,) = shift.robot.rows(LOGS, fields, which)
    return dict(log)


def sales_invoice(shift: Shift, name: str) -> dict[str, Any]:
    document: dict[str, Any] = shift.robot.get("Sales Invoice", name).value
    return document


# The takings


def test_get_pos_invoices_is_gone(shift: Shift) -> None:
    answer = shift.robot.rpc(GET_POS_INVOICES, **shift.period()).refused(417, "ValidationError")
    assert any("get_pos_invoices" in message for message in answer.messages)


def test_get_invoices_tells_the_invoices_and_what_was_paid_and_taxed(shift: Shift) -> None:
    sold = [shift.sell(1), shift.sell(2, 300)]
    told = shift.robot.rpc(GET_INVOICES, **shift.period()).value
    assert set(told) == {"invoices", "payments", "taxes"}
    rows = {row["name"]: row for row in told["invoices"]}
    row = rows[sold[1]]
    assert (row["doctype"], row["customer"], row["posting_date"], row["is_return"]) == (
        "POS Invoice",
        shift.counter.walk_in,
        shift.books.day,
        0,
    )
    assert [money(row[name]) for name in ("grand_total", "net_total", "total_taxes_and_charges")] == [
        money(210),
        money(200),
        money(10),
    ]
    assert row["total_qty"] == 2
    # What earlier shifts of the till left over is told, too. The change is taken off what was paid.
    assert [(row["mode_of_payment"], money(row["amount"])) for row in told["payments"]] == [
        (shift.books.mode, sum(money(row["grand_total"]) for row in rows.values()))
    ]
    assert [(row["account_head"], money(row["tax_amount"])) for row in told["taxes"]] == [
        (shift.books.tax, sum(money(row["total_taxes_and_charges"]) for row in rows.values()))
    ]


def test_get_invoices_needs_all_it_is_asked_with(shift: Shift) -> None:
    asked = shift.period()
    del asked["user"]
    shift.robot.rpc(GET_INVOICES, **asked).refused(500, "TypeError")


# The tables


def test_invoices_in_a_table_of_an_unknown_name_are_left_out_and_the_shift_closes_without_them(
    shift: Shift,
) -> None:
    """The name of v15 is one of them: nothing is said, and the sales are in no books."""
    sold = shift.sell(1)
    body = shift.closing(shift.only(sold))
    body["pos_transactions"] = body.pop("pos_invoices")
    made = shift.robot.insert(CLOSING, **body).value
    assert (made["pos_invoices"], made["sales_invoices"]) == ([], [])
    assert "pos_transactions" not in made
    assert shift.submit(made["name"]).value["status"] == "Submitted"
    assert shift.status() == "Closed"
    assert not shift.invoice(sold).get("consolidated_invoice")


def test_the_table_of_v15_may_be_sent_beside_that_of_v16(shift: Shift) -> None:
    sold = shift.sell(1)
    body = shift.closing(shift.only(sold))
    body["pos_transactions"] = body["pos_invoices"]
    closing = shift.robot.insert(CLOSING, **body).value["name"]
    shift.submit(closing).accepted()
    assert shift.invoice(sold)["consolidated_invoice"]


def test_company_profile_and_cashier_that_are_left_out_are_those_of_the_opening(shift: Shift) -> None:
    made = shift.robot.insert(CLOSING, pos_opening_entry=shift.opening).value
    assert (made["company"], made["pos_profile"], made["user"]) == (
        shift.books.company,
        shift.counter.profile,
        shift.counter.cashier.user,
    )


def test_a_profile_that_is_sent_is_kept_and_does_not_match_the_invoices(
    shift: Shift, other_profile: str
) -> None:
    body = shift.closing(shift.only(shift.sell(1)), pos_profile=other_profile)
    answer = shift.robot.insert(CLOSING, **body).refused(417, "ValidationError")
    assert any(other_profile in message for message in answer.messages)


# The dates


def test_a_closing_is_dated_when_it_is_saved_whatever_it_says(shift: Shift, books: Books) -> None:
    sold = shift.sell(1)
    sent = {"posting_date": books.other_day.isoformat(), "posting_time": "12:34:56"}
    made = shift.robot.insert(CLOSING, **shift.closing(shift.only(sold), **sent)).value
    assert (made["posting_date"], made["posting_time"] != "12:34:56") == (books.day, True)
    closing = shift.robot.put(CLOSING, made["name"], posting_date=books.other_day.isoformat()).value
    assert closing["posting_date"] == books.day
    closed = shift.submit(made["name"]).value
    assert closed["posting_date"] == books.day
    assert merged(shift, made["name"])["posting_date"] == books.day


def test_the_consolidated_invoice_is_dated_by_the_last_sale_in_it(shift: Shift, books: Books) -> None:
    day = (books.today - dt.timedelta(days=1)).isoformat()
    sold = [
        shift.sell(qty, posting_date=day, due_date=day, posting_time=f"{hour}:00:00")
        for qty, hour in ((1, 11), (2, 21))
    ]
    rows = shift.takings(start=f"{day} 00:00:00")
    found = [row for row in rows if row["name"] in sold]
    body = shift.closing(found, period_start_date=f"{day} 00:00:00")
    closing = shift.robot.insert(CLOSING, **body).value["name"]
    assert shift.submit(closing).value["posting_date"] == books.day
    invoice = sales_invoice(shift, merged(shift, closing)["consolidated_invoice"])
    assert (invoice["posting_date"], invoice["posting_time"]) == (day, "21:00:00")


def test_a_credit_note_is_dated_when_the_closing_runs_and_names_the_consolidated_invoice(
    shift: Shift, books: Books
) -> None:
    sold = shift.sell(3)
    returned = shift.give_back(sold, 1)
    log = merged(shift, shift.close(sold, returned))
    note = sales_invoice(shift, log["consolidated_credit_note"])
    assert (note["posting_date"], note["is_return"], note["return_against"]) == (
        books.day,
        1,
        log["consolidated_invoice"],
    )


def test_the_consolidated_invoice_keeps_a_row_for_every_row_sold(shift: Shift) -> None:
    sold = [shift.sell(1), shift.sell(2)]
    log = merged(shift, shift.close(*sold))
    rows = sales_invoice(shift, log["consolidated_invoice"])["items"]
    assert sorted(row["qty"] for row in rows) == [1, 2]


# What is refused


def test_a_closing_is_not_cancelled_while_its_profile_is_open_again(
    open_shift: Callable[[], Shift],
) -> None:
    first = open_shift()
    closing = first.close(first.sell(1))
    second = open_shift()
    first.robot.cancel(CLOSING, closing).refused(417, "ValidationError")
    second.robot.cancel(OPENING, second.opening).accepted()
    assert first.robot.cancel(CLOSING, closing).value["docstatus"] == 2
    assert first.status() == "Open"


def test_a_consolidated_invoice_is_cancelled_with_its_closing_only(shift: Shift) -> None:
    closing = shift.close(shift.sell(1))
    invoice = merged(shift, closing)["consolidated_invoice"]
    shift.robot.cancel("Sales Invoice", invoice).refused(417, "ValidationError")
    assert sales_invoice(shift, invoice)["docstatus"] == 1


@pytest.fixture
def gone_guest(shift: Shift, robot: Caller, books: Books) -> str:
    """A customer whose one sale cannot be booked until he is enabled again; the sale."""
    guest = books.customer(robot, f"Gone Guest Of {shift.opening}", books.south)
    sold = shift.sell(1, customer=guest)
    robot.put("Customer", guest, disabled=1).accepted()
    return sold


def test_a_failed_submit_leaves_a_failed_draft_that_is_submitted_once_the_cause_is_gone(
    shift: Shift, robot: Caller, gone_guest: str
) -> None:
    closing = shift.draft(gone_guest)
    answer = shift.submit(closing).refused(417, "PartyDisabled")
    assert answer.messages == []  # the text is only in the exception and in error_message
    failed = robot.get(CLOSING, closing).value
    assert (failed["docstatus"], failed["status"], bool(failed["error_message"])) == (0, "Failed", True)
    assert shift.status() == "Open"
    robot.put("Customer", shift.invoice(gone_guest)["customer"], disabled=0).accepted()
    booked = shift.submit(closing).value
    assert (booked["docstatus"], booked["status"]) == (1, "Submitted")
    assert not shift.settled(closing).get("error_message")
    assert shift.invoice(gone_guest)["consolidated_invoice"]


def test_a_failed_one_request_submit_leaves_nothing_and_does_not_say_why(
    shift: Shift, robot: Caller, gone_guest: str
) -> None:
    body = shift.closing(shift.only(gone_guest), docstatus=1)
    robot.insert(CLOSING, **body).refused(417, "LinkValidationError")
    assert robot.rows(CLOSING, ["name"], [["pos_opening_entry", "=", shift.opening]]) == []
    assert shift.status() == "Open"
    robot.put("Customer", shift.invoice(gone_guest)["customer"], disabled=0).accepted()
