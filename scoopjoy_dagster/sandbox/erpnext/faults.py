"""What can go wrong between a client and ERPNext, on purpose.

Belongs here: which request a fault hits and what the fault is. Does not belong here: closing sockets
(``server``). A new kind of fault is one entry in ``KINDS``.
"""

from __future__ import annotations

import gzip
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal

from scoopjoy_dagster.sandbox.erpnext.errors import SiteError, thrown
from scoopjoy_dagster.sandbox.erpnext.snapshots import record_changed
from scoopjoy_dagster.sandbox.erpnext.wire import Call, Reply, failure, html

Hook = Callable[[Call], None]
"""What happens besides: the death of the process that asks, somebody's change in the middle, ..."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a fault does to one request.

    Attributes:
        reply: Answer instead of the real one.
        error: The same as an error of the site, which its line of ERPNext words.
        drop: The connection is reset without an answer.
        drop_in_body: The connection is reset in the middle of the real answer's body.
        truncate: The real answer ends in the middle of its body, and its Content-Length agrees with that.
        delay_s: Seconds to wait before the answer.
        hook: Called before anything else is done about the request; ``drop`` says whether it goes on then.
    """

    reply: Reply | None = None
    error: SiteError | None = None
    drop: bool = False
    drop_in_body: bool = False
    truncate: bool = False
    delay_s: float = 0.0
    hook: Hook | None = None


@dataclass(slots=True)
class Rule:
    """One fault and the requests that it hits. Unset criteria match everything.

    Attributes:
        kind: A key of ``KINDS``.
        method: HTTP method.
        path: Part of the decoded path.
        doctype: DocType that the request is about.
        nth: First matching request to hit, from 1.
        times: How many requests to hit at most; ``None`` for no end.
        probability: Chance for each matching request; 1 hits all.
        seconds: Delay of ``slow...``, ``Retry-After`` of ``rate_limited``.
        hook: What the ``kill...`` kinds and ``meanwhile`` call.
    """

    kind: str
    method: str | None = None
    path: str | None = None
    doctype: str | None = None
    nth: int = 1
    times: int | None = 1
    probability: float = 1.0
    seconds: float = 1.0
    hook: Hook | None = None
    matched: int = 0
    hit: int = 0

    def matches(self, call: Call, doctype: str) -> bool:
        """Whether the rule is about this request at all."""
        return (
            (self.method is None or self.method.upper() == call.method)
            and (self.path is None or self.path in call.path)
            and (self.doctype is None or self.doctype == doctype)
        )


@dataclass(frozen=True, slots=True)
class Kind:
    """When a fault strikes (before the request is worked on, or after its commit), and how."""

    phase: Literal["before", "after"]
    effect: Callable[[Rule], Effect]


def _error(exc_type: str, text: str = "", **headers: str) -> Callable[[Rule], Effect]:
    def effect(rule: Rule) -> Effect:
        sent = {name.replace("_", "-"): value.format(int(rule.seconds)) for name, value in headers.items()}
        return Effect(error=SiteError(exc_type, text, headers=sent))

    return effect


def _page(status: int, title: str) -> Callable[[Rule], Effect]:
    return lambda _: Effect(reply=html(status, title, "<center>nginx</center>" if status > 500 else ""))


@cache
def _bomb() -> bytes:
    return gzip.compress(b'{"message": "' + bytes(64 << 20) + b'"}')


def _bombed(_: Rule) -> Effect:
    return Effect(reply=Reply(200, _bomb(), headers={"Content-Encoding": "gzip"}))


def _nested(_: Rule) -> Effect:
    return Effect(reply=Reply(200, b'{"message": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"))


def _kill(rule: Rule) -> Effect:
    return Effect(hook=rule.hook, drop=True)


def _meanwhile(rule: Rule) -> Effect:
    return Effect(hook=rule.hook)


def _forbidden(_: Rule) -> Effect:
    return Effect(error=thrown("Not permitted", "PermissionError"))


#: Every kind of fault by name.
KINDS: dict[str, Kind] = {
    "refused_before_commit": Kind("before", lambda _: Effect(drop=True)),
    "committed_never_answered": Kind("after", lambda _: Effect(drop=True)),
    "reset_in_body": Kind("after", lambda _: Effect(drop_in_body=True)),
    "deadlock": Kind(
        "before",
        _error(
            "QueryDeadlockError",
            "(1213, 'Deadlock found when trying to get lock; try restarting transaction')",
        ),
    ),
    # As a writer in the same naming series does it, at the same moment, on a database with snapshot isolation.
    "record_changed": Kind("before", lambda _: Effect(error=record_changed("Series"))),
    "lock_timeout": Kind(
        "before",
        _error("QueryTimeoutError", "(1205, 'Lock wait timeout exceeded; try restarting transaction')"),
    ),
    "html_500": Kind("before", _page(500, "Internal Server Error")),
    "bad_gateway_before_commit": Kind("before", _page(502, "502 Bad Gateway")),
    "bad_gateway_after_commit": Kind("after", _page(502, "502 Bad Gateway")),
    "gateway_timeout_before_commit": Kind("before", _page(504, "504 Gateway Time-out")),
    "gateway_timeout_after_commit": Kind("after", _page(504, "504 Gateway Time-out")),
    "rate_limited": Kind("before", _error("TooManyRequestsError", Retry_After="{}")),
    "maintenance": Kind("before", _error("SessionStopped", "Session Stopped")),
    "slow": Kind("after", lambda rule: Effect(delay_s=rule.seconds)),
    "slow_before_commit": Kind("before", lambda rule: Effect(delay_s=rule.seconds)),
    "permission_lost": Kind("before", _forbidden),
    # Beyond what a client should read: 64 kB that become 64 MB, and 200,000 brackets within each other.
    "bomb_after_commit": Kind("after", _bombed),
    "nested_after_commit": Kind("after", _nested),
    "truncated_page": Kind("after", lambda _: Effect(truncate=True)),
    # The hook kills the process that asks: its request is lost, or carried out for nobody.
    "kill_before_commit": Kind("before", _kill),
    "kill_after_commit": Kind("after", _kill),
    # No fault of this request: something else happens at this very moment, and the request goes on.
    "meanwhile": Kind("before", _meanwhile),
}

HOOKED = frozenset({"kill_before_commit", "kill_after_commit", "meanwhile"})
"""The kinds that need a hook."""

DEADLOCK = "Deadlock found when trying to get lock; try restarting transaction"
RECORD_CHANGED = record_changed("Series").text
"""Why a background job fails."""

JOB_FAILED = "background_job_failed"
"""What ``FaultSchedule.struck`` calls a background job that was made to fail."""


def _refused(_: Call, error: SiteError) -> Reply:
    return failure(error, [])


@dataclass
class FaultSchedule:
    """The faults to come, in order of their rules; the first rule that strikes wins.

    ``refuse``: How the site answers with an error.
    """

    seed: int = 0
    rules: list[Rule] = field(default_factory=list)
    #: (kind, method, path) of every fault that has struck.
    struck: list[tuple[str, str, str]] = field(default_factory=list)
    refuse: Callable[[Call, SiteError], Reply] = _refused

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - repeatable chance, no secret
        self._lock = threading.Lock()
        self._failing_jobs: list[str] = []

    def add(
        self,
        kind: str,
        *,
        method: str | None = None,
        path: str | None = None,
        doctype: str | None = None,
        nth: int = 1,
        times: int | None = 1,
        probability: float | None = None,
        seconds: float = 1.0,
        hook: Hook | None = None,
    ) -> Rule:
        """Add a rule. With a ``probability`` it strikes without end unless ``times`` is more than 1.

        Raises:
            KeyError: The kind is unknown.
            ValueError: The kind needs a ``hook``, or knows none.
        """
        if kind not in KINDS:
            raise KeyError(f"unknown fault {kind!r}; known are {', '.join(sorted(KINDS))}")
        if (hook is not None) != (kind in HOOKED):
            raise ValueError(f"the fault {kind!r} {'needs a' if kind in HOOKED else 'knows no'} hook")
        if probability is not None and times == 1:
            times = None
        rule = Rule(
            kind,
            method,
            path,
            doctype,
            nth,
            times,
            1.0 if probability is None else probability,
            seconds,
            hook,
        )
        with self._lock:
            self.rules.append(rule)
        return rule

    def reseed(self, seed: int) -> None:
        """Start the chance anew."""
        with self._lock:
            self.seed = seed
            self._random = random.Random(seed)  # noqa: S311 - repeatable chance, no secret

    def clear(self) -> None:
        """No faults any more; what has struck is forgotten too."""
        with self._lock:
            self.rules.clear()
            self.struck.clear()
            self._failing_jobs.clear()

    def fail_jobs(self, times: int = 1, *, reason: str = DEADLOCK) -> None:
        """Make the next background jobs fail, as a worker does that runs into a deadlock.

        ``reason``: ``RECORD_CHANGED`` as one that ran while others made documents in the same naming series.
        """
        with self._lock:
            self._failing_jobs += [reason] * times

    def strike_job(self, kind: str) -> str:
        """Why the background job that begins now is to fail; empty if it is not."""
        with self._lock:
            if not self._failing_jobs:
                return ""
            self.struck.append((JOB_FAILED, "JOB", kind))
            return self._failing_jobs.pop(0)

    def strike(self, call: Call, doctype: str) -> tuple[str, Kind, Effect] | None:
        """The fault that hits this request, if any: its name, its kind and what it does."""
        with self._lock:
            for rule in self.rules:
                if not rule.matches(call, doctype):
                    continue
                rule.matched += 1
                due = rule.matched >= rule.nth and (rule.times is None or rule.hit < rule.times)
                if due and self._random.random() < rule.probability:
                    rule.hit += 1
                    self.struck.append((rule.kind, call.method, call.path))
                    kind = KINDS[rule.kind]
                    effect = kind.effect(rule)
                    if effect.error is not None:
                        effect = replace(effect, reply=self.refuse(call, effect.error))
                    return rule.kind, kind, effect
        return None
