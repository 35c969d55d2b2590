"""The purge of the event log, on a real PostgreSQL: what goes, what stays, and what it must never touch."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from scoopjoy_dagster.automation import retention
from scoopjoy_dagster.automation.alert import Links
from scoopjoy_dagster.automation.desk.run_facts import read_run as read_batch_run
from scoopjoy_dagster.automation.facts import read_run
from scoopjoy_dagster.automation.nightly import TRIGGERED_BY
from scoopjoy_dagster.automation.outbox import pending
from scoopjoy_dagster.automation.recovery import closed_by
from scoopjoy_dagster.automation.state import settled_days
from scoopjoy_dagster.local.home import prepare_home
from scoopjoy_dagster.local.postgres import EmbeddedPostgres
from scoopjoy_dagster.partitions import day_of
from scoopjoy_dagster_tests.automation.world import DAYS, Close, origin, refusal

ENDED = ["2026-03-01", "2026-03-02", "2026-03-03"]
OURS = {"nightly_close", "watchdog", "retention"}
LATER = datetime.now(UTC) + timedelta(days=91)
"""When what happens in these tests is older than 90 days."""


class Record:
    """Dagster's tables."""

    def __init__(self, url: str, environment: dict[str, str]) -> None:
        self.environment = environment
        self._engine = sa.create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")

    def events(self) -> Counter[str]:
        """Rows of the event log by kind; empty for a line of a step's own log."""
        return Counter(
            str(kind) for (kind,) in self.ask("SELECT coalesce(dagster_event_type, '') FROM event_logs")
        )

    def noise(self) -> int:
        found = self.events()
        return sum(found[kind] for kind in ("", *retention.NOISE))

    def events_of(self, run_id: str) -> list[int]:
        rows = self.ask("SELECT id FROM event_logs WHERE run_id = :run ORDER BY id", run=run_id)
        return [int(one) for (one,) in rows]

    def rows(self, table: str) -> list[Any]:
        return self.ask(f'SELECT * FROM "{table}" ORDER BY id')

    def ask(self, query: str, **values: Any) -> list[Any]:
        with self._engine.connect() as connection:
            return list(connection.execute(sa.text(query), values))

    def change(self, statement: str, **values: Any) -> None:
        """What no program of ours would do."""
        with self._engine.connect() as connection:
            connection.execute(sa.text(statement), values)


@pytest.fixture(scope="module")
def database() -> Iterator[tuple[dg.DagsterInstance, Record]]:
    """The shipped dagster.yaml on a PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="scoopjoy-test-") as name, EmbeddedPostgres(Path(name)) as server:
        environment = prepare_home(Path(name) / "home", server.url, base={})
        with mock.patch.dict(os.environ, environment), dg.DagsterInstance.get() as loaded:
            # As the webserver: hundreds of connections a test would be most of its time.
            loaded.optimize_for_webserver(statement_timeout=60_000, pool_recycle=3600, max_overflow=5)
            yield loaded, Record(server.url, environment)


@pytest.fixture
def record(database: tuple[dg.DagsterInstance, Record]) -> Record:
    """Its tables, empty."""
    tables = "event_logs, runs, run_tags, asset_keys, asset_event_tags, asset_check_executions"
    database[1].change(f"TRUNCATE {tables}")
    return database[1]


@pytest.fixture
def instance(database: tuple[dg.DagsterInstance, Record], record: Record) -> dg.DagsterInstance:
    """An instance that nothing has run on."""
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    return database[0]


@pytest.fixture
def close(instance: dg.DagsterInstance) -> Close:
    """A close whose clock shows a time at which all that happens here is old."""
    return Close(instance, now=LATER.isoformat())


def purge(close: Close, **config: Any) -> dict[str, Any]:
    """The job as a person launches it; what it says of itself."""
    done = close.defs.resolve_job_def(retention.JOB).execute_in_process(
        instance=close.instance,
        run_config={"ops": {retention.OP: {"config": config}}} if config else {},
        raise_on_error=False,
    )
    assert done.success
    (said,) = [one.step_output_data.metadata for one in done.all_events if one.is_successful_output]
    return {name: entry.value for name, entry in said.items()}


def links() -> Links:
    return Links("http://dagster.example", "http://erp.example")


# -- what goes and what stays -----------------------------------------------------------------------------------


def test_only_noise_goes_and_every_other_row_and_table_stays(close: Close, record: Record) -> None:
    close.boom["reports"] = refusal("reports", ENDED[0])
    close.run(ENDED[0])
    before, noise = record.events(), record.noise()
    tables = {
        name: record.rows(name) for name in ("asset_check_executions", "asset_event_tags", "asset_keys")
    }
    said = retention.purge(close.instance, LATER - timedelta(days=90), location=None, jobs=OURS)
    assert said.rows == noise > 5
    assert said.bytes > 0
    assert said.runs == 1
    after = record.events()
    assert record.noise() == 0
    assert after == {kind: rows for kind, rows in before.items() if kind not in {"", *retention.NOISE}}
    assert after["STEP_FAILURE"] == after["PIPELINE_FAILURE"] == 1
    assert {name: record.rows(name) for name in tables} == tables


def test_no_kind_that_says_what_was_done_is_noise() -> None:
    kept = {
        "ASSET_",
        "PIPELINE_",
        "RUN_",
        "STEP_START",
        "STEP_SUCCESS",
        "STEP_FAILURE",
        "STEP_SKIPPED",
        "LOGS_",
    }
    assert not [kind for kind in retention.NOISE if any(kind.startswith(one) for one in kept)]
    # `read_run` of alerts and of Batch Runs ask for these by name.
    from scoopjoy_dagster.automation.desk.run_facts import _WANTED
    from scoopjoy_dagster.automation.facts import _KINDS

    assert not {kind.value for kind in _WANTED | _KINDS} & set(retention.NOISE)


def test_what_happened_less_days_ago_stays(close: Close, record: Record) -> None:
    close.run(ENDED[0])
    before = record.events()
    close.now = (datetime.now(UTC) + timedelta(days=89)).isoformat()
    close.rebuild_quietly()
    assert purge(close)["rows"] == 0
    after = record.events()
    assert all(after[kind] >= rows for kind, rows in before.items())


def test_the_dry_run_counts_and_deletes_nothing(close: Close, record: Record) -> None:
    close.run(ENDED[0])
    noise, runs = record.noise(), {one.dagster_run.run_id for one in close.instance.get_run_records()}
    kept = {run: record.events_of(run) for run in runs}
    said = purge(close, dry_run=True)
    assert said["rows"] == noise
    assert said["runs"] == len(runs)
    assert "dry run" in said["result"]
    assert {run: record.events_of(run) for run in runs} == kept
    assert purge(close)["rows"] >= noise


def test_a_second_purge_finds_nothing(close: Close) -> None:
    close.run(ENDED[0])
    before = LATER - timedelta(days=90)
    assert retention.purge(close.instance, before, location=None, jobs=OURS).rows > 0
    assert retention.purge(close.instance, before, location=None, jobs=OURS) == retention.Purged()


def test_many_batches_delete_the_same(close: Close, record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in ENDED:
        close.run(day)
    noise = record.noise()
    monkeypatch.setattr(retention, "BATCH", 7)
    monkeypatch.setattr(retention, "PAGE", 2)
    said = retention.purge(close.instance, LATER - timedelta(days=90), location=None, jobs=OURS)
    assert (said.rows, said.runs, record.noise()) == (noise, 3, 0)


# -- whose runs ---------------------------------------------------------------------------------------------------


def test_a_run_that_has_not_ended_is_never_touched(close: Close, record: Record) -> None:
    """Whatever its age: a run of a range may be long, and the daemon reads the events of those in its hands."""
    runs = {}
    for status in dg.DagsterRunStatus:
        if status in retention.ENDED:
            continue
        run = close.instance.create_run_for_job(
            close.defs.resolve_job_def("nightly_close"),
            tags={"dagster/partition": ENDED[0]},
            status=status,
            remote_job_origin=origin(),
        )
        close.instance.report_engine_event("a sign of life", run)
        runs[run.run_id] = record.events_of(run.run_id)
    assert len(runs) >= 6
    assert purge(close)["rows"] == 0
    assert {run: record.events_of(run) for run in runs} == runs


@pytest.mark.parametrize(
    ("location", "job", "goes"),
    [
        ("scoopjoy_dagster", "nightly_close", True),
        ("scoopjoy_dagster", "__ASSET_JOB", True),  # a backfill, "Materialize"
        ("elsewhere", "nightly_close", False),
        (None, "nightly_close", True),  # the `scoopjoy` command
        (None, "somebody_elses", False),
    ],
)
def test_only_the_runs_of_our_code_location_are_purged(
    close: Close, record: Record, location: str | None, job: str, goes: bool
) -> None:
    run = close.instance.create_run_for_job(
        close.defs.resolve_job_def("nightly_close"),
        status=dg.DagsterRunStatus.STARTED,
        remote_job_origin=origin(location, job) if location else None,
    )
    if not location and job != run.job_name:
        record.change(
            "UPDATE runs SET run_body = replace(run_body, 'nightly_close', :job), pipeline_name = :job",
            job=job,
        )
    close.instance.report_engine_event("noise", run)
    close.instance.report_run_canceled(run)
    before = LATER - timedelta(days=90)
    found = retention.purge(close.instance, before, location="scoopjoy_dagster", jobs=OURS)
    assert (found.runs, record.events()["ENGINE_EVENT"]) == ((1, 0) if goes else (0, 1))


def test_a_run_that_was_queued_long_ago_and_ended_lately_stays(close: Close, record: Record) -> None:
    run = close.run(ENDED[0])
    record.change("UPDATE runs SET create_timestamp = now() - interval '400 days'")
    kept = record.events_of(run.run_id)
    before = datetime.now(UTC) - timedelta(days=90)
    assert retention.purge(close.instance, before, location=None, jobs=OURS).rows == 0
    assert record.events_of(run.run_id) == kept


# -- what is read afterwards ------------------------------------------------------------------------------------


def test_days_stay_as_they_are_and_alerts_and_batch_runs_say_the_same(close: Close) -> None:
    close.run(ENDED[0])
    close.boom["invoices"] = refusal("invoices", ENDED[1])
    assert close.run(ENDED[1]).is_failure
    close.boom.clear()
    close.ledger_ok = False
    close.run(ENDED[2])

    def seen() -> dict[str, Any]:
        instance = close.instance
        records = instance.get_run_records(dg.RunsFilter(job_name="nightly_close"))
        return {
            "settled": settled_days(instance, DAYS, ENDED),
            "facts": [read_run(instance, one) for one in records],
            "batch runs": [read_batch_run(instance, one, day_of(ENDED[0])) for one in records],
            "closed by": closed_by(instance, ENDED[0]),
            "alerts": [
                [alert.subject for alert in parcel.alerts]
                for parcel in pending(instance, links(), datetime.now(UTC), location=None)
            ],
        }

    before = seen()
    assert before["settled"] == {ENDED[0]}
    assert before["alerts"]
    assert purge(close)["rows"] > 0
    assert seen() == before
    # And what is done afterwards is seen as ever.
    close.ledger_ok = True
    assert close.run(ENDED[1]).is_success
    assert settled_days(close.instance, DAYS, ENDED) == {ENDED[0], ENDED[1]}


RUN_PAGE = """
query Page($id: ID!) { runOrError(runId: $id) { __typename ... on Run {
  status jobName startTime endTime tags { key value }
  stats { ... on RunStatsSnapshot { stepsSucceeded stepsFailed materializations startTime endTime } }
  stepStats { stepKey status startTime endTime }
  assetMaterializations { assetKey { path } partition }
  eventConnection { events { __typename ... on MessageEvent { message stepKey } } hasMore }
} } }
"""


def page(instance: dg.DagsterInstance, run_id: str) -> dict[str, Any]:
    """The run's page, as Dagster's own GraphQL answers it."""
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import EmptyWorkspaceTarget
    from dagster_graphql.schema import create_schema

    with WorkspaceProcessContext(instance, EmptyWorkspaceTarget(), version="test") as context:
        answer = asyncio.run(
            create_schema().execute_async(
                RUN_PAGE, context_value=context.create_request_context(), variable_values={"id": run_id}
            )
        )
    assert not answer.errors, answer.errors
    found: dict[str, Any] = answer.data["runOrError"]
    assert found["__typename"] == "Run"
    return found


def test_the_page_of_an_old_run_still_shows_its_steps_times_and_errors(close: Close) -> None:
    close.boom["reports"] = refusal("reports", ENDED[0])
    run = close.run(ENDED[0])
    before = page(close.instance, run.run_id)
    purge(close)
    after = page(close.instance, run.run_id)
    events = [one["__typename"] for one in after["eventConnection"]["events"]]
    assert len(events) < len(before["eventConnection"]["events"])
    assert {
        "RunStartEvent",
        "ExecutionStepStartEvent",
        "ExecutionStepFailureEvent",
        "RunFailureEvent",
    } <= set(events)
    for one in (before, after):
        del one["eventConnection"]
    assert after == before
    assert {one["stepKey"]: one["status"] for one in after["stepStats"]}["reports"] == "FAILURE"


def test_an_old_run_can_be_taken_up_again_from_its_failure(
    instance: dg.DagsterInstance, record: Record, tmp_path: Path
) -> None:
    """Dagster asks the events what was done; without the outputs among them it must not repeat or leave out a step."""
    broken = tmp_path / "broken"
    broken.touch()
    with mock.patch.dict(os.environ, {"BROKEN": str(broken)}):
        job = dg.reconstructable(three_steps)
        with dg.execute_job(job, instance=instance, raise_on_error=False) as first:
            assert not first.success
        assert retention.purge(instance, LATER, location=None, jobs={"three_steps_job"}).rows > 0
        assert record.events()["STEP_OUTPUT"] == 0
        broken.unlink()
        again = dg.ReexecutionOptions.from_failure(first.run_id, instance)
        with dg.execute_job(job, instance=instance, reexecution_options=again) as second:
            assert second.success
            done = [one.step_key for one in second.all_events if one.is_step_success]
    assert done == ["second", "third"]


def three_steps() -> dg.JobDefinition:
    """Assets like those of the close: each only waits for the one before it."""

    @dg.asset
    def first() -> None: ...

    @dg.asset(deps=[first])
    def second() -> None:
        if Path(os.environ["BROKEN"]).exists():
            raise RuntimeError("broken")

    @dg.asset(deps=[second])
    def third() -> None: ...

    job = dg.define_asset_job("three_steps_job")
    made = dg.Definitions(assets=[first, second, third], jobs=[job], executor=dg.in_process_executor)
    return made.resolve_job_def("three_steps_job")


# -- when it is ended, when it is off, where it does not apply --------------------------------------------------


SLOWLY = f"""
import sys, time
from datetime import datetime
import dagster as dg
from scoopjoy_dagster.automation import retention
retention.BATCH = 1
with dg.DagsterInstance.get() as instance:
    print("ready", flush=True)
    retention.purge(instance, datetime.fromisoformat(sys.argv[1]), location=None, jobs={sorted(OURS)})
    print("done", flush=True)
"""


def test_killed_in_the_middle_and_run_again_it_has_deleted_the_same(close: Close, record: Record) -> None:
    for day in ENDED:
        close.run(day)
    before, noise = record.events(), record.noise()
    moment = (LATER - timedelta(days=90)).isoformat()
    with subprocess.Popen(
        [sys.executable, "-c", SLOWLY, moment],
        env={**os.environ, **record.environment},
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        deadline = time.monotonic() + 30
        while record.noise() > noise - 3:
            assert time.monotonic() < deadline, "nothing is being deleted"
        child.send_signal(signal.SIGKILL)
        assert "done" not in child.stdout.read()
    left = record.noise()
    assert 0 < left < noise
    assert retention.purge(close.instance, LATER - timedelta(days=90), location=None, jobs=OURS).rows == left
    assert record.events() == {
        kind: rows for kind, rows in before.items() if kind not in {"", *retention.NOISE}
    }


def test_the_job_says_what_it_deleted(close: Close) -> None:
    close.run(ENDED[0])
    said = purge(close)
    assert re.fullmatch(
        r"\d+ events of 1 runs deleted, \d+\.\d MB; runs that ended before \d{4}-\d\d-\d\d \d\d:\d\d UTC\.",
        said["result"],
    )
    (latest,) = close.instance.get_run_records(dg.RunsFilter(job_name=retention.JOB))
    lines = [one.user_message for one in close.instance.all_logs(latest.dagster_run.run_id)]
    assert said["result"] in lines


def test_a_purge_that_fails_says_that_no_day_is_affected(
    close: Close, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    close.run(ENDED[0])
    monkeypatch.setattr(retention, "NOISE", ("ENGINE_EVENT", "\0"))  # which PostgreSQL refuses in any text
    noise = record.events()["ENGINE_EVENT"]
    job = close.defs.resolve_job_def(retention.JOB)
    done = job.execute_in_process(instance=close.instance, raise_on_error=False)
    assert not done.success
    (record_of_run,) = close.instance.get_run_records(dg.RunsFilter(job_name=retention.JOB))
    (step,) = read_run(close.instance, record_of_run).steps
    assert "could not be purged" in step.message
    assert "No day is affected" in step.message
    assert record.events()["ENGINE_EVENT"] >= noise
    assert settled_days(close.instance, DAYS, ENDED) == {ENDED[0]}


def test_zero_days_keeps_everything_for_good(instance: dg.DagsterInstance, record: Record) -> None:
    close = Close(instance, now=LATER.isoformat(), more={"SCOOPJOY_EVENT_LOG_DAYS": "0"})
    close.run(ENDED[0])
    noise = record.noise()
    said = purge(close)
    assert said["rows"] == 0
    assert "SCOOPJOY_EVENT_LOG_DAYS is 0" in said["result"]
    assert record.noise() >= noise


def test_another_database_is_left_alone_and_the_job_says_so() -> None:
    with dg.DagsterInstance.ephemeral() as elsewhere:
        close = Close(elsewhere, now=LATER.isoformat())
        run = close.run(ENDED[0])
        before = len(elsewhere.all_logs(run.run_id))
        said = purge(close)
        assert said["rows"] == 0
        assert "only PostgreSQL is purged" in said["result"]
        assert len(elsewhere.all_logs(run.run_id)) == before


@pytest.mark.parametrize("on", [True, False])
def test_the_schedule_is_weekly_in_indian_time_and_on_when_automation_is(on: bool) -> None:
    with dg.DagsterInstance.ephemeral() as anywhere:
        close = Close(anywhere, automation_on=on)
        (schedule,) = [one for one in close.automation.schedules if one.name == retention.SCHEDULE]
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 4 * * 0", "Asia/Kolkata")
    wanted = dg.DefaultScheduleStatus.RUNNING if on else dg.DefaultScheduleStatus.STOPPED
    assert schedule.default_status is wanted
    assert schedule.tags == {TRIGGERED_BY: "schedule"}
