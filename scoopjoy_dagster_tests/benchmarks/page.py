"""The results in docs/performance.md, between their markers, from docs/performance.json alone.

Run: python -m scoopjoy_dagster_tests.benchmarks.page
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from scoopjoy_dagster.sandbox.erpnext.latency import ERPNEXT_V15
from scoopjoy_dagster_tests.benchmarks import results

DOCS = Path(__file__).resolve().parents[2] / "docs"
FIGURES = DOCS / "performance.json"
PAGE = DOCS / "performance.md"


def stored() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8"))
    return found


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    marks = ["---", *["---:"] * (len(header) - 1)]
    return [f"| {' | '.join(row)} |" for row in (header, tuple(marks), *rows)]


def results_section(found: dict[str, Any]) -> str:
    """Machine, table, ratios and the time of the steps."""
    of = found["machine"]
    every = [*found["nights"], *found["backfills"]]
    dates = sorted({one["date"] for one in every})
    loads = [one["load"] for one in every]
    of_what = (
        f"{of['cores']} cores, {of['memory_gib']} GiB, {of['architecture']}, {of['system']}, everything on this one machine; "
        f"Python {of['python']}, Dagster {of['dagster']}; ERPNext: {found['erpnext']}; measured {' and '.join(dates)}; "
        f"load at the end of each benchmark {min(loads):g} to {max(loads):g} (1 is the benchmark itself)."
    )
    lines = [
        of_what,
        "",
        *_table(("run", *results.COLUMNS), results.rows(found)),
        "",
        *(f"* {sentence}" for sentence in results.ratios(found)),
        "",
        "Where the time of a night goes, and what ERPNext has of it (seconds, all / inside; requests):",
        "",
        *_table(("franchises", *_steps(found)), [_step_row(one, _steps(found)) for one in found["nights"]]),
    ]
    return "\n".join(lines)


def _steps(found: dict[str, Any]) -> tuple[str, ...]:
    return tuple(found["nights"][0]["night"]["steps"]) if found["nights"] else ()


def _step_row(one: dict[str, Any], names: tuple[str, ...]) -> tuple[str, ...]:
    steps = one["night"]["steps"]
    cells = (
        f"{steps[name]['wall_s']:.1f} / {steps[name]['inside_s']:.1f}; {steps[name]['requests']}"
        for name in names
    )
    return (f"{one['franchises']:,}", *cells)


def model_section() -> str:
    """The latency model as a table."""
    rows = [
        (name, f"{cost.once:g}", f"{cost.commit:g}", f"{cost.each:g}", f"{cost.row:g}", cost.source)
        for name, cost in ERPNEXT_V15.items()
    ]
    header = (
        "operation",
        "once, ms",
        "until the commit, ms",
        "for each document or row, ms",
        "for each row in a table of the owner's, ms",
        "source",
    )
    lines = _table(header, rows)
    lines[1] = "| --- | ---: | ---: | ---: | ---: | --- |"
    return "\n".join(lines)


def with_sections(text: str, found: dict[str, Any]) -> str:
    """The page with both generated sections anew.

    Raises:
        ValueError: a marker is missing.
    """
    for name, section in (("results", results_section(found)), ("model", model_section())):
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        before, one, rest = text.partition(begin)
        _, two, after = rest.partition(end)
        if not (one and two):
            message = f"{PAGE.name} has no section {name!r}; its markers are {begin} and {end}"
            raise ValueError(message)
        text = f"{before}{begin}\n{section}\n{end}{after}"
    return text


def write() -> None:
    """Write the page again."""
    found = stored()
    PAGE.write_text(with_sections(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")


if __name__ == "__main__":
    write()
    click.echo(f"written: {PAGE.relative_to(DOCS.parent)}")
