"""The fonts of the PDFs: regular and bold of one file, embedded with the letters that are used."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import uharfbuzz
from pypdf import PdfReader

from scoopjoy_dagster.reporting.fonts import bold_font, font_file
from scoopjoy_dagster.reporting.pdf_statement import statement_pdf
from scoopjoy_dagster_tests.reporting.samples import statement


def fonts_of(pdf: bytes) -> dict[str, Any]:
    """The fonts of a PDF's pages by name, without the six letters that mark a subset."""
    fonts = [
        font.get_object()
        for page in PdfReader(BytesIO(pdf)).pages
        for font in page["/Resources"]["/Font"].values()
    ]
    return {font["/BaseFont"].partition("+")[2]: font for font in fonts}


def test_the_bold_font_has_the_characters_of_the_regular_one_in_wider_letters() -> None:
    regular = uharfbuzz.Face(uharfbuzz.Blob.from_file_path(font_file()))
    bold = uharfbuzz.Face(uharfbuzz.Blob(bold_font()))
    assert set(bold.unicodes) == set(regular.unicodes)
    widths = [
        uharfbuzz.Font(face).get_glyph_h_advance(uharfbuzz.Font(face).get_nominal_glyph(ord("m")))
        for face in (regular, bold)
    ]
    assert widths[0] < widths[1]


def test_regular_and_bold_have_names_of_their_own() -> None:
    """A printer that knows a font by its name must not set bold text in the regular one."""
    assert {"NotoSans-Regular", "NotoSans-Bold"} <= fonts_of(statement_pdf(statement())).keys()


def test_a_statement_is_small_enough_to_keep_one_for_each_franchise_and_day() -> None:
    assert len(statement_pdf(statement())) < 30_000
