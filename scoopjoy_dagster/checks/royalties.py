"""Control totals of `royalties`: the ledger is what the rule says, computed from all there is, and the day is no surprise."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property

import dagster as dg

from scoopjoy_dagster.accounting import comparisons
from scoopjoy_dagster.accounting.comparisons import CustomerSales
from scoopjoy_dagster.accounting.keys import royalty_key, without_revision
from scoopjoy_dagster.accounting.past import same_weekdays, week_before, week_begins
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import RoyaltyPlan
from scoopjoy_dagster.accounting.totals import Verdict, ledger_against_rule
from scoopjoy_dagster.assets import royalties
from scoopjoy_dagster.assets.royalties import NAME
from scoopjoy_dagster.checks.answers import Answer, Questions, answered, specs, step_name
from scoopjoy_dagster.erpnext import control_figures, royalty_entries
from scoopjoy_dagster.erpnext.site import Books, Site
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.policy import RoyaltyPolicyResource


@dataclass
class Figures:
    """What the questions about a day share; each figure is read when it is first asked for, and once."""

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
        return royalties.read_day(self.site, self.books, self.policy, self.day, since=week_begins(self.day))

    @cached_property
    def franchises(self) -> Mapping[str, str]:
        """Those that are franchises now: customer -> name."""
        found = royalty_entries.franchises(self.site, self.books.franchise_group)
        return {one.customer: one.customer_name for one in found}

    @cached_property
    def sales(self) -> Mapping[date, Mapping[str, CustomerSales]]:
        """Invoices by day and customer: of the day, the week before, and earlier same weekdays."""
        return control_figures.customer_sales(self.site, self.books, self.policy, self.day)

    @property
    def sold(self) -> Mapping[str, CustomerSales]:
        """Invoices of the day by customer."""
        return self.sales.get(self.day, {})

    @cached_property
    def entries(self) -> Mapping[date, Mapping[str, str]]:
        """Submitted Journal Entries with our key, of the day and the week before: name -> key."""
        return control_figures.submitted_entries(self.site, self.books, week_begins(self.day), self.day)

    @cached_property
    def names(self) -> list[str]:
        """The Journal Entries of the day; one that a person cancelled and amended counts as its amendment, which has no key."""
        planned = {entry.name for action in self.plan.actions for entry in action.entries}
        return sorted(planned.union(self.entries.get(self.day, ())))

    def invoices_counted_and_summed(self) -> Verdict:
        """The sums of the plan against the server's own count and sum of the day."""
        shown = {one.royalty.customer for one in self.plan.actions if one.royalty.invoices}
        overlooked = control_figures.franchises_among(
            self.site, self.books.franchise_group, self.sold.keys() - shown
        )
        return comparisons.invoices_counted_and_summed(self.plan, self.sold, overlooked)

    def debit_equals_credit(self) -> Verdict:
        """The rule, the entries by key, and both sides of the ledger."""
        ledger = control_figures.booked_rows(self.site, self.names)
        kinds = control_figures.account_kinds(self.site, self.books, (row.account for row in ledger))
        return comparisons.debit_equals_credit(
            self.plan.due,
            self.names,
            control_figures.journal_rows(self.site, self.names),
            ledger,
            receivable=kinds.receivable,
            income=kinds.income,
        )

    def franchises_sold(self) -> Verdict:
        """Franchises with invoices in the week before and on the day."""
        before = {customer for other in week_before(self.day) for customer in self.sales.get(other, {})}
        return comparisons.franchises_sold(self.franchises, before, self.sold)

    def franchises_not_fallen(self) -> Verdict:
        """Customers with royalty entries in the week before, and the franchises now."""
        before: set[str] = set()
        unknown: list[str] = []  # their key names no franchise of now: it was renamed, or has left them
        for other in week_before(self.day):
            keys = {
                without_revision(royalty_key(self.books.company, other, one, 0)): one
                for one in self.franchises
            }
            for name, key in self.entries.get(other, {}).items():
                customer = keys.get(without_revision(key))
                if customer:
                    before.add(customer)
                else:
                    unknown.append(name)
        before.update(control_figures.parties(self.site, unknown).values())
        return comparisons.franchises_not_fallen(self.franchises, before)

    def usual_day(self) -> Verdict:
        """Sales of the day, and of earlier same weekdays."""

        def amounts(of: date) -> dict[str, Decimal]:
            return {customer: one.sales for customer, one in self.sales.get(of, {}).items()}

        return comparisons.usual_day(
            self.franchises, amounts(self.day), {other: amounts(other) for other in same_weekdays(self.day)}
        )

    def questions(self) -> Questions:
        """The questions about the day, by name."""
        return {
            "does_the_ledger_equal_the_rule": lambda: ledger_against_rule(self.plan),
            "is_every_invoice_counted": self.invoices_counted_and_summed,
            "does_debit_equal_credit": self.debit_equals_credit,
            "did_every_franchise_sell": self.franchises_sold,
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
    ) -> Iterator[Answer]:
        policy = royalty_policy.policy
        yield from answered(context, erpnext, NAME, lambda site, day: Figures(site, policy, day).questions())

    return royalties_control_totals
