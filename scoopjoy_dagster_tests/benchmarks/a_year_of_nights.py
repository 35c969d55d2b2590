"""What a year of nights leaves in PostgreSQL, and how many connections it takes.

    python -m scoopjoy_dagster_tests.benchmarks.a_year_of_nights [--nights N] [--json FILE]

Real: every night is a run of the job on the embedded ERPNext, and one of the watchdog's, recorded on a real PostgreSQL by
the shipped dagster.yaml; so are the services (code server, webserver, daemon with all sensors) that are measured idle and with one
run through the queue; so is the purge by the job `retention`. Multiplied: the ticks that lie in the database at any
time. A real tick of each sensor is copied as often as its interval and the retention of dagster.yaml ask for.

Two things differ from production, for speed, and change no row of a run that went well. There is no mail server (drawing
a report takes longer than the rest of the night). And all nights are of one process, which keeps its connection from the
first close on; so the connections are counted on the first night, the watchdog's with an instance of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import click
import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import TickStatus
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from scoopjoy_dagster.automation import retention
from scoopjoy_dagster.automation.jobs import WATCH_JOB
from scoopjoy_dagster.definitions import JOB, build_defs
from scoopjoy_dagster.erpnext.client import Client
from scoopjoy_dagster.erpnext.installation import install, read_installation
from scoopjoy_dagster.erpnext.session import Session
from scoopjoy_dagster.local.home import prepare_home
from scoopjoy_dagster.local.postgres import EmbeddedPostgres
from scoopjoy_dagster.partitions import ZONE, last_ended_day
from scoopjoy_dagster.resources.clock import ClockResource
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster.sandbox.hq import SandboxHQ
from scoopjoy_dagster.settings import load_settings
from scoopjoy_dagster_tests.benchmarks.idle_services import measure_services

NOW = "SCOOPJOY_BENCHMARK_NOW"
"""Environment variable of the stopped clock: each night has its own hour."""

RATES = tuple(Decimal(one) for one in ("4.5", "5", "6.25", "7.5", "8"))

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
SECONDS_PER_DAY = 86_400


def main() -> None:
    """Run the nights, measure, purge, measure again, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--nights", type=int, default=365)
    parser.add_argument("--franchises", type=int, default=10)
    parser.add_argument("--invoices", type=int, default=3, help="of each franchise and day")
    parser.add_argument("--services", type=float, default=60.0, help="seconds idle; 0: not measured")
    parser.add_argument("--keep", type=int, default=retention.KEPT_DAYS, help="newest nights left unpurged")
    parser.add_argument("--json", type=Path, help="where the figures go as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scoopjoy-year-") as place:
        found = measure(Path(place).resolve(), given)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    show(found)


def measure(place: Path, given: argparse.Namespace) -> dict[str, Any]:
    """All figures, on a PostgreSQL and an ERPNext of their own."""
    last = last_ended_day(datetime.now(ZONE))
    first = last - timedelta(days=given.nights - 1)
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedPostgres(place / "postgres"))
        erpnext, environment = stack.enter_context(_company(last, given.franchises))
        url = server.create_database("nights")
        home = prepare_home(place / "home", url, base={**environment, "SCOOPJOY_GO_LIVE": f"{first}"})
        stack.enter_context(mock.patch.dict(os.environ, {**home, NOW: _night(last)}))
        instance = stack.enter_context(dg.DagsterInstance.get())
        engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        found: dict[str, Any] = {"machine": _machine(engine), "nights": given.nights}
        found |= {"franchises": given.franchises, "invoices_of_each": given.invoices}
        defs = build_defs(load_settings(), resources={"clock": ClockResource(fixed=dg.EnvVar(NOW))})
        found["run"] = _nights(defs, instance, engine, erpnext, first, given)
        found["files"] = _files(place / "home" / "storage", given.nights)
        found["tables"] = _tables(engine)
        found["events"] = _events(engine)
        if given.services:
            found["services"] = measure_services(server, place / "services", last, given.services)
            _ticks(engine, instance, defs, found["services"]["ticks"])
            found["tables_with_ticks"] = _tables(engine)
            for tick in found["services"]["ticks"].values():
                del tick["row"]
        if given.keep < given.nights:
            found["retention"] = _purge(defs, instance, engine, given)
        engine.dispose()
    return found


@contextmanager
def _company(last: date, franchises: int) -> Iterator[tuple[SandboxERPNext, dict[str, str]]]:
    """The embedded servers, and the environment that names them."""
    morning = datetime.combine(last, datetime.min.time()) + timedelta(days=1, hours=1)
    with ExitStack() as stack:
        erpnext = stack.enter_context(SandboxERPNext(":memory:", clock=lambda: morning, background_delay_s=0))
        seed.master_data(erpnext)
        robot = erpnext.robot
        with Session(erpnext.url, robot.api_key, robot.api_secret) as session:
            client = Client(session)
            install(client, read_installation(client), lambda _step: None)
        for number in range(franchises):
            seed.add_franchise(erpnext, f"Outlet {number:04}", rate=RATES[number % len(RATES)])
        headquarters = SandboxHQ()
        headquarters.start()
        stack.callback(headquarters.close)
        yield (
            erpnext,
            {
                **os.environ,
                "ERPNEXT_URL": erpnext.url,
                "ERPNEXT_API_KEY": robot.api_key,
                "ERPNEXT_API_SECRET": robot.api_secret,
                "SCOOPJOY_HQ_URL": headquarters.url,
                "SCOOPJOY_HQ_SECRET": headquarters.secret,
            },
        )


def _nights(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    engine: Engine,
    erpnext: SandboxERPNext,
    first: date,
    given: argparse.Namespace,
) -> dict[str, Any]:
    """Close every day, and let the watchdog look in the morning; the connections are those of the first night."""
    close, watch = defs.resolve_job_def(JOB), defs.resolve_job_def(WATCH_JOB)
    began, failed, opened, counted = time.monotonic(), 0, [0, 0, 0], (0, 0)
    for number in range(given.nights):
        day = first + timedelta(days=number)
        _trade(erpnext, day, given)
        os.environ[NOW] = _night(day)
        opened[0] = connections(engine)
        closed = close.execute_in_process(
            instance=instance, partition_key=day.isoformat(), run_config=QUIET, raise_on_error=False
        )
        opened[1] = connections(engine)
        os.environ[NOW] = _night(day).replace("T01", "T06")
        with dg.DagsterInstance.from_ref(instance.get_ref()) if number == 0 else nullcontext(instance) as its:
            watched = watch.execute_in_process(instance=its, run_config=QUIET, raise_on_error=False)
        opened[2] = connections(engine)
        failed += (not closed.success) + (not watched.success)
        if number == 0:
            counted = (opened[1] - opened[0] - 1, opened[2] - opened[1] - 1)
        if number % 10 == 9:
            click.echo(f"{number + 1} nights, {time.monotonic() - began:.0f} s", err=True)
    wall = time.monotonic() - began
    return {
        "seconds": round(wall, 1),
        "failed": failed,
        "connections_of_a_close": counted[0],
        "connections_of_a_watchdog": counted[1],
    }


def _trade(erpnext: SandboxERPNext, day: date, given: argparse.Namespace) -> None:
    """A day's sales: invoices of the franchises, and a shift at an outlet that is left to be closed."""
    noon = datetime.combine(day, datetime.min.time()) + timedelta(hours=12)
    with seed.at(erpnext, noon):
        for number in range(given.franchises):
            for one in range(given.invoices):
                amount = Decimal(10_000 + (day.toordinal() * 7_919 + number * 104_729 + one) % 900_000) / 100
                seed.add_invoice(erpnext, f"Outlet {number:04}", day, amount)
        seed.add_shift(
            erpnext, "POS Bandra", "cashier.bandra@scoopjoy.example", noon - timedelta(hours=2), ["100"] * 3
        )
    erpnext.site.clock = lambda: noon + timedelta(hours=13)


def _night(day: date) -> str:
    """01:00 after a business day."""
    return f"{day + timedelta(days=1)}T01:00:00+05:30"


def _ticks(
    engine: Engine, instance: dg.DagsterInstance, defs: dg.Definitions, real: dict[str, dict[str, Any]]
) -> None:
    """Fill `job_ticks` with what lies there at any time: copies of a real tick of each sensor, for as long as kept."""
    kept = instance.get_tick_retention_settings(InstigatorType.SENSOR)[TickStatus.SKIPPED]
    for sensor in defs.sensors or []:
        tick = real.get(sensor.name)
        if not tick:
            continue
        copies = int(kept * SECONDS_PER_DAY / max(sensor.minimum_interval_seconds or 30, 5))
        with engine.connect() as connection:
            connection.execute(
                text(
                    "INSERT INTO job_ticks (job_origin_id, selector_id, status, type, timestamp, tick_body) "
                    "SELECT :job_origin_id, :selector_id, :status, :type, now() - n * interval '5 seconds', "
                    ":tick_body FROM generate_series(1, :copies) AS n"
                ),
                {**tick["row"], "copies": copies},
            )


def _purge(
    defs: dg.Definitions, instance: dg.DagsterInstance, engine: Engine, given: argparse.Namespace
) -> dict[str, Any]:
    """Run the job as it will be run when all nights but the newest `keep` are old enough."""
    records = instance.get_run_records(dg.RunsFilter(job_name=JOB), limit=given.keep)
    oldest_kept = records[-1].start_time
    assert oldest_kept is not None
    moment = datetime.fromtimestamp(oldest_kept, ZONE) + timedelta(days=retention.KEPT_DAYS)
    os.environ[NOW] = moment.isoformat()
    began = time.monotonic()
    done = defs.resolve_job_def(retention.JOB).execute_in_process(instance=instance, run_config=QUIET)
    (said,) = [one.step_output_data.metadata for one in done.all_events if one.is_successful_output]
    figures = {name: entry.value for name, entry in said.items()}
    found = {"seconds": round(time.monotonic() - began, 1), "job": figures}
    found["after"] = _tables(engine)["event_logs"]
    for command in ("VACUUM (ANALYZE) event_logs", "VACUUM FULL event_logs"):
        with engine.connect() as connection:
            connection.execute(text(command))
        found[command] = _tables(engine)["event_logs"]["bytes"]
    return found


def connections(engine: Engine) -> int:
    """Sessions that the database has ever had, this one included."""
    with engine.connect() as connection:
        return int(
            connection.execute(
                text("SELECT sessions FROM pg_stat_database WHERE datname = current_database()")
            ).scalar_one()
        )


def _tables(engine: Engine) -> dict[str, dict[str, int]]:
    """Rows and bytes (with indexes and TOAST) of each table that has rows, largest first."""
    with engine.connect() as connection:
        names = connection.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        ).scalars()
        found = {}
        for name in names:
            rows, size = connection.execute(
                text(f'SELECT count(*), pg_total_relation_size(\'"{name}"\') FROM "{name}"')
            ).one()
            if rows:
                found[str(name)] = {"rows": int(rows), "bytes": int(size)}
    return dict(sorted(found.items(), key=lambda one: -one[1]["bytes"]))


def _events(engine: Engine) -> dict[str, dict[str, int]]:
    """Rows of the event log and the bytes of their bodies, by kind of event."""
    query = (
        "SELECT coalesce(dagster_event_type, 'log message'), count(*), sum(pg_column_size(event)) "
        "FROM event_logs GROUP BY 1 ORDER BY 3 DESC"
    )
    with engine.connect() as connection:
        return {
            str(kind): {"rows": int(rows), "bytes": int(size)}
            for kind, rows, size in connection.execute(text(query))
        }


def _files(storage: Path, nights: int) -> dict[str, float]:
    """Files below DAGSTER_HOME/storage (logs of steps) for each night."""
    files = [one for one in storage.rglob("*") if one.is_file()]
    return {
        "per_night": round(len(files) / nights, 2),
        "bytes_per_night": sum(one.stat().st_size for one in files) / nights,
    }


def _machine(engine: Engine) -> str:
    with engine.connect() as connection:
        version = str(
            connection.execute(
                text("SELECT split_part(current_setting('server_version'), ' ', 1)")
            ).scalar_one()
        )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GiB, everything on one machine; PostgreSQL {version}, "
        f"Dagster {dg.__version__}, Python {platform.python_version()}"
    )


def show(found: dict[str, Any]) -> None:
    """The figures as a table."""
    nights = found["nights"]
    click.echo(found["machine"])
    click.echo(
        f"{nights} nights, {found['franchises']} franchises x {found['invoices_of_each']} invoices: {found['run']}"
    )
    click.echo(f"{'table':<28}{'rows':>10}{'kB':>12}{'rows/night':>12}{'bytes/night':>13}")
    for name, one in found.get("tables_with_ticks", found["tables"]).items():
        click.echo(
            f"{name:<28}{one['rows']:>10}{one['bytes'] / 1024:>12.0f}{one['rows'] / nights:>12.1f}"
            f"{one['bytes'] / nights:>13.0f}"
        )
    click.echo("\nevent_logs by kind")
    for name, one in found["events"].items():
        click.echo(
            f"{name:<34}{one['rows']:>10}{one['bytes'] / 1024:>12.0f}{one['rows'] / nights:>12.1f}"
            f"{one['bytes'] / one['rows']:>10.0f} B/row"
        )
    for name in ("files", "services", "retention"):
        if name in found:
            click.echo(f"\n{name}: {json.dumps(found[name], indent=1)}")


if __name__ == "__main__":
    main()
