"""The launchpad as somebody uses it who wants our secrets: every field, tried over the webserver's GraphQL."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from scoopjoy_dagster.definitions import site_resources
from scoopjoy_dagster.local.home import PROJECT, prepare_home
from scoopjoy_dagster.local.postgres import EmbeddedPostgres
from scoopjoy_dagster.local.processes import ChildProcesses, free_port
from scoopjoy_dagster.local.services import running_dagster
from scoopjoy_dagster.settings import load_settings
from scoopjoy_dagster_tests.cli.command import eventually
from scoopjoy_dagster_tests.end_to_end.graphql import FINISHED, SELECTOR, UI

SECRET = "sentinel-Zk3v-erpnext"
DAY = "2026-11-01"
SETTINGS = {
    "ERPNEXT_URL": "http://127.0.0.1:9",
    "ERPNEXT_API_KEY": "key",
    "ERPNEXT_API_SECRET": SECRET,
    "SCOOPJOY_GO_LIVE": DAY,
    "SCOOPJOY_AUTOMATION": "off",
}
SOURCE = {"env": "ERPNEXT_API_SECRET"}
ADDRESS = "postgresql://robot@127.0.0.1:9/theirs"
ENDED = {"FAILED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "CANCELED"}
IGNORED = {"__ASSET_JOB": {"ops", "resources"}}
"""Where Dagster takes names that it does not know, and ignores them: a selection of assets has not all resources."""

JOBS = """{ repositoryOrError(repositorySelector: { repositoryLocationName: "scoopjoy_dagster",
  repositoryName: "__repository__" }) { ... on Repository { jobs { name } } } }"""

SCHEMA = """
query Schema($job: PipelineSelector!) { runConfigSchemaOrError(selector: $job, mode: "default") { ... on RunConfigSchema {
  rootConfigType { key } allConfigTypes { key __typename
    ... on CompositeConfigType { fields { name configTypeKey } } ... on EnumConfigType { values { value } } } } } }
"""

VALID = """
query Valid($job: PipelineSelector!, $config: RunConfigData!) {
  isPipelineConfigValid(pipeline: $job, mode: "default", runConfigData: $config) {
    __typename ... on RunConfigValidationInvalid { errors { message } } } }
"""

LAUNCH = """
mutation Launch($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
  ... on RunConfigValidationInvalid { errors { message } } ... on LaunchRunSuccess { run { runId } }
  ... on PythonError { message } } }
"""

BACKFILL = """
mutation Backfill($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) { __typename
  ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }
"""

END = """
query End($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status
  error { message stack causes { message } } } } }
"""

OVERRIDES: Mapping[str, object] = {
    "loggers.console.config.log_level": "DEBUG",
    "ops.purge_event_log.config.dry_run": True,
    "resources.close.config.dry_run": True,
    "resources.close.config.lock_wait_s": 60,
    "resources.close.config.re_rate": True,
    "resources.close.config.resend": True,
    "resources.royalty_policy.config.base": "net_total",
    "resources.royalty_policy.config.locked_days": "next_open_day",
    "resources.royalty_policy.config.negative_days": "reverse",
    "resources.royalty_policy.config.rounding": "down",
}
"""All that any run may set, and a value that it takes."""


class Launchpad:
    """The launchpad of the real webserver, and what Dagster keeps."""

    def __init__(self, ui: UI, postgres_url: str) -> None:
        self.ui, self.postgres_url = ui, postgres_url
        self.jobs: list[str] = [one["name"] for one in ui.ask(JOBS)["repositoryOrError"]["jobs"]]
        self.fields: dict[str, dict[str, str]] = {job: dict(self._fields(job)) for job in self.jobs}
        """By job, the kind of every field that its launchpad shows, by path."""

    def _fields(self, job: str) -> Iterator[tuple[str, str]]:
        schema = self.ui.ask(SCHEMA, job=selector(job))["runConfigSchemaOrError"]
        types = {one["key"]: one for one in schema["allConfigTypes"]}

        def below(key: str, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
            for field in types[key].get("fields", []):
                here = (*path, field["name"])
                found = types[field["configTypeKey"]]
                yield ".".join(here), found["__typename"]
                yield from below(found["key"], here)

        return below(schema["rootConfigType"]["key"], ())

    def refusal(self, job: str, path: str, value: object) -> str:
        """Launch a run with one value at a path, which must be refused; what the person reads."""
        params = {"selector": selector(job), "mode": "default", "runConfigData": at(path, value)}
        if job != "retention":
            params["executionMetadata"] = {"tags": [{"key": "dagster/partition", "value": DAY}]}
        answer = self.ui.ask(LAUNCH, params=params)["launchRun"]
        assert answer["__typename"] == "RunConfigValidationInvalid", (job, path, value, answer)
        (first, *_) = answer["errors"]
        return str(first["message"])

    def is_valid(self, job: str, path: str, value: object) -> bool:
        """Whether a run could be launched with one value at a path. Launches none."""
        answer = self.ui.ask(VALID, job=selector(job), config=at(path, value))["isPipelineConfigValid"]
        return bool(answer["__typename"] == "PipelineConfigValidationValid")

    def backfill(self, config: Any) -> str:
        """Ask for a backfill of royalties with this configuration."""
        params = {
            "assetSelection": [{"path": ["royalties"]}],
            "partitionNames": [DAY],
            "runConfigData": config,
        }
        launched = self.ui.ask(BACKFILL, params=params)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return str(launched["backfillId"])

    def end(self, backfill: str) -> Any:
        """How a backfill stands."""
        return self.ui.ask(END, id=backfill)["partitionBackfillOrError"]

    def watch(self, config: Any) -> str:
        """Launch the check of the watchdog alone, with this configuration."""
        check = {"assetKey": {"path": ["nightly_close_watch"]}, "name": "is_every_day_closed"}
        chosen = {**selector("__ASSET_JOB"), "assetSelection": [], "assetCheckSelection": [check]}
        params = {"selector": chosen, "mode": "default", "runConfigData": config}
        launched = self.ui.ask(LAUNCH, params=params)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def kept(self) -> str:
        """Everything that Dagster has stored."""
        tables = self._rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return "\n".join(f"{table}: {self._rows(f'SELECT * FROM {table}')!r}" for (table,) in tables)

    def runs(self) -> int:
        """How many runs there are."""
        return len(self._rows("SELECT id FROM runs"))

    def _rows(self, query: str) -> list[Any]:
        url = self.postgres_url.replace("+psycopg2", "")
        with closing(psycopg2.connect(url)) as database, database.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()


def selector(job: str) -> dict[str, Any]:
    return {**SELECTOR, "pipelineName": job}


def at(path: str, value: object) -> Any:
    """A configuration with one value."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


@pytest.fixture(scope="module")
def launchpad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launchpad]:
    # Not pytest's tmp_path: for root PostgreSQL runs as another user, who may not enter it.
    with (
        tempfile.TemporaryDirectory(prefix="scoopjoy-test-") as name,
        EmbeddedPostgres(Path(name)) as postgres,
    ):
        directory = tmp_path_factory.mktemp("overrides")
        environment = {**prepare_home(directory / "home", postgres.url), **SETTINGS}
        with running_dagster(
            ChildProcesses(directory / "logs"), environment, port=free_port(), directory=PROJECT
        ) as dagster:
            yield Launchpad(UI(dagster.address), environment["SCOOPJOY_POSTGRES_URL"])


def test_the_launchpad_of_every_job_takes_the_closed_class_of_overrides_and_nothing_else(
    launchpad: Launchpad,
) -> None:
    assert {"nightly_close", "watchdog", "retention"} <= set(launchpad.jobs)
    taken = {
        path
        for fields in launchpad.fields.values()
        for path, kind in fields.items()
        if kind != "CompositeConfigType"
    }
    assert taken == set(OVERRIDES)
    for job, fields in launchpad.fields.items():
        for path in fields.keys() & OVERRIDES.keys():
            assert launchpad.is_valid(job, path, OVERRIDES[path]), (job, path)


def test_no_field_of_any_job_or_resource_takes_a_variable_an_address_or_nothing(
    launchpad: Launchpad,
) -> None:
    resources = site_resources(load_settings(SETTINGS))
    of_resources = {
        f"resources.{name}.config.{field}"
        for name, resource in resources.items()
        for field in type(resource).model_fields
    }
    assert "resources.close.config.postgres_url" in of_resources
    of_dagster = {
        "resources.io_manager.config.base_dir",
        "loggers.console.config.name",
        "execution.config.marker_to_close",
        "execution.config.retries.enabled",
        "ops.royalties.config",
        "ops.royalties.config.anything",
        "ops.nightly_close_watch_is_every_day_closed.config.anything",
    }
    before = launchpad.runs()
    for job, fields in launchpad.fields.items():
        for path in sorted({*fields, *of_resources, *of_dagster} - IGNORED.get(job, set())):
            group = fields.get(path) == "CompositeConfigType"
            # A group of fields that is empty sets none.
            for value in (SOURCE, ADDRESS, *(() if group else ("",))):
                said = launchpad.refusal(job, path, value)
                assert SECRET not in said
                assert "\n" not in said.strip(), said
    assert launchpad.runs() == before
    assert SECRET not in launchpad.kept()


def test_a_day_before_go_live_ends_in_one_sentence(launchpad: Launchpad) -> None:
    run = launchpad.ui.materialize("royalties", "2020-01-01")
    assert eventually(lambda: launchpad.ui.run(run)["status"] == "FAILURE", within_s=120)
    assert (
        f"Failure: 2020-01-01 cannot be closed: only the business days from {DAY} (go-live) to"
        in launchpad.kept()
    )


@pytest.mark.timeout(300)
def test_what_dagster_does_not_refuse_at_once_it_does_not_read_either(launchpad: Launchpad) -> None:
    """The configuration of a backfill is looked at when its runs are made; the one of a resource that no selected step has, never."""
    before = launchpad.runs()
    backfills = [
        launchpad.backfill(at("resources.royalty_policy.config.name", SOURCE)),
        launchpad.backfill(at("resources.close.config.dry_run", SOURCE)),
    ]
    elsewhere = {
        "royalty_policy": {"config": {"name": SOURCE}},
        "close": {"config": {"postgres_url": SOURCE}},
        "env": "ERPNEXT_API_SECRET",
    }
    run = launchpad.watch({"resources": elsewhere, "ops": {"royalties": {"config": SOURCE}, **SOURCE}})
    assert eventually(lambda: launchpad.ui.run(run)["status"] in FINISHED, within_s=120)
    for backfill in backfills:
        assert eventually(lambda one=backfill: launchpad.end(one)["status"] in ENDED, within_s=150)  # type: ignore[misc]
        end = launchpad.end(backfill)
        assert end["status"] == "FAILED"
        assert "DagsterInvalidConfigError" in end["error"]["message"]
        assert SECRET not in json.dumps(end)
    assert launchpad.runs() == before + 1
    kept = launchpad.kept()
    assert "ERPNEXT_API_SECRET" in kept, "what was typed is kept, so the right tables are looked at"
    assert SECRET not in kept
