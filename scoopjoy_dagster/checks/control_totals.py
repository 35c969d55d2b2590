"""All control totals of the close as asset checks."""

import dagster as dg

from scoopjoy_dagster.accounting.totals import CONTROL_TOTALS
from scoopjoy_dagster.checks import closed_shifts, hq_sync, invoices, royalties

BLOCKING = tuple(one.name for one in CONTROL_TOTALS if one.blocking)
"""Names of the checks whose failure fails the run and stops what is behind them."""


def build(days: dg.DailyPartitionsDefinition) -> list[dg.AssetChecksDefinition]:
    """The checks of all assets, on these business days: one step for each asset."""
    return [module.build(days) for module in (closed_shifts, royalties, invoices, hq_sync)]
