"""Dagster's default run launcher, which also sees when the process of a run is gone.

Dagster's own cannot: a run whose process was killed together with the code server that had started it stays "Started" until
`max_runtime_seconds`. This one asks for the run's sign of life (`resources.locks`), and Dagster's run monitoring does
the rest: it ends the run, and the run is retried. It watches over the runs of the command line just so, where one process works on
all steps of a run (`SCOOPJOY_EXECUTOR`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher

from scoopjoy_dagster.resources.locks import PROCESS, RENEW_S, is_held, lock_number

if TYPE_CHECKING:
    from dagster._serdes import ConfigurableClassData

LOOKS = 3
"""So often a sign of life is looked for before a run is given up: where PostgreSQL was restarted it comes back."""


def process_of(run: dg.DagsterRun) -> str:
    """The process that works on a run, as `<process id> on <host>`; empty where none has said so."""
    run_id, _, process = run.tags.get(PROCESS, "").partition(" ")
    return process if run_id == run.run_id else ""


def lost_runs(postgres_url: str, runs: Iterable[dg.DagsterRun]) -> list[dg.DagsterRun]:
    """Those of these runs whose process is gone. Of one that never gave a sign of life nothing is known.

    Raises:
        psycopg2.Error: PostgreSQL cannot be asked.
    """
    left = [run for run in runs if process_of(run)]
    for look in range(LOOKS):
        if left and look:
            time.sleep(RENEW_S)
        left = [run for run in left if not is_held(postgres_url, lock_number("run", run.run_id))]
    return left


def gone(run: dg.DagsterRun) -> str:
    """What is said of the process of a lost run."""
    return f"its process ({process_of(run)}) is gone: it was killed, or its machine was"


class WatchedRunLauncher(DefaultRunLauncher):
    """Starts runs in processes of the code server, and knows whether they still are there."""

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._postgres_url = postgres_url
        super().__init__(inst_data)

    @classmethod
    def config_type(cls) -> Any:
        """Where the signs of life are."""
        return {"postgres_url": dg.StringSource}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> WatchedRunLauncher:
        """The launcher of an instance."""
        return cls(postgres_url=config_value["postgres_url"], inst_data=inst_data)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether run monitoring is to ask."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the process of a started run is there."""
        if lost_runs(self._postgres_url, [run]):
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, gone(run))
        return CheckRunHealthResult(WorkerStatus.RUNNING)
