"""The SMTP side of the embedded mail server: takes mails from anybody, keeps them, refuses whom it is told to refuse.

Here: receiving. Not here: showing (``page``).
"""

from __future__ import annotations

import email
import email.policy
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiosmtpd.controller import Controller

from scoopjoy_dagster.sandbox.loopback import HOST, LoopbackServer, bind
from scoopjoy_dagster.sandbox.mail.page import mail_page

if TYPE_CHECKING:
    import asyncio
    import socket
    from email.message import EmailMessage

    from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass(frozen=True, slots=True)
class ReceivedMail:
    """One mail for one recipient.

    Attributes:
        sender: envelope sender.
        recipient: envelope recipient.
        message: the mail itself.
    """

    sender: str
    recipient: str
    message: EmailMessage

    @property
    def subject(self) -> str:
        """The subject, decoded."""
        return str(self.message.get("Subject", ""))


class MailSink:
    """A mail server on loopback, and a page that shows what it received.

    Attributes:
        messages: every mail, one entry for each recipient, in the order of arrival.
        smtp_port: port of the SMTP server, once started.
    """

    def __init__(self) -> None:
        self.messages: list[ReceivedMail] = []
        self.smtp_port = 0
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

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep the mail, once for each recipient."""
        raw = envelope.original_content or b""
        with self._lock:
            for recipient in envelope.rcpt_tos:
                message = email.message_from_bytes(raw, policy=email.policy.default)
                self.messages.append(ReceivedMail(envelope.mail_from or "", recipient, message))
        return "250 OK: kept"


class _Controller(Controller):
    """aiosmtpd's threaded server, on a socket that is bound already (its own cannot take port 0)."""

    def __init__(self, sink: MailSink, listener: socket.socket) -> None:
        self._listener = listener
        # Without a host name every connection would look one up in the DNS.
        super().__init__(sink, hostname=HOST, port=listener.getsockname()[1], server_hostname="localhost")

    async def _create_server(self) -> asyncio.Server:
        return await self.loop.create_server(self._factory_invoker, sock=self._listener)
