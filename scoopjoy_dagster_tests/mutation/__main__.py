"""The command line of mutation testing: `make mutation`, or some modules with `make mutation ARGS="money keys"`."""

from __future__ import annotations

import platform
import sys
import time
from collections import Counter
from importlib.metadata import version

import click
from rich.console import Console
from rich.table import Table

from scoopjoy_dagster_tests.mutation.explained import Explained
from scoopjoy_dagster_tests.mutation.workbench import ROOT, Mutant, build, found, modules, mutate

BENCH = ROOT / "build" / "mutation"
COLUMNS = ("killed", "timed out", "survived", "explained", "not run")


def table_of(mutants: list[Mutant], explained: Explained) -> Table:
    """Figures by module: mutants, killed by a test, timed out, survived, and how many of these are explained."""
    table = Table("module", "mutants", *COLUMNS, title="Mutants of the accounting rules")
    names = sorted({one.module for one in mutants})
    for title, those in [
        *((name, [one for one in mutants if one.module == name]) for name in names),
        ("all", mutants),
    ]:
        count = Counter(one.outcome for one in those)
        count["explained"] = sum(explained.covers(one) for one in those)
        table.add_row(title, str(len(those)), *(str(count[column]) for column in COLUMNS))
    return table


@click.command()
@click.argument("only", nargs=-1, metavar="[MODULE]...", type=click.Choice(modules()))
def main(only: tuple[str, ...]) -> None:
    """Change the accounting rules in every small way that mutmut knows, and see that a test notices each.

    Fails if a mutant survives that scoopjoy_dagster_tests/mutation/explained.toml does not explain.
    """
    began = time.monotonic()
    build(BENCH)
    if code := mutate(BENCH, only):
        sys.exit(code)
    explained = Explained.read()
    mutants = found(BENCH, only)
    console = Console()
    console.print(table_of(mutants, explained))
    console.print(
        f"{(time.monotonic() - began) / 60:.0f} minutes, mutmut {version('mutmut')}, Python {platform.python_version()}",
        highlight=False,
    )
    for reason in explained.unused(mutants, only):
        console.print(
            f"\nexplained, but no mutant that survives is such: {reason}", highlight=False, markup=False
        )
    bad = [one for one in mutants if one.outcome in {"survived", "not run"} and not explained.covers(one)]
    for one in bad:
        console.print(
            f"\n{one.outcome}: {one.name}\n{one.change}", highlight=False, markup=False, soft_wrap=True
        )
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
