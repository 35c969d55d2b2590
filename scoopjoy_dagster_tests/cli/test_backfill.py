"""`scoopjoy backfill`: a run for every day of a span, one after the other."""

from __future__ import annotations

import re
from decimal import Decimal

import dagster as dg
import pytest

from scoopjoy_dagster.local.home import prepare_home
from scoopjoy_dagster.partitions import PARTITION
from scoopjoy_dagster.steps import STEPS as REGISTRY
from scoopjoy_dagster_tests.cli.command import scoopjoy
from scoopjoy_dagster_tests.cli.conftest import Command
from scoopjoy_dagster_tests.cli.test_close import STEPS, _home, errors, statuses, written
from scoopjoy_dagster_tests.cli.world import World
from scoopjoy_dagster_tests.world import change, insert


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
    # JSON alone stands on standard output.
    assert f"{days[-1]} Close POS Shifts: success" in done.sentences
    assert world.recipients() == []
    assert {result["assets"]["reports"]["facts"]["mails"] for result in results} == {"not asked for"}
    assert "The reports of these days are not mailed. To mail them, add --mail." in done.sentences

    mailed = command("backfill", "--from", days[0], "--to", days[-1], "--json", "--mail")
    assert mailed.code == 0, mailed.text
    sent = [result["assets"]["reports"]["written"] for result in mailed.document]
    assert min(sent) > 0
    assert len(world.recipients()) == sum(sent)
    assert [written(result) for result in mailed.document] == sent
    assert "are not mailed" not in mailed.text

    books, mails = world.writes, world.recipients()
    # The desk shows the further runs, which is no writing of the close.
    off = {"SCOOPJOY_BATCH_RUN_DESK": "off"}
    again = command("backfill", "--from", days[0], "--to", days[-1], "--json", **off)
    assert again.code == 0, again.text
    assert [written(result) for result in again.document] == [0, 0, 0]
    assert world.writes == books
    assert world.recipients() == mails

    # A run for each day, all with the tag of their backfill.
    for name, value in prepare_home(
        _home(command_environment), command_environment["SCOOPJOY_POSTGRES_URL"]
    ).items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as instance:
        runs = [instance.get_run_by_id(day["run_id"]) for one in (done, again) for day in one.document]
    tags = [run.tags for run in runs if run]
    assert [one[PARTITION] for one in tags] == days * 2
    assert len({one["scoopjoy/backfill"] for one in tags}) == 2


def test_a_backfill_says_how_far_each_step_is_and_shows_a_line_for_each_day(
    world: World, command_environment: dict[str, str]
) -> None:
    days = [day.isoformat() for day in world.open_days]
    done = scoopjoy("backfill", "--from", days[0], "--to", days[-1], environment=command_environment)
    assert done.code == 0, done.err
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    for day in days:
        for step in REGISTRY:
            assert f"{day} {step.title}: start" in done.text
            assert f"{day} {step.title}: success" in done.text
        (line,) = [line for line in lines if line.startswith(f"{day} Completed ")]
        requests, put, royalty, failed, _ = line.split()[2:]
        assert int(requests) > 0
        assert int(put) > 0
        assert Decimal(royalty) > 0
        assert failed == "0"
    assert "Business day Status Requests Written Royalty Errors Warnings" in lines
    # A day that is right is its line, and no table of its own.
    assert f"Business day {days[0]}" not in done.text
    last = next(line for line in reversed(lines) if line)
    assert re.fullmatch(r"3 of 3 days are completed, with \d+ requests", last)


def test_a_day_that_fails_leaves_the_others_completed_and_is_shown_whole(
    world: World, command: Command
) -> None:
    """The books are closed for the second day: its royalties cannot be posted, and nothing behind them is done for it."""
    first, second, third = (day.isoformat() for day in world.open_days)
    period = insert(
        world.erpnext,
        "Accounting Period",
        period_name="One day",
        company="ScoopJoy",
        start_date=second,
        end_date=second,
        closed_documents=[{"document_type": "Journal Entry", "closed": 1}],
    )
    done = command("backfill", "--from", first, "--to", third, "--json")
    assert done.code == 2, done.text
    results = {one["business_day"]: one for one in done.document}
    assert {day: one["status"] for day, one in results.items()} == {
        first: "Completed",
        second: "Failed",
        third: "Completed",
    }
    assert statuses(results[second]) == {
        "closed_shifts": "Success",
        "royalties": "Failed",
        "invoices": "Skipped",
        "reports": "Skipped",
        "hq_sync": "Skipped",
    }
    assert errors(results[second]["assets"]["royalties"])
    for day in (first, third):
        assert statuses(results[day]) == dict.fromkeys(STEPS, "Success")
        wrong = [total for total in results[day]["control_totals"] if not total["passed"]]
        assert {total["severity"] for total in wrong} <= {"warning"}
    assert [one.payload["business_day"] for one in world.headquarters.deliveries] == [first, third]

    # The day is still wrong: shown whole, above a line for each day.
    table = command("backfill", "--from", first, "--to", third)
    assert table.code == 2, table.text
    assert table.text.count("Business day 2") == 1
    assert f"Business day {second}: Failed" in table.text
    assert "error royalties: " in table.text
    assert "2 of 3 days are completed" in table.text
    assert table.text.index("error royalties: ") < table.text.index("2 of 3 days are completed")

    # Once the period is open again, only this day is left to do.
    (closed,) = world.erpnext.documents("Accounting Period", name=period)[0]["closed_documents"]
    change(world.erpnext, "Accounting Period", period, closed_documents=[closed | {"closed": 0}])
    mended = command("backfill", "--from", first, "--to", third, "--json")
    assert mended.code == 0, mended.text
    assert {one["status"] for one in mended.document} == {"Completed"}
    assert [written(one) > 0 for one in mended.document] == [False, True, False]
    again = command("backfill", "--from", first, "--to", third, "--json")
    assert [written(one) for one in again.document] == [0, 0, 0]


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
    assert world.recipients()  # a single day is mailed as by `close`
    assert done.text.count("Business day") == 1
    assert f"Business day {day}: Completed" in done.text
