"""The registry of the five steps of the close: their names, which of them stop the pipeline, and which waits for which."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the close.

    Attributes:
        asset: the asset's name in Dagster.
        title: its name for people.
        critical: whether its failure stops the steps after it.
        upstream: the asset that it waits for; empty for the first.
    """

    asset: str
    title: str
    critical: bool
    upstream: str = ""


CLOSED_SHIFTS = Step("closed_shifts", "Close POS Shifts", critical=True)
ROYALTIES = Step("royalties", "Calculate Royalties", critical=True, upstream="closed_shifts")
INVOICES = Step("invoices", "Generate Invoices", critical=False, upstream="royalties")
REPORTS = Step("reports", "Send Reports", critical=False, upstream="royalties")
HQ_SYNC = Step("hq_sync", "Sync to HQ", critical=False, upstream="royalties")

STEPS = (CLOSED_SHIFTS, ROYALTIES, INVOICES, REPORTS, HQ_SYNC)
"""In order of the close."""


def step_of(step_key: str) -> Step | None:
    """The step of a Dagster step key; a check (`royalties_control_totals`) belongs to the step that it checks."""
    return next(
        (step for step in STEPS if step_key == step.asset or step_key.startswith(f"{step.asset}_")), None
    )


def upstream_of(asset: str, chosen: AbstractSet[str]) -> str:
    """The asset that `asset` waits for in a run that is to do `chosen` (empty: all); empty where it waits for none."""
    step = step_of(asset)
    return step.upstream if step and (not chosen or step.upstream in chosen) else ""
