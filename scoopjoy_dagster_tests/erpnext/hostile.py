"""Servers on loopback that answer what no honest one would, byte by byte."""

from __future__ import annotations

import gzip
import io
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Handler = Callable[[socket.socket], None]


@contextmanager
def listening(*handlers: Handler) -> Iterator[int]:
    """The port of a server whose first connections are given to the handlers, and all further ones to the last."""
    waiting = list(handlers)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk(connection: socket.socket, handler: Handler) -> None:
            try:
                with connection:
                    handler(connection)
            except OSError:
                pass  # the client had enough

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                handler = waiting.pop(0) if len(waiting) > 1 else waiting[0]
                threading.Thread(target=talk, args=(connection, handler), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@contextmanager
def serving(*handlers: Handler, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The address of a server that gives each connection to a handler after it has read a request."""

    def after_a_request(handler: Handler) -> Handler:
        def handle(connection: socket.socket) -> None:
            with tls.wrap_socket(connection, server_side=True) if tls else connection as wrapped:
                request(wrapped)
                handler(wrapped)

        return handle

    with listening(*map(after_a_request, handlers)) as port:
        yield f"http{'s' if tls else ''}://127.0.0.1:{port}"


def request(connection: socket.socket) -> bytes:
    """A whole request with its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            raise OSError
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    while len(body) < length:
        body += connection.recv(65536)
    return body


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def says(text: bytes) -> Handler:
    return lambda connection: connection.sendall(text)


def trickles(at_once: bytes, slowly: bytes, every_s: float = 0.05) -> Handler:
    """Some bytes at once, and then one after the other, again and again."""

    def handler(connection: socket.socket) -> None:
        connection.sendall(at_once)
        while True:
            for byte in slowly:
                time.sleep(every_s)
                connection.sendall(bytes([byte]))

    return handler


def for_ever(text: bytes) -> Handler:
    def handler(connection: socket.socket) -> None:
        while True:
            connection.sendall(text)

    return handler


def bomb(size: int) -> bytes:
    """Gzip of so many bytes of JSON: a thousandth of it."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=6) as file:
        file.write(b'{"message": "')
        block = b"a" * (1 << 20)
        for _ in range(size >> 20):
            file.write(block)
        file.write(b'"}')
    return packed.getvalue()
