"""The letters of a font that go into a PDF: those that it uses, as outlines alone.

What belongs here: what of a font file is embedded. What does not: which fonts there are (that is `fonts`), and which text is
set in which (that is `pdf_text`).

A statement has little text, so its fonts are most of its size, and ERPNext keeps every statement for good. Nearly half of what
DejaVu Sans adds is instructions for the pixels of old screens (hinting), which viewers of PDFs and printers do not run, and a fifth is
the text of its licence, which other makers of PDFs leave out, too: without both a statement of 45 kB is one of 21 kB.
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from reportlab.pdfbase.ttfonts import TTFont

COPYRIGHT, LICENCE_URL = 0, 14
"""What stays of a font's texts, by their number in its table of names."""

SUBSETS = 32
"""Subsets of a font that are kept: the statements of a night use nearly the same letters."""


def embedded_font(name: str, file: Path) -> TTFont:
    """A font for reportlab that embeds outlines alone; see `outlines_of`."""
    from reportlab.pdfbase.ttfonts import TTFont

    font = TTFont(name, str(file))
    font.face.makeSubset = _outlines(font.face.makeSubset, font.face.charToGlyph)  # type: ignore[method-assign, assignment]
    return font


def _outlines(
    subset_of: Callable[[Sequence[int]], bytes], glyphs: dict[int, int]
) -> Callable[[Sequence[int]], bytes]:
    """Reportlab's making of a subset, reduced to outlines, and once for the same letters."""

    @lru_cache(SUBSETS)
    def made(letters: tuple[tuple[int, int | None], ...]) -> bytes:
        return outlines_of(subset_of([code for code, _ in letters]))

    # With their glyphs: text that needs shaping has reportlab give codes to glyphs as it goes.
    return lambda codes: made(tuple((code, glyphs.get(code)) for code in codes))


def outlines_of(font: bytes) -> bytes:
    """A TrueType font file without instructions, and without texts but its copyright; outlines and widths stay as they are."""
    from fontTools.ttLib import TTFont

    opened = TTFont(BytesIO(font), recalcBBoxes=False, recalcTimestamp=False)
    for table in ("cvt ", "fpgm", "prep"):
        if table in opened:
            del opened[table]
    texts = opened["name"]
    texts.names = [one for one in texts.names if one.nameID in {COPYRIGHT, LICENCE_URL}]
    glyphs = opened["glyf"]
    for name in opened.getGlyphOrder():
        glyphs[name].removeHinting()
    made = BytesIO()
    opened.save(made, reorderTables=None)
    return made.getvalue()
