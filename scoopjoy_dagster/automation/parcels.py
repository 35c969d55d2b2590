"""Parcels: alerts that are delivered together, and the tags on runs that say what became of them.

What belongs here: what a parcel is, and the notes on its runs - delivered, and what of it the mail server and the
channels have taken before. What does not: finding what is to be sent (`outbox`, `control_warnings`, `recovery`).
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import dagster as dg

from scoopjoy_dagster.automation.alert import Alert

ALERTED = "scoopjoy/alerted"
"""Run tag: `<run id> <steps> <ISO moment>`. The run's own id is in it because a re-execution inherits the tags of the
run that it repeats, and its failure is news."""

WARNED = "scoopjoy/warned"
RECOVERED = "scoopjoy/recovered"
"""Run tags of the same form: the warnings of its control totals, and that its days were settled, have been sent."""

PROGRESS = "scoopjoy/alert_progress"
"""Run tag: which recipients and channels have taken which alerts that are not fully delivered, as hashes; and which other
runs an alert of several is about."""

MADE_GOOD = "made-good"
REPEATED = "repeated"
"""In place of the steps, in the tag of a failed run that nobody is alerted of: its day was settled first, or it failed as an
earlier run did that people know of, by a cause that passes."""

DIGEST = "digest:"
"""The same of a run whose alert is one for several runs; the first of them follows."""

FEW = 3
"""So many alerts that wait at the same moment are sent one by one; more are one message."""

_PAGE = 200

log = logging.getLogger(__name__)


class Waiting(Protocol):
    """What waits to be sent: of which days (ISO), and the run that its note lies on."""

    @property
    def run(self) -> dg.DagsterRun:
        """The run."""

    @property
    def days(self) -> Sequence[str]:
        """The business days."""


W = TypeVar("W", bound=Waiting)


@dataclass(frozen=True, slots=True)
class Parcel:
    """Alerts that are delivered together: those of a run, or of several that one alert is about.

    A parcel without alerts is of runs that nobody has to hear of: they are only to be closed. `tag` is what closes
    them; `notes`, by run id, stand in it where runs differ, in place of `steps`.
    """

    alerts: tuple[Alert, ...]
    runs: tuple[dg.DagsterRun, ...]
    steps: str
    tag: str = ALERTED
    notes: Mapping[str, str] = field(default_factory=dict)


def is_noted(run: dg.DagsterRun, tag: str) -> bool:
    """Whether one of the tags above is this very run's own, not inherited."""
    return run.tags.get(tag, "").split(" ")[0] == run.run_id


def note_of(run: dg.DagsterRun, tag: str) -> str:
    """What was noted in place of the steps; empty for nothing."""
    return run.tags[tag].split(" ")[1] if is_noted(run, tag) else ""


def is_known(run: dg.DagsterRun) -> bool:
    """Whether anybody has got an alert of this run: one that a dead channel still waits for must not keep the others
    from hearing that all is well.
    """
    note = note_of(run, ALERTED)
    return note not in {MADE_GOOD, REPEATED} if note else bool(taken(run))


def close(instance: dg.DagsterInstance, parcel: Parcel, now: datetime) -> bool:
    """Note on the runs that people know; False when Dagster's storage takes no note."""
    done = True
    for run in parcel.runs:
        steps = parcel.notes.get(run.run_id, parcel.steps)
        done &= _tag(instance, run.run_id, {parcel.tag: f"{run.run_id} {steps} {now.isoformat()}"})
    return done


def mark(alert: Alert, receiver: str) -> str:
    """An alert and who has taken it, in the note: nobody's address and no channel's secret appears in a tag."""
    return hashlib.sha256(f"{alert.key}\x1f{receiver}".encode()).hexdigest()[:16]


def taken(run: dg.DagsterRun) -> set[str]:
    """The marks that are noted on this very run."""
    return set(_progress(run).get("taken", ())) | _UNNOTED.get(run.run_id, set())


def note_taken(instance: dg.DagsterInstance, parcel: Parcel, marks: Collection[str]) -> None:
    """Add marks to the note of a parcel, which lies on its first run.

    Whoever was alerted was alerted, also when the storage takes no note: this process remembers it, and another one sends
    the alert again rather than lose it.
    """
    run_id = parcel.runs[0].run_id
    run = instance.get_run_by_id(run_id) or parcel.runs[0]
    both = taken(run) | set(marks)
    others = dict(_progress(run).get("with", {}))
    if len(parcel.runs) > 1 or parcel.tag == RECOVERED:
        others[parcel.tag] = [one.run_id for one in parcel.runs]
    note = {"run": run_id, "taken": sorted(both), **({"with": others} if others else {})}
    if _tag(instance, run_id, {PROGRESS: json.dumps(note)}):
        _UNNOTED.pop(run_id, None)
    else:
        _UNNOTED[run_id] = both


def noted(instance: dg.DagsterInstance, parcel: Parcel) -> set[str]:
    """The marks of a parcel, as they are now."""
    run = instance.get_run_by_id(parcel.runs[0].run_id)
    return taken(run) if run else set()


def lots(items: Iterable[W], tag: str, few: int = FEW) -> tuple[list[list[W]], list[W]]:
    """What is one message, and what goes alone, of what waits to be closed by `tag`.

    What was begun together stays together until everybody has it. Of the rest, what is of more than a few days and nobody has
    got yet goes together.
    """
    left = {item.run.run_id: item for item in items}
    found: list[list[W]] = []
    for run_id, item in list(left.items()):
        names = _progress(item.run).get("with", {}).get(tag, ()) if run_id in left else ()
        lot = [left.pop(one) for one in names if one in left]
        found += [lot] if lot else []
    new = [item for item in left.values() if not taken(item.run)]
    if len({day for item in new for day in item.days}) > few < len(new):
        found.append(new)
        return found, [item for item in left.values() if taken(item.run)]
    return found, list(left.values())


@lru_cache(maxsize=256)
def read_note(text: str | None) -> Mapping[str, Any]:
    """A note as it was written in Dagster's storage; one that cannot be read is as none, and the log says so once."""
    if not text:
        return {}
    try:
        note = json.loads(text)
    except ValueError:
        note = None
    if isinstance(note, dict):
        return note
    log.warning("A note in Dagster's storage cannot be read; it is begun again: %s", text[:200])
    return {}


_UNNOTED: dict[str, set[str]] = {}
"""Marks by run that this process could not note."""


def _progress(run: dg.DagsterRun) -> Mapping[str, Any]:
    note = read_note(run.tags.get(PROGRESS))
    return note if note.get("run") == run.run_id else {}


def _tag(instance: dg.DagsterInstance, run_id: str, tags: Mapping[str, str]) -> bool:
    try:
        instance.add_run_tags(run_id, tags)
    except Exception:  # whatever the storage raises: the alert matters more than the note about it
        log.exception("Dagster's storage takes no note that alerts of run %s were delivered.", run_id)
        return False
    return True


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
