"""Many schedules, side by side: worker processes, one PostgreSQL with a database for each, and the table at the end.

Here: running seeds and adding up. Not here: a single schedule (``schedule``).
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from scoopjoy_dagster.local.home import prepare_home
from scoopjoy_dagster.local.postgres import EmbeddedPostgres
from scoopjoy_dagster_tests.chaos.closing import CONTEXT, preload
from scoopjoy_dagster_tests.chaos.result import Result
from scoopjoy_dagster_tests.chaos.schedule import SITES, Place, run_schedule, template_of
from scoopjoy_dagster_tests.chaos.truth import rupees

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FRESH = "chaos_fresh"
"""The database that those of the workers are copied from: Dagster's tables, empty."""

Start = tuple[Path, dict[str, str], str]
"""The directory of the campaign, where Dagster finds its home and database, and PostgreSQL's URL."""

_place: list[Place] = []
"""Of this worker process."""


@dataclass(slots=True)
class Totals:
    """All schedules added up."""

    results: list[Result] = field(default_factory=list)

    @property
    def bad(self) -> list[Result]:
        """Schedules with anything not as it must be, by seed."""
        return sorted((one for one in self.results if one.bad), key=lambda one: one.seed)

    def table(self) -> Table:
        """The table that a person reads."""
        kinds: Counter[str] = Counter()
        changes: Counter[str] = Counter()
        for one in self.results:
            kinds.update(one.faults)
            changes.update(one.changes)

        def total(name: str) -> str:
            return str(sum(getattr(one, name) for one in self.results))

        table = Table(title="Fault laboratory", show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(justify="right")
        table.add_row("schedules", str(len(self.results)))
        table.add_row("runs", total("runs"))
        table.add_row("faults", str(kinds.total()))
        for kind, number in sorted(kinds.items()):
            table.add_row(f"  {kind.replace('_', ' ')}", str(number))
        table.add_row("kills", total("kills"))
        table.add_row("two runs at once", total("at_once"))
        table.add_row("hand run beside a backfill", total("beside_backfill"))
        table.add_row("daemons killed", total("daemons_killed"))
        table.add_row("late changes", str(changes.total()))
        for kind, number in sorted(changes.items()):
            table.add_row(f"  {kind}", str(number))
        table.add_row("re-runs", total("reruns"))
        table.add_row("mails twice, in the window", total("mails_twice"), end_section=True)
        table.add_row("wrong or not settled", total("wrong"))
        table.add_row("duplicates", total("duplicates"))
        table.add_row("lost", total("lost"))
        table.add_row("difference in INR", rupees(sum(one.difference for one in self.results)))
        return table


@contextmanager
def laboratory(jobs: int) -> Iterator[tuple[ProcessPoolExecutor, Start]]:
    """Worker processes that are ready to run schedules, and what they were given; all is removed at the end."""
    # Not below a directory that other users may not enter: PostgreSQL runs as another user for root.
    with tempfile.TemporaryDirectory(prefix="scoopjoy-chaos-") as name:
        directory = Path(name).resolve()
        with EmbeddedPostgres(directory / "postgres") as postgres:
            environment = prepare_home(directory / "home", postgres.create_database(FRESH), base={})
            with ProcessPoolExecutor(1, mp_context=CONTEXT) as once:
                once.submit(_prepare, directory, dict(environment)).result()
            start: Start = (directory, dict(environment), postgres.url)
            with ProcessPoolExecutor(
                jobs, mp_context=CONTEXT, initializer=_start_worker, initargs=start
            ) as pool:
                yield pool, start


def _prepare(directory: Path, environment: dict[str, str]) -> None:
    """Make the site's template, and Dagster's tables in the database that is copied."""
    import dagster as dg

    from scoopjoy_dagster_tests.world import build_template

    for line, invoice_type in set(SITES):
        build_template(template_of(directory, line, invoice_type), line, invoice_type)
    os.environ.update(environment)
    with dg.DagsterInstance.get() as instance:
        instance.get_runs_count()


def _start_worker(directory: Path, environment: dict[str, str], postgres_url: str) -> None:
    """Give this worker a database of its own, and a fork server that has everything loaded."""
    own, dsn = _own_database(postgres_url, f"chaos_{os.getpid()}")
    environment = {**environment, "SCOOPJOY_POSTGRES_URL": own}
    os.environ.update(environment)
    preload()
    _place[:] = [Place(directory, environment, dsn)]


def _own_database(postgres_url: str, name: str) -> tuple[str, str]:
    """A database of its own: what is done to its connections must not hit another's. Returns URL and DSN."""
    from sqlalchemy import create_engine, make_url, text
    from sqlalchemy.pool import NullPool

    engine = create_engine(postgres_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(1)"))  # two cannot copy the same database at once
        connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE {FRESH}'))
    url = make_url(postgres_url).set(database=name)
    dsn = url.set(drivername="postgresql")
    return url.render_as_string(hide_password=False), dsn.render_as_string(hide_password=False)


def _work(seed: int) -> Result:
    return run_schedule(seed, _place[0])


def _work_heavily(seed: int, directory: Path, environment: dict[str, str], postgres_url: str) -> Result:
    from scoopjoy_dagster_tests.chaos.heavy import run_heavy  # Dagster, which nobody else of these needs

    own, _ = _own_database(postgres_url, f"chaos_heavy_{seed}")
    return run_heavy(
        seed, {**environment, "SCOOPJOY_POSTGRES_URL": own, "DAGSTER_HOME": str(directory / "home")}
    )


def run_campaign(seeds: Sequence[int], jobs: int, heavy: Sequence[int] = ()) -> Iterator[Result]:
    """Run the schedules of these seeds, and the heavy ones beside them; each result as it is known.

    A heavy schedule mostly waits for the daemon, so they have a process of their own, one after the other.
    """
    with laboratory(jobs) as (pool, start), ProcessPoolExecutor(1, mp_context=CONTEXT) as aside:
        futures = [aside.submit(_work_heavily, seed, *start) for seed in heavy]
        futures += [pool.submit(_work, seed) for seed in seeds]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            for future in futures:
                future.cancel()  # whoever stops listening does not want the rest


def seeds_of(seed: int, schedules: int) -> list[int]:
    """The seeds of a campaign's schedules: consecutive, so that one alone can be run again."""
    return [seed * 100_000 + number for number in range(schedules)]
