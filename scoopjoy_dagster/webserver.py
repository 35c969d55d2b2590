"""Dagster's webserver behind a guard: no page of another site can start a run, and no other user of the machine looks in.

``python -m scoopjoy_dagster.webserver`` takes the options of ``dagster-webserver``. Dagster's own answers whoever reaches
its port, and does what ``GET /graphql?query=mutation...`` asks, so that any web page in the browser of a person who may reach the
UI could start runs, also through a proxy whose login that browser remembers. What the guard lets through:

- hosts: loopback names, and that of SCOOPJOY_UI_URL. A name that somebody else's DNS points here is another site's.
- origins: the same host. A browser says which page asks (Origin, Sec-Fetch-Site); a link that a person follows is let
  through, as a GET changes nothing; a program that is no browser says nothing.
- GraphQL, and whatever else is not a GET: by POST, as JSON. That is what a foreign page cannot send unasked.
- with SCOOPJOY_UI_TOKEN: whoever knows it, once in the address (then a cookie stands for it) or in the header X-ScoopJoy-Token.

Every answer forbids other pages to show it in a frame, where a person could click on something that is hidden. It also tells the
browser not to give the address of the page to another site.

``/server_info`` is open to all: it tells Dagster's versions, and health checks ask for it by whatever address they have.
"""

from __future__ import annotations

import os
import re
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.websockets import WebSocketClose

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN = "SCOOPJOY_UI_TOKEN"  # noqa: S105 - the variable's name
TOKEN_HEADER = "X-ScoopJoy-Token"  # noqa: S105 - the header's name
OPEN = "/server_info"
LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?")


class Guard:
    """The application that asks before Dagster's own is reached; WebSockets included.

    Args:
        app: Dagster's.
        ui_url: where people reach the UI, when it is not on loopback; may be empty.
        token: what a browser or a program must know; empty: nothing.
    """

    def __init__(self, app: ASGIApp, *, ui_url: str = "", token: str = "") -> None:
        self.app = app
        self.token = token
        outer = urlsplit(ui_url.lower())
        self.origins = {outer.netloc: f"{outer.scheme}://{outer.netloc}"} if outer.netloc else {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let Dagster answer."""

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                # A policy more, beside the one that Dagster's pages have: a browser keeps to both.
                headers.append("Content-Security-Policy", "frame-ancestors 'none'")
                headers["X-Frame-Options"] = "DENY"
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"
            await send(message)

        refusal = None
        if scope["type"] != "lifespan" and scope["path"] != OPEN:
            asked = HTTPConnection(scope)
            refusal = self._foreign(asked) or self._unknown(asked)
        if refusal is None:
            await self.app(scope, receive, protected)
        elif scope["type"] == "websocket":
            await WebSocketClose(1008)(scope, receive, send)  # before it was accepted: a 403
        else:
            await refusal(scope, receive, protected)

    def _foreign(self, asked: HTTPConnection) -> Response | None:
        """The answer to a request that is another site's, or that could be."""
        headers, method = asked.headers, asked.scope.get("method", "GET")
        host = headers.get("host", "").lower()
        own = self._origin_of(host)
        if own is None:
            return _say(
                421,
                "This host name is not known here: open Dagster's UI at the address of SCOOPJOY_UI_URL, "
                "or set SCOOPJOY_UI_URL to the address that you use and restart the webserver.",
            )
        if headers.get("origin", own).lower() != own or not _from_here(headers, method):
            return _say(403, "This request comes from another web site, and is not done.")
        if method not in {"GET", "HEAD"} and _media_type(headers) != "application/json":
            return _say(415, "Send this as JSON, with Content-Type: application/json.")
        if asked.scope["type"] == "http" and method != "POST" and asked.query_params and _is_graphql(asked):
            return _say(405, "Send GraphQL by POST, as JSON.")
        return None

    def _origin_of(self, host: str) -> str | None:
        """What a browser calls this server when it reaches it by this host; None for a host that is not ours."""
        return self.origins.get(host) or (f"http://{host}" if LOOPBACK.fullmatch(host) else None)

    def _unknown(self, asked: HTTPConnection) -> Response | None:
        """The answer to whoever does not show the token; and to who shows it in the address, the cookie that stands for it."""
        if not self.token:
            return None
        server = asked.scope.get("server") or ("", "")
        cookie = f"scoopjoy_ui_{server[1]}"  # cookies know no ports: two UIs on this machine would share one
        if not self._is_token(asked.query_params.get("token")):
            shown = (asked.headers.get(TOKEN_HEADER), asked.cookies.get(cookie))
            if any(self._is_token(one) for one in shown):
                return None
            return _say(
                401,
                "Dagster's UI asks for a token: open the address that `scoopjoy dev` or `scoopjoy demo` printed when it "
                "started, once in this browser; after that, this link works too.",
            )
        # A path, so that it stays with scheme and host as the browser knows them; one slash, as //elsewhere is a host.
        path = "/" + asked.scope["path"].lstrip("/")
        rest = urlencode(
            [(name, value) for name, value in asked.query_params.multi_items() if name != "token"]
        )
        headers = {"Cache-Control": "no-store"}
        answer = RedirectResponse(f"{path}?{rest}" if rest else path, status_code=303, headers=headers)
        # Lax and not Strict, so that links in mails work: a GET changes nothing, and all else was seen to come from here.
        encrypted = self.origins.get(asked.headers.get("host", "").lower(), "").startswith("https:")
        answer.set_cookie(cookie, self.token, httponly=True, samesite="lax", secure=encrypted)
        return answer

    def _is_token(self, shown: str | None) -> bool:
        return shown is not None and secrets.compare_digest(shown.encode(), self.token.encode())


def _from_here(headers: Headers, method: str) -> bool:
    """Whether no page of another site has made the browser ask, but for a link that a person followed."""
    if headers.get("sec-fetch-site", "none") in {"none", "same-origin"}:
        return True
    return (method, headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == (
        "GET",
        "navigate",
        "document",
    )


def _media_type(headers: Headers) -> str:
    # Whole, where Dagster looks for a part of it: "text/plain; application/json" is one that a foreign page may send.
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_graphql(asked: HTTPConnection) -> bool:
    path: str = asked.scope["path"]
    return path.rstrip("/").endswith("/graphql")


def _say(status: int, sentence: str) -> Response:
    return PlainTextResponse(f"{sentence}\n", status, {"Cache-Control": "no-store"})


def main() -> None:
    """Serve the UI, with the options of ``dagster-webserver`` from the command line."""
    from dagster_webserver import cli
    from dagster_webserver.app import create_app_from_workspace_process_context as make

    def guarded(*args: Any, **options: Any) -> Guard:
        environment = os.environ.get
        return Guard(
            make(*args, **options), ui_url=environment("SCOOPJOY_UI_URL", ""), token=environment(TOKEN, "")
        )

    # Dagster has no place for an application around its own; tests reach for it over a real socket.
    cli.create_app_from_workspace_process_context = guarded  # type: ignore[attr-defined,assignment]
    cli.main()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
