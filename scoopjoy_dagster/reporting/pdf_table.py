"""Tables in our PDFs that run over pages: headings repeated, sums carried forward and brought forward.

What belongs here: how a table is cut into pages. What does not: what stands in it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from reportlab.platypus import Flowable, Table

from scoopjoy_dagster.reporting.fonts import printable
from scoopjoy_dagster.reporting.numbers import group_indian
from scoopjoy_dagster.reporting.pdf_text import (
    FONT,
    INK,
    LEADING,
    MAX_TEXT,
    MUTED,
    RULE,
    SIZE,
    color,
    fits,
    from_markup,
    marked_up,
    paragraph,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scoopjoy_dagster.reporting.pdf_page import Cell, Column

_PADDING = 5.0  # points at the sides of a cell
_AROUND = 3.0  # above and below it
_ENDLESS = 1e9  # points: reportlab measures only the rows that fit into the height it is given
_LINES = 25  # of one cell: a row has to fit on a page
_CARRIED, _BROUGHT = "Carried forward", "Brought forward"


class CarriedTable(Flowable):
    """A table that cuts itself: each page but the last ends with the sums so far, and the next begins with them."""

    def __init__(
        self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: float, total: str = ""
    ) -> None:
        """Make the cells of the whole table.

        Args:
            columns: From left to right; the shares are of the width and need not add up to 1.
            rows: One cell per column.
            width: In points.
            total: Label of the last row, which shows the sums; empty: there is none.
        """
        super().__init__()
        whole = sum(column.share for column in columns)
        self._columns = columns
        self._widths = [width * column.share / whole for column in columns]
        self._head = [paragraph(column.heading, f"head {column.align}") for column in columns]
        self._rows = [
            [_cell(*parts) for parts in zip(columns, self._widths, row, strict=True)] for row in rows
        ]
        self._amounts = [[cell if isinstance(cell, Decimal) else Decimal(0) for cell in row] for row in rows]
        self._total = total
        self._sums = self._added([Decimal(0)] * len(columns), self._amounts)  # of the whole table
        self._brought: list[Decimal] | None = None
        # Heights in points, measured once: every page asks again how much fits.
        self._heights: list[float] = []
        self._head_height = 0.0

    def wrap(self, _width: float, _height: float) -> tuple[float, float]:
        """The size that the table wants. The interface of reportlab."""
        if not self._heights:
            grid = self._styled([self._head, *self._rows])
            grid.wrap(sum(self._widths), _ENDLESS)
            self._head_height, *self._heights = grid._rowHeights  # noqa: SLF001 - reportlab has no other way to ask
        high = self._top_height + sum(self._heights)
        if self._total:
            high += self._height_of(self._sum_row(self._total, self._sums))
        return sum(self._widths), high

    def least_height(self) -> float:
        """Points that the first page of the table needs: the headings, one row, and the sums."""
        self.wrap(0, 0)
        sums = self._sum_row(self._total or _CARRIED, self._sums)
        return self._top_height + sum(self._heights[:1]) + self._height_of(sums)

    def draw(self) -> None:
        """Draw it; the interface of reportlab."""
        rows = [*self._top, *self._rows]
        heights = [*self._top_heights, *self._heights]
        if self._total:
            rows.append(self._sum_row(self._total, self._sums))
            heights.append(self._height_of(rows[-1]))
        grid = self._styled(rows, heights, sums=bool(self._total))
        grid.wrapOn(self.canv, sum(self._widths), _ENDLESS)
        grid.drawOn(self.canv, 0, 0)

    def split(self, width: float, height: float) -> list[Any]:
        """What fits into `height` with its sums, and the rest; empty when not even one row does. The interface of reportlab."""
        self.wrap(width, height)
        room = height - self._top_height
        if self._summed:
            room -= self._height_of(self._sum_row(_CARRIED, self._sums))
        count = 0
        for high in self._heights:
            if high > room:
                break
            room -= high
            count += 1
        if count == len(self._rows):
            count -= 1  # the sums of the whole table are not alone on a page
        if count < 1:
            return []
        sums = self._added(self._brought or [Decimal(0)] * len(self._columns), self._amounts[:count])
        carried = [self._sum_row(_CARRIED, sums)] if self._summed else []
        page = self._styled(
            [*self._top, *self._rows[:count], *carried],
            [*self._top_heights, *self._heights[:count], *map(self._height_of, carried)],
            sums=bool(carried),
        )
        return [page, self._rest(count, sums)]

    @property
    def _top(self) -> list[list[Any]]:
        """The rows above those of the page: the headings, and what the page before came to."""
        brought = [] if self._brought is None else [self._sum_row(_BROUGHT, self._brought)]
        return [self._head, *brought]

    @property
    def _top_height(self) -> float:
        return sum(self._top_heights)

    @property
    def _top_heights(self) -> list[float]:
        return [self._head_height, *(self._height_of(row) for row in self._top[1:])]

    def _height_of(self, row: list[Any]) -> float:
        """Points of a row of `_sum_row`; as reportlab's table measures it, which costs five times as much."""
        cells = zip(row, self._widths, strict=True)
        high = max(cell.wrap(width - 2 * _PADDING, _ENDLESS)[1] for cell, width in cells)
        return float(high) + 2 * _AROUND

    @property
    def _summed(self) -> bool:
        return any(column.places is not None for column in self._columns)

    @staticmethod
    def _added(begin: Sequence[Decimal], amounts: Sequence[Sequence[Decimal]]) -> list[Decimal]:
        return [start + sum((row[index] for row in amounts), Decimal(0)) for index, start in enumerate(begin)]

    def _rest(self, count: int, sums: list[Decimal]) -> CarriedTable:
        """The table from row `count` on, with what was measured already."""
        rest = CarriedTable(self._columns, [], sum(self._widths), self._total)
        rest._sums = self._sums
        rest._rows, rest._amounts = self._rows[count:], self._amounts[count:]
        rest._heights, rest._head_height = self._heights[count:], self._head_height
        rest._brought = sums if self._summed else None
        return rest

    def _styled(
        self, data: list[list[Any]], heights: Sequence[float] | None = None, *, sums: bool = False
    ) -> Any:
        """The rows of one page as reportlab's table, which measures them unless `heights` are given.

        `sums`: the last row is one of sums.
        """
        grid = Table(data, colWidths=self._widths, rowHeights=heights, repeatRows=1, hAlign="LEFT")
        grid.setStyle(
            [
                ("FONT", (0, 0), (-1, -1), FONT, SIZE, SIZE * LEADING),
                ("TEXTCOLOR", (0, 0), (-1, -1), color(INK)),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), _PADDING),
                ("RIGHTPADDING", (0, 0), (-1, -1), _PADDING),
                ("TOPPADDING", (0, 0), (-1, -1), _AROUND),
                ("BOTTOMPADDING", (0, 0), (-1, -1), _AROUND),
                ("LINEBELOW", (0, 0), (-1, 0), 1, color(MUTED)),
                ("LINEBELOW", (0, 1), (-1, -1), 0.4, color(RULE)),
                *(
                    ("ALIGN", (index, 0), (index, -1), column.align.upper())
                    for index, column in enumerate(self._columns)
                ),
                *([("LINEABOVE", (0, -1), (-1, -1), 1, color(MUTED))] if sums else []),
            ]
        )
        return grid

    def _sum_row(self, label: str, sums: Sequence[Decimal]) -> list[Any]:
        cells: list[Any] = []
        for index, column in enumerate(self._columns):
            if column.places is not None:
                text = group_indian(sums[index], column.places)
            else:
                text = label if index == 0 else ""
            cells.append(paragraph(text, f"bold {column.align}"))
        return cells


def _cell(column: Column, width: float, cell: Cell) -> Any:
    if isinstance(cell, Decimal):
        cell = group_indian(cell, 2 if column.places is None else column.places)
    if isinstance(cell, list):
        lines = [marked_up(line) for line in cell]
        if any("<font" in line for line in lines):
            return from_markup("<br/>".join(lines), column.align)
        return "\n".join(printable(line) for line in cell)
    text, under = cell if isinstance(cell, tuple) else (cell, "")
    if not under and fits(text, width - 2 * _PADDING):
        return printable(text)  # a plain string is drawn as it is, and ten times faster than a paragraph
    letters = min(MAX_TEXT, int(_LINES * width / (0.6 * SIZE)))
    markup = marked_up(text, letters)
    if under:
        markup += f'{"<br/>" if markup else ""}<font size="7" color="{MUTED}">{marked_up(under, letters // 2)}</font>'
    return from_markup(markup, column.align)
