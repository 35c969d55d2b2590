from __future__ import annotations

import logging
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoopjoy_dagster.reporting.mail import (
    Attachment,
    InvalidAddress,
    Mailer,
    MailRefused,
    MailTransient,
    MailUnavailable,
    SMTPSettings,
    build_message,
    deterministic_message_id,
)
from scoopjoy_dagster.reporting.render import render_report_mail
from scoopjoy_dagster.sandbox.mail import MailSink
from scoopjoy_dagster_tests.reporting.conftest import MailServer
from scoopjoy_dagster_tests.reporting.samples import DAY, FINDINGS, day_report

SENT_AT = datetime(2026, 11, 23, 1, 5, tzinfo=UTC)
SENDER = "ScoopJoy Nightly Close <close@scoopjoy.example>"
Start = Callable[..., MailServer]


def message(recipient: str = "asha@scoopjoy.example", **more: Any) -> EmailMessage:
    fields: dict[str, Any] = {
        "sender": SENDER,
        "recipient": recipient,
        "subject": "Nightly close",
        "html": "<p>₹1</p>",
        "text": "₹1\n.\nend",
        "attachments": (),
        "message_id": deterministic_message_id("report", "ScoopJoy", DAY, 0, recipient, "scoopjoy.example"),
        "date": SENT_AT,
    }
    return build_message(**fields | more)


def smtp(server: MailServer, **more: Any) -> SMTPSettings:
    fields: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": server.port,
        "security": "none",
        "username": None,
        "password": None,
        "sender": SENDER,
        "timeout_s": 10,
    }
    return SMTPSettings(**fields | more)


@pytest.fixture(autouse=True)
def _no_password_in_the_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # aiosmtpd's own
    yield
    assert "correct horse" not in caplog.text


# The message


def test_a_report_mail_arrives_whole(start_server: Start) -> None:
    rendered = render_report_mail(day_report(findings=FINDINGS), links={})
    sent = rendered.message(
        sender=SENDER, recipient="Asha <asha@scoopjoy.example>", message_id="<1@x.example>", date=SENT_AT
    )
    server = start_server()
    with Mailer(smtp(server)) as mailer:
        mailer.send(sent)
    ((recipient, got),) = server.taken
    assert recipient == "asha@scoopjoy.example"
    assert got["Subject"] == rendered.subject
    assert (got["From"], got["To"], got["Message-ID"]) == (
        SENDER,
        "Asha <asha@scoopjoy.example>",
        "<1@x.example>",
    )
    assert got["Date"].datetime == SENT_AT
    assert got["Auto-Submitted"] == "auto-generated"
    html = got.get_body(("html",))
    text = got.get_body(("plain",))
    assert html is not None
    assert text is not None
    assert html.get_content().splitlines() == rendered.html.splitlines()
    assert text.get_content().splitlines() == rendered.text.splitlines()
    assert {part.get_filename(): part.get_content() for part in got.iter_attachments()} == {
        attachment.file_name: attachment.content for attachment in rendered.attachments
    }
    assert "image" not in {part.get_content_maintype() for part in got.walk()}


def test_the_subject_begins_with_the_business_day_and_the_files_carry_it() -> None:
    rendered = render_report_mail(day_report(findings=FINDINGS, revision=1), links={})
    assert rendered.subject == (
        "[ScoopJoy] Nightly close 2026-11-22: ₹14,05,608.15 sales, ₹70,280.40 royalty, 1 error, 2 warnings (revision 1)"
    )
    assert [attachment.file_name for attachment in rendered.attachments] == [
        "nightly-close-2026-11-22-r1.pdf",
        "nightly-close-2026-11-22-r1.xlsx",
    ]


SUBJECTS = [
    "[ScoopJoy] Nightly close 2026-11-22: ₹14,05,608.15 sales, ₹70,280.40 royalty, 1 error, 2 warnings (revision 1) (sent again)",
    "[स्कूपजॉय आइसक्रीम प्राइवेट लिमिटेड] Nightly close 2026-11-22, ठाणे फ्रैंचाइज़ी, मुंबई शाखा दूसरी: no exceptions",
    "[ScoopJoy Ice Cream Private Limited, Koramangala] Nightly close 2026-11-22: no sale, no exceptions",
    f"[{'ScoopJoy' * 8}xx] Nightly close 2026-11-22",  # one word that alone fits on a line, but not behind "Subject: "
    f"[{'ScoopJoy' * 30}] Nightly close 2026-11-22",
    "béa₹bbéaठbébaa₹abb🍦aa🍦ba🍦a🍦₹bbb₹éabéaabéébठ₹é₹ठbabb₹₹ठ₹₹béठaaठaaab aa🍦 b₹🍦 ₹babठ₹ठठb🍦 bbbbbaéaaa",
]


def test_a_subject_arrives_letter_by_letter_however_long_and_in_whatever_script(start_server: Start) -> None:
    """By the bytes that a server took: Python's own folding loses spaces between words, which nothing shows that asks it."""
    server = start_server()
    with Mailer(smtp(server)) as mailer:
        for subject in SUBJECTS:
            mailer.send(message(subject=subject))
    for raw, subject in zip(server.raw, SUBJECTS, strict=True):
        (header,) = re.findall(rb"^Subject: (\S.*(?:\r\n[ \t].*)*)\r$", raw, re.MULTILINE)
        assert max(map(len, header.split(b"\r\n"))) <= 78
        assert str(make_header(decode_header(header.decode("ascii").replace("\r\n", "")))) == subject
    assert [got["Subject"] for _, got in server.taken] == SUBJECTS


def test_equal_days_render_equally() -> None:
    assert render_report_mail(day_report(), links={}) == render_report_mail(day_report(), links={})


@settings(deadline=None)
@given(st.text())
def test_no_subject_adds_a_header_or_a_recipient(subject: str) -> None:
    built = message(subject=f"Close {subject}\r\nBcc: thief@evil.example\r\n\r\nbody")
    head = built.as_bytes().split(b"\r\n\r\n", 1)[0]
    names = [line.split(b":", 1)[0] for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    assert sorted(names) == [
        b"Auto-Submitted",
        b"Content-Type",
        b"Date",
        b"From",
        b"MIME-Version",
        b"Message-ID",
        b"Subject",
        b"To",
    ]


@pytest.mark.parametrize(
    "recipient",
    [
        "", "asha", "@x.example", "asha@", "a@x.example, b@x.example", "a@x.example;b@x.example", "a b@x.example",
        "a@x.example\r\nBcc: b@x.example", "a@x.example\nb", "Asha <a@x.example>, <b@x.example>", "आशा@x.example", "a@x..example",
    ],
)  # fmt: skip
def test_a_recipient_is_exactly_one_usable_address(recipient: str) -> None:
    with pytest.raises(InvalidAddress):
        message(recipient, message_id="<1@x.example>")


def test_a_name_beside_the_address_and_an_international_domain_are_usable() -> None:
    built = message('"Rao, Asha 🍦" <asha@eis-bücher.example>', message_id="<1@x.example>")
    assert built["To"].addresses[0].display_name == "Rao, Asha 🍦"
    assert built["To"].addresses[0].addr_spec == "asha@xn--eis-bcher-u9a.example"


def test_a_date_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        message(date=SENT_AT.replace(tzinfo=None))


def test_every_line_of_a_message_is_short_enough_for_any_server() -> None:
    built = message(
        html=f"<p>{'₹' * 5000}</p>",
        text="x" * 5000,
        attachments=(Attachment("a.bin", "application/pdf", b"\0" * 5000),),
    )
    content = built.as_bytes()
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert content.isascii()


def test_a_message_id_is_the_same_for_the_same_mail_and_hides_the_recipient() -> None:
    first = deterministic_message_id(
        "report", "ScoopJoy", DAY, 0, "asha@scoopjoy.example", "scoopjoy.example"
    )
    assert re.fullmatch(r"<report\.2026-11-22\.r0\.[0-9a-f]{32}@scoopjoy\.example>", first)
    assert first == deterministic_message_id(
        "report", "ScoopJoy", DAY, 0, "Asha <Asha@ScoopJoy.example>", "scoopjoy.example"
    )
    others = {
        deterministic_message_id("alert", "ScoopJoy", DAY, 0, "asha@scoopjoy.example", "scoopjoy.example"),
        deterministic_message_id("report", "Other", DAY, 0, "asha@scoopjoy.example", "scoopjoy.example"),
        deterministic_message_id("report", "ScoopJoy", DAY, 1, "asha@scoopjoy.example", "scoopjoy.example"),
        deterministic_message_id("report", "ScoopJoy", DAY, 0, "ravi@scoopjoy.example", "scoopjoy.example"),
        deterministic_message_id(
            "report", "ScoopJoy", DAY, 0, "asha@scoopjoy.example", "scoopjoy.example", content="other figures"
        ),
    }
    assert len(others | {first}) == 6
    assert "asha" not in first
    with pytest.raises(ValueError, match="not a domain name"):
        deterministic_message_id("report", "ScoopJoy", DAY, 0, "asha@scoopjoy.example", "x>\r\nBcc: y")


# The connection


def test_a_refused_recipient_does_not_stop_the_others(start_server: Start) -> None:
    server = start_server()
    server.on_rcpt["gone@x.example"] = ["550 5.1.1 No such user"]
    server.on_data["full@x.example"] = ["554 5.7.1 Looks like spam"]
    with Mailer(smtp(server)) as mailer:
        with pytest.raises(MailRefused) as gone:
            mailer.send(message("gone@x.example"))
        mailer.send(message("asha@x.example"))
        with pytest.raises(MailRefused, match=r"full@x\.example: 554 5\.7\.1 Looks like spam"):
            mailer.send(message("full@x.example"))
        mailer.send(message("ravi@x.example"))
    assert (gone.value.recipient, gone.value.code, gone.value.text) == (
        "gone@x.example",
        550,
        "5.1.1 No such user",
    )
    assert [recipient for recipient, _ in server.taken] == ["asha@x.example", "ravi@x.example"]
    assert len(server.connections) == 1


@pytest.mark.parametrize("phase", ["on_rcpt", "on_data"])
def test_a_temporary_answer_is_transient_and_certainly_not_delivered(start_server: Start, phase: str) -> None:
    server = start_server()
    getattr(server, phase)["asha@x.example"] = ["451 4.7.1 Greylisted, try again later"]
    with Mailer(smtp(server)) as mailer:
        with pytest.raises(MailTransient, match=r"451 4\.7\.1 Greylisted") as error:
            mailer.send(message("asha@x.example"))
        assert not error.value.ambiguous
        mailer.send(message("asha@x.example"))
    assert len(server.taken) == 1


@pytest.mark.parametrize("answer", ["drop", "421 4.4.2 Too many messages on this connection"])
@pytest.mark.parametrize("phase", ["on_mail", "on_rcpt"])
def test_a_connection_lost_before_the_message_is_opened_again_once(
    start_server: Start, phase: str, answer: str
) -> None:
    server = start_server()
    key = "close@scoopjoy.example" if phase == "on_mail" else "ravi@x.example"
    with Mailer(smtp(server)) as mailer:
        mailer.send(message("asha@x.example"))
        getattr(server, phase)[key] = [answer]
        mailer.send(message("ravi@x.example"))
        assert [recipient for recipient, _ in server.taken] == ["asha@x.example", "ravi@x.example"]
        getattr(server, phase)[key] = [answer, answer]
        with pytest.raises(MailTransient) as error:
            mailer.send(message("ravi@x.example"))
        assert not error.value.ambiguous
        mailer.send(message("meena@x.example"))
    assert [recipient for recipient, _ in server.taken][2:] == ["meena@x.example"]


def test_a_connection_lost_after_the_message_is_ambiguous_and_not_sent_twice(start_server: Start) -> None:
    server = start_server()
    server.on_data["asha@x.example"] = ["drop"]
    with Mailer(smtp(server)) as mailer:
        with pytest.raises(MailTransient, match="may have been delivered") as error:
            mailer.send(message("asha@x.example"))
        assert error.value.ambiguous
        assert server.taken == []
        mailer.send(message("ravi@x.example"))
    assert [recipient for recipient, _ in server.taken] == ["ravi@x.example"]


def test_a_server_that_goes_away_for_good_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    settings = SMTPSettings("127.0.0.1", port, "none", None, None, SENDER, timeout_s=2)
    with pytest.raises(
        MailUnavailable, match=rf"127\.0\.0\.1:{port} \(security none\) cannot be used: .*refused"
    ):
        Mailer(settings).__enter__()


def test_a_server_that_never_answers_is_unavailable_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = SMTPSettings(
            "127.0.0.1", listener.getsockname()[1], "none", None, None, SENDER, timeout_s=0.2
        )
        with pytest.raises(MailUnavailable, match=r"no answer within 0\.2 seconds"):
            Mailer(settings).__enter__()


def test_a_refused_sender_means_that_nothing_can_be_sent(start_server: Start) -> None:
    server = start_server()
    server.on_mail["close@scoopjoy.example"] = ["553 5.7.1 Sender address rejected"]
    with Mailer(smtp(server)) as mailer:
        with pytest.raises(
            MailUnavailable, match=r"does not accept mail from close@scoopjoy\.example: 553 5\.7\.1 Sender"
        ):
            mailer.send(message())
        mailer.send(message())
    assert len(server.taken) == 1


def test_a_message_that_is_too_large_is_refused_for_its_recipient(start_server: Start) -> None:
    server = start_server(data_size_limit=20_000)
    large = message(attachments=(Attachment("a.pdf", "application/pdf", b"x" * 50_000),))
    with Mailer(smtp(server)) as mailer:
        with pytest.raises(MailRefused, match="552"):
            mailer.send(large)
        mailer.send(message())
    assert len(server.taken) == 1


# The name in EHLO


@pytest.mark.parametrize(
    ("sender", "ehlo_name", "said"),
    [
        (SENDER, "", "scoopjoy.example"),
        ("close@bücher.example", "", "xn--bcher-kva.example"),
        (SENDER, "relay-7.scoopjoy.example", "relay-7.scoopjoy.example"),
    ],
)
def test_we_give_the_domain_of_the_sender_or_the_name_of_the_settings_and_not_that_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, sender: str, ehlo_name: str, said: str
) -> None:
    monkeypatch.setattr(socket, "getfqdn", lambda *_: "localhost")  # as in a container
    sink = MailSink()
    sink.wants_names = True
    sink.start()
    try:
        settings = SMTPSettings(
            sink.host, sink.smtp_port, "none", None, None, sender, timeout_s=10, ehlo_name=ehlo_name
        )
        with Mailer(settings) as mailer:
            mailer.send(message(sender=sender))
        assert (sink.names, len(sink.messages)) == ([said], 1)
        with pytest.raises(MailUnavailable) as error:
            Mailer(replace(settings, ehlo_name="localhost")).__enter__()
    finally:
        sink.stop()
    for part in ("EHLO localhost", "550 5.7.1 this is no name of a mail host", "SMTP_EHLO_NAME"):
        assert part in str(error.value)


def relay(script: dict[str, str]) -> Iterator[tuple[int, list[str]]]:
    """A server that gives these answers by command, and hangs up where an answer ends in `!`."""
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, connection.makefile("rwb", buffering=0) as wire:
                wire.write(b"220 relay\r\n")
                for line in wire:
                    said.append(line.decode().strip())
                    answer = script[said[-1].partition(" ")[0].upper()]
                    wire.write(f"{answer.rstrip('!')}\r\n".encode())
                    if answer.endswith("!"):
                        return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], said
        thread.join(10)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ({"EHLO": "421 4.7.0 Try again later, closing connection. (EHLO)!"}, "421 4.7.0 Try again later"),
        ({"EHLO": "550 5.7.1 go away!"}, "550 5.7.1 go away"),
        ({"EHLO": "504 5.5.2 need a full name", "HELO": "504 no!"}, "504 5.5.2 need a full name"),
    ],
    ids=["not now and hangs up", "never and hangs up", "never"],
)
def test_what_the_server_says_to_our_name_is_told_in_its_words(script: dict[str, str], words: str) -> None:
    with contextmanager(relay)(script) as (port, said):
        settings = SMTPSettings("127.0.0.1", port, "none", None, None, SENDER, timeout_s=10)
        with pytest.raises(MailUnavailable) as error:
            Mailer(settings).__enter__()
    assert said[0].upper() == "EHLO SCOOPJOY.EXAMPLE"
    assert words in str(error.value)


def test_a_server_that_knows_no_ehlo_is_greeted_as_of_old() -> None:
    with (
        contextmanager(relay)({"EHLO": "502 what?", "HELO": "250 relay", "QUIT": "221 bye!"}) as (
            port,
            said,
        ),
        Mailer(SMTPSettings("127.0.0.1", port, "none", None, None, SENDER, timeout_s=10)),
    ):
        pass
    assert [one.casefold() for one in said] == ["ehlo scoopjoy.example", "helo scoopjoy.example", "quit"]


# TLS and login


def test_mail_goes_through_starttls_and_login(start_server: Start, server_tls: ssl.SSLContext) -> None:
    server = start_server(tls_context=server_tls, require_starttls=True, auth_required=True)
    settings = smtp(server, host="localhost", security="starttls", username="close", password="correct horse")
    with Mailer(settings) as mailer:
        mailer.send(message())
    assert len(server.taken) == 1
    assert server.logins == [(b"close", b"correct horse")]
    with pytest.raises(MailUnavailable, match="530"), Mailer(smtp(server)) as mailer:
        mailer.send(message())


def test_mail_goes_through_tls_from_the_first_byte(start_server: Start, server_tls: ssl.SSLContext) -> None:
    server = start_server(ssl_context=server_tls)
    with Mailer(smtp(server, host="localhost", security="tls")) as mailer:
        mailer.send(message())
    assert len(server.taken) == 1


def test_tls_towards_a_port_that_speaks_plain_smtp_says_what_to_check(start_server: Start) -> None:
    with pytest.raises(
        MailUnavailable, match=r"TLS failed, .*Check the host name, the port and the certificate"
    ):
        Mailer(smtp(start_server(), host="localhost", security="tls")).__enter__()


def test_a_wrong_password_is_named_as_the_cause_and_never_shown(
    start_server: Start, server_tls: ssl.SSLContext
) -> None:
    server = start_server(tls_context=server_tls, require_starttls=True, auth_required=True)
    settings = smtp(
        server, host="localhost", security="starttls", username="close", password="battery staple"
    )
    with pytest.raises(MailUnavailable, match="the login of close failed, 535") as error:
        Mailer(settings).__enter__()
    assert "battery staple" not in repr(settings) + str(error.value) + repr(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


def test_a_certificate_that_nobody_trusts_is_not_accepted(
    start_server: Start, server_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_server(tls_context=server_tls, require_starttls=True)
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(
        MailUnavailable, match=r"TLS failed.*Check the host name, the port and the certificate"
    ):
        Mailer(smtp(server, host="localhost", security="starttls")).__enter__()


def test_starttls_never_falls_back_to_an_open_connection(start_server: Start) -> None:
    server = start_server()
    with pytest.raises(MailUnavailable, match="STARTTLS"):
        Mailer(smtp(server, security="starttls")).__enter__()
    assert server.taken == []


def test_a_password_never_crosses_a_network_unencrypted() -> None:
    with pytest.raises(ValueError, match=r"would go to mail\.example unencrypted"):
        SMTPSettings("mail.example", 25, "none", "close", "secret", SENDER)
    with pytest.raises(ValueError, match="both a username and a password"):
        SMTPSettings("mail.example", 25, "tls", "close", None, SENDER)
