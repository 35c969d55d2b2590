"""Alerts are few and true: one for what is wrong now, none for what is settled or known, and none is lost."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path

import dagster as dg
import psycopg2
import pytest
from dagster._core.execution.backfill import BulkActionStatus

from scoopjoy_dagster.automation import parcels
from scoopjoy_dagster.automation.alerts import program
from scoopjoy_dagster.automation.delivery import Delivery, deliver_pending
from scoopjoy_dagster.automation.heartbeat import NOTE
from scoopjoy_dagster.automation.messages import Outlook
from scoopjoy_dagster.automation.outbox import is_alerted
from scoopjoy_dagster.automation.parcels import PROGRESS, REPEATED
from scoopjoy_dagster.automation.recipients import REMEMBERED, alert_recipients
from scoopjoy_dagster.local.postgres import EmbeddedPostgres
from scoopjoy_dagster.partitions import ZONE
from scoopjoy_dagster.reporting.mail import build_message
from scoopjoy_dagster.resources.alerts import AlertsResource
from scoopjoy_dagster.resources.locks import lock_number
from scoopjoy_dagster_tests.automation.receiver import Receiver, channel
from scoopjoy_dagster_tests.automation.test_alerts import (
    ABORTED,
    DAY,
    ERPNEXT_DOWN,
    backfill,
    deliver,
    fail,
    outbox_tick,
)
from scoopjoy_dagster_tests.automation.test_control_warnings import QUESTION, warn
from scoopjoy_dagster_tests.automation.test_recovery import CLOSED, subjects
from scoopjoy_dagster_tests.automation.world import MANAGERS, Close, Inbox, mail_server, unreachable

AWAY = "[CRITICAL] Batch pipeline failed at: Close POS Shifts (1 Mar: ERPNext: connection refused)"
QUIET = "no alert is waiting"


def at(close: Close, hour: int) -> Delivery:
    """A delivery at five past this hour."""
    now = datetime.now(ZONE).replace(hour=hour, minute=5)
    return deliver_pending(close.instance, close.mail, lambda: MANAGERS, now, days=close.days)


def away(close: Close, day: str = DAY, step: str = "closed_shifts", by: str = "schedule") -> dg.DagsterRun:
    """A run that fails because ERPNext does not answer."""
    return fail(close, day, step, unreachable, scoopjoy__triggered_by=by)


# -- what passes by itself --------------------------------------------------------------------------------------------


def test_a_failure_that_passes_is_one_alert_for_all_tries_of_the_night_and_one_recovery(
    close: Close, inbox: Inbox, port: int
) -> None:
    with mail_server(inbox, port) as close.mail:
        away(close)
        assert at(close, 1).sent == [AWAY]
        repeats = [away(close) for _ in range(2)]
        assert at(close, 2).sentence == QUIET
        close.run(DAY)
        assert at(close, 3).sent == [CLOSED]
        assert at(close, 3).sentence == QUIET
    assert subjects(inbox) == [AWAY, CLOSED]
    assert "It is tried again by itself every 15 minutes until 06:00." in inbox.text()
    assert "Nothing yet." in inbox.text()
    assert all(f" {REPEATED} " in close.fresh(run.run_id).tags[parcels.ALERTED] for run in repeats)


def test_tries_that_failed_while_the_mail_server_was_away_are_one_alert(
    close: Close, inbox: Inbox, port: int
) -> None:
    for _ in range(3):
        away(close)
    with mail_server(inbox, port) as close.mail:
        assert at(close, 4).sent == [AWAY]
        assert at(close, 4).sentence == QUIET
    assert len(inbox.mails) == len(MANAGERS)


def test_another_step_and_a_refusal_of_the_same_day_are_news(close: Close, inbox: Inbox, port: int) -> None:
    with mail_server(inbox, port) as close.mail:
        away(close)
        at(close, 1)
        away(close, step="reports")
        assert at(close, 2).sent == [
            "[WARNING] Batch step failed: Send Reports (1 Mar: ERPNext: connection refused)"
        ]
        fail(close)
        assert at(close, 3).sent == [ABORTED]
        away(close)
        assert at(close, 4).sentence == QUIET  # known since one o'clock


def test_a_day_that_recovered_and_fails_again_is_news(close: Close, inbox: Inbox, port: int) -> None:
    with mail_server(inbox, port) as close.mail:
        for _ in range(2):
            away(close)
            at(close, 1)
            close.run(DAY)
            at(close, 2)
    assert subjects(inbox) == [AWAY, CLOSED] * 2


@pytest.mark.parametrize(
    ("hour", "by", "says"),
    [(1, "schedule", Outlook.AGAIN), (6, "schedule", Outlook.MAY_HEAL), (1, "asha", Outlook.MAY_HEAL)],
)
def test_an_alert_promises_another_try_only_where_the_schedule_makes_one(
    close: Close, inbox: Inbox, port: int, hour: int, by: str, says: str
) -> None:
    away(close, by=by)
    with mail_server(inbox, port) as close.mail:
        at(close, hour)
    assert [line for line in Outlook if line and line in inbox.text()] == [says]


def test_an_alert_of_a_refusal_says_that_it_stays(close: Close, inbox: Inbox, port: int) -> None:
    fail(close, scoopjoy__triggered_by="schedule")
    with mail_server(inbox, port) as close.mail:
        at(close, 1)
    assert Outlook.STAYS in inbox.text()
    assert Outlook.AGAIN not in inbox.text()


def test_a_control_total_that_could_not_be_read_is_tried_again_and_shows_no_figures(
    close: Close, inbox: Inbox, port: int
) -> None:
    close.ledger_ok, close.ledger_figures = False, {"passes": True, "difference": "unknown"}
    close.run(DAY, tags={"scoopjoy/triggered_by": "schedule"})
    close.run(DAY, tags={"scoopjoy/triggered_by": "schedule"})
    with mail_server(inbox, port) as close.mail:
        assert len(at(close, 1).sent) == 1
    assert Outlook.AGAIN in inbox.text()
    assert "unknown" not in inbox.text()
    assert "Passes" not in inbox.text()


# -- what is settled, and what is known -------------------------------------------------------------------------------


def test_days_that_were_closed_before_anybody_could_be_alerted_are_no_mail(
    close: Close, inbox: Inbox, port: int
) -> None:
    close.instance.add_backfill(backfill(close, BulkActionStatus.COMPLETED_FAILED))
    run = fail(close)
    fail(close, "2026-03-02", dagster__backfill="bf1")
    fail(close, "2026-03-03", dagster__backfill="bf1")
    assert "SMTP_HOST is empty" in outbox_tick(close)
    for day in (DAY, "2026-03-02", "2026-03-03"):
        close.run(day)
    with mail_server(inbox, port) as close.mail:
        assert outbox_tick(close) == QUIET
    assert inbox.mails == []
    assert is_alerted(close.fresh(run.run_id))


def test_the_same_warning_of_a_day_is_told_once_however_often_the_day_is_run(
    close: Close, inbox: Inbox, port: int
) -> None:
    with mail_server(inbox, port) as close.mail:
        for _ in range(2):
            warn(close)
            outbox_tick(close)
        assert len(inbox.mails) == len(MANAGERS)
        close.usual_sales = "13.00"
        warn(close)
        outbox_tick(close)
    assert subjects(inbox) == [f"[WARNING] Control totals: {QUESTION} (1 Mar)"] * 2
    assert "13.00" in inbox.text(-1)


# -- many at a time ---------------------------------------------------------------------------------------------------

FIVE = [f"2026-03-0{n}" for n in range(1, 6)]


def test_many_days_that_wait_are_one_alert_and_one_recovery(close: Close, inbox: Inbox, port: int) -> None:
    for day in FIVE:
        away(close, day)
    close.run(FIVE[0])  # closed by now: it needs nobody
    digest = (
        "[CRITICAL] Batch pipeline failed for 4 business days (2 Mar to 5 Mar: ERPNext: connection refused)"
    )
    with mail_server(inbox, port) as close.mail:
        assert at(close, 1).sent == [digest]
        for day in FIVE[1:]:
            away(close, day)
        assert at(close, 2).sentence == QUIET
        for day in FIVE[1:]:
            close.run(day)
        assert at(close, 3).sent == ["[RECOVERED] Business days closed: 2 Mar to 5 Mar"]
        assert at(close, 3).sentence == QUIET
    assert len(inbox.mails) == 2 * len(MANAGERS)
    assert "scoopjoy backfill --from 2026-03-02 --to 2026-03-05" in inbox.text()
    assert inbox.text(-1).count(digest) == 1
    assert (
        "3 Mar | Close POS Shifts | ERPNext: connection refused - 2026-03-03: connection refused"
        in inbox.text()
    )


def test_a_few_days_that_wait_have_an_alert_each(close: Close, inbox: Inbox, port: int) -> None:
    for day in FIVE[:3]:
        fail(close, day)
    with mail_server(inbox, port) as close.mail:
        assert len(at(close, 1).sent) == 3


def test_an_alert_of_many_days_that_a_channel_still_waits_for_is_repeated_to_nobody(
    close: Close, inbox: Inbox, port: int, receiver: Receiver, http_port: int
) -> None:
    for day in FIVE[:4]:
        fail(close, day)
    close.alerts = AlertsResource(channels=channel(http_port))
    with mail_server(inbox, port) as close.mail:
        assert "alerts waiting: 1" in outbox_tick(close)
        fail(close, FIVE[4])  # not of that alert
        assert "alerts waiting: 2" in outbox_tick(close)
        with receiver.at(http_port):
            assert outbox_tick(close) == "alerts sent: 2"
    many = "[CRITICAL] Batch pipeline failed for 4 business days (1 Mar to 4 Mar: royalty not posted)"
    assert (
        sorted(subjects(inbox))
        == sorted(receiver.titles())
        == sorted([many, ABORTED.replace("1 Mar", "5 Mar")])
    )


def test_a_recovery_that_a_channel_still_waits_for_is_repeated_to_nobody(
    close: Close, inbox: Inbox, port: int, receiver: Receiver, http_port: int
) -> None:
    close.alerts = AlertsResource(channels=channel(http_port))
    with mail_server(inbox, port) as close.mail:
        for day in FIVE[:2]:
            fail(close, day)
        outbox_tick(close)
        for day in FIVE[:2]:
            close.run(day)
            outbox_tick(close)
        with receiver.at(http_port):
            assert outbox_tick(close) == "alerts sent: 4"
    both = [ABORTED, ABORTED.replace("1 Mar", "2 Mar"), CLOSED, CLOSED.replace("1 Mar", "2 Mar")]
    assert subjects(inbox) == receiver.titles() == both


def test_warnings_of_many_days_are_one_message(close: Close, inbox: Inbox, port: int) -> None:
    for day in FIVE:
        warn(close, day)
    with mail_server(inbox, port) as close.mail:
        assert outbox_tick(close) == "alerts sent: 1"
        assert outbox_tick(close) == QUIET
    assert subjects(inbox) == ["[WARNING] Control totals: 5 business days (1 Mar to 5 Mar)"]


# -- nothing silences an alert ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("pg")) as server:
        yield server.url


def test_two_senders_at_once_send_one_mail(
    close: Close, inbox: Inbox, port: int, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(close)
    monkeypatch.setattr(close.instance.run_storage, "postgres_url", postgres_url, raising=False)
    with mail_server(inbox, port) as mail:
        with closing(psycopg2.connect(postgres_url.replace("+psycopg2", "", 1))) as other:
            other.cursor().execute("SELECT pg_advisory_lock(%s)", (lock_number("alerts"),))
            assert deliver(close, mail).sentence == "another delivery is under way"
        assert deliver(close, mail).sent == [ABORTED]
    assert len(inbox.mails) == len(MANAGERS)


def test_a_lock_that_cannot_be_asked_for_silences_nobody(
    close: Close, inbox: Inbox, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(close)
    nowhere = "postgresql+psycopg2://nobody@127.0.0.1:9/none"
    monkeypatch.setattr(close.instance.run_storage, "postgres_url", nowhere, raising=False)
    with mail_server(inbox, port) as mail:
        assert deliver(close, mail).sent == [ABORTED]


def test_an_alert_that_cannot_be_noted_is_sent_and_this_process_repeats_it_to_nobody(
    close: Close, inbox: Inbox, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fail(close)

    def no_space(*_: object) -> None:
        raise OSError("No space left on device")

    with mail_server(inbox, port) as mail:
        with monkeypatch.context() as full:
            full.setattr(close.instance, "add_run_tags", no_space)
            for _ in range(2):
                assert "takes no note of it" in deliver(close, mail).sentence
            assert len(inbox.mails) == len(MANAGERS)
            parcels._UNNOTED.clear()  # another process
            deliver(close, mail)
        assert len({str(one["Message-ID"]) for one in inbox.mails}) == len(inbox.mails) / 2 == len(MANAGERS)
        deliver(close, mail)
    assert is_alerted(close.fresh(run.run_id))
    assert len(inbox.mails) == 2 * len(MANAGERS)


@pytest.mark.parametrize("note", ["{", "[]", "7"])
def test_a_note_that_cannot_be_read_is_begun_again(close: Close, inbox: Inbox, port: int, note: str) -> None:
    close.instance.daemon_cursor_storage.set_cursor_values({NOTE: note, REMEMBERED: note})
    close.settle("2026-03-09")
    fail(close, **{PROGRESS.replace("/", "__"): note})
    with mail_server(inbox, port) as close.mail:
        close.alerts = AlertsResource(heartbeat_url="http://127.0.0.1:9/ping")
        said = outbox_tick(close)
    assert said.startswith("alerts sent: 1; the heartbeat was not delivered")
    nobody = close.mail.model_copy(update={"alert_recipients": []})
    assert alert_recipients(close.instance, nobody, ERPNEXT_DOWN, datetime.now(UTC)) == []


# -- what people do with a mail ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "subject",
    [
        # A few characters longer than a line: the whole of it moved to the next one, behind a space.
        "[WARNING] Batch step failed: Generate Invoices (1 Mar: royalty not posted)",
        "[CRITICAL] Batch pipeline failed at: Close POS Shifts (1 Mar: " + "word " * 60 + "end)",
        "[CRITICAL] Batch pipeline failed at: Calculate Royalties (1 Mar: ₹1,200.00 ₹1,300.00 fehlt bei पुणे – Süd)",
        "[WARNING] " + "न" * 120,
    ],
)
def test_a_subject_arrives_as_it_was_written(inbox: Inbox, port: int, subject: str) -> None:
    with mail_server(inbox, port) as mail, mail.mailer() as mailer:
        mailer.send(
            build_message(
                sender=mail.sender,
                recipient=MANAGERS[0],
                subject=subject,
                html="<p>x</p>",
                text="x",
                attachments=[],
                message_id="<x@scoopjoy.example>",
                date=datetime(2026, 3, 1, tzinfo=UTC),
            )
        )
    assert inbox.subjects() == [(MANAGERS[0], subject)]


def test_the_command_of_an_alert_runs_as_the_user_of_the_service_with_its_settings(tmp_path: Path) -> None:
    settings = tmp_path / "env"
    assert "--env-file" not in program(settings)
    settings.write_text("SCOOPJOY_GO_LIVE=2026-03-01\n")
    words = shlex.split(program(settings))
    assert words[:3] == ["sudo", "-u", getuser()]
    assert words[-2:] == ["--env-file", str(settings)]
    subprocess.run([*words[3:], "close", "--help"], check=True, capture_output=True, timeout=60)
