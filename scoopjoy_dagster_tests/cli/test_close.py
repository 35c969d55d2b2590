"""`scoopjoy close`: what it does, what it prints, and the exit codes 0 Completed, 1 with Errors, 2 Failed."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from scoopjoy_dagster.accounting.totals import CONTROL_TOTALS, totals_of
from scoopjoy_dagster.assets import invoices, royalties
from scoopjoy_dagster.erpnext.royalty_shares import DOCTYPE
from scoopjoy_dagster.local.home import prepare_home
from scoopjoy_dagster.sandbox.seed import add_invoice, cancel_document
from scoopjoy_dagster_tests.cli.closed_world import set_values
from scoopjoy_dagster_tests.cli.command import Running, eventually, running, scoopjoy
from scoopjoy_dagster_tests.cli.conftest import Command
from scoopjoy_dagster_tests.cli.world import World

STEPS = ["closed_shifts", "royalties", "invoices", "reports", "hq_sync"]
DOCUMENTED = {"business_day", "status", "run_id", "duration_s", "requests", "assets"}
DOCUMENTED_OF_ASSET = {"status", "seen", "written", "adopted", "skipped", "amount", "exceptions"}
DOCUMENTED_OF_TOTAL = {
    "name",
    "asset",
    "severity",
    "passed",
    "message",
    "expected",
    "actual",
    "difference",
    "worst_five",
}
DOCUMENTED_OF_EXCEPTION = {"what", "who", "message", "action"}


def statuses(day: dict[str, Any]) -> dict[str, str]:
    return {name: asset["status"] for name, asset in day["assets"].items()}


def errors(asset: dict[str, Any]) -> list[dict[str, str]]:
    return [one for one in asset["exceptions"] if one["severity"] == "error"]


def written(day: dict[str, Any]) -> int:
    return sum(asset["written"] for asset in day["assets"].values())


def test_a_close_prints_one_json_document_with_the_documented_keys_and_progress_on_standard_error(
    world: World, command_environment: dict[str, str], command: Command
) -> None:
    day = world.last_day.isoformat()
    done = scoopjoy("close", "--date", day, "--json", environment=command_environment)
    assert done.code == 0, done.err
    result = done.document
    assert result.keys() >= DOCUMENTED
    assert result["business_day"] == day
    assert result["status"] == "Completed"
    assert result["requests"] > 0
    assert result["duration_s"] > 0
    assert list(result["assets"]) == STEPS
    for asset in result["assets"].values():
        assert asset.keys() >= DOCUMENTED_OF_ASSET
        assert asset["status"] == "Success"
        assert all(isinstance(asset[key], int) for key in ("seen", "written", "adopted", "skipped"))
        # Text, so that no reader of JSON makes a float of it.
        assert isinstance(asset["amount"], str)
        assert Decimal(asset["amount"]) == Decimal(asset["amount"]).quantize(Decimal("0.01"))
        assert all(one.keys() >= DOCUMENTED_OF_EXCEPTION for one in asset["exceptions"])
        assert errors(asset) == []
    totals = {one["name"]: one for one in result["control_totals"]}
    assert list(totals) == [one.name for one in CONTROL_TOTALS]
    for total in CONTROL_TOTALS:
        found = totals[total.name]
        assert found.keys() >= DOCUMENTED_OF_TOTAL
        assert (found["asset"], found["severity"]) == (total.asset, total.severity)
        assert found["passed"] or not total.blocking
    for name in ("does_the_ledger_equal_the_rule", "do_the_shares_add_up", "does_headquarters_agree"):
        assert totals[name]["actual"] == result["assets"]["royalties"]["amount"]
        assert totals[name]["difference"] == "0.00"
    assert [f"{day} {title}: {state}" in done.sentences for title, state in _said()] == [True] * 10
    assert (
        (world.headquarters.deliveries[0].payload["totals"]["royalty"])
        == result["assets"]["royalties"]["amount"]
    )

    # The same day again, now as a table: nothing is written, sent or delivered a second time.
    books, mails = world.writes, world.recipients()
    again = command("close", "--date", day, "--json", SCOOPJOY_BATCH_RUN_DESK="off")
    assert again.code == 0
    assert written(again.document) == 0
    assert again.document["status"] == "Completed"
    assert {name: one["amount"] for name, one in again.document["assets"].items()} == {
        name: one["amount"] for name, one in result["assets"].items()
    }
    assert world.writes == books
    assert world.recipients() == mails
    assert len(world.headquarters.deliveries) == 1

    table = command("close", "--date", day, SCOOPJOY_BATCH_RUN_DESK="off")
    assert table.code == 0
    assert table.err == ""
    assert f"Business day {day}: Completed" in table.text
    for name in STEPS:
        assert f"{name} " in table.out
    for total in CONTROL_TOTALS:
        assert f"{total.name} " in table.out
    assert "no royalty rate set" in table.text
    assert world.writes == books


def _said() -> list[tuple[str, str]]:
    titles = ("Close POS Shifts", "Calculate Royalties", "Generate Invoices", "Send Reports", "Sync to HQ")
    return [(title, state) for title in titles for state in ("start", "success")]


def test_a_refused_recipient_gives_exit_code_1_and_the_next_close_sends_only_to_him(
    world: World, command: Command
) -> None:
    day = world.last_day.isoformat()
    world.mail.refuse("sales.head@scoopjoy.example")
    done = command("close", "--date", day, "--json")
    assert done.code == 1, done.err
    result = done.document
    assert result["status"] == "Completed with Errors"
    assert statuses(result) == {**dict.fromkeys(STEPS, "Success"), "reports": "Failed"}
    (row,) = errors(result["assets"]["reports"])
    assert row["who"] == "sales.head@scoopjoy.example"
    assert "mailbox unavailable" in row["message"]
    assert row["action"]
    others = world.recipients()
    assert others
    assert "sales.head@scoopjoy.example" not in others

    table = command("close", "--date", day)
    assert table.code == 1
    assert "Completed with Errors" in table.text
    assert "error reports: report not sent - sales.head@scoopjoy.example" in table.text
    assert world.recipients() == others

    world.mail.accept("sales.head@scoopjoy.example")
    mended = command("close", "--date", day, "--json")
    assert mended.code == 0
    assert mended.document["status"] == "Completed"
    assert written(mended.document) == 1
    assert world.recipients() == [*others, "sales.head@scoopjoy.example"]


def test_headquarters_saying_no_gives_exit_code_1_and_touches_no_other_asset(
    world: World, command: Command
) -> None:
    world.headquarters.fail_next(422)
    done = command("close", "--date", world.last_day.isoformat(), "--json")
    assert done.code == 1, done.err
    assert statuses(done.document) == {**dict.fromkeys(STEPS, "Success"), "hq_sync": "Failed"}
    (row,) = errors(done.document["assets"]["hq_sync"])
    assert "422" in row["message"]
    assert world.recipients()


def test_a_royalty_that_cannot_be_posted_gives_exit_code_2_and_skips_what_comes_after(
    world: World, command: Command
) -> None:
    day = world.last_day.isoformat()
    world.erpnext.faults.add("permission_lost", method="POST", path="Journal Entry", times=1)
    world.erpnext.faults.add("permission_lost", method="POST", doctype="Journal Entry", times=1)
    done = command("close", "--date", day, "--json")
    assert done.code == 2, done.text
    assert done.document["status"] == "Failed"
    assert statuses(done.document) == {
        "closed_shifts": "Success",
        "royalties": "Failed",
        "invoices": "Skipped",
        "reports": "Skipped",
        "hq_sync": "Skipped",
    }
    assert errors(done.document["assets"]["royalties"])
    assert world.recipients() == []
    assert world.headquarters.deliveries == []

    world.erpnext.faults.clear()
    mended = command("close", "--date", day, "--json")
    assert mended.code == 0, mended.text
    assert set(statuses(mended.document).values()) == {"Success"}
    assert mended.document["assets"]["closed_shifts"]["written"] == 0


def test_an_unreachable_erpnext_gives_exit_code_2_and_a_row_that_names_the_address(
    world: World, command: Command
) -> None:
    world.erpnext.stop()
    done = command("close", "--date", world.last_day.isoformat(), "--json", ERPNEXT_ATTEMPTS="1")
    assert done.code == 2, done.text
    assert statuses(done.document) == {**dict.fromkeys(STEPS, "Skipped"), "closed_shifts": "Failed"}
    (row,) = errors(done.document["assets"]["closed_shifts"])
    assert "no connection to http://127.0.0.1:" in row["message"]
    assert row["action"].startswith("Start ERPNext's web server")
    assert row["passes"] is True


@contextmanager
def posting(world: World, settings: dict[str, str], directory: Path) -> Iterator[Running]:
    """A close of the last day that waits for ERPNext's answer to its royalty entries."""
    day = world.last_day.isoformat()
    world.erpnext.faults.add("slow", seconds=60, method="POST", path="insert_many")
    with running("close", "--date", day, environment=settings, output=directory / "printed") as close:
        close.wait_for("Calculate Royalties: start", 60)
        assert eventually(lambda: bool(world.erpnext.faults.struck), 30)
        yield close
    world.erpnext.faults.clear()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_is_no_failure_and_the_next_close_goes_on_from_there(
    world: World,
    command: Command,
    command_environment: dict[str, str],
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    """Ctrl-C, SIGTERM and a terminal that is closed: the run is cancelled, so nobody is alerted of it."""
    day = world.last_day.isoformat()
    before = len(world.erpnext.documents("POS Closing Entry"))
    with posting(world, command_environment, tmp_path) as close:
        assert close.end(number) == 130
    assert "Stopped" in close.printed
    assert "failed unexpectedly" not in close.printed
    assert f"close {day} again" in close.printed
    written = re.search(r"closed_shifts +Success +\d+ +(\d+)", close.printed)
    assert written
    assert int(written[1]) == len(world.erpnext.documents("POS Closing Entry")) - before
    assert "Requests that write, sent by royalties: 1." in close.printed
    (run_id,) = re.findall(r"\(run ([0-9a-f-]{36})\)", close.printed)
    engine = create_engine(command_environment["SCOOPJOY_POSTGRES_URL"], poolclass=NullPool)
    with engine.connect() as connection:
        status = connection.execute(text("SELECT status FROM runs WHERE run_id = :id"), {"id": run_id})
        assert status.scalars().all() == ["CANCELED"]
    assert command("close", "--date", day, "--json").code == 0


def test_a_command_that_was_killed_is_ended_by_the_next_one_which_says_so(
    world: World, command: Command, command_environment: dict[str, str], tmp_path: Path
) -> None:
    day = world.last_day.isoformat()
    with posting(world, command_environment, tmp_path) as close:
        assert close.end(signal.SIGKILL) == -signal.SIGKILL
        killed = close.process.pid
    done = command("close", "--date", day, "--json")
    assert done.code == 0
    said = re.findall(
        r"The run [0-9a-f]{8} of (\S+) was ended: its process \((\d+) on .+\) is gone", done.err
    )
    assert said == [(day, str(killed))]
    assert "was ended" not in command("close", "--date", day).text


def test_a_wrong_key_gives_exit_code_2_after_one_request_and_is_never_repeated(
    world: World, command: Command
) -> None:
    changes = {"ERPNEXT_API_SECRET": "not-the-one", "SCOOPJOY_BATCH_RUN_DESK": "off"}
    done = command("close", "--date", world.last_day.isoformat(), "--json", **changes)
    assert done.code == 2, done.text
    (row,) = errors(done.document["assets"]["closed_shifts"])
    assert "does not accept the API key and secret" in row["message"]
    assert world.erpnext.requests.total == 1
    assert world.writes == 0
    assert "not-the-one" not in done.text


def test_a_site_without_our_fields_gives_exit_code_2_and_names_field_and_setup(
    bare_world: World, command: Command
) -> None:
    done = command("close", "--date", bare_world.last_day.isoformat(), "--json", **bare_world.settings)
    assert done.code == 2, done.text
    (row,) = errors(done.document["assets"]["closed_shifts"])
    assert "custom_scoopjoy_key" in row["message"]
    assert "scoopjoy setup" in row["action"]
    assert bare_world.writes == 0


def test_only_runs_the_named_asset_and_its_control_totals(world: World, command: Command) -> None:
    day = world.last_day.isoformat()
    shifts = command("close", "--date", day, "--only", "closed_shifts", "--json")
    assert shifts.code == 0, shifts.text
    assert statuses(shifts.document) == {"closed_shifts": "Success"}
    assert [one["name"] for one in shifts.document["control_totals"]] == [
        "is_every_shift_closed",
        "did_every_outlet_open",
    ]
    assert world.erpnext.documents("Journal Entry") == []

    royalties = command("close", "--date", day, "--only", "royalties", "--json")
    assert royalties.code == 0, royalties.text
    assert statuses(royalties.document) == {"royalties": "Success"}
    assert [one["name"] for one in royalties.document["control_totals"]] == [
        one.name for one in totals_of("royalties")
    ]
    assert world.recipients() == []

    table = command("close", "--date", day, "--only", "hq_sync")
    assert table.code == 0, table.text
    assert "reports" not in table.out
    assert len(world.headquarters.deliveries) == 1


def _then(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, happens: Callable[[], object]) -> None:
    """Let something happen between an asset's work and its control totals."""
    work = getattr(module, name)

    def work_then(*args: Any, **options: Any) -> Any:
        outcome = work(*args, **options)
        happens()
        return outcome

    monkeypatch.setattr(module, name, work_then)


def _a_posted_invoice(world: World, day: str) -> Any:
    """A Sales Invoice of the day that bears royalty."""
    entry = next(
        one
        for one in world.erpnext.documents("Journal Entry")
        if one.get("custom_scoopjoy_key", "").count(day)
    )
    party = next(row["party"] for row in entry["accounts"] if row["party"])
    return world.erpnext.documents("Sales Invoice", customer=party, posting_date=day, docstatus=1)[0]


def test_a_blocking_control_total_that_fails_gives_exit_code_2_and_stops_what_is_behind_it(
    world: World, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = world.last_day.isoformat()
    came: list[str] = []

    def an_invoice_comes() -> None:
        if not came:
            customer = _a_posted_invoice(world, day)["customer"]
            came.append(add_invoice(world.erpnext, customer, world.last_day, "1000"))

    _then(monkeypatch, royalties, "post_royalties", an_invoice_comes)
    done = command("close", "--date", day, "--json")
    assert done.code == 2, done.text
    assert done.document["status"] == "Failed"
    assert statuses(done.document)["royalties"] == "Success"
    assert {statuses(done.document)[name] for name in ("invoices", "reports", "hq_sync")} == {"Skipped"}
    failed = {one["name"] for one in done.document["control_totals"] if not one["passed"]}
    assert "does_the_ledger_equal_the_rule" in failed
    assert world.recipients() == []

    mended = command("close", "--date", day, "--json")
    assert mended.code == 0, mended.text


def test_a_control_total_of_an_asset_that_is_not_critical_gives_exit_code_1(
    world: World, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = world.last_day.isoformat()
    _then(
        monkeypatch,
        invoices,
        "settle_statements",
        lambda: set_values(
            world.erpnext,
            DOCTYPE,
            world.erpnext.documents(DOCTYPE, business_day=day)[0]["name"],
            royalty_share=0.01,
        ),
    )
    done = command("close", "--date", day)
    assert done.code == 1, done.text
    assert "Completed with Errors" in done.text
    assert "error do_the_shares_add_up: The entries carry" in done.text
    assert world.recipients()


def test_a_warning_is_shown_and_changes_no_exit_code(world: World, command: Command) -> None:
    """The first franchise by name sold in the week before; all its invoices of the day are cancelled."""
    day = world.last_day.isoformat()
    sold = world.erpnext.documents("Sales Invoice", posting_date=day, docstatus=1)
    seen = {
        doc["customer"]
        for doc in world.erpnext.documents("Sales Invoice", docstatus=1)
        if doc["posting_date"] < day and doc["customer"].startswith("Franchise ")
    }
    missing = next(name for name in sorted(seen) if any(doc["customer"] == name for doc in sold))
    for doc in sold:
        if doc["customer"] == missing:
            cancel_document(world.erpnext, "Sales Invoice", doc["name"])
    done = command("close", "--date", day)
    assert done.code == 0, done.text
    assert f"Business day {day}: Completed " in done.text
    assert "warning did_every_franchise_sell: " in done.text
    assert missing in done.text


def test_a_check_that_breaks_is_a_control_total_that_fails(
    world: World, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scoopjoy_dagster.erpnext import control_figures

    def broken(*_: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(control_figures, "ledger_rows", broken)
    done = command("close", "--date", world.last_day.isoformat(), "--json")
    assert done.code == 2, done.text
    (total,) = [
        one for one in done.document["control_totals"] if one["name"] == "does_the_ledger_equal_the_rule"
    ]
    assert (total["passed"], total["difference"]) == (False, "unknown")
    assert "The check broke and has no answer" in total["message"]


def test_a_dry_run_writes_nothing_and_records_no_run(
    world: World, command: Command, command_environment: dict[str, str], monkeypatch: Any
) -> None:
    day = world.last_day.isoformat()
    # So that there is an instance to look into.
    assert command("check").code == 0
    for name, value in prepare_home(
        _home(command_environment), command_environment["SCOOPJOY_POSTGRES_URL"]
    ).items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as instance:
        before = instance.get_runs_count()
        done = command("close", "--date", day, "--dry-run", "--json")
        assert done.code == 0, done.text
        assert instance.get_runs_count() == before
    assert done.err == ""
    plan = done.document
    assert plan["business_day"] == day
    assert plan["dry_run"] is True
    assert list(plan["plan"]) == STEPS
    assert {one["action"] for one in plan["plan"]["closed_shifts"]["actions"]} == {"create"}
    assert {one["action"] for one in plan["plan"]["royalties"]["actions"]} == {"create", "skip"}
    assert command("close", "--date", day, "--dry-run", "--only", "royalties").code == 0
    assert world.writes == 0
    assert world.recipients() == []
    assert world.headquarters.attempts == []

    # Once it is closed, the plan is to adopt.
    assert command("close", "--date", day, "--only", "closed_shifts").code == 0
    assert command("close", "--date", day, "--only", "royalties").code == 0
    books = world.writes
    later = command("close", "--date", day, "--dry-run", "--json").document["plan"]
    assert {one["action"] for one in later["closed_shifts"]["actions"]} == {"adopt"}
    assert {one["action"] for one in later["royalties"]["actions"]} == {"adopt", "skip"}
    assert [one["action"] for one in later["hq_sync"]["actions"]] == ["create"]
    assert world.writes == books


def _home(variables: dict[str, str]) -> Any:
    from pathlib import Path

    return Path(variables["SCOOPJOY_DIRECTORY"]) / "home"
