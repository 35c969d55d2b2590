"""The reverse proxy of the compose file, run for real in front of the guard."""

from __future__ import annotations

import base64
import http.client
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from scoopjoy_dagster.local.processes import ChildProcesses, free_port
from scoopjoy_dagster_tests.deploy.files import DEPLOY, PROGRAMS
from scoopjoy_dagster_tests.guarded import served
from scoopjoy_dagster_tests.local.system import eventually

CADDYFILE = DEPLOY / "compose" / "Caddyfile"
CADDY = str(PROGRAMS / "caddy")
PASSWORD = "a good password"


@dataclass(frozen=True)
class Proxy:
    """Caddy, running."""

    port: int
    log: Path

    @property
    def site(self) -> str:
        """Where people reach it."""
        return f"dagster.example.com:{self.port}"


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Caddy with one login, in front of a server; for all tests, because passwords are hashed slowly on purpose."""
    directory = tmp_path_factory.mktemp("proxy")
    hashed = subprocess.run(
        [CADDY, "hash-password"], check=True, capture_output=True, text=True, input=f"{PASSWORD}\n"
    ).stdout.strip()
    (directory / "users").write_text(f"asha {hashed}\n", encoding="utf-8")
    port, health = free_port(), free_port()
    site = f"http://dagster.example.com:{port}"
    with served(ui_url=site) as webserver, ChildProcesses(directory) as children:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "SITE_ADDRESS": site,
            "USERS_FILE": str(directory / "users"),
            "WEBSERVER": f"127.0.0.1:{webserver}",
            "HEALTH_PORT": str(health),
        }
        child = children.start(
            "caddy",
            [CADDY, "run", "--config", str(CADDYFILE), "--adapter", "caddyfile"],
            environment=environment,
        )
        children.wait_for_http(child, f"http://127.0.0.1:{health}/", 60)
        yield Proxy(port, child.log)


def login(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def get(
    proxy: Proxy, headers: dict[str, str], method: str = "GET", path: str = "/"
) -> tuple[int, str, Message]:
    """Status, text and headers of the answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=30)) as connection:
        connection.request(method, path, headers={"Host": proxy.site, **headers})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers


def test_the_ui_is_behind_a_login(proxy: Proxy) -> None:
    for wrong in ({}, login("asha", "guessed"), login("nobody", PASSWORD)):
        status, body, headers = get(proxy, wrong)
        assert status == 401
        assert headers["WWW-Authenticate"].startswith("Basic")
        assert "GET" not in body
    status, body, headers = get(proxy, login("asha", PASSWORD))
    assert (status, body) == (200, "GET /?")
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Server"] is None


def test_who_asked_stands_in_the_log_and_no_password_does(proxy: Proxy) -> None:
    assert get(proxy, login("asha", PASSWORD))[0] == 200
    assert eventually(lambda: '"user_id":"asha"' in proxy.log.read_text(encoding="utf-8"))
    text = proxy.log.read_text(encoding="utf-8")
    assert PASSWORD not in text
    assert login("asha", PASSWORD)["Authorization"].split()[1] not in text


ATTEMPTS: tuple[tuple[str, str, dict[str, str], int], ...] = (
    ("GET", "/graphql?query=mutation{launchRun}", {}, 405),
    ("GET", "/graphql?query=mutation{launchRun}", {"Origin": "https://evil.example"}, 403),
    ("GET", "/graphql?query=mutation{launchRun}", {"Sec-Fetch-Site": "cross-site"}, 403),
    ("POST", "/graphql", {"Content-Type": "application/json", "Origin": "https://evil.example"}, 403),
    ("POST", "/graphql", {"Content-Type": "application/json", "Origin": "null"}, 403),
    ("POST", "/graphql", {"Content-Type": "text/plain; application/json"}, 415),
)
"""What a page of another site may make a browser ask: method, path, headers and the answer's status."""


def test_the_login_that_a_browser_remembers_starts_no_run_for_another_site(proxy: Proxy) -> None:
    known = login("asha", PASSWORD)
    for method, path, headers, status in ATTEMPTS:
        assert get(proxy, {**known, **headers}, method, path)[0] == status, (method, path, headers)
    own = {
        "Content-Type": "application/json",
        "Origin": f"http://{proxy.site}",
        "Sec-Fetch-Site": "same-origin",
    }
    assert get(proxy, {**known, **own}, "POST", "/graphql")[0] == 200
    # Caddy serves its own site alone; what it says to other names does not come from the UI.
    assert get(proxy, {**known, "Host": "evil.example"})[1] == ""


def over_websocket(address: str, headers: dict[str, str], connection: socket.socket) -> str | int:
    """What comes over a WebSocket, or the status with which it is refused."""
    try:
        with connect(address, sock=connection, additional_headers=headers, open_timeout=30) as opened:
            return str(opened.recv())
    except InvalidStatus as refused:
        return refused.response.status_code


def test_websockets_pass_with_the_login_from_the_uis_own_page_and_only_so(proxy: Proxy) -> None:
    known, own = login("asha", PASSWORD), {"Origin": f"http://{proxy.site}"}
    for headers, came in (
        ({**known, **own}, "hello"),
        (own, 401),
        ({**known, "Origin": "https://evil.example"}, 403),
    ):
        connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=30)
        assert over_websocket(f"ws://{proxy.site}/graphql", headers, connection) == came


def test_a_public_name_gets_https(tmp_path: Path) -> None:
    (tmp_path / "users").write_text("asha $2a$14$" + "a" * 53 + "\n", encoding="utf-8")
    done = subprocess.run(
        [CADDY, "adapt", "--config", str(CADDYFILE), "--adapter", "caddyfile"],
        check=True,
        capture_output=True,
        text=True,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "SITE_ADDRESS": "dagster.example.com",
            "USERS_FILE": str(tmp_path / "users"),
        },
    )
    assert '"listen":[":443"]' in done.stdout
    assert '"dial":"webserver:3000"' in done.stdout
    assert '"admin":{"disabled":true' in done.stdout
