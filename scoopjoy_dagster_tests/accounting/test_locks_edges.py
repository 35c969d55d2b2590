"""The last day of each lock is locked, and the day after it is not."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from scoopjoy_dagster.accounting.locks import Locks, Span

END = date(2026, 11, 22)
NEXT = END + timedelta(days=1)
ALWAYS = Span("always", date(2000, 1, 1), date(2099, 12, 31))


@pytest.mark.parametrize(
    "locks",
    [
        Locks(frozen_upto=END, years=(ALWAYS,)),
        Locks(closed_upto=END, years=(ALWAYS,)),
        Locks(closed_periods=(Span("November", END, END),), years=(ALWAYS,)),
        Locks(years=(Span("next", NEXT, NEXT),)),
    ],
    ids=["frozen", "closing voucher", "accounting period", "fiscal year"],
)
def test_a_lock_ends_with_its_last_day(locks: Locks) -> None:
    assert locks.reason(END)
    assert locks.reason(NEXT) == ""
    assert locks.first_open_day(END, NEXT) == NEXT
    assert locks.first_open_day(END, END) is None


def test_of_several_locks_the_first_open_day_is_behind_them_all() -> None:
    locks = Locks(
        frozen_upto=END,
        closed_upto=END + timedelta(days=2),
        closed_periods=(Span("a", END, NEXT), Span("b", END + timedelta(days=4), END + timedelta(days=4))),
        years=(ALWAYS,),
    )
    assert locks.first_open_day(END, END + timedelta(days=9)) == END + timedelta(days=3)
    assert locks.first_open_day(END + timedelta(days=3), END + timedelta(days=9)) == END + timedelta(days=5)
