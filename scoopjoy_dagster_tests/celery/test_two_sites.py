"""Two ERPNext sites closed at once by Celery workers over a real Redis: as if each had been closed in process.

One Dagster instance (database) and one code location's environment for each site; one Redis for both, with a queue
for each site, and a worker for each queue: a worker has the keys of its own site and no others.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import dagster as dg
import psutil
import pytest

from scoopjoy_dagster.definitions import ASSETS
from scoopjoy_dagster.local.processes import ChildProcesses
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster_tests.celery.redis import start_redis
from scoopjoy_dagster_tests.celery.sites import Site, running_sites
from scoopjoy_dagster_tests.local.system import eventually
from scoopjoy_dagster_tests.world import THANE

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from scoopjoy_dagster.local.postgres import EmbeddedPostgres
    from scoopjoy_dagster_tests.cli.world import Templates

ASSET_STEPS = {module.NAME for module in ASSETS}
RUN_S = 400.0
"""Seconds for four runs at a time on two busy cores."""


def finished(children: ChildProcesses, sites: list[Site], day: date) -> dict[str, dg.DagsterRun]:
    """Run the day of each site, all at once, and wait; the run of each."""
    runs = {site.name: site.start_run(children, day) for site in sites}
    assert eventually(lambda: all(run.process.poll() is not None for run in runs.values()), RUN_S), runs
    done = {}
    for site in sites:
        assert runs[site.name].process.returncode == 0, runs[site.name].last_lines()
        with site.instance() as instance:
            done[site.name] = instance.get_runs(limit=1)[0]
        assert done[site.name].status == dg.DagsterRunStatus.SUCCESS
    return done


def workers_of_steps(site: Site, run: dg.DagsterRun) -> dict[str, str]:
    """Which worker did which step, as the worker itself wrote into the run's record."""
    with site.instance() as instance:
        records = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    return {
        event.step_key or "": str(event.engine_event_data.metadata["Celery worker"].value)
        for record in records
        if (event := record.dagster_event) and "Celery worker" in event.engine_event_data.metadata
    }


def times_of_steps(site: Site, run: dg.DagsterRun) -> dict[str, tuple[float, float]]:
    """When each step of the run began and ended."""
    with site.instance() as instance:
        steps = instance.get_run_step_stats(run.run_id)
    return {step.step_key: (step.start_time or 0, step.end_time or 0) for step in steps}


@pytest.mark.timeout(900)
def test_two_sites_are_closed_at_once_by_two_workers_as_each_would_be_in_process(
    postgres: EmbeddedPostgres, templates: Templates, children: ChildProcesses, tmp_path: Path
) -> None:
    redis = start_redis(children, tmp_path)
    day = templates.last_day
    by_celery = {"SCOOPJOY_EXECUTOR": "celery", "SCOOPJOY_CELERY_BROKER": redis}
    with (
        running_sites(("pune", "delhi"), templates, postgres, tmp_path, **by_celery) as sites,
        running_sites(("pune-alone", "delhi-alone"), templates, postgres, tmp_path) as alone,
    ):
        for name in ("delhi", "delhi-alone"):  # the two companies have not sold the same
            seed.add_invoice({**sites, **alone}[name].world.erpnext, THANE, day, "44444.44")
        for site in sites.values():
            site.start_worker(children)
        runs = finished(children, list(sites.values()), day)
        assert all(site.close_in_process(day) for site in alone.values())

        times = {name: times_of_steps(site, runs[name]) for name, site in sites.items()}
        for name, site in sites.items():
            left = site.left_behind(day)
            assert left == alone[f"{name}-alone"].left_behind(day)
            assert left["royalties"]
            assert left["closings"]
            assert left["statements"]
            assert left["mails"]
            assert left["headquarters"]
            workers = workers_of_steps(site, runs[name])
            assert ASSET_STEPS < set(workers) == set(times[name])  # the control totals are steps, too
            assert {worker.partition("@")[0] for worker in workers.values()} == {name}
        assert sites["pune"].left_behind(day)["royalties"] != sites["delhi"].left_behind(day)["royalties"]
        begun = [min(begin for begin, _ in steps.values()) for steps in times.values()]
        ended = [max(end for _, end in steps.values()) for steps in times.values()]
        assert max(begun) < min(ended), "one site waited for the other"

        written = sites["pune"].world.writes
        finished(children, [sites["pune"]], day)
        assert sites["pune"].world.writes == written, "a step that is run again writes nothing"


@pytest.mark.timeout(900)
def test_a_worker_that_dies_fails_its_run_at_once_and_the_next_run_adopts_what_was_done(
    postgres: EmbeddedPostgres, templates: Templates, children: ChildProcesses, tmp_path: Path
) -> None:
    redis = start_redis(children, tmp_path)
    day = templates.last_day
    settings = {"SCOOPJOY_EXECUTOR": "celery", "SCOOPJOY_CELERY_BROKER": redis}
    with running_sites(("mumbai",), templates, postgres, tmp_path, **settings) as sites:
        site = sites["mumbai"]
        worker = site.start_worker(children)
        killed: list[int] = []

        def kill_who_works() -> None:
            """While headquarters' answer is awaited, by SIGKILL: as the kernel does when memory is short."""
            if not killed:
                killed.extend(child.pid for child in psutil.Process(worker.process.pid).children())
                for pid in killed:
                    os.kill(pid, signal.SIGKILL)

        site.world.headquarters.fail_next(503, after_storing=True, hook=kill_who_works)
        run = site.start_run(children, day)
        assert eventually(lambda: run.process.poll() is not None, RUN_S), run.last_lines()
        assert killed
        with site.instance() as instance:
            lost = instance.get_runs(limit=1)[0]
            (ended,) = instance.all_logs(lost.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
        assert lost.status == dg.DagsterRunStatus.FAILURE
        assert "WorkerLostError" in str(ended.get_dagster_event().job_failure_data.error)
        # Not that a step failed: so `run_retries` starts the run again (dagster.yaml).
        assert lost.tags["dagster/failure_reason"] == "RUN_EXCEPTION"
        worker.check_alive()  # the worker has put others in their place

        finished(children, [site], day)
        royalties = [key for key, _, _ in site.left_behind(day)["royalties"]]
        assert len(royalties) == len(set(royalties)) > 0
        (delivery,) = site.world.headquarters.deliveries
        assert delivery.payload["business_day"] == day.isoformat()
