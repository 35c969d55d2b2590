"""Which closed days have changed since, and which of them a run is asked for: pure decisions, and what a sensor remembers.

What belongs here: comparing a day as it was closed with the day as it is now, and dealing changed days out to ticks.
What does not: reading ERPNext (`erpnext.changes`) or Dagster's storage (`automation.late_changes`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, NaiveDatetime, ValidationError

from scoopjoy_dagster.accounting.inputs import SOLD_FORM, DayInputs, day_inputs, terms_of
from scoopjoy_dagster.accounting.keys import digest
from scoopjoy_dagster.accounting.policy import Base, RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import Franchise
from scoopjoy_dagster.erpnext.changes import DayNow, Touched

REASON_LENGTH = 250
"""Characters of a reason. PostgreSQL indexes run tags, and refuses values of some 2,700 bytes."""

DAYS_NAMED, TERMS_NAMED = 12, 5
"""How many days, and how many customers with their terms, a sentence names; the rest is counted."""

NO_FRANCHISE = "no franchise"


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
        at: when that was, in site time, by this machine's clock; None where nothing is recorded.
        franchises: how many the close knew.
        invoices, base: those that bore royalty, and their base in INR; empty text where nothing is recorded.
        sold: digest of these invoices; empty for a day closed by an older version.
        terms: of all who were franchises then, by customer (`accounting.inputs.terms_of`).
        policy_version: the policy in force then.
        royalties: what franchises owed for the day, in INR.
        shifts: number of POS shifts; None where nothing is recorded.
    """

    record: int
    at: datetime | None = None
    franchises: int = 0
    invoices: str = ""
    base: str = ""
    sold: str = ""
    terms: Mapping[str, str] = field(default_factory=dict)
    policy_version: str = ""
    royalties: Decimal | None = None
    shifts: int | None = None

    @classmethod
    def of(cls, record: int, at: datetime, royalties: Mapping[str, Any], shifts: Mapping[str, Any]) -> Closed:
        """From the outcomes of `royalties` and `closed_shifts` (`assets.outcome.Outcome.as_dict`)."""
        facts, kept = royalties.get("facts") or {}, royalties.get("record") or {}
        seen = shifts.get("seen")
        return cls(
            record,
            at,
            int(royalties.get("seen") or 0),
            str(facts.get("invoices") or ""),
            str(facts.get("base") or ""),
            str(kept.get("sold") or ""),
            dict(kept.get("terms") or {}),
            str(facts.get("policy_version") or ""),
            _amount(royalties.get("amount")),
            None if seen is None else int(seen),
        )


@dataclass(frozen=True, slots=True)
class Change:
    """A day that is not what was closed, and what it looks like now.

    Attributes:
        day: the business day.
        reason: why a run is to be asked for, for people; empty when only terms have changed and people are told.
        state: what the day looks like now.
        run_key: what the run is asked for under.
        terms: the customers whose terms have changed, from and to.
    """

    day: date
    reason: str
    state: str
    run_key: str
    terms: tuple[str, ...] = ()


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
    day: date,
    closed: Closed | None,
    now: DayNow,
    policy: RoyaltyPolicy,
    franchises: Sequence[Franchise],
    *,
    follow_terms: bool,
) -> Change | None:
    """How a day differs from its close; None when it does not.

    Invoices count as a change also when their customer has left the franchises since. Those of a customer that has
    joined them since count when the newest was created after the close; otherwise only its terms have changed.
    The policy in force is no difference: old days follow a new one only when a person runs them.

    Args:
        day: the business day.
        closed: what its newest close has recorded.
        now: the day with the invoices of all who are or were franchises.
        policy: the policy in force.
        franchises: those of now.
        follow_terms: whether a run is to be asked for because of new terms alone.
    """
    closed = closed or Closed(record=0)
    counted = {**closed.terms, **_joined(closed, now, terms_of(franchises))}
    # Under another policy than today's the base may have been another field too, and the record does not name it.
    bases = [policy.base, *(Base if closed.policy_version not in {"", policy.version} else ())]
    current, *others = (day_inputs(counted, now.invoices[base]) for base in bases)
    reasons: list[str] = []
    if not closed.sold:
        reasons.append("closed by an older version, which has not recorded what it was closed with")
    elif not any(_same_sold(closed, one) for one in (current, *others)):
        reasons.append(_sold_changed(closed, current))
    # The record shows two decimals.
    if closed.royalties is not None and closed.royalties != Decimal(f"{now.ledger:.2f}"):
        reasons.append(
            f"royalties of {closed.royalties:,.2f} when closed, {now.ledger:,.2f} in the ledger now"
        )
    if closed.shifts is not None and closed.shifts != now.shifts:
        reasons.append(f"{_counted(closed.shifts, 'POS shift')} when closed, {now.shifts} now")
    if now.open_shifts:
        reasons.append(f"open POS shifts: {', '.join(now.open_shifts)}")
    new_terms = _new_terms(closed, now, franchises)
    if not reasons and not new_terms:
        return None
    if new_terms and (reasons or follow_terms):
        reasons.append(f"terms: {_some(new_terms)}")
    state = digest(
        {
            "sold": current.sold,
            "terms": list(new_terms) if follow_terms else [],
            "ledger": now.ledger,
            "shifts": now.shifts,
            "open": list(now.open_shifts),
        }
    )
    # With the record in it, the same change after another close is another change.
    key = digest({"record": closed.record, "state": state})[:16]
    return Change(day, _short("; ".join(reasons)), state, f"late:{day.isoformat()}:{key}", new_terms)


def _joined(closed: Closed, now: DayNow, terms: Mapping[str, str]) -> dict[str, str]:
    """Franchises of now that were none when the day was closed, and have an invoice that was made after that."""
    return {
        customer: terms[customer]
        for customer in now.created.keys() & terms.keys() - closed.terms.keys()
        if closed.at is None or now.created[customer] > closed.at
    }


def _new_terms(closed: Closed, now: DayNow, franchises: Sequence[Franchise]) -> tuple[str, ...]:
    """Whose terms are other ones than when the day was closed, from and to; of customers with invoices of the day."""
    if not closed.sold:
        return ()
    terms, names = terms_of(franchises), {one.customer: one.customer_name for one in franchises}
    compared = [
        (customer, closed.terms.get(customer, NO_FRANCHISE), terms.get(customer, NO_FRANCHISE))
        for customer in sorted(now.created)
    ]
    return tuple(
        f"{names.get(customer, customer)} {then} -> {today}"
        for customer, then, today in compared
        if then != today
    )


def _same_sold(closed: Closed, now: DayInputs) -> bool:
    """Whether the same was sold. A digest of an earlier version cannot be compared: then number and base are."""
    if closed.sold.startswith(SOLD_FORM):
        return closed.sold == now.sold
    return (closed.invoices, _amount(closed.base)) == (str(now.invoices), now.base)


def _sold_changed(closed: Closed, current: DayInputs) -> str:
    then = f"{_counted(closed.invoices, 'invoice')} of {_shown(closed.base)}"
    if (closed.invoices, _amount(closed.base)) == (str(current.invoices), current.base):
        return f"{then} when closed and now, but an invoice is another one"
    return f"{then} when closed, {current.invoices} of {current.base:,.2f} now"


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
    later on is a new one. A change without a reason for a run is only told, by every tick that compares its day.
    """
    by_day = {change.day: change for change in sorted(changes, key=lambda one: one.day)}
    changed = {day: change for day, change in by_day.items() if change.reason}
    told = [change for change in by_day.values() if not change.reason]
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
    if told:
        terms = _some({text for one in told for text in one.terms})
        parts.append(
            f"only terms changed, nothing requested: {_days(one.day for one in told)} ({terms}); "
            "backfill these days if the new terms hold for the past"
        )
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
    return _first([day.isoformat() for day in days], DAYS_NAMED)


def _some(terms: Iterable[str]) -> str:
    return _first(sorted(terms), TERMS_NAMED)


def _first(texts: Sequence[str], limit: int) -> str:
    more = f" and {len(texts) - limit} more" if len(texts) > limit else ""
    return ", ".join(texts[:limit]) + more


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
