"""The command line of the benchmarks."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from scoopjoy_dagster_tests.benchmarks import baseline, results
from scoopjoy_dagster_tests.benchmarks.nights import backfill, night
from scoopjoy_dagster_tests.benchmarks.start import start
from scoopjoy_dagster_tests.benchmarks.workbench import LATENCY, Workbench, workbench

NAMES = ("nights", "backfills", "start")


def _numbers(_context: click.Context, _option: click.Parameter, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",") if part]
    except ValueError:
        raise click.BadParameter("numbers with commas between them, such as 20,200") from None


@click.command()
@click.option(
    "--only", type=click.Choice(NAMES), multiple=True, help="This one; may come again. Default: all."
)
@click.option(
    "--sizes", default="20,200,1000,5000", show_default=True, callback=_numbers, help="Franchises of a night."
)
@click.option("--days", default="30,365", show_default=True, callback=_numbers, help="Lengths of a backfill.")
@click.option("--invoices", default=2, show_default=True, help="Sales Invoices of each franchise and day.")
@click.option("--backfill-franchises", default=5, show_default=True, help="Franchises of a backfill.")
@click.option(
    "--naive-up-to", default=1000, show_default=True, help="Most franchises that are done the naive way too."
)
@click.option("--repetitions", default=7, show_default=True, help="Of each import; the median is told.")
@click.option("--url", help="A real ERPNext, on which `scoopjoy setup` was run. Default: the embedded one.")
@click.option("--key", envvar="ERPNEXT_API_KEY", help="API key there; or ERPNEXT_API_KEY.")
@click.option("--secret", envvar="ERPNEXT_API_SECRET", help="API secret there; or ERPNEXT_API_SECRET.")
@click.option("--test-site", is_flag=True, help="Yes, --url is a test site: cancelled documents stay on it.")
@click.option(
    "--day", type=click.DateTime(["%Y-%m-%d"]), help="Last business day that is used. Default: yesterday."
)
@click.option(
    "--json", "file", type=click.Path(path_type=Path, dir_okay=False), help="File of results to go on with."
)
@click.option("--update-baseline", is_flag=True, help="Write the stored baseline anew instead of measuring.")
def main(
    *,
    only: tuple[str, ...],
    sizes: list[int],
    days: list[int],
    invoices: int,
    backfill_franchises: int,
    naive_up_to: int,
    repetitions: int,
    url: str | None,
    key: str | None,
    secret: str | None,
    test_site: bool,
    day: datetime | None,
    file: Path | None,
    update_baseline: bool,
) -> None:
    """Measure nights, backfills and the start of scoopjoy_dagster. See docs/performance.md."""
    out = Console(highlight=False)
    if not out.is_terminal:
        out = Console(highlight=False, width=160)  # a table that is cut at 80 columns is no table
    options: dict[str, Any] = {"last_day": day.date()} if day else {}
    if url:
        if not (key and secret):
            raise click.UsageError(
                "--url needs --key and --secret, or ERPNEXT_API_KEY and ERPNEXT_API_SECRET."
            )
        if not test_site:
            raise click.UsageError(
                "The benchmark posts and cancels documents and leaves them behind. If the site is a test site, say --test-site."
            )
        options["real_site"] = {"ERPNEXT_URL": url, "ERPNEXT_API_KEY": key, "ERPNEXT_API_SECRET": secret}
    found = results.Results("a real site" if url else f"embedded, latency model {LATENCY}")
    try:
        if file:
            found.load(file)
    except ValueError as problem:
        raise click.ClickException(str(problem)) from None
    with workbench(**options) as bench:
        if update_baseline:
            baseline.write(baseline.measured(bench))
            out.print(f"written: {baseline.FILE}")
            return
        for name, work in _plan(
            bench, only, sizes, days, invoices, backfill_franchises, naive_up_to, repetitions
        ):
            kind, _, what = name.partition(":")
            out.print(f"{what} ...")
            found.add(kind, work())
            if file:
                found.write(file)
    out.print(results.table(found.found))
    for sentence in results.ratios(found.found):
        out.print(sentence, markup=False)


def _plan(
    bench: Workbench,
    only: tuple[str, ...],
    sizes: list[int],
    days: list[int],
    invoices: int,
    backfill_franchises: int,
    naive_up_to: int,
    repetitions: int,
) -> list[tuple[str, Any]]:
    chosen = only or NAMES
    plan: list[tuple[str, Any]] = []
    if "start" in chosen:
        place = bench.directory / "start"
        plan.append(("start:the start", lambda: start(bench.home(), place, repetitions)))
    if "nights" in chosen:
        plan += [
            (
                f"nights:a night of {size} franchises",
                lambda size=size: night(bench, size, invoices, naive=size <= naive_up_to),
            )
            for size in sizes
        ]
    if "backfills" in chosen:
        plan += [
            (
                f"backfills:a backfill of {length} days",
                lambda length=length: backfill(bench, length, backfill_franchises, invoices),
            )
            for length in days
        ]
    return plan


if __name__ == "__main__":
    main()
