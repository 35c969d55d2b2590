"""Dagster's three processes on an embedded PostgreSQL: they come up together, do a run, and leave nothing behind."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPCookieProcessor, build_opener

import psutil
import pytest
from sqlalchemy import make_url
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from scoopjoy_dagster.local import services
from scoopjoy_dagster.local.home import PROJECT, prepare_home
from scoopjoy_dagster.local.processes import Child, ChildProcesses, ProcessError, free_port
from scoopjoy_dagster.local.services import Dagster, running_dagster
from scoopjoy_dagster.webserver import TOKEN, TOKEN_HEADER
from scoopjoy_dagster_tests.end_to_end.graphql import UI
from scoopjoy_dagster_tests.local.system import eventually, processes_with

if TYPE_CHECKING:
    from scoopjoy_dagster.local.postgres import EmbeddedPostgres

LAUNCH = """
mutation { launchRun(executionParams: { mode: "default", selector: {
  repositoryLocationName: "tiny", repositoryName: "__repository__", jobName: "__ASSET_JOB",
  assetSelection: [{ path: ["scoop"] }] } }) { __typename ... on LaunchRunSuccess { run { runId } } ... on InvalidSubsetError { message } } }
"""


def listening() -> list[Any]:
    """The addresses at which what we started listens, children's children included."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # the run that has just ended
            found += [
                one.laddr for one in process.net_connections(kind="inet") if one.status == psutil.CONN_LISTEN
            ]
    return found


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
        ui = UI(dagster.address)
        launched = ui.ask(LAUNCH)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        run = launched["run"]["runId"]

        def status() -> str:
            return str(ui.run(run)["status"])

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


# -- what a page of another site, and another user of the machine, may do -------------------------------------------------

FOREIGN = {"Host": "evil.example", "Origin": "https://evil.example"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
LAUNCH_BY_URL = f"/graphql?{urlencode({'query': LAUNCH})}"
RUNS = "{ runsOrError { ... on Runs { results { runId } } } }"


@pytest.fixture(scope="module")
def dagster(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dagster]:
    """Dagster with definitions of one asset, as `scoopjoy dev` serves them."""
    directory = tmp_path_factory.mktemp("guarded")
    environment = prepare_home(directory / "home", postgres.create_database("guarded"))
    environment.pop("SCOOPJOY_UI_URL", None)
    with running_dagster(
        ChildProcesses(directory / "logs"),
        environment,
        port=free_port(),
        directory=PROJECT,
        module="scoopjoy_dagster_tests.local.tiny_definitions",
        location="tiny",
    ) as running:
        yield running


def asked(dagster: Dagster, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
    """Status and text of the webserver's answer."""
    body = json.dumps({"query": LAUNCH}).encode() if method == "POST" else None
    with closing(HTTPConnection(urlsplit(dagster.url).netloc, timeout=60)) as connection:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_no_web_page_and_no_other_user_starts_a_run(dagster: Dagster) -> None:
    ui = UI(dagster.address)
    known = {TOKEN_HEADER: ui.token}  # as when the browser's cookie is sent along, whatever page asks
    json_ = {"Content-Type": "application/json"}
    for method, path, headers, status in (
        ("GET", LAUNCH_BY_URL, {**FOREIGN, **known}, 421),
        ("GET", LAUNCH_BY_URL, {"Origin": "https://evil.example", **known}, 403),
        ("GET", LAUNCH_BY_URL, known, 405),
        ("POST", LAUNCH_BY_URL, {**FORM, **known}, 415),
        ("POST", "/graphql", {"Content-Type": "text/plain; application/json", **known}, 415),
        ("POST", "/graphql", {"Content-Type": "application/graphql", **known}, 415),
        ("POST", "/graphql", {**json_, **known, "Origin": "https://evil.example"}, 403),
        ("POST", "/report_asset_materialization/scoop", {**FORM, **known}, 415),
        ("POST", "/graphql", json_, 401),
        ("GET", "/", {}, 401),
        ("GET", "/runs/1", {}, 401),
        ("GET", "/download_debug/1", {}, 401),
    ):
        assert asked(dagster, method, path, headers)[0] == status, (method, path, headers)
    assert ui.ask(RUNS)["runsOrError"]["results"] == []
    assert asked(dagster, "POST", "/graphql", {**json_, **known, "Origin": dagster.url})[0] == 200
    assert len(ui.ask(RUNS)["runsOrError"]["results"]) == 1


def test_a_browser_opens_the_printed_address_and_is_known_from_then_on(dagster: Dagster) -> None:
    opener = build_opener(HTTPCookieProcessor())
    with opener.open(dagster.address, timeout=60) as page:
        assert page.url == f"{dagster.url}/"  # without the token
        assert page.read().startswith(b"<!DOCTYPE html>")
    with opener.open(f"{dagster.url}/runs", timeout=60) as page:
        assert page.status == 200


def test_a_websocket_needs_the_token_and_the_ui_s_own_page(dagster: Dagster) -> None:
    known, url = {TOKEN_HEADER: UI(dagster.address).token}, f"{dagster.url.replace('http', 'ws')}/graphql"
    for headers in ({}, {**known, "Origin": "https://evil.example"}):
        with pytest.raises(InvalidStatus, match="403"):
            connect(url, additional_headers=headers, open_timeout=30)
    with connect(
        url, additional_headers={**known, "Origin": dagster.url}, subprotocols=[Subprotocol("graphql-ws")]
    ) as socket:
        socket.send('{"type": "connection_init"}')
        assert json.loads(socket.recv(timeout=30)) == {"type": "connection_ack"}


def test_the_token_is_in_no_argument_and_no_log(dagster: Dagster) -> None:
    token = UI(dagster.address).token
    assert len(token) >= 22  # 128 bits
    assert processes_with(token) == []
    environment = Path(
        f"/proc/{dagster.webserver.process.pid}/environ"
    )  # where it is; on Linux others could look there
    assert not environment.exists() or stat.S_IMODE(environment.stat().st_mode) == 0o400
    for child in (dagster.code_server, dagster.webserver, dagster.daemon):
        assert token not in child.log.read_text(encoding="utf-8", errors="replace")
    assert asked(dagster, "GET", "/server_info", {})[0] == 200  # health checks know no token


def test_a_token_of_the_environment_is_taken_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, str] = {}

    class Started(ChildProcesses):
        def start(self, name: str, command: Sequence[str], **options: Any) -> Child:
            given.update({name: options["environment"].get(TOKEN, "")})
            return Child(name, None, tmp_path)  # type: ignore[arg-type]  # no process is looked at

        def wait_for_http(self, child: Child, url: str, deadline_s: float = 0) -> None:
            """It answers."""

    monkeypatch.setattr(services, "_location_problem", lambda _port, _token: None)
    for environment, ends in (({TOKEN: "kept"}, ""), ({}, "/?token=")):
        children = Started(tmp_path)
        with running_dagster(children, environment, port=4321, directory=tmp_path) as running:
            children.children.clear()
            address, _, token = running.address.partition("=")
            assert address == f"http://127.0.0.1:4321{ends.rstrip('=')}"
        assert given["webserver"] == (token or "kept")
        assert given["daemon"] == environment.get(TOKEN, "")
