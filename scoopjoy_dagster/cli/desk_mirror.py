"""A run of the command line as a Batch Run in ERPNext, also where no daemon is running that would show it.

The run does not wait: a thread looks on. At the end one last look is given a few seconds, and what it misses, the
sensor `batch_run_desk` of a running Dagster writes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dagster import build_resources

from scoopjoy_dagster.automation.desk import mirror
from scoopjoy_dagster.definitions import JOB, site_resources
from scoopjoy_dagster.erpnext.batch_runs import BatchRuns
from scoopjoy_dagster.erpnext.client import Client

if TYPE_CHECKING:
    import dagster as dg

    from scoopjoy_dagster.cli.closing import Mirror
    from scoopjoy_dagster.settings import Settings

INTERVAL_S = 5.0
LAST_LOOK_S = 10.0
"""Seconds that the end of a command may wait for ERPNext to take the last state."""

_log = logging.getLogger(__name__)


def desk_mirror(settings: Settings, instance: dg.DagsterInstance) -> Mirror | None:
    """What shows the runs of this process; None when the desk is off."""
    if settings.batch_run_desk == "off":
        return None

    @contextmanager
    def showing(run_id: str) -> Iterator[None]:
        done = threading.Event()
        thread = threading.Thread(
            target=_watch, args=(settings, instance, run_id, done), name="batch-run-desk", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(LAST_LOOK_S)

    return showing


def _watch(settings: Settings, instance: dg.DagsterInstance, run_id: str, done: threading.Event) -> None:
    """Show the run until it has ended, and once more then. Nothing that goes wrong here may reach the run."""
    try:
        with (
            build_resources({"erpnext": site_resources(settings)["erpnext"]}) as resources,
            resources.erpnext.glance() as client,
        ):
            while not done.wait(INTERVAL_S):
                _look(settings, instance, client, run_id)
            _look(settings, instance, client, run_id)
    except Exception:  # noqa: BLE001 - best effort, by its purpose
        _log.debug("The Batch Run could not be shown.", exc_info=True)


def _look(settings: Settings, instance: dg.DagsterInstance, client: Client, run_id: str) -> None:
    since = datetime.now(UTC) - mirror.WINDOW
    records = mirror.runs_to_show(instance, JOB, since, only=run_id)
    mirror.show(instance, BatchRuns(client), records, settings.ui_url, budget_s=LAST_LOOK_S)
