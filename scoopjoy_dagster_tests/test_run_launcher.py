"""Dagster's own run monitoring, with the shipped dagster.yaml: it ends a run whose process is gone, and no other."""

import logging
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from scoopjoy_dagster import run_launcher
from scoopjoy_dagster.cli.closing import BY_HAND
from scoopjoy_dagster.instance import home_problem, shortcomings
from scoopjoy_dagster.local.home import prepare_home
from scoopjoy_dagster.local.postgres import EmbeddedPostgres
from scoopjoy_dagster.resources.close import CloseResource
from scoopjoy_dagster.resources.locks import PROCESS, SignOfLife, is_held, lock_number
from scoopjoy_dagster_tests.automation.world import origin

DAY = "2026-03-09"
SITE = {
    "ERPNEXT_URL": "https://erp.example",
    "ERPNEXT_API_KEY": "key",
    "ERPNEXT_API_SECRET": "secret",
    "SCOOPJOY_GO_LIVE": "2026-03-01",
}


@dg.asset(partitions_def=dg.DailyPartitionsDefinition("2026-03-01"), required_resource_keys={"close"})
def closed_shifts(context: dg.AssetExecutionContext) -> None:
    """Says which process works on it."""
    run = context.instance.get_run_by_id(context.run.run_id)
    assert run is not None
    context.add_output_metadata({"process": run.tags.get(PROCESS, ""), "lost": _lost(context, run)})


def _lost(context: dg.AssetExecutionContext, run: dg.DagsterRun) -> bool:
    return bool(run_launcher.lost_runs(context.resources.close.postgres_url, [run]))


@pytest.fixture(scope="module")
def environment() -> Iterator[Mapping[str, str]]:
    # Not pytest's tmp_path: for root the server runs as another user, who may not enter it.
    with (
        tempfile.TemporaryDirectory(prefix="scoopjoy-test-") as name,
        EmbeddedPostgres(Path(name) / "postgres") as server,
    ):
        yield prepare_home(Path(name) / "home", server.url, base={})


@pytest.fixture
def instance(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setattr(run_launcher, "RENEW_S", 0.1)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as made:
        yield made


def job() -> dg.JobDefinition:
    made = dg.define_asset_job("nightly_close", selection=[closed_shifts])
    url = os.environ["SCOOPJOY_POSTGRES_URL"]
    return dg.Definitions(
        assets=[closed_shifts], jobs=[made], resources={"close": CloseResource(postgres_url=url)}
    ).resolve_job_def("nightly_close")


def started(
    instance: dg.DagsterInstance, *, process: str = "", queued: bool = True, **tags: str
) -> dg.DagsterRun:
    """A run that has begun; `process` is what its process has said of itself, and `queued` whether it came through the queue."""
    run = instance.create_run_for_job(
        job(), tags={"dagster/partition": DAY, **tags}, remote_job_origin=origin() if queued else None
    )
    begun = dg.DagsterEvent("PIPELINE_START", job_name=run.job_name)
    instance.report_dagster_event(begun, run.run_id)
    if process:
        instance.add_run_tags(run.run_id, {PROCESS: f"{run.run_id} {process}"})
    return fresh(instance, run)


def fresh(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRun:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found


def monitored(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRun:
    """The run after Dagster's daemon has looked at all runs once."""
    # Of the workspace it makes use only to resume a run, which the shipped instance does not ask for.
    context: Any = SimpleNamespace(instance=instance, create_request_context=lambda: None)
    assert [*execute_run_monitoring_iteration(context, logging.getLogger("test"))] == [None]
    found = fresh(instance, run)
    instance.delete_run(run.run_id)
    return found


def test_a_run_whose_process_is_gone_is_ended_and_will_be_retried(instance: dg.DagsterInstance) -> None:
    run = started(instance, process="4711 on close-1")
    ended = monitored(instance, run)
    assert ended.status is dg.DagsterRunStatus.FAILURE
    assert ended.tags["dagster/will_retry"] == "true"


def test_a_run_of_the_command_line_is_ended_too_and_no_retry_is_announced(
    instance: dg.DagsterInstance,
) -> None:
    run = started(instance, process="4711 on close-1", queued=False, **BY_HAND)
    ended = monitored(instance, run)
    assert ended.status is dg.DagsterRunStatus.FAILURE
    assert ended.tags["dagster/will_retry"] == "false"


def test_a_run_whose_process_lives_goes_on(instance: dg.DagsterInstance) -> None:
    run = started(instance, process="4711 on close-1")
    sign = SignOfLife(os.environ["SCOOPJOY_POSTGRES_URL"], run.run_id)
    sign.begin()
    assert monitored(instance, run).status is dg.DagsterRunStatus.STARTED
    sign.end()


def test_of_a_run_that_never_gave_a_sign_of_life_nothing_is_known(instance: dg.DagsterInstance) -> None:
    assert monitored(instance, started(instance)).status is dg.DagsterRunStatus.STARTED
    inherited = started(instance, **{PROCESS: "another-run 4711 on close-1"})
    assert monitored(instance, inherited).status is dg.DagsterRunStatus.STARTED


def test_a_real_run_gives_its_sign_of_life_for_as_long_as_it_works(instance: dg.DagsterInstance) -> None:
    result = job().execute_in_process(instance=instance, partition_key=DAY)
    (made,) = result.asset_materializations_for_node("closed_shifts")
    assert made.metadata["lost"].value is False
    assert made.metadata["process"].value == f"{result.run_id} {os.getpid()} on {socket.gethostname()}"
    assert not is_held(os.environ["SCOOPJOY_POSTGRES_URL"], lock_number("run", result.run_id))


def dequeued(instance: dg.DagsterInstance) -> int:
    """How many waiting runs Dagster's queue would start now."""
    queue = QueuedRunCoordinatorDaemon(interval_seconds=1)
    return len(queue._get_runs_to_dequeue(instance, instance.get_concurrency_config(), None))


def test_runs_of_the_command_line_keep_nobody_in_the_queue_waiting(instance: dg.DagsterInstance) -> None:
    """Three commands that were killed; and three runs of the queue, which are the most at a time."""
    instance.create_run_for_job(
        job(),
        tags={"dagster/partition": "2026-03-08"},
        status=dg.DagsterRunStatus.QUEUED,
        remote_job_origin=origin(),
    )
    for number in range(3):
        started(instance, queued=False, **{"dagster/partition": f"2026-03-0{number + 1}"})
    assert dequeued(instance) == 1
    for number in range(3):
        started(instance, **{"dagster/partition": f"2026-03-0{number + 4}"})
    assert dequeued(instance) == 0
    for record in instance.get_run_records():
        instance.delete_run(record.dagster_run.run_id)


def test_an_instance_without_the_shipped_settings_is_seen(
    instance: dg.DagsterInstance, environment: Mapping[str, str], tmp_path: Path
) -> None:
    assert shortcomings(instance) == []
    assert home_problem(environment) == home_problem({}) == ""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as bare:
        assert len(shortcomings(bare)) == 5
    bare_home = {**environment, "DAGSTER_HOME": str(tmp_path)}
    assert str(tmp_path) in home_problem(bare_home)
    load = "from scoopjoy_dagster.definitions import defs; defs.load_fn()"
    loaded = subprocess.run(
        [sys.executable, "-c", load],
        env={**os.environ, **bare_home, **SITE},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert home_problem(bare_home) in loaded.stderr


def test_the_shipped_instance_watches_over_runs(instance: dg.DagsterInstance) -> None:
    assert isinstance(instance.run_launcher, run_launcher.WatchedRunLauncher)
    assert instance.run_launcher.supports_check_run_worker_health
    assert instance.run_monitoring_enabled
    assert instance.run_monitoring_poll_interval_seconds <= 60
