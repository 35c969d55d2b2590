"""What an alert says, and where it leads."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from scoopjoy_dagster.automation.alert import Alert, Links
from scoopjoy_dagster.automation.digests import backfill_digest
from scoopjoy_dagster.automation.messages import FailedRun, FailedStep, run_alerts
from scoopjoy_dagster.partitions import BACKFILL_TAG, COMMAND_BACKFILL
from scoopjoy_dagster.steps import STEPS

LINKS = Links("http://dagster.example", "http://erp.example", "http://wiki.example/runbook")


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
    (alert,) = run_alerts(run, LINKS)
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
    assert alert.subject == f"{subject} (1 Mar)"
    for body in (alert.text, re.sub(r"</?span[^>]*>", "", alert.html)):
        for part in (
            consequence,
            "it said no",
            "2026-03-01",
            "scoopjoy close --date 2026-03-01",
            "http://dagster.example/runs/r1",
            "2026-03-02 01:01 IST",
        ):
            assert part in body


@pytest.mark.parametrize(
    "step", [FailedStep("purge_event_log", "The event log could not be purged: no disk."), None]
)
def test_a_job_that_closes_no_day_has_a_warning_that_stops_no_pipeline(step: FailedStep | None) -> None:
    run = replace(failed(*([step] if step else []), days=()), job="retention")
    alert = only(run)
    assert alert.subject == "[WARNING] Job failed: retention"
    assert "launch the job retention again" in alert.text
    for body in (alert.text, alert.html, alert.brief):
        assert "Pipeline aborted" not in body
        assert "close the day again" not in body
        assert "scoopjoy close" not in body
        assert (step.message if step else "Exceeded maximum runtime") in body


def test_each_failed_step_has_its_own_alert() -> None:
    alerts = run_alerts(failed(FailedStep("invoices", "a"), FailedStep("reports", "b")), LINKS)
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
    (alert,) = run_alerts(failed(FailedStep("royalties", "x")), Links())
    assert "/runs/" not in alert.text + alert.html


def test_the_digest_counts_days_and_names_steps_and_messages() -> None:
    runs = [
        failed(FailedStep("royalties", "account frozen"), days=(f"2026-03-{n:02d}",), run_id=f"r{n}")
        for n in range(1, 26)
    ]
    digest = backfill_digest(BACKFILL_TAG, "abc", runs, 31, LINKS)
    assert digest.subject == "[CRITICAL] Backfill: 25 of 31 days failed (1 Mar to 25 Mar)"
    assert "1 Mar | Calculate Royalties | account frozen" in digest.text
    assert "... and 5 more" in digest.text
    assert "scoopjoy backfill --from 2026-03-01 --to 2026-03-25" in digest.text


ERROR = {"severity": "error", "what": "no", "who": "CUST-1", "message": "m", "action": "a"}
RUNBOOK = Path(__file__).parents[2] / "docs" / "operations.md"


def headings() -> set[str]:
    """Anchors of the runbook, as GitHub makes them."""
    found = re.findall(r"^#+ (.*)$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.strip().lower()).replace(" ", "-") for one in found}


def test_one_step_that_failed_alone_is_repaired_by_itself() -> None:
    run = replace(failed(FailedStep("reports", "x")), done=("Close POS Shifts", "Sync to HQ"))
    assert "scoopjoy close --date 2026-03-01 --only reports" in only(run).text
    check = replace(failed(FailedStep("hq_sync_control_totals", "x")), done=("Close POS Shifts",))
    assert "--only hq_sync" in only(check).text


def test_a_critical_step_that_was_run_by_itself_is_repaired_by_the_whole_day() -> None:
    assert "--only" not in only(failed(FailedStep("royalties", "x"))).text


def test_a_step_with_others_skipped_behind_it_is_repaired_by_the_whole_day() -> None:
    run = replace(failed(FailedStep("royalties", "x")), skipped=("Generate Invoices", "Send Reports"))
    for body in (only(run).text, only(run).html, only(run).brief):
        assert "--only" not in body
        assert "Generate Invoices, Send Reports" in body


def test_an_alert_names_what_failed_first_and_for_whom_also_when_another_step_failed_before() -> None:
    first = FailedStep("invoices", "x", (ERROR,))
    for alert in run_alerts(failed(first, FailedStep("reports", "y")), LINKS):
        for body in (alert.text, alert.html, alert.brief):
            assert "Generate Invoices: no - CUST-1" in body
        assert "--only" not in alert.text


def test_an_alert_links_to_the_batch_run_the_dagster_run_and_the_runbook() -> None:
    run = replace(failed(FailedStep("royalties", "x")), batch_run="2026-03-01")
    alert = only(run)
    for url in (
        "http://erp.example/app/batch-run?run_date=2026-03-01",
        "http://dagster.example/runs/r1",
        "http://wiki.example/runbook#royalties",
    ):
        assert url in alert.text
        assert f'href="{url}"' in alert.html
        assert url in alert.brief


def test_a_run_without_a_batch_run_has_no_link_to_one() -> None:
    alert = only(failed(FailedStep("royalties", "x")))
    assert "batch-run" not in alert.text + alert.html + alert.brief


def test_without_an_address_of_the_runbook_its_path_is_shown_and_nothing_is_linked() -> None:
    (alert,) = run_alerts(failed(FailedStep("royalties", "x")), Links())
    assert "Runbook: docs/operations.md#royalties" in alert.text
    assert "docs/operations.md#royalties" in alert.html
    assert "<a " not in alert.html


@pytest.mark.parametrize(
    ("steps", "anchor"),
    [
        *(((FailedStep(step.asset, "x"),), step.asset) for step in STEPS),
        *(((FailedStep(f"{step.asset}_control_totals", "x"),), step.asset) for step in STEPS),
        ((FailedStep("royalties", "x", ({**ERROR, "what": "day in work"},)),), "any-step"),
        ((FailedStep("reports", "x", ({**ERROR, "what": "reports failed unexpectedly"},)),), "any-step"),
        ((), "when-something-is-down"),
        (
            (FailedStep("nightly_close_watch_is_every_day_closed", "x", (), {"overdue_days": "1"}),),
            "re-run-and-backfill",
        ),
        (
            (FailedStep("nightly_close_watch_is_every_day_closed", "x", (), {"missed_night": "2026-03-01"}),),
            "when-something-is-down",
        ),
    ],
)
def test_every_alert_leads_to_a_place_of_the_runbook_that_is_there(
    steps: tuple[FailedStep, ...], anchor: str
) -> None:
    assert anchor in headings()
    assert f"/runbook#{anchor}" in only(failed(*steps)).text


def test_a_digest_leads_to_a_place_of_the_runbook_that_is_there() -> None:
    digest = backfill_digest(BACKFILL_TAG, "abc", [failed(FailedStep("royalties", "x"))], 3, LINKS)
    assert "re-run-and-backfill" in headings()
    assert "/runbook#re-run-and-backfill" in digest.text


def test_a_digest_links_to_what_dagster_knows_of_the_backfill() -> None:
    runs = [failed(FailedStep("royalties", "x"))]
    assert "http://dagster.example/runs/b/abc" in backfill_digest(BACKFILL_TAG, "abc", runs, 3, LINKS).text
    by_command = backfill_digest(COMMAND_BACKFILL, "abc", runs, 3, LINKS).text
    assert "http://dagster.example/runs?q[0]=tag:scoopjoy/backfill=abc" in by_command


class Page(HTMLParser):
    """The elements of a page, and whether they are closed in order."""

    VOID = frozenset({"meta", "br", "img", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_made_for_phones_and_for_dark_screens() -> None:
    rows = tuple(dict(ERROR, who=f"CUST-{n}") for n in range(30))
    alert = only(failed(FailedStep("royalties", "x", rows)))
    page = Page()
    page.feed(alert.html)
    assert page.open == []
    assert page.tags.count("th") == 0  # rows are blocks: nothing is wider than a phone
    assert 'name="viewport" content="width=device-width' in alert.html
    assert 'name="color-scheme" content="light dark"' in alert.html
    assert "prefers-color-scheme: dark" in alert.html


def test_what_a_channel_gets_says_the_most_within_a_thousand_characters() -> None:
    """Teams' workflows take no more."""
    rows = tuple(dict(ERROR, who=f"CUST-{n}", message="long " * 200) for n in range(30))
    run = replace(
        failed(FailedStep("royalties", "said " * 500, rows)),
        skipped=("Generate Invoices", "Send Reports", "Sync to HQ"),
        batch_run="2026-03-01",
    )
    brief = only(run).brief
    head = brief[:1000]
    for part in ("Pipeline aborted.", "CUST-0", "scoopjoy close", "batch-run?run_date=", "/runs/r1"):
        assert part in head
    assert "... and 27 more." in brief
    assert len(brief) < 2500
