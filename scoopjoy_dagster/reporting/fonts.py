"""The fonts that PDFs are set in, and which text they can show.

The wheel `manimgx-fonts` has them: Noto Sans for Latin, Greek, Cyrillic and the rupee sign, and others for the scripts of India,
symbols and emoji. What belongs here: where the font files are, and which font shows which character. What does not: styles and
sizes.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from importlib.resources import files
from itertools import groupby

MISSING = "\ufffd"
"""What stands for a character that none of the fonts has."""

SCRIPTS = (
    "Devanagari",
    "Tamil",
    "Kannada",
    "Telugu",
    "Malayalam",
    "Bengali",
    "Gujarati",
    "Gurmukhi",
    "Oriya",
    "Sinhala",
)
"""Scripts with a Noto font of their own. Arabic is none of them: lines from right to left need more than a font."""

EMOJI = "Noto Emoji"
_FAMILIES = {
    "": "NotoSans[wght].ttf",
    **{f"Noto Sans {script}": f"NotoSans{script}[wght].ttf" for script in SCRIPTS},
    EMOJI: "NotoEmoji[wght].ttf",
    "Noto Sans Symbols": "NotoSansSymbols[wght].ttf",
}
_JOINERS = "\u200c\u200d"  # they decide how Indic letters join, and are letters of their own nowhere else


def font_file(family: str = "") -> str:
    """The path of a font's file, by family name; "" is Noto Sans. Each holds all weights, and is itself the regular one."""
    return str(files("manimgx_fonts").joinpath(_FAMILIES[family]))


def bold_font() -> bytes:
    """The file of Noto Sans in bold."""
    import uharfbuzz

    face = uharfbuzz.Face(uharfbuzz.Blob.from_file_path(font_file()))
    wanted = uharfbuzz.SubsetInput()
    wanted.keep_everything()
    wanted.pin_axis_location(face, "wght", 700)
    return bytes(uharfbuzz.subset(face, wanted).blob.data)


def printable(text: str) -> str:
    """`text` on one line, with only the characters that one of the fonts can draw.

    Line breaks, tabs and control characters become spaces. A character that no font has (Chinese, Arabic) becomes `�`, a run of
    them one `�`: a PDF viewer would otherwise show nothing at all. Mail and XLSX keep the text as it is; see `identified` for
    names.
    """
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()  # nearly every text of a report
    out: list[str] = []
    for char in unicodedata.normalize("NFC", "".join(_without_format_characters(text))):
        if char.isspace() or unicodedata.category(char) == "Cc":
            shown = " "
        else:
            shown = char if char in _JOINERS or _family(char) is not None else MISSING
        if shown in {" ", MISSING} and out and out[-1] == shown:
            continue
        out.append(shown)
    return "".join(out).strip()


def identified(name: str, document: str) -> str:
    """`name`, and beside it the ERPNext document name where no font has all of it: a name of boxes tells nobody anything."""
    shown = printable(name)
    if MISSING in shown and document and document != name:
        return f"{shown} ({document})"
    return shown or document


def shorten(name: str, length: int) -> str:
    """`printable(name)`, at most `length` characters, cut in the middle.

    The names of a chain begin alike ("ScoopJoy Indiranagar 100 Feet Road") and differ at the end, so both ends are kept.
    """
    name = printable(name)
    if len(name) <= length:
        return name
    head = (length - 1) * 3 // 5
    tail = name[-(length - 1 - head) :].lstrip()
    while tail and (unicodedata.category(tail[0]).startswith("M") or tail[0] in _JOINERS):
        tail = tail[1:]  # a vowel sign without its letter
    return f"{name[:head].rstrip()}…{tail}"


def runs(text: str) -> list[tuple[str, str]]:
    """`text` (which is `printable`) in pieces of one font each: the family's name, "" for Noto Sans, and the piece."""
    families: list[str] = []
    for char in text:
        # A mark belongs to its letter, and punctuation stays with the word that it follows, where the font has it.
        follows = char in _JOINERS or unicodedata.category(char)[0] in "MP"
        if (
            follows
            and families
            and families[-1]
            and (char in _JOINERS or ord(char) in _characters(families[-1]))
        ):
            families.append(families[-1])
        else:
            families.append(_family(char) or "")
    pairs = zip(families, text, strict=True)
    return [
        (family, "".join(char for _, char in piece)) for family, piece in groupby(pairs, lambda pair: pair[0])
    ]


def _without_format_characters(text: str) -> list[str]:
    """The characters that have a shape, and the joiners of Indic letters; no direction marks, no variation selectors."""
    kept: list[str] = []
    for char in text:
        if char in _JOINERS:
            if kept and _family(kept[-1]):
                kept.append(char)
        elif unicodedata.category(char) != "Cf" and not "\ufe00" <= char <= "\ufe0f":
            kept.append(char)
    return kept


@cache
def _family(char: str) -> str | None:
    """The font that draws a character: "" is Noto Sans, None is none."""
    return next((family for family in _FAMILIES if ord(char) in _characters(family)), None)


@cache
def _characters(family: str) -> frozenset[int]:
    import uharfbuzz

    return frozenset(uharfbuzz.Face(uharfbuzz.Blob.from_file_path(font_file(family))).unicodes)
