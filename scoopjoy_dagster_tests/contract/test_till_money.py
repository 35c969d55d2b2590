"""Money of a till as the ledger sees it: where change comes from, and sales in another currency than the company's."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from .books import money
from .marks import only_v15, only_v16
from .shifts import Shift

if TYPE_CHECKING:
    from .books import Books
    from .site import Caller

EXCHANGE = 84.15


@pytest.fixture(scope="module")
def card(robot: Caller, keeper: Caller, books: Books) -> tuple[str, str]:
    """A mode of payment with an account of its own."""
    from .books import account_of

    account = account_of(keeper, books.company, f"{books.prefix} Card Clearing", "Asset", "Bank")
    mode = keeper.insert(
        "Mode of Payment",
        mode_of_payment=f"{books.prefix} Card",
        type="Bank",
        enabled=1,
        accounts=[{"company": books.company, "default_account": account}],
    ).value["name"]
    return str(mode), account


def booked(robot: Caller, invoice: str) -> dict[str, Decimal]:
    """Debit minus credit of each account by a Sales Invoice."""
    found: dict[str, Decimal] = {}
    for row in robot.rows(
        "GL Entry",
        ["account", "debit", "credit"],
        [["voucher_no", "=", invoice], ["is_cancelled", "=", 0]],
        order_by="name asc",
    ):
        found[row["account"]] = (
            found.get(row["account"], Decimal(0)) + money(row["debit"]) - money(row["credit"])
        )
    return found


def test_change_for_a_card_is_taken_from_the_change_account_of_the_shift_s_cash(
    shift: Shift, robot: Caller, books: Books, card: tuple[str, str]
) -> None:
    """Beside a sale for cash. The sale's own `base_change_amount` is not what was given back."""
    mode, account = card
    by_card = shift.sell(4, payments=[{"mode_of_payment": mode, "amount": 500}], paid_amount=500)
    invoice = shift.invoice(by_card)
    assert (money(invoice["change_amount"]), invoice["account_for_change_amount"]) == (
        Decimal(80),
        books.cash,
    )
    assert money(invoice["base_change_amount"]) == Decimal(-420)
    in_cash = shift.sell(1)
    shift.close(by_card, in_cash)
    ledger = booked(robot, shift.invoice(by_card)["consolidated_invoice"])
    assert (ledger[account], ledger[books.cash]) == (Decimal(500), Decimal(105 - 80))


def test_a_sale_says_its_amounts_in_company_currency_beside_its_own(shift: Shift, books: Books) -> None:
    sold = shift.sell(1, currency="USD", conversion_rate=EXCHANGE)
    invoice = shift.invoice(sold)
    assert invoice["currency"] == "USD"
    base = money(invoice["grand_total"]) * Decimal(str(EXCHANGE))
    assert money(invoice["base_grand_total"]) == money(base)
    (payment,) = invoice["payments"]
    assert money(payment["base_amount"]) == money(invoice["base_grand_total"])
    (tax,) = invoice["taxes"]
    assert money(tax["base_tax_amount_after_discount_amount"]) == money(
        money(tax["tax_amount"]) * Decimal(str(EXCHANGE))
    )


def test_a_closing_of_sales_in_one_foreign_currency_is_booked_in_company_currency(
    shift: Shift, robot: Caller, books: Books
) -> None:
    sold = shift.sell(1, currency="USD", conversion_rate=EXCHANGE)
    shift.close(sold)
    base = money(shift.invoice(sold)["base_grand_total"])
    assert booked(robot, shift.invoice(sold)["consolidated_invoice"])[books.cash] == base


@only_v16
def test_sales_of_one_customer_in_two_currencies_are_not_consolidated(
    shift: Shift, robot: Caller, cashier: Caller
) -> None:
    """v15 takes them, and books the one currency as if it were the other."""
    foreign = shift.sell(1, currency="USD", conversion_rate=EXCHANGE)
    closing = shift.draft(foreign, shift.sell(1))
    shift.submit(closing).refused(417, "ValidationError")
    # What is left must not stay in the way: the shift is closed without it.
    robot.delete("POS Closing Entry", closing).accepted()
    robot.cancel("POS Invoice", foreign).accepted()


def test_payments_and_taxes_of_till_sales_are_listed_by_sale(
    shift: Shift, robot: Caller, books: Books
) -> None:
    sold = [shift.sell(1), shift.sell(2)]

    def children(doctype: str, *fields: str) -> list[dict[str, Any]]:
        return list(
            robot.rpc(
                "frappe.client.get_list",
                doctype=doctype,
                fields=["parent", *fields],
                filters=[["parent", "in", sold], ["parenttype", "=", "POS Invoice"]],
                parent="POS Invoice",
                order_by="parent asc, idx asc",
                limit_page_length=0,
            ).value
        )

    payments = children("Sales Invoice Payment", "mode_of_payment", "base_amount", "account")
    assert [row["parent"] for row in payments] == sorted(sold)
    assert {row["account"] for row in payments} == {books.cash}
    assert {money(row["base_amount"]) for row in payments} == {Decimal(105), Decimal(210)}
    taxes = children(
        "Sales Taxes and Charges", "account_head", "rate", "base_tax_amount_after_discount_amount"
    )
    assert {money(row["base_tax_amount_after_discount_amount"]) for row in taxes} == {Decimal(5), Decimal(10)}


def test_the_accounts_of_modes_of_payment_are_listed(robot: Caller, books: Books) -> None:
    rows = robot.rpc(
        "frappe.client.get_list",
        doctype="Mode of Payment Account",
        fields=["parent", "default_account"],
        filters=[["company", "=", books.company], ["parenttype", "=", "Mode of Payment"]],
        parent="Mode of Payment",
        order_by="parent asc",
        limit_page_length=0,
    ).value
    assert {row["parent"]: row["default_account"] for row in rows}[books.mode] == books.cash


@only_v15
def test_a_sale_in_one_request_names_no_account_and_the_ledger_uses_that_of_the_mode(
    shift: Shift, robot: Caller, books: Books
) -> None:
    name = shift.counter.cashier.insert("POS Invoice", **shift.bill(1), docstatus=1).value["name"]
    (payment,) = shift.invoice(name)["payments"]
    assert not payment.get("account")
    shift.close(name)
    assert booked(robot, shift.invoice(name)["consolidated_invoice"])[books.cash] == Decimal(105)
