"""Which closed days have changed since, and which of them a run is asked for: pure decisions, and what a sensor remembers.

What belongs here: comparing a day as it was closed with the day as it is now, and dealing changed days out to ticks.
What does not: reading ERPNext (`erpnext.changes`) or Dagster's storage (`automation.late_changes`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, NaiveDatetime, ValidationError

from scoopjoy_dagster.accounting.inputs import DayInputs, day_inputs
from scoopjoy_dagster.accounting.keys import digest
from scoopjoy_dagster.accounting.policy import Base, RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import Franchise
from scoopjoy_dagster.erpnext.changes import DayNow, Touched

REASON_LENGTH = 250
"""Characters of a reason. PostgreSQL indexes run tags, and refuses values of some 2,700 bytes."""


class Memory(BaseModel):
    """What the sensor remembers from tick to tick.

    Attributes:
        watermark: newest `modified` that was read, in site time; None before the first look.
        fingerprint: of what the last look has read.
        waiting: touched or changed days whose turn is still to come.
        rotation: the last day that was compared in turn, without being touched.
        requested: for each day that a run was asked for and that is not right yet, what it looked like then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    watermark: NaiveDatetime | None = None
    fingerprint: str = ""
    waiting: tuple[date, ...] = ()
    rotation: date | None = None
    requested: dict[date, str] = {}

    @classmethod
    def of(cls, cursor: str | None) -> Memory:
        """The memory in a cursor. One that is empty, damaged or of another version remembers nothing."""
        try:
            return cls.model_validate_json(cursor or "{}")
        except ValidationError:
            return cls()


@dataclass(frozen=True, slots=True)
class Closed:
    """A day as its newest close has recorded it.

    Attributes:
        record: number of the materialization, new with every close.
        franchises: how many the close knew.
        invoices, base: those that bore royalty, and their base in INR; empty text where nothing is recorded.
        inputs: digest of all that decided about the royalties; empty for a day closed by an older version.
        policy_version: the policy in force then.
        royalties: what franchises owed for the day, in INR.
        shifts: number of POS shifts; None where nothing is recorded.
    """

    record: int
    franchises: int = 0
    invoices: str = ""
    base: str = ""
    inputs: str = ""
    policy_version: str = ""
    royalties: Decimal | None = None
    shifts: int | None = None

    @classmethod
    def of(cls, record: int, royalties: Mapping[str, Any], shifts: Mapping[str, Any]) -> Closed:
        """From the outcomes of `royalties` and `closed_shifts` (`assets.outcome.Outcome.as_dict`)."""
        facts = royalties.get("facts") or {}
        seen = shifts.get("seen")
        return cls(
            record,
            int(royalties.get("seen") or 0),
            str(facts.get("invoices") or ""),
            str(facts.get("base") or ""),
            str(facts.get("inputs") or ""),
            str(facts.get("policy_version") or ""),
            _amount(royalties.get("amount")),
            None if seen is None else int(seen),
        )


@dataclass(frozen=True, slots=True)
class Change:
    """A day that is not what was closed: why, for people, and what it looks like now."""

    day: date
    reason: str
    state: str
    run_key: str


@dataclass(frozen=True, slots=True)
class Turn:
    """The days that a tick compares, oldest first, and those that must wait."""

    compare: tuple[date, ...]
    waiting: frozenset[date]
    rotation: date | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What a tick comes to: the changes that a run is asked for, what is remembered, and a sentence."""

    requests: tuple[Change, ...]
    memory: Memory
    sentence: str


@dataclass(frozen=True, slots=True)
class _PolicyAsClosed(RoyaltyPolicy):
    """A policy under the version of an earlier one, to see whether anything but the policy has changed."""

    closed_with: str = ""

    @property
    def version(self) -> str:
        """The earlier version."""
        return self.closed_with


def turn(
    memory: Memory,
    touched: Touched,
    *,
    window: Sequence[date],
    settled: Collection[date],
    in_flight: Collection[date],
    share: int,
) -> Turn:
    """Whose turn it is: days that were touched, and a share of the others, so that each is compared once in a while.

    A day that a run is working on waits: only after the run is known what it took into account. A day that was
    never closed, or whose last run failed, belongs to the nightly schedule.

    Args:
        memory: of the ticks before.
        touched: what the look has found; the same again is no news.
        window: the ended days that are looked at, oldest first.
        settled: those on which nothing is left to do.
        in_flight: days that a run is working on, or will.
        share: how many touched and how many other days a tick compares at most.
    """
    ready = [day for day in window if day in settled and day not in in_flight]
    news = touched.days if touched.fingerprint != memory.fingerprint else frozenset()
    called = set(memory.waiting) | news
    chosen = [day for day in ready if day in called][:share]
    later = [day for day in ready if memory.rotation is None or day > memory.rotation]
    in_turn = (later or ready)[:share]
    waiting = called & (set(ready) | set(in_flight) & set(window)) - set(chosen) - set(in_turn)
    return Turn(
        tuple(sorted({*chosen, *in_turn})),
        frozenset(waiting),
        in_turn[-1] if in_turn else memory.rotation,
    )


def change_of(
    day: date, closed: Closed | None, now: DayNow, policy: RoyaltyPolicy, franchises: Sequence[Franchise]
) -> Change | None:
    """How a day differs from its close; None when it does not.

    The policy in force is no difference: old days follow a new one only when a person runs them.
    """
    closed = closed or Closed(record=0)
    current = day_inputs(policy, franchises, now.invoices[policy.base])
    reasons: list[str] = []
    if not closed.inputs:
        reasons.append("closed by an older version, which has not recorded what it was closed with")
    elif closed.inputs not in _digests(closed, now, policy, franchises, current):
        reasons.append(_inputs_changed(closed, current))
    # The record shows two decimals.
    if closed.royalties is not None and closed.royalties != Decimal(f"{now.ledger:.2f}"):
        reasons.append(
            f"royalties of {closed.royalties:,.2f} when closed, {now.ledger:,.2f} in the ledger now"
        )
    if closed.shifts is not None and closed.shifts != now.shifts:
        reasons.append(f"{_counted(closed.shifts, 'POS shift')} when closed, {now.shifts} now")
    if now.open_shifts:
        reasons.append(f"open POS shifts: {', '.join(now.open_shifts)}")
    if not reasons:
        return None
    state = digest(
        {
            "inputs": current.digest,
            "ledger": now.ledger,
            "shifts": now.shifts,
            "open": list(now.open_shifts),
        }
    )
    # With the record in it, the same change after another close is another change.
    key = digest({"record": closed.record, "state": state})[:16]
    return Change(day, _short("; ".join(reasons)), state, f"late:{day.isoformat()}:{key}")


def _digests(
    closed: Closed, now: DayNow, policy: RoyaltyPolicy, franchises: Sequence[Franchise], current: DayInputs
) -> set[str]:
    """The digests by which a day would still be what was closed.

    Under another policy than today's the base may have been another field too, and the record does not name it.
    """
    if closed.policy_version in {"", policy.version}:
        return {current.digest}
    then = _PolicyAsClosed(closed_with=closed.policy_version)
    return {day_inputs(then, franchises, now.invoices[base]).digest for base in Base}


def _inputs_changed(closed: Closed, current: DayInputs) -> str:
    then = f"{_counted(closed.invoices, 'invoice')} of {_shown(closed.base)}"
    now = f"{current.invoices} of {current.base:,.2f}"
    if (closed.invoices, _amount(closed.base)) == (str(current.invoices), current.base):
        return f"{then} when closed and now, but a rate, a franchise or an invoice is another one"
    return f"{then} when closed, {now} now"


def decide(
    memory: Memory,
    the_turn: Turn,
    changes: Iterable[Change],
    touched: Touched,
    *,
    window: Collection[date],
    limit: int,
) -> Decision:
    """Which of the changed days a run is asked for, oldest first and `limit` at most; the rest wait.

    A change is asked for once, whatever becomes of its run: a failed one is alerted, and the nightly schedule takes
    over; a cancelled one was a person's decision. A day that is right again is forgotten, so that the same change
    later on is a new one.
    """
    changed = {change.day: change for change in sorted(changes, key=lambda one: one.day)}
    fresh = [one for one in changed.values() if memory.requested.get(one.day) != one.state]
    asked, rest = fresh[:limit], fresh[limit:]
    requested = {
        day: state
        for day, state in memory.requested.items()
        if day in window and (day not in the_turn.compare or day in changed)
    } | {one.day: one.state for one in asked}
    remembered = Memory(
        watermark=max((one for one in (memory.watermark, touched.newest) if one), default=None),
        fingerprint=touched.fingerprint,
        waiting=tuple(sorted(the_turn.waiting | {one.day for one in rest})),
        rotation=the_turn.rotation,
        requested=dict(sorted(requested.items())),
    )
    again = sorted(changed.keys() - {one.day for one in fresh})
    parts = [f"{_counted(len(the_turn.compare), 'closed day')} compared, {len(changed)} changed"]
    if asked:
        parts.append(f"requested now: {_days(one.day for one in asked)}")
    if rest:
        parts.append(f"at a later tick: {_days(one.day for one in rest)}")
    if again:
        parts.append(f"requested before, and no run has put it right: {_days(again)}")
    return Decision(tuple(asked), remembered, "; ".join(parts))


def too_few_franchises(closed: Closed | None, franchises: Sequence[Franchise]) -> str:
    """Why nothing may be concluded: franchises are missing in bulk. Empty when they are not.

    A renamed group or a permission taken away would make every day look changed, and its re-run take royalties back.
    """
    if closed is None or 2 * len(franchises) >= closed.franchises:
        return ""
    return (
        f"ERPNext shows {len(franchises)} franchises, and the last close knew {closed.franchises}: nothing is requested. "
        "See the Customer Group, SCOOPJOY_FRANCHISE_GROUP and the user's permissions; if so many have really left, "
        "run the days by hand"
    )


def _counted(number: int | str, what: str) -> str:
    return f"{number} {what}" + ("" if str(number) == "1" else "s")


def _days(days: Iterable[date]) -> str:
    return ", ".join(day.isoformat() for day in days)


def _amount(text: object) -> Decimal | None:
    try:
        return Decimal(str(text))
    except InvalidOperation:
        return None


def _shown(text: str) -> str:
    amount = _amount(text)
    return text if amount is None else f"{amount:,.2f}"


def _short(text: str) -> str:
    return text if len(text) <= REASON_LENGTH else f"{text[: REASON_LENGTH - 4]} ..."
