"""What the command shows: names from ERPNext stay text, errors come first, a long list is counted."""

from __future__ import annotations

import io
import re
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from scoopjoy_dagster.accounting.totals import CONTROL_TOTALS, ControlTotal
from scoopjoy_dagster.cli.app import ASSETS
from scoopjoy_dagster.cli.closing import DayResult
from scoopjoy_dagster.cli.demo import print_where_to_click
from scoopjoy_dagster.cli.show import (
    SHOWN_EXCEPTIONS,
    print_checks,
    print_day,
    print_days,
    step_progress,
)
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
    assets = {name: asset("Failed" if name in failed else "Success") for name in ASSETS}
    result = DayResult(DAY, "run", assets)
    assert result.status == status
    assert f"Business day 2026-03-01: {status} in 0.0 s with 15 requests (run run)" in shown(result)


def total(name: str, *, passed: bool, message: str = "said", worst: str = "none") -> dict[str, Any]:
    (known,) = [one for one in CONTROL_TOTALS if one.name == name]
    return {
        "name": name,
        "asset": known.asset,
        "severity": known.severity,
        "passed": passed,
        "message": message,
        "expected": "10.00",
        "actual": "10.00" if passed else "9.00",
        "difference": "0.00" if passed else "-1.00",
        "worst_five": worst,
    }


@pytest.mark.parametrize("one", CONTROL_TOTALS, ids=lambda one: one.name)
def test_a_control_total_is_as_critical_as_its_asset_and_a_warning_changes_nothing(one: ControlTotal) -> None:
    """The royalties are in the ledger and right where only what was told about them differs."""
    if one.severity == "warning":
        status = "Completed"
    else:
        status = "Failed" if one.asset in {"closed_shifts", "royalties"} else "Completed with Errors"
    found = [total(other.name, passed=other != one) for other in CONTROL_TOTALS]
    assert DayResult(DAY, "run", {name: asset() for name in ASSETS}, found).status == status


def test_a_control_total_that_fails_shows_by_how_much_and_what_is_said_of_it() -> None:
    wrong = total(
        "does_the_ledger_equal_the_rule", passed=False, message="It differs.", worst=f"{NAUGHTY}: -1.00"
    )
    text = shown(DayResult(DAY, "run", {name: asset() for name in ASSETS}, [wrong]))
    line = next(line for line in text.splitlines() if line.startswith("does_the_ledger_equal_the_rule"))
    assert line.split() == ["does_the_ledger_equal_the_rule", "10.00", "9.00", "-1.00"]
    assert f"error does_the_ledger_equal_the_rule: It differs.\n    {NAUGHTY}: -1.00" in text


def test_control_totals_are_green_red_or_yellow() -> None:
    out = io.StringIO()
    found = [
        total("is_every_shift_closed", passed=True),
        total("does_the_ledger_equal_the_rule", passed=False),
        total("are_the_sales_as_usual", passed=False),
    ]
    console = Console(file=out, width=200, force_terminal=True, color_system="standard")
    print_day(console, DayResult(DAY, "run", {name: asset() for name in ASSETS}, found))
    for name, colour in (
        ("is_every_shift_closed", 32),
        ("does_the_ledger_equal_the_rule", 31),
        ("are_the_sales_as_usual", 33),
    ):
        line = next(line for line in out.getvalue().splitlines() if line.startswith(name))
        assert f"\x1b[{colour}m" in line
        assert {31, 32, 33} & {int(code) for code in re.findall(r"\x1b\[(\d+)m", line)} == {colour}
    assert "\x1b[33mwarning\x1b[0m are_the_sales_as_usual: said" in out.getvalue()


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


DAYS = [DAY, date(2026, 3, 2), date(2026, 3, 3)]


def shown_days(*results: DayResult) -> str:
    out = io.StringIO()
    print_days(Console(file=out, width=200, color_system=None), results)
    return out.getvalue()


def test_several_days_are_a_line_each_and_only_those_that_are_not_right_are_shown_whole() -> None:
    right = {name: asset() for name in ASSETS}
    wrong = {**right, "royalties": asset("Failed", row("error", NAUGHTY), row("warning", "W"))}
    late = {**right, "reports": asset("Failed", row("error", "E"))}
    text = shown_days(
        DayResult(DAYS[0], "r1", right), DayResult(DAYS[1], "r1", wrong), DayResult(DAYS[2], "r1", late)
    )
    lines = [line.split() for line in text.splitlines()]
    assert ["2026-03-01", "Completed", "15", "0", "1.00", "0", "0"] in lines
    assert ["2026-03-02", "Failed", "15", "0", "1.00", "1", "1"] in lines
    assert ["2026-03-03", "Completed", "with", "Errors", "15", "0", "1.00", "1", "0"] in lines
    assert "Business day 2026-03-01" not in text
    assert text.index("Business day 2026-03-02: Failed") < text.index(
        "Business day 2026-03-03: Completed with"
    )
    assert f"error royalties: royalty not posted - {NAUGHTY}: said {NAUGHTY}" in text
    assert text.endswith("1 of 3 days are completed, with 45 requests\n")


def test_one_day_of_a_range_is_shown_as_a_day() -> None:
    result = DayResult(DAY, "run", {name: asset() for name in ASSETS})
    assert shown_days(result) == shown(result)


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


@pytest.mark.parametrize("width", [80, 160])
def test_the_demo_ends_with_what_to_open_what_to_click_and_what_to_see(width: int) -> None:
    servers: Any = SimpleNamespace(
        mail=SimpleNamespace(url="http://127.0.0.1:40001"),
        headquarters=SimpleNamespace(page_url="http://127.0.0.1:40002/"),
        erpnext=SimpleNamespace(url="http://127.0.0.1:40003"),
        last_day=DAY,
    )
    out = io.StringIO()
    print_where_to_click(Console(file=out, width=width), servers, "http://127.0.0.1:40000")
    text = out.getvalue()
    assert re.search(r"Open +Click +See", text)
    for address in ("40000", "40001", "40002/", "40003"):
        assert re.search(rf"http://127\.0\.0\.1:{address}\s", text)  # whole, to be clicked in the terminal
    words = " ".join(text.split())
    assert "2026-02-27 to 2026-02-28 are not closed yet" in words
    if width == 160:
        assert "Catalog, royalties, Partitions, 2026-03-01" in words
        assert "Batch Run, with its buttons, is to be seen in a real ERPNext only" in words
