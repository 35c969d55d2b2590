"""The days before a business day, by franchise and by outlet: what a day is compared with, and what weeks and months add up to.

What belongs here: the figures of many days and their sums. What does not: reading them, and how a report shows them. An outlet
is a POS Profile; a franchise is a Customer who owes royalties.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from scoopjoy_dagster.accounting.money import ZERO

WEEK = 7
"""Days before the business day in which an outlet or a franchise must have been seen to be expected: every weekday
once, so an outlet that is shut on Mondays is expected on Mondays and missed once; it is a warning."""

LOOKBACK_WEEKS = 8
"""Weeks in which the last four same weekdays with sales are looked for: a few holidays do not end the comparison."""


def week_begins(day: date) -> date:
    """The first day of the week before a day."""
    return day - timedelta(days=WEEK)


def week_before(day: date) -> list[date]:
    """The seven days before, newest first."""
    return [day - timedelta(days=back) for back in range(1, WEEK + 1)]


def same_weekdays(day: date) -> list[date]:
    """Earlier days of the same weekday, newest first."""
    return [day - timedelta(weeks=back) for back in range(1, LOOKBACK_WEEKS + 1)]


def with_compared(day: date) -> list[date]:
    """A day and all that it is compared with, in order."""
    return sorted({day, *week_before(day), *same_weekdays(day)})


@dataclass(frozen=True, slots=True)
class FranchiseDay:
    """One franchise on one business day: Sales Invoices, returns among them, their grand totals and the royalty, in INR."""

    day: date
    customer: str
    customer_name: str
    invoices: int
    sales: Decimal
    royalty: Decimal


@dataclass(frozen=True, slots=True)
class OutletDay:
    """The closed shifts of one outlet on one business day.

    `invoices` counts POS Invoices with returns among them, `sales` is their sum in INR, `returned` that of the returns: zero
    or negative.
    """

    day: date
    pos_profile: str
    shifts: int
    invoices: int
    returns: int
    sales: Decimal
    returned: Decimal


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of the days from `first` to `last` together. Amounts in INR."""

    first: date
    last: date
    sales: Decimal
    royalty: Decimal
    invoices: int
    pos_sales: Decimal
    pos_invoices: int
    returns: int
    returned: Decimal

    @property
    def average_ticket(self) -> Decimal | None:
        """Sales at the till for each POS Invoice that is no return; None without one."""
        return average_ticket(self.pos_sales, self.pos_invoices, self.returns)


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of the days up to and including the business day. Empty where nothing was read."""

    franchises: tuple[FranchiseDay, ...] = ()
    outlets: tuple[OutletDay, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.franchises or self.outlets)

    def only(self, customers: AbstractSet[str], profiles: AbstractSet[str]) -> Past:
        """The part of these franchises and outlets."""
        return Past(
            tuple(one for one in self.franchises if one.customer in customers),
            tuple(one for one in self.outlets if one.pos_profile in profiles),
        )

    def figures(self, first: date, last: date) -> Figures:
        """The sums over the days from `first` to `last`."""
        sold = [one for one in self.franchises if first <= one.day <= last]
        rung = [one for one in self.outlets if first <= one.day <= last]
        return Figures(
            first,
            last,
            _sum(one.sales for one in sold),
            _sum(one.royalty for one in sold),
            sum(one.invoices for one in sold),
            _sum(one.sales for one in rung),
            sum(one.invoices for one in rung),
            sum(one.returns for one in rung),
            _sum(one.returned for one in rung),
        )


def average_ticket(sales: Decimal, invoices: int, returns: int) -> Decimal | None:
    """`sales` (net of returns, INR) for each of the `invoices` that is no return; None without one."""
    tickets = invoices - returns
    return sales / tickets if tickets > 0 else None


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, ZERO)
