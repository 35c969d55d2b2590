"""Dagster's services on a PostgreSQL of their own: connections when idle, those of a run through the queue, and ticks.

A part of `a_year_of_nights`; the environment names the embedded servers.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from scoopjoy_dagster.definitions import JOB
from scoopjoy_dagster.local.home import prepare_home
from scoopjoy_dagster.local.postgres import EmbeddedPostgres
from scoopjoy_dagster.local.processes import ChildProcesses, free_port
from scoopjoy_dagster.local.services import running_dagster
from scoopjoy_dagster_tests.end_to_end.graphql import FINISHED, LAUNCH, SELECTOR, UI

SETTLE_S = 20
"""Seconds after the start in which every sensor has its first look, which is no idling."""

_TICKS = """
SELECT job_origin_id, selector_id, status, type, tick_body,
       pg_column_size(tick_body) AS bytes, tick_body::json ->> 'job_name' AS name,
       count(*) OVER (PARTITION BY selector_id) AS ticks
FROM job_ticks WHERE status = 'SKIPPED' ORDER BY id
"""


def measure_services(server: EmbeddedPostgres, place: Path, day: date, seconds: float) -> dict[str, Any]:
    """With the desk and without: connections per minute when idle. With it also one night through the queue."""
    found: dict[str, Any] = {}
    for desk in ("off", "on"):
        url = server.create_database(f"services_{desk}")
        here = place / desk
        here.mkdir(parents=True)
        base = {**os.environ, "SCOOPJOY_GO_LIVE": f"{day}", "SCOOPJOY_BATCH_RUN_DESK": desk}
        environment = prepare_home(here / "home", url, base=base)
        engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with running_dagster(
            ChildProcesses(here / "logs"), environment, port=free_port(), directory=here
        ) as dagster:
            ui = UI(dagster.address)
            _until(ui.all_daemons_healthy)
            time.sleep(SETTLE_S)
            found[f"idle_with_desk_{desk}"] = _idle(engine, seconds)
            if desk == "on":
                found["ticks"] = _ticks(engine)
                found["queued_run"] = _queued_run(engine, ui, day, found["idle_with_desk_on"])
        engine.dispose()
    return found


def _idle(engine: Engine, seconds: float) -> dict[str, float]:
    with _peak(engine) as peak:
        before, began = _sessions(engine), time.monotonic()
        time.sleep(seconds)
        opened, took = _sessions(engine) - before - 1, time.monotonic() - began
    return {"connections_per_minute": round(opened * 60 / took, 1), "peak_at_once": max(peak)}


def _queued_run(engine: Engine, ui: UI, day: date, idle: dict[str, float]) -> dict[str, float]:
    """One night as the schedule starts it: through the queue, in a process of its own."""
    with _peak(engine) as peak:
        before, began = _sessions(engine), time.monotonic()
        params = {
            "selector": {**SELECTOR, "jobName": JOB},
            "mode": "default",
            "runConfigData": {},
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": day.isoformat()}]},
        }
        launched = ui.ask(LAUNCH, params=params)["launchRun"]
        run_id = launched["run"]["runId"]
        _until(lambda: ui.run(run_id)["status"] in FINISHED)
        took = time.monotonic() - began
        opened = _sessions(engine) - before - idle["connections_per_minute"] * took / 60
    with engine.connect() as connection:
        rows, size = connection.execute(
            text("SELECT count(*), sum(pg_column_size(event)) FROM event_logs WHERE run_id = :run"),
            {"run": run_id},
        ).one()
    return {
        "status": ui.run(run_id)["status"],
        "seconds": round(took, 1),
        "connections": round(opened),
        "peak_at_once": max(peak),
        "events": int(rows),
        "event_bytes": int(size),
    }


def _ticks(engine: Engine) -> dict[str, dict[str, Any]]:
    """A real tick of each sensor that had nothing to do, and how many there were."""
    with engine.connect() as connection:
        rows = [dict(row) for row in connection.execute(text(_TICKS)).mappings()]
    found = {}
    for row in rows:
        name, size, ticks = row.pop("name"), row.pop("bytes"), row.pop("ticks")
        reason = json.loads(row["tick_body"]).get("skip_reason")
        found[name] = {"body_bytes": size, "ticks_seen": ticks, "skip_reason": reason, "row": row}
    return found


@contextmanager
def _peak(engine: Engine) -> Iterator[list[int]]:
    """Connections to the database that were open at the same time, looked at 20 times a second."""
    seen, done = [0], threading.Event()
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    def look() -> None:
        with engine.connect() as connection:  # one, kept: it must not count itself again and again
            while not done.wait(0.05):
                seen.append(int(connection.execute(query).scalar_one()))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def _sessions(engine: Engine) -> int:
    with engine.connect() as connection:
        query = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()"
        return int(connection.execute(text(query)).scalar_one())


def _until(true: Any, within_s: float = 180.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing came of it within {within_s:g} s")
        time.sleep(0.5)
