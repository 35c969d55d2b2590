"""What a row does not say counts for nothing: no amount, no currency, no return. mutmut mutates no defaults; these tests hold them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from scoopjoy_dagster.accounting.day_record import BookedEntry, DayRecord, Told
from scoopjoy_dagster.accounting.royalties import BaseInvoice, Franchise, PostedEntry, Royalty
from scoopjoy_dagster.accounting.shifts import Closing, Opening, Payment, ShiftAction, TillSale

DAY = date(2026, 11, 22)
NOTHING = Decimal(0)


def test_an_invoice_of_which_nothing_more_is_known_is_a_sale_without_change_payments_and_taxes() -> None:
    at = datetime(2026, 11, 22)
    made = TillSale("A", "POS Bandra", "asha", at, Decimal(1), Decimal(1), Decimal(1))
    assert made == replace(
        made,
        customer="",
        is_return=False,
        is_draft=False,
        payments=(),
        change_amount=NOTHING,
        change_account="",
        taxes=(),
    )
    assert BaseInvoice("A", "B", Decimal(1)) == BaseInvoice(
        "A", "B", Decimal(1), is_return=False, currency="", sales=NOTHING
    )
    assert Payment("Cash", Decimal(1)).account == ""


def test_a_shift_and_a_closing_of_which_nothing_more_is_known_have_no_amounts_and_no_key() -> None:
    assert Closing("C", "O", 0, "Draft") == Closing("C", "O", 0, "Draft", "", "", NOTHING, (), {})
    opening = Opening("O", "ScoopJoy", "POS", "asha", datetime(2026, 11, 22), "Open")
    assert opening.balances == {}
    assert ShiftAction("refuse", opening, "why") == ShiftAction("refuse", opening, "why", "", None, NOTHING)


def test_a_franchise_has_no_rate_and_is_not_exempt_unless_it_is_said() -> None:
    assert Franchise("A", "Adyar") == Franchise("A", "Adyar", NOTHING, exempt=False)
    assert not Royalty("A", "Adyar", (), NOTHING, NOTHING, Decimal(5), "v").kept


def test_an_entry_is_booked_and_its_ledger_rows_are_nothing_unless_it_is_said() -> None:
    posted = PostedEntry("JV-1", "key:0", 1, Decimal(5))
    assert posted == replace(
        posted,
        digest="",
        customer="",
        booked=True,
        base=NOTHING,
        rate=NOTHING,
        policy="",
        posting_date=None,
        reason="",
        run="",
    )
    assert BookedEntry(posted) == BookedEntry(posted, "", NOTHING, NOTHING, NOTHING, NOTHING, "")


def test_a_day_of_which_nothing_was_read_holds_nothing_and_has_no_headquarters() -> None:
    assert DayRecord(DAY) == DayRecord(DAY, (), (), (), (), frozenset(), None, ())
    assert Told() == Told(None, None)
