"""What the command shows: names from ERPNext stay text, errors come first, a long list is counted."""

from __future__ import annotations

import io
from datetime import date
from typing import Any

import pytest
from rich.console import Console

from scoopjoy_dagster.cli.closing import NAMES, DayResult
from scoopjoy_dagster.cli.show import SHOWN_EXCEPTIONS, print_checks, print_day, step_progress
from scoopjoy_dagster.erpnext.preflight import Check

DAY = date(2026, 3, 1)
NAUGHTY = "[bold]Thane[/nothing] [link=http://evil]x[/link] \\[red]"


def asset(status: str = "Success", *exceptions: dict[str, str]) -> dict[str, Any]:
    return {
        "status": status,
        "seen": 1,
        "written": 0,
        "adopted": 1,
        "skipped": 0,
        "amount": "1.00",
        "exceptions": list(exceptions),
        "facts": {},
        "requests": 3,
    }


def row(severity: str, who: str) -> dict[str, str]:
    return {
        "severity": severity,
        "what": "royalty not posted",
        "who": who,
        "message": f"said {who}",
        "action": f"mend {who}",
    }


def shown(result: DayResult, *, terminal: bool = False) -> str:
    out = io.StringIO()
    print_day(Console(file=out, width=200, force_terminal=terminal, color_system=None), result)
    return out.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_a_name_from_erpnext_is_shown_as_it_is_and_is_no_markup(terminal: bool) -> None:
    text = shown(
        DayResult(DAY, "run", {"royalties": asset("Failed", row("error", NAUGHTY))}), terminal=terminal
    )
    assert f"royalties: royalty not posted - {NAUGHTY}: said {NAUGHTY}" in text
    assert f"-> mend {NAUGHTY}" in text


def test_errors_are_shown_before_warnings_and_what_is_too_long_is_counted() -> None:
    warnings = [row("warning", f"W{number}") for number in range(SHOWN_EXCEPTIONS)]
    text = shown(
        DayResult(
            DAY,
            "run",
            {"closed_shifts": asset("Success", *warnings), "royalties": asset("Failed", row("error", "E1"))},
        )
    )
    assert text.index("error royalties") < text.index("warning closed_shifts")
    assert "... and 1 more; see the partition in Dagster." in text


@pytest.mark.parametrize(
    ("failed", "status"),
    [
        ([], "Completed"),
        (["reports"], "Completed with Errors"),
        (["invoices", "reports", "hq_sync"], "Completed with Errors"),
        (["royalties"], "Failed"),
        (["closed_shifts", "hq_sync"], "Failed"),
    ],
)
def test_only_a_critical_asset_makes_a_day_failed(failed: list[str], status: str) -> None:
    assets = {name: asset("Failed" if name in failed else "Success") for name in NAMES}
    result = DayResult(DAY, "run", assets)
    assert result.status == status
    assert f"Business day 2026-03-01: {status} in 0.0 s with 15 requests (run run)" in shown(result)


def test_a_ledger_that_differs_from_the_rule_makes_a_day_failed_and_shows_by_how_much() -> None:
    total = {
        "name": "ledger_equals_rule",
        "passed": False,
        "expected": "10.00",
        "actual": "9.00",
        "difference": "-1.00",
    }
    result = DayResult(DAY, "run", {name: asset() for name in NAMES}, [total])
    assert result.status == "Failed"
    (line,) = [line for line in shown(result).splitlines() if line.startswith("ledger_equals_rule")]
    assert line.split() == ["ledger_equals_rule", "10.00", "9.00", "-1.00"]


@pytest.mark.parametrize("name", ["shares_equal_royalties", "headquarters_equals_ours"])
def test_a_total_of_a_step_that_is_not_critical_gives_completed_with_errors(name: str) -> None:
    """The royalties are in the ledger and right: what differs is only what was told about them."""
    right = {"name": "ledger_equals_rule", "passed": True}
    differs = {"name": name, "passed": False, "expected": "10.00", "actual": "9.00", "difference": "-1.00"}
    result = DayResult(DAY, "run", {step: asset() for step in NAMES}, [right, differs])
    assert result.status == "Completed with Errors"


def test_progress_is_a_line_for_each_state_in_a_file_and_a_bar_on_a_terminal() -> None:
    file, screen = io.StringIO(), io.StringIO()
    for out, terminal in ((file, False), (screen, True)):
        console = Console(file=out, width=120, force_terminal=terminal, color_system=None)
        with step_progress(console, DAY, ["reports"]) as tell:
            tell("reports", "start")
            tell("reports", "success")
    assert file.getvalue() == "2026-03-01 Send Reports: start\n2026-03-01 Send Reports: success\n"
    assert "2026-03-01 Send Reports" in screen.getvalue()
    assert ": start" not in screen.getvalue()


def test_checks_are_shown_as_they_are_and_the_errors_counted() -> None:
    out = io.StringIO()
    checks = [
        Check("ok", "login", "as robot"),
        Check("error", "accounts", NAUGHTY, f"mend {NAUGHTY}"),
        Check("warning", "mail", "none"),
    ]
    assert print_checks(Console(file=out, width=200), iter(checks)) == 1
    lines = out.getvalue().splitlines()
    assert lines[0] == "ok       login: as robot"
    assert lines[1] == f"error    accounts: {NAUGHTY}"
    assert lines[2].strip() == f"-> mend {NAUGHTY}"
