"""The building blocks of our PDFs: A4 pages with a footer, headings, paragraphs, figures, charts and tables.

What belongs here: the pages that reportlab lays out. What does not: what a document says (that is `pdf` and `pdf_statement`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

from scoopjoy_dagster.reporting.fonts import printable, shorten
from scoopjoy_dagster.reporting.pdf_text import ACCENT, FONT, MARGIN, MUTED, WIDTH, paragraph, register_fonts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reportlab.pdfgen.canvas import Canvas

    from scoopjoy_dagster.reporting.charts import Chart

Align = Literal["left", "right"]

#: A text; a text and the small grey text under it; lines that stand beside the lines of the next cell; or an amount that is
#: written by its column and counts in the column's sum.
Cell = str | tuple[str, str] | list[str] | Decimal


@dataclass(frozen=True)
class Column:
    """One column of a table: its heading, its share of the page width, and the side its text keeps to.

    `places` are the decimals of a column of amounts: it has a sum, which is carried from page to page.
    """

    heading: str
    share: float
    align: Align = "left"
    places: int | None = None


_HEADING = 36.0  # points: a heading with the space around it


@dataclass
class Document:
    """A PDF in the making. The same calls in the same order give the same bytes.

    Args:
        title: In the document's properties and in the footer.
        author: In the document's properties: the company.
        subject: In the document's properties, for those who trace it: policy version and run.
    """

    title: str
    author: str
    subject: str = ""
    _story: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        register_fonts()

    def masthead(self, company: str, title: str, subtitle: str) -> None:
        """The coloured band at the top of the first page."""
        from reportlab.platypus import Table

        lines = [[paragraph(company, "over")], [paragraph(title, "title")], [paragraph(subtitle, "under")]]
        band = Table(lines, colWidths=[WIDTH])
        band.setStyle(
            [
                ("BACKGROUND", (0, 0), (-1, -1), ACCENT),
                ("LEFTPADDING", (0, 0), (-1, -1), 14),
                ("TOPPADDING", (0, 0), (-1, -1), 1),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
                ("TOPPADDING", (0, 0), (-1, 0), 10),
                ("BOTTOMPADDING", (0, -1), (-1, -1), 11),
            ]
        )
        self._story.append(band)
        self.space(12)

    def figures(self, figures: Sequence[tuple[str, str, Sequence[str]]]) -> None:
        """Headline numbers side by side: each under its label, with small lines below it."""
        from reportlab.platypus import Table

        rows = [
            [paragraph(label, "small") for label, _, _ in figures],
            [paragraph(value, "figure") for _, value, _ in figures],
            [[paragraph(line, "tiny") for line in lines] or "" for _, _, lines in figures],
        ]
        tiles = Table(rows, colWidths=[WIDTH / len(figures)] * len(figures))
        tiles.setStyle(
            [
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("TOPPADDING", (0, 0), (-1, -1), 1),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ]
        )
        self._story.append(tiles)
        self.space(6)

    def heading(self, text: str) -> None:
        """A heading that does not stand alone at the end of a page; see `table`."""
        from reportlab.platypus import CondPageBreak

        self._story.append(CondPageBreak(_HEADING))
        self._story.append(paragraph(text, "heading"))

    def text(self, text: str, style: str = "body") -> None:
        """A paragraph in one of the styles `body`, `small`, `good`, `care`, `bad`, `notice`."""
        self._story.append(paragraph(text, style))

    def space(self, points: float) -> None:
        from reportlab.platypus import Spacer

        self._story.append(Spacer(1, points))

    def charts(self, charts: Sequence[Chart]) -> None:
        """Charts over the width of the page, two in a row."""
        from reportlab.platypus import Table

        from scoopjoy_dagster.reporting.pdf_chart import BarChart

        for pair in (charts[index : index + 2] for index in range(0, len(charts), 2)):
            drawn = [BarChart(chart, WIDTH / 2 - 8) for chart in pair]
            row = Table([drawn], colWidths=[WIDTH / 2] * len(pair), hAlign="LEFT")
            row.setStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)])
            self._story.append(row)

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]], total: str = "") -> None:
        """A table whose headings are repeated on every page and whose sums are carried; see `CarriedTable`."""
        from reportlab.platypus import CondPageBreak

        from scoopjoy_dagster.reporting.pdf_table import CarriedTable

        made = CarriedTable(columns, list(rows), WIDTH, total)
        if len(self._story) > 1 and isinstance(self._story[-2], CondPageBreak):
            self._story[-2] = CondPageBreak(_HEADING + made.least_height())
        self._story.append(made)
        self.space(4)

    def render(self) -> bytes:
        """The PDF, with `Page x of y` and the title in the footer."""
        from reportlab.lib.pagesizes import A4
        from reportlab.platypus import SimpleDocTemplate

        buffer = BytesIO()
        template = SimpleDocTemplate(
            buffer,
            pagesize=A4,
            leftMargin=MARGIN,
            rightMargin=MARGIN,
            topMargin=MARGIN,
            bottomMargin=MARGIN + 12,
            title=printable(self.title),
            author=printable(self.author),
            subject=printable(self.subject),
            lang="en-IN",
            invariant=1,
        )
        # The frame of a page pads its content by 6 points; our WIDTH is what is inside the margins.
        template.leftMargin -= 6
        template.rightMargin -= 6
        template.build(list(self._story), canvasmaker=_canvas_with_footer(shorten(self.title, 100)))
        return buffer.getvalue()


def _canvas_with_footer(title: str) -> type[Canvas]:
    from reportlab.pdfgen.canvas import Canvas

    class FooterCanvas(Canvas):
        """Keeps the finished pages until their number is known, then writes the footers."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._pages: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802 - reportlab's name
            self._pages.append(dict(self.__dict__))
            self._startPage()  # type: ignore[attr-defined]

        def save(self) -> None:
            for number, page in enumerate(self._pages, start=1):
                self.__dict__.update(page)
                # As a paragraph: a company's name may need more fonts than one.
                line = paragraph(title, "tiny")
                _, height = line.wrap(WIDTH - 80, 40)
                line.drawOn(self, MARGIN, MARGIN - 12 - height + 9)
                self.setFont(FONT, 7.5)
                self.setFillColor(MUTED)
                self.drawRightString(MARGIN + WIDTH, MARGIN - 12, f"Page {number} of {len(self._pages)}")
                super().showPage()
            super().save()

    return FooterCanvas
