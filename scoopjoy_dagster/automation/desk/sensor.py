"""The sensor of the Batch Run desk: starts what people ask for there, and shows every run of the close.

ERPNext needs no way to Dagster: a click writes a Batch Run Request, and this sensor finds it.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import dagster as dg
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, ValidationError

from scoopjoy_dagster.automation.nightly import Job
from scoopjoy_dagster.erpnext.errors import ERPNextError, Forbidden, LoginFailed, NotFound
from scoopjoy_dagster.partitions import last_ended_day
from scoopjoy_dagster.resources.clock import ClockResource
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.mail import MailResource

if TYPE_CHECKING:
    from scoopjoy_dagster.automation.desk.mirror import Look

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

MOST = 50
"""Documents that people have saved and one look takes, the oldest first; the next look takes the rest."""

log = logging.getLogger(__name__)


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
        if begun < memory.not_before <= begun + PAUSE:  # beyond that, somebody's hand or another clock
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
                why = f"ERPNext could not be asked, the next look tries again: {problem}"
                return dg.SensorResult(skip_reason=why, cursor=memory.cursor)
            unseen = [one for one in saved if memory.seen.get(one.name) != one.modified]
            changed = unseen[:MOST]
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
            if len(unseen) > MOST and not look.waiting:
                look.waiting = f"{len(unseen) - MOST} changed documents are left to the next looks"
        for sentence in (*taken.said, *look.corrected):
            context.log.warning("%s", sentence)
        memory = memory.after(begun, taken.aside, look)
        if taken.runs:
            return dg.SensorResult(run_requests=taken.runs, cursor=memory.cursor)
        return dg.SensorResult(skip_reason="; ".join([*taken.said, look.sentence]), cursor=memory.cursor)

    return batch_run_desk


def _site_moment(text: str) -> str:
    """A moment as ERPNext writes `modified`; ValueError for anything else."""
    moment = _of_our_time(datetime.fromisoformat(text))
    if moment.tzinfo:
        raise ValueError
    return str(moment)


def _of_our_time(moment: datetime) -> datetime:
    """The moment; ValueError for one so long ago that nothing can be taken from it."""
    if moment < _EARLIEST.replace(tzinfo=moment.tzinfo):
        raise ValueError
    return moment


_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_Aware = Annotated[AwareDatetime, AfterValidator(_of_our_time)]
_SiteMoment = Annotated[str, AfterValidator(_site_moment)]


class _Memory(BaseModel):
    """What a tick leaves to the next.

    Attributes:
        since: all that had ended before is shown.
        not_before: nothing is asked of ERPNext before, and `why`.
        aside: marks of the requests that nobody can answer.
        changed_since: a moment of the site: documents that were saved before are right, or were named.
        seen: those saved later that are right too: when each was saved.
    """

    model_config = ConfigDict(frozen=True)

    since: _Aware
    not_before: _Aware = _EARLIEST
    why: str = ""
    changed_since: _SiteMoment
    aside: tuple[str, ...] = ()
    seen: dict[str, _SiteMoment] = {}

    @classmethod
    def of(cls, cursor: str | None, now: datetime, site_now: datetime) -> "_Memory":
        """The memory in a cursor. One that cannot be used, as people may set any, remembers nothing, and the log says so."""
        from scoopjoy_dagster.automation.desk import mirror
        from scoopjoy_dagster.automation.parcels import read_note

        site_since = (site_now - mirror.WINDOW).replace(microsecond=0)
        new = {"since": now - mirror.WINDOW, "changed_since": str(site_since)}
        try:
            memory = cls.model_validate({**new, **read_note(cursor)})
        except ValidationError:
            memory = None
        if memory and memory.since <= now and memory.changed_since <= str(site_now + timedelta(days=1)):
            return memory
        log.warning("The cursor of %s cannot be used; it begins again: %s", NAME, (cursor or "")[:200])
        return cls.model_validate(new)

    @property
    def cursor(self) -> str:
        return self.model_dump_json()

    def paused(self, until: datetime, why: str) -> "_Memory":
        return self.model_copy(update={"not_before": until, "why": why})

    def after(self, begun: datetime, aside: Sequence[str], look: "Look") -> "_Memory":
        """What is known after a look; the moments go on when it has left nothing undone."""
        seen = {**self.seen, **look.right}
        known: dict[str, Any] = {"not_before": _EARLIEST, "why": "", "aside": tuple(aside), "seen": seen}
        if look.complete:
            newest = max(seen.values(), default=self.changed_since)
            changed_since = max(self.changed_since, str(datetime.fromisoformat(newest) - SLOWEST_SAVE))
            known |= {
                "since": max(self.since, begun - OVERLAP),
                "changed_since": changed_since,
                "seen": {name: moment for name, moment in seen.items() if moment >= changed_since},
            }
        return self.model_copy(update=known)
