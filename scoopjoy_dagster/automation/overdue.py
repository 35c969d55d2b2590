"""The watchdog's alert: business days that have ended and are not closed, or a night in which nothing was tried. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from scoopjoy_dagster.automation.alert import (
    SHOWN_DAYS,
    Alert,
    Links,
    close_command,
    compose,
    cut,
    named,
    titled,
)

MISSED = "when-something-is-down"
OVERDUE = "re-run-and-backfill"
"""Places in the runbook."""


def overdue_days(
    *,
    key: str,
    days: Sequence[str],
    ended: datetime,
    message: str,
    figures: Mapping[str, str],
    links: Links,
    run_link: tuple[str, str],
) -> Alert:
    """The alert of the watchdog's check.

    Args:
        key: See `alert.Alert`.
        days: The overdue days, oldest first.
        ended: When the watchdog looked, an aware moment.
        message: What the check said.
        figures: The check's figures: oldest, missed_night, causes.
        links: Addresses.
        run_link: The watchdog's run.
    """
    missed = figures.get("missed_night", "")
    subject = (
        f"[CRITICAL] Missed night: no run for {named([missed])}"
        if missed
        else titled(f"[CRITICAL] Business days not closed: {len(days)}", days)
    )
    return compose(
        key=key,
        days=days,
        ended=ended,
        when="Seen at",
        subject=subject,
        lead=[cut(message)],
        facts=[
            ("What is wrong", figures.get("causes", "")),
            ("Oldest days", figures.get("oldest", "") if len(days) > SHOWN_DAYS else ""),
        ],
        todo="Fix what is wrong, then close the days."
        if missed
        else "Find out why in Dagster's runs of these days, then close them.",
        runbook=links.page(MISSED if missed else OVERDUE),
        command=close_command(days, program=links.program),
        links=[run_link],
    )
