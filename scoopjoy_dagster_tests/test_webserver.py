"""The guard in front of Dagster's webserver: what other web sites and other users of the machine may not do.

Over a real socket, before an application that answers everything: what passes the guard is answered with 200. That
Dagster's own application is behind it, and starts no run, is in `local/test_services.py`.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from contextlib import closing
from socket import create_connection

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from scoopjoy_dagster.webserver import TOKEN_HEADER
from scoopjoy_dagster_tests.guarded import served

OUTER = "https://dagster.example.com"
TOKEN = "a-token"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def behind_a_proxy() -> Iterator[int]:
    """As in a container: the UI has an outer address, and asks for no token."""
    with served(ui_url=OUTER) as port:
        yield port


@pytest.fixture(scope="module")
def with_a_token() -> Iterator[int]:
    """As `scoopjoy dev` serves it."""
    with served(token=TOKEN) as port:
        yield port


def ask(
    port: int, method: str = "GET", path: str = "/", headers: Mapping[str, str] | None = None
) -> tuple[int, str, http.client.HTTPMessage]:
    """Status, text and headers; the host is the port's own where the headers do not name another."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method, path, b"{}" if method == "POST" else None, dict(headers or {}))
        answered = connection.getresponse()
        return answered.status, answered.read().decode(), answered.headers


# -- hosts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["dagster.example.com", "Dagster.Example.com", "127.0.0.1:3000", "localhost", "[::1]:8080"]
)
def test_known_hosts_are_answered(behind_a_proxy: int, host: str) -> None:
    assert ask(behind_a_proxy, headers={"Host": host})[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "dagster.example.com.evil.example",
        "dagster.example.com:8443",
        "127.0.0.1.evil.example",
        "localhost.evil.example:3000",
        "evil.example@localhost:3000x",
        "[::1",
        "",
    ],
)
def test_a_host_that_is_not_ours_is_refused_whatever_is_asked(behind_a_proxy: int, host: str) -> None:
    for method in ("GET", "POST"):
        status, text, _ = ask(behind_a_proxy, method, headers={"Host": host, **JSON})
        assert status == 421
        assert "SCOOPJOY_UI_URL" in text


def test_without_an_outer_address_only_loopback_is_known(with_a_token: int) -> None:
    known = {TOKEN_HEADER: TOKEN}
    assert ask(with_a_token, headers={"Host": "dagster.example.com", **known})[0] == 421
    assert ask(with_a_token, headers={"Host": "", **known})[0] == 421
    assert ask(with_a_token, headers=known)[0] == 200


# -- origins ----------------------------------------------------------------------------------------------------------

PAGE = {"Host": "dagster.example.com", "Origin": OUTER, "Sec-Fetch-Site": "same-origin"}
"""What the UI's own page sends behind a proxy that ends TLS."""


def test_the_uis_own_page_and_programs_are_answered(behind_a_proxy: int) -> None:
    for headers in (PAGE, {"Host": "dagster.example.com"}, {}):
        assert ask(behind_a_proxy, "POST", "/graphql", {**headers, **JSON})[0] == 200
    own = f"http://127.0.0.1:{behind_a_proxy}"
    assert ask(behind_a_proxy, "POST", "/graphql", {"Origin": own, **JSON})[0] == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://dagster.example.com"},
        {"Origin": "https://dagster.example.com:8443"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ],
)
def test_what_another_site_makes_a_browser_ask_is_refused(
    behind_a_proxy: int, method: str, wrong: dict[str, str]
) -> None:
    status, text, _ = ask(behind_a_proxy, method, "/graphql", {**PAGE, **wrong, **JSON})
    assert status == 403
    assert text == (
        "" if method == "HEAD" else "This request comes from another web site, and is not done.\n"
    )


def test_a_link_in_a_mail_or_in_erpnext_may_be_followed_and_a_form_may_not_be_sent(
    behind_a_proxy: int,
) -> None:
    followed = {
        "Host": "dagster.example.com",
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    assert ask(behind_a_proxy, "GET", "/runs/1", followed)[0] == 200
    assert ask(behind_a_proxy, "POST", "/graphql", {**followed, **JSON})[0] == 403


# -- what a foreign page can send without being asked -----------------------------------------------------------------


@pytest.mark.parametrize("path", ["/graphql", "/graphql/", "/graph%71l", "/under/graphql"])
def test_graphql_is_not_done_by_get(behind_a_proxy: int, path: str) -> None:
    for method in ("GET", "HEAD"):
        assert ask(behind_a_proxy, method, f"{path}?query=mutation{{launchRun}}")[0] == 405
    assert ask(behind_a_proxy, "GET", path)[0] == 200  # the page with Dagster's playground
    assert ask(behind_a_proxy, "GET", "/runs?query=late")[0] == 200


@pytest.mark.parametrize(
    "given",
    [
        "text/plain",
        "text/plain; application/json",  # which Dagster takes for JSON, and a browser for harmless
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=application/json",
        "application/graphql",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/graphql", "/graphql?query=mutation{launchRun}", "/report_asset_check/a"])
def test_what_is_sent_is_json(behind_a_proxy: int, path: str, given: str) -> None:
    assert ask(behind_a_proxy, "POST", path, {**PAGE, "Content-Type": given})[0] == 415
    assert (
        ask(behind_a_proxy, "POST", path, {**PAGE, "Content-Type": "Application/JSON; charset=utf-8"})[0]
        == 200
    )


# -- the token --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {TOKEN_HEADER: "another"},
        {TOKEN_HEADER: ""},
        {TOKEN_HEADER: "t\xf6ken"},
        {"Cookie": f"scoopjoy_ui_1={TOKEN}"},
        {"Authorization": f"Bearer {TOKEN}"},
    ],
)
def test_without_the_token_a_sentence_says_where_it_is(with_a_token: int, shown: dict[str, str]) -> None:
    for path in ("/", "/runs/1", "/graphql", "/index.html", "/?token=", "/?token=another", "//server_info"):
        status, text, headers = ask(with_a_token, "GET", path, shown)
        assert status == 401
        assert "scoopjoy dev" in text
        assert text.count("\n") == 1
        assert TOKEN not in text
        assert headers["Set-Cookie"] is None
    assert ask(with_a_token, "POST", "/graphql", {**shown, **JSON})[0] == 401


def test_the_address_that_was_printed_is_opened_once_and_then_forgotten(with_a_token: int) -> None:
    status, _, headers = ask(with_a_token, "GET", f"/runs?a=1&token={TOKEN}&b=%26")
    assert (status, headers["Location"]) == (303, "/runs?a=1&b=%26")
    cookie, *rules = headers["Set-Cookie"].split("; ")
    assert cookie == f"scoopjoy_ui_{with_a_token}={TOKEN}"
    assert {"HttpOnly", "SameSite=lax"} <= set(rules)
    assert not [
        rule for rule in rules if rule.startswith(("Domain", "expires", "Max-Age"))
    ]  # ends with the browser
    status, text, headers = ask(with_a_token, "GET", "/runs?a=1&b=%26", {"Cookie": f"other=1; {cookie}"})
    assert (status, text, headers["Set-Cookie"]) == (200, "GET /runs?a=1&b=%26", None)
    # Opened again: the token does not stay in the address either.
    assert ask(with_a_token, "GET", f"/?token={TOKEN}", {"Cookie": cookie})[2]["Location"] == "/"


@pytest.mark.parametrize(
    "path", ["//evil.example/", "/%2Fevil.example/", "/\\evil.example", "/%5C%5Cevil.example"]
)
def test_the_token_sends_nobody_to_another_site(with_a_token: int, path: str) -> None:
    status, _, headers = ask(with_a_token, "GET", f"{path}?token={TOKEN}")
    assert status == 303
    assert headers["Location"].startswith("/")
    assert headers["Location"][1:2] not in {"/", "\\"}


def test_whoever_knows_the_token_is_still_asked_where_they_come_from(with_a_token: int) -> None:
    known = {"Cookie": f"scoopjoy_ui_{with_a_token}={TOKEN}", TOKEN_HEADER: TOKEN}
    assert ask(with_a_token, "POST", "/graphql", {**known, **JSON})[0] == 200
    assert (
        ask(with_a_token, "POST", "/graphql", {**known, **JSON, "Origin": "https://evil.example"})[0] == 403
    )
    assert ask(with_a_token, "GET", "/graphql?query={a}", known)[0] == 405
    assert ask(with_a_token, "GET", f"/?token={TOKEN}", {"Host": "evil.example"})[0] == 421


def test_the_health_check_is_open_by_every_name(with_a_token: int, behind_a_proxy: int) -> None:
    for port in (with_a_token, behind_a_proxy):
        assert ask(port, "GET", "/server_info", {"Host": "10.1.2.3:3000"})[0] == 200


# -- frames ----------------------------------------------------------------------------------------------------------


def test_no_answer_may_be_shown_in_a_frame_or_name_its_address_elsewhere(
    behind_a_proxy: int, with_a_token: int
) -> None:
    answers = [
        ask(behind_a_proxy),
        ask(behind_a_proxy, headers={"Host": "evil.example"}),
        ask(behind_a_proxy, path="/server_info"),
        ask(with_a_token),
        ask(with_a_token, path=f"/?token={TOKEN}"),
    ]
    assert [status for status, _, _ in answers] == [200, 421, 200, 401, 303]
    for _, _, headers in answers:
        assert headers.get_all("Content-Security-Policy", [])[-1] == "frame-ancestors 'none'"
        assert headers.get_all("X-Frame-Options") == ["DENY"]
        assert headers.get_all("X-Content-Type-Options") == ["nosniff"]
        assert headers.get_all("Referrer-Policy") == ["same-origin"]


def test_the_policies_of_dagsters_own_pages_stay() -> None:
    own = {
        "Content-Security-Policy": "object-src 'none'",
        "Referrer-Policy": "unsafe-url",
        "X-Frame-Options": "SAMEORIGIN",
    }
    app = Starlette(routes=[Route("/", lambda _: PlainTextResponse("page", headers=own))])
    with served(app) as port:
        headers = ask(port)[2]
    assert headers.get_all("Content-Security-Policy") == ["object-src 'none'", "frame-ancestors 'none'"]
    assert headers.get_all("Referrer-Policy") == ["same-origin"]
    assert headers.get_all("X-Frame-Options") == ["DENY"]


# -- WebSockets -------------------------------------------------------------------------------------------------------


def greeting(port: int, headers: Mapping[str, str], host: str = "127.0.0.1") -> str | int:
    """What comes over a WebSocket, or the status with which it is refused; `host` as a DNS may name this machine."""
    try:
        with connect(
            f"ws://{host}:{port}/graphql",
            sock=create_connection(("127.0.0.1", port)),
            additional_headers=headers,
            open_timeout=30,
        ) as socket:
            return str(socket.recv())
    except InvalidStatus as refused:
        return refused.response.status_code


def test_websockets_are_asked_the_same(behind_a_proxy: int, with_a_token: int) -> None:
    own = {"Origin": f"http://127.0.0.1:{behind_a_proxy}"}
    assert greeting(behind_a_proxy, own) == greeting(behind_a_proxy, {}) == "hello"
    assert greeting(behind_a_proxy, {"Origin": "https://evil.example"}) == 403
    assert greeting(behind_a_proxy, {**own, "Sec-Fetch-Site": "cross-site"}) == 403
    assert greeting(behind_a_proxy, {}, "evil.example") == 403
    assert greeting(with_a_token, {}) == 403
    assert greeting(with_a_token, {TOKEN_HEADER: TOKEN}) == "hello"
    cookie = {"Cookie": f"scoopjoy_ui_{with_a_token}={TOKEN}"}
    assert greeting(with_a_token, cookie) == "hello"
    assert greeting(with_a_token, {**cookie, "Origin": "https://evil.example"}) == 403
