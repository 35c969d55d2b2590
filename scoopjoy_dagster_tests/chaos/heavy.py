"""A heavy schedule: the real webserver, daemon and queue, a backfill of two days, the daemon killed, a hand run beside.

Here: what happens to Dagster as a whole. Not here: kills of single runs (``schedule``), which need no daemon.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from scoopjoy_dagster.assets.tools import MAIL_TAG
from scoopjoy_dagster.definitions import ASSETS
from scoopjoy_dagster.erpnext.client import Client
from scoopjoy_dagster.erpnext.installation import install, read_installation
from scoopjoy_dagster.erpnext.session import Session
from scoopjoy_dagster.local.home import PROJECT
from scoopjoy_dagster.local.processes import ChildProcesses, free_port
from scoopjoy_dagster.local.services import Dagster, running_dagster
from scoopjoy_dagster.partitions import ZONE, last_ended_day
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster_tests.chaos import faults
from scoopjoy_dagster_tests.chaos.facts import GROUPS, Facts
from scoopjoy_dagster_tests.chaos.result import Result
from scoopjoy_dagster_tests.chaos.servers import Servers, servers
from scoopjoy_dagster_tests.chaos.verdict import Verdict
from scoopjoy_dagster_tests.end_to_end.graphql import UI
from scoopjoy_dagster_tests.world import MANAGERS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

STEPS = [module.NAME for module in ASSETS]
BACKFILL_DEADLINE_S = 240.0
"""The daemon looks at backfills twice a minute, and may have been dead for a while."""

RERUNS = 4
COMMAND = "from scoopjoy_dagster.cli.main import main; main()"
"""What the script `scoopjoy` does."""


def run_heavy(number: int, environment: Mapping[str, str]) -> Result:
    """Run the heavy schedule of a seed, in the real present: schedules and the queue have no other clock."""
    result = Result(number, heavy=True)
    chance = random.Random(f"{number}:heavy")
    last = last_ended_day(datetime.now(ZONE))
    with ExitStack() as stack:
        there = stack.enter_context(servers(SandboxERPNext(":memory:", background_delay_s=0.0)))
        furnish(there.erpnext)
        facts = Facts.seeded(there.erpnext, chance, [last - timedelta(days=1), last])
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="scoopjoy-heavy-"))).resolve()
        heavy = _Heavy(result, chance, there, facts, directory, environment)
        with heavy.dagster():
            heavy.disturbed()
        heavy.settled()
    return result


def furnish(erpnext: SandboxERPNext) -> None:
    """Masters, franchises with their rates, and the program's own fields."""
    seed.master_data(erpnext)
    for name, group in GROUPS.items():
        seed.add_franchise(erpnext, name, group=group)
    with Session(erpnext.url, erpnext.robot.api_key, erpnext.robot.api_secret) as session:
        client = Client(session)
        install(client, read_installation(client), lambda _step: None)
    seed.set_royalty_terms(erpnext)


def settings_of(there: Servers, go_live: date, directory: Path) -> dict[str, str]:
    """Settings for these servers."""
    who = there.erpnext.robot
    return {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "SCOOPJOY_DIRECTORY": str(directory),
        "ERPNEXT_URL": there.erpnext.url,
        "ERPNEXT_API_KEY": who.api_key,
        "ERPNEXT_API_SECRET": who.api_secret,
        "ERPNEXT_READ_TIMEOUT_S": "3",
        "SCOOPJOY_GO_LIVE": go_live.isoformat(),
        "SCOOPJOY_CLOSING_DEADLINE_S": "3",
        "SCOOPJOY_HQ_URL": there.headquarters.url,
        "SCOOPJOY_HQ_SECRET": there.headquarters.secret,
        "SCOOPJOY_REPORT_RECIPIENTS": ",".join(MANAGERS),
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(there.mail.smtp_port),
        "SMTP_SECURITY": "none",
        "SMTP_SENDER": "ScoopJoy Nightly Close <close@scoopjoy.example>",
    }


class _Heavy:
    """A heavy schedule under way."""

    def __init__(
        self,
        result: Result,
        chance: random.Random,
        there: Servers,
        facts: Facts,
        directory: Path,
        environment: Mapping[str, str],
    ) -> None:
        self._result, self._chance, self._there, self._facts = result, chance, there, facts
        self._oracle = there.oracle()
        self._directory = directory
        self._port = free_port()
        self._environment = {**os.environ, **environment, **settings_of(there, facts.days[0], directory)}
        self._dagster: Dagster | None = None
        self._children = ChildProcesses(directory / "logs", grace_s=5)
        self._restarting: list[threading.Thread] = []

    def dagster(self) -> ExitStack:
        """Dagster's processes, for the length of a block."""
        stack = ExitStack()
        self._dagster = stack.enter_context(
            running_dagster(self._children, self._environment, port=self._port, directory=self._directory)
        )
        self._result.tell("Dagster is up")
        return stack

    # -- under faults -----------------------------------------------------------------------------------------------

    def disturbed(self) -> None:
        """A backfill through the queue, with faults, the daemon killed and a day closed by hand beside it."""
        days = [day.isoformat() for day in self._facts.days]
        self._oracle.note(self._facts.days)
        hooks = faults.Hooks(lambda: None, lambda: None, lambda: None, self._result.note)
        there = self._there
        faults.set_faults(self._chance, there.erpnext, there.headquarters, there.mail, hooks)
        there.erpnext.faults.add(
            "meanwhile", nth=self._chance.randint(5, 90), hook=lambda _call: self._kill_daemon()
        )
        assert self._dagster is not None
        ui = UI(self._dagster.address)
        backfill = ui.backfill(STEPS, days, {MAIL_TAG: "yes"})
        self._result.runs += 2  # a backfill is one run over its days
        self._result.beside_backfill += 1
        self._result.tell(f"backfill of {days[0]} and {days[1]}")
        by_hand = self._chance.choice(list(self._facts.days))
        while not there.erpnext.requests.total and not self._late():
            time.sleep(0.2)
        self._close(by_hand)
        while (status := ui.backfill_status(backfill)) == "REQUESTED" and not self._late():
            time.sleep(1)
        finished = ui.finished_runs_of(backfill)
        self._result.tell(f"backfill: {status}; its runs: " + ", ".join(one["status"] for one in finished))
        for thread in self._restarting:
            thread.join()
        if not finished or not status.startswith("COMPLETED"):
            self._result.add([Verdict("wrong", f"the backfill did not end within {BACKFILL_DEADLINE_S:g} s")])
        self._result.struck(faults.heal(there.erpnext, there.headquarters, there.mail))

    def _late(self) -> bool:
        return time.monotonic() - self._result.began > BACKFILL_DEADLINE_S

    def _kill_daemon(self) -> None:
        """SIGKILL for the daemon, and another one two seconds later, as a service manager does."""
        if self._dagster is None:
            return
        old = self._dagster.daemon
        old.process.send_signal(signal.SIGKILL)
        self._result.daemons_killed += 1
        self._result.tell("the daemon is killed")
        thread = threading.Thread(target=self._restart, name="restart", daemon=True)
        self._restarting.append(thread)
        thread.start()

    def _restart(self) -> None:
        if self._dagster is None:
            return
        old = self._dagster.daemon
        old.process.wait()
        time.sleep(2)
        command = [str(part) for part in old.process.args]  # type: ignore[union-attr]  # a list, see services
        self._children.start(
            "daemon-again", command, environment=self._environment, directory=self._directory
        )
        self._result.tell("the daemon is started again")

    # -- by hand ------------------------------------------------------------------------------------------------------

    def settled(self) -> None:
        """Close the days by hand until all is well, then judge."""
        for _ in range(RERUNS):
            codes = [self._close(day) for day in self._facts.days]
            self._result.runs += len(codes)
            self._result.reruns += len(codes)
            if not any(codes):
                break
        else:
            self._result.add([Verdict("wrong", f"not settled after {RERUNS} closes without faults")])
            return
        self._result.add([one for day in self._facts.days for one in self._oracle.judge(day)])
        self._result.mails_twice = self._oracle.mails_twice

    def _close(self, day: date) -> int:
        """`scoopjoy close` in a process of its own. Returns its exit code."""
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, "close", "--date", day.isoformat(), "--json"],
            env=self._environment,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        try:
            assets = json.loads(done.stdout)["assets"]
            said = ", ".join(
                f"{name} {one['status']} ({one['written']} written)" for name, one in assets.items()
            )
        except ValueError:
            said = " ".join(done.stderr.split())[-300:]
        self._result.tell(f"scoopjoy close {day}: exit code {done.returncode}; {said}")
        return done.returncode
