"""Which closed days have changed since, and which of them a run is asked for: pure decisions, and what a sensor remembers.

What belongs here: comparing a day as it was closed with the day as it is now, and dealing changed days out to ticks.
What does not: reading ERPNext (`erpnext.changes`) or Dagster's storage (`automation.late_changes`).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, NaiveDatetime, ValidationError

from scoopjoy_dagster.accounting.inputs import Sold, together
from scoopjoy_dagster.accounting.keys import digest
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.royalties import Franchise
from scoopjoy_dagster.automation.parcels import read_note
from scoopjoy_dagster.erpnext.changes import DayNow, Touched

log = logging.getLogger(__name__)

REASON_LENGTH = 250
"""Characters of a reason. PostgreSQL indexes run tags, and refuses values of some 2,700 bytes."""

DAYS_NAMED = 12
"""How many days a sentence names; the rest is counted."""


class Memory(BaseModel):
    """What the sensor remembers from tick to tick.

    Attributes:
        watermark: newest `modified` that was read, in site time; None before the first look.
        fingerprint: of what the last look has read.
        waiting: touched or changed days whose turn is still to come, and when they were touched last, in site time.
        rotation: the last day that was compared in turn, without being touched.
        requested: for each day that a run was asked for and that is not right yet, what it looked like then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[2] = 2
    watermark: NaiveDatetime | None = None
    fingerprint: str = ""
    waiting: dict[date, NaiveDatetime | None] = {}
    rotation: date | None = None
    requested: dict[date, str] = {}

    @classmethod
    def of(cls, cursor: str | None) -> Memory:
        """The memory in a cursor. One that is damaged or of another version remembers nothing, and the log says so."""
        try:
            return cls.model_validate(read_note(cursor))
        except ValidationError:
            log.warning("The cursor of late_changes is of another version; it begins again: %s", cursor)
            return cls()


@dataclass(frozen=True, slots=True)
class Closed:
    """A day as its newest close has recorded it.

    Attributes:
        record: number of the materialization, new with every close.
        at: when that was, in site time, by this machine's clock; None where nothing is recorded.
        franchises: how many the close knew.
        sold: what was sold to those that it counted; None where nothing is recorded. Of a close by an earlier version only the
            number of invoices is known.
        customers: those that it counted, as they were called then.
        royalties: what franchises owed for the day, in INR.
        shifts: number of POS shifts; None where nothing is recorded.
    """

    record: int
    at: datetime | None = None
    franchises: int = 0
    sold: Sold | None = None
    customers: frozenset[str] = frozenset()
    royalties: Decimal | None = None
    shifts: int | None = None

    @classmethod
    def of(cls, record: int, at: datetime, royalties: Mapping[str, Any], shifts: Mapping[str, Any]) -> Closed:
        """From the outcomes of `royalties` and `closed_shifts` (`assets.outcome.Outcome.as_dict`).

        Of outcomes that cannot be read nothing is known: they may have been reported by a person.
        """
        try:
            return cls._of(record, at, royalties, shifts)
        except (AttributeError, TypeError, ValueError):
            log.warning("What the close of a day has recorded cannot be read (materialization %d)", record)
            return cls(record)

    @classmethod
    def _of(
        cls, record: int, at: datetime, royalties: Mapping[str, Any], shifts: Mapping[str, Any]
    ) -> Closed:
        facts, kept = royalties.get("facts") or {}, royalties.get("record") or {}
        seen, sales = shifts.get("seen"), _amount(kept.get("sales"))
        invoices = facts.get("invoices")
        sold = Sold(int(invoices or 0), sales or ZERO, str(kept.get("newest") or "")) if kept else None
        return cls(
            record,
            at,
            int(royalties.get("seen") or 0),
            sold,
            frozenset(kept.get("customers") or kept.get("terms") or ()),
            _amount(royalties.get("amount")),
            None if seen is None else int(seen),
        )

    def is_same(self, now: Sold) -> bool:
        """Whether this is what was sold when the day was closed."""
        if (
            self.sold and not self.sold.newest
        ):  # nothing was sold, or by an earlier version, which kept no sums
            return self.sold.invoices == now.invoices
        return self.sold == now


@dataclass(frozen=True, slots=True)
class Change:
    """A day that is not what was closed, and what it looks like now.

    Attributes:
        day: the business day.
        reason: why a run is asked for, for people.
        state: what the day looks like now.
        run_key: what the run is asked for under.
    """

    day: date
    reason: str
    state: str
    run_key: str


@dataclass(frozen=True, slots=True)
class Turn:
    """The days that a tick compares, oldest first; those that must wait; and when each touched day was touched last."""

    compare: tuple[date, ...]
    waiting: frozenset[date]
    rotation: date | None
    touched: Mapping[date, datetime] = field(default_factory=dict)


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

    Of the touched days those come first that were touched last: a late invoice of today does not wait behind the many days
    that somebody touched an hour ago. A day that a run is working on waits: only after the run is known what it took into account. A day that was
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
    news = touched.days if touched.fingerprint != memory.fingerprint else {}
    called = {*memory.waiting, *news}
    touched_at = {day: at for day, at in {**memory.waiting, **news}.items() if at}
    chosen = _newest_first((day for day in ready if day in called), touched_at)[:share]
    later = [day for day in ready if memory.rotation is None or day > memory.rotation]
    in_turn = (later or ready)[:share]
    waiting = called & (set(ready) | set(in_flight) & set(window)) - set(chosen) - set(in_turn)
    return Turn(
        tuple(sorted({*chosen, *in_turn})),
        frozenset(waiting),
        in_turn[-1] if in_turn else memory.rotation,
        touched_at,
    )


def _newest_first(days: Iterable[date], touched: Mapping[date, datetime]) -> list[date]:
    """Days by when they were touched last, newest first; then those that were not, oldest first."""
    ordered = sorted(days)
    known = [day for day in ordered if day in touched]
    return sorted(known, key=touched.__getitem__, reverse=True) + [
        day for day in ordered if day not in touched
    ]


def change_of(day: date, closed: Closed | None, now: DayNow, franchises: Collection[str]) -> Change | None:
    """How a day differs from its close; None when it does not.

    Sales count of those whom the close counted, of whoever owes royalties for the day by the ledger, and of a franchise that
    was made one since if its newest invoice was created after the close. Rates, exemptions and the policy are no difference:
    a posted day keeps its own.

    Args:
        day: the business day.
        closed: what its newest close has recorded.
        now: the day with the sales of all who are or were franchises.
        franchises: the customers that are franchises now.
    """
    closed = closed or Closed(record=0)
    counted = closed.customers | now.payers | _joined(closed, now, franchises)
    current = _sold(now, counted)
    reasons: list[str] = []
    if closed.sold is None:
        reasons.append("closed by an older version, which has not recorded what it was closed with")
    # A franchise without a royalty that was renamed since is only seen to be the same when everybody is counted.
    elif not closed.is_same(current) and not closed.is_same(_sold(now, now.sold)):
        reasons.append(_sold_changed(closed.sold, current))
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
            "sold": [current.invoices, current.sales, current.newest],
            "ledger": now.ledger,
            "shifts": now.shifts,
            "open": list(now.open_shifts),
        }
    )
    # With the record in it, the same change after another close is another change.
    key = digest({"record": closed.record, "state": state})[:16]
    return Change(day, _short("; ".join(reasons)), state, f"late:{day.isoformat()}:{key}")


def _sold(now: DayNow, customers: Iterable[str]) -> Sold:
    return together(now.sold[one] for one in customers if one in now.sold)


def _joined(closed: Closed, now: DayNow, franchises: Collection[str]) -> set[str]:
    """Franchises of now that the close did not count, and that have an invoice that was made after it."""
    return {
        customer
        for customer in now.sold.keys() & set(franchises) - closed.customers
        if closed.at is None or datetime.fromisoformat(now.sold[customer].newest) > closed.at
    }


def _sold_changed(then: Sold, current: Sold) -> str:
    if then.invoices and not then.newest:
        return f"{_counted(then.invoices, 'invoice')} when closed, {current.invoices} now"
    was = f"{_counted(then.invoices, 'invoice')} of {then.sales:,.2f}"
    if (then.invoices, then.sales) == (current.invoices, current.sales):
        return f"{was} when closed and now, but an invoice is another one"
    return f"{was} when closed, {current.invoices} of {current.sales:,.2f} now"


def decide(
    memory: Memory,
    the_turn: Turn,
    changes: Iterable[Change],
    touched: Touched,
    *,
    window: Collection[date],
    limit: int,
) -> Decision:
    """Which of the changed days a run is asked for, those touched last first and `limit` at most; the rest wait.

    A change is asked for once, whatever becomes of its run: a failed one is alerted, and the nightly schedule takes
    over; a cancelled one was a person's decision. A day that is right again is forgotten, so that the same change
    later on is a new one.
    """
    changed = {change.day: change for change in changes}
    order = _newest_first(changed, the_turn.touched)
    fresh = [changed[day] for day in order if memory.requested.get(day) != changed[day].state]
    asked, rest = fresh[:limit], fresh[limit:]
    requested = {
        day: state
        for day, state in memory.requested.items()
        if day in window and (day not in the_turn.compare or day in changed)
    } | {one.day: one.state for one in asked}
    waiting = the_turn.waiting | {one.day for one in rest}
    remembered = Memory(
        watermark=max((one for one in (memory.watermark, touched.newest) if one), default=None),
        fingerprint=touched.fingerprint,
        waiting={day: the_turn.touched.get(day) for day in sorted(waiting)},
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
    named = sorted(day.isoformat() for day in days)
    more = f" and {len(named) - DAYS_NAMED} more" if len(named) > DAYS_NAMED else ""
    return ", ".join(named[:DAYS_NAMED]) + more


def _amount(text: object) -> Decimal | None:
    try:
        return Decimal(str(text))
    except InvalidOperation:
        return None


def _short(text: str) -> str:
    return text if len(text) <= REASON_LENGTH else f"{text[: REASON_LENGTH - 4]} ..."
