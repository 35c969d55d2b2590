"""A counter of a naming series set back behind the names that exist (a restore, a hand in ERPNext): the night posts all the same."""

from __future__ import annotations

from datetime import date, timedelta

from scoopjoy_dagster.erpnext.naming_series import ROYALTY_SERIES
from scoopjoy_dagster_tests.world import DAY, FRANCHISES, World, entries, owed

BEHIND = "naming series behind"
A, B = ROYALTY_SERIES


def post(chain: World, day: date) -> None:
    for number, name in enumerate(FRANCHISES):
        chain.invoice(name, str(1000 + number), day)
    assert chain.close("royalties", day=day).success


def test_the_entries_are_posted_in_the_other_series_and_a_warning_says_what_to_set(chain: World) -> None:
    post(chain, DAY - timedelta(days=1))
    last = max(entry["name"] for entry in entries(chain.erpnext, day=DAY - timedelta(days=1)))
    chain.erpnext.site.set_counter(A, 0)
    chain.a_day()
    day = chain.close("royalties")
    assert day.success
    assert chain.owed() == chain.expected()
    assert {entry["naming_series"] for entry in entries(chain.erpnext)} == {B}
    (row,) = day.warnings("royalties", BEHIND)
    assert row["who"] == A
    assert last in row["message"]
    assert "prefix SJ-ROY-A-2026-" in row["action"]
    assert f"Current Value to {int(last[-5:])} " in row["action"]


def test_with_every_counter_behind_each_is_an_error_with_its_number_until_they_are_set(chain: World) -> None:
    first, second = DAY - timedelta(days=2), DAY - timedelta(days=1)
    post(chain, first)
    chain.erpnext.site.set_counter(A, 0)
    post(chain, second)
    chain.erpnext.site.set_counter(B, 0)
    chain.a_day()
    day = chain.close("royalties")
    assert not day.success
    assert entries(chain.erpnext) == []
    rows = {row["who"]: row["action"] for row in day.exceptions("royalties", BEHIND)}
    numbers = {A: len(entries(chain.erpnext, day=first)), B: len(entries(chain.erpnext, day=second))}
    assert rows.keys() == numbers.keys()
    for series, number in numbers.items():
        assert f"Current Value to {number} " in rows[series]
        chain.erpnext.site.set_counter(series, number)
    due = {name for name, amount in chain.expected().items() if amount}
    assert {row["who"] for row in day.exceptions("royalties", "royalty not posted")} == due
    assert chain.close("royalties").success
    assert {name: owed(chain.erpnext, name) for name in FRANCHISES} == chain.expected()
