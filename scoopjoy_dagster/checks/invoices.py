"""Control totals of `invoices`: the shares in the royalty entries add up to the royalties in the ledger."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import cache, partial

import dagster as dg

from scoopjoy_dagster.accounting.comparisons import shares_equal_royalties
from scoopjoy_dagster.accounting.past import week_begins
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import RoyaltyPlan
from scoopjoy_dagster.accounting.totals import Verdict
from scoopjoy_dagster.assets import royalties
from scoopjoy_dagster.assets.invoices import NAME
from scoopjoy_dagster.checks.answers import Answer, Questions, answered, specs, step_name
from scoopjoy_dagster.erpnext.royalty_shares import share_totals
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.resources.close import CloseResource
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.policy import RoyaltyPolicyResource


def _about(site: Site, window: Sequence[date], policy: RoyaltyPolicy) -> Callable[[date], Questions]:
    @cache
    def plans() -> Mapping[date, RoyaltyPlan]:
        return royalties.read_days(site, site.books(), policy, window, since=week_begins(window))

    @cache
    def shares() -> Mapping[str, Decimal]:
        return share_totals(
            site,
            [entry.name for plan in plans().values() for one in plan.actions for entry in one.entries],
        )

    def verdict(day: date) -> Verdict:
        return shares_equal_royalties(plans()[day], shares())

    return lambda day: {"do_the_shares_add_up": partial(verdict, day)}


def build(days: dg.DailyPartitionsDefinition) -> dg.AssetChecksDefinition:
    """The checks, on these business days."""

    @dg.multi_asset_check(name=step_name(NAME), specs=specs(NAME, days), can_subset=True)
    def invoices_control_totals(
        context: dg.AssetCheckExecutionContext,
        erpnext: ERPNextResource,
        close: CloseResource,
        royalty_policy: RoyaltyPolicyResource,
    ) -> Iterator[Answer]:
        policy = royalty_policy.policy
        yield from answered(context, erpnext, close, NAME, lambda site, window: _about(site, window, policy))

    return invoices_control_totals
