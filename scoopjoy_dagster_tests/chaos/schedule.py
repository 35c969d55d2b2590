"""One schedule: a world from its seed, disturbed closes, re-runs until it is settled, and the oracle's verdicts.

Here: the order of events. Not here: which faults there are (``faults``), what people change (``facts``), what is right
(``oracle``), how a run is started (``closing``).
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster.sandbox.erpnext.errors import SiteError
from scoopjoy_dagster_tests.chaos import faults
from scoopjoy_dagster_tests.chaos.closing import Closing, Ended, Order
from scoopjoy_dagster_tests.chaos.facts import Facts
from scoopjoy_dagster_tests.chaos.result import Result
from scoopjoy_dagster_tests.chaos.servers import Servers, servers
from scoopjoy_dagster_tests.chaos.verdict import Verdict
from scoopjoy_dagster_tests.world import DAY, NOW

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

SITES = (("v15", "POS Invoice"), ("v15", "POS Invoice"), ("v16", "POS Invoice"), ("v16", "Sales Invoice"))
"""Lines of ERPNext with what their tills make: each schedule draws one. As many are of v15 as of v16."""

RECORDED = 0.25
"""Share of the schedules in which Dagster's record of every run is kept in PostgreSQL; runs whose connections are cut
always keep it there. The lock of the day is PostgreSQL's in all of them."""

RERUNS = 6
"""So many re-runs a phase may need; those after the second one are without faults."""


@dataclass(frozen=True, slots=True)
class Place:
    """What all schedules of a process share.

    Attributes:
        templates: directory of the sites that schedules start from, see `template_of`.
        environment: where the runs find Dagster's home and database.
        dsn: the same database, for psycopg2.
    """

    templates: Path
    environment: Mapping[str, str]
    dsn: str


def template_of(directory: Path, line: str, invoice_type: str) -> Path:
    """The file of a site that schedules start from."""
    return directory / f"{line}-{invoice_type.split(maxsplit=1)[0].lower()}.db"


def run_schedule(seed: int, place: Place) -> Result:
    """Run the schedule of a seed."""
    line, invoice_type = random.Random(f"{seed}:site").choice(SITES)
    erpnext = SandboxERPNext(
        ":memory:",
        clock=lambda: NOW,
        background_delay_s=0.0,
        template=template_of(place.templates, line, invoice_type),
        line=line,
    )
    with servers(erpnext) as there:
        schedule = _Schedule(seed, place, there)
        schedule.result.tell(f"{line}, tills make {invoice_type}s")
        schedule.run()
    return schedule.result


class _Schedule:
    """A schedule under way."""

    def __init__(self, seed: int, place: Place, there: Servers) -> None:
        self.result = Result(seed)
        self._place = place
        self._erpnext, self._hq, self._mail, self._watch = (
            there.erpnext,
            there.headquarters,
            there.mail,
            there.watch,
        )
        chance = self._chance("facts")
        days = [DAY - timedelta(days=1), DAY] if chance.random() < 0.25 else [DAY]
        self._facts = Facts.seeded(self._erpnext, chance, days)
        self._oracle = there.oracle()
        self._facts.on_renamed, self._facts.on_merged = self._oracle.renamed, self._oracle.was_merged
        self._running: list[Closing] = []
        self._cutters: list[threading.Thread] = []
        self._changed = False
        self._recorded = self._chance("recorded").random() < RECORDED

    def _chance(self, what: str) -> random.Random:
        """A stream of chance of its own for each purpose: how long one is drawn from changes nothing in the others."""
        return random.Random(f"{self.result.seed}:{what}")

    def run(self) -> None:
        """All phases: the first close, then late changes and the closes that follow them."""
        phases = self._chance("phases").choices((1, 2, 3), (8, 3, 1))[0]
        for phase in range(phases):
            chance = self._chance(f"phase {phase}")
            if phase:
                for _ in range(chance.choice((1, 1, 2))):
                    self.result.tell(f"late change: {self._facts.change(chance)}")
            self._oracle.note(self._facts.days)
            if not self._settle(phase, chance):
                break
            verdicts = [one for day in self._facts.days for one in self._oracle.judge(day)]
            self.result.add(verdicts)
            if verdicts:
                self.result.tell(f"phase {phase} is judged wrong")
                break
        else:
            if self._chance("again").random() < 0.25:
                self._once_more()
        self.result.changes.update(self._facts.changed)
        self.result.mails_twice = self._oracle.mails_twice

    # -- closing --------------------------------------------------------------------------------------------------

    def _settle(self, phase: int, chance: random.Random) -> bool:
        """Close with faults, then again until everything is settled. False if it never is."""
        settled = self._disturbed(chance)
        for rerun in range(1, RERUNS + 1):
            if settled:
                return True
            self.result.reruns += 1
            if rerun <= 2 and chance.random() < 0.25:
                settled = self._disturbed(chance)
            else:
                settled = self._all_settled(self._run([self._order()]))
        self.result.tell(f"phase {phase} did not settle")
        self.result.add(
            [Verdict("wrong", f"not settled after {RERUNS} re-runs, the last ones without faults")]
        )
        return False

    def _disturbed(self, chance: random.Random) -> bool:
        """Closes with faults on. True only if everything went through and nothing changed meanwhile."""
        self._changed = False
        hooks = faults.Hooks(
            kill=lambda: self._kill(victim),
            terminate_connections=self._terminate,
            change_a_fact=lambda: self._meanwhile(change),
            note=self.result.note,
        )
        victim, change = chance.random(), random.Random(chance.getrandbits(64))
        cut = faults.set_faults(chance, self._erpnext, self._hq, self._mail, hooks)
        orders = [
            replace(order, hurried=True, recorded=order.recorded or cut, pooled=not cut)
            for order in self._orders(chance)
        ]
        ended = self._run(orders)
        struck = faults.heal(self._erpnext, self._hq, self._mail)
        self.result.struck(struck)
        if self._facts.enable():
            self._changed = True
            self.result.tell("enabled again")
            self._oracle.note(self._facts.days)
        whole = any(
            order.first == self._facts.days[0] and order.last == self._facts.days[-1] for order in orders
        )
        return self._all_settled(ended) and whole and not self._changed

    def _orders(self, chance: random.Random) -> list[Order]:
        """One run of all days; or two of them at once; or one of all days and one of a single day by hand."""
        everything = self._order()
        drawn = chance.random()
        if len(self._facts.days) > 1 and drawn < 0.4:
            self.result.beside_backfill += 1
            day = chance.choice(list(self._facts.days))
            return [everything, self._order([day])]
        if drawn < 0.18:
            self.result.at_once += 1
            return [everything, everything]
        return [everything]

    def _order(self, days: Sequence[date] = ()) -> Order:
        """A patient run of these days; of all, if none are given."""
        who = self._erpnext.robot
        chosen = days or self._facts.days
        return Order(
            chosen[0],
            chosen[-1],
            hurried=False,
            recorded=self._recorded,
            pooled=True,
            environment={
                **self._place.environment,
                "CHAOS_ERPNEXT_URL": self._erpnext.url,
                "CHAOS_ERPNEXT_KEY": who.api_key,
                "CHAOS_ERPNEXT_SECRET": who.api_secret,
                "CHAOS_HQ_URL": self._hq.url,
                "CHAOS_HQ_SECRET": self._hq.secret,
                "CHAOS_SMTP_PORT": str(self._mail.smtp_port),
            },
        )

    def _run(self, orders: list[Order]) -> list[Ended]:
        self.result.runs += len(orders)
        self.result.tell(" beside ".join(f"close {one.first} to {one.last}" for one in orders))
        self._running[:] = [Closing(order) for order in orders]
        ended = [closing.wait() for closing in self._running]
        self._running.clear()
        for (
            cutter
        ) in self._cutters:  # it belongs to these runs: on a busy machine it would cut the next six, too
            cutter.join()
        self._cutters.clear()
        for one in ended:
            self.result.tell(
                "settled" if one.settled else "died" if one.died else "; ".join(one.said) or "failed"
            )
        return ended

    @staticmethod
    def _all_settled(ended: list[Ended]) -> bool:
        return all(one.settled for one in ended)

    def _once_more(self) -> None:
        """A further close of a settled world writes nothing, sends nothing, tells nothing."""
        before = self._written()
        if not self._all_settled(self._run([self._order()])):
            self.result.add([Verdict("wrong", "a further close of settled days failed")])
        if self._written() != before:
            self.result.add(
                [Verdict("duplicate", f"a further close wrote: {before} became {self._written()}")]
            )

    def _written(self) -> tuple[int, int, int]:
        return self._erpnext.requests.writes, len(self._mail.messages), len(self._hq.deliveries)

    # -- what faults do besides -------------------------------------------------------------------------------------

    def _kill(self, victim: float) -> None:
        alive = [one for one in self._running if one.alive]
        if alive:
            alive[int(victim * len(alive))].kill()
            self._watch.died()
            self.result.kills += 1
            self.result.tell("killed")

    def _meanwhile(self, chance: random.Random) -> None:
        self._changed = True
        # What the run itself has changed counts from here on: sales at the till that its closings have consolidated.
        self._oracle.note(self._facts.days)
        try:
            self.result.tell(f"changed in the middle: {self._facts.change(chance)}")
        except SiteError as refused:  # frozen books
            self.result.tell(f"not changed in the middle: {refused.text}")
        self._oracle.note(self._facts.days)

    def _terminate(self) -> None:
        """Cut PostgreSQL's connections again and again for a moment: Dagster opens a new one for every word."""
        self.result.note("postgres_lost")
        cutter = threading.Thread(target=self._cut_connections, name="terminate", daemon=True)
        self._cutters.append(cutter)
        cutter.start()

    def _cut_connections(self) -> None:
        import psycopg2

        connection = psycopg2.connect(self._place.dsn)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                for _ in range(30):
                    cursor.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                    time.sleep(0.01)
        finally:
            connection.close()
