"""Alerts of a backfill name the days that failed and what went wrong."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import pytest

from scoopjoy_dagster.assets import royalties
from scoopjoy_dagster.automation import control_warnings, facts, outbox
from scoopjoy_dagster.automation.alert import Alert, Links
from scoopjoy_dagster.automation.backfills import QUIET
from scoopjoy_dagster.automation.messages import FailedRun
from scoopjoy_dagster.automation.parcels import ALERTED
from scoopjoy_dagster.partitions import COMMAND_BACKFILL, business_days
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.hq import SandboxHQ
from scoopjoy_dagster.sandbox.mail import MailSink
from scoopjoy_dagster_tests.automation.world import local_instance
from scoopjoy_dagster_tests.world import (
    DAY,
    INDIRANAGAR,
    THANE,
    Close,
    World,
    change,
    insert,
    started_site,
)

FIRST = DAY - timedelta(days=2)
SECOND = DAY - timedelta(days=1)
DAYS = business_days(FIRST)
LINKS = Links("http://dagster.example", "http://erp.example", "http://wiki.example/runbook")


@dataclass
class Office:
    """Three days of sales, of which the second can be locked, and those who are told."""

    world: World
    locked: str = ""
    told: list[Alert] = field(default_factory=list)

    @property
    def instance(self) -> dg.DagsterInstance:
        return self.world.instance

    def lock(self) -> None:
        """Nobody posts to the second day any more."""
        self.locked = insert(
            self.world.erpnext,
            "Accounting Period",
            period_name="One day",
            company="ScoopJoy",
            start_date=SECOND.isoformat(),
            end_date=SECOND.isoformat(),
            closed_documents=[{"document_type": "Journal Entry", "closed": 1}],
        )

    def unlock(self) -> None:
        (found,) = self.world.erpnext.documents("Accounting Period", name=self.locked)
        (closed,) = found["closed_documents"]
        change(
            self.world.erpnext, "Accounting Period", self.locked, closed_documents=[closed | {"closed": 0}]
        )

    def close(self, **tags: str) -> list[Close]:
        """Close the three days, a run for each."""
        return [self.world.close(day=day, tags=tags) for day in (FIRST, SECOND, DAY)]

    def facts(self, close: Close) -> FailedRun:
        (record,) = self.instance.get_run_records(dg.RunsFilter(run_ids=[close.result.run_id]))
        return facts.read_run(self.instance, record)

    def news(self) -> list[str]:
        """Subjects of what the outbox has for people now; they get it."""
        # A backfill of the command line has ended when it is quiet.
        now = datetime.now(UTC) + QUIET
        parcels = outbox.pending(self.instance, LINKS, now, days=DAYS)
        for parcel in parcels:
            outbox_note = {parcel.tag: f"{parcel.runs[0].run_id} {parcel.steps} {now.isoformat()}"}
            self.instance.add_run_tags(parcel.runs[0].run_id, outbox_note)
        self.told = [alert for parcel in parcels for alert in parcel.alerts]
        return [alert.subject for alert in self.told if not alert.subject.startswith("[WARNING] Control")]


@pytest.fixture
def office(
    chain_template: Path,
    empty_instance: Path,
    tmp_path: Path,
    headquarters: SandboxHQ,
    mail_sink: MailSink,
) -> Iterator[Office]:
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    shutil.copytree(empty_instance, tmp_path, dirs_exist_ok=True)
    with started_site(chain_template) as site, local_instance(tmp_path) as instance:
        world = World(site, instance, headquarters, mail_sink)
        for number, day in enumerate((FIRST, SECOND, DAY)):
            with seed.at(site, seed.facts.end_of(day)):
                world.invoice(THANE, str(1000 * (number + 1)), day=day)
        yield Office(world)


def test_a_failed_day_is_told_as_the_step_that_failed_with_its_rows_and_then_as_closed(
    office: Office,
) -> None:
    office.lock()
    _, failed, _ = office.close()
    run = office.facts(failed)
    assert run.days == (str(SECOND),)
    (step,) = run.steps
    assert step.key == "royalties"
    assert any(THANE in row["who"] for row in step.exceptions)
    assert run.done == ("Close POS Shifts",)
    assert run.skipped == ("Generate Invoices", "Send Reports", "Sync to HQ")
    assert office.news() == [
        "[CRITICAL] Batch pipeline failed at: Calculate Royalties (21 Nov: books locked)"
    ]
    (alert,) = [one for one in office.told if one.severity == "critical"]
    assert f"Business day: {SECOND}" in alert.text
    assert f"scoopjoy close --date {SECOND}" in alert.text
    assert str(FIRST) not in alert.text
    assert office.news() == []
    office.unlock()
    assert office.world.close(day=SECOND).success
    assert office.news() == ["[RECOVERED] Business day closed: 21 Nov"]
    (told,) = [one for one in office.told if one.severity == "recovered"]
    assert "Batch pipeline failed at: Calculate Royalties" in told.text
    assert office.news() == []


def test_the_digest_of_a_backfill_counts_the_days_that_failed(office: Office) -> None:
    office.lock()
    _, failed, _ = office.close(**{COMMAND_BACKFILL: "abc"})
    assert office.news() == ["[CRITICAL] Backfill: 1 of 3 days failed (21 Nov)"]
    (digest,) = [one for one in office.told if one.severity == "critical"]
    assert "21 Nov | Calculate Royalties | books locked - " in digest.text
    assert "Send Reports" not in digest.text
    (record,) = office.instance.get_run_records(dg.RunsFilter(run_ids=[failed.result.run_id]))
    assert ALERTED in record.dagster_run.tags
    office.unlock()
    assert office.world.close(day=SECOND).success
    assert office.news() == ["[RECOVERED] Business day closed: 21 Nov"]


def test_a_control_total_that_does_not_hold_for_a_day_is_told_with_what_it_says(office: Office) -> None:
    real = royalties.post_royalties

    def then_sell(*given: Any, **more: Any) -> Any:
        outcome = real(*given, **more)
        if outcome.business_day == SECOND:
            office.world.invoice(THANE, "1000", day=SECOND)
        return outcome

    with mock.patch.object(royalties, "post_royalties", then_sell):
        _, failed, _ = office.close()
    run = office.facts(failed)
    assert run.days == (str(SECOND),)
    assert [one.key for one in run.steps] == ["royalties_control_totals"]
    assert run.done == ("Close POS Shifts",)
    cause = "The ledger holds 150.00, the rule says 225.00: 1 ..."
    assert office.news() == [f"[CRITICAL] Batch pipeline failed at: Calculate Royalties (21 Nov: {cause})"]


def test_a_step_that_crashes_is_told_with_its_first_cause(office: Office) -> None:
    with mock.patch.object(royalties, "post_royalties", side_effect=RuntimeError("no such thing")):
        run = office.facts(office.close()[0])
    assert [step.key for step in run.steps] == ["royalties"]
    assert run.days == (str(FIRST),)
    assert "no such thing" in run.steps[0].message


def test_a_warning_of_a_backfill_names_the_days_that_warn_until_they_are_answered_otherwise(
    office: Office,
) -> None:
    since = datetime.now(UTC) - timedelta(days=1)

    def warned() -> list[Alert]:
        parcels = control_warnings.pending(
            office.instance, LINKS, datetime.now(UTC) + QUIET, since=since, location=None
        )
        return [alert for parcel in parcels for alert in parcel.alerts]

    with seed.at(office.world.erpnext, seed.facts.end_of(FIRST)):
        office.world.invoice(INDIRANAGAR, "500", day=FIRST)  # and nothing on the two days that follow
    assert all(one.success for one in office.close(**{COMMAND_BACKFILL: "abc"}))
    (alert,) = warned()
    question = "Has every franchise that had invoices in the week before some on the day?"
    assert alert.subject == "[WARNING] Control totals: 2 business days (21 Nov, 22 Nov)"
    assert f"Business days: {SECOND}, {DAY}\n" in alert.text
    assert f"{question} | 21 Nov | " in alert.text
    with seed.at(office.world.erpnext, seed.facts.end_of(DAY)):
        office.world.invoice(INDIRANAGAR, "500", day=DAY)
    assert office.world.close(day=DAY).success
    (alert,) = warned()
    assert f"Business day: {SECOND}\n" in alert.text
