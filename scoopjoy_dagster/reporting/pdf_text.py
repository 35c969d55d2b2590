"""Text in our PDFs: fonts, styles, and plain text made into reportlab's paragraphs.

What belongs here: everything about letters. What does not: tables and pages. Text given to these functions is plain: they
escape it, because reportlab reads `<b>` and `&` in paragraphs as markup.
"""

from __future__ import annotations

from functools import cache, lru_cache
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from scoopjoy_dagster.reporting.fonts import bold_font, font_file, printable, runs

if TYPE_CHECKING:
    from reportlab.lib.colors import Color
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfbase.ttfonts import TTFont

FONT, BOLD = "ScoopJoySans", "ScoopJoySans-Bold"
INK, MUTED, RULE, ACCENT, BAD, CARE = "#1f2937", "#6b7280", "#e5e7eb", "#9d174d", "#b91c1c", "#92400e"
MARGIN = 42.0  # points
WIDTH = 595.2755905511812 - 2 * MARGIN  # of A4, in points
SIZE, LEADING = 8.0, 1.32  # of the text in a table, in points; leading in letter heights
MAX_TEXT = 900  # characters in one cell: a row has to fit on a page, whatever ERPNext answered

_registering = Lock()


@cache
def color(name: str) -> Color:
    """A colour such as `INK`; reportlab reads one that is given by its name again for each cell of a table."""
    from reportlab.lib.colors import HexColor

    return HexColor(name)


def paragraph(text: str, style: str) -> Any:
    """Plain text as a paragraph; see `styles` for their names."""
    return from_markup(marked_up(text), style)


def from_markup(markup: str, style: str) -> Any:
    """Markup of `marked_up` as a paragraph."""
    from reportlab.platypus import Paragraph

    # Indic letters change their shape and order beside each other; Latin text is set faster without that.
    name = f"{style} shaped" if "<font name=" in markup else style
    return Paragraph(markup, styles()[name], frags=[one.clone() for one in _parsed(markup, name)])


@lru_cache(2000)
def _parsed(markup: str, style: str) -> list[Any]:
    """What reportlab makes of markup: most texts of a statement stand in each of them."""
    from reportlab.platypus import Paragraph

    made: list[Any] = Paragraph(markup, styles()[style]).frags
    return made


def marked_up(text: str, longest: int = MAX_TEXT) -> str:
    """Plain text as reportlab's markup: escaped, at most so many letters, each script in its font."""
    text = printable(text)
    text = text if len(text) <= longest else f"{text[:longest]}…"
    if text.isascii():
        return escape(text)
    markup = ""
    last = " "
    for family, piece in runs(text):
        # reportlab shapes a whole word in the font that it begins with: another font begins another word.
        gap = "" if last.isspace() or piece[0].isspace() else " "
        shown = escape(piece)
        markup += gap + (f'<font name="{_registered(family)}">{shown}</font>' if family else shown)
        last = piece[-1]
    return markup


def fits(text: str, width: float) -> bool:
    """Whether `text` stands on one line of `width` points, in the font of tables and no other."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    shown = printable(text)
    if len(shown) >= MAX_TEXT or (not shown.isascii() and any(family for family, _ in runs(shown))):
        return False
    return bool(stringWidth(shown, FONT, SIZE) <= width)


def register_fonts() -> None:
    """Make Noto Sans known to reportlab, once in each process."""
    from reportlab.pdfbase.ttfonts import TTFont

    with _registering:
        if not _is_registered(BOLD):
            bold = TTFont(BOLD, BytesIO(bold_font()))
            bold.face.name = b"NotoSans-Bold"  # it calls itself regular, as the file that it was made of
            _register(TTFont(FONT, font_file()), bold)


def _registered(family: str) -> str:
    """The name by which reportlab knows a font of another family."""
    from reportlab.pdfbase.ttfonts import TTFont

    name = f"ScoopJoy {family}"
    with _registering:
        if not _is_registered(name):
            font = TTFont(name, font_file(family))
            _register(font, font)
    return name


def _is_registered(name: str) -> bool:
    from reportlab.pdfbase import pdfmetrics

    return name in pdfmetrics.getRegisteredFontNames()


def _register(regular: TTFont, bold: TTFont) -> None:
    from reportlab.pdfbase import pdfmetrics

    for font in (regular, bold):
        pdfmetrics.registerFont(font)
    names = regular.fontName, bold.fontName
    pdfmetrics.registerFontFamily(
        names[0], normal=names[0], bold=names[1], italic=names[0], boldItalic=names[1]
    )


@cache
def styles() -> dict[str, ParagraphStyle]:
    """The styles by name; `<name> shaped` is the same for text that needs shaping."""
    from reportlab.lib.enums import TA_LEFT, TA_RIGHT
    from reportlab.lib.styles import ParagraphStyle

    def style(
        name: str,
        size: float,
        *,
        font: str = FONT,
        ink: str = INK,
        right: bool = False,
        before: float = 0,
        after: float = 0,
    ) -> ParagraphStyle:
        return ParagraphStyle(
            name,
            fontName=font,
            fontSize=size,
            leading=size * LEADING,
            textColor=color(ink),
            alignment=TA_RIGHT if right else TA_LEFT,
            splitLongWords=1,
            spaceBefore=before,
            spaceAfter=after,
        )

    made = [
        style("over", 9, ink="#fbcfe8"),
        style("title", 17, font=BOLD, ink="#ffffff"),
        style("under", 9, ink="#fbcfe8"),
        style("figure", 13, font=BOLD),
        style("heading", 12, font=BOLD, before=12, after=4),
        style("body", 9, after=3),
        style("small", 8, ink=MUTED, after=2),
        style("tiny", 7, ink=MUTED),
        style("good", 9.5, font=BOLD, ink="#166534", after=6),
        style("care", 9.5, font=BOLD, ink=CARE, after=6),
        style("bad", 9.5, font=BOLD, ink=BAD, after=6),
        style("notice", 9, font=BOLD, after=9),
        style("left", SIZE),
        style("right", SIZE, right=True),
        style("head left", 7.5, font=BOLD, ink=MUTED),
        style("head right", 7.5, font=BOLD, ink=MUTED, right=True),
        style("bold left", SIZE, font=BOLD),
        style("bold right", SIZE, font=BOLD, right=True),
    ]
    shaped = [ParagraphStyle(f"{one.name} shaped", parent=one, shaping=1) for one in made]
    return {one.name: one for one in (*made, *shaped)}
