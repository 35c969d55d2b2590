"""Closing a shift of ten invoices or more: ERPNext queues the consolidation, and the answer is not yet the outcome.

Needs an active scheduler and a worker of the `long` queue, as every site in use has.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .marks import only_v15, only_v16
from .shifts import BACKGROUND_DEADLINE_SECONDS, CLOSING
from .site import patiently

if TYPE_CHECKING:
    from .books import Books
    from .shifts import Shift
    from .site import Caller

IN_BACKGROUND = 10  # invoices; nine are consolidated inside the request


def consolidated(shift: Shift, sold: list[str]) -> int:
    rows = shift.robot.rows("POS Invoice", ["name", "consolidated_invoice"], [["name", "in", sold]])
    return sum(1 for row in rows if row["consolidated_invoice"])


def test_twelve_invoices_are_queued_and_then_submitted(shift: Shift) -> None:
    sold = [shift.sell(1) for _ in range(12)]
    closing = shift.draft(*sold)
    answer = shift.submit(closing)
    assert (answer.value["docstatus"], answer.value["status"]) == (1, "Queued")
    assert answer.messages  # "POS Invoices will be consolidated in a background process"
    booked = shift.settled(closing)
    assert (booked["docstatus"], booked["status"]) == (1, "Submitted")
    assert consolidated(shift, sold) == 12
    assert shift.status() == "Closed"
    again = shift.submit(closing).value
    assert (again["docstatus"], again["status"]) == (1, "Submitted")
    logs = shift.robot.rows("POS Invoice Merge Log", ["name"], [["pos_closing_entry", "=", closing]])
    assert len(logs) == 1


def test_nine_invoices_are_booked_inside_the_request(shift: Shift) -> None:
    sold = [shift.sell(1) for _ in range(IN_BACKGROUND - 1)]
    closing = shift.draft(*sold)
    assert patiently(lambda: shift.submit(closing)).value["status"] == "Submitted"
    assert consolidated(shift, sold) == len(sold)


def test_a_background_failure_is_submitted_and_failed_and_a_retry_books_it_once_the_cause_is_gone(
    shift: Shift, robot: Caller, books: Books
) -> None:
    guest = books.customer(robot, "Guest In The Queue", books.south)
    sold = [shift.sell(1, customer=guest) for _ in range(IN_BACKGROUND)]
    closing = shift.draft(*sold)
    robot.put("Customer", guest, disabled=1).accepted()
    assert shift.submit(closing).value["status"] == "Queued"
    failed = shift.settled(closing)
    assert (failed["docstatus"], failed["status"], bool(failed["error_message"])) == (1, "Failed", True)
    assert shift.status() == "Open"
    assert consolidated(shift, sold) == 0
    robot.put(CLOSING, closing, posting_date=books.other_day.isoformat()).refused(
        417, "UpdateAfterSubmitError"
    )

    robot.put("Customer", guest, disabled=0).accepted()
    assert shift.retry(closing).status == 200
    booked = shift.settled(closing)
    assert (booked["docstatus"], booked["status"]) == (1, "Submitted")
    assert consolidated(shift, sold) == len(sold)
    assert shift.status() == "Closed"

    # Retry is for Failed only: of a booked closing it makes a Failed one, although all is booked.
    shift.retry(closing)
    spoilt = shift.settled(closing)
    assert (spoilt["docstatus"], spoilt["status"]) == (1, "Failed")
    assert consolidated(shift, sold) == len(sold)
    assert shift.status() == "Closed"


@only_v15
def test_a_closing_that_failed_in_the_background_is_cancelled_and_replaced(
    shift: Shift, robot: Caller, books: Books
) -> None:
    sold = [shift.sell(1) for _ in range(IN_BACKGROUND)]
    closing = shift.draft(*sold, posting_date=books.no_fiscal_year.isoformat())
    assert shift.submit(closing).value["status"] == "Queued"
    assert shift.settled(closing)["status"] == "Failed"
    assert robot.cancel(CLOSING, closing).value["docstatus"] == 2
    assert shift.status() == "Open"
    shift.close(*sold)
    assert consolidated(shift, sold) == len(sold)
    cancelled = robot.get(CLOSING, closing).value
    assert (cancelled["docstatus"], cancelled["status"]) == (2, "Cancelled")


@only_v16
def test_a_closing_that_failed_in_the_background_is_tried_again_and_not_cancelled(
    shift: Shift, robot: Caller, books: Books
) -> None:
    guest = books.customer(robot, "Guest Who Was Locked Out", books.south)
    sold = [shift.sell(1, customer=guest) for _ in range(IN_BACKGROUND)]
    closing = shift.draft(*sold)
    robot.put("Customer", guest, disabled=1).accepted()
    shift.submit(closing).accepted()
    assert shift.settled(closing)["status"] == "Failed"
    # Its own shift is the open one that stands in the way.
    robot.cancel(CLOSING, closing).refused(417, "ValidationError")
    robot.put("Customer", guest, disabled=0).accepted()
    shift.retry(closing).accepted()
    assert shift.undisturbed(closing)["status"] == "Submitted"
    assert consolidated(shift, sold) == len(sold)


@only_v16
def test_cancelling_a_closing_of_ten_is_refused_although_it_is_carried_out(
    shift: Shift, robot: Caller
) -> None:
    """The closing stays submitted while its shift is open again and its consolidated invoices are cancelled."""
    sold = [shift.sell(1) for _ in range(IN_BACKGROUND)]
    closing = shift.close(*sold)
    robot.cancel(CLOSING, closing).refused(417, "LinkExistsError")
    deadline = time.monotonic() + BACKGROUND_DEADLINE_SECONDS
    while shift.status() != "Open":
        assert time.monotonic() < deadline, f"{closing} is not being cancelled"
        time.sleep(0.2)
    assert consolidated(shift, sold) == 0
    document = robot.get(CLOSING, closing).value
    assert (document["docstatus"], document["status"]) == (1, "Submitted")
    again = shift.close(*sold)
    assert again != closing
    assert consolidated(shift, sold) == len(sold)


def test_submitting_again_while_queued_changes_nothing(shift: Shift) -> None:
    sold = [shift.sell(1) for _ in range(IN_BACKGROUND)]
    closing = shift.draft(*sold)
    assert shift.submit(closing).value["status"] == "Queued"
    assert shift.submit(closing).value["docstatus"] == 1
    assert shift.settled(closing)["status"] == "Submitted"
    logs = shift.robot.rows("POS Invoice Merge Log", ["name"], [["pos_closing_entry", "=", closing]])
    assert len(logs) == 1
    assert consolidated(shift, sold) == len(sold)
