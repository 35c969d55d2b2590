"""Control totals of `invoices`: the shares that the invoices carry in ERPNext add up to the royalties in the ledger."""

from collections.abc import Iterator
from datetime import date

import dagster as dg

from scoopjoy_dagster.accounting.comparisons import shares_equal_royalties
from scoopjoy_dagster.accounting.totals import Verdict
from scoopjoy_dagster.assets.invoices import NAME
from scoopjoy_dagster.checks.answers import answered, specs, step_name
from scoopjoy_dagster.erpnext.control_figures import shares_by_entry
from scoopjoy_dagster.erpnext.royalty_entries import posted_entries
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.resources.erpnext import ERPNextResource


def _shares(site: Site, day: date) -> Verdict:
    books = site.books()
    return shares_equal_royalties(posted_entries(site, books, day), shares_by_entry(site, books, day))


def build(days: dg.DailyPartitionsDefinition) -> dg.AssetChecksDefinition:
    """The checks, on these business days."""

    @dg.multi_asset_check(name=step_name(NAME), specs=specs(NAME, days), can_subset=True)
    def invoices_control_totals(
        context: dg.AssetCheckExecutionContext, erpnext: ERPNextResource
    ) -> Iterator[dg.AssetCheckResult]:
        yield from answered(
            context,
            erpnext,
            NAME,
            lambda site, day: {"do_the_shares_add_up": lambda: _shares(site, day)},
        )

    return invoices_control_totals
