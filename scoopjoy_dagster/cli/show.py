"""How the command shows things: progress bars and tables on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from scoopjoy_dagster.accounting.findings import Finding, gathered
from scoopjoy_dagster.assets.outcome import WRITES_KEY
from scoopjoy_dagster.cli.closing import DayResult, Tell
from scoopjoy_dagster.erpnext.preflight import Check
from scoopjoy_dagster.steps import STEPS

_COLOURS = {
    "Success": "green",
    "Completed": "green",
    "Failed": "red",
    "Skipped": "yellow",
    "Stopped": "yellow",
    "Completed with Errors": "yellow",
}
_MARKS = {"ok": "green", "warning": "yellow", "error": "red"}
SHOWN_EXCEPTIONS = 20


@contextmanager
def step_progress(console: Console, day: date, only: Sequence[str] = ()) -> Iterator[Tell]:
    """A bar over the steps of one day on a terminal; one line per step and state elsewhere."""
    titles = {step.asset: f"{day} {step.title}" for step in STEPS if not only or step.asset in only}
    if not console.is_terminal:
        yield lambda name, state: console.print(f"{titles[name]}: {state}", highlight=False, soft_wrap=True)
        return
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task(f"{day}", total=len(titles))

        def tell(name: str, state: str) -> None:
            progress.update(task, description=titles[name], advance=state != "start")

        yield tell


def print_days(console: Console, results: Sequence[DayResult]) -> None:
    """A range of days: a line for each, and all that is to be said of those that are not right. One day as ever."""
    if len(results) == 1:
        print_day(console, results[0])
        return
    for result in results:
        if result.status != "Completed":
            print_day(console, result)
    table = Table("Business day", "Status", box=None, pad_edge=False)
    for column in ("Requests", "Written", "Royalty", "Errors", "Warnings"):
        table.add_column(column, justify="right")
    for result in results:
        severities = [one["severity"] for asset in result.assets.values() for one in asset["exceptions"]]
        table.add_row(
            f"{result.business_day}",
            f"[{_COLOURS[result.status]}]{result.status}[/]",
            str(sum(int(asset["requests"]) for asset in result.assets.values())),
            str(sum(int(asset["written"]) for asset in result.assets.values())),
            str(result.assets["royalties"]["amount"]),
            str(severities.count("error")),
            str(severities.count("warning")),
        )
    console.print()
    console.print(table)
    right = sum(result.status == "Completed" for result in results)
    requests = sum(int(asset["requests"]) for result in results for asset in result.assets.values())
    console.print(
        f"\n{right} of {len(results)} days are completed, with {requests} requests",
        highlight=False,
    )


def print_day(console: Console, result: DayResult) -> None:
    """What was done per asset, the control totals, and the exception rows of a day."""
    colour = _COLOURS[result.status]
    requests = sum(int(asset["requests"]) for asset in result.assets.values())
    console.print(
        f"\nBusiness day [bold]{result.business_day}[/bold]: [{colour}]{result.status}[/{colour}] "
        f"in {result.duration_s:.1f} s with {requests} requests (run {result.run_id})",
        highlight=False,
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("Asset", no_wrap=True)
    table.add_column("Status", no_wrap=True)
    for column in ("Seen", "Written", "Adopted", "Skipped", "Amount", "Errors", "Warnings"):
        table.add_column(column, justify="right")
    for name, asset in result.assets.items():
        severities = [one["severity"] for one in asset["exceptions"]]
        table.add_row(
            name,
            f"[{_COLOURS[asset['status']]}]{asset['status']}[/]",
            *(str(asset[key]) for key in ("seen", "written", "adopted", "skipped")),
            asset["amount"],
            str(severities.count("error")),
            str(severities.count("warning")),
        )
    console.print(table)
    if result.stopped:
        sent = [
            f" Requests that write, sent by {name}: {asset['facts'][WRITES_KEY]}."
            for name, asset in result.assets.items()
            if WRITES_KEY in asset["facts"]
        ]
        console.print(
            f"The close was stopped.{''.join(sent)} What was written stays and is adopted: "
            f"close {result.business_day} again when it suits you.",
            highlight=False,
            soft_wrap=True,
        )
    print_totals(console, result)
    rows = [
        (name, one)
        for name, asset in result.assets.items()
        for one in gathered(Finding.from_dict(found) for found in asset["exceptions"])
    ]
    rows.sort(key=lambda row: row[1].severity != "error")
    if rows:
        console.print("\nExceptions")
    for name, one in rows[:SHOWN_EXCEPTIONS]:
        mark = _MARKS[one.severity]
        console.print(
            f"  [{mark}]{one.severity}[/] {name}: {escape(one.what)} - {escape(one.who)}: {escape(one.message)}"
            f"\n    -> {escape(one.action)}",
            highlight=False,
        )
    if len(rows) > SHOWN_EXCEPTIONS:
        console.print(f"  ... and {len(rows) - SHOWN_EXCEPTIONS} more; see the partition in Dagster.")


def print_totals(console: Console, result: DayResult) -> None:
    """The day's control totals: what must be equal, and below, what is said of those that are not."""
    table = Table("Control total", box=None, pad_edge=False)
    for column in ("Expected", "Actual", "Difference"):
        table.add_column(column, justify="right")
    for total in result.control_totals:
        colour = "green" if total["passed"] else _MARKS[total["severity"]]
        cells = (str(total[key]) for key in ("expected", "actual", "difference"))
        table.add_row(total["name"], *(f"[{colour}]{cell}[/]" for cell in cells))
    if table.row_count:
        console.print()
        console.print(table)
    for total in result.control_totals:
        if not total["passed"]:
            worst = total["worst_five"]
            named = f"\n    {escape(worst)}" if worst not in {"none", "unknown"} else ""
            console.print(
                f"  [{_MARKS[total['severity']]}]{total['severity']}[/] {total['name']}: {escape(total['message'])}{named}",
                highlight=False,
            )


def print_checks(console: Console, checks: Iterator[Check]) -> int:
    """The preflight, line by line as it is known. Returns the number of errors."""
    errors = 0
    for check in checks:
        errors += check.level == "error"
        mark = _MARKS[check.level]
        action = f"\n           -> {escape(check.action)}" if check.action else ""
        console.print(
            f"[{mark}]{check.level:<8}[/] {escape(check.what)}: {escape(check.message)}{action}",
            highlight=False,
        )
    return errors
