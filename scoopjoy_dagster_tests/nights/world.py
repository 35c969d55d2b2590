"""A night of the real code server, webserver and daemon on a real PostgreSQL, all by one simulated clock, and whoever got mail."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg2

from scoopjoy_dagster.local.home import prepare_home
from scoopjoy_dagster.local.postgres import EmbeddedPostgres
from scoopjoy_dagster.local.processes import ChildProcesses, free_port
from scoopjoy_dagster.local.services import Dagster, running_dagster
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster_tests.chaos.facts import Facts
from scoopjoy_dagster_tests.chaos.heavy import COMMAND, PROJECT, furnish, settings_of
from scoopjoy_dagster_tests.chaos.servers import Servers, servers
from scoopjoy_dagster_tests.nights.clock import IST, SimulatedClock

ON_CALL = "asha@scoopjoy.example"
SENSORS = ("alert_outbox", "alert_on_failure")
PRELOADED = Path(__file__).parent / "preloaded"
LAST_DAY = date(2026, 12, 9)
"""The newest business day of every night here."""


def half_past_midnight(morning: date) -> datetime:
    """When a night here begins."""
    return datetime.combine(morning, clock_time(0, 30), IST)


class Night:
    """A chain with business days that are to be closed, and the processes that are to do it."""

    def __init__(self, directory: Path, clock: SimulatedClock, there: Servers, facts: Facts) -> None:
        self.directory, self.clock, self.there, self.facts = directory, clock, there, facts
        self.erpnext = there.erpnext
        self.oracle = there.oracle()
        self.oracle.note(facts.days)
        self.postgres = self.database("postgres")
        self.children = ChildProcesses(directory / "logs", grace_s=5)
        self.environment: dict[str, str] = {}
        self.dagster: Dagster | None = None
        self._morning = LAST_DAY + timedelta(days=1)

    def database(self, name: str) -> EmbeddedPostgres:
        """A PostgreSQL of its own in a directory of this night, by the simulated clock."""
        return EmbeddedPostgres(self.directory / name, self.clock.environment)

    # -- the processes ------------------------------------------------------------------------------------------------

    @contextmanager
    def running(self, **settings: str) -> Iterator[None]:
        """PostgreSQL and Dagster, from now to the end of the block."""
        self._began = self.clock.now()
        with ExitStack() as stack:
            stack.enter_context(mock.patch.dict(os.environ, self.clock.environment))
            url = stack.enter_context(self.postgres).url
            base = {name: value for name, value in os.environ.items() if not name.startswith("SCOOPJOY")}
            self.environment = {
                **prepare_home(self.directory / "home", url, base=base),
                **settings_of(self.there, self.facts.days[0], self.directory),
                "PYTHONPATH": os.pathsep.join([str(PRELOADED), *sys.path]),
                "SCOOPJOY_ALERT_RECIPIENTS": ON_CALL,
                "SCOOPJOY_BATCH_RUN_DESK": "off",
                "PYTHONFAULTHANDLER": "1",
                **settings,
            }
            self.dagster = stack.enter_context(
                running_dagster(self.children, self.environment, port=free_port(), directory=self.directory)
            )
            # A schedule counts from the moment at which the daemon sees it first.
            self.wait(lambda: len(self.rows("SELECT 1 FROM jobs WHERE job_type = 'SCHEDULE'")) >= 2)
            try:
                yield
            except Exception as problem:
                problem.add_note("\n".join([*self.failures(), self.logs()]))
                raise

    def kill_the_code_server(self, *, with_runs: bool) -> None:
        """SIGKILL for the code server, alone or with everything that it has started; another one takes its place.

        As a service manager does it: the socket of the one that died is no hindrance.
        """
        assert self.dagster is not None
        killed = self.dagster.code_server
        (os.killpg if with_runs else os.kill)(killed.process.pid, signal.SIGKILL)
        killed.process.wait()
        command = [str(part) for part in killed.process.args]  # type: ignore[union-attr]  # a list, see services
        Path(command[command.index("--socket") + 1]).unlink(missing_ok=True)
        self.children.children.remove(killed)
        self.children.start(
            "code-server-again", command, environment=self.environment, directory=self.directory
        )

    def kill_the_run(self) -> None:
        """SIGKILL for the process that works on the newest run."""
        ((process,),) = self.rows(
            "SELECT value FROM run_tags WHERE key = 'scoopjoy/process' ORDER BY id DESC LIMIT 1"
        )
        os.kill(int(process.split()[1]), signal.SIGKILL)

    def restart_postgres(self) -> None:
        """Stop PostgreSQL at once, as `systemctl restart` does, and start it again."""
        self.postgres.stop()
        self.wait(lambda: not (self.directory / "postgres" / "data" / "postmaster.pid").exists())
        self.postgres.start()

    def cut_the_power(self) -> None:
        """SIGKILL for everything; PostgreSQL is to recover at its next start."""
        (number, *_) = (self.directory / "postgres" / "data" / "postmaster.pid").read_text().split()
        for process in [child.process.pid for child in self.children.children] + [int(number)]:
            os.kill(process, signal.SIGKILL)
        self.wait(lambda: not Path("/proc", number).exists())

    def make_storage_unusable(self) -> None:
        """Put a file where Dagster keeps its files: root may write where a mode forbids it."""
        storage = self.directory / "home" / "storage"
        shutil.rmtree(storage, ignore_errors=True)
        storage.write_text("where a directory was", encoding="utf-8")

    def in_a_run(self, do: Callable[[], None], *, path: str = "insert_many", runs: int = 1) -> None:
        """Do something while so many runs wait for ERPNext's answer to such a request."""
        waiting, done = threading.Semaphore(0), threading.Event()

        def wait(_call: object) -> None:
            waiting.release()
            done.wait(60)

        self.erpnext.faults.add("meanwhile", path=path, hook=wait, times=runs)
        for _ in range(runs):
            assert waiting.acquire(timeout=120), self.logs()
        do()
        done.set()

    def command(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A `scoopjoy` command under way, by the same clock and settings."""
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, *arguments],
            env=self.environment,
            cwd=PROJECT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @contextmanager
    def erpnext_away(self) -> Iterator[None]:
        """Nothing listens where ERPNext was, to the end of the block."""
        port = int(self.erpnext.url.rpartition(":")[2])
        self.erpnext.stop()
        yield
        self.erpnext.start(port)

    # -- the clock ----------------------------------------------------------------------------------------------------

    def after(self, day: date) -> None:
        """Let it be half past midnight after this business day."""
        self._morning = day + timedelta(days=1)
        self.clock.set(half_past_midnight(self._morning))

    def at(self, moment: str) -> datetime:
        """A moment of the night that it is, `HH:MM:SS`."""
        return datetime.fromisoformat(f"{self._morning}T{moment}").replace(tzinfo=IST)

    def until(self, *clock_times: str) -> None:
        """Let it be one moment after the other, and at each all be done that is due by then.

        Under a run that works the clock does not jump: libfaketime shows its process the time of before for up to a second
        more, and headquarters refuses what is signed with it.
        """
        for moment in clock_times:
            self.wait(lambda: not self.working())
            self.clock.set(max(self.clock.now(), self.at(moment)))
            self.quiet()

    def quiet(self) -> None:
        """Wait until what is due has been looked at, no run is under way, and alerts have been sent."""
        self.wait(lambda: self._looked("nightly_close_schedule", self._due(("01:00:00", "05:45:00"))))
        self.wait(lambda: self._looked("watchdog_schedule", self._due(("06:00:00", "06:00:00"))))
        self.wait(lambda: not self.unfinished())
        self.clock.set(self.clock.now() + timedelta(seconds=125))
        since = self.clock.now()
        self.wait(lambda: all(self._looked(name, since) for name in SENSORS))
        self.wait(lambda: not self.unfinished())

    def wait(self, true: Callable[[], bool], within_s: float = 400) -> None:
        """Wait for something in real time."""
        deadline = time.monotonic() + within_s
        while not true():
            assert time.monotonic() < deadline, f"it is {self.clock.now()}; {self.runs()}\n{self.logs()}"
            time.sleep(0.2)

    def _due(self, between: tuple[str, str]) -> datetime | None:
        """The newest quarter of an hour by now between two moments of the night; None when none has passed."""
        now, first, last = self.clock.now(), self.at(between[0]), self.at(between[1])
        quarter = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
        due = min(quarter, last)
        return due if due >= first and due > self._began else None

    def _looked(self, name: str, since: datetime | None) -> bool:
        return since is None or any(
            moment.timestamp() >= since.timestamp() for one, moment in self.ticks() if one == name
        )

    # -- Dagster's record ---------------------------------------------------------------------------------------------

    def rows(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """What Dagster's database says."""
        connection = psycopg2.connect(self.environment["SCOOPJOY_POSTGRES_URL"].replace("+psycopg2", "", 1))
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(sql, params)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def ticks(self) -> list[tuple[str, datetime]]:
        """The newest look of each schedule and sensor that has ended."""
        name = 'substring(tick_body from \'"job_name": "([a-z_]+)"\')'
        return self.rows(
            f"SELECT {name}, max(timestamp AT TIME ZONE 'UTC') FROM job_ticks WHERE status <> 'STARTED' GROUP BY 1"
        )

    def runs(self) -> list[tuple[str, str, str]]:
        """Day, status and reason of the runs, in the order in which they were made."""
        tags = [
            f"(SELECT value FROM run_tags t WHERE t.run_id = r.run_id AND key = '{key}')"
            for key in ("dagster/partition", "scoopjoy/reason")
        ]
        return self.rows(
            f"SELECT coalesce({tags[0]}, pipeline_name), status, coalesce({tags[1]}, '') FROM runs r ORDER BY id"
        )

    def runs_of(self, day: str) -> list[tuple[str, str]]:
        """The runs of a business day."""
        return [(one, status) for one, status, _ in self.runs() if one == day]

    def failures(self) -> list[str]:
        """What steps and runs have said when they failed, and Dagster of them, oldest first."""
        kinds = "('STEP_FAILURE', 'PIPELINE_FAILURE', 'ENGINE_EVENT')"
        return [
            str(event)
            for (event,) in self.rows(
                "SELECT event::json->'dagster_event'->>'message' || ' ' || coalesce("
                " event::json->'dagster_event'->'event_specific_data'->'user_failure_data'->>'description', '')"
                " || ' ' || coalesce(event::json->'dagster_event'->'event_specific_data'->'error'->>'message', '')"
                f" FROM event_logs WHERE dagster_event_type IN {kinds} ORDER BY id"
            )
        ]

    def unfinished(self) -> bool:
        """Whether a run is under way."""
        return any(status not in {"SUCCESS", "FAILURE", "CANCELED"} for _, status, _ in self.runs())

    def working(self) -> bool:
        """Whether a process that works on a run is alive."""
        return any(
            _lives(int(process.split()[1]))
            for (process,) in self.rows(
                "SELECT value FROM run_tags JOIN runs USING (run_id) WHERE key = 'scoopjoy/process'"
                " AND status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')"
            )
        )

    def logs(self) -> str:
        """The last lines of each process, and where an interpreter crashed."""
        said = []
        for one in sorted((self.directory / "logs").glob("*.log")):
            lines = one.read_text(errors="replace").splitlines()
            crashed = next(
                (at for at, line in enumerate(lines) if line.startswith("Fatal Python error")), None
            )
            said += [f"-- {one.name}", *(lines[crashed : crashed + 60] if crashed is not None else ())]
            said += lines[-15:]
        return "\n".join(said)

    # -- what people got ----------------------------------------------------------------------------------------------

    def mails(self) -> list[str]:
        """The subjects of the mails to who is on call, oldest first."""
        return [str(one.subject) for one in self.there.mail.messages if one.recipient == ON_CALL]

    def reports(self) -> list[tuple[str, str]]:
        """Recipient and subject of the reports, oldest first."""
        return [(one.recipient, one.subject) for one in self.there.mail.messages if one.recipient != ON_CALL]

    def wrong(self) -> list[str]:
        """What is not right about the business days, as the independent judge sees it."""
        return [str(one) for day in self.facts.days for one in self.oracle.judge(day)]


def _lives(process: int) -> bool:
    """Whether there is such a process, and not only what its parent has not taken note of yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@contextmanager
def night(directory: Path, *, days: int = 1, seed: int = 1) -> Iterator[Night]:
    """A chain with so many open business days, at half past midnight after the last of them."""
    clock = SimulatedClock(directory)
    clock.set(half_past_midnight(LAST_DAY + timedelta(days=1)))
    opened = [LAST_DAY - timedelta(days=back) for back in reversed(range(days))]
    erpnext = SandboxERPNext(":memory:", background_delay_s=0.0)
    erpnext.site.clock = clock.site_now
    with servers(erpnext, clock=lambda: clock.now().timestamp()) as there:
        furnish(erpnext)
        yield Night(directory, clock, there, Facts.seeded(erpnext, random.Random(seed), opened))
