"""Control totals of `invoices`: the shares that the invoices carry in ERPNext add up to the royalties in the ledger."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import cache, partial

import dagster as dg

from scoopjoy_dagster.accounting.comparisons import shares_equal_royalties
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import PostedEntry
from scoopjoy_dagster.accounting.totals import Verdict
from scoopjoy_dagster.assets import royalties
from scoopjoy_dagster.assets.invoices import NAME
from scoopjoy_dagster.checks.answers import Answer, Questions, answered, specs, step_name
from scoopjoy_dagster.erpnext.control_figures import shares_by_entry
from scoopjoy_dagster.erpnext.royalty_entries import entries_between
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.resources.close import CloseResource
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.policy import RoyaltyPolicyResource


def _about(site: Site, window: Sequence[date], policy: RoyaltyPolicy) -> Callable[[date], Questions]:
    first, last = window[0], window[-1]

    @cache
    def entries() -> Mapping[date, Sequence[PostedEntry]]:
        return entries_between(site, site.books(), first, last)

    @cache
    def carried() -> Mapping[date, Mapping[str, Decimal]]:
        return shares_by_entry(site, site.books(), first, last)

    @cache
    def plans() -> Mapping[date, royalties.DayReading]:
        return royalties.read_days(site, site.books(), policy, window)

    def kept(day: date) -> set[str]:
        """Entries of royalties that are kept as they were posted, and so are the shares, whatever was sold since."""
        return {
            entry.name for one in plans()[day].plan.actions if one.royalty.frozen for entry in one.entries
        }

    def shares(day: date) -> Verdict:
        posted, on_invoices = entries().get(day, ()), carried().get(day, {})
        verdict = shares_equal_royalties(posted, on_invoices)
        if verdict.ok:
            return verdict
        left_alone = kept(day)
        return shares_equal_royalties(
            [one for one in posted if one.name not in left_alone],
            {name: share for name, share in on_invoices.items() if name not in left_alone},
        )

    return lambda day: {"do_the_shares_add_up": partial(shares, day)}


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
