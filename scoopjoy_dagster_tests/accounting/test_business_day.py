"""Every moment is of exactly one business day, which ends at its hour on the next date."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.business_day import DayEnd

DAY = date(2026, 11, 22)
NEXT = DAY + timedelta(days=1)
ENDS = st.builds(lambda hour, minute: DayEnd(time(hour, minute)), st.integers(0, 23), st.integers(0, 59))
MOMENTS = st.datetimes(datetime(2026, 1, 2), datetime(2028, 12, 30))
INSTANT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2026, 11, 22, 2, 59, 59, 999999), DAY - timedelta(days=1)),
        (datetime(2026, 11, 22, 3), DAY),
        (datetime(2026, 11, 22, 23, 30), DAY),
        (datetime(2026, 11, 23, 0, 30), DAY),
        (datetime(2026, 11, 23, 2, 59), DAY),
        (datetime(2026, 11, 23, 3), NEXT),
    ],
)
def test_what_is_before_the_end_is_of_the_day_before(moment: datetime, day: date) -> None:
    assert DayEnd(time(3)).day_of(moment) == day


@given(MOMENTS)
def test_with_midnight_the_business_day_is_the_date(moment: datetime) -> None:
    midnight = DayEnd()
    assert midnight.is_midnight
    assert midnight.day_of(moment) == moment.date()
    assert midnight.start_of(moment.date()) == datetime.combine(moment.date(), time())
    assert midnight.last_date(moment.date()) == moment.date()


@given(ENDS, MOMENTS)
def test_every_moment_lies_between_the_beginning_of_its_day_and_that_of_the_next(
    end: DayEnd, moment: datetime
) -> None:
    day = end.day_of(moment)
    assert end.start_of(day) <= moment < end.start_of(day + timedelta(days=1))
    assert end.day_of(end.start_of(day)) == day
    assert end.day_of(end.start_of(day) - INSTANT) == day - timedelta(days=1)
    assert moment.date() in {day, end.last_date(day)}


@given(ENDS)
def test_a_day_that_ends_after_midnight_has_a_part_of_the_next_date(end: DayEnd) -> None:
    assert end.is_midnight == (end == DayEnd())
    assert end.last_date(DAY) == (DAY if end.is_midnight else NEXT)
    assert time.fromisoformat(end.clock) == end.at
    assert len(end.clock) == len("00:00:00")
