"""ERPNext sites that are closed by Dagster processes of their own, in process or by Celery workers.

Here: a site's environment, its Dagster instance, its workers and its runs, and what its close left behind. Not here:
what is expected of it.
"""

from __future__ import annotations

import sys
import sysconfig
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from scoopjoy_dagster.definitions import JOB, build_defs
from scoopjoy_dagster.local.home import PROJECT, prepare_home
from scoopjoy_dagster.settings import load_settings
from scoopjoy_dagster_tests.cli.command import environment
from scoopjoy_dagster_tests.cli.world import World, running_world
from scoopjoy_dagster_tests.local.system import eventually
from scoopjoy_dagster_tests.world import exact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from scoopjoy_dagster.local.postgres import EmbeddedPostgres
    from scoopjoy_dagster.local.processes import Child, ChildProcesses
    from scoopjoy_dagster_tests.cli.world import Templates

CELERY = Path(sysconfig.get_path("scripts")) / "celery"
START_S = 90.0
"""Seconds for a worker to load Dagster on a busy machine."""


@dataclass(frozen=True)
class Site:
    """An ERPNext with its headquarters and mail server, and what every Dagster process of it is told.

    Attributes:
        name: of the site; also of its Celery queue and its database.
        world: the servers.
        environment: the whole environment of the site's processes; no other site's keys are in it.
    """

    name: str
    world: World
    environment: dict[str, str]

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """The site's Dagster instance, as its processes open it."""
        with pytest.MonkeyPatch.context() as patch:
            for name in ("DAGSTER_HOME", "SCOOPJOY_POSTGRES_URL"):
                patch.setenv(name, self.environment[name])
            with dg.DagsterInstance.get() as found:
                yield found

    def start_worker(self, children: ChildProcesses, *, processes: int = 2) -> Child:
        """Start a Celery worker with the site's environment, as docs/scale.md shows it; it is ready on return."""
        worker = children.start(
            f"worker-{self.name}",
            [
                *(str(CELERY), "--app", "dagster_celery.app", "worker"),
                *("--hostname", f"{self.name}@%h"),
                *("--concurrency", str(processes), "--prefetch-multiplier", "1"),
                *("--without-gossip", "--without-mingle", "--loglevel", "INFO"),
            ],
            environment={**self.environment, "PYTHONPATH": _path(PROJECT, PROJECT / "deploy" / "celery")},
            directory=PROJECT,
        )

        def ready() -> bool:
            worker.check_alive()
            return " ready." in worker.log.read_text(encoding="utf-8", errors="replace")

        assert eventually(ready, START_S), worker.last_lines()
        return worker

    def start_run(self, children: ChildProcesses, day: date) -> Child:
        """Start the nightly job for a day in a process of its own, as a run launcher does."""
        return children.start(
            f"run-{self.name}-{day}",
            [
                *(sys.executable, "-m", "dagster", "job", "execute"),
                *("--module-name", "scoopjoy_dagster.definitions", "--job", JOB),
                *("--tags", f'{{"dagster/partition": "{day}"}}'),
            ],
            environment={**self.environment, "PYTHONPATH": _path(PROJECT)},
            directory=PROJECT,
        )

    def close_in_process(self, day: date) -> bool:
        """Run the nightly job for a day in this process, by the in-process executor; whether it succeeded."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            job = build_defs(load_settings()).resolve_job_def(JOB)
            with self.instance() as instance:
                return job.execute_in_process(
                    instance=instance,
                    partition_key=day.isoformat(),
                    raise_on_error=False,
                    run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                ).success

    def left_behind(self, day: date) -> dict[str, Any]:
        """What the close of a day left in ERPNext, in the mailboxes and at headquarters, without times and names."""
        erpnext = self.world.erpnext
        entries = [
            doc
            for doc in erpnext.documents("Journal Entry", posting_date=day.isoformat())
            if doc.get("custom_scoopjoy_key")
        ]
        return {
            "royalties": sorted(
                (doc["custom_scoopjoy_key"], doc["custom_scoopjoy_digest"], exact(doc["total_debit"]))
                for doc in entries
            ),
            "closings": sorted(
                (doc["custom_scoopjoy_key"], exact(doc["grand_total"]), doc["status"])
                for doc in erpnext.documents("POS Closing Entry", docstatus=1)
                if doc.get("custom_scoopjoy_key")
            ),
            "shares": sorted(
                (row["franchise"], exact(row["royalty_base"]), exact(row["royalty_share"]))
                for row in erpnext.documents("Royalty Share", business_day=day.isoformat(), docstatus=1)
            ),
            "statements": len(
                [
                    doc
                    for doc in erpnext.documents("File")
                    if doc["attached_to_doctype"] == "Journal Entry"
                    and doc["attached_to_name"] in {entry["name"] for entry in entries}
                ]
            ),
            "mails": sorted(self.world.recipients()),
            "headquarters": [
                (one.idempotency_key, one.payload) for one in self.world.headquarters.deliveries
            ],
        }


@contextmanager
def running_sites(
    names: tuple[str, ...], templates: Templates, postgres: EmbeddedPostgres, directory: Path, **settings: str
) -> Iterator[dict[str, Site]]:
    """Sites of these names from one template, each with servers, a database and a DAGSTER_HOME of its own."""
    with ExitStack() as stack:
        found = {}
        for name in names:
            world = stack.enter_context(
                running_world(templates.installed, templates.last_day, secret="shared by every site of these")
            )
            told = prepare_home(
                directory / name,
                postgres.create_database(name.replace("-", "_")),
                base=environment(directory / name, {**world.settings, **settings}),
            )
            found[name] = Site(name, world, told | {"SCOOPJOY_CELERY_QUEUE": name})
            with found[name].instance() as instance:
                instance.get_runs_count()  # makes the tables: processes that start at once would collide over them
        yield found


def _path(*directories: Path) -> str:
    return ":".join(str(directory) for directory in directories)
