"""The compose file: what is published, who knows which secret, and that its parts fit together."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from scoopjoy_dagster.cli.env_file import secrets
from scoopjoy_dagster_tests.deploy.files import DEPLOY, PROGRAMS, PROJECT, read_yaml

COMPOSE = read_yaml("compose/compose.yaml")
SERVICES: dict[str, Any] = COMPOSE["services"]
DATABASE = "SCOOPJOY_POSTGRES_URL"
DAGSTER = {"webserver", "daemon", "code", "tables", "worker"}


def test_the_compose_specification_allows_it() -> None:
    # Merges and variables are resolved first, as `docker compose` does it; $$ stands for a dollar sign.
    text = re.sub(r"\$\{SITE_ADDRESS(:\?[^}]*)?\}", "dagster.example.com", json.dumps(COMPOSE))
    text = re.sub(r"\$\{IMAGE:-([^}]*)\}", r"\1", text)
    compose = PyCompose.from_json(text)
    compose.validate()
    assert set(compose.service_names()) == set(SERVICES)


def test_the_specification_would_refuse_a_field_that_is_none() -> None:
    with pytest.raises(ValueError, match="restarts"):
        PyCompose.from_yaml("services:\n  one:\n    image: a:1\n    restarts: always\n")


def test_only_the_proxy_is_published() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"proxy"}
    assert SERVICES["proxy"]["ports"] == ["80:80", "443:443"]


def test_what_needs_no_way_out_has_none() -> None:
    inner = {name for name, network in COMPOSE["networks"].items() if (network or {}).get("internal")}
    out = {name for name, service in SERVICES.items() if not set(service["networks"]) <= inner}
    assert out == {"proxy", "code", "worker"}
    assert (
        "inside" not in SERVICES["proxy"]["networks"]
    )  # the code server and PostgreSQL are out of its reach


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_limited_watched_and_may_not_change_itself(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["cpus"]
    if name == "tables":  # runs once, to its end
        assert service["restart"] == "no"
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_one_version(name: str) -> None:
    assert re.search(r":\d+\.\d+(\.\d+)?(-[a-z]+)?\}?$", SERVICES[name]["image"]), SERVICES[name]["image"]


def test_the_proxy_is_the_version_that_the_tests_run_and_the_documents_name() -> None:
    tried = subprocess.run([str(PROGRAMS / "caddy"), "version"], check=True, capture_output=True, text=True)
    version = tried.stdout.split()[0].removeprefix("v")
    assert SERVICES["proxy"]["image"] == f"caddy:{version}-alpine"
    document = (PROJECT / "docs" / "deployment.md").read_text(encoding="utf-8")
    assert set(re.findall(r"(?:caddy:|Caddy )(\d+\.\d+\.\d+)", document)) == {version}


def test_the_webserver_answers_to_the_name_that_the_proxy_serves() -> None:
    assert SERVICES["webserver"]["environment"] == {"SCOOPJOY_UI_URL": "https://${SITE_ADDRESS}"}
    assert SERVICES["proxy"]["environment"]["SITE_ADDRESS"].startswith("${SITE_ADDRESS:?")


def test_the_keys_of_the_site_are_with_its_code_alone() -> None:
    assert set(SERVICES["code"]["secrets"]) == set(SERVICES["worker"]["secrets"]) == secrets() | {DATABASE}
    for name in ("webserver", "daemon", "tables"):
        assert SERVICES[name]["secrets"] == [DATABASE]
        assert "env_file" not in SERVICES[name]


def test_no_secret_stands_in_an_environment_and_each_is_a_file() -> None:
    for service in SERVICES.values():
        assert not (secrets() | {DATABASE, "POSTGRES_PASSWORD"}) & set(service.get("environment", {}))
    asked = {name for service in SERVICES.values() for name in service.get("secrets", ())}
    assert {name: one["file"] for name, one in COMPOSE["secrets"].items()} == {
        name: f"./secrets/{name}" for name in asked
    }


def test_the_workspace_names_the_code_server_where_it_listens() -> None:
    (server,) = yaml.safe_load((DEPLOY / "compose" / "workspace.yaml").read_text())["load_from"]
    command = SERVICES["code"]["command"]
    assert server["grpc_server"] == {
        "host": "code",
        "port": int(command[command.index("--port") + 1]),
        "location_name": command[command.index("--location-name") + 1],
    }
    for name in ("webserver", "daemon"):
        at = SERVICES[name]["configs"][0]["target"]
        assert SERVICES[name]["command"][-2:] == ["--workspace", at]


def test_there_is_one_daemon_and_one_code_server() -> None:
    commands = [" ".join(SERVICES[name]["command"]) for name in SERVICES if name in DAGSTER]
    assert sum("dagster-daemon run" in one for one in commands) == 1
    assert sum("dagster api grpc" in one for one in commands) == 1
    assert all("deploy" not in service for service in SERVICES.values())  # nor replicas of them


def test_celery_is_only_there_when_it_is_asked_for() -> None:
    assert {name for name, service in SERVICES.items() if service.get("profiles") == ["celery"]} == {
        "redis",
        "worker",
    }
    waits = {
        other
        for name, service in SERVICES.items()
        for other in service.get("depends_on", ())
        if name in DAGSTER - {"worker"}
    }
    assert not waits & {"redis", "worker"}
