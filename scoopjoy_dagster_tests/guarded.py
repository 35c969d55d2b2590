"""An application that answers everything, behind the guard of Dagster's webserver, on a real socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from scoopjoy_dagster.webserver import Guard
from scoopjoy_dagster_tests.local.system import eventually


async def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{request.method} {request.url.path}?{request.url.query}")


async def greet(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()


APP = Starlette(
    routes=[
        WebSocketRoute("/graphql", greet),
        Route("/{path:path}", answer, methods=["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]),
    ]
)


@contextmanager
def served(app: Starlette = APP, **options: str) -> Iterator[int]:
    """The port of an application behind the guard."""
    server = uvicorn.Server(
        uvicorn.Config(Guard(app, **options), host="127.0.0.1", port=0, log_level="warning")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert eventually(lambda: server.started)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
