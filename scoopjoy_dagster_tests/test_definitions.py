"""What Dagster is given: loadable anywhere, with nothing heavy and no network, and wired as the blueprint of the close."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from datetime import date, time, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.automation_tick_evaluation_context import (
    build_run_requests_with_backfill_policies,
)
from dagster._core.definitions.events import AssetKeyPartitionKey

from scoopjoy_dagster.accounting.totals import CONTROL_TOTALS, totals_of
from scoopjoy_dagster.automation.jobs import WATCH
from scoopjoy_dagster.definitions import ASSETS, JOB, build_defs, site_resources
from scoopjoy_dagster.executors import IN_ONE_PROCESS
from scoopjoy_dagster.partitions import business_days
from scoopjoy_dagster.settings import load_settings

SETTINGS = {
    "ERPNEXT_URL": "https://erp.example",
    "ERPNEXT_API_KEY": "key",
    "ERPNEXT_API_SECRET": "sentinel-of-the-secret",
    "SCOOPJOY_GO_LIVE": "2026-01-10",
}
DEPENDENCIES = {
    "closed_shifts": set(),
    "royalties": {"closed_shifts"},
    "invoices": {"royalties"},
    "reports": {"royalties"},
    "hq_sync": {"royalties"},
}
# What a process must be able to do without: the libraries of reports, the embedded world, and what the tests use.
HEAVY = (
    "reportlab",
    "xlsxwriter",
    "pandas",
    "scoopjoy_dagster.sandbox",
    "scoopjoy_dagster.local",
)

LOAD = """
import json, socket, sys

def refuse(*args, **kwargs):
    raise AssertionError(f"the network was asked for: {args}")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = refuse

from dagster._core.code_pointer import CodePointer
from dagster._core.definitions.reconstruct import initialize_repository_def_from_pointer

repository = initialize_repository_def_from_pointer(
    CodePointer.from_module("scoopjoy_dagster.definitions", "defs", None)
)
print(json.dumps({"jobs": sorted(job.name for job in repository.get_all_jobs()), "modules": sorted(sys.modules)}))
"""


def clean_environment(**settings: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **settings}


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_defs(load_settings(SETTINGS))


@pytest.fixture(scope="module")
def graph(definitions: dg.Definitions) -> AssetGraph:
    return definitions.resolve_asset_graph()


def test_the_definitions_are_loadable(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_a_fresh_process_loads_them_without_network_and_without_heavy_libraries() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:scoopjoy_dagster", "-c", LOAD],
        check=False,
        capture_output=True,
        text=True,
        env=clean_environment(**SETTINGS),
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    assert {JOB, "__ASSET_JOB"} <= set(loaded["jobs"])
    modules = set(loaded["modules"])
    assert "scoopjoy_dagster.definitions" in modules
    assert [name for name in HEAVY if name in modules] == []
    assert "Warning" not in done.stderr


def test_with_an_empty_environment_dagster_shows_one_sentence_for_each_missing_setting(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [
            str(Path(sysconfig.get_path("scripts")) / "dagster"),
            *("definitions", "validate", "-m", "scoopjoy_dagster.definitions"),
        ],
        check=False,
        capture_output=True,
        text=True,
        env=clean_environment(DAGSTER_HOME=str(tmp_path)),
        cwd=tmp_path,
        timeout=120,
    )
    assert done.returncode == 1
    shown = re.sub(r"\s+", " ", done.stdout + done.stderr)
    for name in SETTINGS:
        assert f"{name} is not set: " in shown


def test_with_the_settings_dagster_finds_them_valid(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            str(Path(sysconfig.get_path("scripts")) / "dagster"),
            *("definitions", "validate", "-m", "scoopjoy_dagster.definitions"),
        ],
        check=False,
        capture_output=True,
        text=True,
        env=clean_environment(DAGSTER_HOME=str(tmp_path), **SETTINGS),
        cwd=tmp_path,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "sentinel-of-the-secret" not in done.stdout + done.stderr


def test_the_five_assets_and_no_others_can_be_materialized(graph: AssetGraph) -> None:
    assert [module.NAME for module in ASSETS] == list(DEPENDENCIES)
    assert {key.to_user_string() for key in graph.materializable_asset_keys} == set(DEPENDENCIES)


@pytest.mark.parametrize("name", DEPENDENCIES)
def test_every_asset_says_what_it_is_and_covers_business_days_from_go_live(
    graph: AssetGraph, name: str
) -> None:
    node = graph.get(dg.AssetKey(name))
    assert node.description
    assert len(node.description.split()) > 20
    assert node.group_name == "nightly_close"
    assert node.owners == ["team:finance"]
    assert "erpnext" in node.kinds
    assert node.code_version == "1"
    assert node.tags["scoopjoy/critical"] == ("yes" if name in {"closed_shifts", "royalties"} else "no")
    days = node.partitions_def
    assert isinstance(days, dg.DailyPartitionsDefinition)
    assert days.timezone == "Asia/Kolkata"
    assert days.start.isoformat() == "2026-01-10T00:00:00+05:30"
    assert days.get_first_partition_key() == "2026-01-10"
    # Without a policy a backfill is a run for each day, with the tag of its partition (`test_dagster_facts`).
    assert node.backfill_policy is None


def test_everything_that_the_ui_lists_is_described_and_says_whose_and_what_kind_it_is(
    definitions: dg.Definitions, graph: AssetGraph
) -> None:
    """Assets have owners, tags, kinds and a group, checks and jobs a description, sensors and schedules tags, too.

    Owners of jobs, schedules and sensors are beta in Dagster 1.13, and of checks there are none.
    """
    nodes = list(graph.asset_nodes)
    assert {node.key.to_user_string() for node in nodes} == {*DEPENDENCIES, "nightly_close_watch"}
    for node in nodes:
        assert node.group_name == "nightly_close", node.key
        assert node.owners == ["team:finance"], node.key
        assert node.kinds, node.key
        assert node.tags["scoopjoy/critical"] in {"yes", "no"}, node.key
        assert node.description, node.key
        # The catalog shows the first line as plain text.
        assert not set("*`#_[") & set(node.description.splitlines()[0]), node.key
    for key in graph.asset_check_keys:
        assert (graph.get(key).description or "").endswith("?"), key
    for job in definitions.resolve_all_job_defs():
        if not job.name.startswith("__"):
            assert job.description, job.name
            assert job.tags["dagster/priority"], job.name
    for schedule in definitions.schedules or []:
        assert isinstance(schedule, dg.ScheduleDefinition)
        assert schedule.description, schedule.name
        assert schedule.tags == {"scoopjoy/triggered_by": "schedule"}, schedule.name
    for sensor in definitions.sensors or []:
        assert sensor.description, sensor.name
        assert sensor.tags["scoopjoy/purpose"], sensor.name


@pytest.mark.parametrize("name", DEPENDENCIES)
def test_a_description_says_what_green_and_red_mean_and_what_the_figures_are(
    graph: AssetGraph, name: str
) -> None:
    description = graph.get(dg.AssetKey(name)).description or ""
    for word in ("**Green** means:", "**Red** means:", "**Figures**:", "company currency (INR)"):
        assert word in description, word


def test_control_totals_are_named_as_the_questions_that_they_answer() -> None:
    for total in CONTROL_TOTALS:
        first = total.name.partition("_")[0]
        assert first in {"is", "are", "do", "does", "did"}, total.name
        assert total.question.endswith("?")
        assert len(total.name) <= 30, total.name


def test_headquarters_must_be_told_by_six_in_the_morning_of_india(graph: AssetGraph) -> None:
    policies = {
        node.key.to_user_string(): node.freshness_policy_or_from_metadata for node in graph.asset_nodes
    }
    policy = policies.pop("hq_sync")
    assert set(policies.values()) == {None}
    assert policy == dg.FreshnessPolicy.cron("0 6 * * *", timedelta(hours=6), "Asia/Kolkata")


@pytest.mark.parametrize(("name", "needs"), DEPENDENCIES.items())
def test_assets_depend_on_exactly_what_must_be_true_before(
    graph: AssetGraph, name: str, needs: set[str]
) -> None:
    assert {key.to_user_string() for key in graph.get(dg.AssetKey(name)).parent_keys} == needs


def test_every_control_total_is_partitioned_like_its_asset(graph: AssetGraph) -> None:
    for total in CONTROL_TOTALS:
        check = graph.get(dg.AssetCheckKey(dg.AssetKey(total.asset), total.name))
        assert check.blocking is total.blocking
        assert check.partitions_def == graph.get(dg.AssetKey(total.asset)).partitions_def


def test_every_check_is_blocking_save_for_those_that_only_warn(graph: AssetGraph) -> None:
    """A check that only warns neither stops what comes after it nor fails the run, so nobody would be told."""
    warnings = {one.name for one in CONTROL_TOTALS if one.severity == "warning"}
    assert {key.name for key in graph.asset_check_keys if not graph.get(key).blocking} == warnings


def test_every_job_runs_in_one_process(definitions: dg.Definitions) -> None:
    """A process for each step costs seconds each. Backfills and "Materialize" run the implicit job."""
    assert definitions.resolve_implicit_global_asset_job_def().executor_def is IN_ONE_PROCESS
    for job in definitions.resolve_all_job_defs():
        assert job.executor_def.name == "in_process", job.name


def test_the_job_closes_all_five_assets_with_one_step_for_the_control_totals_of_each(
    definitions: dg.Definitions,
) -> None:
    job = definitions.resolve_job_def(JOB)
    assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == set(DEPENDENCIES)
    assert {node.name for node in job.nodes if node.name not in DEPENDENCIES} == {
        f"{asset}_control_totals" for asset in DEPENDENCIES if totals_of(asset)
    }
    assert isinstance(job.partitions_def, dg.DailyPartitionsDefinition)


def test_a_backfill_that_the_ui_launches_is_a_run_of_all_assets_and_checks_for_each_day(
    definitions: dg.Definitions, graph: AssetGraph
) -> None:
    days = ["2026-01-10", "2026-01-11", "2026-01-12"]
    wanted = [AssetKeyPartitionKey(dg.AssetKey(name), day) for day in days for name in DEPENDENCIES]
    with dg.DagsterInstance.ephemeral() as instance:
        requests = build_run_requests_with_backfill_policies(wanted, graph, instance)
    assert sorted(request.partition_key or "" for request in requests) == days
    for request in requests:
        assert {key.to_user_string() for key in request.asset_selection or []} == set(DEPENDENCIES)


def test_there_are_the_close_its_watch_and_the_clearing_of_old_runs_and_no_other_jobs(
    definitions: dg.Definitions,
) -> None:
    named = {job.name for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")}
    assert named == {"nightly_close", "watchdog", "retention"}
    schedules = [one for one in definitions.schedules or [] if isinstance(one, dg.ScheduleDefinition)]
    assert sorted(one.job_name for one in schedules) == sorted(named)


def test_the_nightly_schedule_ticks_at_one_in_the_night_of_india(definitions: dg.Definitions) -> None:
    nightly = [one for one in definitions.schedules or [] if one.name.startswith("nightly")]
    (schedule,) = nightly
    assert isinstance(schedule, dg.ScheduleDefinition)
    assert schedule.cron_schedule == ["0,15,30,45 1 * * *", "0,15,30,45 2,3,4,5 * * *"]
    assert schedule.execution_timezone == "Asia/Kolkata"
    assert schedule.job_name == JOB
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_a_day_that_ends_after_midnight_ends_so_for_every_asset_check_and_reader() -> None:
    made = build_defs(
        load_settings({**SETTINGS, "SCOOPJOY_DAY_ENDS_AT": "03:30", "SCOOPJOY_CLOSE_AT": "04:15"})
    )
    days = business_days(date(2026, 1, 10), time(3, 30))
    graph = made.resolve_asset_graph()
    assert {graph.get(dg.AssetKey(module.NAME)).partitions_def for module in ASSETS} == {days}
    checks = [graph.get(key) for key in graph.asset_check_keys if key.asset_key != dg.AssetKey(WATCH)]
    assert {check.partitions_def for check in checks} == {days}
    schedules = {one.name: one.cron_schedule for one in made.schedules or []}
    assert schedules["nightly_close_schedule"] == ["15,30,45 4 * * *", "0,15,30,45 5 * * *"]
    erpnext = site_resources(
        load_settings({**SETTINGS, "SCOOPJOY_DAY_ENDS_AT": "03:30", "SCOOPJOY_CLOSE_AT": "04:15"})
    )["erpnext"]
    assert erpnext.book_settings.day_ends_at == time(3, 30)


def test_automation_off_leaves_schedules_and_sensors_stopped_and_on_starts_them() -> None:
    for value, running in (("on", True), ("off", False)):
        made = build_defs(load_settings({**SETTINGS, "SCOOPJOY_AUTOMATION": value}))
        started = [
            one.default_status in {dg.DefaultScheduleStatus.RUNNING, dg.DefaultSensorStatus.RUNNING}
            for one in [*(made.schedules or []), *(made.sensors or [])]
            if isinstance(one, dg.ScheduleDefinition | dg.SensorDefinition)
        ]
        assert started
        assert set(started) == {running}


def test_each_call_makes_definitions_of_its_own() -> None:
    first, second = (build_defs(load_settings(SETTINGS)) for _ in range(2))
    assert first is not second
    other = build_defs(load_settings({**SETTINGS, "SCOOPJOY_GO_LIVE": "2026-02-01"}))
    days = other.resolve_asset_graph().get(dg.AssetKey("royalties")).partitions_def
    assert days
    assert days.get_first_partition_key() == "2026-02-01"
