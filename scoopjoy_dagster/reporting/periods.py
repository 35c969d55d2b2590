"""What a business day is compared with: the day before, the same weekday, its week and its month.

What belongs here: which days are compared, and the change in words. What does not: markup. The rule of weeks and months goes by
the business day, not by the day of sending: the report of a Sunday (mailed on Monday at 01:00) carries the week from Monday to
that Sunday; the report of the last day of a month (mailed on the 1st) carries the whole month; every other report has one line
of the month to date.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from scoopjoy_dagster.accounting.past import average_ticket
from scoopjoy_dagster.reporting.model import read_rows
from scoopjoy_dagster.reporting.numbers import count, group_indian, money

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scoopjoy_dagster.reporting.model import DayReport, Row

_ZERO = Decimal(0)
_SUNDAY = 6


@dataclass(frozen=True)
class Compared:
    """A figure beside an earlier one: how it moved (`+12.4 %`), since when, and whether it rose (1), fell (-1) or neither."""

    moved: str
    since: str
    direction: int


@dataclass(frozen=True)
class Tile:
    """A headline number with what it is compared with."""

    label: str
    value: str
    compared: tuple[Compared, ...] = ()


@dataclass(frozen=True)
class OutletRow:
    """One outlet's day at the till: its closed shifts together. `sales` in the company's currency, net of returns."""

    pos_profile: str
    shifts: int
    invoices: int
    returns: int
    sales: Decimal

    @property
    def ticket(self) -> Decimal | None:
        """The average ticket; None where every invoice is a return, or none was made."""
        return average_ticket(self.sales, self.invoices, self.returns)


@dataclass(frozen=True)
class PeriodRow:
    """One franchise or outlet over a period and the one before. Amounts in the company's currency."""

    name: str
    now: Decimal
    before: Decimal

    @property
    def change(self) -> str:
        """The change in percent, or in words where there is nothing to divide by."""
        return change(self.now, self.before)


@dataclass(frozen=True)
class PeriodView:
    """A week or a month with the one before: sums, and sections of rows by day, outlet and franchise."""

    sheet: str
    """`Week` or `Month`: what the workbook calls it."""
    title: str
    before_title: str
    figures: tuple[PeriodRow, ...]
    sections: tuple[tuple[str, tuple[PeriodRow, ...]], ...]
    """Heading and rows; those in which nothing was sold are left out."""


def first_day_needed(day: date) -> date:
    """The first day that the report of `day` looks at: two weeks, the month, and at its end the month before."""
    start = day.replace(day=1)
    if _ends_month(day):
        start = (start - timedelta(days=1)).replace(day=1)
    return min(start, day - timedelta(days=13))


def first_day_carried(day: date) -> date:
    """The first day of the week or month that the report of `day` carries; `day` itself where it carries neither."""
    week = day - timedelta(days=6) if day.weekday() == _SUNDAY else day
    return min(week, day.replace(day=1)) if _ends_month(day) else week


def change(now: Decimal, before: Decimal) -> str:
    """`+12.4 %`, `-3.0 %`, `unchanged`; `new` where there was nothing before."""
    if now == before:
        return "unchanged"
    if not before:
        return "new"
    part = ((now - before) / abs(before) * 100).quantize(Decimal("0.1"), ROUND_HALF_UP)
    return f"{'+' if now > before else '-'}{group_indian(abs(part), 1)} %"


def tiles(report: DayReport) -> list[Tile]:
    """The headline numbers; those of franchises are left out of a report about tills alone, and the reverse."""
    day, currency, totals = report.business_day, report.currency, report.totals
    shifts = read_rows(report, "shifts")
    invoices, returns = sum(row["invoices"] for row in shifts), sum(row["returns"] for row in shifts)
    ticket = average_ticket(totals["pos_sales"], invoices, returns)
    yesterday, week = (report.past.figures(one, one) for one in (day - timedelta(1), day - timedelta(7)))

    def compared(now: Decimal | None, then: Iterable[Decimal | None]) -> tuple[Compared, ...]:
        if not report.past or now is None:
            return ()
        return tuple(
            _compared(now, before, figures.first)
            for before, figures in zip(then, (yesterday, week), strict=True)
        )

    found = []
    if not report.view or not report.outlets.empty:
        found += [
            Tile(
                "Sales",
                money(totals["sales"], currency),
                compared(totals["sales"], [yesterday.sales, week.sales]),
            ),
            Tile(
                "Royalty",
                money(totals["royalty"], currency),
                compared(totals["royalty"], [yesterday.royalty, week.royalty]),
            ),
        ]
    if not report.view or not found or shifts or report.past.outlets:
        found += [
            Tile(
                "POS sales",
                money(totals["pos_sales"], currency),
                compared(totals["pos_sales"], [yesterday.pos_sales, week.pos_sales]),
            ),
            Tile(
                "Average ticket",
                "none" if ticket is None else money(ticket, currency),
                compared(ticket, [yesterday.average_ticket, week.average_ticket]),
            ),
        ]
    return found


def outlet_rows(report: DayReport) -> list[OutletRow]:
    """The day at the till by outlet, the largest sales first."""
    groups: defaultdict[str, list[Row]] = defaultdict(list)
    for row in read_rows(report, "shifts"):
        groups[row["pos_profile"]].append(row)
    rows = [
        OutletRow(
            profile,
            len(shifts),
            sum(row["invoices"] for row in shifts),
            sum(row["returns"] for row in shifts),
            sum((row["sales"] for row in shifts), _ZERO),
        )
        for profile, shifts in groups.items()
    ]
    return sorted(rows, key=lambda row: (-row.sales, row.pos_profile))


def returns_sentence(report: DayReport) -> str:
    """The returns of the day in one sentence: at the till and among the Sales Invoices of franchises."""
    day, currency = report.business_day, report.currency
    at_till = sum(row["returns"] for row in read_rows(report, "shifts"))
    parts = []
    if at_till:
        amount = report.past.figures(day, day).returned
        parts.append(
            f"{count(at_till, 'return')} at the till" + (f" of {money(-amount, currency)}" if amount else "")
        )
    invoiced = [row["base"] for row in read_rows(report, "invoices") if row["is_return"]]
    if invoiced:
        total = money(-sum(invoiced, _ZERO), currency)
        parts.append(f"{count(len(invoiced), 'return')} of {total} among the invoices of franchises")
    return f"{' and '.join(parts)}." if parts else "No returns."


def weekly(report: DayReport) -> PeriodView | None:
    """The week from Monday to the business day with the week before; None unless the business day is a Sunday."""
    day = report.business_day
    if not report.past or day.weekday() != _SUNDAY:
        return None
    first, back = day - timedelta(days=6), timedelta(days=7)
    days = [first + timedelta(days=offset) for offset in range(7)]
    pairs = [
        (one, report.past.figures(one, one), report.past.figures(one - back, one - back)) for one in days
    ]
    by_day = tuple(
        (
            label,
            tuple(
                PeriodRow(short_date(one), getattr(now, key), getattr(then, key)) for one, now, then in pairs
            ),
        )
        for label, key in (("POS sales by day", "pos_sales"), ("Sales by day", "sales"))
    )
    titles = "Week", f"Week of {_span(first, day)}", "Week before"
    return _view(report, titles, (first, day), (first - back, day - back), by_day)


def monthly(report: DayReport) -> PeriodView | None:
    """The whole month with the month before; None unless the business day is the last of its month."""
    day = report.business_day
    if not report.past or not _ends_month(day):
        return None
    first = day.replace(day=1)
    before = first - timedelta(days=1)
    titles = "Month", f"{day:%B %Y}", f"{before:%B %Y}"
    return _view(report, titles, (first, day), (before.replace(day=1), before), ())


def month_to_date(report: DayReport) -> str:
    """The month up to and including the business day in one line; empty where the whole month is shown, or nothing is known."""
    day, currency = report.business_day, report.currency
    if not report.past or _ends_month(day):
        return ""
    figures = report.past.figures(day.replace(day=1), day)
    parts = []
    if not report.view or not report.outlets.empty:
        parts += [f"sales {money(figures.sales, currency)}", f"royalty {money(figures.royalty, currency)}"]
    if not report.view or figures.pos_invoices:
        parts.append(f"POS sales {money(figures.pos_sales, currency)}")
    return f"{day:%B} to date ({count(day.day, 'day')}): {', '.join(parts)}." if parts else ""


def short_date(day: date) -> str:
    """`Sun 15 Nov`."""
    return f"{day:%a} {day.day} {day:%b}"


def _view(
    report: DayReport,
    titles: tuple[str, str, str],
    now: tuple[date, date],
    before: tuple[date, date],
    by_day: tuple[tuple[str, tuple[PeriodRow, ...]], ...],
) -> PeriodView:
    past = report.past
    names = {one.customer: one.customer_name.strip() or one.customer for one in past.franchises}
    sums = past.figures(*now), past.figures(*before)
    figures = [
        PeriodRow(label, *(getattr(one, key) for one in sums))
        for label, key in (("Sales", "sales"), ("Royalty", "royalty"), ("POS sales", "pos_sales"))
    ]
    sections = (
        *by_day,
        (
            "POS sales by outlet",
            _rows([(one.day, one.pos_profile, one.sales) for one in past.outlets], now, before, {}),
        ),
        (
            "Sales by franchise",
            _rows([(one.day, one.customer, one.sales) for one in past.franchises], now, before, names),
        ),
    )
    return PeriodView(
        *titles,
        tuple(row for row in figures if row.now or row.before or not report.view),
        tuple((label, rows) for label, rows in sections if any(row.now or row.before for row in rows)),
    )


def _rows(
    amounts: Iterable[tuple[date, str, Decimal]],
    now: tuple[date, date],
    before: tuple[date, date],
    names: dict[str, str],
) -> tuple[PeriodRow, ...]:
    sums: defaultdict[str, list[Decimal]] = defaultdict(lambda: [_ZERO, _ZERO])
    for day, who, amount in amounts:
        for index, (first, last) in enumerate((now, before)):
            if first <= day <= last:
                sums[who][index] += amount
    rows = [PeriodRow(names.get(who, who), *both) for who, both in sums.items()]
    return tuple(sorted(rows, key=lambda row: (-row.now, -row.before, row.name)))


def _compared(now: Decimal, before: Decimal | None, day: date) -> Compared:
    if not before:
        return Compared("nothing", short_date(day), 0)
    return Compared(change(now, before), short_date(day), (now > before) - (now < before))


def _span(first: date, last: date) -> str:
    """`16-22 November 2026`, `28 September-4 October 2026`."""
    begin = f"{first.day}" if first.month == last.month else f"{first.day} {first:%B}"
    return f"{begin}–{last.day} {last:%B %Y}"


def _ends_month(day: date) -> bool:
    return (day + timedelta(days=1)).day == 1
