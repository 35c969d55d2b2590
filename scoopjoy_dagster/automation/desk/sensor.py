"""The sensor of the Batch Run desk: starts what people ask for there, and shows every run of the close.

ERPNext needs no way to Dagster: a click writes a Batch Run Request, and this sensor finds it. A request is answered
when its run is seen, not when it is asked for, so a daemon that dies in between asks again; Dagster starts one run for
one run key.
"""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from scoopjoy_dagster.automation.nightly import REASON, TRIGGERED_BY, Job
from scoopjoy_dagster.erpnext.errors import ERPNextError, Forbidden, LoginFailed, NotFound
from scoopjoy_dagster.partitions import last_ended_day
from scoopjoy_dagster.resources.clock import ClockResource
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.mail import MailResource

if TYPE_CHECKING:
    from scoopjoy_dagster.erpnext.batch_runs import BatchRuns, Request

NAME = "batch_run_desk"
REQUEST = "scoopjoy/batch_request"
"""Run tag: the Batch Run Request that the run answers."""

INTERVAL_S = 5
"""Seconds between two looks: a person who clicks is waiting."""

PAUSE = timedelta(minutes=1)
"""No look for so long after a refusal that no repetition can help: a wrong key, or no desk on the site."""

OVERLAP = timedelta(minutes=2)
"""Ended runs are looked for from so long before the last complete look: clocks differ between machines."""


def build(
    job: Job, *, go_live: date, day_ends_at: time, status: dg.DefaultSensorStatus
) -> dg.SensorDefinition:
    """The sensor, for the job that closes a business day; `status`: whether it is on before anybody has touched it."""

    @dg.sensor(
        name=NAME,
        job=job,
        minimum_interval_seconds=INTERVAL_S,
        default_status=status,
        tags={"scoopjoy/purpose": "batch-run-desk"},
        description="Shows every run of the close as a Batch Run in ERPNext, and starts the runs that people ask for "
        "there. It never holds up a run: what ERPNext does not take now, a later look writes.",
    )
    def batch_run_desk(
        context: dg.SensorEvaluationContext,
        erpnext: ERPNextResource,
        mail: MailResource,
        clock: ClockResource,
    ) -> dg.SensorResult | dg.SkipReason:
        from scoopjoy_dagster.automation.desk import mirror
        from scoopjoy_dagster.erpnext.batch_runs import BatchRuns

        begun = datetime.now(UTC)
        memory = _Memory.of(context.cursor, begun)
        if begun < memory.not_before:
            return dg.SkipReason(memory.why)
        origin = context.code_location_origin
        with erpnext.glance() as client:
            desk = BatchRuns(client)
            try:
                asked = _asked(context.instance, desk, go_live, last_ended_day(clock.now(), day_ends_at))
            except (LoginFailed, NotFound, Forbidden) as problem:
                said = "" if isinstance(problem, LoginFailed) else f"{mirror.NOT_INSTALLED}. "
                why = f"{said}The next look is in a minute: {problem}"
                return memory.pause(begun + PAUSE, why)
            except ERPNextError as problem:
                return dg.SkipReason(f"ERPNext could not be asked, the next look tries again: {problem}")
            records = mirror.runs_to_show(
                context.instance, job.name, memory.since, location=origin.location_name if origin else None
            )
            look = mirror.show(context.instance, desk, records, mail.ui_url)
        since = max(memory.since, begun - OVERLAP) if look.complete else memory.since
        cursor = json.dumps({"since": since.isoformat()})
        if asked:
            return dg.SensorResult(run_requests=asked, cursor=cursor)
        return dg.SensorResult(skip_reason=look.sentence, cursor=cursor)

    return batch_run_desk


@dataclass(frozen=True, slots=True)
class _Memory:
    """What a tick leaves to the next: all that had ended before `since` is shown; nothing is asked before `not_before`."""

    since: datetime
    not_before: datetime
    why: str

    @classmethod
    def of(cls, cursor: str | None, now: datetime) -> "_Memory":
        from scoopjoy_dagster.automation.desk import mirror
        from scoopjoy_dagster.automation.parcels import read_note

        kept = read_note(cursor)
        since = datetime.fromisoformat(kept["since"]) if "since" in kept else now - mirror.WINDOW
        not_before = datetime.fromisoformat(kept["not_before"]) if "not_before" in kept else since
        return cls(since, not_before, str(kept.get("why", "")))

    def pause(self, until: datetime, why: str) -> dg.SensorResult:
        kept = {"since": self.since.isoformat(), "not_before": until.isoformat(), "why": why}
        return dg.SensorResult(skip_reason=why, cursor=json.dumps(kept))


def _asked(instance: dg.DagsterInstance, desk: "BatchRuns", first: date, last: date) -> list[dg.RunRequest]:
    """The runs to start; requests whose run has been started, or that must be refused, are answered."""
    from scoopjoy_dagster.automation.desk.requests import answer
    from scoopjoy_dagster.automation.desk.run_facts import BATCH_RUN

    open_requests: list[Request] = []
    for request in desk.requests():
        run_id = _run_of(instance, request)
        if run_id:
            desk.started(request.name, run_id)
        else:
            open_requests.append(request)
    if not open_requests:
        return []
    allowed = desk.may_write({request.user for request in open_requests})
    documents = desk.with_steps({request.batch_run for request in open_requests})
    todo = []
    for request in open_requests:
        shown = documents.get(request.batch_run)
        found = answer(request, shown, may_write=request.user in allowed, first=first, last=last)
        if shown is None or not found.assets:
            desk.refused(request.name, found.refusal)
            continue
        todo.append(
            dg.RunRequest(
                run_key=_mark(request),
                partition_key=shown.day.isoformat(),
                asset_selection=[dg.AssetKey(name) for name in found.assets],
                tags={
                    BATCH_RUN: request.batch_run,
                    REQUEST: _mark(request),
                    TRIGGERED_BY: request.user,
                    REASON: request.action,
                },
            )
        )
    return todo


def _mark(request: "Request") -> str:
    """A request for ever: its name alone may come again."""
    return f"{request.name} @ {request.made}"


def _run_of(instance: dg.DagsterInstance, request: "Request") -> str:
    """The first run that a request has started; later ones are re-executions of it. Empty when there is none."""
    found = instance.get_run_records(dg.RunsFilter(tags={REQUEST: _mark(request)}), limit=1, ascending=True)
    return found[0].dagster_run.run_id if found else ""
