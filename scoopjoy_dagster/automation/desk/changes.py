"""Batch Runs that people have saved: compared with Dagster's record, and put back where they say something else.

Whoever may write Batch Run may write every field of it over REST, read-only or not; the form is no guard. So whatever was
saved since the last look is looked at again, also of runs that ended long ago.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import dagster as dg

from scoopjoy_dagster.automation.desk.mirror import Look, closes, nothing
from scoopjoy_dagster.automation.desk.run_facts import BATCH_RUN
from scoopjoy_dagster.automation.parcels import runs
from scoopjoy_dagster.erpnext.batch_runs import BatchRuns, Changed, comparable
from scoopjoy_dagster.erpnext.errors import Forbidden, LoginFailed, Rejected


def runs_behind(
    instance: dg.DagsterInstance, job: str, changed: Collection[Changed], location: str | None
) -> list[dg.RunRecord]:
    """The runs that these documents may show: those whose tag names one, and those that one names itself.

    The second is only a claim of the document. It does no harm: a run says itself which document is its own.
    """
    found: dict[str, dg.RunRecord] = {}
    for one in changed:
        claimed = _claims(one.run_id, one.key)
        for filters in (
            dg.RunsFilter(tags={BATCH_RUN: one.name}),
            *([dg.RunsFilter(run_ids=claimed)] if claimed else []),
        ):
            found |= {
                record.dagster_run.run_id: record
                for record in runs(instance, filters, location)
                if closes(record.dagster_run, job)
            }
    return list(found.values())


def put_back(
    instance: dg.DagsterInstance,
    desk: BatchRuns,
    changed: Sequence[Changed],
    look: Look,
    location: str | None,
) -> Iterator[str]:
    """See to the changed documents that a complete look at their runs has not found right: no run is shown by them.

    One that claims nothing is new, and waits for its button. One that claims a run that Dagster does not know is left alone:
    that record may be lost, or another Dagster's. Any other is put back to one that nobody has run.

    Yields:
        a sentence for each that is not what it says.
    """
    left = {one.name: one.modified for one in changed if one.name not in {*look.right, *look.unwritten}}
    for held in desk.shown(names=left):
        look.right[held.name] = left[held.name]
        empty = nothing(held)
        if held.content == comparable(empty) and not held.key:
            continue
        claimed = _claims(held.run_id, held.key)
        if claimed and not any(runs(instance, dg.RunsFilter(run_ids=claimed), location)):
            yield f"Batch Run {held.name} shows a run that this Dagster does not know: nothing proves what it says"
            continue
        try:
            _, look.right[held.name] = desk.write(held.name, "", empty)
        except (Forbidden, LoginFailed):
            raise
        except Rejected as problem:
            yield f"Batch Run {held.name} says what no run has done, and cannot be put back: {problem}"
            continue
        yield f"Batch Run {held.name}, last saved by {held.saved_by}, said what no run has done, and was put back"


def _claims(run_id: str, key: str) -> list[str]:
    """The runs that a document names: its newest, and in its key its first."""
    return [text for text in {run_id, *key.split(":")[1:2]} if text]
