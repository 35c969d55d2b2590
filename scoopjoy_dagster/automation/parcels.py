"""Parcels: alerts that are delivered together, and the tags on runs that say what became of them.

What belongs here: what a parcel is, and the notes on its runs - delivered, and what of it the mail server and the
channels have taken before. What does not: finding what is to be sent (`outbox`, `control_warnings`, `recovery`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from scoopjoy_dagster.automation.alert import Alert

ALERTED = "scoopjoy/alerted"
"""Run tag: `<run id> <steps> <ISO moment>`. The run's own id is in it because a re-execution inherits the tags of the
run that it repeats, and its failure is news."""

WARNED = "scoopjoy/warned"
RECOVERED = "scoopjoy/recovered"
"""Run tags of the same form: the warnings of its control totals, and that it was made good, have been told."""

PROGRESS = "scoopjoy/alert_progress"
"""Run tag: which recipients and channels have taken which alerts that are not fully delivered, as hashes."""

MADE_GOOD = "made-good"
"""In place of the steps, in the tag of a run that failed and whose retry succeeded before anybody was told."""

_PAGE = 200


@dataclass(frozen=True, slots=True)
class Parcel:
    """Alerts that are delivered together: those of a run, or of a backfill and all its runs.

    A parcel without alerts is of failures that were made good: its runs are only to be closed. `tag` is what closes
    them.
    """

    alerts: tuple[Alert, ...]
    runs: tuple[dg.DagsterRun, ...]
    steps: str
    tag: str = ALERTED


def is_noted(run: dg.DagsterRun, tag: str) -> bool:
    """Whether one of the tags above is this very run's own, not inherited."""
    return run.tags.get(tag, "").split(" ")[0] == run.run_id


def close(instance: dg.DagsterInstance, parcel: Parcel, now: datetime) -> None:
    """Note on the runs that people know."""
    for run in parcel.runs:
        instance.add_run_tags(run.run_id, {parcel.tag: f"{run.run_id} {parcel.steps} {now.isoformat()}"})


def mark(alert: Alert, receiver: str) -> str:
    """An alert and who has taken it, in the note: nobody's address and no channel's secret appears in a tag."""
    return hashlib.sha256(f"{alert.key}\x1f{receiver}".encode()).hexdigest()[:16]


def taken(run: dg.DagsterRun) -> set[str]:
    """The marks that are noted on this very run."""
    note = run.tags.get(PROGRESS)
    content = json.loads(note) if note else {}
    return set(content["taken"]) if content.get("run") == run.run_id else set()


def note_taken(instance: dg.DagsterInstance, parcel: Parcel, marks: Collection[str]) -> None:
    """Add marks to the note of a parcel, which lies on its first run."""
    run_id = parcel.runs[0].run_id
    note = json.dumps({"run": run_id, "taken": sorted({*noted(instance, parcel), *marks})})
    instance.add_run_tags(run_id, {PROGRESS: note})


def noted(instance: dg.DagsterInstance, parcel: Parcel) -> set[str]:
    """The marks of a parcel, as they are now."""
    run = instance.get_run_by_id(parcel.runs[0].run_id)
    return taken(run) if run else set()


def runs(
    instance: dg.DagsterInstance, filters: dg.RunsFilter, location: str | None
) -> Iterator[dg.RunRecord]:
    """The runs of a code location, newest first. None is any; runs without a location (the command line's) are ours."""
    cursor = None
    while page := instance.get_run_records(filters, limit=_PAGE, cursor=cursor):
        for record in page:
            origin = record.dagster_run.remote_job_origin
            if location is None or origin is None or origin.location_name == location:
                yield record
        cursor = page[-1].dagster_run.run_id
