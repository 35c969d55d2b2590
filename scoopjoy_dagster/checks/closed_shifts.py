"""Control totals of `closed_shifts`: every shift of the day is closed, and nothing of it is left out of the ledger."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import cache

import dagster as dg

from scoopjoy_dagster.accounting.comparisons import ShiftFigures, outlets_opened, shifts_closed
from scoopjoy_dagster.assets.closed_shifts import NAME
from scoopjoy_dagster.checks.answers import Answer, Questions, answered, specs, step_name
from scoopjoy_dagster.erpnext.control_figures import shift_figures
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.resources.close import CloseResource
from scoopjoy_dagster.resources.erpnext import ERPNextResource


def _about(site: Site, window: Sequence[date]) -> Callable[[date], Questions]:
    @cache
    def figures() -> Mapping[date, ShiftFigures]:
        return shift_figures(site, window[0], window[-1])

    return lambda day: {
        "is_every_shift_closed": lambda: shifts_closed(figures()[day]),
        "did_every_outlet_open": lambda: outlets_opened(figures()[day]),
    }


def build(days: dg.DailyPartitionsDefinition) -> dg.AssetChecksDefinition:
    """The checks, on these business days."""

    @dg.multi_asset_check(name=step_name(NAME), specs=specs(NAME, days), can_subset=True)
    def closed_shifts_control_totals(
        context: dg.AssetCheckExecutionContext, erpnext: ERPNextResource, close: CloseResource
    ) -> Iterator[Answer]:
        yield from answered(context, erpnext, close, NAME, _about)

    return closed_shifts_control_totals
