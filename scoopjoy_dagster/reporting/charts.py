"""The pictures of a day report, as PNG.

What belongs here: drawing with matplotlib's object interface, never pyplot: no global figure, no state between two reports.
What does not: where a picture goes in a mail or a PDF. Pictures are 1080 pixels wide and set in letters that stay readable
when a phone shows them 340 points wide.
"""

from __future__ import annotations

from decimal import Decimal
from io import BytesIO
from typing import TYPE_CHECKING

from scoopjoy_dagster.reporting.fonts import font_file, printable, shorten
from scoopjoy_dagster.reporting.model import read_rows
from scoopjoy_dagster.reporting.numbers import count, short_money
from scoopjoy_dagster.reporting.summary import outlets_by_sales

if TYPE_CHECKING:
    from datetime import date

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

    from scoopjoy_dagster.reporting.model import DayReport

#: Bars in the chart of outlets before the rest is put together as "others".
TOP_OUTLETS = 12

_WIDTH = 5.4  # inches
_DPI = 200
_NAME_LENGTH = 22
_INK, _MUTED = "#1f2937", "#6b7280"
_BAR, _BAR_NEGATIVE, _BAR_PAST = "#be185d", "#b45309", "#f0a6c6"


def pictures(report: DayReport) -> dict[str, bytes]:
    """The PNGs of a day by name: `sales_by_outlet`, `royalties_by_day`; one that has nothing to show is not there."""
    drawn = {"sales_by_outlet": sales_by_outlet(report), "royalties_by_day": royalties_by_day(report)}
    return {name: png for name, png in drawn.items() if png is not None}


def sales_by_outlet(report: DayReport, *, top: int = TOP_OUTLETS) -> bytes | None:
    """Horizontal bars of the royalty base by franchise, the largest on top; those after the first `top` are one line of text.

    Returns:
        A PNG, or None when the day has no franchise: an empty frame says less than no picture.
    """
    rows = outlets_by_sales(report)
    if not rows:
        return None
    # "1 other" would take the room of the bar that it hides.
    shown = rows if len(rows) <= top + 1 else rows[:top]
    others = rows[len(shown) :]
    labels = [shorten(_without_company(row["customer_name"], report.company), _NAME_LENGTH) for row in shown]
    amounts = [short_money(row["base"], report.currency) for row in shown]
    lengths = [float(row["base"]) for row in shown]  # lengths on paper only; amounts are written from Decimal
    if others:
        # As a bar, fifty small outlets together would dwarf every single one.
        labels.append(count(len(others), "other"))
        amounts.append(
            f"{short_money(sum((row['base'] for row in others), Decimal(0)), report.currency)} together"
        )
        lengths.append(0.0)

    figure, axes = _canvas(height=0.75 + 0.36 * len(labels))
    positions = list(range(len(labels), 0, -1))
    colors = [_BAR if length >= 0 else _BAR_NEGATIVE for length in lengths]
    axes.barh(positions, lengths, color=colors, height=0.68)
    axes.set_ylim(0.4, len(labels) + 0.6)
    _leave_room_for_amounts(axes, lengths)
    axes.set_xticks([])
    _label(axes.yaxis, positions, labels, 11)
    if min(lengths) < 0:
        axes.axvline(0, color=_MUTED, linewidth=0.8)
    for position, amount, length in zip(positions, amounts, lengths, strict=True):
        axes.annotate(
            printable(amount),
            (max(length, 0.0), position),
            xytext=(4, 0),
            textcoords="offset points",
            va="center_baseline",
            color=_INK,
            fontproperties=_font(11),
            parse_math=False,
        )
    _title(figure, axes, "Sales by outlet")
    return _png(figure)


def royalties_by_day(report: DayReport) -> bytes | None:
    """Columns of the royalties of the days in `history`, the business day of the report last and in full colour.

    Returns:
        A PNG, or None when there is no history.
    """
    rows = sorted(read_rows(report, "history"), key=lambda row: row["day"])
    if not rows:
        return None
    days: list[date] = [row["day"] for row in rows]
    last = days[-1]
    positions = [(day - last).days for day in days]  # a day that is missing leaves a gap
    heights = [float(row["royalty"]) for row in rows]

    figure, axes = _canvas(height=2.7)
    axes.bar(
        positions,
        heights,
        color=[_BAR if day == report.business_day else _BAR_PAST for day in days],
        width=0.72,
    )
    axes.set_xlim(min(positions[0], -6) - 0.6, 0.6)
    top, bottom = max(*heights, 0.0), min(*heights, 0.0)
    span = (top - bottom) or 1.0
    axes.set_ylim(bottom - (0.12 * span if bottom < 0 else 0), top + 0.16 * span)
    axes.axhline(0, color=_MUTED, linewidth=0.8)
    axes.set_yticks([])
    _label(axes.xaxis, positions, [f"{day:%a}"[:2] + f"\n{day.day}" for day in days], 9.5)
    # The amounts that people ask for: the day itself and the best day before it.
    best = max(range(len(rows)), key=lambda index: heights[index])
    for index in {len(rows) - 1, best}:
        axes.annotate(
            printable(short_money(rows[index]["royalty"], report.currency)),
            (positions[index], max(heights[index], 0.0)),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            color=_INK,
            fontproperties=_font(10, bold=index == len(rows) - 1),
            parse_math=False,
        )
    _title(figure, axes, f"Royalties, {count(len(rows), 'day')} to {last.day} {last:%B %Y}")
    return _png(figure)


def _without_company(name: str, company: str) -> str:
    """`Koramangala` for `ScoopJoy Koramangala`: on a chart the name of the chain says nothing and takes half the room."""
    short = name.strip()
    if short.casefold().startswith(company.casefold()):
        short = short[len(company) :].lstrip(" -–,:·")
    return short or name


def _canvas(height: float) -> tuple[Figure, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for side in ("top", "right", "bottom", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)
    return figure, axes


def _leave_room_for_amounts(axes: Axes, lengths: list[float]) -> None:
    longest, shortest = max(*lengths, 0.0), min(*lengths, 0.0)
    span = (longest - shortest) or 1.0
    axes.set_xlim(shortest - (0.02 * span if shortest < 0 else 0), longest + 0.3 * span)


def _label(axis: Axis, positions: list[int], labels: list[str], size: float) -> None:
    # Without parse_math=False two dollar signs in a name are TeX, and half of that is an error.
    axis.set_ticks(positions, labels=labels, parse_math=False, color=_INK, fontproperties=_font(size))


def _title(figure: Figure, axes: Axes, text: str) -> None:
    axes.set_title(
        printable(text), loc="left", color=_INK, fontproperties=_font(12, bold=True), parse_math=False, pad=8
    )
    figure.tight_layout(pad=0.6)


def _font(size: float, *, bold: bool = False) -> FontProperties:
    # The file by name: a matplotlibrc or another installed DejaVu cannot change the picture.
    from matplotlib.font_manager import FontProperties

    return FontProperties(fname=font_file(bold=bold), size=size)


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
