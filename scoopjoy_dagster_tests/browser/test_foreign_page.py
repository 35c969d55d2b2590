"""A page of another server, in the browser of a person who has Dagster's UI open: it tries what a page can, and nothing is done."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from scoopjoy_dagster_tests.browser.chromium import browser
from scoopjoy_dagster_tests.guarded import served

OWN = """async () => {
  const answer = await fetch('/graphql', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '"own"'});
  const socket = new WebSocket(`ws://${location.host}/graphql`);
  return [answer.status, await new Promise(done => { socket.onopen = () => done('open'); socket.onerror = () => done('refused'); })];
}"""

FOREIGN = """async ui => {
  const mutation = `${ui}/graphql?query=mutation{launchRun}`;
  const ask = options => fetch(mutation, {mode: 'no-cors', credentials: 'include', ...options}).catch(() => null);
  await ask({});
  await ask({method: 'POST', body: new URLSearchParams({query: 'mutation'})});
  await ask({method: 'POST', headers: {'Content-Type': 'text/plain; application/json'}, body: '{}'});
  await fetch(`${ui}/graphql`, {method: 'POST', credentials: 'include', headers: {'Content-Type': 'application/json'}, body: '{}'}).catch(() => null);
  await new Promise(done => { const image = new Image(); image.onload = image.onerror = done; image.src = mutation; });
  const frame = document.createElement('iframe');
  await new Promise(done => { frame.onload = done; frame.src = ui; document.body.append(frame); });
  const socket = new WebSocket(`${ui.replace('http', 'ws')}/graphql`);
  return await new Promise(done => { socket.onopen = () => done('open'); socket.onerror = () => done('refused'); });
}"""


class Page(BaseHTTPRequestHandler):
    """A page without anything."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!DOCTYPE html><title>Another server</title><body></body>")

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def another_server() -> Iterator[int]:
    """The port of another server on this machine: of the same site, as browsers count, so that they send cookies along."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("foreign", ["127.0.0.1", "localhost"])
def test_a_page_of_another_server_gets_nothing_past_the_guard(foreign: str) -> None:
    done: list[str] = []

    async def answer(request: Request) -> Response:
        done.append(f"{request.method} {request.url.path}")
        return PlainTextResponse("Dagster")

    async def open_socket(websocket: WebSocket) -> None:
        done.append("WebSocket")
        await websocket.accept()
        await websocket.receive()

    app = Starlette(
        routes=[
            WebSocketRoute("/graphql", open_socket),
            Route("/{path:path}", answer, methods=["GET", "POST", "OPTIONS"]),
        ]
    )
    with served(app, token="a-token") as port, another_server() as other, browser() as context:
        ui = f"http://127.0.0.1:{port}"
        page = context.new_page()
        page.goto(f"{ui}/?token=a-token")
        assert page.url == f"{ui}/"
        assert page.evaluate(OWN) == [200, "open"]
        assert {"POST /graphql", "WebSocket"} <= set(done)
        page = context.new_page()
        page.goto(f"http://{foreign}:{other}/")
        done.clear()
        assert page.evaluate(FOREIGN, ui) == "refused"
        assert done == []
        # A link is followed, and the person is known who has opened the address before.
        page.set_content(f"<a href='{ui}/runs/1'>alert</a>")
        page.get_by_text("alert").click()
        page.wait_for_url(f"{ui}/runs/1")
        assert "GET /runs/1" in done
