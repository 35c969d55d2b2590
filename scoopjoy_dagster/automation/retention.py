"""Retention: finished runs that are old enough lose the noise of their event log, and nothing that anybody reads.

Dagster purges ticks (`retention` in dagster.yaml), but keeps every event for good, and deleting whole runs
(`DagsterInstance.delete_run`) would take the materializations along: the days would not be settled any more. So rows of
the kinds in `NOISE` go, and all others stay, also kinds that a later Dagster invents: materializations, observations and
checks (which days are settled, what a close did), starts and ends of steps and runs with their errors (the run's page,
alerts, Batch Runs), and the runs themselves (who did what, and when).

Dagster's storage has no interface for that, so it is SQL, on PostgreSQL only.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from scoopjoy_dagster.automation.jobs import RETENTION_JOB, WATCH_JOB
from scoopjoy_dagster.automation.nightly import TRIGGERED_BY
from scoopjoy_dagster.executors import IN_ONE_PROCESS
from scoopjoy_dagster.partitions import TIME_ZONE
from scoopjoy_dagster.resources.clock import ClockResource

if TYPE_CHECKING:
    import sqlalchemy as sa

JOB = RETENTION_JOB
OP = "purge_event_log"
SCHEDULE = "retention_schedule"
CRON = "0 4 * * 0"

KEPT_DAYS = 90
"""Days that events are kept when the settings do not say otherwise."""

NOISE = tuple(
    dg.DagsterEventType[name].value
    for name in (
        "ENGINE_EVENT",
        "HANDLED_OUTPUT",
        "LOADED_INPUT",
        "OBJECT_STORE_OPERATION",
        "RESOURCE_INIT_STARTED",
        "RESOURCE_INIT_SUCCESS",
        "STEP_INPUT",
        "STEP_OUTPUT",
        "STEP_WORKER_STARTED",
        "STEP_WORKER_STARTING",
    )
)
"""Kinds of events that only say how Dagster went about it. Lines of a step's own log, which have no kind, go too.

Between our steps no values pass, so a re-execution of an old run does without STEP_OUTPUT. LOGS_CAPTURED stays: it says
where a run's stdout and stderr lie, which are files and are not purged.
"""

ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
"""Statuses that no run ever leaves: what belongs to another one is never touched."""

PAGE = 100
"""Runs that are looked at together."""

BATCH = 2000
"""Rows of one statement, which is one transaction: short, so that nobody waits for its end."""


@dataclass(slots=True)
class Purged:
    """What was deleted, or in a dry run would be: rows, bytes of their bodies, and the runs that they were of."""

    rows: int = 0
    bytes: int = 0
    runs: int = 0


def build_job(days: int, close_job: str) -> dg.JobDefinition:
    """The job, for the runs of this code location that ended more than so many days ago (0: none).

    `close_job` is the name of the job that closes a business day.
    """
    ours = {close_job, WATCH_JOB, JOB}

    @dg.op(
        name=OP,
        description="Delete the noise of old runs from Dagster's event log, in small batches.",
        out=dg.Out(dg.Nothing),  # any value would be kept in a file
        # Not a `dg.Config`: its fields can be read from a variable (`resources.launchpad`).
        config_schema={
            "dry_run": dg.Field(dg.Bool, default_value=False, description="true: count, and delete nothing.")
        },
    )
    def purge_event_log(context: dg.OpExecutionContext, clock: ClockResource) -> dg.Output[None]:
        dry_run: bool = context.op_config["dry_run"]
        if days == 0:
            return _said(context, "Events are kept for good: SCOOPJOY_EVENT_LOG_DAYS is 0.")
        storage = context.instance.event_log_storage
        if not _is_postgresql(storage):
            return _said(
                context,
                f"Nothing is deleted: the event log is a {type(storage).__name__}, and only PostgreSQL is purged.",
            )
        origin = context.run.remote_job_origin
        before = (clock.now() - timedelta(days=days)).astimezone(UTC)
        try:
            found = purge(
                context.instance,
                before,
                location=origin.location_name if origin else None,
                jobs=ours,
                dry_run=dry_run,
            )
        except Exception as problem:
            message = (
                f"The event log could not be purged: {problem} No day is affected; what was deleted stays deleted, and "
                "the next run goes on. Mend the database, then launch the job retention."
            )
            raise dg.Failure(message, allow_retries=False) from problem
        verb = "would be deleted (dry run)" if dry_run else "deleted"
        return _said(
            context,
            f"{found.rows} events of {found.runs} runs {verb}, {found.bytes / 1e6:.1f} MB; runs that ended "
            f"before {before:%Y-%m-%d %H:%M} UTC.",
            found,
        )

    @dg.job(
        name=JOB,
        executor_def=IN_ONE_PROCESS,  # wherever the steps of the close are worked on
        description="Every week: delete from Dagster's event log what nobody reads of runs that ended more than "
        f"{days} days ago. Days stay settled; runs, materializations, checks and errors stay.",
        tags={"dagster/priority": "-10"},  # whatever else waits goes first
    )
    def retention() -> None:
        purge_event_log()

    return retention


def build_schedule(job: dg.JobDefinition, status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    """Every Sunday at 04:00, when the night's close is over and the watchdog has not begun."""
    return dg.ScheduleDefinition(
        name=SCHEDULE,
        job=job,
        cron_schedule=CRON,
        execution_timezone=TIME_ZONE,
        default_status=status,
        tags={TRIGGERED_BY: "schedule"},
        description="Every Sunday at 04:00: delete what nobody reads from the event log of old runs.",
    )


def purge(
    instance: dg.DagsterInstance,
    before: datetime,
    *,
    location: str | None,
    jobs: Collection[str],
    dry_run: bool = False,
) -> Purged:
    """Delete the noise of our runs that ended before a moment (aware); in a dry run only count it.

    Every statement is a transaction, and what is gone is not found again: it may be ended at any point and run again.
    """
    import sqlalchemy as sa

    events = _events()
    total = Purged()
    # Without a time zone, and UTC: so Dagster writes the column.
    moment = before.astimezone(UTC).replace(tzinfo=None)
    for page in _old_runs(instance, before, location, jobs):
        noise = sa.and_(
            events.c.run_id.in_(page),
            events.c.timestamp < moment,
            sa.or_(events.c.dagster_event_type.is_(None), events.c.dagster_event_type.in_(NOISE)),
        )
        of_runs: set[str] = set()
        for rows in _counted(instance, noise) if dry_run else _deleted(instance, noise):
            of_runs |= {str(run_id) for run_id, _, _ in rows}
            total.rows += sum(count for _, count, _ in rows)
            total.bytes += sum(size for _, _, size in rows)
        total.runs += len(of_runs)
    return total


def _old_runs(
    instance: dg.DagsterInstance, before: datetime, location: str | None, jobs: Collection[str]
) -> Iterator[list[str]]:
    """Our runs that ended before a moment, page by page.

    Ours are those of our code location. A run without one was made by a process of its own, such as the `scoopjoy`
    command: it is ours when its job is. Everybody else's in a shared database is theirs to purge.
    """
    from scoopjoy_dagster.automation.facts import ended

    filters = dg.RunsFilter(statuses=list(ENDED), created_before=before)
    cursor = None
    while records := instance.get_run_records(filters, limit=PAGE, cursor=cursor):
        page = []
        for record in records:
            run = record.dagster_run
            origin = run.remote_job_origin
            ours = origin.location_name == location if origin else run.job_name in jobs
            if ours and ended(record) < before:
                page.append(run.run_id)
        if page:
            yield page
        cursor = records[-1].dagster_run.run_id


Rows = list[tuple[str, int, int]]
"""Run, number of rows, bytes."""


def _events() -> "sa.Table":
    """The event log. The storage of Dagster is imported where it is used: it costs a third of Dagster's own import."""
    from dagster._core.storage.event_log.schema import SqlEventLogStorageTable

    return SqlEventLogStorageTable


def _deleted(instance: dg.DagsterInstance, noise: "sa.ColumnElement[bool]") -> Iterator[Rows]:
    import sqlalchemy as sa

    events = _events()
    batch = sa.select(events.c.id).where(noise).limit(BATCH)
    statement = (
        sa.delete(events)
        .where(events.c.id.in_(batch))
        .returning(events.c.run_id, sa.func.pg_column_size(events.c.event))
    )
    while True:
        with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
            rows = [(run_id, 1, size) for run_id, size in connection.execute(statement)]
        if not rows:
            return
        yield rows


def _counted(instance: dg.DagsterInstance, noise: "sa.ColumnElement[bool]") -> Iterator[Rows]:
    import sqlalchemy as sa

    events = _events()
    size = sa.func.sum(sa.func.pg_column_size(events.c.event))
    statement = sa.select(events.c.run_id, sa.func.count(), size).where(noise).group_by(events.c.run_id)
    with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
        yield [(run_id, int(count), int(total)) for run_id, count, total in connection.execute(statement)]


def _is_postgresql(storage: object) -> bool:
    from dagster_postgres import PostgresEventLogStorage

    return isinstance(storage, PostgresEventLogStorage)


def _said(context: dg.OpExecutionContext, sentence: str, found: Purged | None = None) -> dg.Output[None]:
    figures = found or Purged()
    context.log.info(sentence)
    metadata: dict[str, str | int] = {
        "result": sentence,
        "rows": figures.rows,
        "bytes": figures.bytes,
        "runs": figures.runs,
    }
    return dg.Output(None, metadata=metadata)
