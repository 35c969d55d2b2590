"""A day that somebody was alerted of and that is closed now: those who were alerted hear of it, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from dagster._core.execution.backfill import BulkActionStatus

from scoopjoy_dagster.automation import watchdog
from scoopjoy_dagster.automation.delivery import deliver_pending
from scoopjoy_dagster.automation.parcels import RECOVERED
from scoopjoy_dagster.automation.recovery import closed_by
from scoopjoy_dagster.resources.alerts import AlertsResource
from scoopjoy_dagster_tests.automation.receiver import Receiver, channel
from scoopjoy_dagster_tests.automation.test_alerts import ABORTED, DAY, backfill, fail, outbox_tick
from scoopjoy_dagster_tests.automation.world import MANAGERS, Close, Inbox, mail_server

CLOSED = "[RECOVERED] Business day closed: 1 Mar"


def subjects(inbox: Inbox) -> list[str]:
    """In the order in which the first manager got them."""
    return [str(mail["Subject"]) for mail in inbox.mails if mail["To"] == MANAGERS[0]]


def test_a_day_that_is_closed_after_its_alert_is_told_once_to_everybody(
    close: Close, inbox: Inbox, port: int
) -> None:
    failed = fail(close)
    with mail_server(inbox, port) as close.mail:
        outbox_tick(close)
        assert outbox_tick(close) == "no alert is waiting"  # not closed yet
        good = close.run(DAY, tags={"scoopjoy/triggered_by": "asha@scoopjoy.example"})
        assert outbox_tick(close) == "alerts sent: 1"
        assert outbox_tick(close) == "no alert is waiting"
    assert subjects(inbox) == [ABORTED, CLOSED]
    assert len(inbox.mails) == 4
    text = inbox.text(2)
    assert f"Resolved by: run {good.run_id[:8]} (asha@scoopjoy.example)" in text
    assert f"{ABORTED} | " in text
    assert f"Run {failed.run_id[:8]}" in text
    assert f"/runs/{good.run_id}" in text
    assert close.fresh(failed.run_id).tags[RECOVERED].startswith(f"{failed.run_id} settled ")


def test_two_failures_of_a_day_are_answered_by_one_message(close: Close, inbox: Inbox, port: int) -> None:
    with mail_server(inbox, port) as close.mail:
        for step in ("closed_shifts", "reports"):
            fail(close, step=step)
            outbox_tick(close)
        close.run(DAY)
        outbox_tick(close)
    assert subjects(inbox) == [
        ABORTED,
        "[WARNING] Batch step failed: Send Reports (1 Mar: royalty not posted)",
        CLOSED,
    ]
    assert "Send Reports" in inbox.text(4)
    assert ABORTED in inbox.text(4)


def test_a_day_that_fails_again_is_alerted_and_recovers_again(close: Close, inbox: Inbox, port: int) -> None:
    with mail_server(inbox, port) as close.mail:
        for _ in range(2):
            fail(close)
            outbox_tick(close)
            close.run(DAY)
            outbox_tick(close)
    assert subjects(inbox) == [ABORTED, CLOSED] * 2
    assert len({mail["Message-ID"] for mail in inbox.mails}) == 8


def test_a_day_that_nobody_was_alerted_of_recovers_in_silence(close: Close, inbox: Inbox, port: int) -> None:
    fail(close, dagster__will_retry="true", dagster__auto_retry_run_id="r2")
    close.run(DAY)
    with mail_server(inbox, port) as close.mail:
        assert outbox_tick(close) == "no alert is waiting"
    assert inbox.mails == []


def test_a_day_that_a_run_works_on_is_not_called_closed(close: Close, inbox: Inbox, port: int) -> None:
    fail(close)
    with mail_server(inbox, port) as close.mail:
        outbox_tick(close)
        close.run(DAY)
        again = close.queue({"dagster/partition": DAY})
        assert outbox_tick(close) == "no alert is waiting"
        close.instance.report_run_canceled(again)
        assert outbox_tick(close) == "alerts sent: 1"


def test_a_channel_that_is_down_does_not_keep_the_others_from_hearing_that_all_is_well(
    close: Close, inbox: Inbox, port: int, receiver: Receiver, http_port: int
) -> None:
    fail(close)
    close.alerts = AlertsResource(channels=channel(http_port))
    with mail_server(inbox, port) as close.mail:
        assert "alerts waiting: 1" in outbox_tick(close)
        close.run(DAY)
        assert "alerts waiting: 2" in outbox_tick(close)
        assert subjects(inbox) == [ABORTED, CLOSED]
        with receiver.at(http_port):
            assert outbox_tick(close) == "alerts sent: 2"
        assert outbox_tick(close) == "no alert is waiting"
    assert receiver.titles() == [ABORTED, CLOSED]
    assert [message["type"] for message in receiver.messages] == ["failure", "success"]
    assert len(inbox.mails) == 4


def test_a_recovery_that_cannot_be_delivered_waits_for_days(close: Close, inbox: Inbox, port: int) -> None:
    fail(close)
    with mail_server(inbox, port) as close.mail:
        outbox_tick(close)
    close.run(DAY)
    assert "cannot be used" in outbox_tick(close)
    with mail_server(inbox, port):
        later = datetime.now(UTC) + timedelta(days=12)
        said = deliver_pending(close.instance, close.mail, lambda: MANAGERS, later, days=close.days)
        assert said.sent == [CLOSED]
        assert outbox_tick(close) == "no alert is waiting"


def test_a_backfill_that_had_a_digest_has_one_recovery(close: Close, inbox: Inbox, port: int) -> None:
    close.instance.add_backfill(backfill(close, BulkActionStatus.COMPLETED_FAILED))
    days = ("2026-03-01", "2026-03-02")
    for day in days:
        fail(close, day, dagster__backfill="bf1")
    with mail_server(inbox, port) as close.mail:
        assert outbox_tick(close) == "alerts sent: 1"
        close.run(days[0])
        assert outbox_tick(close) == "no alert is waiting"
        close.run(days[1])
        assert outbox_tick(close) == "alerts sent: 1"
        assert outbox_tick(close) == "no alert is waiting"
    assert subjects(inbox) == [
        "[CRITICAL] Backfill: 2 of 2 days failed (1 Mar, 2 Mar)",
        "[RECOVERED] Business days closed: 1 Mar, 2 Mar",
    ]


def test_the_watchdogs_alert_of_several_days_has_one_recovery_and_that_of_one_day_none_of_its_own(
    close: Close, inbox: Inbox, port: int
) -> None:
    close.now = "2026-03-03T06:00:00+05:30"
    days = ("2026-03-01", "2026-03-02")
    with mail_server(inbox, port) as close.mail:
        for day in days:
            fail(close, day)
        close.rebuild_quietly()
        close.run(job=watchdog.JOB)
        outbox_tick(close)
        close.run(days[0])
        outbox_tick(close)
        close.rebuild_quietly()
        close.run(job=watchdog.JOB)  # one day is left
        outbox_tick(close)
        close.run(days[1])
        outbox_tick(close)
        assert outbox_tick(close) == "no alert is waiting"
    assert subjects(inbox) == [
        ABORTED,
        ABORTED.replace("1 Mar", "2 Mar"),
        "[CRITICAL] Business days not closed: 2 (1 Mar, 2 Mar)",
        "[RECOVERED] Business day closed: 1 Mar",
        "[CRITICAL] Business days not closed: 1 (2 Mar)",
        "[RECOVERED] Business days closed: 1 Mar, 2 Mar",
    ]


def test_a_re_execution_inherits_no_recovery(close: Close, inbox: Inbox, port: int) -> None:
    with mail_server(inbox, port) as close.mail:
        first = fail(close)
        outbox_tick(close)
        close.run(DAY)
        outbox_tick(close)
        inherited = {RECOVERED: close.fresh(first.run_id).tags[RECOVERED]}
        fail(close, **inherited)
        outbox_tick(close)
        close.run(DAY)
        outbox_tick(close)
    assert subjects(inbox) == [ABORTED, CLOSED] * 2


@pytest.mark.parametrize("by_run", [True, False])
def test_what_closed_a_day_is_its_newest_run_or_a_person(close: Close, by_run: bool) -> None:
    close.settle(DAY)
    run = close.run(DAY) if by_run else None
    closing = closed_by(close.instance, DAY)
    assert closing.run_id == (run.run_id if run else "")
    assert closing.who == ("Dagster" if run else "marked by a person in Dagster")
