"""Control totals that only warn: nothing fails, and somebody is told all the same."""

from __future__ import annotations

import dagster as dg
from dagster._core.execution.backfill import BulkActionStatus

from scoopjoy_dagster.automation.parcels import ALERTED, WARNED
from scoopjoy_dagster_tests.automation.test_alerts import ABORTED, DAY, backfill, fail, outbox_tick
from scoopjoy_dagster_tests.automation.world import Close, Inbox, mail_at, mail_server, refusal

QUESTION = "Are the sales of the day near those of the last four same weekdays?"
SUBJECT = f"[WARNING] Control totals: {QUESTION} (1 Mar)"


def warn(close: Close, day: str = DAY, **tags: str) -> dg.DagsterRun:
    close.usual_day_ok = False
    run = close.run(day, tags={name.replace("__", "/"): value for name, value in tags.items()})
    close.usual_day_ok = True
    assert run.is_success
    return run


def got(inbox: Inbox) -> list[str]:
    return sorted({subject for _, subject in inbox.subjects()})


def test_a_run_with_a_warning_is_told_once_with_what_it_says(close: Close, inbox: Inbox, port: int) -> None:
    run = warn(close, scoopjoy__batch_run="SJ-BATCH-2026-00007")
    with mail_server(inbox, port) as close.mail:
        assert outbox_tick(close) == "alerts sent: 1"
        assert outbox_tick(close) == "no alert is waiting"
    assert len(inbox.mails) == 2
    assert got(inbox) == [SUBJECT]
    text = inbox.text()
    for part in (
        "Nothing was stopped",
        f"{QUESTION} | 1 Mar | The sales of the day are 12.00, usual are 4000.00.",
        "docs/operations.md#royalties",
        "http://127.0.0.1:9/app/batch-run?run_date=2026-03-01",
        f"/runs/{run.run_id}",
    ):
        assert part in text
    tags = close.fresh(run.run_id).tags
    assert tags[WARNED].startswith(f"{run.run_id} ")
    assert ALERTED not in tags


def test_a_warning_waits_for_a_mail_server_that_is_down(close: Close, inbox: Inbox, port: int) -> None:
    warn(close)
    close.mail = mail_at(port)
    assert "alerts waiting: 1" in outbox_tick(close)
    with mail_server(inbox, port):
        assert outbox_tick(close) == "alerts sent: 1"
    assert len(inbox.mails) == 2


def test_a_warning_that_a_later_run_has_answered_otherwise_is_not_told(
    close: Close, inbox: Inbox, port: int
) -> None:
    warn(close)
    close.run(DAY)
    with mail_server(inbox, port) as close.mail:
        assert outbox_tick(close) == "no alert is waiting"


def test_a_run_that_fails_and_warns_says_both(close: Close, inbox: Inbox, port: int) -> None:
    close.boom["reports"] = refusal("reports", DAY)
    close.usual_day_ok = False
    close.run(DAY)
    with mail_server(inbox, port) as close.mail:
        assert outbox_tick(close) == "alerts sent: 2"
    assert got(inbox) == ["[WARNING] Batch step failed: Send Reports (1 Mar: royalty not posted)", SUBJECT]


def test_a_warning_is_no_failure_that_could_recover(close: Close, inbox: Inbox, port: int) -> None:
    with mail_server(inbox, port) as close.mail:
        fail(close)
        outbox_tick(close)
        warn(close)
        outbox_tick(close)
        assert outbox_tick(close) == "no alert is waiting"
    assert got(inbox) == [ABORTED, "[RECOVERED] Business day closed: 1 Mar", SUBJECT]


def test_a_backfill_has_one_message_for_all_its_warnings(close: Close, inbox: Inbox, port: int) -> None:
    close.instance.add_backfill(backfill(close, BulkActionStatus.COMPLETED_SUCCESS))
    for day in ("2026-03-01", "2026-03-02"):
        warn(close, day, dagster__backfill="bf1")
    close.run("2026-03-03", tags={"dagster/backfill": "bf1"})
    with mail_server(inbox, port) as close.mail:
        assert outbox_tick(close) == "alerts sent: 1"
        assert outbox_tick(close) == "no alert is waiting"
    assert got(inbox) == ["[WARNING] Control totals: 2 business days (1 Mar, 2 Mar)"]
    assert f"{QUESTION} | 1 Mar | The sales of the day are 12.00" in inbox.text()
