"""`scoopjoy backfill`: every day of a span, oldest first, each with its own result."""

from __future__ import annotations

from decimal import Decimal

import dagster as dg
import pytest

from scoopjoy_dagster.local.home import prepare_home
from scoopjoy_dagster_tests.cli.conftest import Command
from scoopjoy_dagster_tests.cli.test_close import STEPS, _home, statuses, written
from scoopjoy_dagster_tests.cli.world import World


def test_a_backfill_closes_every_day_oldest_first_and_again_writes_nothing(
    world: World,
    command: Command,
    command_environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    days = [day.isoformat() for day in world.open_days]
    done = command("backfill", "--from", days[0], "--to", days[-1], "--json")
    assert done.code == 0, done.text
    results = done.document
    assert [result["business_day"] for result in results] == days
    for result in results:
        assert result["status"] == "Completed"
        assert statuses(result) == dict.fromkeys(STEPS, "Success")
        owed = result["assets"]["royalties"]["amount"]
        assert Decimal(owed) > 0
        assert result["assets"]["hq_sync"]["amount"] == result["assets"]["invoices"]["amount"] == owed
    assert [one.payload["business_day"] for one in world.headquarters.deliveries] == days
    assert [line.split()[0] for line in done.err.splitlines()] == sorted(
        line.split()[0] for line in done.err.splitlines()
    )

    books, mails = world.writes, world.recipients()
    # The desk shows the further runs, which is no writing of the close.
    off = {"SCOOPJOY_BATCH_RUN_DESK": "off"}
    again = command("backfill", "--from", days[0], "--to", days[-1], "--json", **off)
    assert again.code == 0, again.text
    assert [written(result) for result in again.document] == [0, 0, 0]
    assert world.writes == books
    assert world.recipients() == mails

    # One run per day, and a tag by which the runs of one command are found.
    for name, value in prepare_home(
        _home(command_environment), command_environment["SCOOPJOY_POSTGRES_URL"]
    ).items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as instance:
        found = [instance.get_run_by_id(result["run_id"]) for result in results]
    tags = [run.tags for run in found if run]
    assert [one["dagster/partition"] for one in tags] == days
    assert len({one["scoopjoy/backfill"] for one in tags}) == 1


def test_a_day_with_errors_does_not_stop_the_days_after_it_and_the_worst_gives_the_exit_code(
    world: World, command: Command
) -> None:
    first, second, _ = (day.isoformat() for day in world.open_days)
    world.headquarters.fail_next(422)
    done = command("backfill", "--from", first, "--to", second, "--json")
    assert done.code == 1, done.text
    assert [result["status"] for result in done.document] == ["Completed with Errors", "Completed"]


def test_a_backfill_of_one_day_prints_its_table(world: World, command: Command) -> None:
    day = world.go_live.isoformat()
    done = command("backfill", "--from", day, "--to", day)
    assert done.code == 0, done.text
    assert done.text.count("Business day") == 1
    assert f"Business day {day}: Completed" in done.text
