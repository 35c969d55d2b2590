"""Libraries are loaded ahead by a run that will need them in the same process, and by no other."""

from __future__ import annotations

import dagster as dg
import pytest
from dagster._core.definitions.executor_definition import execute_in_process_executor

from scoopjoy_dagster.assets import royalties
from scoopjoy_dagster.assets.runner import IN_PROCESS
from scoopjoy_dagster_tests import world
from scoopjoy_dagster_tests.world import World


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A word for each time that loading is begun."""
    found: list[str] = []
    monkeypatch.setattr(royalties, "load_ahead", lambda: found.append("begun"))
    monkeypatch.setattr(world, "_jobs", {})  # a job that was made before holds the real one
    return found


def test_it_begins_once_entries_are_posted_and_not_where_nothing_is_to_post(
    full_chain: World, ahead: list[str]
) -> None:
    full_chain.a_day()
    assert full_chain.close().success
    assert ahead == ["begun"]
    assert full_chain.close().success
    assert ahead == ["begun"]


def test_it_does_not_begin_where_royalties_are_the_last_asset_of_the_run(
    full_chain: World, ahead: list[str]
) -> None:
    full_chain.a_day()
    assert full_chain.close("closed_shifts", "royalties").success
    assert ahead == []


def test_the_executors_of_one_process_are_those_of_dagster() -> None:
    assert {dg.in_process_executor.name, execute_in_process_executor.name} == IN_PROCESS
    assert dg.multiprocess_executor.name not in IN_PROCESS
