"""Runs of the command line appear as Batch Runs in ERPNext, and never wait for them."""

from __future__ import annotations

import time

from scoopjoy_dagster_tests.cli.conftest import Command
from scoopjoy_dagster_tests.cli.world import World


def test_a_close_by_command_is_a_batch_run_that_is_complete_when_the_command_ends(
    world: World, command: Command
) -> None:
    done = command("close", "--date", world.last_day.isoformat(), "--json")
    assert done.code == 0, done.text
    (shown,) = world.erpnext.documents("Batch Run")
    assert (shown["status"], shown["dagster_run"]) == ("Completed", done.document["run_id"])
    assert str(shown["triggered_by"]).startswith("command line (")
    assert [row["status"] for row in shown["steps"]] == ["Success"] * 5


def test_with_the_desk_off_nothing_is_shown(world: World, command: Command) -> None:
    day = world.last_day.isoformat()
    assert command("close", "--date", day, SCOOPJOY_BATCH_RUN_DESK="off").code == 0
    assert world.erpnext.documents("Batch Run") == []


def test_a_desk_that_refuses_every_write_changes_nothing_about_the_close(
    world: World, command: Command
) -> None:
    world.erpnext.faults.add("permission_lost", doctype="Batch Run", probability=1.0)
    done = command("close", "--date", world.last_day.isoformat(), "--json")
    assert (done.code, done.document["status"]) == (0, "Completed")


def test_a_desk_that_does_not_answer_holds_the_command_up_for_seconds_only(
    world: World, command: Command
) -> None:
    world.erpnext.faults.add("slow", doctype="Batch Run", probability=1.0, seconds=60)
    begun = time.monotonic()
    done = command("close", "--date", world.last_day.isoformat(), "--json")
    assert (done.code, done.document["status"]) == (0, "Completed")
    assert time.monotonic() - begun < done.document["duration_s"] + 45
