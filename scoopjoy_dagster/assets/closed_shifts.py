"""`closed_shifts`: every POS shift of the day has exactly one submitted closing, and its sales are booked.

    openings, their closings, sales that no closing has taken   read_shifts
        -> what to do for each shift                             Shifts.plan (accounting.shifts)
        -> close one after the other, in rounds                  close_shifts
        -> sales that are still in no closing                    unbooked_sales

What fails is planned anew and tried once more after the others: a return waits for the closing of the till that sold. What only lost
against other writers, and a shift that still sells, is tried until a deadline.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import dagster as dg

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.shifts import (
    Closing,
    ClosingDraft,
    Opening,
    ShiftAction,
    TillSale,
    by_shift,
    change_needs_accounts,
    plan_shift,
    still_selling,
    unbooked_finding,
    unbooked_sales,
    window_end,
)
from scoopjoy_dagster.assets.outcome import Outcome, PlanLine
from scoopjoy_dagster.assets.runner import asset_of, what_to_do
from scoopjoy_dagster.assets.tools import Tools
from scoopjoy_dagster.erpnext import pos
from scoopjoy_dagster.erpnext.errors import ERPNextError, LoginFailed, Rejected, Unreachable
from scoopjoy_dagster.erpnext.locks import read_locks
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.steps import CLOSED_SHIFTS

NAME = CLOSED_SHIFTS.asset

LONGEST_PAUSE_S = 30.0
"""Seconds between two rounds at most."""

Planned = tuple[ShiftAction, list[Finding]]


@dataclass(frozen=True, slots=True)
class Shifts:
    """The shifts of a day as they were read.

    Attributes:
        openings: theirs, and those that bound a shift among them or are still open.
        closings: of the shifts of the day, by name of the opening.
        sales: of all tills, those that no closing has taken.
    """

    site: Site
    openings: Sequence[Opening]
    closings: Mapping[str, Sequence[Closing]]
    sales: Sequence[TillSale]

    @property
    def still_open(self) -> list[Opening]:
        """The openings that nobody has closed."""
        return [one for one in self.openings if one.status == "Open"]

    def plan(self, day: date, now: datetime, quiet: timedelta) -> list[Planned]:
        """What to do for every shift of `day`, oldest first, and what to know of it.

        Reads opening balances, payments and taxes of the shifts that are to be closed. `now` is site time; `quiet` is for how long
        a till must have sold nothing.
        """
        shifts = pos.of_day(self.site, self.openings, day)
        sales = by_shift(self.sales, self.openings)
        selling: dict[str, datetime] = {}
        to_close: dict[str, Opening] = {}
        for one in shifts:
            if one.status != "Open" or any(known.docstatus == 1 for known in self.closings.get(one.name, ())):
                continue
            last_sale = still_selling(sales.get(one.name, ()), now, quiet)
            if last_sale:
                selling[one.name] = last_sale
            else:
                to_close[one.name] = one
        to_close = {one.name: one for one in pos.with_balances(self.site, list(to_close.values()))}
        taken = pos.with_payments(self.site, [one for name in to_close for one in sales.get(name, ())])
        of_shift = by_shift(taken, self.openings)
        accounts = pos.accounts_of_modes(self.site) if change_needs_accounts(taken) else {}
        return [
            (_selling(one, selling[one.name]), [])
            if one.name in selling
            else plan_shift(
                to_close.get(one.name, one),
                of_shift.get(one.name, sales.get(one.name, ())),
                self.closings.get(one.name, ()),
                day,
                accounts,
            )
            for one in shifts
        ]


def read_shifts(site: Site, day: date, now: datetime) -> Shifts:
    """The shifts of `day`, and what tills have sold that is in no closing. `now` is site time.

    Three list calls, one more where tills may make two kinds of documents, and a request for each draft that a person has begun.
    """
    day_of = site.day_end.day_of
    openings = pos.openings(site, day, day)
    began = [one for one in openings if day_of(one.period_start) == day]
    closings = pos.closings(site, began)
    # The sales of a shift may go on after its day.
    ends = [day_of(window_end(one, openings, now)) for one in began if one.status == "Open"]
    return Shifts(site, openings, closings, pos.till_sales(site, day, max([day, *ends])))


@dataclass(frozen=True, slots=True)
class ShiftPlan:
    """What to do for every shift of a day, oldest first, and what to know.

    Attributes:
        actions: a shift each.
        findings: exception rows.
        to_consolidate: shifts that are not closed and whose sales are no Sales Invoices yet.
    """

    actions: Sequence[ShiftAction]
    findings: Sequence[Finding]
    to_consolidate: int

    @property
    def pending(self) -> bool:
        """Whether a shift is still to be closed."""
        return any(one.kind not in {"adopt", "refuse"} for one in self.actions)


def plan(site: Site, day: date, now: datetime, quiet: timedelta) -> ShiftPlan:
    """The plan of the shifts of `day`. Reads only; `now` is site time."""
    shifts = read_shifts(site, day, now)
    planned = shifts.plan(day, now, quiet)
    sales = by_shift(shifts.sales, shifts.openings)
    findings = [one for _, notes in planned for one in notes]
    to_consolidate = [
        action
        for action, _ in planned
        if action.kind != "adopt"
        and any(
            one.doctype == "POS Invoice" and not one.is_draft for one in sales.get(action.opening.name, ())
        )
    ]
    return ShiftPlan(
        [action for action, _ in planned],
        [*findings, *_locked(site, day, to_consolidate), *_older(shifts, day), *_unbooked(shifts, day)],
        len(to_consolidate),
    )


def _locked(site: Site, day: date, to_consolidate: Sequence[ShiftAction]) -> list[Finding]:
    """Shifts whose Sales Invoices ERPNext will refuse because the day is locked, as far as this user may see it."""
    if not to_consolidate:
        return []
    try:
        locked = read_locks(site).of_sales.reason(day)
    except Rejected:
        return []
    return [
        Finding(
            "error",
            "shift not closed",
            one.opening.label,
            f"ERPNext will refuse its closing: {locked} (sales of {one.sales:.2f})",
            "Open the day in ERPNext; then re-run `closed_shifts` for this day.",
        )
        for one in to_consolidate
        if locked and one.kind != "refuse"
    ]


def _selling(opening: Opening, last_sale: datetime) -> ShiftAction:
    return ShiftAction(
        "selling", opening, f"it sold at {last_sale:%H:%M}: it is closed once it has stopped selling"
    )


def _older(shifts: Shifts, day: date) -> list[Finding]:
    """Shifts of earlier days that are still open: one warning a day, they are that day's business."""
    days = (shifts.site.day_end.day_of(one.period_start) for one in shifts.still_open)
    began = Counter(earlier for earlier in days if earlier < day)
    return [
        Finding(
            "warning",
            "older shifts still open",
            f"{count} of {earlier}",
            f"{count} POS shifts that began on {earlier} were never closed",
            f"Materialize closed_shifts for {earlier} (before go-live: close them in ERPNext).",
        )
        for earlier, count in sorted(began.items())
    ]


def _unbooked(shifts: Shifts, day: date) -> list[Finding]:
    """Sales up to `day` that no closing will take. Those of a shift of the day fail it; every later night names them again."""
    # Shifts that had ended before the days that are read are not known here: the run of their own day says why.
    return [
        unbooked_finding(
            one,
            "error" if one.day == day and one.in_a_shift else "warning",
            explained=one.in_a_shift or one.day >= day,
        )
        for one in unbooked_sales(shifts.sales, shifts.openings, shifts.site.day_end)
        if one.day <= day
    ]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one shift in a round."""

    action: ShiftAction
    notes: Sequence[Finding]
    closing: str = ""
    wrote: bool = False
    problem: ERPNextError | None = None

    @property
    def closed(self) -> bool:
        """Whether the shift is closed now."""
        return self.problem is None and not self.selling and self.action.kind != "refuse"

    @property
    def conflict(self) -> bool:
        """Whether it only lost against another writer: nothing is wrong, and another try may go through."""
        return self.problem is not None and self.problem.is_conflict

    @property
    def selling(self) -> bool:
        """Whether it is left to its cashier."""
        return self.action.kind == "selling"

    @property
    def final(self) -> bool:
        """Whether another try cannot help in this run."""
        return isinstance(self.problem, (pos.StillQueued, LoginFailed, Unreachable))


def attempt(site: Site, planned: Planned, patience: pos.Patience) -> Attempt:
    """Carry out the plan of one shift."""
    action, notes = planned
    try:
        name, wrote = apply(site, action, patience)
    except ERPNextError as problem:
        return Attempt(action, notes, action.closing, problem=problem)
    return Attempt(action, notes, name, wrote)


def apply(site: Site, action: ShiftAction, patience: pos.Patience) -> tuple[str, bool]:
    """Carry out the plan of one shift. Returns the closing's name and whether something was written.

    Raises:
        ERPNextError: the shift is not closed, or not all of its sales are booked; the text says why.
    """
    label, name = action.opening.label, action.closing
    sent: Sequence[TillSale] = ()
    match action.kind:
        case "create" if action.draft is not None:
            name, sent = pos.insert_closing(site, action.draft).name, action.draft.invoices
            pos.submit_closing(site, name, label, patience)
        case "complete" if action.draft is not None:
            sent = action.draft.invoices
            pos.refill_closing(site, name, action.draft)
            pos.submit_closing(site, name, label, patience)
        case "wait":
            pos.await_closing(site, name, label, patience)
        case "retry":
            pos.retry_closing(site, name, label, patience)
        case _:
            return name, False
    pos.see_closed(site, name, sent)
    return name, action.kind != "wait"


def pause_before_next_round(
    attempts: Sequence[Attempt], rounds: int, closed_one: bool, elapsed_s: float, patience: pos.Patience
) -> float | None:
    """Seconds until the shifts that are left are tried again; None when they are not.

    Args:
        attempts: the last of each shift.
        rounds: how many there were.
        closed_one: whether the last round closed a shift: what waited for it may go through now.
        elapsed_s: seconds since the first round began.
        patience: the deadlines.
    """
    left = [one for one in attempts if not one.closed and not one.final]
    if any(not one.selling for one in left) and (rounds == 1 or closed_one):
        return 0.0
    pause_s = min(patience.interval_s * 2**rounds, LONGEST_PAUSE_S)
    deadlines = [patience.deadline_s for one in left if one.conflict]
    deadlines += [patience.selling_deadline_s for one in left if one.selling]
    return pause_s if elapsed_s + pause_s <= max(deadlines, default=0.0) else None


def close(site: Site, day: date, tools: Tools) -> Outcome:
    """Read and close the shifts of `day`."""
    now = tools.clock.site_now()
    return close_shifts(
        read_shifts(site, day, now),
        day,
        now=now,
        patience=tools.erpnext.patience,
        url=tools.erpnext.document_url,
    )


def close_shifts(
    shifts: Shifts,
    day: date,
    *,
    now: datetime,
    patience: pos.Patience,
    url: Callable[[str, str], str],
) -> Outcome:
    """Close the shifts of `day`, one after another; a shift that fails never hides the others. `now` is site time."""
    site, began = shifts.site, patience.clock()
    attempts: dict[str, Attempt] = {}
    rounds, closed_one = 0, False
    while True:
        tried = closed_one or rounds < 2
        closed_one, elapsed_s = False, patience.clock() - began
        plans = shifts.plan(day, now + timedelta(seconds=elapsed_s), patience.quiet)
        if any(action.draft for action, _ in plans):
            site.require_all_documents()
        for planned in plans:
            name = planned[0].opening.name
            before = attempts.get(name)
            if before and (before.closed or before.final or not (tried or before.conflict or before.selling)):
                continue
            attempts[name] = attempt(site, planned, patience)
            closed_one = closed_one or attempts[name].closed
        rounds += 1
        pause_s = pause_before_next_round(
            list(attempts.values()), rounds, closed_one, patience.clock() - began, patience
        )
        if pause_s is None:
            break
        patience.sleep(pause_s)
        site.client.remembered.forget()  # ERPNext's background jobs have changed it, too
        shifts = read_shifts(site, day, now)
    if any(one.wrote or not one.closed for one in attempts.values()):
        site.client.remembered.forget()
        shifts = read_shifts(site, day, now)
    return _outcome(shifts, day, list(attempts.values()), url)


def _outcome(
    shifts: Shifts, day: date, attempts: Sequence[Attempt], url: Callable[[str, str], str]
) -> Outcome:
    findings = [note for one in attempts for note in one.notes]
    findings += [_not_closed(one, shifts.site) for one in attempts if one.problem or one.selling]
    unbooked = _unbooked(shifts, day)
    closed = [one for one in attempts if one.closed]
    sales = sum((one.action.sales for one in closed), ZERO)
    return Outcome(
        NAME,
        day,
        seen=len(attempts),
        written=sum(one.wrote for one in closed),
        adopted=sum(not one.wrote for one in closed),
        amount=sales,
        plots={"sales": sales},
        findings=(*findings, *_older(shifts, day), *unbooked),
        lines=tuple(_line(one, url) for one in attempts),
        facts={
            "tills_with_unbooked_sales": len(unbooked),
            "shifts_not_counted": sum(
                bool(one.action.draft and one.action.draft.uncounted) for one in closed
            ),
        },
    )


def _line(one: Attempt, url: Callable[[str, str], str]) -> PlanLine:
    action = one.action
    if one.problem:
        return PlanLine("refuse", action.opening.label, action.sales, one.problem.said)
    address = url("POS Closing Entry", one.closing) if one.closing else ""
    return PlanLine(action.kind, action.opening.label, action.sales, action.reason, one.closing, address)


def _not_closed(one: Attempt, site: Site) -> Finding:
    """The exception row of a shift that is left open."""
    label, amount = one.action.opening.label, one.action.sales
    if one.problem is None:
        return Finding(
            "error",
            "shift still selling",
            label,
            f"it sold within the last minutes until the deadline, so it is still open{site.dialect.open_shift_costs}",
            "Re-run `closed_shifts` for this day once the outlet has stopped selling. If it sells so late every night, set "
            "SCOOPJOY_CLOSE_AT later.",
            passes=True,
        )
    said = one.problem.said + (f" (sales of {amount:.2f})" if amount else "")
    if one.action.draft and _is_of_another_mode(site, one.action.draft):
        start = one.action.opening.period_start
        return Finding(
            "error",
            "shift of another POS mode",
            label,
            f"ERPNext takes no POS Invoices in a closing while POS Settings say Sales Invoice: {said}",
            "Cancel this POS Opening Entry, set Invoice Type to POS Invoice in POS Settings, and submit a POS Opening Entry with the same "
            f"POS Profile, cashier and Period Start Date {start:%Y-%m-%d %H:%M:%S}; then re-run `closed_shifts` for this day.",
        )
    todo = what_to_do(one.problem, NAME)
    if one.conflict:
        return Finding("error", "shift closing lost to other writers", label, said, todo, passes=True)
    return Finding("error", "shift not closed", label, said, todo, passes=one.problem.cause.passes)


def _is_of_another_mode(site: Site, draft: ClosingDraft) -> bool:
    """Whether the shift was sold with POS Invoices, and the tills of the site make Sales Invoices now."""
    if all(sale.doctype != "POS Invoice" for sale in draft.invoices):
        return False
    try:
        return site.dialect.pos_mode(site.client) == "Sales Invoice"
    except ERPNextError:  # the user may not read it: then ERPNext's own words must do
        return False


DESCRIPTION = """\
Close POS Shifts (critical): every till of the day is closed once, and all its sales are in the ledger.

**Green** means: every POS Opening Entry of the day has exactly one submitted POS Closing Entry, posted on the business
day, with all sales of the shift and the expected amount of each mode of payment (opening + payments - change).
Amounts that nobody counted repeat the expected ones and are marked *Not Counted*. Drafts that people have begun are
taken up; a closing that ERPNext works on in the background is waited for, and restarted if it fails there. A shift that
still sells is waited for.

**Red** means: at least one shift is still open, or a sale of a till and shift of the day is in no closing. Nothing behind
it was started. The other shifts are closed. `exception_table` names the shift, ERPNext's own message and what to do;
then materialize the day again.

**Figures**: `sales` is what all shifts of the day sold, in company currency (INR); `seen` counts shifts;
`tills_with_unbooked_sales` counts tills, cashiers and days with sales that are in no closing and so in no ledger.
"""


def build(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset, on these business days."""
    return asset_of(CLOSED_SHIFTS, close, days, description=DESCRIPTION, kinds={"erpnext"})
