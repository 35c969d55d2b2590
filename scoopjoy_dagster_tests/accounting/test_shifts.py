"""POS shifts: rows, totals and expected amounts of a closing, and what is done for a shift as it is found."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.shifts import (
    Closing,
    LooseInvoice,
    Opening,
    Payment,
    ShiftInvoice,
    TaxAmount,
    orphans,
    plan_shift,
    reconcile,
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
) -> ShiftInvoice:
    rows = (("Cash", cash, "Cash - SJ"), ("UPI", upi, "Bank - SJ"))
    return ShiftInvoice(
        name,
        "Walk-in",
        at or datetime(2026, 11, 22, 12, 0),
        Decimal(amount),
        Decimal(amount),
        Decimal(1),
        Decimal(amount) < 0,
        tuple(Payment(mode, Decimal(paid), account) for mode, paid, account in rows if paid != "0"),
        Decimal(change),
        "Cash - SJ",
        (TaxAmount("GST - SJ", Decimal(5), Decimal("0.05")),),
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


def test_change_of_an_account_that_paid_nothing_is_still_taken_once() -> None:
    odd = replace(sale("A", "100", cash="110", change="10"), change_account="Elsewhere - SJ")
    (line, _) = reconcile(OPENING.balances, [odd])
    assert line.expected == Decimal(2100)


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
    given_back = sum((one.change_amount for one in invoices if one.payments), Decimal(0))
    lines = reconcile(OPENING.balances, invoices)
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


def test_an_invoice_that_no_open_shift_will_take_is_an_orphan() -> None:
    loose = LooseInvoice("PSINV-1", "POS Bandra", OPENING.user, datetime(2026, 11, 22, 12), Decimal(120))
    assert orphans([loose], [OPENING]) == []
    assert [one.what for one in orphans([loose], [])] == ["orphaned POS Invoice"]
    other_owner = replace(loose, owner="api@scoopjoy.example")
    assert "PSINV-1" in orphans([other_owner], [OPENING])[0].who
    before = replace(loose, posted_at=datetime(2026, 11, 22, 8))
    assert len(orphans([before], [OPENING])) == 1
