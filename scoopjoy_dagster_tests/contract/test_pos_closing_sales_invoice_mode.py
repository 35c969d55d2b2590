"""Tills that make Sales Invoices, as those of a new site of v16 and later do: booked at once, and only stamped by a closing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .books import money
from .marks import only_v16
from .shifts import CLOSING, GET_INVOICES, OPENING, Shift
from .site import patiently

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .books import Books
    from .shifts import Counter
    from .site import Caller

pytestmark = only_v16

SI = "Sales Invoice"
IN_BACKGROUND = 10  # POS Invoices; Sales Invoices never are


class SalesShift(Shift):
    """A shift whose sales are Sales Invoices."""

    def bill(self, qty: int = 1, paid: float | None = None, **fields: Any) -> dict[str, Any]:
        return super().bill(
            qty, paid, **{"is_created_using_pos": 1, "debit_to": self.books.receivable, **fields}
        )

    def sell(
        self, qty: int = 1, paid: float | None = None, *, by: Caller | None = None, **fields: Any
    ) -> str:
        caller, body = by or self.counter.cashier, self.bill(qty, paid, **fields)
        name = str(patiently(lambda: caller.insert(SI, **body)).value["name"])
        assert patiently(lambda: caller.submit(SI, name)).value["docstatus"] == 1
        return name

    def invoice(self, name: str) -> dict[str, Any]:
        document: dict[str, Any] = self.robot.get(SI, name).value
        return document

    def closing(self, invoices: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
        body = super().closing(invoices)
        rows = body.pop("pos_invoices")
        body["sales_invoices"] = [
            {"sales_invoice": row.pop("pos_invoice"), **row} for row in (dict(one) for one in rows)
        ]
        return {**body, **fields}


@pytest.fixture
def shift(counter: Counter, sell_with: Callable[[str], None]) -> Iterator[SalesShift]:
    sell_with(SI)
    opened = SalesShift(counter, counter.open_shift().opening)
    yield opened
    opened.abandon()
    left = SalesShift(counter, "").told()
    if left:
        SalesShift(counter, counter.open_shift().opening).abandon()


def test_a_sale_is_booked_at_once_and_waits_for_a_closing(shift: SalesShift, robot: Caller) -> None:
    sold = shift.sell(2, 300)
    invoice = shift.invoice(sold)
    assert (invoice["status"], invoice["is_pos"], invoice.get("is_consolidated") or 0) == ("Paid", 1, 0)
    assert not invoice.get("pos_closing_entry")
    assert money(invoice["change_amount"]) == money(90)
    assert robot.rows("GL Entry", ["name"], [["voucher_no", "=", sold]])
    told = robot.rpc(GET_INVOICES, **shift.period()).value
    (row,) = [row for row in told["invoices"] if row["name"] == sold]
    assert (row["doctype"], money(row["grand_total"])) == (SI, money(210))


def test_a_closing_only_puts_its_name_on_the_invoices(shift: SalesShift, robot: Caller) -> None:
    sold = [shift.sell(1), shift.sell(2)]
    sold.append(shift.give_back(sold[1], 1))
    closing = shift.close(*sold)
    assert {shift.invoice(name)["pos_closing_entry"] for name in sold} == {closing}
    document = robot.get(CLOSING, closing).value
    assert [row["sales_invoice"] for row in document["sales_invoices"]] == sold
    assert robot.rows("POS Invoice Merge Log", ["name"], [["pos_closing_entry", "=", closing]]) == []
    consolidated = [["pos_closing_entry", "=", closing], ["is_consolidated", "=", 1]]
    assert robot.rows(SI, ["name"], consolidated) == []
    assert shift.status() == "Closed"


def test_sales_invoices_are_never_queued(shift: SalesShift) -> None:
    sold = [shift.sell(1) for _ in range(IN_BACKGROUND)]
    assert shift.submit(shift.draft(*sold)).value["status"] == "Submitted"
    assert all(shift.invoice(name)["pos_closing_entry"] for name in sold)


def test_pos_invoices_are_refused(shift: SalesShift) -> None:
    bill = Shift.bill(shift)
    shift.counter.cashier.insert("POS Invoice", **bill).refused(417, "ValidationError")


@pytest.fixture
def pos_sale(counter: Counter, sell_with: Callable[[str], None]) -> str:
    """A POS Invoice of a day on which the tills made such."""
    sell_with("POS Invoice")
    before = counter.open_shift()
    sold = before.sell(1)
    before.close(sold)
    return sold


def test_pos_invoices_are_refused_in_a_closing(pos_sale: str, shift: SalesShift, robot: Caller) -> None:
    body = shift.closing([], pos_invoices=[{"pos_invoice": pos_sale}])
    robot.insert(CLOSING, **body).refused(417, "ValidationError")


@pytest.mark.parametrize("wrong", ["twice", "closed", "unknown", "not of a till"])
def test_an_invoice_that_is_none_of_the_shifts_is_refused(
    shift: SalesShift, robot: Caller, books: Books, franchise: str, wrong: str
) -> None:
    sold = shift.sell(1)
    (row,) = shift.closing(shift.only(sold))["sales_invoices"]
    rows = [row]
    if wrong == "twice":
        rows = [row, row]
    elif wrong == "closed":
        shift.close(sold)
        shift.opening = shift.counter.open_shift().opening
    elif wrong == "unknown":
        rows = [{**row, "sales_invoice": f"{books.prefix} nowhere"}]
    else:
        other = robot.insert(SI, **books.invoice(franchise), docstatus=1).value["name"]
        rows = [{"sales_invoice": other}]
    answer = robot.insert(CLOSING, **shift.closing([], sales_invoices=rows))
    answer.refused(417, "LinkValidationError" if wrong == "unknown" else "ValidationError")


def test_a_closing_without_rows_closes_and_the_sales_wait_for_ever(shift: SalesShift) -> None:
    sold = shift.sell(1)
    closing = shift.draft()
    assert shift.submit(closing).value["status"] == "Submitted"
    assert shift.status() == "Closed"
    assert not shift.invoice(sold).get("pos_closing_entry")


def test_an_invoice_with_payments_that_says_nothing_of_a_till_is_in_no_closing(
    shift: SalesShift, cashier: Caller
) -> None:
    made = cashier.insert(SI, **shift.bill(is_created_using_pos=0)).value["name"]
    assert cashier.submit(SI, made).value["docstatus"] == 1
    assert made not in shift.told()


def test_a_sale_that_is_inserted_and_submitted_at_once_is_417(shift: SalesShift, cashier: Caller) -> None:
    cashier.insert(SI, **shift.bill(), docstatus=1).refused(417, "ValidationError")


def test_a_closed_sale_is_cancelled_only_after_its_closing(shift: SalesShift, robot: Caller) -> None:
    sold = shift.sell(1)
    closing = shift.close(sold)
    robot.cancel(SI, sold).refused(417, "ValidationError")
    assert robot.cancel(CLOSING, closing).value["docstatus"] == 2
    assert shift.status() == "Open"
    assert not shift.invoice(sold).get("pos_closing_entry")
    assert robot.cancel(SI, sold).value["docstatus"] == 2


def test_what_tills_make_is_not_changed_while_a_shift_is_open(shift: SalesShift, robot: Caller) -> None:
    settings = "POS Settings"
    robot.put(settings, settings, invoice_type="POS Invoice").refused(417, "ValidationError")
    robot.cancel(OPENING, shift.opening).accepted()
    robot.put(settings, settings, invoice_type="POS Invoice").accepted()


def test_a_till_that_makes_pos_invoices_takes_no_sales_invoices(
    open_shift: Callable[[], Shift], cashier: Caller
) -> None:
    opened = open_shift()
    body = opened.bill(is_created_using_pos=1, debit_to=opened.books.receivable)
    cashier.insert(SI, **body).refused(417, "ValidationError")
