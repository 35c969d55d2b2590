"""The sensor that finds days touched after their close, and requests just those.

A business day is closed an hour after it has ended, and people go on working in ERPNext: an invoice is back-dated,
returned or cancelled, a POS device comes back online with a shift of last week. The close of such a day run again posts
the difference; this sensor is who runs it. A new rate is no change of a posted day, which keeps its own.

It looks in two ways. By `modified`, every tick: cheap, and quick to notice, but blind for what leaves no timestamp
(a document deleted, a backup restored, a change by SQL) and woken by our own annotations. So a touched day is only a
candidate, and each day of the window is compared with its record in turn, touched or not, at least once an hour.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from scoopjoy_dagster.assets import closed_shifts, royalties
from scoopjoy_dagster.assets.outcome import OUTCOME_KEY
from scoopjoy_dagster.automation.nightly import REASON, TRIGGERED_BY, Job
from scoopjoy_dagster.automation.state import in_flight_days, settled_days
from scoopjoy_dagster.erpnext.errors import ERPNextError
from scoopjoy_dagster.erpnext.royalty_entries import franchises
from scoopjoy_dagster.partitions import day_of, site_time
from scoopjoy_dagster.resources.clock import ClockResource
from scoopjoy_dagster.resources.erpnext import ERPNextResource

if TYPE_CHECKING:
    from scoopjoy_dagster.automation.changed_days import Change, Closed, Memory

NAME = "late_changes"

INTERVAL_S = 600
"""Seconds between two ticks: a back-dated invoice need not wait for the night, and need not be noticed at once."""

OVERLAP = timedelta(minutes=30)
"""How far before the watermark a look begins. A document is seen when its transaction is committed, but carries the
time at which it was saved. Frappe lets a background job of its longest queue run for 25 minutes; what takes longer,
the comparison in turn finds."""

ROTATION_S = 3600
"""Seconds in which every day of the window is compared, touched or not."""

FEWEST_PER_TICK = 8
REQUESTS_PER_TICK = 3
"""Runs that one tick asks for at most: the night's run needs room."""

PAGE = 1000
"""Materializations that Dagster's storage is asked for at a time."""


def build(
    days: dg.DailyPartitionsDefinition,
    job: Job,
    *,
    status: dg.DefaultSensorStatus,
    window_days: int,
) -> dg.SensorDefinition:
    """The sensor, for the job that closes one of these business days.

    The newest `window_days` ended days are looked at. `status` says whether the sensor is on before anybody has touched it.
    """
    share = max(FEWEST_PER_TICK, math.ceil(window_days * INTERVAL_S / ROTATION_S))

    @dg.sensor(
        name=NAME,
        job=job,
        minimum_interval_seconds=INTERVAL_S,
        default_status=status,
        tags={"scoopjoy/purpose": "late-changes"},
        description=f"Finds days of the last {window_days} that were touched after their close (invoices, shifts, "
        "cancelled royalty entries) and runs just those again.",
    )
    def late_changes(
        context: dg.SensorEvaluationContext,
        erpnext: ERPNextResource,
        clock: ClockResource,
    ) -> dg.SensorResult | dg.SkipReason:
        from scoopjoy_dagster.automation import changed_days
        from scoopjoy_dagster.erpnext import changes

        instance = context.instance
        ended = days.get_partition_keys(current_time=clock.now())[-window_days:]
        settled = _dates(settled_days(instance, days, ended))
        if not settled:
            return dg.SkipReason(
                "no day of the window is settled yet: unsettled days are the nightly schedule's"
            )
        window = [day_of(key) for key in ended]
        in_flight = _dates(in_flight_days(instance))
        memory = changed_days.Memory.of(context.cursor)
        try:
            with erpnext.impatient(20.0).open() as site:
                books = site.books()
                touched = (
                    changes.touched_since(site, books, window[0], window[-1], memory.watermark - OVERLAP)
                    if memory.watermark
                    else changes.Touched(newest=changes.newest_modification(site, books))
                )
                turn = changed_days.turn(
                    memory, touched, window=window, settled=settled, in_flight=in_flight, share=share
                )
                closed = newest_closes(instance, {*turn.compare, max(settled)})
                known = franchises(site, books.franchise_group)
                missing = changed_days.too_few_franchises(closed.get(max(settled)), known)
                if missing:
                    return _skip(missing, memory)
                franchises_now = {one.customer for one in known}
                # Whoever was a franchise when a day was closed still counts with its invoices of the day.
                customers = franchises_now.union(*(one.customers for one in closed.values()))
                now = changes.read_days(site, books, customers, turn.compare)
        except ERPNextError as problem:
            return _skip(f"ERPNext could not be read, the next tick tries again: {problem}", memory)
        found = [
            changed_days.change_of(day, closed.get(day), now[day], franchises_now) for day in turn.compare
        ]
        decision = changed_days.decide(
            memory,
            turn,
            [change for change in found if change],
            touched,
            window=window,
            limit=REQUESTS_PER_TICK,
        )
        context.log.info(decision.sentence)
        cursor = decision.memory.model_dump_json()
        if not decision.requests:
            return dg.SensorResult(skip_reason=decision.sentence, cursor=cursor)
        return dg.SensorResult(run_requests=[_request(one) for one in decision.requests], cursor=cursor)

    return late_changes


def newest_closes(instance: dg.DagsterInstance, days: Collection[date]) -> dict[date, Closed]:
    """What Dagster's storage says of the newest close of each of these days; a day without one is missing."""
    from scoopjoy_dagster.automation.changed_days import Closed

    shifts = {day: _outcome(one) for day, one in _newest(instance, closed_shifts.NAME, days).items()}
    return {
        day: Closed.of(
            one.storage_id,
            site_time(datetime.fromtimestamp(one.timestamp, UTC)),
            _outcome(one),
            shifts.get(day, {}),
        )
        for day, one in _newest(instance, royalties.NAME, days).items()
    }


def _newest(
    instance: dg.DagsterInstance, asset: str, days: Collection[date]
) -> dict[date, dg.EventLogRecord]:
    """The newest materialization of an asset for each day: one query, newest first."""
    found: dict[date, dg.EventLogRecord] = {}
    cursor: str | None = None
    while missing := sorted(day.isoformat() for day in set(days) - found.keys()):
        wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=missing)
        page = instance.fetch_materializations(wanted, limit=PAGE, cursor=cursor)
        for record in page.records:
            if record.partition_key and day_of(record.partition_key) not in found:
                found[day_of(record.partition_key)] = record
        if not page.has_more:
            break
        cursor = page.cursor
    return found


def _outcome(record: dg.EventLogRecord) -> Mapping[str, object]:
    """The outcome that a materialization carries; empty for one that was reported by other means."""
    event = record.asset_materialization
    value = event.metadata[OUTCOME_KEY].value if event and OUTCOME_KEY in event.metadata else None
    return value if isinstance(value, Mapping) else {}


def _request(change: Change) -> dg.RunRequest:
    return dg.RunRequest(
        # Dagster starts one run for a key, ever, also when the cursor was lost.
        run_key=change.run_key,
        partition_key=change.day.isoformat(),
        tags={REASON: change.reason, TRIGGERED_BY: NAME},
    )


def _skip(why: str, memory: Memory) -> dg.SensorResult:
    """Nothing is done. The cursor is kept all the same: of one that could not be read the log speaks once."""
    return dg.SensorResult(skip_reason=why, cursor=memory.model_dump_json())


def _dates(keys: Iterable[str]) -> set[date]:
    return {day_of(key) for key in keys}
