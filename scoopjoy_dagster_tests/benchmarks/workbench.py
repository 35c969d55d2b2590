"""Starts what a benchmark needs - servers, PostgreSQL, the measured process - and gives back what that one said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from scoopjoy_dagster.local.home import prepare_home
from scoopjoy_dagster.local.postgres import EmbeddedPostgres
from scoopjoy_dagster.partitions import ZONE, last_ended_day
from scoopjoy_dagster_tests.benchmarks import servers
from scoopjoy_dagster_tests.benchmarks.chain_of import Chain

LATENCY = "erpnext-v15"
SANDBOX = {
    "SCOOPJOY_COMPANY": "ScoopJoy",
    "BENCHMARK_ABBR": "SJ",
    "SCOOPJOY_FRANCHISE_GROUP": "Franchise",
}
Act = tuple[str, ...]
"""A method of the measured process's bench and its days, as ISO dates."""


@dataclass(slots=True)
class Workbench:
    """One PostgreSQL for all benchmarks, a database of its own for each measured process."""

    directory: Path
    postgres: EmbeddedPostgres
    latency: str | None = LATENCY
    last_day: date = field(default_factory=lambda: last_ended_day(datetime.now(ZONE)))
    real_site: Mapping[str, str] | None = None
    """Settings of the ERPNext to measure; none: an embedded one for each benchmark."""
    _databases: int = 0

    def chain(self, franchises: int, invoices: int, days: int) -> Chain:
        """A chain on business days of its own: on a real site each benchmark takes the days before the last one's."""
        made = Chain(franchises, invoices, self.last_day - timedelta(days=days - 1), self.last_day)
        if self.real_site is not None:
            self.last_day = made.first - timedelta(days=1)
        return made

    @contextmanager
    def site(self, chain: Chain) -> Iterator[dict[str, str]]:
        """Settings of an ERPNext with this chain, and of headquarters and mail server."""
        if self.real_site is not None:
            from scoopjoy_dagster_tests.benchmarks import real_chain

            with servers.serving(None, None) as found, real_chain.built(self.real_site, chain) as own:
                yield {**found, **self.real_site, **own}
            return
        with servers.serving(chain, self.latency) as found:
            yield {**found, **SANDBOX}

    def home(self) -> dict[str, str]:
        """The environment of a process with a DAGSTER_HOME and a database of its own."""
        self._databases += 1
        url = self.postgres.create_database(f"benchmark_{self._databases}")
        return prepare_home(self.directory / f"home-{self._databases}", url, base=_plain_environment())

    def measure(self, site: Mapping[str, str], chain: Chain, acts: Sequence[Act]) -> dict[str, Any]:
        """What a fresh process says of these acts.

        Raises:
            RuntimeError: it ended without a result; its own message stands before.
        """
        environment = {
            **self.home(),
            **site,
            "SCOOPJOY_GO_LIVE": chain.first.isoformat(),
            "SCOOPJOY_REPORT_RECIPIENTS": servers.MANAGER,
        }
        asked = {"began": time.time(), "acts": acts}
        done = subprocess.run(
            [sys.executable, "-m", "scoopjoy_dagster_tests.benchmarks.client", json.dumps(asked)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"the measured process ended with {done.returncode}; see its message above")
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        problems = [problem for act in found["acts"] for problem in act["problems"]]
        if problems:
            raise RuntimeError(
                "a run that was to be measured is not right, its figures mean nothing: " + problems[0]
            )
        return found


@contextmanager
def workbench(**options: Any) -> Iterator[Workbench]:
    """A workbench in a directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="scoopjoy-benchmark-") as name:
        directory = Path(name)
        with EmbeddedPostgres(directory / "postgres") as postgres:
            yield Workbench(directory, postgres, **options)


def _plain_environment() -> dict[str, str]:
    """Ours without the settings of a close: a benchmark must not measure, or write to, somebody's site by accident."""
    ours = ("ERPNEXT_", "SCOOPJOY_", "SMTP_", "DAGSTER_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def iso(act: str, *days: date) -> Act:
    return (act, *(day.isoformat() for day in days))
