"""Dagster on one machine: a code server, the webserver and the daemon, as child processes.

Here: which processes, with which options, and when they are ready. Not here: how a child is kept (``processes``),
PostgreSQL (``postgres``), DAGSTER_HOME (``home``).

One code server is shared. Left to themselves, webserver and daemon start one each: one more process that imports
everything, in a start that is mostly importing. ``dagster code-server start`` would put another process in front of
it, whose only gain is that the UI's "Reload" reads changed code.
"""

from __future__ import annotations

import http.client
import json
import secrets
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scoopjoy_dagster.local.processes import Child, ChildProcesses, ProcessError
from scoopjoy_dagster.webserver import OPEN, TOKEN, TOKEN_HEADER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HOST = "127.0.0.1"
START_DEADLINE_S = 180.0

_LOCATIONS = """
{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError {
  __typename ... on PythonError { message } } } } } }
"""


@dataclass(frozen=True, slots=True)
class Dagster:
    """Dagster, running.

    Attributes:
        url: the UI.
        address: the same, with the token that it asks for, to be opened once in a browser. Without it, when the
            environment has named the token: then who may open the UI knows it.
        code_server: the child that holds the definitions and starts the runs.
        webserver: the child that serves the UI.
        daemon: the child that keeps schedules, sensors and the run queue.
    """

    url: str
    address: str = field(repr=False)
    code_server: Child
    webserver: Child
    daemon: Child


@contextmanager
def running_dagster(
    children: ChildProcesses,
    environment: Mapping[str, str],
    *,
    port: int,
    directory: Path,
    module: str = "scoopjoy_dagster.definitions",
    location: str = "scoopjoy_dagster",
    deadline_s: float = START_DEADLINE_S,
) -> Iterator[Dagster]:
    """Start Dagster, wait until the UI shows the code location, and stop all ``children`` on leaving.

    Args:
        children: keeps the processes.
        environment: from ``home.prepare_home``. SCOOPJOY_UI_TOKEN in it is the token of the UI, else a new one is made.
        port: of the UI, on loopback.
        directory: working directory of the processes.
        module: the module with the definitions.
        location: what Dagster calls the code location.
        deadline_s: seconds to come up.

    Raises:
        ProcessError: a process has ended, the definitions cannot be loaded, or the deadline has passed.
    """
    # Whoever reaches a code server's socket runs code as its user, so it lies in a directory that only we may
    # enter; and in a short path, because a socket's path may have about a hundred characters.
    with tempfile.TemporaryDirectory(prefix="scoopjoy-") as private, children:
        socket = str(Path(private) / "code")
        # A workspace file, and not --grpc-socket: Dagster knows a schedule by the name of its code location, which
        # would else be the socket's path, another one at each start, and what was switched on would be forgotten.
        workspace = str(Path(private) / "workspace.yaml")
        server = {"socket": socket, "location_name": location}
        Path(workspace).write_text(json.dumps({"load_from": [{"grpc_server": server}]}), encoding="utf-8")

        def start(name: str, *command: str, **also: str) -> Child:
            return children.start(
                name,
                [sys.executable, "-m", *command],
                environment={**environment, **also},
                directory=directory,
            )

        code = ("--module-name", module, "--location-name", location)
        url = f"http://{HOST}:{port}"
        # Other users of this machine reach the port, too. By the environment, which they cannot read, as they can arguments.
        token = environment.get(TOKEN) or secrets.token_urlsafe(16)
        # These two at once: importing is most of the time, and it can overlap.
        code_server = start("code-server", "dagster", "api", "grpc", "--socket", socket, *code)
        webserver = start(
            *("webserver", "scoopjoy_dagster.webserver", "--host", HOST, "--port", str(port)),
            *("--workspace", workspace),
            **{TOKEN: token},
        )
        deadline = time.monotonic() + deadline_s
        children.wait_for_http(webserver, f"{url}{OPEN}", deadline_s)
        while (problem := _location_problem(port, token)) is not None:
            children.check_alive()
            if time.monotonic() > deadline:
                raise ProcessError(f"Dagster did not load its definitions within {deadline_s:g} s: {problem}")
            time.sleep(0.2)
        # The daemon last: before the code location is loaded it would only find that it cannot reach it. As `dagster
        # dev` starts it: the script dagster-daemon may lie anywhere, the module does not.
        daemon = start("daemon", "dagster._daemon", "run", "--workspace", workspace)
        address = url if environment.get(TOKEN) else f"{url}/?token={token}"
        yield Dagster(url, address, code_server, webserver, daemon)


def _location_problem(port: int, token: str) -> str | None:
    """Why the UI does not show the code location yet, None when it does."""
    try:
        entries = _ask(port, token, _LOCATIONS)["workspaceOrError"]["locationEntries"]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        return f"the webserver's answer cannot be read ({type(error).__name__})"
    for entry in entries:
        loaded = entry["locationOrLoadError"]
        if loaded is None:
            return f"{entry['name']} is still loading"
        if loaded["__typename"] == "PythonError":
            return f"{entry['name']}: {loaded['message'].strip()}"
    return None if entries else "the webserver knows no code location"


def _ask(port: int, token: str, query: str) -> Any:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        headers = {"Content-Type": "application/json", TOKEN_HEADER: token}
        connection.request("POST", "/graphql", json.dumps({"query": query}), headers)
        return json.loads(connection.getresponse().read())["data"]
    finally:
        connection.close()
