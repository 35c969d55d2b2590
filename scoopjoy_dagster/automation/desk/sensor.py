"""The sensor of the Batch Run desk: starts what people ask for there, and shows every run of the close.

ERPNext needs no way to Dagster: a click writes a Batch Run Request, and this sensor finds it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta

import dagster as dg

from scoopjoy_dagster.automation.nightly import Job
from scoopjoy_dagster.erpnext.errors import ERPNextError, Forbidden, LoginFailed, NotFound
from scoopjoy_dagster.partitions import last_ended_day
from scoopjoy_dagster.resources.clock import ClockResource
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.mail import MailResource

NAME = "batch_run_desk"

INTERVAL_S = 5
"""Seconds between two looks: a person who clicks is waiting."""

PAUSE = timedelta(minutes=1)
"""No look for so long after a refusal that no repetition can help: a wrong key, or no desk on the site."""

OVERLAP = timedelta(minutes=2)
"""Ended runs are looked for from so long before the last complete look: clocks differ between machines."""

SLOWEST_SAVE = timedelta(minutes=1)
"""Documents that people have saved are looked for from so long before the newest one seen: ERPNext notes the moment at the
beginning of a save, and shows it at the end."""


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
        from scoopjoy_dagster.automation.desk import changes, inbox, mirror
        from scoopjoy_dagster.erpnext.batch_runs import BatchRuns

        begun = datetime.now(UTC)
        memory = _Memory.of(context.cursor, begun, clock.site_now())
        if begun < memory.not_before:
            return dg.SkipReason(memory.why)
        origin = context.code_location_origin
        location = origin.location_name if origin else None
        with erpnext.glance() as client:
            desk = BatchRuns(client)
            try:
                saved = desk.changed(memory.changed_since)
                taken = inbox.take(
                    context.instance,
                    desk,
                    first=go_live,
                    last=last_ended_day(clock.now(), day_ends_at),
                    now=begun,
                    aside=memory.aside,
                )
            except (LoginFailed, NotFound, Forbidden) as problem:
                said = "" if isinstance(problem, LoginFailed) else f"{mirror.NOT_INSTALLED}. "
                why = f"{said}The next look is in a minute: {problem}"
                return dg.SensorResult(skip_reason=why, cursor=memory.paused(begun + PAUSE, why).cursor)
            except ERPNextError as problem:
                return dg.SkipReason(f"ERPNext could not be asked, the next look tries again: {problem}")
            changed = [one for one in saved if memory.seen.get(one.name) != one.modified]
            records = {
                record.dagster_run.run_id: record
                for record in (
                    *mirror.runs_to_show(context.instance, job.name, memory.since, location=location),
                    *changes.runs_behind(context.instance, job.name, changed, location),
                )
            }
            names = [one.name for one in changed]
            look = mirror.show(context.instance, desk, list(records.values()), mail.ui_url, changed=names)
            if changed and not look.waiting:
                try:
                    taken.said += changes.put_back(context.instance, desk, changed, look, location)
                except ERPNextError as problem:
                    look.waiting = f"ERPNext could not be asked about changed documents: {problem}"
        for sentence in (*taken.said, *look.corrected):
            context.log.warning("%s", sentence)
        memory = replace(memory, why="", aside=taken.aside)
        if look.complete:
            memory = memory.after(begun, look.right)
        if taken.runs:
            return dg.SensorResult(run_requests=taken.runs, cursor=memory.cursor)
        return dg.SensorResult(skip_reason="; ".join([*taken.said, look.sentence]), cursor=memory.cursor)

    return batch_run_desk


@dataclass(frozen=True, slots=True)
class _Memory:
    """What a tick leaves to the next.

    Attributes:
        since: all that had ended before is shown.
        not_before: nothing is asked of ERPNext before, and `why`.
        aside: marks of the requests that nobody can answer.
        changed_since: a moment of the site: documents that were saved before are right, or were named.
        seen: those saved later that are right too: when each was saved.
    """

    since: datetime
    not_before: datetime
    why: str
    changed_since: str
    aside: Sequence[str] = ()
    seen: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, cursor: str | None, now: datetime, site_now: datetime) -> "_Memory":
        from scoopjoy_dagster.automation.desk import mirror
        from scoopjoy_dagster.automation.parcels import read_note

        kept = read_note(cursor)
        since = datetime.fromisoformat(kept["since"]) if "since" in kept else now - mirror.WINDOW
        not_before = datetime.fromisoformat(kept["not_before"]) if "not_before" in kept else since
        changed_since = str(kept.get("changed_since") or (site_now - mirror.WINDOW).replace(microsecond=0))
        return cls(
            since,
            not_before,
            str(kept.get("why", "")),
            changed_since,
            kept.get("aside", ()),
            kept.get("seen", {}),
        )

    @property
    def cursor(self) -> str:
        kept = {
            "since": self.since.isoformat(),
            "changed_since": self.changed_since,
            "aside": list(self.aside),
            "seen": dict(self.seen),
        }
        if self.why:
            kept |= {"not_before": self.not_before.isoformat(), "why": self.why}
        return json.dumps(kept)

    def paused(self, until: datetime, why: str) -> "_Memory":
        return replace(self, not_before=until, why=why)

    def after(self, begun: datetime, right: Mapping[str, str]) -> "_Memory":
        """What is known when a look has left nothing undone."""
        seen = {**self.seen, **right}
        newest = max(seen.values(), default=self.changed_since)
        changed_since = max(self.changed_since, str(datetime.fromisoformat(newest) - SLOWEST_SAVE))
        return replace(
            self,
            since=max(self.since, begun - OVERLAP),
            changed_since=changed_since,
            seen={name: moment for name, moment in seen.items() if moment >= changed_since},
        )
