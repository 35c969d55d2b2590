"""The values for Dagster's Helm chart against Dagster's own classes, and against `dagster.yaml`.

Without the chart: what the values say of the queue, of monitoring and of retention, that the run launcher and the executor
take their parts, and that Kubernetes' objects are what they claim to be. With the chart: `test_chart.py`.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from dagster._config import process_config, resolve_to_config_type
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.models import k8s_model_from_dict, k8s_snake_case_dict
from kubernetes import client

from scoopjoy_dagster.cli.env_file import secrets
from scoopjoy_dagster.definitions import ASSETS, JOB, build_defs
from scoopjoy_dagster.local.home import shipped_file
from scoopjoy_dagster.settings import load_settings
from scoopjoy_dagster_tests.deploy.files import DEPLOY, PROJECT, read_yaml

VALUES: dict[str, Any] = read_yaml("helm/values.yaml")
SHIPPED: dict[str, Any] = yaml.safe_load(shipped_file("dagster.yaml").read_text(encoding="utf-8"))
(DEPLOYMENT,) = VALUES["dagster-user-deployments"]["deployments"]
LAUNCHER: dict[str, Any] = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
DAEMON: dict[str, Any] = VALUES["dagsterDaemon"]


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


def test_the_run_launcher_takes_its_configuration() -> None:
    # `instance_config_map` and the like are the chart's to fill in.
    config = {
        "service_account_name": "scoopjoy",
        "instance_config_map": "scoopjoy-instance",
        "postgres_password_secret": VALUES["global"]["postgresqlSecretName"],
        "dagster_home": VALUES["global"]["dagsterHome"],
        "image_pull_policy": LAUNCHER["imagePullPolicy"],
        "fail_pod_on_run_failure": LAUNCHER["failPodOnRunFailure"],
        "security_context": LAUNCHER["securityContext"],
        "run_k8s_config": {snake(name): value for name, value in LAUNCHER["runK8sConfig"].items()},
    }
    assert accepted(K8sRunLauncher.config_type(), config)["run_k8s_config"]["container_config"]["resources"]


def snake(name: str) -> str:
    return next(iter(snake_case({name: None})))


def test_a_run_gets_the_settings_the_secrets_and_the_places_to_write_of_its_site() -> None:
    context = K8sContainerContext.create_from_config(
        {
            "k8s": {
                "env_config_maps": [one["name"] for one in DEPLOYMENT["envConfigMaps"]],
                "env_secrets": [one["name"] for one in DEPLOYMENT["envSecrets"]],
                "volumes": DEPLOYMENT["volumes"],
                "volume_mounts": DEPLOYMENT["volumeMounts"],
                "env": DEPLOYMENT["env"],
                "security_context": LAUNCHER["securityContext"],
                "run_k8s_config": {snake(name): value for name, value in LAUNCHER["runK8sConfig"].items()},
            }
        }
    )
    run = context.run_k8s_config
    assert run.container_config["security_context"]["read_only_root_filesystem"] is True
    assert run.container_config["resources"]["limits"] == {"memory": "2Gi"}
    assert run.pod_spec_config["security_context"]["run_as_user"] == 10001
    assert {mount["mount_path"] for mount in run.container_config["volume_mounts"]} == {
        VALUES["global"]["dagsterHome"], "/tmp", "/etc/scoopjoy",
    }  # fmt: skip
    sources = [next(iter(one.values()))["name"] for one in run.container_config["env_from"]]
    assert sources == ["scoopjoy", "scoopjoy"]


def test_the_k8s_executor_takes_the_pods_of_the_steps_and_each_is_a_step() -> None:
    settings = load_settings(
        {
            "ERPNEXT_URL": "https://erp.example.com",
            "ERPNEXT_API_KEY": "key",
            "ERPNEXT_API_SECRET": "secret",
            "SCOOPJOY_GO_LIVE": "2026-11-01",
            "SCOOPJOY_EXECUTOR": "k8s",
            "SCOOPJOY_STEP_PODS": str(DEPLOY / "helm" / "steps.yaml"),
        }
    )
    job = build_defs(settings).resolve_job_def(JOB)
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


def test_no_secret_is_made_of_the_values() -> None:
    assert VALUES["generatePostgresqlPasswordSecret"] is False
    assert VALUES["generateCeleryConfigSecret"] is False
    assert "postgresqlPassword" not in VALUES["postgresql"]
    written = {one["name"] for part in (DEPLOYMENT, DAEMON) for one in part["env"] if "value" in one}
    assert not written & secrets()
