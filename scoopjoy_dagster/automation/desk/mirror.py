"""Runs of Dagster as Batch Runs in ERPNext: written while they differ from what the site shows, by whoever looks.

A look costs ERPNext nothing while no run is at work and all that ended are shown. What could not be written is written
by a later look: the runs themselves say what is missing (`MIRRORED`), so there is no list that could be lost. Whoever may
write Batch Run can make one say anything over REST: what people have saved is compared with Dagster's record, field by
field, and put back (`changes`).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg

from scoopjoy_dagster.accounting.keys import normalised
from scoopjoy_dagster.automation.desk.batch_run import QUEUED, BatchRun, batch_run
from scoopjoy_dagster.automation.desk.run_facts import BATCH_RUN, read_run
from scoopjoy_dagster.automation.parcels import runs
from scoopjoy_dagster.automation.state import UNFINISHED, business_day_of
from scoopjoy_dagster.erpnext.batch_runs import RUN_FIELDS, BatchRuns, Shown, comparable, storable
from scoopjoy_dagster.erpnext.errors import ERPNextError, Forbidden, LoginFailed, NotFound, Rejected
from scoopjoy_dagster.steps import STEPS

MIRRORED = "scoopjoy/batch_run_mirrored"
"""Run tag: the run's own id, once the site shows its end. The id, because a re-execution inherits the tags of the run
that it repeats."""

WINDOW = timedelta(days=7)
"""Runs that ended before are left alone: a desk that is installed today does not show years."""

BUDGET_S = 20.0
"""No document is begun after this: a sensor's tick has 60 seconds. The next look goes on."""

_ROOT = "dagster/root_run_id"
_ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
_OURS = {dg.AssetKey(step.asset) for step in STEPS}

NOT_INSTALLED = (
    "ERPNext has no Batch Run desk that the integration user may use: run `scoopjoy setup`, or set "
    "SCOOPJOY_BATCH_RUN_DESK=off"
)


@dataclass(slots=True)
class Look:
    """What a look came to: Batch Runs written, what must wait for a later look, and what is refused, in words.

    Attributes:
        corrected: a sentence for each document that somebody had changed after its runs had ended and been shown.
        right: the documents that say now what they must, by name, with the server's moment of their last change.
        unwritten: documents of which one may be what a refused Batch Run is shown by.
    """

    written: list[str] = field(default_factory=list)
    waiting: str = ""
    refused: list[str] = field(default_factory=list)
    corrected: list[str] = field(default_factory=list)
    right: dict[str, str] = field(default_factory=dict)
    unwritten: set[str] = field(default_factory=set)

    @property
    def complete(self) -> bool:
        """Whether nothing that has ended is left to be shown."""
        return not self.waiting and not self.refused

    @property
    def sentence(self) -> str:
        """The whole in words."""
        written = f"Batch Runs written: {', '.join(self.written)}" if self.written else ""
        said = [part for part in (written, self.waiting, *self.refused) if part]
        return "; ".join(said) or "every run is shown"


@dataclass(frozen=True, slots=True)
class Batch:
    """The runs of Dagster that one Batch Run shows, for one business day."""

    day: date
    key: str
    name: str
    records: tuple[dg.RunRecord, ...]


def is_dry(run: dg.DagsterRun) -> bool:
    """Whether a run only plans. It closes nothing, so no Batch Run shows it."""
    given: Any = run.run_config
    for name in ("resources", "close", "config", "dry_run"):
        given = given.get(name) if isinstance(given, dict) else None
    return given is True


def runs_to_show(
    instance: dg.DagsterInstance, job: str, since: datetime, *, only: str = "", location: str | None = None
) -> list[dg.RunRecord]:
    """Runs of the close that the site may not show as they are: at work, or ended since (an aware moment) and not mirrored.

    Args:
        instance: Whose runs.
        job: name of the job that closes a day.
        since: nothing that ended before is looked at.
        only: id of the one run to look at; empty for all.
        location: code location whose runs are ours; None for any. Runs without a location (the command line's) are.
    """
    ids = [only] if only else None
    asked = (
        dg.RunsFilter(run_ids=ids, statuses=list(UNFINISHED)),
        dg.RunsFilter(run_ids=ids, statuses=list(_ENDED), updated_after=since.astimezone(UTC)),
    )
    found = {record.dagster_run.run_id: record for one in asked for record in runs(instance, one, location)}
    return [record for record in found.values() if _is_close(record.dagster_run, job)]


def _is_close(run: dg.DagsterRun, job: str) -> bool:
    return run.tags.get(MIRRORED) != run.run_id and closes(run, job)


def closes(run: dg.DagsterRun, job: str) -> bool:
    """Whether a run closes a day, or steps of it, so that a Batch Run shows it."""
    if is_dry(run) or not business_day_of(run.tags):
        return False
    return run.job_name == job or bool(_OURS & set(run.asset_selection or ()))


def show(
    instance: dg.DagsterInstance,
    desk: BatchRuns,
    records: Sequence[dg.RunRecord],
    ui_url: str,
    *,
    changed: Collection[str] = (),
    budget_s: float = BUDGET_S,
) -> Look:
    """Make the site show these runs as they are now, the newest day first. Errors of ERPNext do not raise: a later look is the retry.

    `changed`: names of documents that people have saved, and which may have lost what tells them.
    """
    look = Look()
    if not records:
        return look
    deadline = time.monotonic() + budget_s
    try:
        batches, present = _prepared(instance, desk, records, changed)
        for batch in batches:
            if time.monotonic() > deadline:
                look.waiting = "ERPNext is slow: the rest is shown by the next look"
                break
            try:
                _show(instance, desk, batch, present, ui_url, look)
            except (Forbidden, LoginFailed):
                raise
            except Rejected as problem:  # of this document; the others may be fine
                look.refused.append(f"the Batch Run of {batch.day} could not be written: {problem}")
                look.unwritten |= {one.name for one in present[batch.day]}
    except (NotFound, Forbidden) as problem:  # of the lists
        look.waiting = f"{NOT_INSTALLED} ({problem})"
    except ERPNextError as problem:
        look.waiting = f"ERPNext does not show the runs yet, a later look writes them: {problem}"
    return look


def _prepared(
    instance: dg.DagsterInstance,
    desk: BatchRuns,
    records: Sequence[dg.RunRecord],
    changed: Collection[str],
) -> tuple[list[Batch], dict[date, list[Shown]]]:
    """What is to be shown, in order, and the documents that the site has, by their days."""
    tagged = {record.dagster_run.tags.get(BATCH_RUN, "") for record in records}
    named = desk.shown(names={*tagged, *changed} - {""})
    by_key: dict[str, Batch] = {}
    for batch in sorted(_batches(instance, records, named), key=lambda one: one.day, reverse=True):
        by_key.setdefault(batch.key, batch)
    present: dict[date, list[Shown]] = defaultdict(list)
    for one in [*named, *desk.shown(keys=by_key)]:
        present[one.day].append(one)
    return list(by_key.values()), present


def _batches(
    instance: dg.DagsterInstance, records: Iterable[dg.RunRecord], named: Iterable[Shown]
) -> Iterator[Batch]:
    """The Batch Runs that these runs belong to, each with all of its runs; `named`: the documents that their tags name."""
    # A retry at a document has a root of its own; the document's key has that of its first run.
    firsts = {one.name: one.key.split(":")[1] for one in named if one.key.count(":") > 1}
    seen: set[tuple[str, str]] = set()
    for record in records:
        run = record.dagster_run
        root, day, name = (
            run.root_run_id or run.run_id,
            business_day_of(run.tags),
            run.tags.get(BATCH_RUN, ""),
        )
        identity = (day, name or root)
        if identity in seen:
            continue
        seen.add(identity)
        found = [
            one
            for one in _family(instance, {root, firsts.get(name, root)}, name)
            if business_day_of(one.dagster_run.tags) == day and _belongs(one.dagster_run, name)
        ]
        # A run that names a root of which nothing is known is a family of its own.
        found = found or [record]
        first = min(found, key=lambda one: one.create_timestamp).dagster_run
        key = normalised(f"batch:{first.root_run_id or first.run_id}:{day}")
        yield Batch(date.fromisoformat(day), key, name, tuple(found))


def _belongs(run: dg.DagsterRun, name: str) -> bool:
    """Whether a run may be shown by the document of this name: not if it has another. A document's key is not proof of it."""
    return not name or run.tags.get(BATCH_RUN, name) == name


def _family(instance: dg.DagsterInstance, roots: Collection[str], name: str) -> list[dg.RunRecord]:
    """The runs of one Batch Run: re-executions, and what was asked for there."""
    filters = [dg.RunsFilter(run_ids=list(roots)), *(dg.RunsFilter(tags={_ROOT: root}) for root in roots)]
    if name:
        filters.append(dg.RunsFilter(tags={BATCH_RUN: name}))
    return list(
        {
            record.dagster_run.run_id: record for one in filters for record in runs(instance, one, None)
        }.values()
    )


def _show(
    instance: dg.DagsterInstance,
    desk: BatchRuns,
    batch: Batch,
    present: Mapping[date, Sequence[Shown]],
    ui_url: str,
    look: Look,
) -> None:
    for other in _in_the_way(batch, present):
        desk.write(other.name, "", nothing(other))
        look.corrected.append(
            f"Batch Run {other.name}, last saved by {other.saved_by}, had the key of another day's, and was put back"
        )
    facts = batch_run([read_run(instance, record, batch.day) for record in batch.records])
    content = content_of(facts, ui_url)
    held = _document(batch, present[batch.day])
    name, modified = (held.name, held.modified) if held else ("", "")
    if held is None or (held.key, held.content) != (batch.key, comparable(storable(content))):
        name, modified = desk.write(name, batch.key, content)
        look.written.append(f"{name} ({facts.status})")
        if held and all(run.tags.get(MIRRORED) == run.run_id for run in _runs(batch)):
            look.corrected.append(
                f"Batch Run {name}, last saved by {held.saved_by}, said something else than Dagster's record, and was put back"
            )
    look.right[name] = modified
    for run in _runs(batch):
        wanted = {BATCH_RUN: name}
        if not facts.at_work and run.status not in UNFINISHED:
            wanted[MIRRORED] = run.run_id
        missing = {tag: value for tag, value in wanted.items() if run.tags.get(tag) != value}
        if missing:
            instance.add_run_tags(run.run_id, missing)


def _in_the_way(batch: Batch, present: Mapping[date, Sequence[Shown]]) -> list[Shown]:
    """Documents of other days that have this one's key: only a person can have written it there, and it can be there once."""
    return [one for day, some in present.items() if day != batch.day for one in some if one.key == batch.key]


def nothing(held: Shown) -> dict[str, Any]:
    """What a document says that nobody has run."""
    return {**dict.fromkeys(RUN_FIELDS), "run_date": held.day.isoformat(), "status": QUEUED, "steps": []}


def _runs(batch: Batch) -> list[dg.DagsterRun]:
    return [record.dagster_run for record in batch.records]


def _document(batch: Batch, present: Iterable[Shown]) -> Shown | None:
    """The document of a batch, of those of its day: by its key, or the one that a person made for this very day, or the one
    whose key somebody has taken away.
    """
    found = list(present)
    ours = {run.run_id for run in _runs(batch)}
    for wanted in (
        (one for one in found if one.key == batch.key),
        (one for one in found if batch.name and one.name == batch.name),
        (one for one in found if not one.key and one.run_id in ours),
    ):
        if document := next(wanted, None):
            return document
    return None


def content_of(facts: BatchRun, ui_url: str) -> dict[str, Any]:
    """The fields of a Batch Run. Moments are site time, to the second."""
    return {
        "run_date": facts.day.isoformat(),
        "status": facts.status,
        "triggered_by": facts.triggered_by[:140],
        "started_at": _text(facts.started_at),
        "completed_at": _text(facts.completed_at),
        "dagster_run": facts.run_id,
        "dagster_url": f"{ui_url}/runs/{facts.run_id}" if ui_url else None,
        "execution_log": facts.log,
        "steps": [
            {
                "step_name": one.step.title,
                "step_order": one.order,
                "status": one.state,
                "started_at": _text(one.started_at),
                "completed_at": _text(one.completed_at),
                "is_critical": int(one.step.critical),
                "retry_count": one.retries,
                "error_message": one.error,
            }
            for one in facts.steps
        ],
    }


def _text(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%d %H:%M:%S") if moment else None
