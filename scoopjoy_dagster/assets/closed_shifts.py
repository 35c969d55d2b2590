"""`closed_shifts`: every POS shift of the day has exactly one submitted closing, and its invoices are booked."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial

import dagster as dg

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.shifts import (
    Closing,
    LooseInvoice,
    Opening,
    ShiftAction,
    by_day,
    orphans,
    plan_shift,
    window_end,
)
from scoopjoy_dagster.assets.nightly import BACKFILL, GROUP, OWNERS, Days, close_days
from scoopjoy_dagster.assets.outcome import Outcome, PlanLine
from scoopjoy_dagster.assets.tools import TOOLS
from scoopjoy_dagster.erpnext import pos
from scoopjoy_dagster.erpnext.errors import ERPNextError, Rejected
from scoopjoy_dagster.erpnext.site import Site

NAME = "closed_shifts"


@dataclass(frozen=True, slots=True)
class Shifts:
    """The shifts of some days as they were read: all openings (those that bound a shift among them) and their closings."""

    site: Site
    openings: list[Opening]
    closings: Mapping[str, list[Closing]]
    closed: set[str] = field(default_factory=set)
    """Names of the openings that were closed since."""

    @property
    def still_open(self) -> list[Opening]:
        """The openings that nobody has closed."""
        return [one for one in self.openings if one.status == "Open" and one.name not in self.closed]

    def _must_be_closed(self, shift: Opening) -> bool:
        return shift.status == "Open" and all(one.docstatus != 1 for one in self.closings.get(shift.name, []))

    def plan(self, day: date, now: datetime) -> tuple[list[ShiftAction], list[Finding]]:
        """What to do for every shift of `day`, oldest first. Reads the invoices of open shifts; `now` is site time."""
        actions: list[ShiftAction] = []
        findings: list[Finding] = []
        shifts = pos.of_day(self.openings, day)
        balances = {
            one.name: one
            for one in pos.with_balances(self.site, [one for one in shifts if self._must_be_closed(one)])
        }
        for shift in (balances.get(one.name, one) for one in shifts):
            try:
                action, notes = self._plan_one(shift, day, now)
            except ERPNextError as problem:
                action, notes = ShiftAction("refuse", shift, str(problem)), [_unreadable(shift, problem)]
            actions.append(action)
            findings += notes
        findings += _older(self.still_open, day)
        return actions, findings

    def _plan_one(self, shift: Opening, day: date, now: datetime) -> tuple[ShiftAction, list[Finding]]:
        found = self.closings.get(shift.name, [])
        if not self._must_be_closed(shift):
            return plan_shift(shift, [], found, day)
        until = window_end(shift, self.openings, now)
        invoices = self.site.dialect.shift_invoices(self.site.client, shift, until)
        return plan_shift(shift, invoices, found, day)


def read_shifts(site: Site, first: date, last: date) -> Shifts:
    """The shifts of the days from `first` to `last`; two list calls, and a request for each draft that a person has begun."""
    openings = pos.openings(site, first, last)
    began = [one for one in openings if first <= one.period_start.date() <= last]
    return Shifts(site, openings, pos.closings(site, began))


def plan(site: Site, day: date, now: datetime) -> tuple[list[ShiftAction], list[Finding]]:
    """What to do for every shift of `day`, oldest first. Reads only; `now` is site time."""
    return read_shifts(site, day, day).plan(day, now)


def _older(still_open: Sequence[Opening], day: date) -> list[Finding]:
    """Shifts of earlier days that are still open: one warning a day, they are that day's business."""
    began = Counter(one.period_start.date() for one in still_open if one.period_start.date() < day)
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


def _unreadable(shift: Opening, problem: ERPNextError) -> Finding:
    return Finding("error", "shift could not be read", shift.label, problem.said, "Run `scoopjoy check`.")


def apply(site: Site, action: ShiftAction, patience: pos.Patience) -> tuple[str, bool]:
    """Carry out the plan of one shift. Returns the closing's name and whether something was written.

    Raises:
        ERPNextError: the shift is not closed; the text says why.
    """
    label = action.opening.label
    match action.kind:
        case "create" if action.draft is not None:
            name = pos.insert_closing(site, action.draft).name
            pos.submit_closing(site, name, label, patience)
        case "complete" if action.draft is not None:
            name = action.closing
            pos.refill_closing(site, name, action.draft)
            pos.submit_closing(site, name, label, patience)
        case "wait":
            try:
                pos.await_closing(site, action.closing, label, patience)
            except pos.BackgroundFailure:
                pos.retry_closing(site, action.closing, label, patience)
            return action.closing, False
        case "retry":
            pos.retry_closing(site, action.closing, label, patience)
            return action.closing, True
        case _:
            return action.closing, False
    if action.draft is not None:
        _verify(site, action, name)
    return name, True


def _verify(site: Site, action: ShiftAction, name: str) -> None:
    """ERPNext closes a shift whatever the rows say: see that every invoice of it is in the closing, and was really booked."""
    sent = action.draft.invoices if action.draft else ()
    missing, left = pos.left_out(site, name, sent)
    for names, what in ((missing, "not in its rows"), (left, "not consolidated")):
        if names:
            raise Rejected(
                f"verify POS Closing Entry {name}",
                f"it is submitted, but {len(names)} of its {len(sent)} invoices are {what}: {', '.join(names[:5])}",
            )


def plan_days(
    site: Site,
    days: Sequence[date],
    *,
    now: datetime,
    patience: pos.Patience,
    url: Callable[[str, str], str],
) -> Days:
    """The shifts of `days` from one reading, and what closes those of each day. `now` is site time."""
    shifts = read_shifts(site, days[0], days[-1])
    loose = by_day(pos.loose_invoices(site, days[0], days[-1]))

    def close(day: date) -> Outcome:
        return close_shifts(shifts, loose.get(day, []), day, now=now, patience=patience, url=url)

    return {day: partial(close, day) for day in days}


def close_shifts(
    shifts: Shifts,
    loose: Sequence[LooseInvoice],
    day: date,
    *,
    now: datetime,
    patience: pos.Patience,
    url: Callable[[str, str], str],
) -> Outcome:
    """Close the shifts of `day`, one after another; a shift that fails never hides the others.

    `loose` are the POS Invoices of the day that no closing has consolidated.
    """
    site = shifts.site
    actions, findings = shifts.plan(day, now)
    lines: list[PlanLine] = []
    written = adopted = 0
    sales, uncounted = ZERO, 0
    for action in actions:
        name, amount = action.closing, action.sales
        if action.kind != "refuse":
            try:
                name, wrote = _with_one_retry(site, action, patience)
            except ERPNextError as problem:
                findings.append(_not_closed(action, problem))
                lines.append(PlanLine("refuse", action.opening.label, amount, problem.said))
                continue
            shifts.closed.add(action.opening.name)
            written += wrote
            adopted += not wrote
            sales += amount
            uncounted += bool(action.draft and action.draft.uncounted)
        lines.append(
            PlanLine(
                action.kind,
                action.opening.label,
                amount,
                action.reason,
                name,
                url("POS Closing Entry", name) if name else "",
            )
        )
    still_open: Sequence[Opening] = shifts.still_open
    if any(action.kind != "adopt" for action in actions):
        site.client.remembered.forget()  # ERPNext's background jobs have changed it, too
        still_open = [one for one in pos.openings(site, day, day) if one.status == "Open"]
        loose = pos.loose_invoices(site, day, day)
    lost = orphans(loose, still_open)
    return Outcome(
        NAME,
        day,
        seen=len(actions),
        written=written,
        adopted=adopted,
        amount=sales,
        plots={"sales": sales},
        findings=(*findings, *lost),
        lines=tuple(lines),
        facts={"orphaned_invoices": len(lost), "shifts_not_counted": uncounted},
    )


def _with_one_retry(site: Site, action: ShiftAction, patience: pos.Patience) -> tuple[str, bool]:
    """A consolidation that failed in the background is restarted once; a second failure needs a person."""
    try:
        return apply(site, action, patience)
    except pos.BackgroundFailure:
        if action.kind not in {"create", "complete"}:
            raise
    except pos.StillQueued:
        raise
    except Rejected:
        # Another run may have closed the shift since it was planned: then ERPNext refuses ours, and all is well.
        name = _submitted(site, action.opening)
        if not name:
            raise
        pos.await_closing(site, name, action.opening.label, patience)
        _verify(site, action, name)
        return name, False
    name = _submitted(site, action.opening)
    pos.retry_closing(site, name, action.opening.label, patience)
    _verify(site, action, name)
    return name, True


def _submitted(site: Site, opening: Opening) -> str:
    """Name of the submitted closing of a shift; empty when it has none."""
    site.client.remembered.forget()  # another run may have closed it meanwhile
    found = pos.closings(site, [opening]).get(opening.name, [])
    return next((one.name for one in found if one.docstatus == 1), "")


def _not_closed(action: ShiftAction, problem: ERPNextError) -> Finding:
    amount = action.sales
    return Finding(
        "error",
        "shift not closed",
        action.opening.label,
        problem.said + (f" (sales of {amount:.2f})" if amount else ""),
        "Mend what ERPNext names, then materialize closed_shifts for the day again; the draft or closing is taken up.",
    )


def build(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset, on these business days."""

    @dg.asset(
        name=NAME,
        partitions_def=days,
        backfill_policy=BACKFILL,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"erpnext"},
        code_version="1",
        output_required=False,
        required_resource_keys=set(TOOLS),
        tags={"scoopjoy/critical": "yes"},
    )
    def closed_shifts(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        """Close POS Shifts (critical): every till of the day is closed once, and all its sales are in the ledger.

        **Green** means: every POS Opening Entry of the day has exactly one submitted POS Closing Entry, posted on the business
        day, with all invoices of the shift and the expected amount of each mode of payment (opening + payments - change).
        Amounts that nobody counted repeat the expected ones and are marked *Not Counted*. Drafts that people have begun are
        taken up; a closing that ERPNext works on in the background is waited for, and restarted once if it fails there.

        **Red** means: at least one shift is still open, and nothing behind it was started. The others are closed.
        `exception_table` names the shift, ERPNext's own message and what to do; then materialize the day again.

        **Figures**: `sales` is what all shifts of the day sold, in company currency (INR); `seen` counts shifts;
        `orphaned_invoices` are sales outside every shift, which have no ledger entry: a person adds them to a later closing.
        """
        yield from close_days(
            context,
            lambda site, window, tools: plan_days(
                site,
                window,
                now=tools.clock.site_now(),
                patience=tools.erpnext.patience,
                url=tools.erpnext.document_url,
            ),
        )

    return closed_shifts
