"""Charts are drawn once in each test process: they are tested with the reports, and cost a second each time."""

from __future__ import annotations

from typing import Any

import pytest

_drawn: dict[str, bytes] = {}


@pytest.fixture
def quick_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mails carry the real charts of the first day that was drawn."""
    from scoopjoy_dagster.reporting import charts, render

    def pictures(report: Any) -> dict[str, bytes]:
        if not _drawn:
            _drawn.update(charts.pictures(report))
        return dict(_drawn)

    monkeypatch.setattr(render, "pictures", pictures)
