"""The five steps of the close as people know them: their names in alerts, and which of them stop the pipeline."""

from __future__ import annotations

from dataclasses import dataclass

from scoopjoy_dagster.assets import closed_shifts, hq_sync, invoices, reports, royalties


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the close: its asset, its name for people, and whether its failure stops what comes after it."""

    asset: str
    title: str
    critical: bool


STEPS = (
    Step(closed_shifts.NAME, "Close POS Shifts", critical=True),
    Step(royalties.NAME, "Calculate Royalties", critical=True),
    Step(invoices.NAME, "Generate Invoices", critical=False),
    Step(reports.NAME, "Send Reports", critical=False),
    Step(hq_sync.NAME, "Sync to HQ", critical=False),
)
"""In order of the close."""

WATCH = "nightly_close_watch"
"""Asset key that the watchdog's check hangs on; see `automation.watchdog` for why it has one of its own."""

WATCH_JOB = "watchdog"
RETENTION_JOB = "retention"
HOUSEKEEPING = {WATCH_JOB, RETENTION_JOB}
"""Jobs that close nothing, whatever the tags of their runs say."""

"""The job that runs it."""


def step_of(step_key: str) -> Step | None:
    """The step of a Dagster step key; a check (`royalties_ledger_equals_rule`) belongs to the step that it checks."""
    return next(
        (step for step in STEPS if step_key == step.asset or step_key.startswith(f"{step.asset}_")), None
    )


def is_watchdog(step_key: str) -> bool:
    """Whether a step key is the watchdog's."""
    return step_key == WATCH or step_key.startswith(f"{WATCH}_")
