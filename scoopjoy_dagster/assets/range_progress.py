"""What a run has got right of its days so far, read from Dagster's record of this very run.

The steps of a run may be processes of their own: what they tell each other stands in the event log and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from weakref import WeakKeyDictionary, WeakSet

import dagster as dg

from scoopjoy_dagster.assets.lineage import chosen_of, waits_for

_WANTED = {dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_CHECK_EVALUATION}

_kept: WeakSet[dg.DagsterInstance] = WeakSet()


def keep_connection(instance: dg.DagsterInstance) -> None:
    """Let this process keep its connection to Dagster's PostgreSQL: a day is recorded in 20 events and more.

    By default Dagster opens one or two for each event, and a settled day would take longer to record than to verify
    (docs/database.md). Dagster's webserver keeps its connections in the same way. One that was made half a minute ago is
    replaced, so that none is used that a firewall or a pooler has cut in a long silence.
    """
    if instance not in _kept:
        _kept.add(instance)
        instance.optimize_for_webserver(statement_timeout=0, pool_recycle=30, max_overflow=-1)


def days_left_undone(
    instance: dg.DagsterInstance, run: dg.DagsterRun, asset: str, days: Sequence[date]
) -> Mapping[date, str]:
    """The days of a run that the asset before `asset` was to do and did not get right, and the name of that asset."""
    before = waits_for(asset, chosen_of(run))
    if before is None:
        return {}
    right = days_got_right(instance, run, before)
    return {day: before for day in days if day not in right}


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where a materialization stands in Dagster's record."""

    storage_id: int
    run_id: str
    timestamp: float


def days_got_right(instance: dg.DagsterInstance, run: dg.DagsterRun, asset: str) -> Mapping[date, Recorded]:
    """The days that `asset` has materialized in a run, and of which no blocking control total has said otherwise since."""
    right: dict[date, Recorded] = {}
    for run_id in reversed(list(_runs(instance, run, asset))):
        for key, day, materialized in _log_of(instance, run_id):
            if key == dg.AssetKey(asset) and materialized is not None:
                right[day] = materialized
            elif key == dg.AssetKey(asset):
                right.pop(day, None)
    return right


_Told = tuple[dg.AssetKey, date, Recorded | None]
"""An asset and day, and its materialization; None: a blocking control total of it does not hold."""


class _Log:
    """What a run has told so far. The steps of one process ask in turn: each event is read once, however long the range."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self._cursor: str | None = None
        self._told: list[_Told] = []

    def read_on(self, instance: dg.DagsterInstance) -> Sequence[_Told]:
        page = instance.get_records_for_run(self.run_id, cursor=self._cursor, of_type=_WANTED)
        self._cursor = page.cursor
        self._told += [one for record in page.records if (one := _told(record)) is not None]
        return self._told


_logs: WeakKeyDictionary[dg.DagsterInstance, _Log] = WeakKeyDictionary()
"""That of the run which asked last: a process works on one run at a time."""


def _log_of(instance: dg.DagsterInstance, run_id: str) -> Sequence[_Told]:
    log = _logs.get(instance)
    if log is None or log.run_id != run_id:
        log = _logs[instance] = _Log(run_id)
    return log.read_on(instance)


def _told(record: dg.EventLogRecord) -> _Told | None:
    event = record.event_log_entry.dagster_event
    if event is None:
        return None
    if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
        if event.asset_key is None or not event.partition:
            return None
        where = Recorded(record.storage_id, record.run_id, record.timestamp)
        return event.asset_key, date.fromisoformat(event.partition), where
    check = event.asset_check_evaluation_data
    if not check.partition or check.passed or not check.blocking:
        return None
    return check.asset_key, date.fromisoformat(check.partition), None


def _runs(instance: dg.DagsterInstance, run: dg.DagsterRun, asset: str) -> Iterator[str]:
    """The run, and where it repeats only the failed steps of another, the ones before it: the newest first."""
    looked: dg.DagsterRun | None = run
    while looked:
        yield looked.run_id
        # None: all steps of the run are its own.
        if looked.step_keys_to_execute is None or asset in looked.step_keys_to_execute:
            return
        looked = instance.get_run_by_id(looked.parent_run_id) if looked.parent_run_id else None
