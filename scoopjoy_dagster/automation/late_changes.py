"""The sensor that finds days touched after their close, and requests just those.

A business day is closed an hour after it has ended, and people go on working in ERPNext: an invoice is back-dated,
returned or cancelled, a POS device comes back online with a shift of last week. The close of such a day run again posts
the difference; this sensor is who runs it. A new rate is no change of a posted day, which keeps its own.

It looks in two ways. By `modified`, every tick: cheap, and quick to notice, but blind for what leaves no timestamp
(a document deleted, a backup restored, a change by SQL). So a touched day is only a
candidate, and each day of the window is compared in turn, touched or not, at least once an hour. It is compared with the books:
with the royalties that are posted, the shifts, and the figures that were told last.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.assets import royalties
from scoopjoy_dagster.automation.nightly import REASON, TRIGGERED_BY, Job
from scoopjoy_dagster.automation.state import in_flight_days, settled_days
from scoopjoy_dagster.erpnext.deliveries import told_last
from scoopjoy_dagster.erpnext.errors import ERPNextError
from scoopjoy_dagster.erpnext.shift_totals import DayShifts, shifts_of_days
from scoopjoy_dagster.erpnext.site import Books, Site
from scoopjoy_dagster.partitions import day_of
from scoopjoy_dagster.resources.clock import ClockResource
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.policy import RoyaltyPolicyResource

if TYPE_CHECKING:
    from scoopjoy_dagster.automation.changed_days import Change, Memory

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
        royalty_policy: RoyaltyPolicyResource,
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
                found = read_changes(site, books, royalty_policy.policy, turn.compare, turn.touched.keys())
        except ERPNextError as problem:
            return _skip(f"ERPNext could not be read, the next tick tries again: {problem}", memory)
        decision = changed_days.decide(
            memory,
            turn,
            found,
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


def read_changes(
    site: Site, books: Books, policy: RoyaltyPolicy, days: Sequence[date], touched: Collection[date]
) -> list[Change]:
    """Those of these days, oldest first, that closing again would do something on. Reads only.

    A fixed number of list calls, and three more for a day on which something is to be posted, or which was touched: on such a
    day a sale may have taken the place of a cancelled one of the same amount.
    """
    from scoopjoy_dagster.automation.changed_days import change_of

    if not days:
        return []
    plans = royalties.read_days(site, books, policy, days)
    shifts = shifts_of_days(site, days[0], days[-1])
    told = told_last(site, books.company, days)
    found = []
    for day in days:
        plan = plans[day]
        if plan.writes() or (day in touched and any(one.touched_since for one in plan.actions)):
            plan = royalties.complete(site, books, plan)
        found.append(change_of(plan, shifts.get(day, DayShifts()), told.get(day, ())))
    return [one for one in found if one]


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
