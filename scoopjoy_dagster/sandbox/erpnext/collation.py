"""Comparison of texts as MariaDB's ``utf8mb4_unicode_ci`` does it: letter case, accents and trailing
spaces make no difference. Unique keys, links and filters all follow it.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

NAME = "unicode_ci"


@lru_cache(maxsize=65536)
def key(text: str) -> str:
    """The form in which two texts are equal when the database takes them as equal."""
    trimmed = text.rstrip(" ")
    if trimmed.isascii():
        return trimmed.lower()
    decomposed = unicodedata.normalize("NFKD", trimmed)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


def compare(left: str, right: str) -> int:
    """SQLite collation callback."""
    if left == right:
        return 0
    a, b = key(left), key(right)
    return (a > b) - (a < b)
