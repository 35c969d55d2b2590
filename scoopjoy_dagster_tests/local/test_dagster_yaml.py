"""The shipped dagster.yaml, loaded by Dagster on a real PostgreSQL: it says what it is meant to say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
import yaml

from scoopjoy_dagster.local.home import prepare_home, shipped_file
from scoopjoy_dagster_tests.local.tiny_definitions import scoop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scoopjoy_dagster.local.postgres import EmbeddedPostgres


@pytest.fixture(scope="module")
def instance(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dg.DagsterInstance]:
    home = tmp_path_factory.mktemp("home")
    # A bare URL on purpose: what people write must work.
    url = postgres.create_database("shipped").replace("postgresql+psycopg2", "postgres")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in prepare_home(home, url, base={}).items():
            patch.setenv(name, value)
        with dg.DagsterInstance.get() as loaded:
            yield loaded


@pytest.fixture(scope="module")
def shipped() -> Any:
    return yaml.safe_load(shipped_file("dagster.yaml").read_text())


def test_runs_are_kept_in_postgresql(instance: dg.DagsterInstance) -> None:
    from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage

    assert isinstance(instance.run_storage, PostgresRunStorage)
    assert isinstance(instance.event_log_storage, PostgresEventLogStorage)
    result = dg.materialize([scoop], instance=instance)
    assert instance.get_run_by_id(result.run_id) is not None


def test_one_run_for_each_day_and_one_backfill_run_at_a_time(instance: dg.DagsterInstance) -> None:
    queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    assert queue.max_concurrent_runs == -1
    assert queue.tag_concurrency_limits == [
        {"key": "dagster/code_location", "limit": 3},
        {"key": "dagster/partition", "value": {"applyLimitPerUniqueValue": True}, "limit": 1},
        {"key": "dagster/backfill", "limit": 1},
    ]


def test_runs_pass_through_the_queue(instance: dg.DagsterInstance) -> None:
    from dagster._core.run_coordinator import QueuedRunCoordinator

    assert isinstance(instance.run_coordinator, QueuedRunCoordinator)
    configured = instance.get_ref().run_coordinator_data
    assert configured is not None
    assert configured.config_dict == {"max_user_code_failure_retries": 3, "user_code_failure_retry_delay": 60}


def test_a_lost_run_is_ended_and_never_resumed(instance: dg.DagsterInstance) -> None:
    assert instance.run_monitoring_enabled
    assert instance.run_monitoring_start_timeout_seconds == 180
    assert instance.run_monitoring_cancel_timeout_seconds == 180
    assert instance.run_monitoring_max_runtime_seconds == 21600
    assert instance.run_monitoring_max_resume_run_attempts == 0
    assert instance.run_monitoring_poll_interval_seconds == 30


def test_only_a_crashed_run_is_retried(instance: dg.DagsterInstance) -> None:
    assert instance.run_retries_enabled
    assert instance.run_retries_max_retries == 1
    assert instance.run_retries_retry_on_asset_or_op_failure is False


def test_nothing_is_told_to_anybody(instance: dg.DagsterInstance) -> None:
    assert instance.telemetry_enabled is False
    assert instance.nux_enabled is False  # no dialog that asks for a mail address


def test_schedules_and_sensors_have_threads(instance: dg.DagsterInstance) -> None:
    for kind in ("schedules", "sensors"):
        assert instance.get_settings(kind) == {"use_threads": True, "num_workers": 2}


def test_ticks_are_not_kept_for_ever(instance: dg.DagsterInstance) -> None:
    from dagster._core.definitions.run_request import InstigatorType

    days = instance.get_tick_retention_settings(InstigatorType.SENSOR)
    assert {status.value: kept for status, kept in days.items()} == {
        "SKIPPED": 2, "STARTED": 7, "FAILURE": 90, "SUCCESS": 90,
    }  # fmt: skip
    assert set(instance.get_tick_retention_settings(InstigatorType.SCHEDULE).values()) == {90}


def test_logs_of_steps_stay_in_the_home(instance: dg.DagsterInstance) -> None:
    assert instance.storage_directory().startswith(instance.root_directory)


def test_every_setting_says_why(shipped: Any) -> None:
    lines = shipped_file("dagster.yaml").read_text().splitlines()
    top = [index for index, line in enumerate(lines) if line and line[0] not in "# "]
    assert len(top) == len(shipped)
    for index, following in zip(top, [*top[1:], len(lines)], strict=True):
        section = lines[index:following]
        assert any(line.strip().startswith("#") for line in section) or lines[index - 2].startswith("#"), (
            section
        )


def test_no_password_can_be_written_into_the_file(shipped: Any) -> None:
    assert shipped["storage"] == {"postgres": {"postgres_url": {"env": "SCOOPJOY_POSTGRES_URL"}}}


def test_the_workspace_loads_our_definitions() -> None:
    workspace = yaml.safe_load(shipped_file("workspace.yaml").read_text())
    assert workspace["load_from"] == [
        {
            "python_module": {
                "module_name": "scoopjoy_dagster.definitions",
                "location_name": "scoopjoy_dagster",
            }
        }
    ]
