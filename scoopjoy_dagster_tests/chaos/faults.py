"""The seeded faults of one disturbed close: what strikes ERPNext, headquarters, the mail server and the run itself.

Here: drawing and setting them. Not here: carrying out a kill or a change in the middle (``schedule`` gives the hooks).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from scoopjoy_dagster.sandbox.erpnext.faults import HOOKED, KINDS
from scoopjoy_dagster_tests.world import KORAMANGALA, THANE

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
    from scoopjoy_dagster.sandbox.hq import SandboxHQ
    from scoopjoy_dagster.sandbox.mail import MailSink

QUICK = tuple(sorted(kind for kind in KINDS if kind not in HOOKED and not kind.startswith("slow")))
SLOW = ("slow", "slow_before_commit")
SLOW_S = 1.0
#: The writes of a close, by method and what is in their path.
WRITES = (
    ("POST", "/resource/Journal Entry"),
    ("POST", "/resource/POS Closing Entry"),
    ("PUT", "/resource/POS Closing Entry"),
    ("POST", "/resource/ScoopJoy Delivery"),
    ("POST", "insert_many"),
    ("DELETE", "/resource/File"),
)
REQUESTS = 75
"""About so many requests a close makes; faults strike among them."""


HIDDEN_BUT = (KORAMANGALA, THANE)
"""The only Customer that a User Permission lets the integration user see: 45 invoices of 24 customers became 3 of 1 so."""

IMPATIENT = {"read_timeout_s": 0.7, "closing_deadline_s": 0.5}
"""Options of the ERPNext resource of a run under faults: it loses patience before a slow answer or a lost job ends."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the laboratory does when a fault asks for it."""

    kill: Callable[[], None]
    terminate_connections: Callable[[], None]
    change_a_fact: Callable[[], None]
    note: Callable[[str], None]
    """Told the name of a fault that struck elsewhere than in ERPNext's requests."""


def _target(chance: random.Random) -> dict[str, Any]:
    """Some request: any one, or one of the writes."""
    if chance.random() < 0.45:
        return {"nth": chance.randint(1, REQUESTS)}
    method, path = chance.choice(WRITES)
    return {"method": method, "path": path, "nth": chance.randint(1, 3)}


def set_faults(
    chance: random.Random, erpnext: SandboxERPNext, headquarters: SandboxHQ, mail: MailSink, hooks: Hooks
) -> bool:
    """Draw the faults of one disturbed close and set them. Returns whether PostgreSQL's connections are to be cut."""
    erpnext.faults.reseed(chance.getrandbits(32))
    for _ in range(chance.choice((1, 1, 2, 3))):
        _requests(chance, erpnext)
    cut = _events(chance, erpnext, hooks)
    _background(chance, erpnext, hooks)
    if chance.random() < 0.3:
        _headquarters(chance, headquarters, hooks)
    if chance.random() < 0.3:
        _mail(chance, mail, hooks)
    return cut


def _requests(chance: random.Random, erpnext: SandboxERPNext) -> None:
    """One kind of fault, for some requests."""
    kind, add = chance.choice(QUICK), erpnext.faults.add
    match chance.choices(("once", "often", "storm", "outage", "slow"), (6, 3, 2, 1, 0.5))[0]:
        case "once":
            add(kind, seconds=0, **_target(chance))
        case "often":
            add(kind, seconds=0, times=chance.randint(2, 6), **_target(chance))
        case "storm":
            add(kind, seconds=0, probability=chance.choice((0.03, 0.1, 0.25)))
        case "outage":
            add(kind, seconds=0, times=None, nth=chance.randint(1, REQUESTS))
        case _:
            add(chance.choice(SLOW), seconds=SLOW_S, **_target(chance))


def _events(chance: random.Random, erpnext: SandboxERPNext, hooks: Hooks) -> bool:
    """What happens at some request besides: death, PostgreSQL's connections cut, a change at the desk."""
    add = erpnext.faults.add
    if chance.random() < 0.4:
        kind = chance.choice(("kill_before_commit", "kill_after_commit"))
        add(kind, hook=lambda _call: hooks.kill(), **_target(chance))
    cut = chance.random() < 0.08
    if cut:
        add("meanwhile", nth=chance.randint(1, REQUESTS), hook=lambda _call: hooks.terminate_connections())
    if chance.random() < 0.12:
        add("meanwhile", nth=chance.randint(1, REQUESTS), hook=lambda _call: hooks.change_a_fact())
    return cut


def _background(chance: random.Random, erpnext: SandboxERPNext, hooks: Hooks) -> None:
    """The site itself: its worker's jobs fail, or nobody takes them; its books are frozen."""
    if chance.random() < 0.25:
        erpnext.faults.fail_jobs(chance.choice((1, 1, 2, 3)))
    if chance.random() < 0.06:
        erpnext.settings.background_worker = False
        hooks.note("queued_for_ever")
    if chance.random() < 0.05:
        erpnext.settings.frozen_upto = date.max
        hooks.note("books_frozen")
    if chance.random() < 0.05:
        customer = chance.choice(HIDDEN_BUT)
        if erpnext.documents("Customer", name=customer):  # not since it was renamed or merged
            values = {"user": erpnext.robot.user, "allow": "Customer", "for_value": customer}
            session = erpnext.session()
            with erpnext.site.transaction():
                session.insert(session.new("User Permission", values))
            hooks.note("user_restricted")


def _headquarters(chance: random.Random, headquarters: SandboxHQ, hooks: Hooks) -> None:
    after = chance.random() < 0.5
    kind = chance.choice(("drop", "truncate", "kill", "error", "outage"))

    def struck() -> None:
        hooks.note(f"hq_{kind}")
        if kind == "kill":
            hooks.kill()

    match kind:
        case "drop" | "kill":
            headquarters.fail_next("drop", after_storing=after, hook=struck)
        case "truncate":
            headquarters.fail_next("truncate", hook=struck)
        case "error":
            headquarters.fail_next(chance.choice((500, 502, 503, 429)), after_storing=after, hook=struck)
        case _:
            headquarters.fail_next(503, 10, hook=struck)


def _mail(chance: random.Random, mail: MailSink, hooks: Hooks) -> None:
    taken, dies, skip = chance.random() < 0.6, chance.random() < 0.4, chance.randint(0, 1)

    def struck() -> None:
        hooks.note(f"mail_{'taken' if taken else 'lost'}_{'kill' if dies else 'drop'}")
        if dies:
            hooks.kill()

    mail.lose_next(taken=taken, skip=skip, hook=struck)


def heal(erpnext: SandboxERPNext, headquarters: SandboxHQ, mail: MailSink) -> list[str]:
    """No faults any more. Returns the kinds that struck ERPNext."""
    struck = [kind for kind, _, _ in erpnext.faults.struck if kind not in HOOKED]
    erpnext.faults.clear()
    erpnext.settings.background_worker = True
    erpnext.settings.frozen_upto = None
    for name in [one["name"] for one in erpnext.documents("User Permission")]:
        session = erpnext.session()
        with erpnext.site.transaction():
            session.delete("User Permission", name)
    headquarters.heal()
    mail.heal()
    return struck
