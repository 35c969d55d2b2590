"""An ASGI application on 127.0.0.1, in a thread: how every HTTP server of the embedded world is started and stopped.

Here: binding (loopback only), starting, stopping, and cutting a connection on purpose. Not here: any page or API.
"""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import uvicorn
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    from starlette.applications import Starlette
    from starlette.requests import Request

HOST = "127.0.0.1"

ONLY_LOOPBACK_NAMES = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
"""Refuses requests for any other host name, so that no web page can reach in by a name it controls."""


class LoopbackServer:
    """Serves one application on loopback until stopped.

    Attributes:
        url: ``http://127.0.0.1:<port>``, once started.
    """

    def __init__(self, app: Starlette) -> None:
        self._app = app
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.url = ""

    def start(self, port: int = 0) -> str:
        """Listen on the port (0: any free one) and return the URL.

        Raises:
            RuntimeError: it is running already.
            OSError: the port is taken.
        """
        if self._thread is not None:
            raise RuntimeError(f"The server at {self.url} is running already.")
        listener = bind(port)
        config = uvicorn.Config(
            self._app, http=_Protocol, ws="none", lifespan="off", log_config=None, access_log=False
        )
        self._server = uvicorn.Server(config)
        # Connections are queued by the bound socket from here on, so there is nothing to wait for.
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="loopback-http", daemon=True
        )
        self._thread.start()
        self.url = f"http://{HOST}:{listener.getsockname()[1]}"
        return self.url

    def stop(self) -> None:
        """Stop listening and close every connection; does nothing when it is not running."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join()
        self._server = self._thread = None


def bind(port: int = 0) -> socket.socket:
    """A listening socket on 127.0.0.1. Raises ``OSError`` when the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # A port that was used a moment ago may be used again at once; two listeners on one port may not.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


async def cut(request: Request) -> Response:
    """Reset the connection instead of answering, as a crashed server or a broken line would."""
    transport: asyncio.Transport = request.scope["state"]["transport"]
    transport.abort()
    while (await request.receive())["type"] != "http.disconnect":
        pass
    return Response()  # nobody is left to read it


class _Protocol(H11Protocol):
    """uvicorn's HTTP protocol, which also shows the connection to the application, for ``cut``."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}
