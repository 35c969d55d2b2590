"""The commands and health checks of the compose file, run here without containers: on loopback, with secrets in files."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from scoopjoy_dagster.local.postgres import EmbeddedPostgres
from scoopjoy_dagster.local.processes import ChildProcesses, free_port
from scoopjoy_dagster_tests.deploy.files import DEPLOY, PROGRAMS, PROJECT, read_yaml
from scoopjoy_dagster_tests.local.system import eventually

SERVICES = read_yaml("compose/compose.yaml")["services"]
LOCATIONS = b'{"query": "{workspaceOrError {... on Workspace {locationEntries {name locationOrLoadError {__typename}}}}}"}'


@pytest.mark.timeout(600)
def test_the_services_come_up_in_their_order_and_are_found_healthy(tmp_path: Path) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="scoopjoy-test-") as name,
        EmbeddedPostgres(Path(name)) as postgres,
    ):
        home, secrets = tmp_path / "home", tmp_path / "secrets"
        home.mkdir()
        (home / "dagster.yaml").symlink_to(PROJECT / "dagster.yaml")  # as the image has it
        secrets.mkdir()
        for secret in SERVICES["code"]["secrets"]:
            (secrets / secret).write_text("")  # those that are not used
        (secrets / "SCOOPJOY_POSTGRES_URL").write_text(postgres.create_database("compose") + "\n")
        (secrets / "ERPNEXT_API_KEY").write_text("key\n")
        (secrets / "ERPNEXT_API_SECRET").write_text("secret\n")
        code, web = str(free_port()), str(free_port())
        workspace = tmp_path / "workspace.yaml"
        text = (DEPLOY / "compose" / "workspace.yaml").read_text(encoding="utf-8")
        workspace.write_text(
            text.replace("host: code", "host: 127.0.0.1").replace("4000", code), encoding="utf-8"
        )
        environment = {
            "PATH": f"{DEPLOY}:{PROGRAMS}:{os.environ['PATH']}",  # as the image has it
            "HOME": str(tmp_path),
            "DAGSTER_HOME": str(home),
            "SECRETS_DIRECTORY": str(secrets),
            "ERPNEXT_URL": "http://127.0.0.1:9",
            "SCOOPJOY_GO_LIVE": "2026-11-01",
            "SCOOPJOY_AUTOMATION": "off",
            "NO_PROXY": "127.0.0.1",
            **{
                name: value.replace("${SITE_ADDRESS}", "dagster.example.com")
                for name, value in SERVICES["webserver"]["environment"].items()
            },
        }

        def here(words: list[str]) -> list[str]:
            """The words as in the container, but for addresses and paths of this machine."""
            for there, ours in (
                ("0.0.0.0", "127.0.0.1"), ("4000", code), ("3000", web), ("/etc/scoopjoy/workspace.yaml", str(workspace)),
            ):  # fmt: skip
                words = [word.replace(there, ours) for word in words]
            return words

        def ends_well(words: list[str]) -> bool:
            done = subprocess.run(
                here(words), check=False, capture_output=True, env=environment, cwd=PROJECT, timeout=200
            )
            return done.returncode == 0

        def command(service: str) -> list[str]:
            """Its command behind the image's entrypoint, which health checks do not pass through."""
            return ["with-secrets", *SERVICES[service]["command"]]

        assert ends_well(command("tables")), "the tables of an empty database"
        assert ends_well(command("tables")), "and of one that has them"
        with ChildProcesses(tmp_path / "logs") as children:
            for service in ("code", "webserver", "daemon"):
                child = children.start(
                    service, here(command(service)), environment=environment, directory=PROJECT
                )
                check = SERVICES[service]["healthcheck"]["test"]
                assert check[0] == "CMD"
                assert eventually(lambda words=check[1:]: ends_well(words), within_s=180), child.last_lines()  # type: ignore[misc]

            def graphql(host: str, origin: str) -> Any:
                headers = {"Content-Type": "application/json", "Host": host, "Origin": origin}
                request = urllib.request.Request(f"http://127.0.0.1:{web}/graphql", LOCATIONS, headers)
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return json.load(answer)["data"]

            site = "dagster.example.com"
            entries = graphql(site, f"https://{site}")["workspaceOrError"]["locationEntries"]
            # What another site's page makes a browser ask, with the proxy's login, which it remembers.
            for host, origin, status in (
                (site, "https://evil.example", 403),
                ("evil.example", f"https://{site}", 421),
            ):
                with pytest.raises(urllib.error.HTTPError, match=str(status)):
                    graphql(host, origin)
        assert entries == [
            {"name": "scoopjoy_dagster", "locationOrLoadError": {"__typename": "RepositoryLocation"}}
        ]
