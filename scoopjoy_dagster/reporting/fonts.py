"""The fonts that PDFs and charts are set in: DejaVu Sans, which comes with matplotlib and has the rupee sign.

What belongs here: where the font files are and which text they can show. What does not: styles and sizes.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from pathlib import Path

_MISSING = "□"


@cache
def font_file(*, bold: bool = False) -> Path:
    """The TrueType file of DejaVu Sans inside matplotlib's data."""
    import matplotlib as mpl

    return Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")


def printable(text: str) -> str:
    """`text` on one line, with only the characters that both DejaVu Sans files can draw.

    Line breaks, tabs and control characters become spaces. A character without a glyph (an emoji, Devanagari, Tamil) becomes
    `□`, a run of them one `□`: a PDF viewer would otherwise show nothing at all. Mail and XLSX keep the text as it is, and a
    name never stands alone on a page: the ERPNext document name is beside it.
    """
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()  # nearly every text of a report
    covered = _covered()
    out: list[str] = []
    for char in unicodedata.normalize("NFC", text):
        if char.isspace() or unicodedata.category(char) == "Cc":
            shown = " "
        elif unicodedata.category(char) == "Cf":
            continue  # joiners and direction marks have no shape of their own
        else:
            shown = char if ord(char) in covered else _MISSING
        if shown in {" ", _MISSING} and out and out[-1] == shown:
            continue
        out.append(shown)
    return "".join(out).strip()


def shorten(name: str, length: int) -> str:
    """`printable(name)`, at most `length` characters, cut in the middle.

    The names of a chain begin alike ("ScoopJoy Indiranagar 100 Feet Road") and differ at the end, so both ends are kept.
    """
    name = printable(name)
    if len(name) <= length:
        return name
    head = (length - 1) * 3 // 5
    return f"{name[:head].rstrip()}…{name[-(length - 1 - head) :].lstrip()}"


@cache
def _covered() -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    regular, bold = (FT2Font(str(font_file(bold=bold))).get_charmap() for bold in (False, True))
    return frozenset(regular) & frozenset(bold)
