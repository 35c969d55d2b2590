"""The reverse proxy, run for real in front of a server that says who asks it."""

from __future__ import annotations

import base64
import http.client
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scoopjoy_dagster.local.processes import ChildProcesses, free_port
from scoopjoy_dagster_tests.deploy.files import DEPLOY, PROGRAMS
from scoopjoy_dagster_tests.local.system import eventually

CADDYFILE = DEPLOY / "compose" / "Caddyfile"
CADDY = str(PROGRAMS / "caddy")
PASSWORD = "a good password"


class Upstream(BaseHTTPRequestHandler):
    """Answers a page, or agrees to a WebSocket and sends two bytes over it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.headers.get("Upgrade") == "websocket":
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.end_headers()
            self.wfile.write(b"hi")
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"UI\n")

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Proxy:
    """Caddy, running."""

    port: int
    log: Path


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Caddy with one login, in front of a server; for all tests, because passwords are hashed slowly on purpose."""
    directory = tmp_path_factory.mktemp("proxy")
    hashed = subprocess.run(
        [CADDY, "hash-password"], check=True, capture_output=True, text=True, input=f"{PASSWORD}\n"
    ).stdout.strip()
    (directory / "users").write_text(f"asha {hashed}\n", encoding="utf-8")
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server, ChildProcesses(directory) as children:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port, health = free_port(), free_port()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "SITE_ADDRESS": f"http://127.0.0.1:{port}",
            "USERS_FILE": str(directory / "users"),
            "WEBSERVER": f"127.0.0.1:{server.server_address[1]}",
            "HEALTH_PORT": str(health),
        }
        child = children.start(
            "caddy",
            [CADDY, "run", "--config", str(CADDYFILE), "--adapter", "caddyfile"],
            environment=environment,
        )
        try:
            children.wait_for_http(child, f"http://127.0.0.1:{health}/", 60)
            yield Proxy(port, child.log)
        finally:
            server.shutdown()
            thread.join()


def login(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def get(port: int, headers: dict[str, str]) -> tuple[int, bytes, Message]:
    """Status, body and headers of the answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", "/", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers


def test_the_ui_is_behind_a_login(proxy: Proxy) -> None:
    for wrong in ({}, login("asha", "guessed"), login("nobody", PASSWORD)):
        status, body, headers = get(proxy.port, wrong)
        assert status == 401
        assert headers["WWW-Authenticate"].startswith("Basic")
        assert b"UI" not in body
    status, body, headers = get(proxy.port, login("asha", PASSWORD))
    assert (status, body) == (200, b"UI\n")
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Server"] is None


def test_who_asked_stands_in_the_log_and_no_password_does(proxy: Proxy) -> None:
    assert get(proxy.port, login("asha", PASSWORD))[0] == 200
    assert eventually(lambda: '"user_id":"asha"' in proxy.log.read_text(encoding="utf-8"))
    text = proxy.log.read_text(encoding="utf-8")
    assert PASSWORD not in text
    assert login("asha", PASSWORD)["Authorization"].split()[1] not in text


@pytest.mark.parametrize(("headers", "status"), [(login("asha", PASSWORD), b"101"), ({}, b"401")])
def test_websockets_pass_with_the_login_and_only_with_it(
    proxy: Proxy, headers: dict[str, str], status: bytes
) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=30) as connection:
        connection.sendall(
            (
                f"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1:{proxy.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{lines}\r\n"
            ).encode()
        )
        with connection.makefile("rb") as answer:
            assert answer.readline().split()[1] == status
            if status == b"101":
                while answer.readline().strip():
                    pass
                assert answer.read(2) == b"hi"


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
