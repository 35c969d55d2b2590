"""The nginx of docs/security.md, run for real in front of the guard; where nginx is installed."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing

import pytest
import trustme

from scoopjoy_dagster.local.processes import ChildProcesses, free_port
from scoopjoy_dagster_tests.deploy.files import NGINX, PROJECT
from scoopjoy_dagster_tests.deploy.test_proxy import ATTEMPTS, PASSWORD, login, over_websocket
from scoopjoy_dagster_tests.guarded import served
from scoopjoy_dagster_tests.local.system import eventually

TOKEN = "a token of the proxy's"


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int, ssl.SSLContext]]:
    """Nginx with the example of the documents, in front of a UI with a token: its port, the UI's, and how to trust it."""
    directory = tmp_path_factory.mktemp("nginx")
    authority = trustme.CA()
    certificate = authority.issue_cert("dagster.example.com")
    certificate.cert_chain_pems[0].write_to_path(directory / "site.pem")
    certificate.private_key_pem.write_to_path(directory / "site.key")
    (directory / "users").write_text(f"asha:{{PLAIN}}{PASSWORD}\n", encoding="utf-8")
    document = (PROJECT / "docs" / "security.md").read_text(encoding="utf-8")
    example = document.split("```nginx\n", 1)[1].split("```", 1)[0]
    port = free_port()
    with (
        served(ui_url="https://dagster.example.com", token=TOKEN) as webserver,
        ChildProcesses(directory) as children,
    ):
        (directory / "token").write_text(f'proxy_set_header X-ScoopJoy-Token "{TOKEN}";\n', encoding="utf-8")
        for theirs, ours in {
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "/etc/ssl/dagster.example.com.pem": f"{directory}/site.pem",
            "/etc/ssl/private/dagster.example.com.key": f"{directory}/site.key",
            "/etc/nginx/scoopjoy.htpasswd;": f"{directory}/users;",
            "/etc/nginx/scoopjoy.token;": f"{directory}/token;",
            "http://127.0.0.1:3000": f"http://127.0.0.1:{webserver}",
        }.items():
            assert example.count(theirs) == 1, theirs
            example = example.replace(theirs, ours)
        temporary = "".join(
            f"{name}_temp_path {directory}/{name};\n"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;\n" if os.geteuid() == 0 else ""  # pytest's directories are closed to others
        (directory / "nginx.conf").write_text(
            f"{user}daemon off;\npid {directory}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{example}}}\n",
            encoding="utf-8",
        )
        child = children.start("nginx", [str(NGINX), "-e", "stderr", "-c", str(directory / "nginx.conf")])
        context = ssl.create_default_context()
        authority.configure_trust(context)

        def listens() -> bool:
            child.check_alive()
            with closing(socket.socket()) as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        assert eventually(listens)
        yield port, webserver, context


def test_the_nginx_of_the_documents_asks_for_a_login_and_lets_no_other_site_in(
    nginx: tuple[int, int, ssl.SSLContext],
) -> None:
    port, webserver, context = nginx

    def reached() -> ssl.SSLSocket:
        connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        return context.wrap_socket(connection, server_hostname="dagster.example.com")

    def asked(method: str, path: str, headers: dict[str, str]) -> int:
        with closing(http.client.HTTPConnection("dagster.example.com")) as connection:
            connection.sock = reached()
            connection.request(method, path, headers=headers)
            return connection.getresponse().status

    known, own = login("asha", PASSWORD), {"Origin": "https://dagster.example.com"}
    assert asked("GET", "/", {}) == 401
    assert asked("GET", "/", known) == 200
    assert asked("POST", "/graphql", {**known, **own, "Content-Type": "application/json"}) == 200
    for method, path, headers, status in (*ATTEMPTS, ("GET", "/", {"Host": "evil.example"}, 421)):
        assert asked(method, path, {**known, **headers}) == status, (method, path, headers)
    for headers, came in (
        ({**known, **own}, "hello"),
        (own, 401),
        ({**known, "Origin": "https://evil.example"}, 403),
    ):
        assert over_websocket("ws://dagster.example.com/graphql", headers, reached()) == came
    # Past nginx and its login: another user of the machine, who does not know the token.
    with closing(http.client.HTTPConnection("127.0.0.1", webserver, timeout=30)) as connection:
        connection.request("GET", "/")
        assert connection.getresponse().status == 401
