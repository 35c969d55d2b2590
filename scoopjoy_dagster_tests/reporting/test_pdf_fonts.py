"""What of a font goes into a PDF: its outlines, and nothing that readers of PDFs do not use."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.ttLib import TTFont
from pypdf import PdfReader
from reportlab.pdfbase.ttfonts import TTFontFace

from scoopjoy_dagster.reporting.fonts import font_file, script_fonts
from scoopjoy_dagster.reporting.pdf_fonts import COPYRIGHT, LICENCE_URL, embedded_font, outlines_of
from scoopjoy_dagster.reporting.pdf_statement import statement_pdf
from scoopjoy_dagster_tests.reporting.samples import statement

LETTERS = [ord(letter) for letter in "Réservé ₹ 1,23,456.78 · Łódź ﬁ மதுரை"]
FILES = {"regular": font_file(), "bold": font_file(bold=True), "Tamil": script_fonts()["Noto Sans Tamil"]}


def fonts_of(pdf: bytes) -> list[TTFont]:
    """The fonts that are embedded in a PDF."""
    reader = PdfReader(BytesIO(pdf))
    objects = [reader.get_object(number) for number in range(1, len(reader.xref[0]) + 1)]
    return [TTFont(BytesIO(one.get_data())) for one in objects if isinstance(one, dict) and "/Length1" in one]


def drawn(font: TTFont, glyph: str) -> list[Any]:
    """The lines and curves of a glyph."""
    glyphs = font.getGlyphSet()
    pen = DecomposingRecordingPen(glyphs)
    glyphs[glyph].draw(pen)
    return pen.value


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_the_outlines_and_widths_of_letters_stay_what_they_are(file: Any) -> None:
    subset = TTFontFace(str(file)).makeSubset(LETTERS)
    before, after = TTFont(BytesIO(subset)), TTFont(BytesIO(outlines_of(subset)))
    order = before.getGlyphOrder()
    assert after.getGlyphOrder() == order
    assert before["hmtx"].metrics == after["hmtx"].metrics
    assert before["cmap"].tables[0].cmap == after["cmap"].tables[0].cmap
    for glyph in order:
        assert drawn(before, glyph) == drawn(after, glyph)


def test_a_statement_embeds_no_instructions_and_no_texts_but_the_copyright() -> None:
    fonts = fonts_of(statement_pdf(statement()))
    assert len(fonts) == 2
    for font in fonts:
        assert not {"cvt ", "fpgm", "prep"} & set(font.keys())
        assert {one.nameID for one in font["name"].names} == {COPYRIGHT, LICENCE_URL}
        programs = [font["glyf"][glyph] for glyph in font.getGlyphOrder()]
        assert not any(one.program.getBytecode() for one in programs if hasattr(one, "program"))


def test_a_statement_is_half_as_large_as_with_whole_subsets() -> None:
    whole = sum(
        len(TTFontFace(str(font_file(bold=bold))).makeSubset(list(range(32, 127)))) for bold in (False, True)
    )
    assert sum(len(font.reader.file.getvalue()) for font in fonts_of(statement_pdf(statement()))) < whole / 2


def test_the_same_letters_are_the_same_subset_and_others_another() -> None:
    font = embedded_font("Test", font_file())
    first = font.face.makeSubset(LETTERS)
    assert font.face.makeSubset(LETTERS) is first
    assert font.face.makeSubset([*LETTERS, ord("Ж")]) != first


def test_a_letter_that_gets_another_glyph_is_made_anew() -> None:
    """Text that needs shaping: reportlab gives codes to glyphs as it goes."""
    font = embedded_font("Test", font_file())
    first = font.face.makeSubset([65, 66])
    font.face.charToGlyph[66] = font.face.charToGlyph[90]
    assert font.face.makeSubset([65, 66]) != first
