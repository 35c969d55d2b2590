"""The SMTP side of the embedded mail server: takes mails from anybody, keeps them, refuses whom it is told to refuse.

Here: receiving. Not here: showing (``page``).
"""

from __future__ import annotations

import email
import email.policy
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from aiosmtpd.controller import Controller

from scoopjoy_dagster.sandbox.loopback import HOST, LoopbackServer, bind
from scoopjoy_dagster.sandbox.mail.page import mail_page

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable
    from email.message import EmailMessage

    from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass(frozen=True, slots=True)
class ReceivedMail:
    """One mail for one recipient.

    Attributes:
        sender: envelope sender.
        recipient: envelope recipient.
        message: the mail itself.
        at: when it was taken, by ``time.monotonic``.
        answered: whether the sender was told so.
    """

    sender: str
    recipient: str
    message: EmailMessage
    at: float = 0.0
    answered: bool = True

    @property
    def subject(self) -> str:
        """The subject, decoded."""
        return str(self.message.get("Subject", ""))


@dataclass(frozen=True, slots=True)
class _Loss:
    taken: bool
    hook: Callable[[], None] | None


class MailSink:
    """A mail server on loopback, and a page that shows what it received.

    Attributes:
        messages: every mail, one entry for each recipient, in the order of arrival.
        smtp_port: port of the SMTP server, once started.
        on_taken: called with every mail as it is taken, before the sender is told.
        names: what senders have called themselves, in the order of connections.
        wants_names: refuse senders without a name of their own: ``localhost``, a bare word, an address.
    """

    def __init__(self) -> None:
        self.messages: list[ReceivedMail] = []
        self.smtp_port = 0
        self.names: list[str] = []
        self.wants_names = False
        self.on_taken: Callable[[ReceivedMail], None] | None = None
        self._losses: deque[_Loss | None] = deque()
        self._refused: dict[str, int] = {}
        self._lock = threading.Lock()
        self._smtp: _Controller | None = None
        self._page = LoopbackServer(mail_page(self.messages))

    def start(self, smtp_port: int = 0, http_port: int = 0) -> str:
        """Listen on both ports (0: any free one) and return ``url``. Raises ``OSError`` when a port is taken."""
        self._listen(smtp_port)
        try:
            self._page.start(http_port)
        except OSError:
            self.stop()
            raise
        return self.url

    def stop(self) -> None:
        """Stop both servers; the mails stay."""
        self._page.stop()
        self._hang_up()

    @property
    def host(self) -> str:
        """Host of the SMTP server."""
        return HOST

    @property
    def url(self) -> str:
        """The page that lists the mails."""
        return self._page.url

    @property
    def down(self) -> bool:
        """True while the SMTP port is closed. Set it to close the port, or to open the same port again."""
        return self._smtp is None

    @down.setter
    def down(self, down: bool) -> None:
        if down:
            self._hang_up()
        elif self._smtp is None:
            self._listen(self.smtp_port)

    def refuse(self, address: str, code: int = 550) -> None:
        """Answer RCPT TO for this address with the code: 5xx is for good, 4xx for now."""
        self._refused[address.casefold()] = code

    def lose_next(self, *, taken: bool = True, skip: int = 0, hook: Callable[[], None] | None = None) -> None:
        """Cut the connection at the end of a mail's text, without an answer.

        Args:
            taken: the mail is kept all the same: the sender cannot know that it was.
            skip: how many mails get through before.
            hook: called before the connection is cut; kills the sender, for one.
        """
        self._losses.extend([None] * skip)
        self._losses.append(_Loss(taken, hook))

    @property
    def losses_left(self) -> int:
        """How many of the losses asked for have not come yet."""
        return sum(loss is not None for loss in self._losses)

    def heal(self) -> None:
        """No losses any more."""
        self._losses.clear()

    def accept(self, address: str) -> None:
        """Take mail for this address again."""
        self._refused.pop(address.casefold(), None)

    def _listen(self, port: int) -> None:
        self._smtp = _Controller(self, bind(port))
        self.smtp_port = self._smtp.port
        self._smtp.start()

    def _hang_up(self) -> None:
        if self._smtp is not None:
            self._smtp.stop()
            self._smtp = None

    # The hooks of aiosmtpd: their names and parameters are its own.

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, name: str, responses: list[str]
    ) -> list[str]:
        """Note how the sender calls itself; as strict relays do, refuse one that has no name."""
        answer = await self.handle_HELO(server, session, envelope, name)
        return responses if answer.startswith("250") else [answer]

    async def handle_HELO(self, server: SMTP, session: Session, _envelope: Envelope, name: str) -> str:  # noqa: N802
        """As ``handle_EHLO``."""
        self.names.append(name)
        if self.wants_names and (name.startswith("[") or "." not in name):
            return "550 5.7.1 this is no name of a mail host"
        session.host_name = name
        return f"250 {server.hostname}"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Refuse whom ``refuse`` names, take everybody else."""
        code = self._refused.get(address.casefold())
        if code is not None:
            reason = "5.1.1 mailbox unavailable" if code >= 500 else "4.2.1 mailbox busy, try again later"
            return f"{code} {reason}"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep the mail, once for each recipient."""
        loss = self._losses.popleft() if self._losses else None
        if loss is None or loss.taken:
            self._keep(envelope, answered=loss is None)
        if loss is None:
            return "250 OK: kept"
        if loss.hook is not None:
            loss.hook()
        cast("asyncio.Transport", server.transport).abort()
        return "421 4.3.0 the connection is cut"  # nobody is left to read it

    def _keep(self, envelope: Envelope, *, answered: bool) -> None:
        raw = envelope.original_content or b""
        with self._lock:
            for recipient in envelope.rcpt_tos:
                message = email.message_from_bytes(raw, policy=email.policy.default)
                mail = ReceivedMail(envelope.mail_from or "", recipient, message, time.monotonic(), answered)
                if self.on_taken is not None:
                    self.on_taken(mail)
                self.messages.append(mail)


class _Controller(Controller):
    """aiosmtpd's threaded server, on a socket that is bound already (its own cannot take port 0)."""

    def __init__(self, sink: MailSink, listener: socket.socket) -> None:
        self._listener = listener
        # Without a host name every connection would look one up in the DNS.
        super().__init__(sink, hostname=HOST, port=listener.getsockname()[1], server_hostname="localhost")

    async def _create_server(self) -> asyncio.Server:
        return await self.loop.create_server(self._factory_invoker, sock=self._listener)
