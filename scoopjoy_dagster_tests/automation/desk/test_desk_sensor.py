"""The Batch Run desk end to end: people click at the embedded ERPNext, the sensor ticks, runs run, documents follow."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import pytest

from scoopjoy_dagster.assets import reports, royalties
from scoopjoy_dagster.automation import wiring
from scoopjoy_dagster.automation.desk import mirror
from scoopjoy_dagster.automation.desk import sensor as desk_sensor
from scoopjoy_dagster.automation.desk.run_facts import BATCH_RUN
from scoopjoy_dagster.definitions import JOB
from scoopjoy_dagster.erpnext.client import Client
from scoopjoy_dagster.erpnext.errors import Duplicate, Forbidden
from scoopjoy_dagster.partitions import business_days
from scoopjoy_dagster.resources.clock import ClockResource
from scoopjoy_dagster.resources.mail import MailResource
from scoopjoy_dagster.settings import load_settings
from scoopjoy_dagster.steps import STEPS
from scoopjoy_dagster_tests.automation.world import local_instance
from scoopjoy_dagster_tests.erpnext.desk_site import ACCOUNTANT, VIEWER, hire
from scoopjoy_dagster_tests.world import DAY, THANE, World, change, insert, session_of, started_site

UI = "http://dagster.example:3000"
TITLES = [step.title for step in STEPS]
BEFORE = DAY - timedelta(days=1)
FIRST = DAY - timedelta(days=2)


@dataclass
class Desk:
    """A chain whose runs are shown, and the sensor from tick to tick."""

    world: World
    cursor: str | None = None
    said: str = ""

    def tick(self) -> list[dg.RunRequest]:
        """A tick as the daemon makes it: the cursor that it leaves is the next one's."""
        sensor, definitions = sensor_and_definitions(self.world.day_ends_at)
        context = dg.build_sensor_context(
            instance=self.world.instance,
            cursor=self.cursor,
            definitions=definitions,
            resources={
                "erpnext": self.world.erpnext_resource,
                "mail": MailResource(ui_url=UI),
                "clock": ClockResource(fixed=f"{self.world.now.isoformat()}+05:30"),
            },
        )
        with context:
            data = sensor.evaluate_tick(context)
        self.cursor, self.said = data.cursor, data.skip_message or ""
        return list(data.run_requests or [])

    def run(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """The requested run, as the daemon starts it."""
        return self.start(
            {**request.tags, "dagster/run_key": str(request.run_key)},
            list(request.asset_selection or []),
        )

    def start(
        self, tags: dict[str, str] | None = None, assets: list[dg.AssetKey] | None = None, **options: Any
    ) -> dg.ExecuteInProcessResult:
        """A run that was started in another way."""
        with mock.patch.dict(os.environ, self.world.environment):
            return self.world.job().execute_in_process(
                instance=self.world.instance,
                partition_key=DAY.isoformat(),
                asset_selection=assets or None,
                tags=tags or {},
                raise_on_error=False,
                run_config={
                    "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
                    **options.get("run_config", {}),
                },
            )

    def documents(self) -> list[dict[str, Any]]:
        return self.world.erpnext.documents("Batch Run")

    @property
    def document(self) -> dict[str, Any]:
        (only,) = self.documents()
        return only

    def states(self) -> dict[str, str]:
        return {row["step_name"]: row["status"] for row in self.document["steps"]}

    def ask(self, action: str, attempt: int = 0, *, user: str = ACCOUNTANT) -> str:
        """What a click at the document of the desk sends."""
        with session_of(self.world.erpnext, user=user) as session:
            values = {"batch_run": self.document["name"], "action": action, "attempt": attempt}
            return str(Client(session).insert("Batch Run Request", values)["name"])

    def requests(self) -> list[dict[str, Any]]:
        return self.world.erpnext.documents("Batch Run Request")


@cache
def sensor_and_definitions(day_ends_at: str = "00:00") -> tuple[dg.SensorDefinition, dg.Definitions]:
    """The sensor of the desk, and definitions with the job that it asks for."""
    job = dg.define_asset_job(JOB, selection=[step.asset for step in STEPS])
    settings = load_settings(
        {
            "ERPNEXT_URL": "http://127.0.0.1:9",
            "ERPNEXT_API_KEY": "not used",
            "ERPNEXT_API_SECRET": "not used",
            "SCOOPJOY_GO_LIVE": "2026-11-01",
            "SCOOPJOY_DAY_ENDS_AT": day_ends_at,
            "SCOOPJOY_CLOSE_AT": "05:00",
        }
    )
    sensors = wiring.build(business_days(settings.go_live), job, settings).sensors
    sensor = next(one for one in sensors if one.name == desk_sensor.NAME)
    return sensor, World(mock.Mock(), mock.Mock()).defs()


@contextmanager
def a_desk(chain_template: Path, empty_instance: Path, directory: Path) -> Iterator[Desk]:
    """A desk on a site of its own, with a day of sales and the people of the desk, and a Dagster without runs."""
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    shutil.copytree(empty_instance, directory, dirs_exist_ok=True)
    with started_site(chain_template) as site, local_instance(directory) as instance:
        hire(site)
        made = Desk(World(site, instance))
        made.world.a_day()
        yield made


@pytest.fixture
def desk(chain_template: Path, empty_instance: Path, tmp_path: Path) -> Iterator[Desk]:
    with a_desk(chain_template, empty_instance, tmp_path) as made:
        yield made


def test_every_run_appears_with_its_steps_its_log_and_its_link(desk: Desk) -> None:
    done = desk.start({"scoopjoy/triggered_by": "schedule"})
    desk.tick()
    shown = desk.document
    assert shown["status"] == "Completed"
    assert shown["run_date"] == DAY.isoformat()
    assert shown["triggered_by"] == "schedule"
    assert shown["dagster_run"] == done.run_id
    assert shown["dagster_url"] == f"{UI}/runs/{done.run_id}"
    assert shown["started_at"] <= shown["completed_at"]
    assert [row["step_name"] for row in shown["steps"]] == TITLES
    assert [int(row["is_critical"]) for row in shown["steps"]] == [1, 1, 0, 0, 0]
    assert desk.states() == dict.fromkeys(TITLES, "Success")
    for title in TITLES:
        assert f"{title}: started" in shown["execution_log"]
    assert "run ended: all steps done" in shown["execution_log"]


def test_a_run_is_told_which_document_shows_it(desk: Desk) -> None:
    done = desk.start()
    desk.tick()
    run = desk.world.instance.get_run_by_id(done.run_id)
    assert run is not None
    assert run.tags[BATCH_RUN] == desk.document["name"]


def test_what_is_shown_costs_erpnext_one_look_for_requests_and_two_for_changes(desk: Desk) -> None:
    desk.start()
    desk.tick()
    desk.world.erpnext.requests.reset()
    desk.tick()
    assert desk.said == "every run is shown"
    assert desk.world.erpnext.requests.total == 3
    assert desk.world.erpnext.requests.writes == 0


def test_a_failed_step_says_why_and_for_whom(desk: Desk) -> None:
    desk.world.options["income_account"] = "No Such Account - SJ"
    desk.start()
    desk.tick()
    shown = desk.document
    assert shown["status"] == "Failed"
    assert desk.states()["Calculate Royalties"] == "Failed"
    assert [desk.states()[title] for title in TITLES[2:]] == ["Skipped"] * 3
    failed = shown["steps"][1]
    assert "No Such Account - SJ" in failed["error_message"]
    assert "No Such Account - SJ" in shown["execution_log"]


def test_a_click_on_a_new_document_runs_the_close_once(desk: Desk) -> None:
    insert(desk.world.erpnext, "Batch Run", run_date=DAY.isoformat())
    desk.ask("Run Pipeline Now")
    with pytest.raises(Duplicate):
        desk.ask("Run Pipeline Now")
    (request,) = desk.tick()
    assert (request.partition_key, request.tags["scoopjoy/triggered_by"]) == (DAY.isoformat(), ACCOUNTANT)
    assert desk.requests()[0]["status"] == "Pending", "it is answered when its run is seen"
    done = desk.run(request)
    assert desk.tick() == []
    assert (desk.document["status"], desk.document["triggered_by"]) == ("Completed", ACCOUNTANT)
    (answered,) = desk.requests()
    assert (answered["status"], answered["dagster_run"]) == ("Started", done.run_id)


def test_a_daemon_that_died_before_the_start_asks_again_with_the_same_run_key(desk: Desk) -> None:
    insert(desk.world.erpnext, "Batch Run", run_date=DAY.isoformat())
    desk.ask("Run Pipeline Now")
    (first,) = desk.tick()
    (second,) = desk.tick()
    assert first.run_key == second.run_key


def test_a_retry_runs_the_step_and_what_was_skipped_and_completes_the_document(desk: Desk) -> None:
    desk.world.options["income_account"] = "No Such Account - SJ"
    desk.start()
    desk.tick()
    assert desk.document["status"] == "Failed"
    desk.world.options.clear()
    desk.ask("Retry: Calculate Royalties")
    (request,) = desk.tick()
    assert [key.to_user_string() for key in request.asset_selection or []] == [
        "royalties", "invoices", "reports", "hq_sync",
    ]  # fmt: skip
    desk.run(request)
    desk.tick()
    assert desk.document["status"] == "Completed"
    assert desk.states() == dict.fromkeys(TITLES, "Success")
    assert [int(row["retry_count"]) for row in desk.document["steps"]] == [0, 1, 0, 0, 0]
    assert f"asked for by {ACCOUNTANT}" in desk.document["execution_log"]


def test_a_re_execution_in_dagster_belongs_to_the_same_document(desk: Desk) -> None:
    desk.world.options["income_account"] = "No Such Account - SJ"
    first = desk.start()
    desk.tick()
    desk.world.options.clear()
    # What Dagster's UI sends for "Re-execute from failure": all tags of the run, and where it comes from.
    run = desk.world.instance.get_run_by_id(first.run_id)
    assert run is not None
    again = {key: value for key, value in run.tags.items() if not key.startswith("dagster/partition")}
    desk.start(
        {**again, "dagster/parent_run_id": first.run_id, "dagster/root_run_id": first.run_id},
        [dg.AssetKey(step.asset) for step in STEPS[1:]],
    )
    desk.tick()
    assert desk.document["status"] == "Completed"


def test_a_further_run_of_the_day_has_a_document_of_its_own(desk: Desk) -> None:
    desk.start()
    desk.tick()
    desk.start({"dagster/from_ui": "true"}, [dg.AssetKey("reports")])
    desk.tick()
    first, second = sorted(desk.documents(), key=lambda one: str(one["name"]))
    assert len(first["steps"]) == 5
    assert [row["step_name"] for row in second["steps"]] == ["Send Reports"]
    assert second["triggered_by"] == "Dagster UI"


def test_who_may_not_write_batch_run_cannot_even_ask(desk: Desk) -> None:
    insert(desk.world.erpnext, "Batch Run", run_date=DAY.isoformat())
    with pytest.raises(Forbidden):
        desk.ask("Run Pipeline Now", user=VIEWER)


def test_who_has_lost_the_right_since_asking_is_refused(desk: Desk) -> None:
    insert(desk.world.erpnext, "Batch Run", run_date=DAY.isoformat())
    desk.ask("Run Pipeline Now")
    change(desk.world.erpnext, "User", ACCOUNTANT, enabled=0)
    assert desk.tick() == []
    (answered,) = desk.requests()
    assert answered["status"] == "Refused"
    assert f"{ACCOUNTANT} may not write Batch Run" in answered["answer"]


def test_a_day_that_has_not_ended_is_refused_with_the_days_that_can_be_closed(desk: Desk) -> None:
    insert(desk.world.erpnext, "Batch Run", run_date=(DAY + timedelta(days=1)).isoformat())
    desk.ask("Run Pipeline Now")
    assert desk.tick() == []
    assert "2026-11-23 cannot be closed" in desk.requests()[0]["answer"]


@pytest.mark.parametrize(("clock", "ended"), [("02:59", False), ("03:00", True)])
def test_where_the_day_ends_at_three_it_can_be_asked_for_from_three_on(
    desk: Desk, clock: str, ended: bool
) -> None:
    desk.world.day_ends_at = "03:00"
    desk.world.now = datetime.fromisoformat(f"{DAY + timedelta(days=1)}T{clock}")
    insert(desk.world.erpnext, "Batch Run", run_date=DAY.isoformat())
    desk.ask("Run Pipeline Now")
    assert [one.partition_key for one in desk.tick()] == ([DAY.isoformat()] if ended else [])
    assert (f"{DAY} cannot be closed" in (desk.requests()[0]["answer"] or "")) is not ended


def test_an_erpnext_that_was_away_during_the_run_is_caught_up(desk: Desk) -> None:
    """The run itself is not ERPNext's to fail: it is started here while the desk cannot be reached."""
    done = desk.start()
    desk.world.options["url"] = "http://127.0.0.1:9"
    for _ in range(3):
        assert desk.tick() == []
        assert "the next look tries again" in desk.said
    assert desk.documents() == []
    desk.world.options.clear()
    desk.tick()
    assert (desk.document["status"], desk.document["dagster_run"]) == ("Completed", done.run_id)


def test_a_run_that_failed_because_erpnext_was_away_is_shown_when_it_is_back(desk: Desk) -> None:
    desk.world.options["attempts"] = 1
    desk.world.erpnext.faults.add("refused_before_commit", probability=1.0)
    done = desk.start()
    assert desk.tick() == []
    assert "the next look tries again" in desk.said
    desk.world.erpnext.faults.clear()
    desk.tick()
    assert (desk.document["status"], desk.document["dagster_run"]) == ("Failed", done.run_id)
    assert "ERPNext: " in desk.document["steps"][0]["error_message"]
    assert [desk.states()[title] for title in TITLES[1:]] == ["Skipped"] * 4


def test_each_day_has_a_document_of_its_own(desk: Desk) -> None:
    before = DAY - timedelta(days=1)
    for day in (before, DAY):
        desk.world.close(day=day)
    desk.tick()
    shown = {one["run_date"]: one for one in desk.documents()}
    assert sorted(shown) == [before.isoformat(), DAY.isoformat()]
    assert {one["status"] for one in shown.values()} == {"Completed"}
    desk.tick()
    assert desk.said == "every run is shown"


def test_a_control_total_that_does_not_hold_fails_its_step_and_is_named(desk: Desk) -> None:
    """The asset itself was materialized; an invoice comes between it and its control totals."""
    real = royalties.post_royalties

    def then_sell(*given: Any, **more: Any) -> Any:
        outcome = real(*given, **more)
        desk.world.invoice(THANE, "1000")
        return outcome

    with mock.patch.object(royalties, "post_royalties", then_sell):
        desk.start()
    desk.tick()
    assert (desk.document["status"], desk.states()["Calculate Royalties"]) == ("Failed", "Failed")
    assert "does_the_ledger_equal_the_rule: " in desk.document["steps"][1]["error_message"]
    assert "error: control total does_the_ledger_equal_the_rule" in desk.document["execution_log"]
    assert [desk.states()[title] for title in TITLES[2:]] == ["Skipped"] * 3


def test_a_document_whose_answer_was_lost_is_not_made_twice(desk: Desk) -> None:
    desk.start()
    desk.world.erpnext.faults.add("committed_never_answered", method="POST", path="/api/resource/Batch Run")
    desk.tick()
    assert "a later look writes them" in desk.said
    desk.tick()
    assert desk.document["status"] == "Completed"
    desk.tick()
    assert desk.said == "every run is shown"


def test_a_site_without_the_desk_is_named_and_nothing_fails(desk: Desk) -> None:
    desk.start()
    for doctype in ("Batch Run Request", "Batch Run", "Batch Run Step"):
        with session_of(desk.world.erpnext, user="Administrator") as session:
            Client(session).delete("DocType", doctype)
    assert desk.tick() == []
    assert "run `scoopjoy setup`" in desk.said


def test_a_key_that_is_refused_is_not_tried_every_few_seconds(desk: Desk) -> None:
    desk.world.options["api_secret"] = "rotated-away"
    for _ in range(3):
        assert desk.tick() == []
        assert "does not accept the API key and secret" in desk.said
    assert desk.world.erpnext.requests.total == 1


def test_a_dry_run_closes_nothing_and_has_no_document(desk: Desk) -> None:
    dry = {"resources": {"close": {"config": {"dry_run": True}}}}
    desk.start(run_config=dry)
    desk.tick()
    assert desk.documents() == []


def test_runs_that_ended_long_ago_are_left_alone(desk: Desk) -> None:
    desk.start()
    since = datetime.now(UTC) + timedelta(seconds=1)
    assert mirror.runs_to_show(desk.world.instance, JOB, since) == []


def test_a_run_at_work_is_shown_while_it_runs(desk: Desk) -> None:
    """Looked at from within: while the reports are made, the steps before them are done in the document."""
    seen: list[dict[str, str]] = []
    real = reports._no_mail_server

    def looking(*given: Any, **more: Any) -> Any:
        desk.tick()
        seen.append({"status": desk.document["status"], **desk.states()})
        return real(*given, **more)

    with mock.patch.object(reports, "_no_mail_server", looking):
        desk.start()
    (during,) = seen
    assert during["status"] == "Running"
    assert during["Close POS Shifts"] == during["Calculate Royalties"] == "Success"
    assert during["Send Reports"] == "Running"
    desk.tick()
    assert desk.document["status"] == "Completed"


def test_a_cursor_that_cannot_be_read_begins_again_and_the_log_says_so_once(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.cursor = "half a cur"
    desk.tick()
    desk.tick()
    assert sum("half a cur" in one.message for one in caplog.records) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"since": "x"},
        {"since": 5},
        {"since": "2026-11-22T01:00:00"},
        {"since": "9999-12-31T23:59:59-14:00"},
        {"since": "0001-01-01T00:00:00+14:00"},
        {"seen": [1]},
        {"seen": {"SJ-BATCH-1": None}},
        {"seen": {"SJ-BATCH-1": "0001-01-01 00:00:00"}},
        {"aside": 5},
        {"aside": "abc"},
        {"not_before": "tomorrow"},
        {"not_before": "2026-11-22T01:00:00"},
        {"changed_since": "x"},
        {"changed_since": "2026-11-22 01:00:00+05:30"},
        {"changed_since": "9999-12-31 00:00:00"},
        {"why": 5},
    ],
    ids=str,
)
def test_a_cursor_with_a_wrong_value_begins_again_and_the_log_says_so_once(
    desk: Desk, caplog: pytest.LogCaptureFixture, wrong: dict[str, Any]
) -> None:
    desk.start({"scoopjoy/triggered_by": "schedule"})
    desk.cursor = json.dumps(wrong)
    for _ in range(2):
        desk.tick()
    assert desk.said == "every run is shown"
    assert desk.document["status"] == "Completed"
    assert sum("begins again" in one.message for one in caplog.records) == 1


def test_a_cursor_with_a_wrong_value_is_named_once_also_while_erpnext_is_away(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.cursor = '{"aside": 5}'
    desk.world.options["url"] = "http://127.0.0.1:9"
    for _ in range(2):
        desk.tick()
        assert "ERPNext could not be asked" in desk.said
    assert sum("begins again" in one.message for one in caplog.records) == 1


@pytest.mark.parametrize("until", ["9999-12-31T23:59:59+00:00", "in two minutes"])
def test_a_pause_that_is_longer_than_any_is_none(desk: Desk, until: str) -> None:
    if until == "in two minutes":
        until = (datetime.now(UTC) + 2 * desk_sensor.PAUSE).isoformat()
    desk.cursor = json.dumps({"not_before": until, "why": "Somebody wants it so."})
    desk.tick()
    assert desk.said == "every run is shown"
