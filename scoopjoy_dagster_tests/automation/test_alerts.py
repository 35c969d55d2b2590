"""Alerts of real failed runs, over a real SMTP server that comes and goes: each once, none lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from scoopjoy_dagster.automation.delivery import Delivery, deliver_pending
from scoopjoy_dagster.automation.outbox import is_alerted
from scoopjoy_dagster.automation.parcels import ALERTED, PROGRESS
from scoopjoy_dagster.automation.recipients import REMEMBERED, alert_recipients
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.mail import MailResource
from scoopjoy_dagster_tests.automation.world import (
    MANAGERS,
    Close,
    Inbox,
    mail_at,
    mail_server,
    origin,
    refusal,
)

DAY = "2026-03-01"
ABORTED = "[CRITICAL] Batch pipeline failed at: Close POS Shifts (1 Mar: royalty not posted)"
ERPNEXT_DOWN = ERPNextResource(url="http://127.0.0.1:9", api_key="k", api_secret="s")


def now() -> datetime:
    return datetime.now(UTC)


def deliver(close: Close, mail: MailResource, to: Sequence[str] = MANAGERS, **options: str) -> Delivery:
    return deliver_pending(close.instance, mail, lambda: to, now(), **options)  # type: ignore[arg-type]


def fail(
    close: Close,
    day: str = DAY,
    step: str = "closed_shifts",
    how: Callable[[str, str], dg.Failure] = refusal,
    **tags: str,
) -> dg.DagsterRun:
    close.boom[step] = how(step, day)
    run = close.run(day, only=[step], tags={name.replace("__", "/"): value for name, value in tags.items()})
    close.boom.clear()
    assert run.is_failure
    return run


def at_once(close: Close, run: dg.DagsterRun) -> None:
    """The failure sensor's function for this run. It says nothing: Dagster takes no skip beside the success of another run."""
    sensor = close.automation.sensors[0]
    records = close.instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE).records
    event = records[0].event_log_entry.dagster_event
    assert event is not None
    context = dg.build_run_status_sensor_context(
        sensor_name=sensor.name,
        dagster_event=event,
        dagster_instance=close.instance,
        dagster_run=run,
        resources=close.resources,
    ).for_run_failure()
    with context:
        assert sensor(context) is None


def outbox_tick(close: Close) -> str:
    with dg.build_sensor_context(instance=close.instance, resources=close.resources) as context:
        said = close.automation.sensors[1](context)
    assert isinstance(said, dg.SkipReason)
    return said.skip_message or ""


def test_a_failed_run_is_alerted_at_once_to_every_manager_and_once(
    close: Close, inbox: Inbox, port: int
) -> None:
    run = fail(close)
    with mail_server(inbox, port) as close.mail:
        at_once(close, run)
        at_once(close, close.fresh(run.run_id))
        assert outbox_tick(close) == "no alert is waiting"
    assert inbox.subjects() == [(manager, ABORTED) for manager in MANAGERS]
    assert f"scoopjoy close --date {DAY}" in inbox.text()
    assert "Unfreeze it" in inbox.text()
    assert "CUST-0001-0" in inbox.html()
    assert close.fresh(run.run_id).tags[ALERTED].startswith(f"{run.run_id} closed_shifts ")


def test_steps_that_fail_in_one_run_are_alerted_each(close: Close, inbox: Inbox, port: int) -> None:
    close.boom["invoices"] = refusal("invoices", DAY)
    close.boom["reports"] = ValueError("boom")
    close.run(DAY)
    with mail_server(inbox, port) as mail:
        deliver(close, mail, ["a@x.example"])
    assert [subject for _, subject in inbox.subjects()] == [
        "[WARNING] Batch step failed: Generate Invoices (1 Mar: royalty not posted)",
        "[WARNING] Batch step failed: Send Reports (1 Mar: unexpected error)",
    ]
    assert any("ValueError: boom" in inbox.text(n) for n in range(2))


def test_a_failed_ledger_check_is_alerted_as_its_step_with_its_figures(
    close: Close, inbox: Inbox, port: int
) -> None:
    close.ledger_ok = False
    close.run(DAY, only=["royalties"])
    with mail_server(inbox, port) as mail:
        deliver(close, mail, ["a@x.example"])
    subject = "[CRITICAL] Batch pipeline failed at: Calculate Royalties (1 Mar: The ledger holds 90.00, the rule says 100.00)"
    assert inbox.subjects() == [("a@x.example", subject)]
    assert "The ledger holds 90.00, the rule says 100.00." in inbox.text()
    assert "Difference: -10.00" in inbox.text()


def test_a_mail_server_that_is_down_and_back_loses_nothing_and_repeats_nothing(
    close: Close, inbox: Inbox, port: int
) -> None:
    runs = [fail(close), fail(close, step="hq_sync")]
    close.mail = mail_at(port)
    at_once(close, runs[0])
    assert "alerts waiting: 2" in outbox_tick(close)
    with mail_server(inbox, port):
        assert outbox_tick(close) == "alerts sent: 2"
    assert "no alert is waiting" in outbox_tick(close)
    with mail_server(inbox, port):
        assert outbox_tick(close) == "no alert is waiting"
    assert len(inbox.mails) == len(set(inbox.subjects())) == 4


def test_a_server_that_goes_away_between_two_recipients_sends_the_first_nothing_again(
    close: Close, inbox: Inbox, port: int
) -> None:
    run = fail(close)
    inbox.limit = 1
    with mail_server(inbox, port) as mail:
        assert "alerts waiting: 1" in deliver(close, mail).sentence
        assert not is_alerted(close.fresh(run.run_id))
        tags = close.fresh(run.run_id).tags
        assert all(manager not in tags[PROGRESS] for manager in MANAGERS)
        inbox.limit = None
        assert deliver(close, mail).sent == [ABORTED]
    assert inbox.subjects() == [(manager, ABORTED) for manager in MANAGERS]


def test_a_recipient_who_is_put_off_gets_the_alert_later_and_holds_up_no_other_alert(
    close: Close, inbox: Inbox, port: int
) -> None:
    fail(close)
    fail(close, step="reports")
    inbox.puts_off = {MANAGERS[0]}
    with mail_server(inbox, port) as mail:
        assert "alerts waiting: 2" in deliver(close, mail).sentence
        assert [to for to, _ in inbox.subjects()] == [MANAGERS[1]] * 2
        inbox.puts_off = set()
        deliver(close, mail)
    assert len(inbox.mails) == len(set(inbox.subjects())) == 4


def test_a_recipient_who_is_refused_holds_up_nobody_and_is_named(
    close: Close, inbox: Inbox, port: int
) -> None:
    run = fail(close)
    inbox.refuses = {MANAGERS[0]}
    with mail_server(inbox, port) as mail:
        sentence = deliver(close, mail).sentence
    assert "alerts sent: 1" in sentence
    assert f"refused the mail to {MANAGERS[0]}" in sentence
    assert inbox.subjects() == [(MANAGERS[1], ABORTED)]
    assert is_alerted(close.fresh(run.run_id))


def test_an_alert_that_every_recipient_refuses_stays_in_the_outbox(
    close: Close, inbox: Inbox, port: int
) -> None:
    run = fail(close)
    inbox.refuses = set(MANAGERS)
    with mail_server(inbox, port) as mail:
        assert "refuses every recipient" in deliver(close, mail).sentence
        assert not is_alerted(close.fresh(run.run_id))
        inbox.refuses = set()
        deliver(close, mail)
    assert len(inbox.mails) == 2


def test_a_crash_before_the_note_repeats_the_mail_with_the_same_message_id(
    close: Close, inbox: Inbox, port: int
) -> None:
    run = fail(close)
    with mail_server(inbox, port) as mail:
        deliver(close, mail, ["a@x.example"])
        close.instance.add_run_tags(run.run_id, {ALERTED: "", PROGRESS: "{}"})
        deliver(close, mail, ["a@x.example"])
    first, second = inbox.mails
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Auto-Submitted"] == "auto-generated"


def test_a_re_execution_that_fails_is_alerted_although_it_inherits_the_tag(
    close: Close, inbox: Inbox, port: int
) -> None:
    first = fail(close)
    with mail_server(inbox, port) as mail:
        deliver(close, mail, ["a@x.example"])
        inherited = {ALERTED: close.fresh(first.run_id).tags[ALERTED]}
        fail(close, **inherited)
        deliver(close, mail, ["a@x.example"])
    assert len(inbox.mails) == 2
    assert len({mail["Message-ID"] for mail in inbox.mails}) == 2


def test_a_run_that_an_automatic_retry_follows_is_not_reported(close: Close, inbox: Inbox, port: int) -> None:
    run = fail(close, dagster__will_retry="true")
    with mail_server(inbox, port) as close.mail:
        at_once(close, run)
        assert outbox_tick(close) == "no alert is waiting"
        assert inbox.mails == []
        # The retry that was promised never came.
        later = now() + timedelta(hours=2)
        assert deliver_pending(close.instance, close.mail, lambda: MANAGERS, later).sent == [ABORTED]


def test_a_retry_that_came_answers_for_its_run(close: Close, inbox: Inbox, port: int) -> None:
    run = fail(close, dagster__will_retry="true")
    retry = close.instance.create_run_for_job(
        close.defs.resolve_job_def(run.job_name), parent_run_id=run.run_id, root_run_id=run.run_id
    )
    close.instance.add_run_tags(run.run_id, {"dagster/auto_retry_run_id": retry.run_id})
    with mail_server(inbox, port) as mail:
        later = now() + timedelta(hours=2)
        assert deliver_pending(close.instance, mail, lambda: MANAGERS, later).sent == []


def test_a_retry_that_only_a_tag_speaks_of_silences_nobody(close: Close, inbox: Inbox, port: int) -> None:
    run = fail(close, dagster__will_retry="true")
    close.instance.add_run_tags(run.run_id, {"dagster/auto_retry_run_id": run.run_id})
    with mail_server(inbox, port) as mail:
        later = now() + timedelta(hours=2)
        assert deliver_pending(close.instance, mail, lambda: MANAGERS, later).sent == [ABORTED]


def tick(close: Close, cursor: str | None = None) -> SensorExecutionData:
    """A tick of the failure sensor as Dagster evaluates it."""
    with dg.build_sensor_context(
        instance=close.instance,
        cursor=cursor,
        repository_def=close.defs.get_repository_def(),
        resources=close.resources,
    ) as context:
        return close.automation.sensors[0].evaluate_tick(context)


@pytest.mark.parametrize("days", [(DAY, "2026-03-02"), (DAY, DAY)])
def test_runs_that_fail_in_one_tick_are_alerted_each_and_once_and_the_tick_is_right(
    close: Close, inbox: Inbox, port: int, days: tuple[str, str]
) -> None:
    first = tick(close)
    runs = [fail(close, day) for day in days]
    with mail_server(inbox, port) as close.mail:
        both = tick(close, first.cursor)
        assert [one.dagster_run.run_id for one in both.dagster_run_reactions] == [one.run_id for one in runs]
        assert [one.error for one in both.dagster_run_reactions] == [None, None]
        assert outbox_tick(close) == "no alert is waiting"
        assert tick(close, both.cursor).dagster_run_reactions == []
    subjects = [ABORTED.replace("1 Mar", f"{day[-1]} Mar") for day in days]
    assert sorted(inbox.subjects()) == sorted((one, subject) for one in MANAGERS for subject in subjects)
    assert all(is_alerted(close.fresh(run.run_id)) for run in runs)


def test_runs_that_fail_in_one_tick_are_kept_each_while_the_mail_server_is_down(
    close: Close, inbox: Inbox, port: int
) -> None:
    first = tick(close)
    runs = [fail(close), fail(close, "2026-03-02")]
    close.mail = mail_at(port)
    assert [one.error for one in tick(close, first.cursor).dagster_run_reactions] == [None, None]
    assert not any(is_alerted(close.fresh(run.run_id)) for run in runs)
    with mail_server(inbox, port):
        assert outbox_tick(close) == "alerts sent: 2"
    assert len(inbox.mails) == len(set(inbox.subjects())) == 4


def test_a_failure_before_the_first_tick_is_alerted_by_the_outbox(
    close: Close, inbox: Inbox, port: int
) -> None:
    fail(close)
    with mail_server(inbox, port) as close.mail:
        assert "Initiating" in str(tick(close).skip_message)
        assert inbox.mails == []
        assert outbox_tick(close) == "alerts sent: 1"


def test_a_run_that_failed_without_a_step_is_alerted(close: Close, inbox: Inbox, port: int) -> None:
    run = close.queue({"dagster/partition": DAY})
    close.instance.report_run_failed(run, "Exceeded maximum runtime of 21600 seconds.")
    with mail_server(inbox, port) as mail:
        deliver(close, mail, ["a@x.example"])
    assert inbox.subjects() == [
        ("a@x.example", "[CRITICAL] Batch pipeline failed at: no step failure recorded (1 Mar)")
    ]
    assert "21600 seconds" in inbox.text()


def test_a_run_that_a_person_cancelled_is_no_alert(close: Close, inbox: Inbox, port: int) -> None:
    run = close.queue({"dagster/partition": DAY})
    close.instance.report_run_canceled(run)
    with mail_server(inbox, port) as mail:
        assert deliver(close, mail).sentence == "no alert is waiting"


def test_runs_of_another_code_location_are_left_alone(close: Close, inbox: Inbox, port: int) -> None:
    run = close.instance.create_run_for_job(
        close.defs.resolve_job_def("nightly_close"), remote_job_origin=origin("another")
    )
    close.instance.report_run_failed(run)
    with mail_server(inbox, port) as mail:
        assert deliver(close, mail, location="scoopjoy_dagster").sent == []
        assert len(deliver(close, mail, location="another").sent) == 1


def test_without_a_mail_server_the_outbox_keeps_the_alert_and_says_so(close: Close) -> None:
    run = fail(close)
    at_once(close, run)
    assert "SMTP_HOST is empty" in outbox_tick(close)
    assert not is_alerted(close.fresh(run.run_id))


def test_with_nobody_to_tell_the_outbox_keeps_the_alert_and_says_so(
    close: Close, inbox: Inbox, port: int
) -> None:
    run = fail(close)
    with mail_server(inbox, port):
        close.mail = mail_at(port, to=())
        at_once(close, run)
        assert "no alert recipients are known" in outbox_tick(close)
    assert not is_alerted(close.fresh(run.run_id))


def test_the_last_known_recipients_are_alerted_when_erpnext_is_down(
    close: Close, inbox: Inbox, port: int
) -> None:
    run = fail(close)
    old = (now() - timedelta(days=30)).isoformat()
    note = f'{{"addresses": ["asha@scoopjoy.example"], "read_at": "{old}"}}'
    close.instance.daemon_cursor_storage.set_cursor_values({REMEMBERED: note})
    with mail_server(inbox, port):
        close.mail = mail_at(port, to=())
        at_once(close, run)
    assert inbox.subjects() == [("asha@scoopjoy.example", ABORTED)]


def test_a_fixed_list_asks_nobody(close: Close) -> None:
    assert alert_recipients(close.instance, mail_at(1, to=["a@x.example"]), ERPNEXT_DOWN, now()) == [
        "a@x.example"
    ]


def backfill(close: Close, status: BulkActionStatus) -> PartitionBackfill:
    return PartitionBackfill(
        "bf1",
        status,
        from_failure=False,
        tags={},
        backfill_timestamp=time.time(),
        partition_names=["2026-03-01", "2026-03-02", "2026-03-03"],
    )


def test_a_backfill_sends_one_digest_when_it_has_ended(close: Close, inbox: Inbox, port: int) -> None:
    working = backfill(close, BulkActionStatus.REQUESTED)
    close.instance.add_backfill(working)
    close.run("2026-03-03", only=["closed_shifts"], tags={"dagster/backfill": "bf1"})
    runs = [fail(close, day, dagster__backfill="bf1") for day in ("2026-03-02", "2026-03-01")]
    with mail_server(inbox, port) as close.mail:
        at_once(close, runs[0])
        assert outbox_tick(close) == "no alert is waiting"
        assert inbox.mails == []
        close.instance.update_backfill(working._replace(status=BulkActionStatus.COMPLETED_FAILED))
        assert outbox_tick(close) == "alerts sent: 1"
        assert outbox_tick(close) == "no alert is waiting"
    assert inbox.subjects() == [
        (manager, "[CRITICAL] Backfill: 2 of 3 days failed (1 Mar, 2 Mar)") for manager in MANAGERS
    ]
    assert "1 Mar | Close POS Shifts | royalty not posted - CUST-0001-0: Account is frozen" in inbox.text()
    assert all(is_alerted(close.fresh(run.run_id)) for run in runs)


def test_a_backfill_of_the_command_line_sends_its_digest_when_it_has_gone_quiet(
    close: Close, inbox: Inbox, port: int
) -> None:
    fail(close, scoopjoy__backfill="cafe")
    with mail_server(inbox, port) as mail:
        assert deliver(close, mail).sent == []
        later = now() + timedelta(minutes=10)
        assert deliver_pending(close.instance, mail, lambda: MANAGERS, later).sent == [
            "[CRITICAL] Backfill: 1 of 1 days failed (1 Mar)"
        ]


@pytest.mark.parametrize("day", ["2026-03-04", DAY])
def test_a_tag_that_claims_a_backfill_keeps_no_alert_back(
    close: Close, inbox: Inbox, port: int, day: str
) -> None:
    """Of a backfill that is at work for other days; of one that nobody knows; and of the command line's."""
    if day != DAY:
        close.instance.add_backfill(backfill(close, BulkActionStatus.REQUESTED))
    fail(close, day, dagster__backfill="bf1")
    launched = close.queue({"dagster/partition": "2026-03-02", "scoopjoy/backfill": "cafe"})
    close.instance.report_run_failed(launched)
    with mail_server(inbox, port) as close.mail:
        assert outbox_tick(close) == "alerts sent: 2"
    assert {subject.split(" (")[0] for _, subject in inbox.subjects()} == {
        "[CRITICAL] Batch pipeline failed at: Close POS Shifts",
        "[CRITICAL] Batch pipeline failed at: no step failure recorded",
    }


def test_a_run_that_claims_a_backfill_does_not_keep_the_digest_of_the_real_one_back(
    close: Close, inbox: Inbox, port: int
) -> None:
    close.instance.add_backfill(backfill(close, BulkActionStatus.COMPLETED_FAILED))
    fail(close, dagster__backfill="bf1")
    fail(close, "2026-03-02", scoopjoy__backfill="cafe")
    close.queue({"dagster/partition": "2026-03-04", "dagster/backfill": "bf1"})
    close.queue({"dagster/partition": "2026-03-02", "scoopjoy/backfill": "cafe"})
    with mail_server(inbox, port) as mail:
        later = now() + timedelta(minutes=10)
        assert deliver_pending(close.instance, mail, lambda: MANAGERS, later).sent == [
            "[CRITICAL] Backfill: 1 of 1 days failed (1 Mar)",
            "[CRITICAL] Backfill: 1 of 1 days failed (2 Mar)",
        ]


def test_a_backfill_whose_failures_a_retry_made_good_sends_nothing(
    close: Close, inbox: Inbox, port: int
) -> None:
    close.instance.add_backfill(backfill(close, BulkActionStatus.COMPLETED_SUCCESS))
    first = fail(close, dagster__backfill="bf1", dagster__will_retry="true")
    with mail_server(inbox, port) as mail:
        assert deliver(close, mail).sent == []  # the retry is announced and not there yet
    job = close.defs.resolve_job_def("nightly_close")
    retry = close.instance.create_run_for_job(
        job,
        tags={"dagster/backfill": "bf1", "dagster/partition": DAY},
        parent_run_id=first.run_id,
        root_run_id=first.run_id,
    )
    with mail_server(inbox, port) as mail:
        assert deliver(close, mail).sent == []
        assert not is_alerted(close.fresh(first.run_id))
        close.instance.report_dagster_event(
            dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, retry.job_name), retry.run_id
        )
        assert deliver(close, mail).sentence == "no alert is waiting"
    assert is_alerted(close.fresh(first.run_id))
    assert inbox.mails == []


@pytest.mark.parametrize("name", ["SJ-BATCH-2026-00042", "../user?of=another"])
def test_an_alert_says_what_of_the_run_was_done_all_the_same_and_leads_to_its_own_day_whatever_its_tag_names(
    close: Close, inbox: Inbox, port: int, name: str
) -> None:
    close.boom["reports"] = refusal("reports", DAY)
    close.run(DAY, tags={"scoopjoy/batch_run": name})
    with mail_server(inbox, port) as close.mail:
        outbox_tick(close)
    text = inbox.text()
    assert "Pipeline continuing with remaining steps." in text
    assert "Still done: Close POS Shifts, Calculate Royalties, Generate Invoices, Sync to HQ" in text
    assert "Skipped" not in text
    assert f"scoopjoy close --date {DAY} --only reports" in text
    assert f"Batch Run in ERPNext: http://127.0.0.1:9/app/batch-run?run_date={DAY}\n" in text.replace(
        "\r\n", "\n"
    )


def test_an_alert_says_what_of_the_run_was_skipped(close: Close, inbox: Inbox, port: int) -> None:
    close.ledger_ok = False
    close.run(DAY)
    with mail_server(inbox, port) as close.mail:
        outbox_tick(close)
    text = inbox.text()
    assert "Still done: Close POS Shifts\n" in text.replace("\r\n", "\n")
    assert "Skipped: Generate Invoices, Send Reports, Sync to HQ" in text
    assert f"scoopjoy close --date {DAY}\n" in text.replace("\r\n", "\n")
