"""What statements and reports are made with is loaded once, by one thread, and completely."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import cache
from threading import Barrier, Thread

import pytest

from scoopjoy_dagster.reporting import loading

COMPLETE = """
import sys
from scoopjoy_dagster.reporting.loading import load_reporting
load_reporting()
loaded = set(sys.modules)
from scoopjoy_dagster.reporting.pdf_statement import statement_pdf
from scoopjoy_dagster.reporting.render import render_report_mail
from scoopjoy_dagster_tests.reporting.samples import day_report, statement
ours = set(sys.modules)
statement_pdf(statement())
render_report_mail(day_report(), links={"Open": "http://127.0.0.1/"})
new = set(sys.modules) - ours
libraries = {name.partition(".")[0] for name in loaded}
print(*sorted(name for name in new if name.partition(".")[0] not in libraries | sys.stdlib_module_names))
print(*sorted(name for name in new if name.startswith(("fontTools.", "matplotlib.", "reportlab."))))
"""


def test_after_loading_a_statement_and_a_report_import_no_library_and_no_more_of_fonts_and_pages() -> None:
    done = subprocess.run([sys.executable, "-c", COMPLETE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_threads_that_come_together_load_once_and_none_goes_on_before_it_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began: list[float] = []
    ended: list[float] = []

    @cache
    def slowly() -> None:
        began.append(time.monotonic())
        time.sleep(0.05)
        ended.append(time.monotonic())

    monkeypatch.setattr(loading, "_load", slowly)
    together = Barrier(5)
    went_on: list[float] = []

    def need() -> None:
        together.wait()
        loading.load_reporting()
        went_on.append(time.monotonic())

    threads = [Thread(target=need) for _ in range(5)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(began) == 1
    assert min(went_on) >= ended[0]
