"""What a business day is, read from ERPNext again: the common ground of `invoices`, `reports` and `hq_sync`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from scoopjoy_dagster.accounting.figures import Change, DayFigures, changes, franchise_figures
from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import RoyaltyPlan
from scoopjoy_dagster.accounting.shifts import orphans
from scoopjoy_dagster.assets import royalties
from scoopjoy_dagster.erpnext import pos
from scoopjoy_dagster.erpnext.shift_totals import ClosedPayment, ClosedShift, closed_shifts
from scoopjoy_dagster.erpnext.site import Books, Site


@dataclass(frozen=True, slots=True)
class DayFacts:
    """A settled day: royalties by rule and ledger, closed shifts with their payments, and what is left to do."""

    books: Books
    plan: RoyaltyPlan
    shifts: tuple[ClosedShift, ...]
    payments: tuple[ClosedPayment, ...]
    findings: tuple[Finding, ...]

    @property
    def sales(self) -> Decimal:
        """Grand totals of all franchises' invoices, in INR, whatever the policy's base is."""
        return royalties.sold(self.plan)

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


def read_day(site: Site, policy: RoyaltyPolicy, day: date) -> DayFacts:
    """Everything about `day` that reports and headquarters are told."""
    books = site.books()
    plan = royalties.plan(site, books, policy, day)
    shifts, payments, not_closed = closed_shifts(site, day)
    findings = [
        *plan.findings,
        *(
            Finding(
                "warning",
                "shift not closed",
                shift.label,
                f"the shift of {day} has no submitted POS Closing Entry; its sales are not in these figures",
                "Materialize closed_shifts for the day.",
            )
            for shift in not_closed
        ),
        *orphans(pos.loose_invoices(site, day, day), not_closed),
    ]
    return DayFacts(books, plan, tuple(shifts), tuple(payments), tuple(findings))
