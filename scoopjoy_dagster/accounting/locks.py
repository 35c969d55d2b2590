"""Days on which the books take no Journal Entry, and the first day after one that does.

ERPNext locks days in four ways: books frozen up to a date, an Accounting Period that is closed for Journal Entries,
a Period Closing Voucher, and a day that no active Fiscal Year covers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta


@dataclass(frozen=True, slots=True)
class Span:
    """The days from `first` to `last`, both included, and what ERPNext calls them."""

    name: str
    first: date
    last: date

    def covers(self, day: date) -> bool:
        """Whether `day` is one of them."""
        return self.first <= day <= self.last


@dataclass(frozen=True, slots=True)
class Locks:
    """What locks days of a company's books.

    Attributes:
        frozen_upto: books are frozen up to and including this day.
        closed_upto: the last Period Closing Voucher ends on this day.
        closed_periods: Accounting Periods closed for Journal Entries.
        years: active Fiscal Years; a day outside all of them is locked.
    """

    frozen_upto: date | None = None
    closed_upto: date | None = None
    closed_periods: tuple[Span, ...] = ()
    years: tuple[Span, ...] = ()

    def reason(self, day: date) -> str:
        """Why nothing can be posted on `day`; empty when it is open."""
        if not any(year.covers(day) for year in self.years):
            return f"no active Fiscal Year covers {day}"
        if self.frozen_upto is not None and day <= self.frozen_upto:
            return f"the books are frozen up to {self.frozen_upto}"
        if self.closed_upto is not None and day <= self.closed_upto:
            return f"the books are closed by a Period Closing Voucher up to {self.closed_upto}"
        period = next((one for one in self.closed_periods if one.covers(day)), None)
        return f"the Accounting Period {period.name} is closed for Journal Entries" if period else ""

    @property
    def of_sales(self) -> Locks:
        """What locks days for Sales Invoices: the Accounting Periods here are those that are closed for Journal Entries."""
        return replace(self, closed_periods=())

    def first_open_day(self, day: date, latest: date) -> date | None:
        """The first open day after `day`, at most `latest` (today: nothing is posted into the future); None if there is none."""
        while day < latest:
            day += timedelta(days=1)
            if not self.reason(day):
                return day
        return None
