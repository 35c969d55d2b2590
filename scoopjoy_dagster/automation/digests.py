"""Alerts of a backfill that has ended: one for its failed days, one for what its control totals warn of. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from scoopjoy_dagster.automation.alert import ADOPTED, Alert, Links, Row, close_command, compose, cut
from scoopjoy_dagster.automation.messages import NO_STEP, FailedRun, FailedStep

PAGE = "re-run-and-backfill"
"""Place in the runbook."""


def backfill_digest(tag: str, backfill: str, runs: Sequence[FailedRun], days: int, links: Links) -> Alert:
    """One alert for a backfill that has ended.

    Args:
        tag: The tag that names the backfill on its runs: Dagster's, or the command line's.
        backfill: Its id.
        runs: Its failed runs that nothing has made good, by day.
        days: How many days it worked on.
        links: Addresses.
    """
    failed = sorted({day for run in runs for day in run.days})
    rows = [
        Row((_some(step.days or run.days), step.title), cut(step.message))
        for run in runs
        for step in (run.steps or (FailedStep(run.job, run.reason or NO_STEP),))
    ]
    return compose(
        # The runs are part of the key: one that fails later, under the same backfill, is news.
        key=":".join([backfill, *sorted(run.run_id for run in runs)]),
        days=failed,
        ended=max(run.ended for run in runs),
        when="Last failure at",
        subject=f"[CRITICAL] Backfill {backfill}: {len(failed)} of {days} days failed",
        lead=[
            f"The backfill {backfill} has ended. {len(failed)} of its {days} business days are not closed.",
        ],
        rows=rows,
        title="Failed days",
        todo=f"Mend what the messages name, then run the days again. {ADOPTED}",
        runbook=links.page(PAGE),
        command=close_command(failed),
        links=[links.backfill(tag, backfill)],
        about=f"backfill {backfill}",
    )


def _some(days: Sequence[str]) -> str:
    more = f" and {len(days) - 3} more" if len(days) > 3 else ""
    return ", ".join(days[:3]) + more or "no day"
