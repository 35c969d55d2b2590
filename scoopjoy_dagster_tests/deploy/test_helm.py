"""The values for Dagster's Helm chart against Dagster's own classes, and against `dagster.yaml`.

Without the chart: what the values say of the queue, of monitoring and of retention, that the run launcher and the executor
take their parts, and that Kubernetes' objects are what they claim to be. With the chart: `test_chart.py`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster import (
    DagsterInstance,
    DagsterInvalidConfigError,
    DagsterRun,
    DagsterRunStatus,
    job,
    op,
    reconstructable,
    validate_run_config,
)
from dagster._config import process_config, resolve_to_config_type
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._grpc.types import ExecuteRunArgs
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.models import k8s_model_from_dict, k8s_snake_case_dict
from kubernetes import client
from kubernetes.config import ConfigException

from scoopjoy_dagster.cli.env_file import secrets
from scoopjoy_dagster.definitions import ASSETS, JOB, build_defs
from scoopjoy_dagster.instance import shortcomings
from scoopjoy_dagster.local.home import shipped_file
from scoopjoy_dagster.settings import load_settings
from scoopjoy_dagster_tests.deploy.files import DEPLOY, PROGRAMS, PROJECT, read_yaml

VALUES: dict[str, Any] = read_yaml("helm/values.yaml")
SHIPPED: dict[str, Any] = yaml.safe_load(shipped_file("dagster.yaml").read_text(encoding="utf-8"))
(DEPLOYMENT,) = VALUES["dagster-user-deployments"]["deployments"]
LAUNCHER: dict[str, Any] = VALUES["runLauncher"]["config"]["customRunLauncher"]
DAEMON: dict[str, Any] = VALUES["dagsterDaemon"]
SITE = {
    "ERPNEXT_URL": "https://erp.example.com",
    "ERPNEXT_API_KEY": "key",
    "ERPNEXT_API_SECRET": "secret",
    "SCOOPJOY_GO_LIVE": "2026-11-01",
    "SCOOPJOY_EXECUTOR": "k8s",
    "SCOOPJOY_STEP_PODS": str(DEPLOY / "helm" / "steps.yaml"),
}


@op
def tiny_op() -> None:
    """Succeeds."""


@job
def tiny_job() -> None:
    """What a run's worker works on."""
    tiny_op()


def snake_case(found: Any) -> Any:
    """The chart's way of writing a setting in Dagster's: maxConcurrentRuns as max_concurrent_runs. Values stay."""
    if isinstance(found, list):
        return [snake_case(one) for one in found]
    if not isinstance(found, dict):
        return found
    return {
        re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): value if name == "value" else snake_case(value)
        for name, value in found.items()
    }


# -- as dagster.yaml says ---------------------------------------------------------------------------------------------


def test_the_limits_of_the_queue_are_those_of_dagster_yaml() -> None:
    assert snake_case(VALUES["concurrency"]) == {"enabled": True, **SHIPPED["concurrency"]}
    coordinator = DAEMON["runCoordinator"]["config"]["customRunCoordinator"]
    assert DAEMON["runCoordinator"]["type"] == "CustomRunCoordinator"
    assert coordinator == SHIPPED["run_coordinator"]


def test_monitoring_retries_and_retention_are_those_of_dagster_yaml_but_for_the_time_to_start() -> None:
    monitoring = snake_case(DAEMON["runMonitoring"])
    assert monitoring.pop("start_timeout_seconds") > SHIPPED["run_monitoring"]["start_timeout_seconds"]
    assert monitoring == {
        name: value for name, value in SHIPPED["run_monitoring"].items() if name != "start_timeout_seconds"
    }
    assert snake_case(DAEMON["runRetries"]) == SHIPPED["run_retries"]
    for name in ("schedules", "sensors"):
        assert snake_case(DAEMON[name]) == SHIPPED[name]
    assert snake_case(VALUES["retention"]) == {"enabled": True, **SHIPPED["retention"]}
    assert VALUES["telemetry"] == SHIPPED["telemetry"]


def test_the_storage_is_reached_by_the_driver_that_is_installed() -> None:
    assert VALUES["postgresql"]["enabled"] is False
    assert VALUES["postgresql"]["postgresqlScheme"] == "postgresql+psycopg2"


# -- as Dagster takes it ----------------------------------------------------------------------------------------------


def accepted(schema: Any, config: dict[str, Any]) -> Any:
    """The configuration as Dagster resolves it."""
    found = process_config(resolve_to_config_type(schema), config)
    assert found.success, found.errors
    return found.value


@pytest.fixture(scope="module")
def launcher() -> K8sRunLauncher:
    """The launcher of the values, made as Dagster makes it, but with a client that reaches no cluster."""
    assert (LAUNCHER["module"], LAUNCHER["class"]) == (
        K8sRunLauncher.__module__.partition(".")[0],
        "K8sRunLauncher",
    )
    config = accepted(K8sRunLauncher.config_type(), LAUNCHER["config"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dagster_k8s.launcher.load_kubernetes_config", lambda **_: None)
        return K8sRunLauncher.from_config_value(None, config)


def pod_of(launcher: K8sRunLauncher, tags: dict[str, str] | None = None) -> K8sContainerContext:
    """The pod of a run of the code that the values deploy, with these tags."""
    code = RepositoryPythonOrigin(
        sys.executable,
        ModuleCodePointer("scoopjoy_dagster.definitions", "defs", None),
        container_image="registry.example.com/scoopjoy_dagster:0.1.0",
    )
    run = DagsterRun("nightly_close", tags=tags, job_code_origin=JobPythonOrigin("nightly_close", code))
    return launcher.get_container_context_for_run(run)


def test_a_run_gets_the_settings_the_secrets_and_the_places_to_write_of_its_site(
    launcher: K8sRunLauncher,
) -> None:
    run = pod_of(launcher).run_k8s_config
    assert run.container_config["security_context"]["read_only_root_filesystem"] is True
    assert run.container_config["resources"]["limits"] == {"memory": "2Gi"}
    assert run.container_config["env"] == DEPLOYMENT["env"]
    assert run.pod_spec_config["security_context"]["run_as_user"] == 10001
    assert {mount["mount_path"] for mount in run.container_config["volume_mounts"]} == {
        VALUES["global"]["dagsterHome"], "/tmp", "/etc/scoopjoy",
    }  # fmt: skip
    assert [volume["name"] for volume in run.pod_spec_config["volumes"]] == [
        volume["name"] for volume in DEPLOYMENT["volumes"]
    ]
    sources = [next(iter(one.values()))["name"] for one in run.container_config["env_from"]]
    assert sources == [one["name"] for key in ("envConfigMaps", "envSecrets") for one in DEPLOYMENT[key]]


def test_what_the_launcher_names_is_what_the_chart_and_the_documents_call_it() -> None:
    config = LAUNCHER["config"]
    assert config["postgres_password_secret"] == VALUES["global"]["postgresqlSecretName"]
    assert config["dagster_home"] == VALUES["global"]["dagsterHome"]
    assert config["service_account_name"] == VALUES["dagster-user-deployments"]["serviceAccount"]["name"]
    document = (PROJECT / "docs" / "deployment.md").read_text(encoding="utf-8")
    assert f"helm upgrade --install {config['instance_config_map'].partition('-')[0]} " in document
    assert f"--namespace {config['job_namespace']} " in document


@pytest.mark.parametrize(
    "wanted",
    [
        {"container_config": {"image": "evil.example/image"}},
        {"container_config": {"security_context": {"privileged": True}}},
        {"container_config": {"securityContext": {"privileged": True}}},
        {"container_config": {"env": [{"name": "ERPNEXT_URL", "value": "https://evil.example"}]}},
        {"container_config": {"env_from": [{"secret_ref": {"name": "another"}}]}},
        {"container_config": {"command": ["sh"]}},
        {"container_config": {"resources": {"limits": {"memory": "64Gi"}}}},
        {"pod_spec_config": {"service_account_name": "scoopjoy-dagster"}},
        {"pod_spec_config": {"automount_service_account_token": True}},
        {"pod_spec_config": {"host_network": True}},
        {"pod_spec_config": {"volumes": [{"name": "host", "host_path": {"path": "/"}}]}},
        {"pod_spec_config": {"containers": [{"name": "second", "image": "evil.example/image"}]}},
        {"pod_template_spec_metadata": {"labels": {"component": "dagster-daemon"}}},
        {"pod_template_spec_metadata": {"namespace": "kube-system"}},
        {"job_metadata": {"namespace": "kube-system"}},
        {"job_config": {"kind": "CronJob"}},
        {"job_spec_config": {"backoff_limit": 100}},
    ],
    ids=str,
)
def test_a_tag_on_a_run_decides_nothing_of_its_pod(launcher: K8sRunLauncher, wanted: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="violated the allowed list"):
        pod_of(launcher, {"dagster-k8s/config": json.dumps(wanted)})


def test_a_tag_that_says_nothing_changes_nothing(launcher: K8sRunLauncher) -> None:
    shallow = {"dagster-k8s/config": json.dumps({"merge_behavior": "SHALLOW"})}
    said, unsaid = (pod_of(launcher, tags).run_k8s_config.to_dict() for tags in (shallow, {}))
    assert said == {**unsaid, "merge_behavior": "SHALLOW"}
    with pytest.raises(Exception, match="violated the allowed list"):
        pod_of(launcher, {"dagster-k8s/resource_requirements": '{"limits": {"memory": "64Gi"}}'})


def test_the_code_location_hands_nothing_on_that_a_tag_could_name_anew() -> None:
    # With it the fields that the chart hands on would have to be allowed, for tags, too.
    assert DEPLOYMENT["includeConfigInLaunchedRuns"] == {"enabled": False}


# -- who may speak to the cluster -------------------------------------------------------------------------------------


def test_runs_have_a_token_of_their_account_only_where_their_steps_are_jobs(launcher: K8sRunLauncher) -> None:
    pod = pod_of(launcher).run_k8s_config.pod_spec_config
    assert pod["service_account_name"] == "scoopjoy-code"
    assert pod["automount_service_account_token"] is False
    assert VALUES["dagster-user-deployments"]["rbacEnabled"] is False
    # And the one word turns both on.
    text = (DEPLOY / "helm" / "values.yaml").read_text(encoding="utf-8")
    turned = yaml.safe_load(text.replace("&steps_are_jobs false", "&steps_are_jobs true"))
    config = turned["runLauncher"]["config"]["customRunLauncher"]["config"]["run_k8s_config"]
    assert config["pod_spec_config"]["automountServiceAccountToken"] is True
    assert turned["dagster-user-deployments"]["rbacEnabled"] is True


def test_a_run_of_one_process_needs_no_token(tmp_path: Path) -> None:
    """The worker of a run, as the pod starts it, with the launcher of the values and no cluster to speak to."""
    launcher = {"run_launcher": LAUNCHER, "telemetry": {"enabled": False}}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(launcher), encoding="utf-8")
    job = reconstructable(tiny_job)
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        run = instance.create_run_for_job(job.get_definition(), job_code_origin=job.get_python_origin())
        _, *words = ExecuteRunArgs(job.get_python_origin(), run.run_id, instance.get_ref()).get_command_args()
        worker = [str(PROGRAMS / "dagster"), *words]
        done = subprocess.run(worker, check=False, capture_output=True, text=True, timeout=200, cwd=PROJECT)
        assert instance.get_run_by_id(run.run_id).status == DagsterRunStatus.SUCCESS, done.stderr  # type: ignore[union-attr]
        # What the watchdog asks in its run: SQLite, no queue, no monitoring and no retries here, but the right launcher.
        assert len(shortcomings(instance)) == 4
        with pytest.raises(ConfigException):
            instance.run_launcher  # noqa: B018 - which asks for the token when it is made


def test_nobody_chooses_the_pods_of_steps_by_a_runs_configuration() -> None:
    job = build_defs(load_settings(SITE)).resolve_job_def(JOB)
    for chosen in (
        {"job_image": "evil.example/image"},
        {"step_k8s_config": {}},
        {"service_account_name": "x"},
    ):
        with pytest.raises(DagsterInvalidConfigError):
            validate_run_config(job, {"execution": {"config": chosen}})


def test_the_k8s_executor_takes_the_pods_of_the_steps_and_each_is_a_step() -> None:
    job = build_defs(load_settings(SITE)).resolve_job_def(JOB)
    assert job.executor_def.name == "k8s"
    pods = read_yaml("helm/steps.yaml")
    assert set(pods) <= {module.NAME for module in ASSETS}


# -- as Kubernetes takes it -------------------------------------------------------------------------------------------

MODELS = {
    "podSecurityContext": client.V1PodSecurityContext,
    "securityContext": client.V1SecurityContext,
    "resources": client.V1ResourceRequirements,
    "livenessProbe": client.V1Probe,
    "readinessProbe": client.V1Probe,
    "startupProbe": client.V1Probe,
}


@pytest.mark.parametrize(
    "part", [DEPLOYMENT, VALUES["dagsterWebserver"], DAEMON], ids=["code", "webserver", "daemon"]
)
def test_every_pod_is_limited_probed_and_may_not_change_itself(part: dict[str, Any]) -> None:
    for name, model in MODELS.items():
        if name in part:
            given = {
                key: value for key, value in part[name].items() if key != "enabled"
            }  # the chart's own word
            k8s_model_from_dict(model, k8s_snake_case_dict(model, given))  # raises on a name that is none
    assert part["resources"]["limits"]["memory"]
    assert part["livenessProbe"]
    assert part["securityContext"]["readOnlyRootFilesystem"] is True
    assert part["securityContext"]["allowPrivilegeEscalation"] is False
    assert part["podSecurityContext"]["runAsNonRoot"] is True
    assert f"USER {part['podSecurityContext']['runAsUser']}:" in (DEPLOY / "Dockerfile").read_text(
        encoding="utf-8"
    )


def test_the_network_policies_name_the_ports_and_labels_that_are_there() -> None:
    policies = list(yaml.safe_load_all((DEPLOY / "helm" / "network-policy.yaml").read_text(encoding="utf-8")))
    for policy in policies:
        assert (policy["apiVersion"], policy["kind"]) == ("networking.k8s.io/v1", "NetworkPolicy")
        k8s_model_from_dict(
            client.V1NetworkPolicySpec, k8s_snake_case_dict(client.V1NetworkPolicySpec, policy["spec"])
        )
    code, webserver, runs = (policy["spec"] for policy in policies)
    assert code["ingress"][0]["ports"][0]["port"] == DEPLOYMENT["port"]
    assert webserver["ingress"][0]["ports"][0]["port"] == VALUES["dagsterWebserver"]["service"]["port"]
    assert runs["ingress"] == []


def test_the_workspace_points_at_the_deployment_by_the_name_that_schedules_are_known_by() -> None:
    (server,) = VALUES["dagsterWebserver"]["workspace"]["servers"]
    args = DEPLOYMENT["dagsterApiGrpcArgs"]
    assert server == {
        "host": DEPLOYMENT["name"],
        "port": DEPLOYMENT["port"],
        "name": args[args.index("--location-name") + 1],
    }
    workspace = yaml.safe_load((PROJECT / "workspace.yaml").read_text(encoding="utf-8"))
    assert server["name"] == workspace["load_from"][0]["python_module"]["location_name"]


def test_the_chart_is_the_one_of_the_locked_dagster() -> None:
    (locked,) = re.findall(
        r"(?m)^dagster==(\S+)", (PROJECT / "requirements.lock").read_text(encoding="utf-8")
    )
    text = (DEPLOY / "helm" / "values.yaml").read_text(encoding="utf-8")
    assert f"--version {locked} " in text


def test_the_webserver_answers_to_the_name_that_the_ingress_serves() -> None:
    (url,) = [one["value"] for one in VALUES["dagsterWebserver"]["env"] if one["name"] == "SCOOPJOY_UI_URL"]
    assert url == f"https://{VALUES['ingress']['dagsterWebserver']['host']}"


def test_no_secret_is_made_of_the_values() -> None:
    assert VALUES["generatePostgresqlPasswordSecret"] is False
    assert VALUES["generateCeleryConfigSecret"] is False
    assert "postgresqlPassword" not in VALUES["postgresql"]
    written = {one["name"] for part in (DEPLOYMENT, DAEMON) for one in part["env"] if "value" in one}
    assert not written & secrets()
