"""Control totals of `invoices`: the shares in the royalty entries add up to the royalties in the ledger."""

from collections.abc import Iterator
from datetime import date

import dagster as dg

from scoopjoy_dagster.accounting.comparisons import shares_equal_royalties
from scoopjoy_dagster.accounting.past import week_begins
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.totals import Verdict
from scoopjoy_dagster.assets import royalties
from scoopjoy_dagster.assets.invoices import NAME
from scoopjoy_dagster.checks.answers import Answer, Questions, answered, specs, step_name
from scoopjoy_dagster.erpnext.royalty_shares import share_totals
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.policy import RoyaltyPolicyResource


def _about(site: Site, day: date, policy: RoyaltyPolicy) -> Questions:
    def add_up() -> Verdict:
        plan = royalties.read_day(site, site.books(), policy, day, since=week_begins(day))
        entries = [entry.name for one in plan.actions for entry in one.entries]
        return shares_equal_royalties(plan, share_totals(site, entries))

    return {"do_the_shares_add_up": add_up}


def build(days: dg.DailyPartitionsDefinition) -> dg.AssetChecksDefinition:
    """The checks, on these business days."""

    @dg.multi_asset_check(name=step_name(NAME), specs=specs(NAME, days), can_subset=True)
    def invoices_control_totals(
        context: dg.AssetCheckExecutionContext,
        erpnext: ERPNextResource,
        royalty_policy: RoyaltyPolicyResource,
    ) -> Iterator[Answer]:
        policy = royalty_policy.policy
        yield from answered(context, erpnext, NAME, lambda site, day: _about(site, day, policy))

    return invoices_control_totals
