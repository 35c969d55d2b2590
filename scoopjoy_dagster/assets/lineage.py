"""Which asset of the close waits for which: for a run that does only some of them, and for days that one of them left undone."""

from collections.abc import Set as AbstractSet

import dagster as dg

from scoopjoy_dagster.accounting.totals import totals_of

BEFORE = {
    "royalties": "closed_shifts",
    "invoices": "royalties",
    "reports": "royalties",
    "hq_sync": "royalties",
}
"""The asset that each of the others waits for; the `deps` of the assets say the same to Dagster."""


def chosen_of(run: dg.DagsterRun) -> frozenset[str]:
    """The assets that a run is to do; empty: all of the job."""
    return frozenset(key.to_user_string() for key in run.asset_selection or ())


def waits_for(asset: str, chosen: AbstractSet[str]) -> str | None:
    """The asset that `asset` waits for in a run that is to do `chosen` (empty: all); None where it waits for nobody."""
    before = BEFORE.get(asset)
    return before if before and (not chosen or before in chosen) else None


def has_others_behind(asset: str, chosen: AbstractSet[str]) -> bool:
    """Whether another asset of the run waits for this one."""
    return any(waits_for(other, chosen) == asset for other in (chosen or BEFORE.keys()))


def has_checks_behind(asset: str, run: dg.DagsterRun) -> bool:
    """Whether the run answers control totals of an asset."""
    if not totals_of(asset):
        return False
    chosen = run.asset_check_selection  # None: those of all assets that the run is to do
    return chosen is None or any(key.asset_key.to_user_string() == asset for key in chosen)
