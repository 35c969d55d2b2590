"""Charts in our PDFs: rectangles and letters.

What belongs here: how a chart is drawn. What does not: what it shows (that is `charts`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reportlab.platypus import Flowable

from scoopjoy_dagster.reporting.charts import COLORS
from scoopjoy_dagster.reporting.pdf_text import BOLD, FONT, INK, MUTED, SIZE, color, paragraph

if TYPE_CHECKING:
    from scoopjoy_dagster.reporting.charts import Chart

# Points.
_TITLE, _BELOW = 22.0, 8.0
_ROW = 15.0  # a bar with the space around it
_COLUMNS, _AMOUNTS, _DAYS = 80.0, 12.0, 22.0  # the columns, the amounts over them, the days under them
_THICK = 0.72  # of the room that a bar or column has


class BarChart(Flowable):
    """A chart of a given width in points."""

    def __init__(self, chart: Chart, width: float) -> None:
        super().__init__()
        self._chart, self.width = chart, width
        high = _AMOUNTS + _COLUMNS + _DAYS if chart.by_day else _ROW * len(chart.bars)
        self.height = _TITLE + high + _BELOW

    def draw(self) -> None:
        """Draw it; the interface of reportlab."""
        self._text(0, self.height - 10, self._chart.title, bold=True, size=9)
        if self._chart.by_day:
            self._columns()
        else:
            self._bars()

    def _bars(self) -> None:
        labels = self.width * 0.42
        longest = (self.width - labels) * 0.7  # behind a bar stands its amount
        for index, bar in enumerate(self._chart.bars):
            y = self.height - _TITLE - _ROW * (index + 1)
            label = paragraph(bar.label, "right")
            _, high = label.wrap(labels - 6, _ROW)
            label.drawOn(self.canv, 0, y + (_ROW - high) / 2)
            long = longest * float(abs(bar.share))
            self.canv.setFillColor(color(COLORS[bar.tone]))
            self.canv.rect(labels, y + _ROW * (1 - _THICK) / 2, long, _ROW * _THICK, stroke=0, fill=1)
            self._text(labels + long + 4, y + (_ROW - SIZE) / 2 + 1.5, bar.amount)

    def _columns(self) -> None:
        bars = self._chart.bars
        step = self.width / len(bars)
        shares = [0.0, *(float(bar.share) for bar in bars)]
        lowest = min(shares)
        scale = _COLUMNS / (max(shares) - lowest)
        zero = _BELOW + _DAYS - lowest * scale
        for index, bar in enumerate(bars):
            middle = step * (index + 0.5)
            self.canv.setFillColor(color(COLORS[bar.tone]))
            thick = step * _THICK
            self.canv.rect(middle - thick / 2, zero, thick, float(bar.share) * scale, stroke=0, fill=1)
            for line, part in enumerate(bar.label.split()):
                self._text(middle, _BELOW + _DAYS - 9 * (line + 1), part, size=7, side="Centred")
            if bar.told:
                top = _BELOW + _DAYS + _COLUMNS + 4
                if index < len(bars) - 1:
                    self._text(middle, top, bar.amount, side="Centred")
                else:  # centred over the last column it would leave the page
                    self._text(self.width, top, bar.amount, bold=True, side="Right")
        self.canv.setStrokeColor(color(MUTED))
        self.canv.setLineWidth(0.5)
        self.canv.line(0, zero, self.width, zero)

    def _text(
        self, x: float, y: float, text: str, *, bold: bool = False, size: float = SIZE, side: str = ""
    ) -> None:
        """Letters of Noto Sans that begin, end (`Right`) or have their middle (`Centred`) at `x`."""
        self.canv.setFillColor(color(INK))
        self.canv.setFont(BOLD if bold else FONT, size)
        getattr(self.canv, f"draw{side}String")(x, y, text)
