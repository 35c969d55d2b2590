"""Naming series of the royalty entries: which there are, whether their names are right, and the options of the site.

ERPNext locks a naming series from the insert of a document until it is committed, so each parallel request needs a
series of its own, and none of them is the one in which accountants post.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

ROYALTY_SERIES = ("SJ-ROY-A-.YYYY.-", "SJ-ROY-B-.YYYY.-")
"""The series of royalty entries, one for each parallel request. Two: more did not make it faster (docs/performance.md)."""

_ALLOWED = re.compile(r"[\w\- /.#{}]+")


def wrong_series(series: Sequence[str]) -> str:
    """Why these cannot be the series of parallel requests: a sentence, or empty when they can.

    The rules of a single series are Frappe's (frappe/model/naming.py, `NamingSeries.validate`).
    """
    for number, one in enumerate(series, start=1):
        if not _ALLOWED.fullmatch(one):
            return f"its part {number} is no naming series: only letters, digits and - _ / . # {{ }} may be in it"
    counters = [counter(one) for one in series]
    for number, one in enumerate(counters):
        if one in counters[:number]:
            return f"its part {number + 1} counts as its part {counters.index(one) + 1} does: parallel requests would wait for each other"
    return ""


def counter(series: str) -> str:
    """What ERPNext counts and locks by: the series up to its number. MariaDB does not tell cases apart."""
    return series.partition("#")[0].replace(".", "").casefold()
