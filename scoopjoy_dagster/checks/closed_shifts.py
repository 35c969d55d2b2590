"""Control totals of `closed_shifts`: every shift of the day is closed, and nothing of it is left out of the ledger."""

from collections.abc import Iterator
from datetime import date
from functools import cache

import dagster as dg

from scoopjoy_dagster.accounting.comparisons import ShiftFigures, outlets_opened, shifts_closed
from scoopjoy_dagster.assets.closed_shifts import NAME
from scoopjoy_dagster.checks.answers import Answer, Questions, answered, specs, step_name
from scoopjoy_dagster.erpnext.control_figures import shift_figures
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.resources.erpnext import ERPNextResource


def _about(site: Site, day: date) -> Questions:
    @cache
    def figures() -> ShiftFigures:
        return shift_figures(site, day)

    return {
        "is_every_shift_closed": lambda: shifts_closed(figures()),
        "did_every_outlet_open": lambda: outlets_opened(figures()),
    }


def build(days: dg.DailyPartitionsDefinition) -> dg.AssetChecksDefinition:
    """The checks, on these business days."""

    @dg.multi_asset_check(name=step_name(NAME), specs=specs(NAME, days), can_subset=True)
    def closed_shifts_control_totals(
        context: dg.AssetCheckExecutionContext, erpnext: ERPNextResource
    ) -> Iterator[Answer]:
        yield from answered(context, erpnext, NAME, _about)

    return closed_shifts_control_totals
