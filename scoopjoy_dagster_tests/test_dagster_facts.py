"""What this program relies on in Dagster, measured on small definitions of its own: a new version that changes it fails here.

Nothing of the close is tested here; each test says which part of the design stands on the fact.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.automation_tick_evaluation_context import (
    build_run_requests_with_backfill_policies,
)
from dagster._core.definitions.events import AssetKeyPartitionKey
from dagster._core.scheduler import DagsterDaemonScheduler
from dagster._core.snap import JobSnap
from dagster._core.storage.partition_status_cache import AssetPartitionStatus
from dagster._core.storage.tags import RUN_KEY_TAG, SCHEDULE_NAME_TAG, SCHEDULED_EXECUTION_TIME_TAG
from pydantic import Field

from scoopjoy_dagster.resources.launchpad import bound

# Partitioned checks and backfill policies are young in Dagster, and it says so at each definition.
pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning")

DAYS = dg.DailyPartitionsDefinition("2026-03-01", timezone="Asia/Kolkata", end_date="2026-03-06")
FIRST, SECOND, THIRD = "2026-03-01", "2026-03-02", "2026-03-03"
RANGE = {
    "dagster/asset_partition_range_start": FIRST,
    "dagster/asset_partition_range_end": THIRD,
}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def run(
    definitions: dg.Definitions, instance: dg.DagsterInstance, *, day: str | None = None, **tags: str
) -> dg.ExecuteInProcessResult:
    """A run of everything, of one day or of the range above."""
    return definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance, partition_key=day, tags=tags or None, raise_on_error=False
    )


def states(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    wanted = {
        dg.DagsterEventType.STEP_SUCCESS: "success",
        dg.DagsterEventType.STEP_FAILURE: "failure",
        dg.DagsterEventType.STEP_SKIPPED: "skipped",
    }
    return {
        str(event.step_key): wanted[event.event_type]
        for event in result.all_events
        if event.event_type in wanted
    }


# -- days ---------------------------------------------------------------------------------------------------------


def test_a_key_of_india_is_the_window_from_1830_utc_of_the_day_before() -> None:
    """`partitions`: a key is a day of India, whatever the zone of the machine."""
    window = DAYS.time_window_for_partition_key(FIRST)
    assert window.start == datetime(2026, 2, 28, 18, 30, tzinfo=UTC)
    assert window.end == datetime(2026, 3, 1, 18, 30, tzinfo=UTC)
    assert window.start.isoformat() == "2026-03-01T00:00:00+05:30"


def test_a_definition_without_a_time_zone_yields_another_day_at_one_in_the_night() -> None:
    """`partitions`: why the zone is written down. The old pipeline closed the wrong day."""
    now = datetime.fromisoformat("2026-03-02T01:00:00+05:30")
    india = dg.DailyPartitionsDefinition("2026-01-10", timezone="Asia/Kolkata")
    nowhere = dg.DailyPartitionsDefinition("2026-01-10")
    assert india.get_partition_keys(current_time=now)[-1] == "2026-03-01"
    assert nowhere.get_partition_keys(current_time=now)[-1] == "2026-02-28"


NIGHTS = dg.DailyPartitionsDefinition("2026-03-01", timezone="Asia/Kolkata", hour_offset=3, minute_offset=30)


def test_with_an_offset_the_keys_are_the_same_dates_and_each_comes_with_the_end_of_its_window() -> None:
    """`partitions`: a business day that ends after midnight keeps its date as its key, and exists once it has ended."""
    window = NIGHTS.time_window_for_partition_key(FIRST)
    assert window.start.isoformat() == "2026-03-01T03:30:00+05:30"
    assert window.end.isoformat() == "2026-03-02T03:30:00+05:30"
    ended = datetime.fromisoformat("2026-03-02T03:30:00+05:30")
    assert NIGHTS.get_partition_keys(current_time=ended - timedelta(microseconds=1)) == []
    assert NIGHTS.get_partition_keys(current_time=ended) == [FIRST]
    assert NIGHTS.get_partition_keys(current_time=ended + timedelta(days=1))[-1] == SECOND


def test_a_range_of_keys_with_an_offset_has_the_days_of_the_range() -> None:
    """Backfills: the range of a person is dates, whenever the days end."""
    assert list(NIGHTS.get_partition_keys_in_range(dg.PartitionKeyRange(FIRST, THIRD))) == [
        FIRST,
        SECOND,
        THIRD,
    ]


def test_what_was_materialized_before_the_offset_was_changed_stays_materialized(
    instance: dg.DagsterInstance,
) -> None:
    """`SCOOPJOY_DAY_ENDS_AT` may be set later: no closed day is asked for again."""

    def definitions(days: dg.DailyPartitionsDefinition) -> dg.Definitions:
        @dg.asset(partitions_def=days)
        def one() -> None: ...

        return dg.Definitions([one])

    assert run(definitions(DAYS), instance, day=FIRST).success
    assert run(definitions(NIGHTS), instance, day=SECOND).success
    found = instance.get_status_by_partition(dg.AssetKey("one"), [FIRST, SECOND, THIRD], NIGHTS)
    assert found == {
        FIRST: AssetPartitionStatus.MATERIALIZED,
        SECOND: AssetPartitionStatus.MATERIALIZED,
        THIRD: None,
    }


# -- executors ----------------------------------------------------------------------------------------------------


def test_the_implicit_asset_job_takes_the_executor_of_the_definitions_and_of_no_job() -> None:
    """`definitions`: the executor stands on Definitions, because backfills and "Materialize" run this job."""

    @dg.asset
    def one() -> None: ...

    job = dg.define_asset_job("named", [one], executor_def=dg.in_process_executor)
    on_the_job = dg.Definitions([one], jobs=[job])
    assert on_the_job.resolve_job_def("named").executor_def.name == "in_process"
    assert (
        on_the_job.resolve_implicit_global_asset_job_def().executor_def.name == "multi_or_in_process_executor"
    )
    on_the_definitions = dg.Definitions([one], executor=dg.in_process_executor)
    assert on_the_definitions.resolve_implicit_global_asset_job_def().executor_def.name == "in_process"


def test_tags_of_a_job_are_not_on_the_implicit_asset_job() -> None:
    """`dagster.yaml`: limits that must hold for backfills stand there, not in tags of the job."""

    @dg.asset
    def one() -> None: ...

    job = dg.define_asset_job("named", [one], tags={"dagster/max_runtime": "60"})
    definitions = dg.Definitions([one], jobs=[job])
    assert definitions.resolve_job_def("named").tags["dagster/max_runtime"] == "60"
    assert "dagster/max_runtime" not in definitions.resolve_implicit_global_asset_job_def().tags


# -- checks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("blocking", "severity", "success", "downstream"),
    [
        (True, dg.AssetCheckSeverity.ERROR, False, "skipped"),
        (True, dg.AssetCheckSeverity.WARN, True, "success"),
        (False, dg.AssetCheckSeverity.ERROR, True, "success"),
    ],
)
def test_only_a_blocking_check_of_severity_error_fails_the_run_and_skips_what_comes_after(
    instance: dg.DagsterInstance,
    blocking: bool,
    severity: dg.AssetCheckSeverity,
    success: bool,
    downstream: str,
) -> None:
    """`checks`: money checks are blocking errors; any other failed check would tell nobody."""

    @dg.asset
    def ledger() -> None: ...

    @dg.asset(deps=[ledger])
    def after() -> None: ...

    @dg.asset_check(asset=ledger, blocking=blocking)
    def equal() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, severity=severity)

    definitions = dg.Definitions([ledger, after], asset_checks=[equal], executor=dg.in_process_executor)
    result = run(definitions, instance)
    assert result.success is success
    # A step that is never reached for want of its input has no event of its own, or one that says skipped.
    assert states(result).get("after", "skipped") == downstream


@pytest.mark.parametrize("tagged", [False, True])
def test_a_run_of_one_day_has_a_partition_key_and_a_run_of_several_has_a_range(
    instance: dg.DagsterInstance, tagged: bool
) -> None:
    """`assets.runner`: a run that names several days is refused, by its `partition_key_range`."""
    seen: list[tuple[str, str]] = []

    @dg.asset(partitions_def=DAYS)
    def closed(context: dg.AssetExecutionContext) -> None:
        first, last = context.partition_key_range
        seen.append((first, last))

    definitions = dg.Definitions([closed], executor=dg.in_process_executor)
    if tagged:
        assert run(definitions, instance, **RANGE).success
    else:
        assert run(definitions, instance, day=SECOND).success
    assert seen == [(FIRST, THIRD) if tagged else (SECOND, SECOND)]


# -- resources of a run --------------------------------------------------------------------------------------------


class Opened(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Writes down when it is set up and torn down, and by which object."""

    url: str

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        LIFE.append(("up", id(self)))

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        LIFE.append(("down", id(self)))


LIFE: list[tuple[str, int]] = []


@pytest.mark.parametrize("fails", [False, True], ids=["success", "failure"])
def test_all_steps_of_a_run_in_one_process_have_the_same_resource_which_ends_with_the_run(
    instance: dg.DagsterInstance, fails: bool
) -> None:
    """`resources.erpnext`: the steps share one session, and it is closed at the end, also of a run that failed."""
    LIFE.clear()

    @dg.asset
    def one(opened: Opened) -> None:
        LIFE.append(("one", id(opened)))

    @dg.asset_check(asset=one)
    def right(opened: Opened) -> dg.AssetCheckResult:
        LIFE.append(("check", id(opened)))
        return dg.AssetCheckResult(passed=True)

    @dg.asset(deps=[one])
    def two(opened: Opened) -> None:
        LIFE.append(("two", id(opened)))
        if fails:
            raise dg.Failure("not right", allow_retries=False)

    # Bound as the close's resources are: that makes the object anew for each run, and no more often.
    hidden = bound(Opened(url="http://erp.example"))
    definitions = dg.Definitions(
        [one, two], asset_checks=[right], resources={"opened": hidden}, executor=dg.in_process_executor
    )
    assert run(definitions, instance).success is not fails
    assert (LIFE[0][0], LIFE[-1][0]) == ("up", "down")
    assert sorted(name for name, _ in LIFE) == ["check", "down", "one", "two", "up"]
    assert len({which for _, which in LIFE}) == 1


# -- what the instance remembers ------------------------------------------------------------------------------------


def test_a_day_whose_latest_attempt_failed_counts_as_failed_though_it_was_materialized_before(
    instance: dg.DagsterInstance,
) -> None:
    """`automation.state`: a re-run that fails unsettles its day; the next success settles it again."""
    broken: set[str] = set()

    @dg.asset(partitions_def=DAYS)
    def closed(context: dg.AssetExecutionContext) -> None:
        if context.partition_key in broken:
            raise dg.Failure("not right", allow_retries=False)

    definitions = dg.Definitions([closed], executor=dg.in_process_executor)

    def status(day: str) -> AssetPartitionStatus | None:
        found = instance.get_status_by_partition(dg.AssetKey("closed"), [FIRST, SECOND], DAYS) or {}
        return found.get(day)

    assert run(definitions, instance, day=FIRST).success
    assert status(FIRST) is AssetPartitionStatus.MATERIALIZED
    assert status(SECOND) is None
    broken.add(FIRST)
    assert not run(definitions, instance, day=FIRST).success
    assert status(FIRST) is AssetPartitionStatus.FAILED
    broken.clear()
    assert run(definitions, instance, day=FIRST).success
    assert status(FIRST) is AssetPartitionStatus.MATERIALIZED


def test_an_asset_that_was_never_tried_has_no_status_at_all(instance: dg.DagsterInstance) -> None:
    """`automation.state`: None there means that no day is settled."""
    assert instance.get_status_by_partition(dg.AssetKey("closed"), [FIRST], DAYS) is None


def test_a_failure_that_forbids_retries_runs_its_step_once_in_spite_of_a_retry_policy(
    instance: dg.DagsterInstance,
) -> None:
    """`assets.runner`: what ERPNext has rejected is not asked again by Dagster."""
    tries: list[str] = []

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=2))
    def plain() -> None:
        tries.append("plain")
        raise RuntimeError("boom")

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=2))
    def rejected() -> None:
        tries.append("rejected")
        raise dg.Failure("no", allow_retries=False)

    run(dg.Definitions([plain, rejected], executor=dg.in_process_executor), instance)
    assert (tries.count("plain"), tries.count("rejected")) == (3, 1)


# -- schedules and backfills ----------------------------------------------------------------------------------------


def test_a_run_key_of_a_schedule_finds_a_run_of_the_same_tick_and_never_one_of_another_tick(
    instance: dg.DagsterInstance,
) -> None:
    """`automation.nightly`: the key is no guard against closing a day twice; the state of the days is."""
    import dagster._daemon  # the scheduler's module can only be imported after it  # noqa: F401
    from dagster._scheduler.scheduler import _get_existing_run_for_request

    @dg.job
    def nightly() -> None: ...

    tick = datetime(2026, 3, 1, 19, 30, tzinfo=UTC)
    instance.create_run_for_job(
        nightly,
        tags={
            SCHEDULE_NAME_TAG: "nightly",
            SCHEDULED_EXECUTION_TIME_TAG: tick.isoformat(),
            RUN_KEY_TAG: FIRST,
        },
    )
    # Dagster reads only the name of the schedule where a run has no origin in a code location.
    schedule: Any = SimpleNamespace(name="nightly")

    def found(moment: datetime) -> dg.DagsterRun | None:
        request = dg.RunRequest(run_key=FIRST, partition_key=FIRST)
        return _get_existing_run_for_request(instance, schedule, moment, request)

    assert found(tick) is not None
    assert found(tick + timedelta(days=1)) is None


def test_a_schedule_that_raises_is_not_tried_again_unless_the_instance_says_so() -> None:
    """`automation.nightly`: its body answers with a day rather than raise, for no second try would come that night."""
    assert DagsterDaemonScheduler().max_tick_retries == 0


@pytest.mark.parametrize(
    ("policy", "tags"),
    [
        (None, [{"dagster/partition": day} for day in (FIRST, SECOND, THIRD)]),
        (
            dg.BackfillPolicy.multi_run(max_partitions_per_run=1),
            [
                {"dagster/asset_partition_range_start": day, "dagster/asset_partition_range_end": day}
                for day in (FIRST, SECOND, THIRD)
            ],
        ),
        (dg.BackfillPolicy.single_run(), [RANGE]),
    ],
    ids=["no policy", "one day per run", "one run"],
)
def test_only_a_backfill_without_policy_tags_each_run_with_its_partition(
    instance: dg.DagsterInstance, policy: dg.BackfillPolicy | None, tags: list[dict[str, str]]
) -> None:
    """`dagster.yaml`: one run of a day at a time is a limit on the tag `dagster/partition`."""

    @dg.asset(partitions_def=DAYS, backfill_policy=policy)
    def closed() -> None: ...

    @dg.asset(partitions_def=DAYS, backfill_policy=policy, deps=[closed])
    def after() -> None: ...

    graph = dg.Definitions([closed, after]).resolve_asset_graph()
    requests = build_run_requests_with_backfill_policies(
        [
            AssetKeyPartitionKey(dg.AssetKey(name), day)
            for day in (FIRST, SECOND, THIRD)
            for name in ("closed", "after")
        ],
        graph,
        instance,
    )
    wanted = {"dagster/partition", *RANGE}
    found = [{name: value for name, value in one.tags.items() if name in wanted} for one in requests]
    keys = [{"dagster/partition": str(one.partition_key)} if one.partition_key else {} for one in requests]
    assert sorted(map(str, ({**tag, **key} for tag, key in zip(found, keys, strict=True)))) == sorted(
        map(str, tags)
    )
    assert all(
        {key.to_user_string() for key in one.asset_selection or []} == {"closed", "after"} for one in requests
    )


# -- secrets --------------------------------------------------------------------------------------------------------


class Keyed(dg.ConfigurableResource):  # type: ignore[type-arg]
    shown: str
    hidden: str = Field(repr=False)


def test_a_variable_named_by_envvar_is_not_in_a_definition_and_a_plain_value_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`definitions`: every secret is an EnvVar, and its field keeps it out of the resource's own text."""
    monkeypatch.setenv("FACT_SECRET", "sentinel-of-the-variable")

    @dg.asset
    def one(keyed: Keyed) -> None: ...

    def snapshot(resource: Keyed) -> str:
        definitions = dg.Definitions([one], resources={"keyed": resource})
        job = definitions.resolve_implicit_global_asset_job_def()
        return dg.serialize_value(JobSnap.from_job_def(job))

    by_name = Keyed(shown="x", hidden=dg.EnvVar("FACT_SECRET"))
    assert "sentinel" not in snapshot(by_name)
    assert "sentinel" in snapshot(Keyed(shown="x", hidden="sentinel-in-the-clear"))
    with dg.build_resources({"keyed": by_name}) as opened:
        assert opened.keyed.hidden == "sentinel-of-the-variable"
        assert "sentinel" not in repr(opened.keyed)


def test_a_missing_variable_fails_when_the_run_starts_and_not_when_definitions_load(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`settings`: why every variable is looked at while the definitions load."""
    monkeypatch.delenv("FACT_SECRET", raising=False)

    @dg.asset
    def one(keyed: Keyed) -> None: ...

    definitions = dg.Definitions(
        [one],
        resources={"keyed": Keyed(shown="x", hidden=dg.EnvVar("FACT_SECRET"))},
        executor=dg.in_process_executor,
    )
    dg.Definitions.validate_loadable(definitions)
    with pytest.raises(dg.DagsterInvalidConfigError, match="FACT_SECRET"):
        run(definitions, instance)
