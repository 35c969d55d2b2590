"""The socket: Starlette and uvicorn on the loopback interface, and connections that break on purpose.

Belongs here: bytes in, bytes out. Does not belong here: what is answered (``routes``).
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import struct
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

from scoopjoy_dagster.sandbox.erpnext.faults import Effect
from scoopjoy_dagster.sandbox.erpnext.pace import Pace
from scoopjoy_dagster.sandbox.erpnext.routes import doctype_of
from scoopjoy_dagster.sandbox.erpnext.wire import HTML, Call, Reply, Upload, html

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from scoopjoy_dagster.sandbox.erpnext.world import SandboxERPNext

_TURNS = 5
_LINGER_0 = struct.pack("ii", 1, 0)


class _Protocol(H11Protocol):
    """Remembers the transport of every connection, so that a fault can reset it."""

    open_transports: dict[tuple[str, int], asyncio.Transport]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._peer = tuple(transport.get_extra_info("peername")[:2])
        self.open_transports[self._peer] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.open_transports.pop(self._peer, None)
        super().connection_lost(exc)


async def _read(scope: Scope, receive: Receive) -> Call:
    request = Request(scope, receive)
    target = (scope.get("raw_path") or b"").decode() + (
        "?" + scope["query_string"].decode() if scope["query_string"] else ""
    )
    headers = {**request.headers, ":target": target}
    call = Call(request.method, scope["path"], scope["query_string"].decode(), headers)
    if request.headers.get("content-type", "").startswith("multipart/"):
        async with request.form() as form:
            call.form = {key: str(value) for key, value in form.items() if not isinstance(value, UploadFile)}
            for value in form.values():
                if isinstance(value, UploadFile):
                    call.upload = Upload(value.filename or "file", await value.read())
    else:
        call.body = await request.body()
    return call


class _Endpoint:
    """The ASGI application of a world."""

    def __init__(self, world: SandboxERPNext, transports: dict[tuple[str, int], asyncio.Transport]) -> None:
        self._world = world
        self._transports = transports
        self._pace = Pace(world.site, world.latency, look=world.look) if world.latency else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client") or ("", 0)
        call = await _read(scope, receive)
        if not _is_loopback(client[0]):
            await _send(
                send, html(403, "Forbidden", "The embedded ERPNext serves the loopback interface only.")
            )
            return
        with self._world.requests.watching():
            await self._answer(call, client, send)

    async def _answer(self, call: Call, client: tuple[str, int], send: Send) -> None:
        doctype = doctype_of(call)
        struck = self._world.faults.strike(call, doctype)
        fault = struck[0] if struck else ""
        effect = struck[2] if struck else Effect()
        before = struck is not None and struck[1].phase == "before"
        if before:
            await self._happen(effect, call)
        reply: Reply | None = None
        if not before or not (effect.drop or effect.reply):
            reply = await self._work(call)
        if not before:
            await self._happen(effect, call)
        answered = effect.reply or reply
        if effect.drop or answered is None:
            self._world.requests.add(call, doctype, 0, fault)
            await self._reset(client)
            return
        if effect.truncate:
            answered = replace(answered, body=answered.body[: max(1, len(answered.body) // 2)])
        self._world.requests.add(call, doctype, answered.status, fault)
        if effect.drop_in_body:
            await _send(send, answered, length=max(1, len(answered.body) // 2))
            await asyncio.sleep(0.02)
            await self._reset(client)
            return
        await _send(send, answered)

    async def _work(self, call: Call) -> Reply:
        """Answer, as fast as the sandbox can or as slowly as the latency model says."""

        async def work() -> Reply:
            return await run_in_threadpool(self._world.handle, call)

        return await self._pace.keep(call, work) if self._pace else await work()

    @staticmethod
    async def _happen(effect: Effect, call: Call) -> None:
        """What a fault does besides the answer: time passes, or its hook is called."""
        if effect.delay_s:
            await asyncio.sleep(effect.delay_s)
        if effect.hook is not None:
            await run_in_threadpool(effect.hook, call)

    async def _reset(self, client: tuple[str, int]) -> None:
        """Close the connection with a TCP reset."""
        transport = self._transports.get((client[0], client[1]))
        if transport is None:
            return
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
        transport.abort()
        # The protocol hears of it in the next turns of the loop; only then may the application return
        # without an answer.
        for _ in range(_TURNS):
            await asyncio.sleep(0)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _send(send: Send, reply: Reply, *, length: int | None = None) -> None:
    headers = {"content-type": reply.content_type, "content-length": str(len(reply.body)), **reply.headers}
    if reply.content_type == HTML:
        headers["server"] = "nginx"
    raw = [(key.lower().encode(), value.encode()) for key, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": raw})
    body = reply.body if length is None else reply.body[:length]
    await send({"type": "http.response.body", "body": body, "more_body": length is not None})


def app(
    world: SandboxERPNext, transports: dict[tuple[str, int], asyncio.Transport] | None = None
) -> Starlette:
    """The ASGI application of a world. Resets need the connections' transports, which ``Server`` records."""
    app = Starlette()
    # Not a route: those match no path with a line break in it, and what such a path is answered is the site's affair.
    app.router.default = _Endpoint(world, {} if transports is None else transports)
    return app


class Server:
    """uvicorn in a thread, on 127.0.0.1 only."""

    def __init__(self, world: SandboxERPNext, port: int) -> None:
        transports: dict[tuple[str, int], asyncio.Transport] = {}
        protocol: Any = type("Protocol", (_Protocol,), {"open_transports": transports})
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.bind(("127.0.0.1", port))
        self._server = uvicorn.Server(
            uvicorn.Config(
                app(world, transports),
                http=protocol,
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=1,
                h11_max_incomplete_event_size=1 << 20,
            )
        )
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self._thread = threading.Thread(target=self._serve, name="erpnext-http", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])

    def start(self) -> None:
        """Serve; returns once requests are answered."""
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the embedded ERPNext did not start; see the log of uvicorn")
            time.sleep(0.002)

    def stop(self) -> None:
        """Stop serving and free the port."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
