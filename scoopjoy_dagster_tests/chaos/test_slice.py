"""A handful of schedules of the fault laboratory, with kills: `make chaos` runs hundreds."""

from __future__ import annotations

from collections import Counter

from scoopjoy_dagster_tests.chaos.campaign import Totals, run_campaign, seeds_of

SCHEDULES = 8
SEED = 1


def test_the_books_are_right_after_every_schedule_of_faults_and_kills() -> None:
    totals = Totals(list(run_campaign(seeds_of(SEED, SCHEDULES), jobs=2)))
    assert {one.seed: one.verdicts for one in totals.bad} == {}
    assert len(totals.results) == SCHEDULES
    # The seed is one whose schedules do what they are for.
    assert sum(one.kills for one in totals.results) >= 1
    assert sum(one.reruns for one in totals.results) >= 1
    assert sum((one.faults for one in totals.results), Counter()).total() >= 10
