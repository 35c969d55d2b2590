"""Rows and sums of `scoopjoy verify` as programs read them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from scoopjoy_dagster.accounting.differences import DayDifference, DayVerdict, Period, What, by_month

DAY = date(2026, 11, 22)
ROW = DayDifference(
    DAY, "Franchise Adyar", What.DIFFERS, "it differs", "Close it again.", Decimal(85), Decimal("80.5")
)


def test_a_row_as_json_has_exact_amounts() -> None:
    assert ROW.amount == Decimal("-4.5")
    assert ROW.as_dict() == {
        "business_day": "2026-11-22",
        "who": "Franchise Adyar",
        "what": "royalty differs",
        "expected": "85.00",
        "actual": "80.50",
        "difference": "-4.50",
        "message": "it differs",
        "action": "Close it again.",
    }


def test_a_row_about_no_amount_has_none() -> None:
    for expected, actual in ((None, None), (None, Decimal(5)), (Decimal(5), None)):
        row = DayDifference(DAY, "x", "y", "z", "", expected, actual)
        assert row.amount is None
        texts = [row.as_dict()[name] for name in ("expected", "actual", "difference")]
        assert texts == [expected and "5.00", actual and "5.00", None]
    nothing = DayDifference(DAY, "x", "y", "z", "", Decimal(0), Decimal(0))
    assert (nothing.amount, nothing.as_dict()["difference"]) == (Decimal(0), "0.00")


def test_a_day_is_right_when_nothing_differs_whatever_its_amounts() -> None:
    assert DayVerdict(DAY, Decimal(5), Decimal(4), ()).right
    assert not DayVerdict(DAY, Decimal(5), Decimal(5), (ROW,)).right


def test_a_period_counts_its_days_and_sums_its_amounts() -> None:
    assert Period("all") == Period("all", 0, 0, Decimal(0), Decimal(0))
    period = Period("2026-11")
    for expected, actual, rows in (
        ("10", "10", ()),
        ("20.5", "20", (ROW, ROW)),
        ("1", "1", ()),
        ("0", "1", (ROW,)),
        ("0", "0", ()),
    ):
        period.add(DayVerdict(DAY, Decimal(expected), Decimal(actual), rows))
    assert period.as_dict() == {
        "period": "2026-11",
        "days": 5,
        "right": 3,
        "different": 2,
        "expected": "31.50",
        "actual": "32.00",
        "difference": "0.50",
    }


def test_months_are_calendar_months_in_order_of_time() -> None:
    days = [date(2027, 1, 1), date(2026, 11, 30), date(2026, 12, 31), date(2026, 11, 1)]
    months = by_month(DayVerdict(day, Decimal(1), Decimal(2), ()) for day in days)
    assert [(one.name, one.days) for one in months] == [("2026-11", 2), ("2026-12", 1), ("2027-01", 1)]
    assert by_month([]) == []


def test_the_words_of_every_kind_of_difference_are_those_that_programs_look_for() -> None:
    assert {one.name: one.value for one in What} == {
        "MISSING": "royalty missing",
        "DIFFERS": "royalty differs",
        "OF_NOBODY": "royalty entry of nobody",
        "NOT_OURS": "royalty entry without our key",
        "KEY_UNREADABLE": "key cannot be read",
        "KEY_TWICE": "key is there twice",
        "REVISION_MISSING": "revision is missing",
        "LEDGER_DIFFERS": "general ledger differs from the entry",
        "OTHER_PARTY": "entry is booked on another customer",
        "CANCELLED_IN_LEDGER": "cancelled entry is still in the general ledger",
        "SHARES_DIFFER": "shares differ from the royalty",
        "BASES_DIFFER": "bases of the shares differ from the entry",
        "SHARE_WRONG": "shares lie on other sales",
        "WITHOUT_SHARES": "royalty entry without shares",
        "STATEMENT_MISSING": "statement missing",
        "NOT_ACKNOWLEDGED": "not acknowledged by headquarters",
        "TOLD_OTHERWISE": "headquarters was told another royalty",
        "SHIFT_OPEN": "shift still open",
        "UNBOOKED": "till sales not in the ledger",
    }
