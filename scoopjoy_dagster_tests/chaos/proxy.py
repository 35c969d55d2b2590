"""The faults of the laboratory between our client and any ERPNext: a proxy on loopback in front of a real site.

Here: forwarding a request and striking it with a fault. Not here: what a fault is (``sandbox.erpnext.faults``), and
the closes that run through it (``real_site``).
"""

from __future__ import annotations

import re
from typing import Any, cast

import requests

from scoopjoy_dagster.sandbox.erpnext.faults import FaultSchedule
from scoopjoy_dagster.sandbox.erpnext.request_log import RequestLog
from scoopjoy_dagster.sandbox.erpnext.server import Server
from scoopjoy_dagster.sandbox.erpnext.wire import Call, Reply

_HOP = {
    "connection",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "keep-alive",
    "server",
    "date",
}
PATIENCE_S = 300.0


class FaultProxy:
    """Serves an upstream site on loopback. ``faults`` decides what happens to which request.

    ``latency`` is None: the upstream takes the time that it takes.
    """

    latency = None

    def __init__(self, upstream: str, *, seed: int = 0) -> None:
        self.upstream = upstream.rstrip("/")
        self.faults = FaultSchedule(seed)
        self.requests = RequestLog()
        self._http = requests.Session()
        self._http.trust_env = False
        self._server: Server | None = None

    def start(self, port: int = 0) -> str:
        """Listen (0: any free port), and return the address that stands for the site."""
        self._server = Server(
            cast("Any", self), port
        )  # it asks its world for faults, latency, requests and handle only
        self._server.start()
        return self._server.url

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def handle(self, call: Call) -> Reply:
        """The upstream's answer to a request."""
        headers = {
            name: value
            for name, value in call.headers.items()
            if name not in _HOP | {"host", ":target"} and not re.fullmatch(r"accept-encoding", name)
        }
        body: dict[str, Any] = {"data": call.body}
        if call.upload is not None:
            headers.pop("content-type", None)
            content = (call.upload.filename, call.upload.content, "application/octet-stream")
            body = {"data": call.form or {}, "files": {"file": content}}
        answer = self._http.request(
            call.method,
            self.upstream + call.headers[":target"],
            headers=headers,
            timeout=PATIENCE_S,
            allow_redirects=False,
            **body,
        )
        kept = {
            name: value
            for name, value in answer.headers.items()
            if name.lower() not in _HOP | {"content-type"}
        }
        return Reply(answer.status_code, answer.content, answer.headers.get("Content-Type", ""), kept)
