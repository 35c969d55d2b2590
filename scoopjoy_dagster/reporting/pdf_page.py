"""The building blocks of our PDFs: A4 pages with a footer, headings, paragraphs and tables.

What belongs here: everything that touches reportlab's layout engine. What does not: what a document says (that is `pdf`).
Text given to these functions is plain: they escape it, because reportlab reads `<b>` and `&` in paragraphs as markup.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal
from xml.sax.saxutils import escape

from scoopjoy_dagster.reporting.fonts import font_file, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfgen.canvas import Canvas

FONT, BOLD = "ScoopJoySans", "ScoopJoySans-Bold"
INK, MUTED, RULE, ACCENT, BAD, CARE = "#1f2937", "#6b7280", "#e5e7eb", "#9d174d", "#b91c1c", "#92400e"
MARGIN = 42.0  # points
WIDTH = 595.2755905511812 - 2 * MARGIN  # of A4, in points

_MAX_TEXT = 900  # characters in one cell: a row has to fit on a page, whatever ERPNext answered
_SIZE, _LEADING, _PADDING = 8.0, 1.32, 5.0  # of the text in a table, in points; leading in letter heights
_registering = Lock()

Align = Literal["left", "right"]

#: A text; a text and the small grey text under it; or lines that stand beside the lines of the next cell.
Cell = str | tuple[str, str] | list[str]


@dataclass(frozen=True)
class Column:
    """One column of a table: its heading, its share of the page width, and the side its text keeps to."""

    heading: str
    share: float
    align: Align = "left"


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
        _register_fonts()

    def masthead(self, company: str, title: str, subtitle: str) -> None:
        """The coloured band at the top of the first page."""
        from reportlab.platypus import Table

        lines = [[_paragraph(company, "over")], [_paragraph(title, "title")], [_paragraph(subtitle, "under")]]
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

    def figures(self, figures: Sequence[tuple[str, str]]) -> None:
        """Headline numbers side by side, each under its label."""
        from reportlab.platypus import Table

        labels = [_paragraph(label, "small") for label, _ in figures]
        values = [_paragraph(value, "figure") for _, value in figures]
        tiles = Table([labels, values], colWidths=[WIDTH / len(figures)] * len(figures))
        tiles.setStyle(
            [
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("TOPPADDING", (0, 0), (-1, -1), 1),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
            ]
        )
        self._story.append(tiles)
        self.space(6)

    def heading(self, text: str) -> None:
        """A heading that does not stand alone at the end of a page."""
        from reportlab.platypus import CondPageBreak

        self._story.append(CondPageBreak(90))
        self._story.append(_paragraph(text, "heading"))

    def text(self, text: str, style: str = "body") -> None:
        """A paragraph in one of the styles `body`, `small`, `good`, `care`, `bad`."""
        self._story.append(_paragraph(text, style))

    def space(self, points: float) -> None:
        from reportlab.platypus import Spacer

        self._story.append(Spacer(1, points))

    def pictures(self, pngs: Sequence[bytes]) -> None:
        """PNGs side by side over the width of the page."""
        from reportlab.platypus import Image, Table

        if not pngs:
            return
        images = []
        for png in pngs:
            image = Image(BytesIO(png))
            image.drawWidth = WIDTH / len(pngs) - 8
            image.drawHeight = image.imageHeight * image.drawWidth / image.imageWidth
            images.append(image)
        row = Table([images], colWidths=[WIDTH / len(pngs)] * len(pngs))
        row.setStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)])
        self._story.append(row)

    def table(
        self,
        columns: Sequence[Column],
        rows: Iterable[Sequence[Cell]],
        totals: Sequence[str] | None = None,
    ) -> None:
        """A table whose headings are repeated on every page.

        Args:
            columns: From left to right; the shares are of the page width and need not add up to 1.
            rows: One cell per column.
            totals: The last row, in bold.
        """
        from reportlab.platypus import Table

        whole = sum(column.share for column in columns)
        widths = [WIDTH * column.share / whole for column in columns]
        data = [[_paragraph(column.heading, f"head {column.align}") for column in columns]]
        data += [[_cell(*parts) for parts in zip(columns, widths, row, strict=True)] for row in rows]
        if totals is not None:
            data.append(
                [
                    _paragraph(text, f"bold {column.align}")
                    for column, text in zip(columns, totals, strict=True)
                ]
            )
        grid = Table(data, colWidths=widths, repeatRows=1)
        grid.setStyle(
            [
                ("FONT", (0, 0), (-1, -1), FONT, _SIZE, _SIZE * _LEADING),
                ("TEXTCOLOR", (0, 0), (-1, -1), INK),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), _PADDING),
                ("RIGHTPADDING", (0, 0), (-1, -1), _PADDING),
                ("TOPPADDING", (0, 0), (-1, -1), 3),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
                ("LINEBELOW", (0, 0), (-1, 0), 1, MUTED),
                ("LINEBELOW", (0, 1), (-1, -1), 0.4, RULE),
            ]
        )
        grid.setStyle(
            [("ALIGN", (index, 0), (index, -1), column.align.upper()) for index, column in enumerate(columns)]
        )
        if totals is not None:  # not alone on a page
            grid.setStyle([("LINEABOVE", (0, -1), (-1, -1), 1, MUTED), ("NOSPLIT", (0, -2), (-1, -1))])
        self._story.append(grid)
        self.space(4)

    def render(self) -> bytes:
        """The PDF, with `page x of y` and the title in the footer."""
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
        template.build(list(self._story), canvasmaker=_canvas_with_footer(printable(self.title)))
        return buffer.getvalue()


def _cell(column: Column, width: float, cell: Cell) -> Any:
    if isinstance(cell, list):
        return "\n".join(printable(line) for line in cell)
    text, under = cell if isinstance(cell, tuple) else (cell, "")
    if not under and _fits(text, width):
        return printable(text)  # a plain string is drawn as it is, and ten times faster than a paragraph
    markup = _escaped(text)
    if under:
        markup += f'<br/><font size="7" color="{MUTED}">{_escaped(under)}</font>'
    return _from_markup(markup, column.align)


def _fits(text: str, width: float) -> bool:
    from reportlab.pdfbase.pdfmetrics import stringWidth

    return len(text) < _MAX_TEXT and stringWidth(printable(text), FONT, _SIZE) <= width - 2 * _PADDING


def _paragraph(text: str, style: str) -> Any:
    return _from_markup(_escaped(text), style)


def _from_markup(markup: str, style: str) -> Any:
    from reportlab.platypus import Paragraph

    return Paragraph(markup, _styles()[style])


def _escaped(text: str) -> str:
    text = printable(text)
    return escape(text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…")


@cache
def _styles() -> dict[str, ParagraphStyle]:
    from reportlab.lib.colors import HexColor
    from reportlab.lib.enums import TA_LEFT, TA_RIGHT
    from reportlab.lib.styles import ParagraphStyle

    def style(
        name: str,
        size: float,
        *,
        font: str = FONT,
        color: str = INK,
        right: bool = False,
        before: float = 0,
        after: float = 0,
    ) -> ParagraphStyle:
        return ParagraphStyle(
            name,
            fontName=font,
            fontSize=size,
            leading=size * _LEADING,
            textColor=HexColor(color),
            alignment=TA_RIGHT if right else TA_LEFT,
            splitLongWords=1,
            spaceBefore=before,
            spaceAfter=after,
        )

    styles = [
        style("over", 9, color="#fbcfe8"),
        style("title", 17, font=BOLD, color="#ffffff"),
        style("under", 9, color="#fbcfe8"),
        style("figure", 14, font=BOLD),
        style("heading", 12, font=BOLD, before=12, after=4),
        style("body", 9, after=3),
        style("small", 8, color=MUTED, after=2),
        style("good", 9.5, font=BOLD, color="#166534", after=6),
        style("care", 9.5, font=BOLD, color=CARE, after=6),
        style("bad", 9.5, font=BOLD, color=BAD, after=6),
        style("left", _SIZE),
        style("right", _SIZE, right=True),
        style("head left", 7.5, font=BOLD, color=MUTED),
        style("head right", 7.5, font=BOLD, color=MUTED, right=True),
        style("bold left", _SIZE, font=BOLD),
        style("bold right", _SIZE, font=BOLD, right=True),
    ]
    return {entry.name: entry for entry in styles}


def _register_fonts() -> None:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    with _registering:
        if BOLD not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(FONT, str(font_file())))
            pdfmetrics.registerFont(TTFont(BOLD, str(font_file(bold=True))))
            pdfmetrics.registerFontFamily(FONT, normal=FONT, bold=BOLD, italic=FONT, boldItalic=BOLD)


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
                self.setFont(FONT, 7.5)
                self.setFillColor(MUTED)
                self.drawString(MARGIN, MARGIN - 12, title)
                self.drawRightString(MARGIN + WIDTH, MARGIN - 12, f"Page {number} of {len(self._pages)}")
                super().showPage()
            super().save()

    return FooterCanvas
