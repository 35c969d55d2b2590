"""POS shifts: rows, totals and expected amounts of a closing, and what is done for a shift as it is found."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.business_day import DayEnd
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.shifts import (
    Closing,
    Opening,
    Payment,
    PaymentLine,
    TaxAmount,
    TillSale,
    by_shift,
    change_needs_accounts,
    draft_closing,
    plan_shift,
    reconcile,
    still_selling,
    unbooked_finding,
    unbooked_sales,
    window_end,
)

DAY = date(2026, 11, 22)
OPENING = Opening(
    "POS-OPE-1",
    "ScoopJoy",
    "POS Bandra",
    "cashier@scoopjoy.example",
    datetime(2026, 11, 22, 9, 0),
    "Open",
    {"Cash": Decimal(2000), "UPI": Decimal(0)},
)


def sale(
    name: str, amount: str, *, cash: str = "0", upi: str = "0", change: str = "0", at: datetime | None = None
) -> TillSale:
    rows = (("Cash", cash, "Cash - SJ"), ("UPI", upi, "Bank - SJ"))
    return TillSale(
        name,
        OPENING.pos_profile,
        OPENING.user,
        at or datetime(2026, 11, 22, 12, 0),
        Decimal(amount),
        Decimal(amount),
        Decimal(1),
        "Walk-in",
        Decimal(amount) < 0,
        payments=tuple(Payment(mode, Decimal(paid), account) for mode, paid, account in rows if paid != "0"),
        change_amount=Decimal(change),
        change_account="Cash - SJ",
        taxes=(TaxAmount("GST - SJ", Decimal(5), Decimal("0.05")),),
    )


def test_expected_is_opening_plus_payments_minus_change_by_mode() -> None:
    lines = reconcile(
        OPENING.balances,
        [
            sale("A", "120.50", cash="130", change="9.50"),
            sale("B", "261.50", upi="261.50"),
            sale("C", "-20", cash="-20"),
        ],
    )
    assert {line.mode: (line.opening_amount, line.expected) for line in lines} == {
        "Cash": (Decimal(2000), Decimal("2100.50")),
        "UPI": (0, Decimal("261.50")),
    }


def test_what_nobody_counted_is_uncounted_and_not_equal() -> None:
    cash, upi = reconcile(OPENING.balances, [], {"Cash": Decimal(1990)})
    assert (cash.counted, cash.difference) == (Decimal(1990), Decimal(-10))
    assert (upi.counted, upi.difference) == (None, None)


def test_change_for_a_card_comes_out_of_the_drawer_as_the_ledger_books_it() -> None:
    """475 paid with 500 by card: the ledger has 500 on the card's account and takes 25 from the drawer's."""
    by_card = replace(sale("A", "475", change="25"), payments=(Payment("Card", Decimal(500)),))
    accounts = {"Card": "Card Clearing - SJ", "Cash": "Cash - SJ", "Petty": "Cash - SJ"}
    lines = reconcile(OPENING.balances, [by_card], accounts=accounts)
    assert {line.mode: line.expected for line in lines} == {
        "Cash": Decimal(1975),
        "UPI": Decimal(0),
        "Card": Decimal(500),
    }


def test_change_out_of_an_account_of_no_mode_is_taken_from_no_mode() -> None:
    odd = replace(sale("A", "100", cash="110", change="10"), change_account="Elsewhere - SJ")
    (cash, _) = reconcile(OPENING.balances, [odd], accounts={"Cash": "Cash - SJ"})
    assert cash.expected == Decimal(2110)


def test_the_accounts_of_modes_are_asked_for_only_where_a_sale_does_not_say_where_its_change_came_from() -> (
    None
):
    said = sale("A", "100", cash="110", change="10")
    silent = replace(said, payments=(Payment("Cash", Decimal(110)),))
    assert not change_needs_accounts([said, sale("B", "10", cash="10")])
    assert change_needs_accounts([said, silent])


@given(
    st.lists(
        st.tuples(
            st.decimals(0, 10_000, places=2), st.decimals(0, 10_000, places=2), st.decimals(0, 50, places=2)
        ),
        max_size=30,
    )
)
def test_no_money_is_lost_between_payments_and_expected(
    sales: list[tuple[Decimal, Decimal, Decimal]],
) -> None:
    invoices = [
        sale(f"S{i}", str(cash + upi), cash=str(cash + change), upi=str(upi), change=str(change))
        for i, (cash, upi, change) in enumerate(sales)
    ]
    paid = sum((p.amount for one in invoices for p in one.payments), Decimal(0))
    given_back = sum((one.change_amount for one in invoices), Decimal(0))
    lines = reconcile(OPENING.balances, invoices, accounts={"Cash": "Cash - SJ"})
    assert sum(line.expected for line in lines) == Decimal(2000) + paid - given_back


def test_a_closing_has_all_invoices_and_is_posted_on_the_business_day_whenever_it_is_made() -> None:
    invoices = [sale("A", "100", cash="100"), sale("B", "50", upi="50", at=datetime(2026, 11, 23, 0, 30))]
    action, _ = plan_shift(OPENING, invoices, [], DAY)
    draft = action.draft
    assert draft is not None
    assert (action.kind, draft.posting_date, draft.posting_time) == ("create", DAY, time(23, 59, 59))
    assert draft.period_end == datetime(2026, 11, 23, 0, 30)
    assert draft.grand_total == Decimal(150)
    assert [tax.amount for tax in draft.taxes] == [Decimal("0.10")]
    assert draft.uncounted


def test_a_shift_without_invoices_is_closed_with_its_opening_amounts() -> None:
    action, findings = plan_shift(OPENING, [], [], DAY)
    assert action.kind == "create"
    assert action.draft is not None
    assert {line.mode: line.expected for line in action.draft.payments} == {
        "Cash": Decimal(2000),
        "UPI": Decimal(0),
    }
    assert findings == []


def test_a_draft_closing_is_never_submitted_without_its_invoices() -> None:
    empty = Closing("POS-CLO-1", "POS-OPE-1", 0, "Draft")
    action, _ = plan_shift(OPENING, [sale("A", "100", cash="100")], [empty], DAY)
    assert (action.kind, action.closing) == ("complete", "POS-CLO-1")
    assert action.draft is not None
    assert [one.name for one in action.draft.invoices] == ["A"]


def test_what_a_person_counted_in_a_draft_is_kept() -> None:
    counted = Closing("POS-CLO-1", "POS-OPE-1", 0, "Draft", counted={"Cash": Decimal(2095)})
    action, _ = plan_shift(OPENING, [sale("A", "100", cash="100")], [counted], DAY)
    assert action.draft is not None
    cash, upi = action.draft.payments
    assert (cash.counted, cash.difference) == (Decimal(2095), Decimal(-5))
    assert upi.counted is None


def test_our_own_draft_is_taken_up_under_its_key() -> None:
    key = "closing:ScoopJoy:2026-11-22:POS-OPE-1:0"
    ours = Closing("POS-CLO-1", "POS-OPE-1", 0, "Draft", key=key)
    action, _ = plan_shift(OPENING, [sale("A", "100", cash="100")], [ours], DAY)
    assert action.draft is not None
    assert action.draft.key == key
    assert action.draft.uncounted


def test_a_second_draft_is_listed_and_only_one_is_submitted() -> None:
    drafts = [Closing(name, "POS-OPE-1", 0, "Draft") for name in ("POS-CLO-1", "POS-CLO-2")]
    action, findings = plan_shift(OPENING, [], drafts, DAY)
    assert action.closing == "POS-CLO-1"
    assert "POS-CLO-2" in findings[0].message


@pytest.mark.parametrize(
    ("status", "opening", "kind"),
    [
        ("Queued", "Open", "wait"),
        ("Failed", "Open", "retry"),
        ("Submitted", "Closed", "adopt"),
        # A retry of a finished closing flips its status although all is booked: never retry again.
        ("Failed", "Closed", "adopt"),
    ],
)
def test_a_submitted_closing_is_taken_up_by_its_state(status: str, opening: str, kind: str) -> None:
    closing = Closing("POS-CLO-1", "POS-OPE-1", 1, status, grand_total=Decimal(99))
    action, _ = plan_shift(replace(OPENING, status=opening), [], [closing], DAY)
    assert (action.kind, action.closing, action.sales) == (kind, "POS-CLO-1", Decimal(99))


def test_a_cancelled_closing_keeps_its_key_so_the_next_has_the_next_revision() -> None:
    gone = Closing("POS-CLO-1", "POS-OPE-1", 2, "Cancelled", key="closing:ScoopJoy:2026-11-22:POS-OPE-1:0")
    action, _ = plan_shift(OPENING, [], [gone], DAY)
    assert action.draft is not None
    assert action.draft.key.endswith(":POS-OPE-1:1")


def test_a_closed_shift_without_a_closing_needs_a_person() -> None:
    action, findings = plan_shift(replace(OPENING, status="Closed"), [], [], DAY)
    assert action.kind == "refuse"
    assert findings[0].severity == "error"


def test_sales_after_midnight_belong_to_their_shift_until_the_cashiers_next_one() -> None:
    now = datetime(2026, 11, 25, 1, 0)
    following = replace(OPENING, name="POS-OPE-2", period_start=OPENING.period_start + timedelta(days=1))
    elsewhere = replace(
        following, name="POS-OPE-3", pos_profile="POS Adyar", period_start=datetime(2026, 11, 22, 10)
    )
    assert window_end(OPENING, [OPENING, following, elsewhere], now) == following.period_start
    assert window_end(OPENING, [OPENING, elsewhere], now) == now


# -- half done by ERPNext -----------------------------------------------------------------------------------------


def test_a_closing_whose_cancellation_was_half_carried_out_is_restarted() -> None:
    """ERPNext v16+ refuses to cancel a closing of ten rows and carries out half of it: opening Open, closing Submitted."""
    closing = Closing("POS-CLO-1", "POS-OPE-1", 1, "Submitted", grand_total=Decimal(100))
    action, findings = plan_shift(OPENING, [sale("A", "100", cash="100")], [closing], DAY)
    assert (action.kind, action.closing, findings) == ("retry", "POS-CLO-1", [])


def test_a_shift_that_is_open_although_all_of_it_is_booked_is_never_restarted() -> None:
    """A retry of a finished closing flips it to Failed."""
    closing = Closing("POS-CLO-1", "POS-OPE-1", 1, "Submitted")
    action, (finding,) = plan_shift(OPENING, [], [closing], DAY)
    assert (action.kind, finding.severity, finding.what) == (
        "refuse",
        "error",
        "shift open in spite of its closing",
    )


# -- which shift a sale belongs to --------------------------------------------------------------------------------


moments = st.datetimes(datetime(2026, 11, 22), datetime(2026, 11, 24), allow_imaginary=False)
tills, cashiers = st.sampled_from(["POS Bandra", "POS Adyar"]), st.sampled_from(["asha", "lata"])


@given(
    st.lists(st.tuples(tills, cashiers, moments), max_size=8),
    st.lists(st.tuples(tills, cashiers, moments), max_size=20),
    st.data(),
)
def test_a_sale_belongs_to_exactly_one_shift_also_at_the_very_moment_of_an_opening(
    begun: list[tuple[str, str, datetime]], sold: list[tuple[str, str, datetime]], data: st.DataObject
) -> None:
    openings = [
        Opening(f"OPE-{number}", "ScoopJoy", till, cashier, at, "Open")
        for number, (till, cashier, at) in enumerate(begun)
    ]
    if begun:  # some sales at the very moment of an opening
        sold = sold + data.draw(st.lists(st.sampled_from(begun), max_size=5))
    sales = [
        replace(sale(f"S{number}", "1"), pos_profile=till, cashier=cashier, posted_at=at)
        for number, (till, cashier, at) in enumerate(sold)
    ]
    found = by_shift(sales, openings)
    assert sorted(one.name for own in found.values() for one in own) == sorted(one.name for one in sales)
    shifts = {one.name: one for one in openings}
    for name, own in found.items():
        for one in own:
            before = [
                other
                for other in openings
                if (other.pos_profile, other.user) == (one.pos_profile, one.cashier)
                and other.period_start <= one.posted_at
            ]
            assert (name == "") == (not before)
            if name:
                assert shifts[name].period_start == max(other.period_start for other in before)


# -- sales that no closing takes ----------------------------------------------------------------------------------

CLOSED = replace(OPENING, status="Closed")
MIDNIGHT, THREE = DayEnd(), DayEnd(time(3))


def test_a_sale_that_arrives_after_its_shift_was_closed_is_unbooked_and_one_of_an_open_shift_waits() -> None:
    late = sale("PSINV-1", "999")
    assert unbooked_sales([late], [OPENING], MIDNIGHT) == []
    (group,) = unbooked_sales([late], [CLOSED], MIDNIGHT)
    assert (group.day, group.in_a_shift, group.amount) == (DAY, True, Decimal(999))


def test_a_sale_by_another_user_in_the_shift_of_a_till_is_unbooked() -> None:
    (group,) = unbooked_sales(
        [replace(sale("A", "50"), cashier="manager@scoopjoy.example")], [OPENING], MIDNIGHT
    )
    assert (group.shift, group.cashier) == (OPENING, "manager@scoopjoy.example")


def test_a_sale_at_a_till_without_a_shift_is_unbooked_in_no_shift() -> None:
    early = sale("A", "50", at=datetime(2026, 11, 22, 8))
    (group,) = unbooked_sales([early], [OPENING], MIDNIGHT)
    assert not group.in_a_shift
    (elsewhere,) = unbooked_sales([replace(sale("B", "5"), pos_profile="POS Adyar")], [OPENING], MIDNIGHT)
    assert not elsewhere.in_a_shift


def test_a_sale_after_midnight_is_unbooked_on_the_day_of_its_shift() -> None:
    (group,) = unbooked_sales([sale("A", "50", at=datetime(2026, 11, 23, 0, 20))], [CLOSED], MIDNIGHT)
    assert group.day == DAY


def test_drafts_are_never_unbooked_and_are_named_with_their_shift() -> None:
    draft = replace(sale("A", "50"), is_draft=True)
    assert unbooked_sales([draft], [CLOSED], MIDNIGHT) == []
    action, (finding,) = plan_shift(OPENING, [draft, sale("B", "10", cash="10")], [], DAY)
    assert action.draft is not None
    assert [one.name for one in action.draft.invoices] == ["B"]
    assert (finding.severity, finding.what, finding.who) == (
        "warning",
        "draft sales in a shift",
        OPENING.label,
    )
    assert "1 sale of 50.00 is a draft" in finding.message


def test_the_row_of_unbooked_sales_says_which_opening_would_take_them() -> None:
    (group,) = unbooked_sales([sale("B", "60"), sale("A", "40")], [CLOSED], MIDNIGHT)
    row = unbooked_finding(group, "error")
    assert row.who == f"2026-11-22 (POS Bandra, {OPENING.user})"
    assert "2 sales of 100.00" in row.message
    assert "A, B; the shift POS-OPE-1 was closed without them" in row.message
    assert "2026-11-22 12:00:00" in row.action


@pytest.mark.parametrize(("counted", "said"), [("2095", "5.00 short"), ("2101.5", "1.50 over")])
@pytest.mark.parametrize("by_a_person", [False, True])
def test_a_count_that_differs_is_a_row_whoever_submits_the_closing(
    counted: str, said: str, by_a_person: bool
) -> None:
    line = PaymentLine("Cash", Decimal(2000), Decimal(2100), Decimal(counted))
    closing = Closing(
        "POS-CLO-1",
        "POS-OPE-1",
        1 if by_a_person else 0,
        "Submitted" if by_a_person else "Draft",
        counted={"Cash": Decimal(counted)},
        payments=(line, PaymentLine("UPI", Decimal(0), Decimal(10)), PaymentLine("Card", ZERO, ZERO, ZERO)),
    )
    shift = CLOSED if by_a_person else OPENING
    _, (row,) = plan_shift(shift, [] if by_a_person else [sale("A", "100", cash="100")], [closing], DAY)
    assert (row.severity, row.what, row.who) == ("warning", "count differs", OPENING.label)
    assert row.message == f"Cash: {Decimal(counted):.2f} counted, 2100.00 expected: {said}"


def test_where_the_day_ends_at_three_unbooked_sales_and_their_shift_are_of_the_business_day() -> None:
    early = sale("A", "50", at=datetime(2026, 11, 23, 0, 20))
    (group,) = unbooked_sales([early], [], THREE)
    assert (group.day, group.in_a_shift) == (DAY, False)
    # A shift that was opened after midnight is of the same business day as the evening before.
    opened = replace(CLOSED, period_start=datetime(2026, 11, 23, 0, 10))
    (group,) = unbooked_sales([early], [opened], THREE)
    assert (group.day, group.in_a_shift) == (DAY, True)
    assert "re-run `closed_shifts` for 2026-11-22." in unbooked_finding(group, "error").action


def test_the_period_of_a_closing_never_ends_before_its_shift_began() -> None:
    opened = replace(OPENING, period_start=datetime(2026, 11, 23, 0, 10))
    assert draft_closing(opened, [], DAY, 0).period_end == opened.period_start


# -- shifts that still sell ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sold_at", "selling"),
    [
        (datetime(2026, 11, 23, 0, 50), True),
        (datetime(2026, 11, 23, 0, 45), False),
        (datetime(2026, 11, 23, 1, 0), True),
        (datetime(2026, 11, 23, 9, 0), False),  # dated later than now
    ],
)
def test_a_shift_sells_while_its_last_sale_is_less_than_a_quarter_of_an_hour_ago(
    sold_at: datetime, selling: bool
) -> None:
    sales = [sale("A", "1", at=datetime(2026, 11, 22, 20)), sale("B", "1", at=sold_at)]
    last = still_selling(sales, datetime(2026, 11, 23, 1), timedelta(minutes=15))
    assert last == (sold_at if selling else None)


def test_a_shift_without_sales_does_not_sell() -> None:
    assert still_selling([], datetime(2026, 11, 23, 1), timedelta(minutes=15)) is None
