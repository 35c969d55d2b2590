"""A browser, and the program with its UI: only where Debian's Chromium is installed; else nothing here is collected.

The run says so at its end (the `conftest.py` above): a test that was not run must not look like one that passed.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from scoopjoy_dagster_tests.browser.chromium import CHROMIUM
from scoopjoy_dagster_tests.cli.command import environment, processes_of, running
from scoopjoy_dagster_tests.end_to_end.graphql import UI

collect_ignore_glob = [] if CHROMIUM else ["test_*.py"]

START_S = 180
"""Seconds for the demo to close its day and serve the UI on a slow machine."""


@dataclass(frozen=True)
class Demo:
    """`scoopjoy demo`, serving."""

    address: str
    """What is printed: the UI's, with its token."""
    url: str
    """The same without."""
    closed: date
    """The last business day. The two days before are open."""


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """The demo as a newcomer starts it, but that nothing runs by itself: at 01:00 the schedule would close the open days."""
    directory = tmp_path / "embedded"
    with running(
        *("demo", "--port", "0"),
        environment=environment(directory, {"SCOOPJOY_AUTOMATION": "off"}),
        output=tmp_path / "demo.txt",
    ) as command:
        address = command.wait_for(r"Dagster UI: (\S+)[\s\S]*Ctrl-C", START_S)[1]
        closed = command.wait_for(r"Business day (\S+): Completed\b", 1)[1]
        yield Demo(address, UI(address).url, date.fromisoformat(closed))
        command.end(signal.SIGINT)
    assert processes_of(directory) == {}
