"""What a business day is, read from ERPNext again: the common ground of `invoices`, `reports` and `hq_sync`."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from scoopjoy_dagster.accounting.figures import Change, DayFigures, changes, franchise_figures
from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.past import FranchiseDay, Past
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import SUBMITTED, BaseInvoice, RoyaltyPlan
from scoopjoy_dagster.accounting.shares import by_document
from scoopjoy_dagster.accounting.shifts import Opening, unbooked_finding, unbooked_sales
from scoopjoy_dagster.assets import royalties
from scoopjoy_dagster.erpnext import pos, royalty_entries, royalty_shares
from scoopjoy_dagster.erpnext.deliveries import Delivery, deliveries
from scoopjoy_dagster.erpnext.sales_totals import sales_by_franchise
from scoopjoy_dagster.erpnext.shift_totals import (
    ClosedPayment,
    ClosedShift,
    DayShifts,
    outlet_days,
    shifts_of_days,
)
from scoopjoy_dagster.erpnext.single_sales import single_sales
from scoopjoy_dagster.erpnext.site import Books, Site


@dataclass(frozen=True, slots=True)
class DayFacts:
    """A settled day: royalties by rule and ledger, closed shifts with their payments, and what is left to do."""

    books: Books
    plan: RoyaltyPlan
    shifts: tuple[ClosedShift, ...]
    payments: tuple[ClosedPayment, ...]
    findings: tuple[Finding, ...]
    reports: tuple[Delivery, ...] = ()
    """Reports that were sent, oldest revision first."""
    told: tuple[Delivery, ...] = ()
    """What headquarters has acknowledged, oldest revision first."""
    period: Past = field(default_factory=Past)
    """The week or month that this day ends; read only where the day itself has nothing to report."""

    @property
    def empty(self) -> bool:
        """Whether a report would have nothing in it: no sale, shift, royalty or exception, nor a week or month with any."""
        traded = any(
            one.royalty.invoice_count or one.royalty.amount or one.entries for one in self.plan.actions
        )
        return not (traded or self.shifts or self.findings or self.period)

    @property
    def sales(self) -> Decimal:
        """Grand totals of all franchises' invoices, in INR, whatever the policy's base is."""
        return self.plan.sales

    @property
    def pos_sales(self) -> Decimal:
        """Sales of all closed shifts, in INR."""
        return sum((shift.sales for shift in self.shifts), ZERO)

    @property
    def figures(self) -> DayFigures:
        """The figures that are told, and kept with the delivery record."""
        return DayFigures(
            self.sales,
            self.plan.due,
            self.pos_sales,
            len(self.shifts),
            tuple(franchise_figures(action) for action in self.plan.actions),
        )

    def changes_since(self, before: DayFigures | None) -> tuple[Change, ...]:
        """What changed since figures that were told before, with the reasons that the adjustments give."""
        reasons = {
            action.royalty.customer: action.entries[-1].reason
            for action in self.plan.actions
            if len(action.entries) > 1
        }
        return changes(before, self.figures, reasons)


def read_day(site: Site, policy: RoyaltyPolicy, day: date, *, since: date | None = None) -> DayFacts:
    """Everything that reports and headquarters' totals show of `day`; a fixed number of list calls.

    `since`: see `royalties.read_days`. An empty day that ends a week or a month takes some more: its report carries it.
    """
    from scoopjoy_dagster.reporting.periods import first_day_carried

    books = site.books()
    plan = royalties.read_day(site, books, policy, day, since=since)
    shifts = shifts_of_days(site, day, day).get(day, DayShifts())
    unbooked = unbooked_sales(pos.till_sales(site, day, day), pos.openings(site, day, day), site.day_end)
    delivered = deliveries(site, books.company, day, day)
    facts = DayFacts(
        books,
        plan,
        shifts.closed,
        shifts.payments,
        (
            *plan.findings,
            *(_not_closed(shift, day) for shift in shifts.not_closed),
            *(unbooked_finding(one, "warning") for one in unbooked if one.day == day),
        ),
        tuple(delivered.get(("report", day), ())),
        tuple(delivered.get(("hq", day), ())),
    )
    start = first_day_carried(day)
    return replace(facts, period=read_past(site, facts, start)) if facts.empty and start < day else facts


def read_past(site: Site, facts: DayFacts, first: date | None = None) -> Past:
    """The days from `first` (those that the report looks at) to the day itself; a fixed number of requests, however many franchises."""
    from scoopjoy_dagster.reporting.periods import first_day_needed

    plan = facts.plan
    first, last = first or first_day_needed(plan.day), plan.day
    names = {action.royalty.customer: action.royalty.customer_name for action in plan.actions}
    sold = {
        (one.day, one.customer): one
        for one in sales_by_franchise(site, facts.books, plan.policy, names, first, last)
    }
    owed: defaultdict[tuple[date, str], Decimal] = defaultdict(lambda: ZERO)
    for day, entries in royalty_entries.entries_between(site, facts.books, first, last).items():
        for entry in entries:
            if entry.docstatus == SUBMITTED:
                owed[day, entry.customer] += entry.amount
    return Past(
        tuple(
            FranchiseDay(
                day,
                customer,
                names.get(customer, customer),
                sold[day, customer].invoices if (day, customer) in sold else 0,
                sold[day, customer].sales if (day, customer) in sold else ZERO,
                owed.get((day, customer), ZERO),
            )
            for day, customer in sorted(sold.keys() | owed.keys())
        ),
        tuple(outlet_days(site, first, last)),
    )


def with_deliveries(site: Site, facts: DayFacts) -> DayFacts:
    """The facts with what was delivered by now: another run may have delivered since they were read.

    To be asked while the day is locked, before anything is sent: a mail has no unique key.
    """
    day = facts.plan.day
    found = deliveries(site, facts.books.company, day, day, remember=False)
    reports, told = tuple(found.get(("report", day), ())), tuple(found.get(("hq", day), ()))
    return replace(facts, reports=reports, told=told)


def with_rows(site: Site, facts: DayFacts) -> DayFacts:
    """The facts with each invoice of the day and the share that is posted of it, for a report that is sent.

    Raises:
        Rejected: somebody booked while the day was read.
    """
    plan = facts.plan
    counts = {
        one.royalty.customer: one.royalty.invoice_count for one in plan.actions if one.royalty.invoice_count
    }
    entries = {one.royalty.customer: [entry.name for entry in one.entries] for one in plan.actions}
    rows: dict[str, list[BaseInvoice]] = {}
    for part in single_sales(site, facts.books, plan.policy, plan.day, counts):
        posted = royalty_shares.shares_of(site, [name for one in part for name in entries.get(one, ())])
        shares = by_document(row for found in posted.values() for row in found)
        for customer, sales in part.items():
            rows[customer] = [
                replace(one, share=shares[one.document].share if one.document in shares else ZERO)
                for one in sales
            ]
    return replace(facts, plan=royalties.with_rows(plan, rows))


def _not_closed(shift: Opening, day: date) -> Finding:
    return Finding(
        "warning",
        "shift not closed",
        shift.label,
        f"the shift of {day} has no submitted POS Closing Entry; its sales are not in these figures",
        "Materialize closed_shifts for the day.",
    )
