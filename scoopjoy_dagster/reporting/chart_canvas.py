"""Bars and columns, drawn with matplotlib's object interface, never pyplot: no global figure, no state between two reports.

What belongs here: everything that touches matplotlib. What does not: which figures are drawn. Pictures are 1080 pixels wide and
set in letters that stay readable when a phone shows them 340 points wide; they have a white ground of their own, so that they
are readable in a dark mail too.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from scoopjoy_dagster.reporting.fonts import font_file, printable, runs, script_fonts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

_WIDTH = 5.4  # inches
_DPI = 200
_ZERO = Decimal(0)

Length = Any
"""A Decimal. matplotlib draws them (`matplotlib.units.DecimalConverter`), but its type hints know floats only."""

_INK, _MUTED = "#1f2937", "#6b7280"
_BAR, _BAR_NEGATIVE, _BAR_PAST, _BAR_WEEK = "#be185d", "#b45309", "#f0a6c6", "#db5f97"


def bars(title: str, labels: Sequence[str], lengths: Sequence[Decimal], amounts: Sequence[str]) -> bytes:
    """Horizontal bars from top to bottom, each with its label before and its amount behind it, as PNG."""
    figure, axes = _canvas(height=0.75 + 0.36 * len(labels))
    positions = list(range(len(labels), 0, -1))
    widths = _shares_of_the_longest(lengths)
    colors = [_BAR if width >= 0 else _BAR_NEGATIVE for width in widths]
    axes.barh(positions, widths, color=colors, height=0.68)
    axes.set_ylim(0.4, len(labels) + 0.6)
    axes.set_xlim(_leave_room(widths, below=Decimal("0.02"), above=Decimal("0.3")))
    axes.set_xticks([])
    _label(axes.yaxis, positions, labels, 11)
    if min(widths) < 0:
        axes.axvline(0, color=_MUTED, linewidth=0.8)
    for position, amount, width in zip(positions, amounts, widths, strict=True):
        axes.annotate(
            printable(amount),
            (max(width, _ZERO), position),
            xytext=(4, 0),
            textcoords="offset points",
            va="center_baseline",
            color=_INK,
            fontproperties=_font(11),
            parse_math=False,
        )
    _title(figure, axes, title)
    return _png(figure)


def columns(
    title: str,
    *,
    positions: Sequence[int],
    labels: Sequence[str],
    heights: Sequence[Decimal],
    amounts: Mapping[int, str],
    strong: Sequence[bool],
    marked: Sequence[bool],
) -> bytes:
    """Columns from left to right, the last at position 0, as PNG.

    Args:
        title: over the picture.
        positions: of the columns, rising.
        labels: under the columns.
        heights: of the columns.
        amounts: written over some of them, by index; in bold over a strong one.
        strong: columns in full colour.
        marked: columns that are a little paler than those.
    """
    tops = _shares_of_the_longest(heights)
    figure, axes = _canvas(height=2.7)
    colors = [
        _BAR if one else _BAR_WEEK if other else _BAR_PAST for one, other in zip(strong, marked, strict=True)
    ]
    axes.bar(positions, tops, color=colors, width=0.72)
    axes.set_xlim(min(positions[0], -6) - 0.6, 0.6)
    axes.set_ylim(_leave_room(tops, below=Decimal("0.12"), above=Decimal("0.16")))
    axes.axhline(0, color=_MUTED, linewidth=0.8)
    axes.set_yticks([])
    _label(axes.xaxis, positions, labels, 9.5)
    for index, amount in amounts.items():
        last = index == len(tops) - 1
        axes.annotate(
            printable(amount),
            (positions[index] + (0.4 if last else 0), max(tops[index], _ZERO)),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right" if last else "center",  # over the last column it would leave the picture
            color=_INK,
            fontproperties=_font(10, bold=strong[index]),
            parse_math=False,
            # Higher columns beside it would run through the figures.
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )
    _title(figure, axes, title)
    return _png(figure)


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


def _shares_of_the_longest(amounts: Sequence[Decimal]) -> list[Length]:
    """How long to draw each amount: from -1 to 1, so that an amount of any size can be drawn."""
    longest = max(map(abs, amounts), default=_ZERO) or Decimal(1)
    return [amount / longest for amount in amounts]


def _leave_room(lengths: Sequence[Length], *, below: Decimal, above: Decimal) -> tuple[Length, Length]:
    """From where to where an axis goes: so much of the span is free above, and below where an amount is negative."""
    longest, shortest = max(*lengths, _ZERO), min(*lengths, _ZERO)
    span = (longest - shortest) or Decimal(1)
    return shortest - (below * span if shortest < 0 else _ZERO), longest + above * span


def _label(axis: Axis, positions: Sequence[int], labels: Sequence[str], size: float) -> None:
    # Without parse_math=False two dollar signs in a name are TeX, and half of that is an error.
    axis.set_ticks(
        positions, labels=labels, parse_math=False, color=_INK, fontproperties=_font(size, texts=labels)
    )


def _title(figure: Figure, axes: Axes, text: str) -> None:
    axes.set_title(
        printable(text), loc="left", color=_INK, fontproperties=_font(12, bold=True), parse_math=False, pad=8
    )
    figure.tight_layout(pad=0.6)


def _font(size: float, *, bold: bool = False, texts: Iterable[str] = ()) -> FontProperties:
    from matplotlib.font_manager import FontProperties

    families = sorted({family for text in texts for family, _ in runs(text) if family})
    if families:
        _register_script_fonts()
        return FontProperties(family=["DejaVu Sans", *families], size=size)
    # The file by name: a matplotlibrc or another installed DejaVu cannot change the picture.
    return FontProperties(fname=font_file(bold=bold), size=size)


@cache
def _register_script_fonts() -> None:
    from matplotlib.font_manager import fontManager

    for file in script_fonts().values():
        fontManager.addfont(file)


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
