"""What an alert says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scoopjoy_dagster.automation.messages import Alert, FailedRun, FailedStep, backfill_digest, run_alerts

UI = "http://dagster.example"


def failed(*steps: FailedStep, days: tuple[str, ...] = ("2026-03-01",), run_id: str = "r1") -> FailedRun:
    return FailedRun(
        run_id,
        "nightly_close",
        days,
        None,
        steps,
        "Exceeded maximum runtime",
        datetime(2026, 3, 1, 19, 31, tzinfo=UTC),
    )


def only(run: FailedRun) -> Alert:
    (alert,) = run_alerts(run, UI)
    return alert


@pytest.mark.parametrize(
    ("step", "subject", "consequence"),
    [
        ("closed_shifts", "[CRITICAL] Batch pipeline failed at: Close POS Shifts", "Pipeline aborted."),
        ("royalties", "[CRITICAL] Batch pipeline failed at: Calculate Royalties", "Pipeline aborted."),
        (
            "royalties_control_totals",
            "[CRITICAL] Batch pipeline failed at: Calculate Royalties",
            "Pipeline aborted.",
        ),
        (
            "invoices",
            "[WARNING] Batch step failed: Generate Invoices",
            "Pipeline continuing with remaining steps.",
        ),
        ("reports", "[WARNING] Batch step failed: Send Reports", "Pipeline continuing with remaining steps."),
        ("hq_sync", "[WARNING] Batch step failed: Sync to HQ", "Pipeline continuing with remaining steps."),
    ],
)
def test_subject_and_consequence_follow_from_the_step(step: str, subject: str, consequence: str) -> None:
    alert = only(failed(FailedStep(step, "it said no")))
    assert alert.subject == subject
    for body in (alert.text, alert.html):
        for part in (
            consequence,
            "it said no",
            "2026-03-01",
            "scoopjoy close --date 2026-03-01",
            f"{UI}/runs/r1",
            "2026-03-02 01:01 IST",
        ):
            assert part in body


def test_each_failed_step_has_its_own_alert() -> None:
    alerts = run_alerts(failed(FailedStep("invoices", "a"), FailedStep("reports", "b")), UI)
    assert [alert.key for alert in alerts] == ["r1:invoices", "r1:reports"]


def test_the_exception_table_shows_errors_first_and_counts_what_it_leaves_out() -> None:
    rows = [{"severity": "warning", "what": "late", "who": "W", "message": "m", "action": "a"}]
    rows += [
        {"severity": "error", "what": "no", "who": f"CUST-{n:02d}", "message": "m", "action": "a"}
        for n in range(25)
    ]
    alert = only(failed(FailedStep("royalties", "x", tuple(rows))))
    for body in (alert.text, alert.html):
        assert "CUST-19" in body
        assert "CUST-20" not in body
        assert "... and 6 more" in body


def test_names_from_erpnext_never_become_html() -> None:
    row = {"severity": "error", "what": "no", "who": "<img src=x>", "message": "m", "action": "a"}
    alert = only(failed(FailedStep("royalties", "<b>bold</b>", (row,))))
    assert "<img" not in alert.html
    assert "<b>" not in alert.html
    assert "&lt;img src=x&gt;" in alert.html
    assert "<img src=x>" in alert.text


def test_a_run_that_was_lost_says_that_no_step_failure_is_recorded() -> None:
    alert = only(failed())
    assert alert.subject.startswith("[CRITICAL]")
    assert "no step failure recorded" in alert.text
    assert "Exceeded maximum runtime" in alert.text


def test_a_long_message_keeps_its_head_and_its_tail() -> None:
    alert = only(failed(FailedStep("hq_sync", "head" + "x" * 5000 + "tail")))
    assert "head" in alert.text
    assert "tail" in alert.text
    assert len(alert.text) < 2000


def test_a_range_is_repaired_by_one_backfill() -> None:
    alert = only(failed(FailedStep("royalties", "x"), days=("2026-03-01", "2026-03-02", "2026-03-03")))
    assert "scoopjoy backfill --from 2026-03-01 --to 2026-03-03" in alert.text


def test_without_an_address_of_the_ui_there_is_no_link() -> None:
    (alert,) = run_alerts(failed(FailedStep("royalties", "x")), "")
    assert "/runs/" not in alert.text + alert.html


def test_the_digest_counts_days_and_names_steps_and_messages() -> None:
    runs = [
        failed(FailedStep("royalties", "account frozen"), days=(f"2026-03-{n:02d}",), run_id=f"r{n}")
        for n in range(1, 26)
    ]
    digest = backfill_digest("abc", runs, 31, UI)
    assert digest.subject == "[CRITICAL] Backfill abc: 25 of 31 days failed"
    assert "2026-03-01 | Calculate Royalties | account frozen" in digest.text
    assert "... and 5 more" in digest.text
    assert "scoopjoy backfill --from 2026-03-01 --to 2026-03-25" in digest.text
