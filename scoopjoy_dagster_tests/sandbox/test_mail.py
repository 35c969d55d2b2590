"""The embedded mail server: a real SMTP server whose mails can be read and looked at."""

from __future__ import annotations

import re
import smtplib
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest
import requests

from scoopjoy_dagster.sandbox.mail import MailSink

if TYPE_CHECKING:
    from collections.abc import Iterator

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


@pytest.fixture
def sink() -> Iterator[MailSink]:
    mail = MailSink()
    mail.start()
    yield mail
    mail.stop()


def a_mail(to: str = "a@scoopjoy.test", subject: str = "Daily report – ₹ 1,200") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "books@scoopjoy.test"
    message["To"] = to
    message["Subject"] = subject
    message["Message-ID"] = "<day@scoopjoy.test>"
    message.set_content("Sales <b>1,200</b>")
    message.add_alternative('<p>Sales</p><img src="cid:chart@sj"><img src="cid:unknown">', subtype="html")
    html = message.get_payload()[1]  # type: ignore[index]
    html.add_related(PNG, "image", "png", cid="<chart@sj>")  # type: ignore[union-attr]
    message.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="report <é>.pdf")
    return message


def send(sink: MailSink, message: EmailMessage, *to: str) -> dict[str, tuple[int, bytes]]:
    with smtplib.SMTP(sink.host, sink.smtp_port, timeout=5) as smtp:
        return smtp.send_message(message, to_addrs=to or None)


def get(sink: MailSink, path: str) -> requests.Response:
    return requests.get(sink.url + path, timeout=5)


def test_every_recipient_has_the_mail_as_it_was_sent(sink: MailSink) -> None:
    sent = a_mail("a@scoopjoy.test, b@scoopjoy.test")
    assert send(sink, sent) == {}
    assert [mail.recipient for mail in sink.messages] == ["a@scoopjoy.test", "b@scoopjoy.test"]
    mail = sink.messages[0]
    assert (mail.sender, mail.subject) == ("books@scoopjoy.test", "Daily report – ₹ 1,200")
    assert [part.get_content() for part in mail.message.iter_attachments()] == [b"%PDF-1.7"]


def test_a_refused_recipient_does_not_keep_the_others_from_their_mail(sink: MailSink) -> None:
    sink.refuse("Gone@scoopjoy.test")
    sink.refuse("busy@scoopjoy.test", 451)
    refused = send(sink, a_mail(), "a@scoopjoy.test", "gone@scoopjoy.test", "busy@scoopjoy.test")
    assert {address: code for address, (code, _) in refused.items()} == {
        "gone@scoopjoy.test": 550,
        "busy@scoopjoy.test": 451,
    }
    assert [mail.recipient for mail in sink.messages] == ["a@scoopjoy.test"]
    sink.accept("gone@scoopjoy.test")
    assert send(sink, a_mail(), "gone@scoopjoy.test") == {}


def test_when_every_recipient_is_refused_nothing_is_kept(sink: MailSink) -> None:
    sink.refuse("a@scoopjoy.test")
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send(sink, a_mail())
    assert sink.messages == []


def test_a_server_that_is_down_refuses_connections_and_comes_back_on_its_port(sink: MailSink) -> None:
    port = sink.smtp_port
    sink.down = True
    with pytest.raises(ConnectionRefusedError):
        send(sink, a_mail())
    sink.down = False
    send(sink, a_mail())
    assert sink.smtp_port == port
    assert len(sink.messages) == 1


def test_going_down_does_not_wait_for_an_open_connection(sink: MailSink) -> None:
    with smtplib.SMTP(sink.host, sink.smtp_port, timeout=5) as smtp:
        smtp.noop()
        sink.down = True
        with pytest.raises(smtplib.SMTPServerDisconnected):
            smtp.noop()


def test_the_list_shows_the_newest_mail_first(sink: MailSink) -> None:
    assert "No mail has arrived" in get(sink, "/").text
    send(sink, a_mail(subject="first"))
    send(sink, a_mail(subject="second"))
    page = get(sink, "/").text
    assert page.index("second") < page.index("first")


def test_a_mail_is_shown_with_its_images_and_attachments(sink: MailSink) -> None:
    send(sink, a_mail())
    page = get(sink, "/mail/0").text
    assert '<iframe sandbox title="The mail" src="/mail/0/html">' in page
    assert "Sales &lt;b&gt;1,200&lt;/b&gt;" in page
    (image,) = re.findall(r'<img src="(/mail/0/part/\d+)">', get(sink, "/mail/0/html").text)
    assert get(sink, image).content == PNG
    assert get(sink, image).headers["content-type"] == "image/png"
    ((path, name),) = re.findall(r'<a href="(/mail/0/part/\d+)">(.*?)</a>', page)
    assert name == "report &lt;é&gt;.pdf"
    download = get(sink, path)
    assert download.content == b"%PDF-1.7"
    assert download.headers["content-disposition"] == "attachment; filename*=UTF-8''report%20%3C%C3%A9%3E.pdf"


def test_an_image_that_the_mail_does_not_carry_is_left_alone(sink: MailSink) -> None:
    send(sink, a_mail())
    assert 'src="cid:unknown"' in get(sink, "/mail/0/html").text


def test_a_mail_can_run_nothing_and_load_nothing_from_elsewhere(sink: MailSink) -> None:
    message = EmailMessage()
    message["To"] = '"<script>x</script>" <a@scoopjoy.test>'
    message["From"] = "x@scoopjoy.test"
    message["Subject"] = "<script>alert(1)</script>"
    message.set_content("<script>alert(2)</script>", subtype="html")
    send(sink, message)
    for path in ("/", "/mail/0"):
        page = get(sink, path)
        assert "<script" not in page.text
        assert "script-src" not in page.headers["content-security-policy"]
        assert "default-src 'none'" in page.headers["content-security-policy"]
    body = get(sink, "/mail/0/html")
    assert body.headers["content-security-policy"].startswith(
        "sandbox; default-src 'none'; img-src " + sink.url
    )
    assert body.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/mail/0", "/mail/0/html", "/mail/0/part/0", "/nothing"])
def test_what_is_not_there_is_not_found(sink: MailSink, path: str) -> None:
    assert get(sink, path).status_code == 404


def test_parts_that_hold_nothing_are_not_found(sink: MailSink) -> None:
    send(sink, a_mail())
    assert get(sink, "/mail/0/part/0").status_code == 404  # the multipart itself
    assert get(sink, "/mail/0/part/99").status_code == 404


def test_a_plain_mail_needs_no_html(sink: MailSink) -> None:
    message = EmailMessage()
    message["To"], message["From"] = "a@scoopjoy.test", "x@scoopjoy.test"
    message.set_content("only text")
    send(sink, message)
    assert "only text" in get(sink, "/mail/0").text
    assert "(no subject)" in get(sink, "/").text
    assert get(sink, "/mail/0/html").status_code == 404


def test_a_taken_port_is_an_error_and_leaves_nothing_running(sink: MailSink) -> None:
    other = MailSink()
    with pytest.raises(OSError, match="in use"):
        other.start(http_port=int(sink.url.rsplit(":", 1)[1]))
    assert other.down


@pytest.mark.parametrize("taken", [True, False])
def test_a_mail_is_taken_or_not_and_its_sender_never_hears_of_it(sink: MailSink, taken: bool) -> None:
    killed: list[int] = []
    sink.lose_next(taken=taken, skip=1, hook=lambda: killed.append(len(sink.messages)))
    assert send(sink, a_mail(subject="first")) == {}
    with pytest.raises(smtplib.SMTPServerDisconnected):
        send(sink, a_mail(subject="second"))
    assert killed == [1 + taken]
    assert sink.losses_left == 0
    assert [(mail.subject, mail.answered) for mail in sink.messages] == [
        ("first", True),
        *([("second", False)] if taken else []),
    ]
    assert send(sink, a_mail(subject="third")) == {}


def test_losses_that_did_not_come_can_be_taken_back(sink: MailSink) -> None:
    sink.lose_next(skip=1)
    sink.heal()
    assert sink.losses_left == 0
    assert [send(sink, a_mail()) for _ in range(2)] == [{}, {}]


def test_whoever_listens_is_told_of_each_mail_before_its_sender(sink: MailSink) -> None:
    told: list[str] = []
    sink.on_taken = lambda mail: told.append(mail.recipient)
    send(sink, a_mail("a@scoopjoy.test, b@scoopjoy.test"))
    assert told == ["a@scoopjoy.test", "b@scoopjoy.test"]
