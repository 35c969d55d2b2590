"""Request counts and ratios of small nights are those of the stored baseline."""

from __future__ import annotations

from typing import Any

import pytest

from scoopjoy_dagster_tests.benchmarks import baseline
from scoopjoy_dagster_tests.benchmarks.workbench import workbench

pytestmark = pytest.mark.timeout(900)  # a dozen processes, on a machine that runs other tests meanwhile
AGAIN = "If the change is meant: python -m scoopjoy_dagster_tests.benchmarks --update-baseline"


@pytest.fixture(scope="module")
def now() -> dict[str, Any]:
    with workbench() as bench:
        return baseline.measured(bench)


def test_a_night_three_days_and_their_repetitions_ask_what_they_always_asked(now: dict[str, Any]) -> None:
    assert now["requests"] == baseline.stored()["requests"], AGAIN


def test_no_ratio_to_the_naive_way_is_lost(now: dict[str, Any]) -> None:
    assert baseline.lost(baseline.stored()["ratios"], now["ratios"]) == {}, AGAIN


def test_a_ratio_that_fell_by_more_than_the_margin_is_told() -> None:
    assert baseline.lost({"a": 4.0, "b": 2.0}, {"a": 2.0, "b": 1.9}) == {"a": (4.0, 2.0)}
