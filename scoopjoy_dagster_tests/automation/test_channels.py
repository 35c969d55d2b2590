"""Alerts to channels over real HTTP, beside a real mail server: each once to each, whichever of them is down."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.automation.alert import Alert
from scoopjoy_dagster.automation.channels import _services, inert, problem, send, split, usable
from scoopjoy_dagster.automation.delivery import Delivery, deliver_pending
from scoopjoy_dagster.automation.outbox import is_alerted
from scoopjoy_dagster.resources.alerts import AlertsResource
from scoopjoy_dagster.resources.mail import MailResource
from scoopjoy_dagster_tests.automation.receiver import Receiver, channel
from scoopjoy_dagster_tests.automation.test_alerts import ABORTED, at_once, fail, outbox_tick
from scoopjoy_dagster_tests.automation.world import (
    MANAGERS,
    Close,
    Inbox,
    failure,
    local_instance,
    mail_at,
    mail_server,
)

TOKEN = "TOKXY77"
NO_MAIL = MailResource()


def deliver(close: Close, channels: str, mail: MailResource = NO_MAIL, hours: float = 0) -> Delivery:
    """A delivery, so many hours from now."""
    now = datetime.now(UTC) + timedelta(hours=hours)
    return deliver_pending(close.instance, mail, lambda: MANAGERS, now, channels=channels)


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_channel_alone_is_enough(close: Close, receiver: Receiver, http_port: int) -> None:
    run = fail(close)
    with receiver.at(http_port) as url:
        close.alerts = AlertsResource(channels=url)
        at_once(close, run)
        assert outbox_tick(close) == "no alert is waiting"
    (message,) = receiver.messages
    assert (message["title"], message["type"]) == (ABORTED, "failure")
    assert "scoopjoy close --date 2026-03-01" in message["message"]
    assert "CUST-0001-0" in message["message"]
    assert is_alerted(close.fresh(run.run_id))


def test_a_channel_that_is_down_for_hours_gets_its_alert_once_and_mail_is_not_repeated(
    close: Close, inbox: Inbox, port: int, receiver: Receiver, http_port: int
) -> None:
    run = fail(close)
    url = channel(http_port)
    with mail_server(inbox, port) as mail:
        for hours in (0, 1, 5, 30):
            said = deliver(close, url, mail, hours).sentence
            assert said.startswith("alerts waiting: 1 (channel 1 (json): no connection")
            assert TOKEN not in said
        assert not is_alerted(close.fresh(run.run_id))
        with receiver.at(http_port):
            assert deliver(close, url, mail, 31).sent == [ABORTED]
            assert deliver(close, url, mail, 32).sentence == "no alert is waiting"
    assert inbox.subjects() == [(manager, ABORTED) for manager in MANAGERS]
    assert receiver.titles() == [ABORTED]


def test_a_mail_server_that_is_down_for_hours_does_not_hold_up_a_channel(
    close: Close, inbox: Inbox, port: int, receiver: Receiver, http_port: int
) -> None:
    fail(close)
    with receiver.at(http_port) as url:
        for hours in (0, 2, 9):
            assert "cannot be used" in deliver(close, url, mail_at(port), hours).waiting
        assert receiver.titles() == [ABORTED]
        with mail_server(inbox, port) as mail:
            assert deliver(close, url, mail, 10).sent == [ABORTED]
    assert receiver.titles() == [ABORTED]
    assert inbox.subjects() == [(manager, ABORTED) for manager in MANAGERS]


def test_when_nobody_is_known_for_mail_a_channel_is_told_all_the_same_and_the_tick_says_so(
    close: Close, port: int, receiver: Receiver, http_port: int
) -> None:
    fail(close)
    with receiver.at(http_port) as url:
        close.mail, close.alerts = mail_at(port, to=()), AlertsResource(channels=url)
        assert "no alert recipients are known" in outbox_tick(close)
        assert "no alert recipients are known" in outbox_tick(close)
    assert receiver.titles() == [ABORTED]


def test_without_mail_and_without_a_channel_the_tick_says_so(close: Close) -> None:
    fail(close)
    assert "SMTP_HOST is empty, and SCOOPJOY_ALERT_CHANNELS has no channel" in outbox_tick(close)


def test_a_channel_that_refuses_holds_up_no_other_channel_and_costs_one_request_a_tick(
    close: Close, receiver: Receiver, http_port: int
) -> None:
    for step in ("closed_shifts", "reports", "hq_sync"):
        fail(close, step=step)
    broken = Receiver()
    broken.status = 403
    with receiver.at(http_port) as good, broken.at(closed_port()) as bad:
        said = deliver(close, f"{bad}\n{good}")
        assert said.waiting == "alerts waiting: 3 (channel 1 (json): it answered with HTTP status 403)"
        assert (len(receiver.messages), broken.tries) == (3, 1)
        broken.status = 200
        assert len(deliver(close, f"{bad} {good}").sent) == 3
    assert sorted(receiver.titles()) == sorted(broken.titles())
    assert len(set(receiver.titles())) == 3


def test_a_channel_that_does_not_answer_costs_its_time_once_and_the_others_nothing(
    close: Close, receiver: Receiver, http_port: int
) -> None:
    fail(close)
    fail(close, step="reports")
    silent = Receiver()
    silent.answers.clear()
    with receiver.at(http_port) as good, silent.at(closed_port()) as slow:
        begun = time.monotonic()
        assert "no answer in time" in deliver(close, f"{slow}?rto=0.5 {good}").waiting
        assert time.monotonic() - begun < 5
        assert (len(receiver.messages), silent.tries) == (2, 1)


def test_a_process_killed_between_a_channels_yes_and_the_note_repeats_that_alert_and_no_other(
    close: Close, receiver: Receiver, http_port: int
) -> None:
    """The documented window: at least once, and only there more than once."""
    fail(close)
    fail(close, step="reports")
    script = f"""
        import os, signal, sys
        from datetime import UTC, datetime
        from scoopjoy_dagster.automation import channel_post
        from scoopjoy_dagster.automation.delivery import deliver_pending
        from scoopjoy_dagster.resources.mail import MailResource
        from scoopjoy_dagster_tests.automation.world import local_instance

        noted = channel_post.note_taken
        calls = []

        def dies_at_the_second(*given):
            calls.append(given)
            if len(calls) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            noted(*given)

        channel_post.note_taken = dies_at_the_second
        with local_instance({close.instance.root_directory!r}) as instance:
            deliver_pending(instance, MailResource(), list, datetime.now(UTC), channels=sys.argv[1])
    """
    with receiver.at(http_port) as url:
        killed = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), url],
            check=False,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            capture_output=True,
            timeout=60,
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
        assert len(receiver.messages) == 2
        with local_instance(close.instance.root_directory) as again:  # type: ignore[arg-type]
            deliver_pending(again, NO_MAIL, list, datetime.now(UTC), channels=url)
        assert "no alert is waiting" in deliver(close, url).sentence
    first, second, repeated = receiver.titles()
    assert first != second
    assert repeated == second


def test_a_wrong_channel_is_named_by_its_scheme_and_holds_up_neither_mail_nor_channels(
    close: Close,
    inbox: Inbox,
    port: int,
    receiver: Receiver,
    http_port: int,
    capfd: pytest.CaptureFixture[str],
    whole_log: io.StringIO,
) -> None:
    run = fail(close)
    with mail_server(inbox, port) as mail, receiver.at(http_port) as good:
        close.mail, close.alerts = mail, AlertsResource(channels=f"slack://{TOKEN} {good}")
        said = outbox_tick(close)
        assert "Channel 1 of SCOOPJOY_ALERT_CHANNELS (slack) is not a URL that apprise understands" in said
        assert "a channel of SCOOPJOY_ALERT_CHANNELS cannot be used" in said
        assert (len(inbox.mails), len(receiver.messages)) == (2, 1)
        assert not is_alerted(close.fresh(run.run_id))
        close.alerts = AlertsResource(channels=good)
        assert outbox_tick(close) == "alerts sent: 1"
        close.alerts = AlertsResource(channels=f"slack://{TOKEN}")
        assert "Channel 1" in outbox_tick(close)  # also when nothing waits
    assert (len(inbox.mails), len(receiver.messages)) == (2, 1)
    out, err = capfd.readouterr()
    assert TOKEN not in said + whole_log.getvalue() + out + err


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"{TOKEN}", "is no URL"),
        (f"nonsense://{TOKEN}", "(nonsense) is not a URL that apprise understands"),
        (f"json://{TOKEN}:port/", "(json) is not a URL that apprise understands"),
        (f"syslog://{TOKEN}", "(syslog) shows alerts only on the machine"),
        (f"dbus://{TOKEN}", "(dbus) shows alerts only on the machine"),
        (f"slack://{TOKEN}/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/%23a/%23b", "(slack) names 2 targets"),
    ],
)
def test_a_channel_that_cannot_be_used_is_a_sentence_without_its_url(url: str, says: str) -> None:
    (one,) = split(url)
    sentence = problem(one)
    assert says in sentence
    assert TOKEN not in sentence + repr(one) + one.name


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/%23close",
        "workflows://prod-01.westus.logic.azure.com:443/643e69f83c8944/0123456789abcdefghijklmnopqrstuvwxyz",
        "pagerduty://0123456789abcdef0123456789abcdef@apikey?action=map",
        "jsons://user:password@hooks.example.com/scoopjoy",
        "ntfys://ntfy.example.com/close",
        "mailtos://user:password@smtp.example.com?to=oncall@example.com",
    ],
)
def test_the_channels_of_the_documentation_are_understood(url: str) -> None:
    right, wrong = usable(f"  {url}\n\n{url} ")
    assert wrong == []
    assert [one.number for one in right] == [1]  # the same URL twice is one channel


def alert(subject: str, *about: str) -> Alert:
    return Alert("k", "2026-03-01", subject, "t", "h", "b", about or ("2026-03-01",))


def test_an_optional_channel_that_fails_is_a_failure(receiver: Receiver, http_port: int) -> None:
    """Apprise calls it a success."""
    receiver.status = 500
    with receiver.at(http_port) as url:
        (one,), _ = usable(f"{url}?optional=yes")
        assert send(alert("[WARNING] x"), [one]) == {one: "it answered with HTTP status 500"}


@pytest.mark.parametrize(
    ("subject", "kind"),
    [("[CRITICAL] a", "failure"), ("[WARNING] a", "warning"), ("[RECOVERED] a", "success")],
)
def test_a_channel_is_told_how_bad_it_is(subject: str, kind: str, receiver: Receiver, http_port: int) -> None:
    with receiver.at(http_port) as url:
        (one,), _ = usable(url)
        assert send(alert(subject), [one]) == {one: ""}
    assert [message["type"] for message in receiver.messages] == [kind]


def test_a_recovery_resolves_each_incident_that_its_alerts_raised() -> None:
    keys = []
    for subject, about in (
        ("[CRITICAL] a", ["d1"]),
        ("[CRITICAL] a", ["d2"]),
        ("[RECOVERED] b", ["d1", "d2"]),
    ):
        (one,), _ = usable("pagerduty://0123456789abcdef0123456789abcdef@apikey?action=map")
        keys.append([service.dedup for service in _services(one, alert(subject, *about))])  # type: ignore[attr-defined]
    assert keys == [["scoopjoy d1"], ["scoopjoy d2"], ["scoopjoy d1", "scoopjoy d2"]]


def test_text_that_is_too_long_for_a_service_is_cut_and_not_refused_for_ever() -> None:
    (one,), _ = usable("pagerduty://0123456789abcdef0123456789abcdef@apikey")
    (service,) = _services(one, alert("[CRITICAL] a", "d1", "d2"))
    assert service.overflow_mode.value == "truncate"


HOSTILE = (
    "@everyone @here <!channel> <@U024BE7LH> <users/all> <#C1> [pay](https://evil.example/pay) "
    "<https://evil.example|pay> http://evil.example evil.example pay@evil.example ftp://10.0.0.1/x"
)


def refused_by_somebody_else(asset: str, day: str) -> dg.Failure:
    return failure(asset, day, Finding("error", "royalty not posted", HOSTILE[:60], HOSTILE[60:], "Ask."))


def test_mentions_and_links_in_what_erpnext_says_are_dead_and_our_own_links_are_alive(
    close: Close, receiver: Receiver, http_port: int
) -> None:
    run = fail(close, how=refused_by_somebody_else)
    with receiver.at(http_port) as url:
        close.mail = MailResource(ui_url="http://dagster.example")
        close.alerts = AlertsResource(channels=url)
        at_once(close, run)
    (message,) = receiver.messages
    said = message["title"] + message["message"]
    assert "everyone" in said
    for alive in (
        "@everyone",
        "@here",
        "<!",
        "<@",
        "<users",
        "<#",
        "](",
        "<http",
        "://evil",
        "ftp://",
        "evil.example",
    ):
        assert alive not in said
    assert f"http://dagster.example/runs/{run.run_id}" in said
    assert "scoopjoy close --date 2026-03-01" in said


@pytest.mark.parametrize("text", [HOSTILE, "\n".join(HOSTILE.split())])
def test_the_services_themselves_find_no_mention_in_it(text: str) -> None:
    """Apprise makes Discord's pings itself of what it finds in a text."""
    from apprise import NotifyFormat
    from apprise.plugins.discord import NotifyDiscord
    from apprise.plugins.slack import NotifySlack

    discord = NotifyDiscord("0" * 24, "a" * 64)
    assert discord.ping_payload(text)
    assert discord.ping_payload(inert(text)) == {}
    slack = NotifySlack(token_a="T1JJ3T3L2", token_b="A1BRTD4JD", token_c="TIiajkdnlazkcOXrIdevi7FQ")
    assert "<" not in slack.dialect_convert(inert(text), body_format=NotifyFormat.TEXT)


@pytest.mark.parametrize(
    "text",
    ["₹ 1,234.50", "ACC-JV-2026-00001", "आइसक्रीम पुणे", "O'Cone's Café & Söhne", "1.5 %", "a. b", "👩\u200d🍳"],
)
def test_amounts_and_names_are_as_they_were(text: str) -> None:
    assert inert(text) == text
