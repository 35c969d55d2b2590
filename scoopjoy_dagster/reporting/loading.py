"""Loading what statements and reports are made with: a second of processor time, for which a night need not wait.

What belongs here: what is loaded, and that only one thread does. What does not: when it is worth it, which the assets know.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from importlib import import_module
from threading import Lock, Thread

_one_thread = Lock()
"""Two threads that import parts of one library at once may meet modules that are half there."""


def load_reporting() -> None:
    """Load all of it, once in each process; a second thread waits for the first."""
    with _one_thread:
        _load()


@cache
def load_ahead() -> None:
    """Begin to load in the background, while ERPNext works."""
    Thread(target=load_reporting, name="load-reporting").start()


@cache
def _load() -> None:
    from scoopjoy_dagster.reporting import html
    from scoopjoy_dagster.reporting.chart_canvas import bars
    from scoopjoy_dagster.reporting.pdf_text import register_fonts

    import_module("scoopjoy_dagster.reporting.pdf_statement")
    import_module("reportlab.platypus")
    import_module("fontTools.ttLib")
    register_fonts()
    import_module("pandas")
    import_module("xlsxwriter")
    # A chart that nobody sees: matplotlib, its fonts, and what it keeps of them.
    bars("", [""], [Decimal(1)], [""])
    html.load()
