"""The values with the chart itself: rendered by Helm's engine, its results checked by Kubernetes' and Dagster's schemas.

Only with DAGSTER_HELM_CHART=<directory of the chart, with its dependencies> and two libraries that carry Helm and the schemas:
`pip install helm-python-sdk kubernetes-validate`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from dagster._config import process_config, resolve_to_config_type
from dagster._core.instance.config import dagster_instance_config
from dagster._core.instance.ref import InstanceRef
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster_k8s import K8sRunLauncher
from helm_python import Chart
from helm_python.chart import lint
from helm_python.errors import HelmValuesError

from scoopjoy_dagster_tests.deploy.files import DEPLOY, PROJECT, read_yaml

KUBERNETES = "1.31"
VALUES: dict[str, Any] = read_yaml("helm/values.yaml")


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the chart whose schema finds Kubernetes' definitions on this machine instead of in the network."""
    directory = tmp_path_factory.mktemp("chart")
    found = directory / "dagster"
    shutil.copytree(os.environ["DAGSTER_HELM_CHART"], found)
    schemas = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    text = (schemas / f"v{KUBERNETES}.0-local" / "_definitions.json").read_text(encoding="utf-8")
    definitions = directory / "definitions.json"
    definitions.write_text(
        json.dumps({"definitions": json.loads(text.replace("#/$defs/", "#/definitions/"))["$defs"]}),
        encoding="utf-8",
    )
    for schema in found.rglob("values.schema.json"):
        schema.write_text(
            re.sub(
                r"https://[^\"#]*/_definitions\.json",
                definitions.as_uri(),
                schema.read_text(encoding="utf-8"),
            ),
            encoding="utf-8",
        )
    return found


@pytest.fixture(scope="module")
def manifests(chart: Path) -> list[dict[str, Any]]:
    rendered = Chart.load(chart).render(VALUES, name="scoopjoy", namespace="scoopjoy")
    return [
        document
        for path, text in rendered.items()
        if path.endswith(".yaml")
        for document in yaml.safe_load_all(text)
        if document
    ]


def test_the_charts_schema_takes_the_values_and_refuses_a_name_that_is_none(chart: Path) -> None:
    loaded = Chart.load(chart)
    loaded.validate_schema(VALUES)
    wrong = {**VALUES, "retention": {**VALUES["retention"], "sensors": {}}}
    with pytest.raises(HelmValuesError, match="sensors"):
        loaded.validate_schema(wrong)


def test_helm_lint_finds_nothing(chart: Path) -> None:
    report = lint(chart, VALUES, strict=True)
    assert (report["errors"], report["messages"]) == ([], [])


def test_kubernetes_takes_what_is_rendered(manifests: list[dict[str, Any]]) -> None:
    kinds = {manifest["kind"] for manifest in manifests}
    assert {"Deployment", "Service", "ConfigMap", "Job", "Ingress", "Role", "ServiceAccount"} <= kinds
    policies = yaml.safe_load_all((DEPLOY / "helm" / "network-policy.yaml").read_text(encoding="utf-8"))
    for manifest in [*manifests, *policies]:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def _named(manifests: list[dict[str, Any]], kind: str, ending: str) -> dict[str, Any]:
    (found,) = [one for one in manifests if one["kind"] == kind and one["metadata"]["name"].endswith(ending)]
    return found


def test_dagster_loads_the_instance_that_the_chart_writes(
    manifests: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = _named(manifests, "ConfigMap", "-instance")["data"]["dagster.yaml"]
    (tmp_path / "dagster.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", "secret")
    config, _ = dagster_instance_config(str(tmp_path))  # raises on a field that is none
    assert config["concurrency"]["runs"]["max_concurrent_runs"] == -1
    ref = InstanceRef.from_dir(str(tmp_path))
    assert isinstance(ref.run_coordinator, QueuedRunCoordinator)
    # The launcher itself asks for a cluster when it is made, so its configuration is looked at as Dagster does before.
    launcher = ref.run_launcher_data
    assert launcher is not None
    taken = process_config(resolve_to_config_type(K8sRunLauncher.config_type()), launcher.config_dict)
    assert taken.success, taken.errors


def test_the_launcher_names_what_the_chart_makes(manifests: list[dict[str, Any]]) -> None:
    config = VALUES["runLauncher"]["config"]["customRunLauncher"]["config"]
    made = {(one["kind"], one["metadata"]["name"]) for one in manifests}
    assert ("ConfigMap", config["instance_config_map"]) in made
    assert ("ServiceAccount", config["service_account_name"]) in made


def test_the_documents_delete_the_job_that_an_upgrade_could_not_change(
    manifests: list[dict[str, Any]],
) -> None:
    (job,) = [one for one in manifests if one["kind"] == "Job"]
    assert not job["metadata"].get("annotations")  # a hook would be replaced by Helm itself
    document = (PROJECT / "docs" / "deployment.md").read_text(encoding="utf-8")
    assert f"delete job {job['metadata']['name']} " in document


def test_the_code_hands_no_context_on_to_its_runs(manifests: list[dict[str, Any]]) -> None:
    code = _named(manifests, "Deployment", "-user-deployments-scoopjoy")
    (container,) = code["spec"]["template"]["spec"]["containers"]
    assert not [one for one in container["env"] if one["name"].endswith("CONTAINER_CONTEXT")]


def test_the_network_policies_choose_pods_that_the_chart_makes(manifests: list[dict[str, Any]]) -> None:
    made = [
        one["spec"]["template"]["metadata"]["labels"].items()
        for one in manifests
        if one["kind"] == "Deployment"
    ]
    policies = yaml.safe_load_all((DEPLOY / "helm" / "network-policy.yaml").read_text(encoding="utf-8"))
    for policy in policies:
        wanted = policy["spec"]["podSelector"].get("matchLabels")
        if wanted:  # the runs' pods are Dagster's to make
            assert [labels for labels in made if wanted.items() <= labels], policy["metadata"]["name"]
