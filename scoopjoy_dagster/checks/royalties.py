"""Control totals of `royalties`: the ledger is what the rule says, computed from all there is, and the day is no surprise."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property, partial

import dagster as dg

from scoopjoy_dagster.accounting import comparisons
from scoopjoy_dagster.accounting.comparisons import BookedRow, CustomerSales
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
from scoopjoy_dagster.resources.close import CloseResource
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.policy import RoyaltyPolicyResource


@dataclass
class Figures:
    """What the questions about the days of a window share; each figure is read when it is first asked for, and once."""

    site: Site
    policy: RoyaltyPolicy
    days: Sequence[date]
    _keys_of: dict[date, Mapping[str, str]] = field(default_factory=dict)

    @cached_property
    def books(self) -> Books:
        """Company and accounts."""
        return self.site.books()

    @cached_property
    def plans(self) -> Mapping[date, RoyaltyPlan]:
        """The plans of the days as they are now: after posting, nothing but adopting and skipping."""
        return royalties.read_days(
            self.site, self.books, self.policy, self.days, since=week_begins(self.days)
        )

    @cached_property
    def franchises(self) -> Mapping[str, str]:
        """Those that are franchises now: customer -> name."""
        found = royalty_entries.franchises(self.site, self.books.franchise_group)
        return {one.customer: one.customer_name for one in found}

    @cached_property
    def sales(self) -> Mapping[date, Mapping[str, CustomerSales]]:
        """Invoices by day and customer: of the days, the weeks before, and earlier same weekdays."""
        return control_figures.customer_sales(self.site, self.books, self.policy, self.days[0], self.days[-1])

    @cached_property
    def overlooked(self) -> Mapping[str, str]:
        """Customers with invoices that are franchises, and are in the plan of a day without any: customer -> name."""
        suspects = {
            customer for day in self.days for customer in self.sales.get(day, {}).keys() - self._shown(day)
        }
        return control_figures.franchises_among(self.site, self.books.franchise_group, suspects)

    @cached_property
    def entries(self) -> Mapping[date, Mapping[str, str]]:
        """Submitted Journal Entries with our key, of the days and the week before: name -> key."""
        return control_figures.submitted_entries(self.site, self.books, week_begins(self.days), self.days[-1])

    @cached_property
    def journal(self) -> Mapping[str, Sequence[BookedRow]]:
        """Rows of the Journal Entries of all days, by entry."""
        return _by_entry(control_figures.journal_rows(self.site, self._names))

    @cached_property
    def ledger(self) -> Mapping[str, Sequence[BookedRow]]:
        """Rows of the general ledger of the Journal Entries of all days, by entry."""
        return _by_entry(control_figures.booked_rows(self.site, self._names))

    @cached_property
    def kinds(self) -> control_figures.AccountKinds:
        """What kinds of accounts stand in the ledger."""
        accounts = (row.account for rows in self.ledger.values() for row in rows)
        return control_figures.account_kinds(self.site, self.books, accounts)

    @cached_property
    def parties(self) -> Mapping[str, str]:
        """The customers of those entries whose key names no franchise of now: it was renamed, or has left them."""
        others = [
            name
            for day, found in self.entries.items()
            for name, key in found.items()
            if without_revision(key) not in self._keys(day)
        ]
        return control_figures.parties(self.site, others)

    def _keys(self, day: date) -> Mapping[str, str]:
        """The customers of now by the key of their royalty entries of a day, without its revision."""
        if day not in self._keys_of:
            company = self.books.company
            self._keys_of[day] = {
                without_revision(royalty_key(company, day, one, 0)): one for one in self.franchises
            }
        return self._keys_of[day]

    def _of_day(self, day: date) -> list[str]:
        # An entry that a person cancelled and amended counts as its amendment, which has no key.
        planned = {entry.name for action in self.plans[day].actions for entry in action.entries}
        return sorted(planned.union(self.entries.get(day, ())))

    @property
    def _names(self) -> list[str]:
        return [name for day in self.days for name in self._of_day(day)]

    def _shown(self, day: date) -> set[str]:
        return {one.royalty.customer for one in self.plans[day].actions if one.royalty.invoices}

    def invoices_counted_and_summed(self, day: date) -> Verdict:
        """The sums of the plan against the server's own count and sum of the day."""
        counted = self.sales.get(day, {})
        missing = counted.keys() - self._shown(day)
        overlooked = {one: name for one, name in self.overlooked.items() if one in missing}
        return comparisons.invoices_counted_and_summed(self.plans[day], counted, overlooked)

    def debit_equals_credit(self, day: date) -> Verdict:
        """The rule, the entries by key, and both sides of the ledger."""
        names, kinds = self._of_day(day), self.kinds
        return comparisons.debit_equals_credit(
            self.plans[day].due,
            names,
            [row for name in names for row in self.journal.get(name, ())],
            [row for name in names for row in self.ledger.get(name, ())],
            receivable=kinds.receivable,
            income=kinds.income,
        )

    def franchises_sold(self, day: date) -> Verdict:
        """Franchises with invoices in the week before and on the day."""
        before = {customer for other in week_before(day) for customer in self.sales.get(other, {})}
        return comparisons.franchises_sold(self.franchises, before, self.sales.get(day, {}))

    def franchises_not_fallen(self, day: date) -> Verdict:
        """Customers with royalty entries in the week before, and the franchises now."""
        before: set[str] = set()
        for other in week_before(day):
            keys = self._keys(other)
            for name, key in self.entries.get(other, {}).items():
                customer = keys.get(without_revision(key)) or self.parties.get(name)
                before |= {customer} if customer else set()
        return comparisons.franchises_not_fallen(self.franchises, before)

    def usual_day(self, day: date) -> Verdict:
        """Sales of the day, and of earlier same weekdays."""

        def amounts(of: date) -> dict[str, Decimal]:
            return {customer: one.sales for customer, one in self.sales.get(of, {}).items()}

        return comparisons.usual_day(
            self.franchises, amounts(day), {other: amounts(other) for other in same_weekdays(day)}
        )

    def questions(self, day: date) -> Questions:
        """The questions about a day, by name."""
        return {
            "does_the_ledger_equal_the_rule": lambda: ledger_against_rule(self.plans[day]),
            "is_every_invoice_counted": partial(self.invoices_counted_and_summed, day),
            "does_debit_equal_credit": partial(self.debit_equals_credit, day),
            "did_every_franchise_sell": partial(self.franchises_sold, day),
            "is_every_franchise_still_there": partial(self.franchises_not_fallen, day),
            "are_the_sales_as_usual": partial(self.usual_day, day),
        }


def _by_entry(rows: Iterable[BookedRow]) -> dict[str, list[BookedRow]]:
    found: dict[str, list[BookedRow]] = defaultdict(list)
    for row in rows:
        found[row.entry].append(row)
    return found


def build(days: dg.DailyPartitionsDefinition) -> dg.AssetChecksDefinition:
    """The checks, on these business days."""

    @dg.multi_asset_check(name=step_name(NAME), specs=specs(NAME, days), can_subset=True)
    def royalties_control_totals(
        context: dg.AssetCheckExecutionContext,
        erpnext: ERPNextResource,
        close: CloseResource,
        royalty_policy: RoyaltyPolicyResource,
    ) -> Iterator[Answer]:
        policy = royalty_policy.policy
        yield from answered(
            context, erpnext, close, NAME, lambda site, window: Figures(site, policy, window).questions
        )

    return royalties_control_totals
