"""Control totals of `royalties`: the ledger is what the rule says, computed from all there is, and the day is no surprise."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property

import dagster as dg

from scoopjoy_dagster.accounting import comparisons
from scoopjoy_dagster.accounting.comparisons import CustomerSales
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import RoyaltyPlan
from scoopjoy_dagster.accounting.totals import Verdict, ledger_against_rule
from scoopjoy_dagster.assets import royalties
from scoopjoy_dagster.assets.royalties import NAME
from scoopjoy_dagster.checks.answers import Questions, answered, specs, step_name
from scoopjoy_dagster.erpnext import control_figures, royalty_entries
from scoopjoy_dagster.erpnext.site import Books, Site
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.policy import RoyaltyPolicyResource

WEEK = 7
"""Days before the business day in which an outlet or a franchise must have been seen to be expected: every weekday
once, so an outlet that is shut on Mondays is expected on Mondays and missed once; it is a warning."""

LOOKBACK_WEEKS = 8
"""Weeks in which the last four same weekdays with sales are looked for: a few holidays do not end the comparison."""


@dataclass
class Figures:
    """What the questions about one day share; each figure is read when it is first asked for, and once."""

    site: Site
    policy: RoyaltyPolicy
    day: date

    @cached_property
    def books(self) -> Books:
        """Company and accounts."""
        return self.site.books()

    @cached_property
    def plan(self) -> RoyaltyPlan:
        """The plan of the day as it is now: after posting, nothing but adopting and skipping."""
        return royalties.plan(self.site, self.books, self.policy, self.day)

    @cached_property
    def franchises(self) -> Mapping[str, str]:
        """Those that are franchises now: customer -> name."""
        found = royalty_entries.franchises(self.site, self.books.franchise_group)
        return {one.customer: one.customer_name for one in found}

    @cached_property
    def sales(self) -> Mapping[date, Mapping[str, CustomerSales]]:
        """Invoices by day and customer, counted by the server: of the day, the week before, and earlier same weekdays."""
        return control_figures.customer_sales(
            self.site, self.books, self.policy, [self.day, *self.week_before, *self.same_weekdays]
        )

    @cached_property
    def entries(self) -> Mapping[date, list[str]]:
        """Submitted Journal Entries with our key, of the day and the week before."""
        return control_figures.submitted_entries(self.site, self.books, self.week_before[-1], self.day)

    @property
    def week_before(self) -> list[date]:
        """The seven days before, newest first."""
        return [self.day - timedelta(days=back) for back in range(1, WEEK + 1)]

    @property
    def same_weekdays(self) -> list[date]:
        """Earlier days of the same weekday, newest first."""
        return [self.day - timedelta(weeks=back) for back in range(1, LOOKBACK_WEEKS + 1)]

    def invoices_counted_and_summed(self) -> Verdict:
        """The rows of the plan against the server's count and sum."""
        counted = self.sales.get(self.day, {})
        shown = {one.royalty.customer for one in self.plan.actions if one.royalty.invoices}
        overlooked = control_figures.franchises_among(
            self.site, self.books.franchise_group, counted.keys() - shown
        )
        return comparisons.invoices_counted_and_summed(self.plan, counted, overlooked)

    def debit_equals_credit(self) -> Verdict:
        """The rule, the entries by key, and both sides of the ledger."""
        # An entry that a person cancelled and amended counts as its amendment, which has no key.
        planned = {entry.name for action in self.plan.actions for entry in action.entries}
        names = sorted(planned.union(self.entries.get(self.day, ())))
        journal = control_figures.journal_rows(self.site, names)
        ledger = control_figures.ledger_rows(self.site, names)
        kinds = control_figures.account_kinds(self.site, self.books, (row.account for row in ledger))
        return comparisons.debit_equals_credit(
            self.plan.due, names, journal, ledger, receivable=kinds.receivable, income=kinds.income
        )

    def outlets_seen(self) -> Verdict:
        """Outlets of the week before and of the day."""
        shifts = control_figures.shifts_by_profile(self.site, self.week_before[-1], self.day)
        return comparisons.outlets_seen(
            self.franchises,
            sold_before={customer for day in self.week_before for customer in self.sales.get(day, {})},
            sold=self.sales.get(self.day, {}),
            shifts_before={profile for day in self.week_before for profile in shifts.get(day, ())},
            shifts=shifts.get(self.day, ()),
        )

    def franchises_not_fallen(self) -> Verdict:
        """Customers with royalty entries in the week before, and the franchises now."""
        before = [name for day in self.week_before for name in self.entries.get(day, ())]
        return comparisons.franchises_not_fallen(self.franchises, control_figures.parties(self.site, before))

    def usual_day(self) -> Verdict:
        """Sales of the day, and of earlier same weekdays."""

        def amounts(day: date) -> dict[str, Decimal]:
            return {customer: one.sales for customer, one in self.sales.get(day, {}).items()}

        return comparisons.usual_day(
            self.franchises, amounts(self.day), {day: amounts(day) for day in self.same_weekdays}
        )

    def questions(self) -> Questions:
        """The questions, by name."""
        return {
            "does_the_ledger_equal_the_rule": lambda: ledger_against_rule(self.plan),
            "is_every_invoice_counted": self.invoices_counted_and_summed,
            "does_debit_equal_credit": self.debit_equals_credit,
            "was_every_outlet_seen": self.outlets_seen,
            "is_every_franchise_still_there": self.franchises_not_fallen,
            "are_the_sales_as_usual": self.usual_day,
        }


def build(days: dg.DailyPartitionsDefinition) -> dg.AssetChecksDefinition:
    """The checks, on these business days."""

    @dg.multi_asset_check(name=step_name(NAME), specs=specs(NAME, days), can_subset=True)
    def royalties_control_totals(
        context: dg.AssetCheckExecutionContext,
        erpnext: ERPNextResource,
        royalty_policy: RoyaltyPolicyResource,
    ) -> Iterator[dg.AssetCheckResult]:
        policy = royalty_policy.policy
        yield from answered(context, erpnext, NAME, lambda site, day: Figures(site, policy, day).questions())

    return royalties_control_totals
