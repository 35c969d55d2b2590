"""What can go wrong between a client and ERPNext, on purpose.

Belongs here: which request a fault hits and what the fault is. Does not belong here: closing sockets
(``server``). A new kind of fault is one entry in ``KINDS``.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from scoopjoy_dagster.sandbox.erpnext.errors import SiteError, thrown
from scoopjoy_dagster.sandbox.erpnext.wire import Call, Reply, failure, html


@dataclass(frozen=True, slots=True)
class Effect:
    """What a fault does to one request.

    Attributes:
        reply: Answer instead of the real one.
        drop: The connection is reset without an answer.
        drop_in_body: The connection is reset in the middle of the real answer's body.
        delay_s: Seconds to wait before the answer.
    """

    reply: Reply | None = None
    drop: bool = False
    drop_in_body: bool = False
    delay_s: float = 0.0


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
    """

    kind: str
    method: str | None = None
    path: str | None = None
    doctype: str | None = None
    nth: int = 1
    times: int | None = 1
    probability: float = 1.0
    seconds: float = 1.0
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
        return Effect(reply=failure(SiteError(exc_type, text, headers=sent), []))

    return effect


def _page(status: int, title: str) -> Callable[[Rule], Effect]:
    return lambda _: Effect(reply=html(status, title, "<center>nginx</center>" if status > 500 else ""))


def _forbidden(_: Rule) -> Effect:
    return Effect(reply=failure(thrown("Not permitted", "PermissionError"), []))


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
}


@dataclass
class FaultSchedule:
    """The faults to come, in order of their rules; the first rule that strikes wins."""

    seed: int = 0
    rules: list[Rule] = field(default_factory=list)
    #: (kind, method, path) of every fault that has struck.
    struck: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - repeatable chance, no secret
        self._lock = threading.Lock()

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
    ) -> Rule:
        """Add a rule. With a ``probability`` it strikes without end unless ``times`` is more than 1.

        Raises:
            KeyError: The kind is unknown.
        """
        if kind not in KINDS:
            raise KeyError(f"unknown fault {kind!r}; known are {', '.join(sorted(KINDS))}")
        if probability is not None and times == 1:
            times = None
        rule = Rule(
            kind, method, path, doctype, nth, times, 1.0 if probability is None else probability, seconds
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

    def strike(self, call: Call, doctype: str) -> tuple[Kind, Effect] | None:
        """The fault that hits this request, if any."""
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
                    return kind, kind.effect(rule)
        return None
