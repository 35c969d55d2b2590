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
    from scoopjoy_dagster.reporting.fonts import script_fonts
    from scoopjoy_dagster.reporting.pdf_page import Document

    for module in ("scoopjoy_dagster.reporting.pdf_statement", "scoopjoy_dagster.reporting.pdf_table"):
        import_module(module)
    # A page and a chart that nobody sees: what their libraries load as they work, and what they keep of fonts.
    page = Document(title="", author="", subject="")
    page.masthead("", "", "")
    page.render()
    bars("", [""], [Decimal(1)], [""])
    script_fonts()
    html.load()
    for module in ("pandas", "xlsxwriter", "scoopjoy_dagster.reporting.render"):
        import_module(module)
