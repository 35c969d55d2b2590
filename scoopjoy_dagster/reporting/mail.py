"""Mail over SMTP: one message per recipient, one connection for many messages, and an answer that says what happened.

What belongs here: building a message and handing it to the SMTP server. What does not: what a mail says, whom it goes to, the
delivery records, and retries beyond one new connection (the next run sends to those who have not got it).
"""

from __future__ import annotations

import base64
import hashlib
import re
import smtplib
import ssl
from dataclasses import dataclass, field
from email.errors import MessageError
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, getaddresses
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, datetime
    from types import TracebackType

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_TOO_LARGE = 552  # RFC 1870: the message, not the sender, is what the server will not have
_LOGIN_WANTED = {530, 534, 535, 538}  # RFC 4954
_NOT_SMTP = -1  # smtplib's code for an answer without a number
_HUNG_UP = {421, _NOT_SMTP}
_CONNECTION_ERRORS = (smtplib.SMTPServerDisconnected, OSError)
_LONGEST_WORD = 60
"""Letters of a word that surely fits on the first line of a subject."""


class _MailPolicy(EmailPolicy):
    """SMTP's line ends, and subjects that read as they were written.

    Python folds a long subject so that a space between two words is lost, or one stands before the first. Here a subject that is
    plain text is folded between words, and any other is encoded as a whole: what stands between encoded words is no part of it.
    """

    def fold(self, name: str, value: str) -> str:
        """The header as text."""
        return _subject_line(value, self.linesep) if name.lower() == "subject" else super().fold(name, value)

    def fold_binary(self, name: str, value: str) -> bytes:
        """The header as it goes over the wire."""
        return (
            self.fold(name, value).encode() if name.lower() == "subject" else super().fold_binary(name, value)
        )


def _subject_line(subject: str, end: str) -> str:
    plain = subject.isascii() and all(len(word) <= _LONGEST_WORD for word in subject.split(" "))
    folded = Header(subject, "us-ascii" if plain else "utf-8", header_name="Subject")
    return f"Subject: {folded.encode(linesep=end)}{end}"


SMTP_POLICY = _MailPolicy(linesep="\r\n")


class MailError(Exception):
    """A mail was not sent, or not certainly."""


class MailRefused(MailError):
    """The server will never take this message for this recipient (5xx). Other recipients are not affected."""

    def __init__(self, recipient: str, code: int, text: str) -> None:
        super().__init__(f"The mail server refused the mail to {recipient}: {code} {text}")
        self.recipient, self.code, self.text = recipient, code, text


class MailTransient(MailError):
    """The message did not go through this time; sending it later may work.

    `ambiguous` is True when the connection broke after the message was handed over: the server may have taken it.
    """

    def __init__(self, recipient: str, text: str, *, ambiguous: bool) -> None:
        doubt = " It may have been delivered all the same." if ambiguous else ""
        super().__init__(f"The mail to {recipient} was not confirmed by the mail server: {text}.{doubt}")
        self.recipient, self.text, self.ambiguous = recipient, text, ambiguous


class MailUnavailable(MailError):
    """No mail can be sent at all: no connection, no TLS, the login or the sender address failed."""


class InvalidAddress(ValueError):
    """A sender or recipient is not one usable mail address."""


@dataclass(frozen=True)
class SMTPSettings:
    """How to reach the mail server.

    Raises:
        ValueError: a username without a password or the reverse, or a login that would cross a network unencrypted.
    """

    host: str
    port: int
    security: Literal["none", "starttls", "tls"]
    """`starttls` and `tls` check the server's certificate and never fall back to an unencrypted connection."""
    username: str | None
    password: str | None = field(repr=False)
    sender: str
    """The From address, with or without a name: `ScoopJoy <close@example.com>`."""
    timeout_s: float = 30
    """Seconds to wait for each answer of the server."""
    ehlo_name: str = ""
    """The name that we give ourselves in EHLO; empty: the domain of the sender. Not the machine's own, as smtplib has it: a
    container has none, and relays refuse `localhost` and bare addresses."""

    def __post_init__(self) -> None:
        if bool(self.username) != bool(self.password):
            raise ValueError("SMTP needs both a username and a password, or neither.")
        if self.username and self.security == "none" and self.host not in _LOOPBACK:
            raise ValueError(
                f"The SMTP password would go to {self.host} unencrypted; set security to starttls or tls."
            )


@dataclass(frozen=True)
class Attachment:
    """A file that goes with a mail."""

    file_name: str
    content_type: str
    content: bytes = field(repr=False)


def deterministic_message_id(
    kind: str, company: str, day: date, revision: int, recipient: str, domain: str, *, content: str = ""
) -> str:
    """The Message-ID that this mail has whenever it is built: mail readers drop the second copy of one.

    The recipient is inside as a hash only. `kind` names the sort of mail, e.g. `report`. `content` is a digest of what
    it says: when a mail was taken, its record was lost and the day has changed since, the next mail is no copy of it.

    Raises:
        ValueError: `domain` is not a domain name.
    """
    if not re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", domain):
        raise ValueError(f"{domain!r} is not a domain name that a Message-ID can end with.")
    address = _address(recipient).addr_spec.casefold()
    parts = (kind, company, day.isoformat(), str(revision), address, *filter(None, (content,)))
    unique = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]
    label = re.sub(r"[^a-z0-9]+", "-", kind.lower()).strip("-") or "mail"
    return f"<{label}.{day.isoformat()}.r{revision}.{unique}@{domain}>"


def sender_domain(sender: str) -> str:
    """The domain of a sender's address, with letters that SMTP can carry; `localhost` where it has none."""
    try:
        return _address(sender).domain
    except InvalidAddress:
        return "localhost"


def build_message(
    *,
    sender: str,
    recipient: str,
    subject: str,
    html: str,
    text: str,
    attachments: Sequence[Attachment],
    message_id: str,
    date: datetime,
) -> EmailMessage:
    """One mail to one recipient: plain text, HTML, files.

    Args:
        sender: One address, with or without a name.
        recipient: One address, with or without a name.
        subject: Line breaks and control characters in it become spaces: they can never start another header.
        html: Whole in itself: it refers to no picture.
        text: The same content for readers that show no HTML.
        attachments: In this order.
        message_id: With angle brackets; see `deterministic_message_id`.
        date: With a time zone.

    Raises:
        InvalidAddress: sender or recipient is not exactly one address.
        ValueError: the Message-ID holds a line break, or `date` has no time zone.
    """
    if date.tzinfo is None:
        raise ValueError("The date of a mail needs a time zone.")
    message = EmailMessage(policy=SMTP_POLICY)
    message["From"] = _address(sender)
    message["To"] = _address(recipient)
    message["Subject"] = _header_text(subject)
    message["Date"] = format_datetime(date)
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    # Quoted-printable whatever the text is: lines stay short and a server without 8BITMIME takes it.
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    for attachment in attachments:
        maintype, _, subtype = attachment.content_type.partition("/")
        message.add_attachment(
            attachment.content, maintype=maintype, subtype=subtype, filename=attachment.file_name
        )
    return message


class Mailer:
    """One SMTP connection for as many messages as needed, as a context manager.

    A refused recipient leaves the connection ready for the next one. A connection that the server has dropped between two
    messages is opened again, once per message.

    Raises:
        MailUnavailable: on entering, when there is no connection, no TLS or no login.
    """

    def __init__(self, settings: SMTPSettings) -> None:
        self._settings = settings
        self._name = settings.ehlo_name or sender_domain(settings.sender)
        self._smtp: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        self._smtp = self._connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        smtp, self._smtp = self._smtp, None
        if smtp is None:
            return
        try:
            smtp.quit()
        except (smtplib.SMTPException, OSError):
            smtp.close()  # everything was answered already; a server that does not say goodbye changes nothing

    def send(self, message: EmailMessage, *, handing_over: Callable[[], object] = lambda: None) -> None:
        """Hands one message to the server; returns when the server has taken responsibility for it.

        `handing_over` is called when the server has accepted sender and recipient: from then on the message may arrive.

        Raises:
            MailRefused: never for this recipient; go on with the others.
            MailTransient: not this time, or not certainly.
            MailUnavailable: no message can be sent.
        """
        sender, recipient = (message[header].addresses[0].addr_spec for header in ("From", "To"))
        content = message.as_bytes(policy=SMTP_POLICY)
        smtp = self._smtp
        if smtp is not None:
            try:
                self._envelope(smtp, sender, recipient, len(content))
            except _Dropped:
                smtp = self._smtp = None
        if smtp is None:
            smtp = self._smtp = self._connect()
            try:
                self._envelope(smtp, sender, recipient, len(content))
            except _Dropped as error:
                raise MailTransient(recipient, str(error), ambiguous=False) from error
        handing_over()
        self._data(smtp, recipient, content)

    def _envelope(self, smtp: smtplib.SMTP, sender: str, recipient: str, size: int) -> None:
        """MAIL FROM and RCPT TO. Nothing is delivered before DATA, so a lost connection is certain not to have sent."""
        try:
            code, answer = smtp.mail(sender, [f"size={size}"] if smtp.has_extn("size") else [])
            sender_refused = code // 100 == 5 and code != _TOO_LARGE
            if code // 100 == 2:
                code, answer = smtp.rcpt(recipient)
        except _CONNECTION_ERRORS as error:
            self._drop(smtp)
            raise _Dropped(self._reason(error)) from error
        if code // 100 == 2:
            return
        self._reset(smtp, code)
        if code in _HUNG_UP:
            raise _Dropped(f"{code} {self._clean(answer)}")
        if sender_refused or code in _LOGIN_WANTED:
            raise MailUnavailable(
                f"{self._server} does not accept mail from {sender}: {code} {self._clean(answer)}"
            )
        raise self._not_taken(recipient, code, answer)

    def _data(self, smtp: smtplib.SMTP, recipient: str, content: bytes) -> None:
        try:
            code, answer = smtp.data(content)
        except smtplib.SMTPDataError as error:  # DATA itself was not allowed: nothing was handed over
            self._reset(smtp, error.smtp_code)
            raise self._not_taken(recipient, error.smtp_code, error.smtp_error) from error
        except _CONNECTION_ERRORS as error:
            self._drop(smtp)
            raise MailTransient(recipient, self._reason(error), ambiguous=True) from error
        if code // 100 != 2:
            self._reset(smtp, code)
            raise self._not_taken(recipient, code, answer)

    def _reset(self, smtp: smtplib.SMTP, code: int) -> None:
        """After an answer that is not a yes: RSET, so that the next message starts afresh."""
        try:
            clean = code not in _HUNG_UP and smtp.rset()[0] // 100 == 2
        except _CONNECTION_ERRORS:
            clean = False
        if not clean:
            self._drop(smtp)

    def _drop(self, smtp: smtplib.SMTP) -> None:
        smtp.close()
        self._smtp = None

    def _not_taken(self, recipient: str, code: int, answer: bytes | str) -> MailError:
        text = self._clean(answer)
        if code // 100 == 5:
            return MailRefused(recipient, code, text)
        return MailTransient(recipient, f"{code} {text}", ambiguous=code == _NOT_SMTP)

    def _connect(self) -> smtplib.SMTP:
        settings = self._settings
        smtp: smtplib.SMTP | None = None
        try:
            if settings.security == "tls":
                context = ssl.create_default_context()
                smtp = smtplib.SMTP_SSL(
                    settings.host, settings.port, self._name, timeout=settings.timeout_s, context=context
                )
            else:
                smtp = smtplib.SMTP(settings.host, settings.port, self._name, timeout=settings.timeout_s)
            self._greet(smtp)
            if settings.security == "starttls":
                smtp.starttls(context=ssl.create_default_context())
                self._greet(smtp)
            if settings.username and settings.password:
                smtp.login(settings.username, settings.password)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            if smtp is not None:
                smtp.close()
            # "from None": the errors of a login may carry what was sent.
            raise MailUnavailable(f"{self._server} cannot be used: {self._reason(error)}") from None
        return smtp

    @staticmethod
    def _greet(smtp: smtplib.SMTP) -> None:
        """EHLO, or HELO for a server that knows no other.

        Raises:
            SMTPHeloError: with what the server said to EHLO; smtplib's own greeting forgets it when the server then hangs up.
        """
        code, said = smtp.ehlo()
        if code // 100 == 2:
            return
        try:
            older = code // 100 == 5 and smtp.helo()[0] // 100 == 2
        except _CONNECTION_ERRORS:
            older = False
        if not older:
            raise smtplib.SMTPHeloError(code, said)

    @property
    def _server(self) -> str:
        return f"The mail server {self._settings.host}:{self._settings.port} (security {self._settings.security})"

    def _reason(self, error: Exception) -> str:
        # smtplib says "Connection unexpectedly closed" for a server that kept silent.
        if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
            return f"no answer within {self._settings.timeout_s:g} seconds"
        match error:
            case smtplib.SMTPAuthenticationError():
                return f"the login of {self._settings.username} failed, {error.smtp_code} {self._clean(error.smtp_error)}"
            case smtplib.SMTPHeloError():
                return (
                    f"it does not take the name that we give ourselves (EHLO {self._name}), "
                    f"{error.smtp_code} {self._clean(error.smtp_error)}. Set SMTP_EHLO_NAME to a name that it takes"
                )
            case smtplib.SMTPResponseException():
                return f"{error.smtp_code} {self._clean(error.smtp_error)}"
            case ssl.SSLError():
                return f"TLS failed, {self._clean(error)}. Check the host name, the port and the certificate"
            case _:
                return self._clean(error)

    def _clean(self, said: bytes | str | Exception) -> str:
        """What the server or the system said, on one line, without the password in any form that SMTP sends it in."""
        if isinstance(said, smtplib.SMTPResponseException):
            said = said.smtp_error
        text = (
            said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said) or type(said).__name__
        )
        password = self._settings.password
        if password:
            plain = f"\0{self._settings.username}\0{password}"
            for secret in (
                password,
                *(base64.b64encode(form.encode()).decode() for form in (password, plain)),
            ):
                text = text.replace(secret, "***")
        return " ".join(text.split())


class _Dropped(Exception):
    """The connection was lost before the message was handed over."""


def _address(text: str) -> Address:
    """The one address in `text`.

    Raises:
        InvalidAddress: none, several, or one that needs SMTPUTF8.
    """
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise InvalidAddress(f"{text!r} is not a mail address: it holds a line break or a control character.")
    found = getaddresses([text])
    name, spec = found[0] if len(found) == 1 else ("", "")
    local, _, domain = spec.rpartition("@")
    if not (local and domain) or re.search(r"[\s,;<>]", spec):
        raise InvalidAddress(f"{text!r} is not one mail address of the form name@example.com.")
    try:
        return Address(display_name=name, username=_ascii(local, text), domain=domain.encode("idna").decode())
    except (MessageError, UnicodeError, ValueError, IndexError) as error:
        raise InvalidAddress(f"{text!r} is not a usable mail address: {error}") from error


def _ascii(local: str, text: str) -> str:
    if not local.isascii():
        raise InvalidAddress(f"{text!r} has letters before the @ that only SMTPUTF8 could carry.")
    return local


def _header_text(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
