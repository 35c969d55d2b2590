"""A real HTTP server on the loopback that takes what channels and the heartbeat send, and can be slow, refuse, or be away."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """What was sent to it: the documents of apprise's `json://`, and the paths of GET requests."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.beats: list[str] = []
        self.tries = 0
        self.status = 200
        self.answers = threading.Event()
        self.answers.set()

    def titles(self) -> list[str]:
        return [message["title"] for message in self.messages]

    @contextmanager
    def at(self, port: int) -> Iterator[str]:
        """The server, on this port, for as long as the block lasts; the URL of the channel."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.tries += 1
                receiver.answers.wait(10)
                if receiver.status == 200:
                    receiver.messages.append(json.loads(body))
                self._answer()

            def do_GET(self) -> None:
                receiver.tries += 1
                if receiver.status == 200:
                    receiver.beats.append(self.path)
                self._answer()

            def _answer(self) -> None:
                try:
                    self.send_response(receiver.status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                except OSError:
                    return  # the sender has gone

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
                return

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield channel(port)
        finally:
            self.answers.set()
            server.shutdown()
            server.server_close()
            thread.join()


def channel(port: int, token: str = "TOKXY77") -> str:
    """URL of a channel at this port; the token is the secret in it."""
    return f"json://127.0.0.1:{port}/{token}"
