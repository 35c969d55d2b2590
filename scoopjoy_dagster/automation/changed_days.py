"""Which closed days have changed since, and which of them a run is asked for: pure decisions, and what a sensor remembers.

What belongs here: whether closing a closed day again would do something, and dealing changed days out to ticks.
What does not: reading ERPNext or Dagster's storage (`automation.late_changes`).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, NaiveDatetime, ValidationError

from scoopjoy_dagster.accounting.figures import FranchiseFigures, franchise_figures, with_names_of_now
from scoopjoy_dagster.accounting.keys import digest
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.royalties import Action, RoyaltyPlan
from scoopjoy_dagster.automation.parcels import read_note
from scoopjoy_dagster.erpnext.changes import Touched
from scoopjoy_dagster.erpnext.deliveries import Told
from scoopjoy_dagster.erpnext.shift_totals import DayShifts

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


def change_of(plan: RoyaltyPlan, shifts: DayShifts, told: Sequence[Told]) -> Change | None:
    """What closing a closed day again would do; None when nothing.

    Where the figures of the whole chain were told, they show what the day was closed with. Else all that the plan would post
    or refuse is a change; but no first entry of who sold nothing since the day was posted, as a franchise that has joined.

    Args:
        plan: the royalties of the day, complete where something is to be posted.
        shifts: the POS shifts of the day.
        told: what was told of the day last.
    """
    whole = any(not one.figures.view for one in told)
    acting = [
        one for one in plan.actions if one.posts or (one.kind == "refuse" and (one.amount or one.entries))
    ]
    otherwise = [said for one in told if (said := _told_otherwise(one, plan, len(shifts.closed)))]
    # An adjustment of 0.00 moves shares between sales: no figure shows it.
    posted_at = max((entry.created for one in plan.actions for entry in one.entries), default="")
    acts = any(
        not one.amount if whole else one.kind != "create" or one.royalty.newest_invoice > posted_at
        for one in acting
        if one.posts or not whole
    )
    open_shifts = [one.name for one in shifts.not_closed]
    if not (acts or otherwise or open_shifts):
        return None
    reasons = [f"{one.royalty.customer_name}: {one.reason}" for one in acting] or otherwise
    if open_shifts:
        reasons = [*reasons, f"open POS shifts: {', '.join(open_shifts)}"]
    sales = [one for action in plan.actions for one in action.royalty.invoices]
    state = digest(
        {
            "actions": sorted([one.kind, f"{one.amount:.2f}"] for one in acting),
            "sold": [
                sum(one.count for one in sales),
                plan.sales,
                max((one.newest for one in sales), default=""),
            ],
            "posted": sum((_posted(one) for one in plan.actions), ZERO),
            "shifts": len(shifts.closed),
            "open": open_shifts,
        }
    )
    # With what is posted and told in it, the same change after another close is another change.
    entries = sorted(entry.name for action in plan.actions for entry in action.entries)
    key = digest({"entries": entries, "told": [one.at for one in told], "state": state})[:16]
    return Change(plan.day, _short("; ".join(reasons)), state, f"late:{plan.day.isoformat()}:{key}")


def _posted(action: Action) -> Decimal:
    return sum((one.amount for one in action.entries), ZERO)


def _told_otherwise(told: Told, plan: RoyaltyPlan, shifts: int) -> str:
    """How a day differs from figures that were told; empty when it does not.

    What has become of the franchises is no difference: one that was renamed or merged, has left or joined them, pays another
    rate or is exempt. The sales of one that has joined count where the newest was made after the figures were told.
    """
    before = told.figures
    actions = {one.royalty.customer: one for one in plan.actions}
    figures = [replace(franchise_figures(one), royalty=_posted(one)) for one in plan.actions]
    then = with_names_of_now(before.franchises, figures)
    now = [one for one in figures if one.customer in then or not before.view]
    joined = [one for one in now if one.customer not in then and one.invoices]
    gone = [one for customer, one in then.items() if customer not in actions and one.invoices]
    changed = [
        one.customer_name
        for one in now
        if one.customer in then and _is_other(then[one.customer], one, actions[one.customer])
    ]
    invoices, sales = sum(one.invoices for one in before.franchises), before.sales
    invoices_now = sum(one.invoices for one in now)
    sales_now = sum((sale.sales for one in now for sale in actions[one.customer].royalty.invoices), ZERO)
    posted = sum((one.royalty for one in now), ZERO)
    said = []
    if (invoices, sales) != (invoices_now, sales_now):
        said.append(
            f"{_counted(invoices, 'sale')} of {sales:,.2f} told, {invoices_now} of {sales_now:,.2f} now"
        )
    if before.royalty != posted:
        said.append(f"royalties of {before.royalty:,.2f} told, {posted:,.2f} posted now")
    late = any(actions[one.customer].royalty.newest_invoice > told.at for one in joined)
    if (gone or joined) and not (said and (changed or late)):
        said = []
    elif changed and not said:
        said = [f"other sales than told of {', '.join(changed)}"]
    if not before.view and before.shifts != shifts:
        said.append(f"{_counted(before.shifts, 'closed POS shift')} told, {shifts} now")
    return "; ".join(said)


def _is_other(then: FranchiseFigures, now: FranchiseFigures, action: Action) -> bool:
    """Whether something else was sold or posted. The base counts where the royalty follows it: another policy takes another base."""
    if (then.invoices, then.royalty) != (now.invoices, now.royalty):
        return True
    return bool(action.entries) and not action.royalty.kept and then.base != now.base


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


def _counted(number: int | str, what: str) -> str:
    return f"{number} {what}" + ("" if str(number) == "1" else "s")


def _days(days: Iterable[date]) -> str:
    named = sorted(day.isoformat() for day in days)
    more = f" and {len(named) - DAYS_NAMED} more" if len(named) > DAYS_NAMED else ""
    return ", ".join(named[:DAYS_NAMED]) + more


def _short(text: str) -> str:
    return text if len(text) <= REASON_LENGTH else f"{text[: REASON_LENGTH - 4]} ..."
