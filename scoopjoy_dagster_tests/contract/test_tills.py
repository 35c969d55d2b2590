"""When a till may sell: which shifts are open, of which day, and how a sale is paid."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from .marks import only_v15, only_v16
from .shifts import OPENING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .books import Books
    from .shifts import Counter, Shift
    from .site import Caller

INVOICE = "POS Invoice"


@pytest.fixture
def yesterdays(books: Books) -> dict[str, Any]:
    """Fields of an opening that was made yesterday."""
    day = (books.today - dt.timedelta(days=1)).isoformat()
    return {"period_start_date": f"{day} 09:00:00", "posting_date": day}


@only_v15
def test_a_profile_and_a_cashier_may_have_several_open_shifts(open_shift: Callable[[], Shift]) -> None:
    first, second = open_shift(), open_shift()
    assert (first.status(), second.status()) == ("Open", "Open")


@only_v16
def test_a_profile_has_one_open_shift(shift: Shift, robot: Caller, other_cashier: Caller) -> None:
    another = shift.counter.opening(user=other_cashier.user)
    answer = robot.insert(OPENING, **another).refused(417, "ValidationError")
    assert any(shift.counter.profile in message for message in answer.messages)


@only_v16
def test_a_cashier_has_one_open_shift(shift: Shift, robot: Caller, other_profile: str) -> None:
    another = shift.counter.opening(pos_profile=other_profile)
    robot.insert(OPENING, **another).refused(417, "ValidationError")


@only_v15
def test_a_till_sells_in_a_shift_of_any_day(
    counter: Counter, robot: Caller, yesterdays: dict[str, Any]
) -> None:
    shift = counter.open_shift(**yesterdays)
    sold = shift.sell(1)
    assert shift.invoice(sold)["docstatus"] == 1
    robot.cancel(OPENING, shift.opening).accepted()


@only_v16
@pytest.mark.parametrize("dated", ["today", "yesterday"])
def test_a_till_sells_nothing_in_a_shift_of_yesterday(
    counter: Counter,
    sell_with: Callable[[str], None],
    robot: Caller,
    yesterdays: dict[str, Any],
    dated: str,
) -> None:
    sell_with(INVOICE)
    shift = counter.open_shift(**yesterdays)
    try:
        day = yesterdays["posting_date"]
        dates = {"posting_date": day, "due_date": day} if dated == "yesterday" else {}
        answer = counter.cashier.insert(INVOICE, **shift.bill(**dates)).refused(417, "ValidationError")
        assert any(shift.opening in message for message in answer.messages)
    finally:
        robot.cancel(OPENING, shift.opening).accepted()


@only_v16
def test_a_till_without_a_shift_sells_nothing(shift: Shift, robot: Caller, cashier: Caller) -> None:
    draft = cashier.insert(INVOICE, **shift.bill()).value["name"]
    robot.cancel(OPENING, shift.opening).accepted()
    cashier.insert(INVOICE, **shift.bill()).refused(417, "ValidationError")
    cashier.submit(INVOICE, draft).refused(417, "ValidationError")


@only_v16
def test_a_shift_with_sales_is_not_cancelled_and_one_without_is(
    open_shift: Callable[[], Shift], robot: Caller
) -> None:
    shift = open_shift()
    assert not shift.told()
    robot.cancel(OPENING, shift.opening).accepted()
    shift = open_shift()
    shift.sell(1)
    robot.cancel(OPENING, shift.opening).refused(417, "ValidationError")


# Payment


@only_v15
def test_a_sale_that_is_not_paid_in_full_is_submitted_all_the_same(shift: Shift) -> None:
    sold = shift.sell(1, 50)
    assert shift.invoice(sold)["docstatus"] == 1


@only_v16
def test_a_sale_that_is_not_paid_in_full_is_not_submitted(shift: Shift, cashier: Caller) -> None:
    draft = cashier.insert(INVOICE, **shift.bill(1, 50)).value["name"]
    cashier.submit(INVOICE, draft).refused(417, "PartialPaymentValidationError")
    assert shift.invoice(draft)["docstatus"] == 0


@only_v16
def test_a_sale_that_is_inserted_and_submitted_at_once_is_500_type_error(
    shift: Shift, cashier: Caller
) -> None:
    cashier.insert(INVOICE, **shift.bill(), docstatus=1).refused(500, "TypeError")
