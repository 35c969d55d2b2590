"""The nearest right name, for messages about a wrong one. Pure; for every part of the program."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

ENOUGH = 0.6
"""How like two names must be, from 0 to 1: difflib's own default, at which a slip of a letter or two is found."""


def nearest(name: str, names: Iterable[str], *, enough: float = ENOUGH) -> str:
    """The one of `names` that is most like `name`, whatever the case; empty when none is like it."""
    by_small = {one.casefold(): one for one in names}
    found = difflib.get_close_matches(name.casefold(), by_small, n=1, cutoff=enough)
    return by_small[found[0]] if found else ""


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`. Did you mean ...?`, to put behind a sentence that has no full stop yet; empty when no name is like it."""
    found = nearest(name, names)
    return f". Did you mean {found!r}?" if found else ""
