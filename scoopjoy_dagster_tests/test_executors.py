"""The executor is the one that the settings choose, and what it needs is loaded only then."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from scoopjoy_dagster.definitions import JOB, build_defs
from scoopjoy_dagster.settings import SettingsError, load_settings

SITE = {
    "ERPNEXT_URL": "https://erp.example.com",
    "ERPNEXT_API_KEY": "key",
    "ERPNEXT_API_SECRET": "secret",
    "SCOOPJOY_GO_LIVE": "2026-11-01",
}
BROKER = "redis://:sentinel-of-the-broker@127.0.0.1:6379/0"


def definitions(**values: str) -> dg.Definitions:
    return build_defs(load_settings({**SITE, **values}))


@pytest.mark.parametrize("name", ["in_process", "multiprocess", "celery", "k8s"])
def test_every_run_has_the_executor_of_the_settings(name: str) -> None:
    made = definitions(SCOOPJOY_EXECUTOR=name, SCOOPJOY_CELERY_BROKER=BROKER)
    # Backfills and "Materialize" run the implicit job.
    for job in (JOB, "__ASSET_JOB"):
        assert made.resolve_job_def(job).executor_def.name == name


def test_a_run_is_in_process_unless_the_settings_say_otherwise() -> None:
    assert load_settings(SITE).executor == "in_process"
    assert definitions().resolve_job_def(JOB).executor_def.name == "in_process"


@pytest.mark.parametrize("name", ["in_process", "multiprocess"])
def test_the_libraries_of_other_executors_are_not_loaded(name: str) -> None:
    code = (
        "import json, sys\n"
        "from scoopjoy_dagster.definitions import build_defs\n"
        "from scoopjoy_dagster.settings import load_settings\n"
        f"build_defs(load_settings({SITE | {'SCOOPJOY_EXECUTOR': name}!r}))\n"
        "print(json.dumps([one for one in ('celery', 'kombu', 'redis', 'kubernetes') if one in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120
    )
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize("name", ["celery", "k8s"])
def test_a_library_that_is_not_installed_is_one_sentence(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, f"dagster_{name}", None)  # so that importing it fails
    with pytest.raises(
        SettingsError, match=rf"SCOOPJOY_EXECUTOR is {name}, but .*scoopjoy_dagster\[{name}\]"
    ):
        definitions(SCOOPJOY_EXECUTOR=name, SCOOPJOY_CELERY_BROKER=BROKER)


# -- Celery -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broker", ["", "amqp://127.0.0.1", "redis://"])
def test_celery_needs_a_redis(broker: str) -> None:
    with pytest.raises(SettingsError, match="SCOOPJOY_CELERY_BROKER does not name a Redis"):
        load_settings({**SITE, "SCOOPJOY_EXECUTOR": "celery", "SCOOPJOY_CELERY_BROKER": broker})


@pytest.mark.parametrize("queue", ["two words", "a:b", "/"])
def test_a_queue_has_a_plain_name(queue: str) -> None:
    with pytest.raises(SettingsError, match="SCOOPJOY_CELERY_QUEUE is wrong"):
        load_settings({**SITE, "SCOOPJOY_CELERY_QUEUE": queue})


def configuration(made: dg.Definitions) -> Any:
    """What the executor is told when a run makes it."""
    return made.resolve_job_def(JOB).executor_def.apply_config_mapping({"config": {}}).value["config"]


def test_the_steps_of_a_site_go_to_its_queue_and_the_broker_is_read_when_a_run_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = definitions(
        SCOOPJOY_EXECUTOR="celery", SCOOPJOY_CELERY_BROKER=BROKER, SCOOPJOY_CELERY_QUEUE="pune"
    )
    monkeypatch.setenv("SCOOPJOY_CELERY_BROKER", "redis://127.0.0.1:6380/1")
    told = configuration(made)
    assert told["broker"] == told["backend"] == "redis://127.0.0.1:6380/1"
    assert told["config_source"] == {"task_default_queue": "pune"}


def test_the_brokers_password_is_in_no_definition() -> None:
    from dagster._core.remote_representation.external_data import JobDataSnap

    made = definitions(SCOOPJOY_EXECUTOR="celery", SCOOPJOY_CELERY_BROKER=BROKER)
    snapshot = dg.serialize_value(
        JobDataSnap.from_job_def(made.resolve_job_def(JOB), include_parent_snapshot=True)
    )
    assert "royalties" in snapshot
    assert "sentinel-of-the-broker" not in snapshot


# -- Kubernetes -------------------------------------------------------------------------------------------------------


def test_single_steps_may_have_pods_of_their_own_kind(tmp_path: Path) -> None:
    pods = {"reports": {"container_config": {"resources": {"limits": {"memory": "3Gi"}}}}}
    path = tmp_path / "steps.yaml"
    path.write_text(yaml.safe_dump(pods), encoding="utf-8")
    made = definitions(SCOOPJOY_EXECUTOR="k8s", SCOOPJOY_STEP_PODS=str(path))
    assert (
        configuration(made)["per_step_k8s_config"]["reports"]["container_config"]
        == pods["reports"]["container_config"]
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[reports]", "does not map assets to Kubernetes settings"),
        ("report: {}", "the assets are closed_shifts, royalties, invoices, reports, hq_sync"),
        ("reports: {containers: {}}", "Dagster refuses: Received unexpected config entry"),
        ("reports: {container_config: {resorces: {}}}", "refuses: reports: Unexpected keys .*resorces"),
        ("a: [", "does not name a file that can be read as YAML"),
    ],
)
def test_a_wrong_file_of_pods_is_told_when_the_code_is_loaded_and_not_at_night(
    text: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "steps.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=said):
        definitions(SCOOPJOY_EXECUTOR="k8s", SCOOPJOY_STEP_PODS=str(path))


def test_a_file_of_pods_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"does not name a file that can be read as YAML \(FileNotFoundError\)"
    ):
        definitions(SCOOPJOY_EXECUTOR="k8s", SCOOPJOY_STEP_PODS=str(tmp_path / "none.yaml"))
