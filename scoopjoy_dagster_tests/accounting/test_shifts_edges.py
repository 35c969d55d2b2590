"""Shifts at the edges: every total of a closing, whose change it is, which closing is taken up, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal

import pytest

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.shifts import (
    CANCELLED,
    DRAFT,
    SUBMITTED,
    Closing,
    Opening,
    Payment,
    PaymentLine,
    ShiftAction,
    TaxAmount,
    TillSale,
    draft_closing,
    plan_shift,
    reconcile,
    window_end,
)

DAY = date(2026, 11, 22)
OPENING = Opening(
    "POS-OPE-1", "ScoopJoy", "POS Bandra", "asha", datetime(2026, 11, 22, 9), "Open", {"Cash": Decimal(2000)}
)
LABEL = "POS-OPE-1 (POS Bandra, asha)"
KEY = "closing:ScoopJoy:2026-11-22:POS-OPE-1:"


def sale(name: str, *payments: Payment, change: str = "0", change_account: str = "") -> TillSale:
    total = sum((one.amount for one in payments), Decimal(0)) - Decimal(change)
    return TillSale(
        name,
        "POS Bandra",
        "asha",
        datetime(2026, 11, 22, 12),
        total,
        total / 2,
        Decimal(3),
        payments=payments,
        change_amount=Decimal(change),
        change_account=change_account,
    )


def cash(amount: str, account: str = "Cash - SJ") -> Payment:
    return Payment("Cash", Decimal(amount), account)


def upi(amount: str, account: str = "Bank - SJ") -> Payment:
    return Payment("UPI", Decimal(amount), account)


def closing(number: int, docstatus: int, status: str = "Draft", **more: object) -> Closing:
    return Closing(f"POS-CLO-{number}", "POS-OPE-1", docstatus, status, **more)  # type: ignore[arg-type]


# -- expected and counted -----------------------------------------------------------------------------------------


def test_a_mode_without_an_opening_amount_starts_at_nothing() -> None:
    assert reconcile({"Cash": Decimal(2000)}, [sale("A", upi("50"))]) == (
        PaymentLine("Cash", Decimal(2000), Decimal(2000)),
        PaymentLine("UPI", Decimal(0), Decimal(50)),
    )


def test_change_is_taken_from_the_row_of_the_change_account_wherever_it_stands() -> None:
    lines = reconcile({}, [sale("A", upi("100"), cash("50"), change="20", change_account="Cash - SJ")])
    assert {one.mode: one.expected for one in lines} == {"UPI": Decimal(100), "Cash": Decimal(30)}


def test_change_is_taken_only_once() -> None:
    two = reconcile({}, [sale("A", cash("60"), cash("60"), change="20", change_account="Cash - SJ")])
    assert two == (PaymentLine("Cash", Decimal(0), Decimal(100)),)


def test_an_invoice_that_was_not_paid_gives_no_change() -> None:
    assert reconcile({"Cash": Decimal(5)}, [sale("A", change="0", change_account="Cash - SJ")]) == (
        PaymentLine("Cash", Decimal(5), Decimal(5)),
    )


def test_a_count_of_nothing_is_a_count() -> None:
    (line,) = reconcile({"Cash": Decimal(5)}, [], {"Cash": Decimal(0), "Card": Decimal(7)})
    assert (line.counted, line.difference) == (Decimal(0), Decimal(-5))


# -- the draft ----------------------------------------------------------------------------------------------------


def test_a_closing_says_everything_that_erpnext_will_not_work_out() -> None:
    taxes = (
        TaxAmount("SGST", Decimal("2.5"), Decimal("1.25")),
        TaxAmount("CGST", Decimal("2.5"), Decimal("1.25")),
    )
    one = replace(sale("B", cash("100")), taxes=taxes)
    other = replace(sale("A", upi("40")), taxes=(*taxes, TaxAmount("CGST", Decimal(9), Decimal(3))))
    draft = draft_closing(OPENING, [one, other], DAY, 1, {"Cash": Decimal(2100)})
    assert draft.key == KEY + "1"
    assert draft.opening is OPENING
    assert (draft.posting_date, draft.posting_time) == (DAY, time(23, 59, 59))
    assert draft.period_end == datetime(2026, 11, 22, 23, 59, 59)
    assert draft.invoices == (one, other)
    assert (draft.grand_total, draft.net_total, draft.quantity) == (Decimal(140), Decimal(70), Decimal(6))
    assert draft.taxes == (
        TaxAmount("CGST", Decimal("2.5"), Decimal("2.50")),
        TaxAmount("CGST", Decimal(9), Decimal(3)),
        TaxAmount("SGST", Decimal("2.5"), Decimal("2.50")),
    )
    assert draft.payments == (
        PaymentLine("Cash", Decimal(2000), Decimal(2100), Decimal(2100)),
        PaymentLine("UPI", Decimal(0), Decimal(40)),
    )
    assert draft.uncounted
    assert not draft_closing(OPENING, [one], DAY, 1, {"Cash": Decimal(2100)}).uncounted


def test_totals_of_an_empty_shift_are_amounts() -> None:
    draft = draft_closing(OPENING, [], DAY, 0)
    totals = (draft.grand_total, draft.net_total, draft.quantity)
    assert totals == (Decimal(0), Decimal(0), Decimal(0))
    assert all(isinstance(one, Decimal) for one in totals)
    assert draft.digest == "086749d944f701bfc7ff5cb34bef3369"


def test_the_digest_of_a_closing_is_of_what_it_books_and_the_same_in_every_process() -> None:
    invoices = [sale("B", cash("100")), sale("A", upi("40"))]
    draft = draft_closing(OPENING, invoices, DAY, 0)
    assert draft.digest == "88cf0317d2cd9b499539fd0d634da3cb"
    same = [
        draft_closing(OPENING, invoices[::-1], DAY, 0),
        draft_closing(OPENING, invoices, DAY, 0, {"Cash": Decimal(1)}),
        draft_closing(replace(OPENING, user="lata", balances={"Cash": Decimal("2000.00")}), invoices, DAY, 0),
        replace(draft, key=draft.key.upper() + " "),
    ]
    assert {one.digest for one in same} == {draft.digest}
    others = [
        draft_closing(OPENING, invoices, DAY, 1),
        draft_closing(OPENING, invoices[:1], DAY, 0),
        draft_closing(OPENING, [replace(invoices[0], name="C"), invoices[1]], DAY, 0),
        draft_closing(OPENING, [replace(invoices[0], grand_total=Decimal("100.01")), invoices[1]], DAY, 0),
        draft_closing(OPENING, [sale("B", cash("40")), sale("A", upi("100"))], DAY, 0),
    ]
    assert len({one.digest for one in [draft, *others]}) == 6


# -- which invoices -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "ends"),
    [
        ({"period_start": datetime(2026, 11, 23, 9)}, True),
        ({"period_start": datetime(2026, 11, 23, 9), "user": "lata"}, False),
        ({"period_start": datetime(2026, 11, 23, 9), "pos_profile": "POS Adyar"}, False),
        ({"period_start": datetime(2026, 11, 22, 9)}, False),
        ({"period_start": datetime(2026, 11, 21, 9)}, False),
        ({"period_start": datetime(2026, 11, 27, 9)}, False),  # later than now
    ],
    ids=["next", "another cashier", "another profile", "same moment", "before", "in the future"],
)
def test_a_shift_ends_with_the_next_one_of_the_same_cashier_and_profile(
    other: dict[str, object], ends: bool
) -> None:
    now = datetime(2026, 11, 25)
    following = replace(OPENING, name="POS-OPE-2", **other)  # type: ignore[arg-type]
    assert window_end(OPENING, [following, OPENING], now) == (following.period_start if ends else now)


def test_of_several_later_shifts_the_first_ends_it() -> None:
    later = [
        replace(OPENING, name=f"OPE-{day}", period_start=datetime(2026, 11, day, 9)) for day in (25, 23, 24)
    ]
    assert window_end(OPENING, later, datetime(2026, 11, 30)) == datetime(2026, 11, 23, 9)


def test_a_shift_never_ends_itself() -> None:
    """The list may have been read after the opening was touched."""
    touched = replace(OPENING, period_start=datetime(2026, 11, 22, 10))
    assert window_end(OPENING, [touched], datetime(2026, 11, 23)) == datetime(2026, 11, 23)


# -- what is done -------------------------------------------------------------------------------------------------


def test_a_new_closing_says_how_many_invoices_it_takes() -> None:
    action, findings = plan_shift(OPENING, [sale("A", cash("10")), sale("B", cash("20"))], [], DAY)
    assert action == ShiftAction(
        "create",
        OPENING,
        "2 invoices",
        draft=draft_closing(OPENING, [sale("A", cash("10")), sale("B", cash("20"))], DAY, 0),
    )
    assert findings == []
    assert action.sales == Decimal(30)


@pytest.mark.parametrize(
    ("closings", "revision"),
    [
        ([], 0),
        ([closing(1, CANCELLED, key=KEY + "0")], 1),
        ([closing(1, CANCELLED, key=KEY + "4"), closing(2, CANCELLED, key=KEY + "3")], 5),
        ([closing(1, CANCELLED)], 0),  # a person's: it has no key of ours
    ],
)
def test_a_new_closing_has_the_first_revision_that_no_cancelled_one_keeps(
    closings: list[Closing], revision: int
) -> None:
    action, _ = plan_shift(OPENING, [], closings, DAY)
    assert action.draft is not None
    assert (action.kind, action.draft.key) == ("create", f"{KEY}{revision}")


def test_our_own_draft_is_preferred_and_the_other_one_is_to_be_deleted() -> None:
    drafts = [closing(2, DRAFT, key=KEY + "3"), closing(1, DRAFT), closing(3, DRAFT)]
    action, findings = plan_shift(OPENING, [], drafts, DAY)
    assert action == ShiftAction(
        "complete",
        OPENING,
        "the draft POS-CLO-2 was found",
        closing="POS-CLO-2",
        draft=draft_closing(OPENING, [], DAY, 3),
    )
    assert findings == [
        Finding(
            "warning",
            "second draft closing",
            LABEL,
            f"{name} is another draft POS Closing Entry of this shift",
            "Delete it in ERPNext; only one closing of a shift can be submitted.",
        )
        for name in ("POS-CLO-1", "POS-CLO-3")
    ]


def test_of_drafts_without_a_key_the_first_by_name_gets_the_next_revision_and_keeps_its_count() -> None:
    counted = {"Cash": Decimal(2010)}
    closings = [
        closing(3, DRAFT),
        closing(2, DRAFT, invoices=("A", "X"), counted=counted),
        closing(1, CANCELLED, key=KEY + "0"),
    ]
    invoices = [sale("A", cash("10")), sale("B", cash("5")), sale("C", cash("1"))]
    action, _ = plan_shift(OPENING, invoices, closings, DAY)
    assert (action.kind, action.closing) == ("complete", "POS-CLO-2")
    assert action.reason == "the draft POS-CLO-2 was found; 2 invoices were missing in it"
    assert action.draft == draft_closing(OPENING, invoices, DAY, 1, counted)


def test_a_shift_that_is_not_open_and_was_never_closed_is_refused_with_its_state() -> None:
    cancelled = replace(OPENING, status="Cancelled")
    action, findings = plan_shift(cancelled, [], [closing(1, DRAFT)], DAY)
    reason = "the shift is Cancelled but has no submitted POS Closing Entry"
    assert action == ShiftAction("refuse", cancelled, reason)
    assert action.sales == 0
    assert findings == [
        Finding(
            "error", "shift without a closing", LABEL, reason, "Look at the POS Opening Entry in ERPNext."
        )
    ]


@pytest.mark.parametrize(
    ("status", "opening", "message", "kind", "reason"),
    [
        ("Queued", "Open", "", "wait", "POS-CLO-1 is being consolidated"),
        ("Queued", "Closed", "", "wait", "POS-CLO-1 is being consolidated"),
        ("Failed", "Open", "no stock", "retry", "no stock"),
        ("Failed", "Open", "", "retry", "ERPNext gave no message"),
        ("Failed", "Closed", "no stock", "adopt", "closed by POS-CLO-1"),
        ("Submitted", "Closed", "", "adopt", "closed by POS-CLO-1"),
    ],
)
def test_a_submitted_closing_is_followed_with_its_sales_and_a_reason(
    status: str, opening: str, message: str, kind: str, reason: str
) -> None:
    shift = replace(OPENING, status=opening)
    closings = [
        closing(2, SUBMITTED, "Submitted"),
        closing(1, SUBMITTED, status, grand_total=Decimal(99), error_message=message),
        closing(0, DRAFT),
    ]
    action, findings = plan_shift(shift, [], closings, DAY)
    assert action == ShiftAction(kind, shift, reason, "POS-CLO-1", None, Decimal(99))  # type: ignore[arg-type]
    assert findings == []
