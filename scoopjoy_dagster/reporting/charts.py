"""The charts of a day report as data: which bars, how long, what is written at them.

What belongs here: what a chart shows. What does not: drawing it, which the mail does with table cells and `pdf_chart` with rectangles.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from scoopjoy_dagster.reporting.fonts import identified, shorten
from scoopjoy_dagster.reporting.model import read_rows
from scoopjoy_dagster.reporting.numbers import count, short_money
from scoopjoy_dagster.reporting.summary import outlets_by_sales

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from scoopjoy_dagster.reporting.model import DayReport

#: Bars in the chart of outlets before the rest is put together as "others".
TOP_OUTLETS = 12
#: Days in the charts by day, the business day with them.
DAYS = 14
#: Columns that an amount over one of them takes: two amounts closer together would overlap.
AMOUNT_COLUMNS = 3

_NAME_LENGTH = 22
_ZERO = Decimal(0)

Tone = Literal["day", "week", "past", "negative"]
"""The day of the report, the same weekday a week before, other days; an amount below zero, whichever day it is."""

COLORS: dict[Tone, str] = {"day": "#be185d", "week": "#db5f97", "past": "#f0a6c6", "negative": "#b45309"}


@dataclass(frozen=True)
class Bar:
    """One amount of a chart."""

    label: str
    share: Decimal
    """How long to draw it: from -1 to 1, where 1 is the longest bar of the chart."""
    amount: str
    tone: Tone
    told: bool = True
    """Whether there is room to write the amount at the bar."""


@dataclass(frozen=True)
class Chart:
    """Bars from top to bottom, or the columns of `DAYS` days from left to right, the business day last."""

    title: str
    bars: tuple[Bar, ...]
    by_day: bool = False

    @property
    def amounts_above(self) -> list[tuple[int, Bar | None]]:
        """The line above columns: how many columns each cell is wide, and whose amount it holds."""
        cells: list[tuple[int, Bar | None]] = []
        taken, last = 0, len(self.bars) - AMOUNT_COLUMNS
        for index, bar in enumerate(self.bars):
            if bar.told:
                start = min(max(index - 1, 0), last)
                cells += [(start - taken, None), (AMOUNT_COLUMNS, bar)]
                taken = start + AMOUNT_COLUMNS
        cells.append((len(self.bars) - taken, None))
        return [cell for cell in cells if cell[0]]


def day_charts(report: DayReport) -> dict[str, Chart]:
    """The charts of a day by name: `sales_by_outlet`, `royalties_by_day`, `pos_sales_by_day`; only those with something to show."""
    found = {
        "sales_by_outlet": sales_by_outlet(report),
        "royalties_by_day": royalties_by_day(report),
        "pos_sales_by_day": pos_sales_by_day(report),
    }
    return {name: chart for name, chart in found.items() if chart is not None}


def sales_by_outlet(report: DayReport) -> Chart | None:
    """Bars of the royalty base by franchise, the largest first; those after the first `TOP_OUTLETS` are one line of text.

    None where there is nothing to compare.
    """
    rows = outlets_by_sales(report)
    if not rows or (report.view and len(rows) == 1):
        return None
    # "1 other" would take the room of the bar that it hides.
    shown = rows if len(rows) <= TOP_OUTLETS + 1 else rows[:TOP_OUTLETS]
    others = [row["base"] for row in rows[len(shown) :]]
    longest = max(abs(row["base"]) for row in shown) or Decimal(1)
    bars = [
        Bar(
            label=shorten(
                identified(_without_company(row["customer_name"], report.company), row["customer"]),
                _NAME_LENGTH,
            ),
            share=row["base"] / longest,
            amount=short_money(row["base"], report.currency),
            tone="negative" if row["base"] < 0 else "day",
        )
        for row in shown
    ]
    if others:
        # As a bar, fifty small outlets together would dwarf every single one.
        together = short_money(sum(others, _ZERO), report.currency)
        bars.append(Bar(count(len(others), "other"), _ZERO, f"{together} together", "past"))
    return Chart("Sales by outlet", tuple(bars))


def royalties_by_day(report: DayReport) -> Chart | None:
    """Columns of the royalties by day; None where there are none, or the report is about outlets that owe no royalty."""
    if report.view and report.outlets.empty:
        return None
    return _by_day(report, "Royalties", {row["day"]: row["royalty"] for row in read_rows(report, "history")})


def pos_sales_by_day(report: DayReport) -> Chart | None:
    """Columns of the sales at the till by day; None where there are none."""
    return _by_day(
        report,
        "Sales at the till",
        {day: report.past.figures(day, day).pos_sales for day in _days(report)},
    )


def _days(report: DayReport) -> list[date]:
    return [report.business_day - timedelta(days=back) for back in reversed(range(DAYS))]


def _by_day(report: DayReport, what: str, amounts: Mapping[date, Decimal]) -> Chart | None:
    """Written over the columns: the day itself, the best day, and the same weekday a week before, as far as there is room."""
    days = _days(report)
    heights = [amounts.get(day, _ZERO) for day in days]
    if not any(heights):
        return None
    last, week = DAYS - 1, DAYS - 1 - 7
    told = [last]
    for index in (heights.index(max(heights)), week):
        if heights[index] and all(abs(index - other) >= AMOUNT_COLUMNS for other in told):
            told.append(index)
    longest = max(map(abs, heights))
    tones: dict[int, Tone] = {last: "day", week: "week"}
    bars = tuple(
        Bar(
            label=f"{day:%a}"[:2] + f" {day.day}",
            share=height / longest,
            amount=short_money(height, report.currency),
            tone="negative" if height < 0 else tones.get(index, "past"),
            told=index in told,
        )
        for index, (day, height) in enumerate(zip(days, heights, strict=True))
    )
    return Chart(f"{what}, {DAYS} days to {days[-1].day} {days[-1]:%B}", bars, by_day=True)


def _without_company(name: str, company: str) -> str:
    """`Koramangala` for `ScoopJoy Koramangala`: on a chart the name of the chain says nothing and takes half the room."""
    short = name.strip()
    if short.casefold().startswith(company.casefold()):
        short = short[len(company) :].lstrip(" -–,:·")
    return short or name
