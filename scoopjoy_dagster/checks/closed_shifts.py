"""Control totals of `closed_shifts`: every shift of the day is closed, and nothing of it is left out of the ledger."""

from collections.abc import Iterator

import dagster as dg

from scoopjoy_dagster.accounting.comparisons import shifts_closed
from scoopjoy_dagster.assets.closed_shifts import NAME
from scoopjoy_dagster.checks.answers import answered, specs, step_name
from scoopjoy_dagster.erpnext.control_figures import shift_figures
from scoopjoy_dagster.resources.erpnext import ERPNextResource


def build(days: dg.DailyPartitionsDefinition) -> dg.AssetChecksDefinition:
    """The checks, on these business days."""

    @dg.multi_asset_check(name=step_name(NAME), specs=specs(NAME, days), can_subset=True)
    def closed_shifts_control_totals(
        context: dg.AssetCheckExecutionContext, erpnext: ERPNextResource
    ) -> Iterator[dg.AssetCheckResult]:
        yield from answered(
            context,
            erpnext,
            NAME,
            lambda site, day: {"is_every_shift_closed": lambda: shifts_closed(shift_figures(site, day))},
        )

    return closed_shifts_control_totals
