"""The heartbeat: a request to a service that raises the alarm when none comes, for when Dagster itself is down.

Due once for every night that is settled, and once for every watchdog that has found all well. What was sent last is
noted in Dagster's storage, so a heartbeat that could not be delivered is due again at the next tick.
"""

from __future__ import annotations

import json

import dagster as dg

from scoopjoy_dagster.automation.channels import hush_urls
from scoopjoy_dagster.automation.jobs import WATCH_JOB
from scoopjoy_dagster.automation.parcels import read_note
from scoopjoy_dagster.automation.state import settled_days

NOTE = "scoopjoy/heartbeat"
"""Key in Dagster's own storage: the newest day and the newest watchdog's run that were sent."""

TIMEOUT_S = (3.0, 5.0)
"""Seconds to wait for a connection, and for the answer."""


def beat(instance: dg.DagsterInstance, url: str, days: dg.DailyPartitionsDefinition, ended: list[str]) -> str:
    """Send a heartbeat if one is due; what happened, in words, empty when none was. Never raises for the service.

    Args:
        instance: Whose runs.
        url: Where to; a secret, empty for none.
        days: The business days.
        ended: Those that have ended, oldest first.
    """
    if not url:
        return ""
    due = _due(instance, days, ended)
    sent = _sent(instance)
    if due == sent:
        return ""
    reason = _request(url)
    if reason:
        return f"the heartbeat was not delivered ({reason}); it is tried again at the next tick"
    instance.daemon_cursor_storage.set_cursor_values({NOTE: json.dumps(due)})
    return "heartbeat delivered"


def _due(
    instance: dg.DagsterInstance, days: dg.DailyPartitionsDefinition, ended: list[str]
) -> dict[str, str]:
    """What is to have been sent by now: a night that is not settled is no news."""
    due = _sent(instance)
    if ended and ended[-1] > due["day"] and settled_days(instance, days, ended[-1:]):
        due["day"] = ended[-1]
    good = dg.RunsFilter(job_name=WATCH_JOB, statuses=[dg.DagsterRunStatus.SUCCESS])
    for record in instance.get_run_records(good, limit=1):
        due["watchdog"] = record.dagster_run.run_id
    return due


def _sent(instance: dg.DagsterInstance) -> dict[str, str]:
    note = instance.daemon_cursor_storage.get_cursor_values({NOTE}).get(NOTE)
    return {name: str(read_note(note).get(name, "")) for name in ("day", "watchdog")}


def _request(url: str) -> str:
    """Why the service did not take it, without the URL: the text of an error of `requests` would hold it."""
    import requests

    hush_urls()
    try:
        answer = requests.get(url, timeout=TIMEOUT_S)
    except requests.RequestException as problem:
        return type(problem).__name__
    return "" if answer.ok else f"HTTP status {answer.status_code}"
