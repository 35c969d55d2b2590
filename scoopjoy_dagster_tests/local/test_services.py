"""Dagster's three processes on an embedded PostgreSQL: they come up together, do a run, and leave nothing behind."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from sqlalchemy import make_url

from scoopjoy_dagster.local.home import PROJECT, prepare_home
from scoopjoy_dagster.local.processes import ChildProcesses, ProcessError, free_port
from scoopjoy_dagster.local.services import running_dagster
from scoopjoy_dagster_tests.local.system import eventually, processes_with

if TYPE_CHECKING:
    from scoopjoy_dagster.local.postgres import EmbeddedPostgres

LAUNCH = """
mutation { launchRun(executionParams: { mode: "default", selector: {
  repositoryLocationName: "tiny", repositoryName: "__repository__", jobName: "__ASSET_JOB",
  assetSelection: [{ path: ["scoop"] }] } }) { __typename ... on LaunchRunSuccess { run { runId } } ... on InvalidSubsetError { message } } }
"""

STATUS = """{ runOrError(runId: "RUN") { ... on Run { status } } }"""


def listening() -> list[Any]:
    """The addresses at which what we started listens, children's children included."""
    return [
        found.laddr
        for process in psutil.Process().children(recursive=True)
        for found in process.net_connections(kind="inet")
        if found.status == psutil.CONN_LISTEN
    ]


def ask(url: str, query: str) -> Any:
    request = urllib.request.Request(
        f"{url}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)["data"]


def test_dagster_comes_up_runs_an_asset_and_leaves_nothing_behind(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    environment = prepare_home(tmp_path / "home", postgres.create_database("services"))
    children = ChildProcesses(tmp_path / "logs")
    with running_dagster(
        children,
        environment,
        port=free_port(),
        directory=PROJECT,
        module="scoopjoy_dagster_tests.local.tiny_definitions",
        location="tiny",
    ) as dagster:
        socket = dagster.code_server.process.args[-5]  # type: ignore[index]
        assert Path(str(socket)).is_socket()
        launched = ask(dagster.url, LAUNCH)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        run = launched["run"]["runId"]

        def status() -> str:
            found = ask(dagster.url, STATUS.replace("RUN", run))
            return str(found["runOrError"]["status"])

        assert eventually(lambda: status() in {"SUCCESS", "FAILURE"}, within_s=120)
        assert status() == "SUCCESS"
        assert processes_with(str(make_url(postgres.url).password)) == [], (
            "run, code server, UI, daemon: by environment"
        )
        assert {address.ip for address in listening()} == {"127.0.0.1"}, (
            "the UI alone, and on this machine alone"
        )
        private = str(Path(str(socket)).parent)
        assert len(processes_with(private)) == 3
    assert processes_with(private) == []
    assert not Path(private).exists()


def test_definitions_that_cannot_be_loaded_are_reported_from_the_code_servers_log(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    environment = prepare_home(tmp_path / "home", postgres.create_database("broken"))
    (tmp_path / "broken_definitions.py").write_text("raise RuntimeError('no scoop today')\n")
    dagster = running_dagster(
        ChildProcesses(tmp_path / "logs"),
        environment,
        port=free_port(),
        directory=tmp_path,
        module="broken_definitions",
    )
    with pytest.raises(
        ProcessError, match=r"(?s)code-server ended with exit code 1.*\n  RuntimeError: no scoop today\n"
    ):
        dagster.__enter__()
    assert processes_with(str(tmp_path)) == []
