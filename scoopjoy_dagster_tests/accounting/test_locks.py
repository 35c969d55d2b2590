"""Locked days: why nothing can be posted, and the first day after on which something can."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.locks import Locks, Span

START = date(2026, 1, 1)
YEAR = Span("2026-2027", date(2026, 4, 1), date(2027, 3, 31))
DAY = date(2026, 11, 22)

DAYS = st.integers(0, 60).map(lambda number: START + timedelta(days=number))
SPANS = st.tuples(DAYS, st.integers(0, 20)).map(
    lambda one: Span(f"from {one[0]}", one[0], one[0] + timedelta(days=one[1]))
)
LOCKS = st.builds(
    Locks,
    st.none() | DAYS,
    st.none() | DAYS,
    st.lists(SPANS, max_size=3).map(tuple),
    st.lists(SPANS, max_size=3).map(tuple) | st.just((Span("all", START, START + timedelta(days=400)),)),
)


def open_by_the_book(locks: Locks, day: date) -> bool:
    """Said a second time, each lock by itself."""
    return (
        sum(year.first <= day <= year.last for year in locks.years) > 0
        and not (locks.frozen_upto and day <= locks.frozen_upto)
        and not (locks.closed_upto and day <= locks.closed_upto)
        and not [one for one in locks.closed_periods if one.first <= day <= one.last]
    )


@given(LOCKS, DAYS)
def test_a_day_has_a_reason_exactly_when_it_is_locked(locks: Locks, day: date) -> None:
    assert (locks.reason(day) == "") is open_by_the_book(locks, day)


@given(LOCKS, DAYS, DAYS)
def test_the_first_open_day_is_open_and_later_and_no_day_before_it_is(
    locks: Locks, day: date, latest: date
) -> None:
    found = locks.first_open_day(day, latest)
    end = found or latest + timedelta(days=1)
    if found:
        assert day < found <= latest
        assert open_by_the_book(locks, found)
    between = [day + timedelta(days=number) for number in range(1, max((end - day).days, 1))]
    assert not any(open_by_the_book(locks, one) for one in between if one <= latest)


def test_nothing_is_posted_into_the_future() -> None:
    locks = Locks(frozen_upto=DAY, years=(YEAR,))
    assert locks.first_open_day(DAY, DAY) is None
    assert locks.first_open_day(DAY, DAY - timedelta(days=5)) is None
    assert locks.first_open_day(DAY, DAY + timedelta(days=1)) == DAY + timedelta(days=1)


@pytest.mark.parametrize(
    ("locks", "reason"),
    [
        (Locks(years=()), "no active Fiscal Year covers 2026-11-22"),
        (
            Locks(years=(Span("old", date(2025, 4, 1), date(2026, 3, 31)),)),
            "no active Fiscal Year covers 2026-11-22",
        ),
        (Locks(frozen_upto=DAY, years=(YEAR,)), "the books are frozen up to 2026-11-22"),
        (
            Locks(closed_upto=date(2026, 11, 30), years=(YEAR,)),
            "the books are closed by a Period Closing Voucher up to 2026-11-30",
        ),
        (
            Locks(closed_periods=(Span("Nov 26", date(2026, 11, 1), date(2026, 11, 30)),), years=(YEAR,)),
            "the Accounting Period Nov 26 is closed for Journal Entries",
        ),
        (Locks(frozen_upto=DAY - timedelta(days=1), years=(YEAR,)), ""),
        (Locks(years=(YEAR,)), ""),
    ],
)
def test_the_reason_is_a_sentence_for_people(locks: Locks, reason: str) -> None:
    assert locks.reason(DAY) == reason


@given(SPANS, DAYS)
def test_a_span_covers_both_of_its_ends(span: Span, day: date) -> None:
    assert span.covers(span.first)
    assert span.covers(span.last)
    assert not span.covers(span.first - timedelta(days=1))
    assert not span.covers(span.last + timedelta(days=1))
    assert span.covers(day) is (span.first <= day <= span.last)
