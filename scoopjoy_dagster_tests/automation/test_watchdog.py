"""The watchdog: days that are not closed, whoever forgot them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from scoopjoy_dagster.automation import watchdog
from scoopjoy_dagster.automation.delivery import deliver_pending
from scoopjoy_dagster.automation.jobs import WATCH
from scoopjoy_dagster.instance import shortcomings
from scoopjoy_dagster_tests.automation.test_alerts import fail, now
from scoopjoy_dagster_tests.automation.world import NAMES, Close, Inbox, mail_server

IST = ZoneInfo("Asia/Kolkata")
MARCH = [f"2026-03-{n:02d}" for n in range(1, 32)]


def watch(close: Close) -> tuple[dg.DagsterRun, dg.AssetCheckEvaluation]:
    close.rebuild_quietly()
    run = close.run(job=watchdog.JOB)
    records = close.instance.get_records_for_run(
        run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ).records
    event = records[0].event_log_entry.dagster_event
    assert event is not None
    return run, event.asset_check_evaluation_data


def test_it_fails_for_every_overdue_day_also_beyond_the_look_back(close: Close) -> None:
    close.now = "2026-04-01T06:00:00+05:30"
    close.settle("2026-03-04")
    close.queue({"dagster/partition": "2026-03-31"})
    run, verdict = watch(close)
    assert run.is_failure
    figures = {name: entry.value for name, entry in verdict.metadata.items()}
    assert figures["overdue_days"] == 29
    assert figures["in_flight_days"] == 1
    assert figures["repair"] == "scoopjoy backfill --from 2026-03-01 --to 2026-03-30"
    oldest = str(figures["oldest"])
    assert oldest.startswith("2026-03-01, 2026-03-02, 2026-03-03, 2026-03-05")
    assert oldest.endswith("2026-03-21 and 9 more")


def test_a_run_that_is_older_than_a_night_may_take_excuses_nothing(close: Close) -> None:
    """The run is made now; the watchdog looks a moment before and after it is too old, by its own clock."""
    made = datetime.now(UTC).replace(microsecond=0)
    day = (made.astimezone(IST) - timedelta(days=2)).date().isoformat()
    close.settle(*(one for one in close.days.get_partition_keys(current_time=made) if one != day))
    close.queue({"dagster/partition": day})
    for minutes, passed in ((14, True), (16, False)):
        close.now = (made + timedelta(minutes=minutes)).isoformat()
        run, verdict = watch(close)
        assert (verdict.passed, run.is_success) == (passed, passed)
    close.more = {"SCOOPJOY_NIGHT_MINUTES": "30"}
    assert watch(close)[1].passed


@pytest.mark.parametrize(
    ("now", "close_at", "passed"),
    [
        ("2026-03-03T00:59:46+05:30", "01:00", True),  # of the morning before, hours late
        ("2026-03-03T01:00:30+05:30", "01:00", True),  # the night's runs are just being asked for
        ("2026-03-03T01:01:00+05:30", "01:00", False),
        ("2026-03-03T05:50:00+05:30", "05:59", True),
        ("2026-03-03T06:00:00+05:30", "05:59", False),
    ],
)
def test_a_look_that_comes_late_judges_its_own_morning_and_not_the_night_that_has_not_begun(
    close: Close, now: str, close_at: str, passed: bool
) -> None:
    close.now, close.more = now, {"SCOOPJOY_CLOSE_AT": close_at}
    close.settle("2026-03-01")
    assert watch(close)[1].passed == passed


def test_it_fails_where_dagster_runs_without_its_settings_although_every_day_is_closed(
    close: Close, inbox: Inbox, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "shortcomings", shortcomings)
    close.now = "2026-03-03T06:00:00+05:30"
    close.settle("2026-03-01", "2026-03-02")
    run, verdict = watch(close)
    assert run.is_failure
    assert verdict.metadata["overdue_days"].value == 0
    lacks = str(verdict.metadata["dagster_lacks"].value)
    assert "not in PostgreSQL" in lacks
    assert "No queue" in lacks
    with mail_server(inbox, port) as close.mail:
        deliver_pending(close.instance, close.mail, lambda: ["a@x.example"], now())
    assert inbox.subjects() == [("a@x.example", "[CRITICAL] Dagster runs without its settings")]
    assert "No queue" in inbox.text()
    assert "dagster.yaml" in inbox.text()


def test_it_passes_when_every_ended_day_is_settled(close: Close) -> None:
    close.now = "2026-03-03T06:00:00+05:30"
    close.settle("2026-03-01", "2026-03-02")
    run, verdict = watch(close)
    assert run.is_success
    assert verdict.passed


def test_its_failure_is_alerted_after_it_has_flushed_the_outbox(
    close: Close, inbox: Inbox, port: int
) -> None:
    close.now = "2026-03-03T06:00:00+05:30"
    fail(close, "2026-03-01")
    fail(close, "2026-03-02")
    with mail_server(inbox, port) as close.mail:
        watch(close)
        assert {subject for _, subject in inbox.subjects()} == {
            f"[CRITICAL] Batch pipeline failed at: Close POS Shifts ({day}: royalty not posted)"
            for day in ("1 Mar", "2 Mar")
        }
        inbox.mails.clear()
        deliver_pending(close.instance, close.mail, lambda: ["a@x.example"], now())
    assert inbox.subjects() == [("a@x.example", "[CRITICAL] Business days not closed: 2 (1 Mar, 2 Mar)")]
    assert "docs/operations.md#re-run-and-backfill" in inbox.text()
    assert "scoopjoy backfill --from 2026-03-01 --to 2026-03-02" in inbox.text()
    assert "2026-03-01, 2026-03-02" in inbox.text()


def test_it_rings_at_six_in_the_morning_in_india(close: Close) -> None:
    schedule = close.automation.schedules[1]
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 6 * * *", "Asia/Kolkata")


def test_no_close_of_a_day_by_hand_or_backfill_runs_the_watchdog(close: Close) -> None:
    implicit = close.defs.resolve_implicit_global_asset_job_def()
    by_hand = implicit.get_subset(asset_selection={dg.AssetKey(name) for name in NAMES})
    nightly = close.defs.resolve_job_def("nightly_close")
    for job in (by_hand, nightly):
        steps = {node.name for node in job.nodes}
        assert set(NAMES) <= steps
        assert not [step for step in steps if step.startswith(WATCH)]
    graph = close.defs.resolve_asset_graph()
    assert dg.AssetKey(WATCH) not in graph.materializable_asset_keys


def test_dagster_runs_every_check_of_a_selected_asset_which_is_why_the_watchdog_has_an_asset_of_its_own() -> (
    None
):
    @dg.asset
    def hq_sync() -> None: ...

    @dg.asset_check(asset=hq_sync, name="is_every_day_closed")
    def overdue() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False)

    defs = dg.Definitions(assets=[hq_sync], asset_checks=[overdue])
    by_hand = defs.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection={dg.AssetKey("hq_sync")}
    )
    assert "hq_sync_is_every_day_closed" in {node.name for node in by_hand.nodes}
