"""One alert for the failed days of several runs: those of a backfill that has ended, or those that wait together. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from scoopjoy_dagster.automation.alert import (
    ADOPTED,
    Alert,
    Links,
    Row,
    close_command,
    compose,
    cut,
    named,
    titled,
)
from scoopjoy_dagster.automation.messages import NO_STEP, OVERDUE, FailedRun, FailedStep, Outlook


def backfill_digest(tag: str, backfill: str, runs: Sequence[FailedRun], days: int, links: Links) -> Alert:
    """One alert for a backfill that has ended.

    Args:
        tag: The tag that names the backfill on its runs: Dagster's, or the command line's.
        backfill: Its id.
        runs: Its failed runs that nothing has made good, by day.
        days: How many days it worked on.
        links: Addresses.
    """
    failed = _days(runs)
    return _digest(
        # The runs are part of the key: one that fails later, under the same backfill, is news.
        ":".join([backfill, *sorted(run.run_id for run in runs)]),
        runs,
        links,
        subject=titled(f"[CRITICAL] Backfill: {len(failed)} of {days} days failed", failed),
        lead=f"The backfill has ended. {len(failed)} of its {days} business days are not closed.",
        link=links.backfill(tag, backfill),
        about=f"backfill {backfill}",
    )


def days_digest(key: str, runs: Sequence[FailedRun], links: Links) -> Alert:
    """One alert for runs of many days that failed and of which nobody has heard yet.

    Args:
        key: Names it whenever it is composed.
        runs: The failed runs, oldest first.
        links: Addresses.
    """
    failed = _days(runs)
    count = len(failed)
    if any(step.critical for run in runs for step in run.steps) or not all(run.steps for run in runs):
        subject = f"[CRITICAL] Batch pipeline failed for {count} business days"
    else:
        subject = f"[WARNING] Batch steps failed for {count} business days"
    causes = {step.why for run in runs for step in run.steps}
    return _digest(
        key,
        runs,
        links,
        subject=titled(subject, failed, causes.pop() if len(causes) == 1 else ""),
        lead=f"{count} business days are not closed.",
        about=key,
    )


def _digest(
    key: str,
    runs: Sequence[FailedRun],
    links: Links,
    *,
    subject: str,
    lead: str,
    about: str,
    link: tuple[str, str] = ("", ""),
) -> Alert:
    rows = [
        Row((named(run.days) or "no day", step.title), cut(step.said))
        for run in runs
        for step in (run.steps or (FailedStep(run.job, run.reason or NO_STEP),))
    ]
    again = f"fix what the messages name, then run the days that are still open again. {ADOPTED}"
    return compose(
        key=key,
        days=_days(runs),
        ended=max(run.ended for run in runs),
        when="Last failure at",
        subject=subject,
        lead=[lead, *dict.fromkeys(run.outlook for run in runs)],
        rows=rows,
        title="Failed days",
        todo=f"Nothing yet. If no message follows that these days are closed, {again}"
        if all(run.outlook is Outlook.AGAIN for run in runs)
        else again[0].upper() + again[1:],
        runbook=links.page(OVERDUE),
        command=close_command(_days(runs), program=links.program),
        links=[link],
        about=[about],
    )


def _days(runs: Sequence[FailedRun]) -> list[str]:
    return sorted({day for run in runs for day in run.days})
