"""Nights in which something goes wrong: each ends closed without a hand, or with one alert that is right."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scoopjoy_dagster_tests.nights.clock import LIBRARY
from scoopjoy_dagster_tests.nights.world import night

pytestmark = [
    pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed (Debian: apt install faketime)"),
    pytest.mark.timeout(600),
]


@pytest.fixture
def directory() -> Iterator[Path]:
    # Not pytest's tmp_path: for root PostgreSQL runs as another user, who may not enter it.
    with tempfile.TemporaryDirectory(prefix="scoopjoy-night-") as name:
        Path(name).chmod(0o755)
        yield Path(name).resolve()


def test_an_ordinary_night(directory: Path) -> None:
    with night(directory) as one, one.running():
        one.until("01:02:00")
        assert one.runs() == [("2026-12-09", "SUCCESS", "nightly")]
        one.until("06:01:00")
        assert one.runs() == [("2026-12-09", "SUCCESS", "nightly"), ("watchdog", "SUCCESS", "")]
        assert one.mails() == []
        assert len(one.reports()) == 1
        assert one.wrong() == []
