"""A real SMTP server on a loopback socket that can be told to misbehave."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

Answer = str | None


@dataclass
class MailServer:
    """What the server took, and what it is told to answer. An answer `drop` closes the connection without a word."""

    on_mail: dict[str, list[str]] = field(default_factory=dict)
    """Answers to MAIL FROM, by sender, used up one by one; then the server says yes."""
    on_rcpt: dict[str, list[str]] = field(default_factory=dict)
    on_data: dict[str, list[str]] = field(default_factory=dict)
    """Answers after the whole message was received, by recipient."""
    taken: list[tuple[str, EmailMessage]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    """The same messages as they came over the wire."""
    connections: set[int] = field(default_factory=set)
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)
    port: int = 0

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.connections.add(id(session))
        envelope.mail_from = address
        return self._answer(self.on_mail, address, server) or "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self._answer(self.on_rcpt, address, server)
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        (recipient,) = envelope.rcpt_tos
        answer = self._answer(self.on_data, recipient, server)
        if answer is None:
            self.raw.append(cast("bytes", envelope.content))
            message = message_from_bytes(self.raw[-1], policy=policy.default)
            assert isinstance(message, EmailMessage)
            self.taken.append((recipient, message))
        return answer or "250 taken"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        self.logins.append((data.login, data.password))
        right = data.password == b"correct horse"
        return AuthResult(success=right, handled=right)  # not handled: aiosmtpd answers 535

    @staticmethod
    def _answer(script: dict[str, list[str]], key: str, server: SMTP) -> Answer:
        answers = script.get(key)
        if not answers:
            return None
        answer = answers.pop(0)
        if answer == "drop":
            cast("asyncio.Transport", server.transport).abort()
            return "421 never seen"
        return answer


class _Controller(Controller):
    """aiosmtpd's controller on a free port."""

    def _trigger_server(self) -> None:
        self.port = cast("asyncio.Server", self.server).sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@pytest.fixture
def start_server() -> Iterator[Callable[..., MailServer]]:
    """Starts a server; keyword arguments are those of aiosmtpd's SMTP, or `ssl_context` for TLS from the first byte."""
    with ExitStack() as stack:

        def start(**options: Any) -> MailServer:
            server = MailServer()
            if options.get("auth_required"):
                options["authenticator"] = server.authenticate
            controller = _Controller(server, hostname="127.0.0.1", port=0, **options)
            controller.start()
            stack.callback(controller.stop)
            server.port = controller.port
            return server

        yield start


@pytest.fixture
def certificate_authority(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> trustme.CA:
    """A certificate authority that this process trusts, the way an administrator makes it trusted."""
    authority = trustme.CA()
    bundle = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    return authority


@pytest.fixture
def server_tls(certificate_authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate_authority.issue_cert("localhost").configure_cert(context)
    return context
