"""Results: kept from run to run, of one machine, told in a table; and what the command line refuses."""

from __future__ import annotations

import json
import platform
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from scoopjoy_dagster_tests.benchmarks import nights, results
from scoopjoy_dagster_tests.benchmarks.__main__ import main
from scoopjoy_dagster_tests.benchmarks.chain_of import Chain
from scoopjoy_dagster_tests.benchmarks.workbench import Workbench

STEPS = ("closed_shifts", "royalties", "invoices", "reports", "hq_sync")


def act(wall_s: float, inside_s: float, **steps: float) -> dict[str, Any]:
    """An act as the measured process tells it."""
    figures = {"requests": 10, "writes": 2}
    return {
        **figures,
        "wall_s": wall_s,
        "inside_s": inside_s,
        "processor_s": 1.3,
        "peak_mib": 200.4,
        "steps": {
            name: {**figures, "wall_s": seconds, "inside_s": seconds} for name, seconds in steps.items()
        },
    }


def measured(franchises: int, wall_s: float = 12.0) -> dict[str, Any]:
    ours = act(wall_s, 8.0, **dict.fromkeys(STEPS, 2.0))
    naive = act(40.0, 39.0, royalties=16.0, invoices=24.0)
    return {
        "franchises": franchises,
        "night": {**nights.figures(ours), "steps": nights.by_step(ours)},
        "again": nights.figures(act(0.5, 0.1)),
        "naive": nights.compared(ours, naive),
    }


def test_a_naive_night_is_its_two_steps_and_the_other_three_of_ours() -> None:
    told = measured(20)["naive"]
    assert told["royalty_step_ratio"] == 8.0
    assert told["night_wall_s"] == 40.0 + 3 * 2.0
    assert told["night_ratio"] == round(46 / 12, 2)


def test_the_overhead_is_wall_by_inside() -> None:
    assert measured(20)["night"]["overhead"] == 1.5
    assert nights.figures(act(1.0, 0.0))["overhead"] is None


def test_a_measurement_replaces_the_one_of_its_size_and_keeps_the_others(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    first = results.Results("embedded")
    first.add("nights", measured(200))
    first.add("nights", measured(20))
    first.write(path)
    second = results.Results("embedded")
    second.load(path)
    second.add("nights", measured(20, wall_s=9.0))
    assert [one["franchises"] for one in second.found["nights"]] == [20, 200]
    assert [one["night"]["wall_s"] for one in second.found["nights"]] == [9.0, 12.0]


@pytest.mark.parametrize(("what", "other"), [("machine", {"cores": 99}), ("erpnext", "a real site")])
def test_figures_of_two_machines_or_two_sites_never_stand_in_one_file(
    tmp_path: Path, what: str, other: object
) -> None:
    path = tmp_path / "results.json"
    first = results.Results("embedded")
    first.found[what] = other
    first.write(path)
    with pytest.raises(ValueError, match=f"was measured with another {what}"):
        results.Results("embedded").load(path)


def test_no_name_of_a_host_is_kept() -> None:
    assert platform.node() not in json.dumps(results.machine())


def test_the_table_has_a_row_for_each_run() -> None:
    found = results.Results("embedded")
    found.add("nights", measured(1000))
    told = results.rows(found.found)
    assert [row[0] for row in told] == [
        "1,000 franchises, a night",
        "1,000 franchises, the same day again",
        "1,000 franchises, two steps the naive way",
    ]
    assert told[0][1:] == ("12.0 s", "8.0 s", "1.50", "1.3 s", "10", "2", "200 MiB")


def test_a_real_site_is_given_new_days_for_each_benchmark_and_the_embedded_one_is_not(tmp_path: Path) -> None:
    last = date(2026, 10, 31)
    bench: Any = Workbench(tmp_path, None, last_day=last, real_site={})  # type: ignore[arg-type]
    assert bench.chain(5, 2, 2) == Chain(5, 2, date(2026, 10, 30), last)
    assert bench.chain(5, 2, 3) == Chain(5, 2, date(2026, 10, 27), date(2026, 10, 29))
    bench.real_site = None
    bench.last_day = last
    assert bench.chain(5, 2, 2) == bench.chain(5, 2, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--url", "http://127.0.0.1:9"], "--url needs --key and --secret"),
        (["--url", "http://127.0.0.1:9", "--key", "k", "--secret", "s"], "say --test-site"),
        (["--sizes", "many"], "numbers with commas"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_started(arguments: list[str], message: str) -> None:
    told = CliRunner().invoke(main, arguments, env={"ERPNEXT_API_KEY": "", "ERPNEXT_API_SECRET": ""})
    assert told.exit_code == 2
    assert message in told.output
