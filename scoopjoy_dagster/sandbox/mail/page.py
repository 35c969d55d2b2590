"""The page of the embedded mail server: the list of mails, one mail as its reader sees it, its attachments.

A mail is somebody else's HTML. It is shown in a sandboxed frame under a content policy that runs no script and
loads nothing but the mail's own images; every part is served as a download; everything else is escaped.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, unquote

from jinja2 import Environment
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from scoopjoy_dagster.sandbox.loopback import ONLY_LOOPBACK_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from email.message import EmailMessage

    from starlette.requests import Request


class Mail(Protocol):
    """What the page needs to know of a mail."""

    @property
    def recipient(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def message(self) -> EmailMessage: ...


def mail_page(mails: Sequence[Mail]) -> Starlette:
    """The application that shows the mails; the sequence may grow while it is served."""
    pages = _Pages(mails)
    routes = [
        Route("/", pages.listing),
        Route("/mail/{number:int}", pages.mail),
        Route("/mail/{number:int}/html", pages.html),
        Route("/mail/{number:int}/part/{part:int}", pages.part),
    ]
    return Starlette(routes=routes, middleware=[ONLY_LOOPBACK_NAMES])


class _Pages:
    def __init__(self, mails: Sequence[Mail]) -> None:
        self._mails = mails

    async def listing(self, _request: Request) -> Response:
        newest_first = list(enumerate(self._mails))[::-1]
        return _page(_LIST.render(mails=newest_first))

    async def mail(self, request: Request) -> Response:
        number, mail = self._find(request)
        text = mail.message.get_body(("plain",))
        return _page(
            _MAIL.render(
                number=number,
                mail=mail,
                has_html=mail.message.get_body(("html",)) is not None,
                text=text.get_content() if text is not None else "",
                attachments=[
                    (index, part.get_filename() or f"part {index}", part.get_content_type())
                    for index, part in enumerate(mail.message.walk())
                    if part.is_attachment()
                ],
            )
        )

    async def html(self, request: Request) -> Response:
        number, mail = self._find(request)
        body = mail.message.get_body(("html",))
        if body is None:
            raise HTTPException(404)
        by_cid = {
            str(part["Content-ID"]).strip().strip("<>"): index
            for index, part in enumerate(mail.message.walk())
            if part["Content-ID"]
        }

        def local(found: re.Match[str]) -> str:
            index = by_cid.get(unquote(found[1]))
            return found[0] if index is None else f"/mail/{number}/part/{index}"

        content = re.sub(r"cid:([^\s\"'<>)]+)", local, body.get_content())
        # Named by address: a sandboxed document has no origin that 'self' could mean.
        own = str(request.base_url)
        policy = f"sandbox; default-src 'none'; img-src {own} data:; style-src 'unsafe-inline'"
        return HTMLResponse(content, headers={**_SAFE, "Content-Security-Policy": policy})

    async def part(self, request: Request) -> Response:
        _, mail = self._find(request)
        parts = list(mail.message.walk())
        index = request.path_params["part"]
        if index >= len(parts) or parts[index].is_multipart():
            raise HTTPException(404)
        part = parts[index]
        content = part.get_payload(decode=True)
        name = quote(part.get_filename() or f"part-{index}", safe="")
        headers = {
            **_SAFE,
            # An image is shown by <img> all the same; anything opened by itself is downloaded, never run here.
            "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
            "Content-Security-Policy": "sandbox; default-src 'none'",
        }
        data = content if isinstance(content, bytes) else b""
        return Response(data, media_type=part.get_content_type(), headers=headers)

    def _find(self, request: Request) -> tuple[int, Mail]:
        number = request.path_params["number"]
        if number >= len(self._mails):
            raise HTTPException(404)
        return number, self._mails[number]


_SAFE = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def _page(html: str) -> Response:
    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'"
    return HTMLResponse(html, headers={**_SAFE, "Content-Security-Policy": policy})


_STYLE = """\
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<style>
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222; }
  table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .4rem .6rem; }
  td { border-bottom: 1px solid #ddd; } iframe { width: 100%; height: 80vh; border: 1px solid #ccc; }
  pre { white-space: pre-wrap; background: #f6f6f6; padding: 1rem; } dt { float: left; width: 6rem; color: #666; }
  dd { margin-left: 7rem; }
</style>
"""

_templates = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)

_LIST = _templates.from_string(
    """<!doctype html><html lang="en"><head><title>ScoopJoy mail</title>"""
    + _STYLE
    + """</head><body><h1>Mail</h1>
<table><thead><tr><th>To</th><th>Subject</th><th>Date</th></tr></thead><tbody>
{% for number, mail in mails %}
<tr><td>{{ mail.recipient }}</td>
<td><a href="/mail/{{ number }}">{{ mail.subject or "(no subject)" }}</a></td>
<td>{{ mail.message["Date"] or "" }}</td></tr>
{% else %}
<tr><td colspan="3">No mail has arrived yet.</td></tr>
{% endfor %}
</tbody></table></body></html>
"""
)

_MAIL = _templates.from_string(
    """<!doctype html><html lang="en"><head><title>{{ mail.subject }}</title>"""
    + _STYLE
    + """</head><body><p><a href="/">All mail</a></p><h1>{{ mail.subject }}</h1>
<dl>
{% for name in ["From", "To", "Date", "Message-ID"] %}
<dt>{{ name }}</dt><dd>{{ mail.message[name] or "" }}&nbsp;</dd>
{% endfor %}
<dt>Delivered to</dt><dd>{{ mail.recipient }}</dd>
</dl>
{% if attachments %}
<ul>
{% for index, name, type in attachments %}
<li><a href="/mail/{{ number }}/part/{{ index }}">{{ name }}</a> ({{ type }})</li>
{% endfor %}
</ul>
{% endif %}
{% if has_html %}
<iframe sandbox title="The mail" src="/mail/{{ number }}/html"></iframe>
{% endif %}
{% if text %}
<h2>Plain text</h2><pre>{{ text }}</pre>
{% endif %}
</body></html>
"""
)
