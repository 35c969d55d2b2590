"""The pictures of a day report, as PNG.

What belongs here: what is drawn. What does not: how (that is `chart_canvas`), and where a picture goes in a mail or a PDF.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from scoopjoy_dagster.reporting.chart_canvas import bars, columns
from scoopjoy_dagster.reporting.fonts import identified, shorten
from scoopjoy_dagster.reporting.model import read_rows
from scoopjoy_dagster.reporting.numbers import count, short_money
from scoopjoy_dagster.reporting.summary import outlets_by_sales

if TYPE_CHECKING:
    from datetime import date

    from scoopjoy_dagster.reporting.model import DayReport

#: Bars in the chart of outlets before the rest is put together as "others".
TOP_OUTLETS = 12
#: Days in the charts by day, the business day with them.
DAYS = 14

_NAME_LENGTH = 22


def pictures(report: DayReport) -> dict[str, bytes]:
    """The PNGs of a day by name: `sales_by_outlet`, `royalties_by_day`, `pos_sales_by_day`.

    One that has nothing to show is not there.
    """
    drawn = {
        "sales_by_outlet": sales_by_outlet(report),
        "royalties_by_day": royalties_by_day(report),
        "pos_sales_by_day": pos_sales_by_day(report),
    }
    return {name: png for name, png in drawn.items() if png is not None}


def sales_by_outlet(report: DayReport, *, top: int = TOP_OUTLETS) -> bytes | None:
    """Horizontal bars of the royalty base by franchise, the largest on top; those after the first `top` are one line of text.

    Returns:
        A PNG, or None when there is nothing to compare: an empty frame says less than no picture.
    """
    rows = outlets_by_sales(report)
    if not rows or (report.view and len(rows) == 1):  # one bar alone compares nothing
        return None
    # "1 other" would take the room of the bar that it hides.
    shown = rows if len(rows) <= top + 1 else rows[:top]
    others = rows[len(shown) :]
    names = [
        identified(_without_company(row["customer_name"], report.company), row["customer"]) for row in shown
    ]
    labels = [shorten(name, _NAME_LENGTH) for name in names]
    amounts = [short_money(row["base"], report.currency) for row in shown]
    lengths = [row["base"] for row in shown]
    if others:
        # As a bar, fifty small outlets together would dwarf every single one.
        labels.append(count(len(others), "other"))
        amounts.append(
            f"{short_money(sum((row['base'] for row in others), Decimal(0)), report.currency)} together"
        )
        lengths.append(Decimal(0))
    return bars("Sales by outlet", labels, lengths, amounts)


def royalties_by_day(report: DayReport) -> bytes | None:
    """Columns of the royalties of the days in `history`, the business day of the report last and in full colour.

    Returns:
        A PNG, or None when there is no history, or when the report is about outlets that owe no royalty.
    """
    rows = sorted(read_rows(report, "history"), key=lambda row: row["day"])
    if not rows or (report.view and report.outlets.empty):
        return None
    return _by_day(report, "Royalties", [(row["day"], row["royalty"]) for row in rows])


def pos_sales_by_day(report: DayReport) -> bytes | None:
    """Columns of the sales at the till of the last two weeks, as `royalties_by_day`; None where no shift is known."""
    day = report.business_day
    days = [day - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    amounts = [(one, report.past.figures(one, one).pos_sales) for one in days]
    if not any(amount for _, amount in amounts):
        return None
    return _by_day(report, "Sales at the till", amounts)


def _by_day(report: DayReport, what: str, amounts: list[tuple[date, Decimal]]) -> bytes:
    """Columns by day. Written over them: the day itself, the same weekday a week before, and the best day."""
    days = [day for day, _ in amounts]
    heights = [amount for _, amount in amounts]
    last, week = len(days) - 1, days[-1] - timedelta(days=7)
    best = max(range(len(days)), key=lambda index: heights[index])
    told = {last, best}
    # Two amounts side by side would overlap.
    if week in days and heights[days.index(week)] and abs(days.index(week) - best) > 2:
        told.add(days.index(week))
    return columns(
        f"{what}, {count(len(days), 'day')} to {days[-1].day} {days[-1]:%B %Y}",
        positions=[(day - days[-1]).days for day in days],  # a day that is missing leaves a gap
        labels=[f"{day:%a}"[:2] + f"\n{day.day}" for day in days],
        heights=heights,
        amounts={index: short_money(heights[index], report.currency) for index in told},
        strong=[day == report.business_day for day in days],
        marked=[day == week for day in days],
    )


def _without_company(name: str, company: str) -> str:
    """`Koramangala` for `ScoopJoy Koramangala`: on a chart the name of the chain says nothing and takes half the room."""
    short = name.strip()
    if short.casefold().startswith(company.casefold()):
        short = short[len(company) :].lstrip(" -–,:·")
    return short or name
