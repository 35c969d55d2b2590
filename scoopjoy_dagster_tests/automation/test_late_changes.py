"""Ticks of the late changes sensor, on days that were really closed and told to headquarters, against the embedded ERPNext."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from unittest import mock

import dagster as dg
import pytest

from scoopjoy_dagster.automation import late_changes, wiring
from scoopjoy_dagster.automation.changed_days import Memory
from scoopjoy_dagster.definitions import JOB
from scoopjoy_dagster.erpnext.client import KEY_FIELD
from scoopjoy_dagster.partitions import business_days
from scoopjoy_dagster.resources.clock import ClockResource
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.policy import RoyaltyPolicyResource
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster.sandbox.hq import SandboxHQ
from scoopjoy_dagster.settings import load_settings
from scoopjoy_dagster.steps import STEPS
from scoopjoy_dagster_tests.automation.world import local_instance, origin
from scoopjoy_dagster_tests.world import (
    DAY,
    HEBBAL,
    INDIRANAGAR,
    KORAMANGALA,
    NOW,
    THANE,
    World,
    amend,
    change,
    entries,
    exact,
    ledger_balance,
    merge,
    owed,
    rename,
    shown,
    started_site,
)

BEFORE = DAY - timedelta(days=1)
MORNING = NOW + timedelta(hours=9)
"""When people come to the office: the days were closed hours ago."""


@dataclass
class Tick:
    """What a tick of the sensor came to."""

    requests: list[dg.RunRequest]
    said: str
    cursor: str | None

    @property
    def days(self) -> list[date]:
        return [date.fromisoformat(str(one.partition_key)) for one in self.requests]


@dataclass
class Office:
    """A chain whose days are closed, and the sensor that watches them from tick to tick."""

    world: World
    cursor: str | None = None
    window_days: int = 45
    resources: dict[str, object] = field(default_factory=dict)

    @property
    def erpnext(self) -> SandboxERPNext:
        return self.world.erpnext

    def close(self, *days: date) -> None:
        for day in days:
            done = self.world.close(day=day)
            assert done.success, [event.message for event in done.logged if event.is_failure]

    def tick(self) -> Tick:
        """A tick as the daemon makes it: the cursor that it leaves is the next one's."""
        context = dg.build_sensor_context(
            instance=self.world.instance,
            cursor=self.cursor,
            definitions=_definitions(),
            resources={
                "erpnext": self.world.erpnext_resource,
                "royalty_policy": RoyaltyPolicyResource(**self.world.policy),
                "clock": ClockResource(fixed=f"{self.world.now.isoformat()}+05:30"),
                **self.resources,
            },
        )
        with context:
            data = _sensor(self.window_days).evaluate_tick(context)
        self.cursor = data.cursor
        return Tick(list(data.run_requests or []), data.skip_message or "", data.cursor)

    def run(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """The requested run, as the daemon starts it."""
        with mock.patch.dict(os.environ, self.world.environment):
            return self.world.job().execute_in_process(
                instance=self.world.instance,
                partition_key=request.partition_key,
                tags={**request.tags, "dagster/run_key": str(request.run_key)},
                raise_on_error=False,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )

    def sql(self, statement: str, *values: object) -> None:
        """A change that nobody makes at the desk."""
        with self.erpnext.site.transaction():
            self.erpnext.site.db.run(statement, values)

    def invoice_of(self, customer: str, day: date) -> str:
        found = self.erpnext.documents("Sales Invoice", customer=customer, posting_date=day.isoformat())
        return str(found[0]["name"])


@cache
def _definitions() -> dg.Definitions:
    return World(mock.Mock(), mock.Mock()).defs()


@cache
def _sensor(window_days: int) -> dg.SensorDefinition:
    """The sensor by these settings, for the program's own job."""
    job = dg.define_asset_job(JOB, selection=[step.asset for step in STEPS])
    settings = load_settings(
        {
            "ERPNEXT_URL": "http://127.0.0.1:9",
            "ERPNEXT_API_KEY": "not used",
            "ERPNEXT_API_SECRET": "not used",
            "SCOOPJOY_GO_LIVE": "2026-11-01",
            "SCOOPJOY_LATE_CHANGE_DAYS": str(window_days),
        }
    )
    sensors = wiring.build(business_days(settings.go_live), job, settings).sensors
    return next(one for one in sensors if one.name == late_changes.NAME)


@pytest.fixture(scope="module")
def closed_days(chain_template: Path, empty_instance: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site and an instance with two closed days, and the cursor after two quiet ticks: made once, then copied.

    The first tick finds where the watermark begins, the second looks from there.
    """
    made = tmp_path_factory.mktemp("closed")
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    shutil.copytree(empty_instance, made / "instance")
    headquarters = SandboxHQ()
    headquarters.start()
    with started_site(chain_template) as site, local_instance(made / "instance") as instance:
        office = Office(World(site, instance, headquarters))
        office.world.a_day()
        office.world.invoice(THANE, "1000", day=BEFORE)
        office.world.invoice(INDIRANAGAR, "2000", day=BEFORE)
        office.close(BEFORE, DAY)
        site.snapshot(made / "site.db")
        for _ in range(2):
            assert office.tick().said == "2 closed days compared, 0 changed"
        (made / "cursor").write_text(str(office.cursor))
    headquarters.close()
    return made


@pytest.fixture
def office(closed_days: Path, tmp_path: Path, headquarters: SandboxHQ) -> Iterator[Office]:
    """Two closed days, at ten in the morning after the second."""
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    shutil.copytree(closed_days / "instance", tmp_path, dirs_exist_ok=True)
    with started_site(closed_days / "site.db") as site, local_instance(tmp_path) as instance:
        site.site.clock = lambda: MORNING
        yield Office(World(site, instance, headquarters))


@pytest.fixture
def watched(office: Office, closed_days: Path) -> Office:
    """The same, after two quiet ticks."""
    office.cursor = (closed_days / "cursor").read_text()
    return office


@pytest.fixture
def one_in_turn(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Only one day is compared in turn at each tick, so that a touched one is seen to be found by its touch."""
    monkeypatch.setattr(late_changes, "FEWEST_PER_TICK", 1)
    _sensor.cache_clear()
    yield
    _sensor.cache_clear()


# -- what a change is ---------------------------------------------------------------------------------------------------


def test_closed_days_whose_sales_were_only_saved_are_not_requested(watched: Office) -> None:
    sale = watched.invoice_of(THANE, DAY)
    assert shown(watched.erpnext, sale)[0] == Decimal("7.5")
    assert watched.tick().said == "2 closed days compared, 0 changed"
    change(watched.erpnext, "Sales Invoice", sale, po_no="seen by a person")
    assert watched.tick().said == "2 closed days compared, 0 changed"


def test_a_back_dated_invoice_requests_its_day_once_with_a_reason_for_people(watched: Office) -> None:
    watched.world.invoice(THANE, "250", day=BEFORE)
    tick = watched.tick()
    (request,) = tick.requests
    assert request.partition_key == "2026-11-21"
    assert str(request.run_key).startswith("late:2026-11-21:")
    assert request.tags["scoopjoy/triggered_by"] == "late_changes"
    assert request.tags["scoopjoy/reason"] == (
        "Franchise Thane: royalty 75.00 -> 93.75: base 1000.00 -> 1250.00; ACC-SINV-2026-00011 added"
    )
    assert [watched.tick().requests for _ in range(3)] == [[], [], []]


def cancelled(office: Office) -> None:
    seed.cancel_document(office.erpnext, "Sales Invoice", office.invoice_of(THANE, BEFORE))


def returned(office: Office) -> None:
    against = office.invoice_of(THANE, BEFORE)
    office.world.invoice(THANE, "400", day=BEFORE, is_return=True, return_against=against)


def amended(office: Office) -> None:
    """Cancelled, and made again over the same amount: another invoice, which has no share yet."""
    cancelled(office)
    office.world.invoice(THANE, "1000", day=BEFORE)


def deleted(office: Office) -> None:
    name = office.invoice_of(THANE, BEFORE)
    for table, column in (("Sales Invoice", "name"), ("GL Entry", "voucher_no")):
        office.sql(f'DELETE FROM "tab{table}" WHERE {column} = ?', name)


def repriced(office: Office) -> None:
    name = office.invoice_of(THANE, BEFORE)
    office.sql('UPDATE "tabSales Invoice" SET base_grand_total = 1001 WHERE name = ?', name)


def moved(office: Office) -> None:
    """The sale was another franchise's: number and sum of the day's sales are as before."""
    cancelled(office)
    office.world.invoice(KORAMANGALA, "1000", day=BEFORE)


def entry_cancelled(office: Office) -> None:
    (entry,) = entries(office.erpnext, THANE, BEFORE)
    seed.cancel_document(office.erpnext, "Journal Entry", str(entry["name"]))


def entry_amended(office: Office) -> None:
    (entry,) = entries(office.erpnext, THANE, BEFORE)
    seed.cancel_document(office.erpnext, "Journal Entry", str(entry["name"]))
    amend(office.erpnext, str(entry["name"]), exact("80"))


def entry_lost(office: Office) -> None:
    """A backup from before the close was restored."""
    (entry,) = entries(office.erpnext, THANE, BEFORE)
    for table, column in (("Journal Entry", "name"), ("GL Entry", "voucher_no")):
        office.sql(f'DELETE FROM "tab{table}" WHERE {column} = ?', entry["name"])


def shift_open(office: Office) -> None:
    office.world.shift(2, opened=datetime.combine(BEFORE, datetime.min.time()) + timedelta(hours=11))


def shift_closed_by_a_person(office: Office) -> None:
    made = office.world.shift(2, opened=datetime.combine(BEFORE, datetime.min.time()) + timedelta(hours=11))
    seed.close_shift(office.erpnext, made.opening)


def exempt_sold_more(office: Office) -> None:
    office.world.invoice(HEBBAL, "250", day=BEFORE)


REASONS: dict[Callable[[Office], None], str] = {
    cancelled: "Franchise Thane: royalty 75.00 -> 0.00: base 1000.00 -> 0.00; ACC-SINV-2026-00009 cancelled",
    returned: "Franchise Thane: royalty 75.00 -> 45.00: base 1000.00 -> 600.00; ACC-SINV-2026-00011 added",
    amended: "Franchise Thane: royalty 75.00 as before, on other sales; ACC-SINV-2026-00011 added; ACC-SINV-2026-00009 "
    "cancelled",
    deleted: "Franchise Thane: royalty 75.00 -> 0.00: base 1000.00 -> 0.00; ACC-SINV-2026-00009 cancelled",
    repriced: "Franchise Thane: royalty 75.00 -> 75.08: base 1000.00 -> 1001.00; ACC-SINV-2026-00009 changed",
    moved: "Franchise Koramangala: 4.5 % of 1000.00; Franchise Thane: royalty 75.00 -> 0.00: base 1000.00 -> 0.00; "
    "ACC-SINV-2026-00009 cancelled",
    entry_cancelled: "Franchise Thane: SJ-ROY-A-2026-00002: 75.00 of 75.00 for 2026-11-21 are not in the ledger, and we do "
    "not undo a person's decision",
    entry_lost: "Franchise Thane: 7.5 % of 1000.00",
    shift_open: "open POS shifts: POS-OPE-2026-00001",
}

TOLD: dict[Callable[[Office], None], str] = {
    entry_amended: "royalties of 175.00 told, 180.00 posted now",
    shift_closed_by_a_person: "0 closed POS shifts told, 1 now",
    exempt_sold_more: "2 sales of 3,000.00 told, 3 of 3,250.00 now",
}
"""What changes no royalty, and only makes wrong what was told."""


@pytest.mark.parametrize("what", REASONS | TOLD, ids=lambda what: what.__name__)
def test_whatever_changes_a_closed_day_requests_that_day_and_says_why(
    watched: Office, what: Callable[[Office], None]
) -> None:
    what(watched)
    (request,) = watched.tick().requests
    assert (request.partition_key, request.tags["scoopjoy/reason"]) == (
        "2026-11-21",
        (REASONS | TOLD)[what],
    )
    assert watched.tick().requests == []


@pytest.mark.parametrize("what", REASONS | TOLD, ids=lambda what: what.__name__)
def test_where_nobody_was_told_a_day_changes_by_what_is_to_be_posted_or_closed(
    watched: Office, what: Callable[[Office], None]
) -> None:
    watched.sql('DELETE FROM "tabScoopJoy Delivery"')
    what(watched)
    tick = watched.tick()
    if what in TOLD or what is entry_lost:  # it looks as if the franchise had joined since
        assert tick.said == "2 closed days compared, 0 changed"
    else:
        (request,) = tick.requests
        assert (request.partition_key, request.tags["scoopjoy/reason"]) == ("2026-11-21", REASONS[what])


def test_what_was_told_of_a_franchise_that_pays_nothing_is_put_right_once_for_each_change(
    watched: Office,
) -> None:
    keys = []
    for number in range(2):
        sale = watched.world.invoice(HEBBAL, "250", day=BEFORE)
        watched.sql('UPDATE "tabSales Invoice" SET creation = ? WHERE name = ?', f"{MORNING}", sale)
        for revision in (2 * number + 1, 2 * number + 2):
            (request,) = watched.tick().requests
            keys.append(request.run_key)
            assert watched.run(request).success
            assert watched.world.headquarters
            held = watched.world.headquarters.days["ScoopJoy", BEFORE.isoformat()]
            assert held["revision"] == revision
            assert watched.tick().said == "2 closed days compared, 0 changed"
            if revision % 2:
                seed.cancel_document(watched.erpnext, "Sales Invoice", sale)
    assert len(set(keys)) == 4


def test_a_shift_that_a_person_reopens_requests_its_day(watched: Office) -> None:
    shift_open(watched)
    (request,) = watched.tick().requests
    assert watched.run(request).success
    assert watched.tick().requests == []
    (closing,) = watched.erpnext.documents("POS Closing Entry", docstatus=1)
    manager = watched.erpnext.session()
    with watched.erpnext.site.transaction():
        manager.cancel(manager.load("POS Closing Entry", str(closing["name"])))
    (request,) = watched.tick().requests
    assert request.tags["scoopjoy/reason"].endswith("open POS shifts: POS-OPE-2026-00001")


def test_a_till_sale_that_came_after_its_shift_was_closed_changes_nothing(watched: Office) -> None:
    """It is in no closing, so in no ledger: every night names it."""
    late = watched.world.shift(1, opened=datetime.combine(BEFORE, datetime.min.time()) + timedelta(hours=11))
    watched.sql('UPDATE "tabPOS Opening Entry" SET docstatus = 2 WHERE name = ?', late.opening)
    (sale,) = watched.erpnext.documents("POS Invoice", docstatus=1)
    assert sale["posting_date"] == BEFORE.isoformat()
    assert watched.tick().said == "2 closed days compared, 0 changed"


# -- terms and names ----------------------------------------------------------------------------------------------------


NO_CHANGES: dict[str, Callable[[Office], None]] = {
    "another rate": lambda office: change(office.erpnext, "Customer", THANE, custom_royalty_percentage=6),
    "no rate": lambda office: change(office.erpnext, "Customer", THANE, custom_royalty_percentage=0),
    "exempt": lambda office: change(office.erpnext, "Customer", THANE, custom_royalty_exempt=1),
    "no more exempt": lambda office: change(office.erpnext, "Customer", HEBBAL, custom_royalty_exempt=0),
    "disabled": lambda office: change(office.erpnext, "Customer", THANE, disabled=1),
    "moved": lambda office: change(office.erpnext, "Customer", THANE, customer_group="Commercial"),
    "an exempt one moved": lambda office: change(
        office.erpnext, "Customer", HEBBAL, customer_group="Commercial"
    ),
    "a group moved": lambda office: change(
        office.erpnext, "Customer Group", "Metro Partners", parent_customer_group="All Customer Groups"
    ),
    "renamed": lambda office: rename(office.erpnext, THANE, "Franchise Thane West"),
    "an exempt one renamed": lambda office: rename(office.erpnext, HEBBAL, "Franchise Hebbal North"),
    "merged": lambda office: merge(office.erpnext, THANE, INDIRANAGAR),
    "an exempt one merged": lambda office: merge(office.erpnext, HEBBAL, INDIRANAGAR),
}


@pytest.mark.parametrize("what", NO_CHANGES.values(), ids=NO_CHANGES)
def test_what_becomes_of_a_franchise_changes_no_closed_day(
    watched: Office, what: Callable[[Office], None]
) -> None:
    what(watched)
    for _ in range(3):
        tick = watched.tick()
        assert (tick.requests, tick.said) == ([], "2 closed days compared, 0 changed")
    memory = Memory.of(watched.cursor)
    assert (memory.requested, memory.waiting) == ({}, {})


@pytest.mark.parametrize(
    "what",
    [one for name, one in NO_CHANGES.items() if name not in {"disabled", "moved"}],
    ids=[name for name in NO_CHANGES if name not in {"disabled", "moved"}],
)
def test_a_late_invoice_of_another_franchise_moves_its_royalty_and_no_other(
    watched: Office, what: Callable[[Office], None]
) -> None:
    """A new rate once charged closed days when another franchise's invoice came late."""
    what(watched)
    watched.world.invoice(KORAMANGALA, "250", day=BEFORE)
    before = len(entries(watched.erpnext, day=BEFORE))
    (request,) = watched.tick().requests
    assert request.tags["scoopjoy/reason"] == "Franchise Koramangala: 4.5 % of 250.00"
    assert watched.run(request).success
    (made,) = entries(watched.erpnext, day=BEFORE)[before:]
    assert {row["party"] for row in made["accounts"]} == {KORAMANGALA, None}
    assert watched.tick().said == "2 closed days compared, 0 changed"


def test_a_late_invoice_is_charged_at_the_rate_that_its_day_was_posted_at(watched: Office) -> None:
    change(watched.erpnext, "Customer", THANE, custom_royalty_percentage=6)
    watched.world.invoice(THANE, "250", day=BEFORE)
    (request,) = watched.tick().requests
    assert watched.run(request).success
    assert owed(watched.erpnext, THANE, BEFORE) == exact("93.75")  # 7.5 % of 1,250.00
    assert watched.tick().said == "2 closed days compared, 0 changed"


@pytest.mark.parametrize("what", [entry_cancelled, shift_open, returned], ids=lambda what: what.__name__)
def test_whatever_else_changes_a_day_is_found_among_new_terms(
    watched: Office, what: Callable[[Office], None]
) -> None:
    change(watched.erpnext, "Customer", INDIRANAGAR, custom_royalty_percentage=6)
    assert watched.tick().requests == []
    what(watched)
    (request,) = watched.tick().requests
    assert request.partition_key == "2026-11-21"
    assert str(request.tags["scoopjoy/reason"]).startswith(REASONS[what])


def test_an_invoice_of_a_franchise_that_has_left_changes_its_day(watched: Office) -> None:
    change(watched.erpnext, "Customer", THANE, customer_group="Commercial")
    watched.world.invoice(THANE, "250", day=BEFORE)
    assert watched.tick().days == [BEFORE]


@pytest.mark.parametrize(
    ("out", "back"),
    [
        ({"disabled": 1}, {"disabled": 0}),
        ({"customer_group": "Commercial"}, {"customer_group": "Partner Outlets"}),
    ],
    ids=["enabled again", "moved in"],
)
@pytest.mark.parametrize("after_the_close", [False, True])
def test_a_customer_that_joins_the_franchises_changes_a_day_only_by_an_invoice_made_after_its_close(
    watched: Office, out: dict[str, object], back: dict[str, object], after_the_close: bool
) -> None:
    older = BEFORE - timedelta(days=1)
    invoice = watched.world.invoice(THANE, "500", day=older)
    change(watched.erpnext, "Customer", THANE, **out)
    watched.close(older)
    change(watched.erpnext, "Customer", THANE, **back)
    created_around_the_close(watched, invoice, after=after_the_close)
    tick = watched.tick()
    if after_the_close:
        assert tick.days == [older]
    else:
        assert tick.requests == []
        assert tick.said == "3 closed days compared, 0 changed"


def test_a_draft_from_before_the_close_that_is_submitted_after_it_changes_its_day(watched: Office) -> None:
    older = BEFORE - timedelta(days=1)
    draft = seed.add_invoice(watched.erpnext, THANE, older, "500", submit=False)
    watched.close(older)
    created_around_the_close(watched, draft, after=False)
    assert watched.tick().requests == []
    manager = watched.erpnext.session()
    with watched.erpnext.site.transaction():
        manager.submit(manager.load("Sales Invoice", draft))
    (request,) = watched.tick().requests
    assert request.tags["scoopjoy/reason"] == "Franchise Thane: 7.5 % of 500.00"


def created_around_the_close(office: Office, invoice: str, *, after: bool) -> None:
    """The invoice was created a minute before or after its day was told, by ERPNext's clock."""
    day = office.erpnext.documents("Sales Invoice", name=invoice)[0]["posting_date"]
    (told,) = office.erpnext.documents("ScoopJoy Delivery", channel="hq", business_day=str(day))
    created = datetime.fromisoformat(str(told["creation"])) + timedelta(minutes=1 if after else -1)
    office.sql('UPDATE "tabSales Invoice" SET creation = ? WHERE name = ?', f"{created}", invoice)


# -- how it is found ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("one_in_turn")
@pytest.mark.parametrize(
    "what",
    [cancelled, returned, entry_cancelled, shift_open, shift_closed_by_a_person],
    ids=lambda what: what.__name__,
)
@pytest.mark.parametrize("ticks_before", [3, 4])
def test_a_touched_day_is_compared_at_once_whoever_s_turn_it_is(
    office: Office, what: Callable[[Office], None], ticks_before: int
) -> None:
    office.window_days = 6
    for _ in range(ticks_before):
        assert office.tick().requests == []
    what(office)
    assert office.tick().days == [BEFORE]


def with_a_late_watermark(office: Office) -> datetime:
    """The watermark is far behind what the close has touched, and it is the newer day's turn. Returns the watermark."""
    office.window_days = 6
    office.world.invoice(THANE, "1", day=DAY + timedelta(days=1))  # a day that has not ended
    for _ in range(3):
        assert office.tick().requests == []
    memory = Memory.of(office.cursor)
    assert memory.rotation == BEFORE
    assert memory.watermark is not None
    assert memory.watermark >= MORNING
    return memory.watermark


@pytest.mark.usefixtures("one_in_turn")
@pytest.mark.parametrize("what", [deleted, entry_lost], ids=lambda what: what.__name__)
def test_what_leaves_no_timestamp_is_found_when_the_day_s_turn_comes(
    office: Office, what: Callable[[Office], None]
) -> None:
    with_a_late_watermark(office)
    what(office)
    assert office.tick().days == []
    assert office.tick().days == [BEFORE]


@pytest.mark.usefixtures("one_in_turn")
@pytest.mark.parametrize(("minutes", "found"), [(29, [BEFORE]), (31, [])])
def test_a_document_that_is_committed_late_with_an_older_time_is_seen_within_the_overlap(
    office: Office, minutes: int, found: list[date]
) -> None:
    watermark = with_a_late_watermark(office)
    name = office.world.invoice(THANE, "250", day=BEFORE)
    saved = watermark - timedelta(minutes=minutes)
    office.sql('UPDATE "tabSales Invoice" SET modified = ? WHERE name = ?', f"{saved}", name)
    assert office.tick().days == found


def test_the_watermark_is_the_site_s_time_whatever_this_machine_s_clock_says(watched: Office) -> None:
    behind = NOW - timedelta(days=300)
    with seed.at(watched.erpnext, behind):
        watched.world.invoice(THANE, "250", day=BEFORE)
        assert watched.tick().days == [BEFORE]
    with seed.at(watched.erpnext, MORNING + timedelta(days=300)):
        watched.world.invoice(THANE, "350", day=DAY)
        assert watched.tick().days == [DAY]
    memory = Memory.of(watched.cursor)
    assert memory.watermark is not None
    assert memory.watermark > MORNING + timedelta(days=299)


def test_a_tick_writes_nothing_and_asks_the_same_few_questions_however_much_there_is(watched: Office) -> None:
    asked: list[int] = []
    for _ in range(3):
        for customer in (THANE, INDIRANAGAR):
            for day in (BEFORE, DAY):
                watched.world.invoice(customer, "10", day=day)
        watched.erpnext.requests.reset()
        assert set(watched.tick().days) == {BEFORE, DAY}
        asked.append(watched.erpnext.requests.total)
        assert watched.erpnext.requests.writes == 0
    assert asked[0] == asked[1] == asked[2] <= 21
    watched.sql('DELETE FROM "tabSales Invoice" WHERE creation >= ?', f"{MORNING}")
    watched.erpnext.requests.reset()
    assert watched.tick().said == "2 closed days compared, 0 changed"
    assert watched.erpnext.requests.total <= 15


# -- what is requested, and what is not ---------------------------------------------------------------------------------


def test_a_requested_run_posts_one_adjustment_and_then_it_is_silent(watched: Office) -> None:
    watched.world.invoice(THANE, "200", day=BEFORE)
    (request,) = watched.tick().requests
    assert watched.run(request).success
    first, second = entries(watched.erpnext, THANE, BEFORE)
    assert str(second[KEY_FIELD]).endswith(f"{THANE}:1")
    assert second["custom_scoopjoy_adjusts"] == first["name"]
    assert exact(second["total_debit"]) == exact("15")
    assert owed(watched.erpnext, THANE, BEFORE) == exact("90")
    assert ledger_balance(watched.erpnext) == 0
    assert watched.tick().said == "2 closed days compared, 0 changed"
    assert Memory.of(watched.cursor).requested == {}


def test_a_shift_that_came_late_is_closed_by_the_requested_run(watched: Office) -> None:
    shift_open(watched)
    (request,) = watched.tick().requests
    assert watched.run(request).success
    assert watched.tick().said == "2 closed days compared, 0 changed"


def test_a_day_that_changes_twice_is_requested_twice(watched: Office) -> None:
    watched.world.invoice(THANE, "250", day=BEFORE)
    (first,) = watched.tick().requests
    watched.world.invoice(THANE, "350", day=BEFORE)
    (second,) = watched.tick().requests
    assert first.partition_key == second.partition_key
    assert first.run_key != second.run_key


def test_the_same_change_after_it_was_undone_is_requested_again(watched: Office) -> None:
    keys: list[str] = []
    for _ in range(2):
        name = watched.world.invoice(THANE, "250", day=BEFORE)
        watched.sql('UPDATE "tabSales Invoice" SET creation = ? WHERE name = ?', f"{MORNING}", name)
        (request,) = watched.tick().requests
        keys.append(str(request.run_key))
        assert watched.run(request).success
        seed.cancel_document(watched.erpnext, "Sales Invoice", name)
        (request,) = watched.tick().requests
        keys.append(str(request.run_key))
        assert watched.run(request).success
        assert watched.tick().requests == []
    assert len(set(keys)) == 4


def test_a_change_that_a_person_undoes_before_its_run_is_forgotten(watched: Office) -> None:
    name = watched.world.invoice(THANE, "250", day=BEFORE)
    assert watched.tick().days == [BEFORE]
    seed.cancel_document(watched.erpnext, "Sales Invoice", name)
    assert watched.tick().requests == []
    assert Memory.of(watched.cursor).requested == {}


def test_of_two_changed_days_the_one_that_was_touched_last_comes_first(watched: Office) -> None:
    for hours, day in enumerate((DAY, BEFORE)):
        with seed.at(watched.erpnext, MORNING + timedelta(hours=hours)):
            watched.world.invoice(THANE, "250", day=day)
    assert watched.tick().days == [BEFORE, DAY]


@pytest.mark.usefixtures("one_in_turn")
def test_a_late_invoice_does_not_wait_behind_many_days_that_were_touched_before(office: Office) -> None:
    """One day a tick is compared because it was touched, one in turn; the invoice came last."""
    older = [BEFORE - timedelta(days=offset) for offset in (4, 3, 2, 1)]
    with seed.at(office.erpnext, NOW):
        for day in older:
            office.world.invoice(THANE, "500", day=day)
            office.close(day)
    office.window_days = 6
    for _ in range(8):
        assert office.tick().requests == []
    with seed.at(office.erpnext, MORNING + timedelta(hours=2)):
        for day in older[1:]:
            change(office.erpnext, "Sales Invoice", office.invoice_of(THANE, day), po_no="looked at")
    with seed.at(office.erpnext, MORNING + timedelta(hours=3)):
        office.world.invoice(THANE, "250", day=BEFORE)
    rotation = Memory.of(office.cursor).rotation
    assert office.tick().days == [BEFORE]
    assert rotation != BEFORE - timedelta(days=1)  # it was not its turn


def test_a_tick_requests_three_days_at_most_and_the_next_one_the_rest(watched: Office) -> None:
    older = [BEFORE - timedelta(days=offset) for offset in (3, 2, 1)]
    with seed.at(watched.erpnext, NOW):
        for day in older:
            watched.world.invoice(THANE, "500", day=day)
            watched.close(day)
    assert watched.tick().requests == []
    days = [*older, BEFORE, DAY]
    for minutes, day in enumerate(days):
        with seed.at(watched.erpnext, MORNING + timedelta(minutes=minutes)):
            watched.world.invoice(THANE, "250", day=day)
    assert watched.tick().days == [DAY, BEFORE, older[-1]]
    assert watched.tick().days == [older[1], older[0]]
    assert watched.tick().requests == []


def test_days_before_the_window_are_left_alone(watched: Office) -> None:
    watched.world.invoice(THANE, "250", day=BEFORE)
    watched.window_days = 1
    assert watched.tick().requests == []
    watched.window_days = 2
    assert watched.tick().days == [BEFORE]


def test_the_day_that_has_not_ended_and_days_never_closed_are_left_alone(watched: Office) -> None:
    for day in (DAY + timedelta(days=1), BEFORE - timedelta(days=1)):
        watched.world.invoice(THANE, "250", day=day)
    assert watched.tick().said == "2 closed days compared, 0 changed"


def test_a_day_whose_re_run_failed_is_left_to_the_nightly_schedule(watched: Office) -> None:
    entry_cancelled(watched)
    (request,) = watched.tick().requests
    assert not watched.run(request).success  # a person's decision is not undone
    watched.world.invoice(THANE, "250", day=BEFORE)
    assert watched.tick().requests == []


def test_a_change_whose_run_a_person_cancelled_is_not_requested_again(watched: Office) -> None:
    watched.world.invoice(THANE, "250", day=BEFORE)
    (request,) = watched.tick().requests
    run = queued(watched, BEFORE)
    assert watched.tick().requests == []
    watched.world.instance.report_run_canceled(run)
    said = watched.tick().said
    assert "requested before, and no run has put it right: 2026-11-21" in said
    watched.world.invoice(THANE, "350", day=BEFORE)
    (other,) = watched.tick().requests
    assert other.run_key != request.run_key


def queued(office: Office, day: date) -> dg.DagsterRun:
    with mock.patch.dict(os.environ, office.world.environment):
        return office.world.instance.create_run_for_job(
            office.world.job(),
            tags={"dagster/partition": day.isoformat()},
            status=dg.DagsterRunStatus.QUEUED,
            remote_job_origin=origin(),
        )


@pytest.mark.usefixtures("one_in_turn")
def test_a_day_that_is_in_flight_waits_and_is_compared_when_its_run_has_ended(office: Office) -> None:
    office.window_days = 6
    office.tick()
    office.tick()
    run = queued(office, BEFORE)
    office.world.invoice(THANE, "250", day=BEFORE)
    assert office.tick().requests == []
    assert set(Memory.of(office.cursor).waiting) == {BEFORE}
    assert office.tick().requests == []
    office.world.instance.report_run_canceled(run)
    assert office.tick().days == [BEFORE]


def test_before_any_day_is_settled_erpnext_is_not_even_asked(chain: World, close: object) -> None:
    office = Office(World(chain.erpnext, close.instance))  # type: ignore[attr-defined]
    chain.erpnext.requests.reset()
    assert "no day of the window is settled yet" in office.tick().said
    assert chain.erpnext.requests.total == 0


def test_a_new_policy_alone_requests_nothing_but_other_changes_are_still_found(watched: Office) -> None:
    watched.world.policy.update(default_rate="6", base="net_total", name="from December")
    assert watched.tick().said == "2 closed days compared, 0 changed"
    watched.world.invoice(THANE, "250", day=BEFORE)
    assert watched.tick().days == [BEFORE]


def test_a_taxed_day_is_not_requested_because_the_policy_takes_another_base(watched: Office) -> None:
    older = BEFORE - timedelta(days=1)
    for customer in (THANE, HEBBAL):
        watched.world.invoice(customer, "1000", day=older, taxes="18")
    watched.close(older)
    watched.world.policy.update(base="net_total")
    assert watched.tick().said == "3 closed days compared, 0 changed"


def test_a_day_that_was_reported_as_closed_by_hand_is_requested_once_if_the_books_are_not_closed(
    watched: Office,
) -> None:
    older = BEFORE - timedelta(days=1)
    for step in STEPS:
        for day in (older, older - timedelta(days=1)):
            watched.world.instance.report_runless_asset_event(
                dg.AssetMaterialization(step.asset, partition=day.isoformat())
            )
    watched.world.invoice(THANE, "100", day=older)
    assert watched.tick().days == [older]
    assert watched.tick().requests == []


@pytest.mark.parametrize("nobody_told", [False, True])
def test_franchises_that_vanish_in_bulk_request_nothing(watched: Office, nobody_told: bool) -> None:
    """The group was renamed, or the user may not read Customers any more: nobody's royalty is taken back."""
    if nobody_told:
        watched.sql('DELETE FROM "tabScoopJoy Delivery"')
    watched.world.options["franchise_group"] = "Franchisees"
    assert watched.tick().said == "2 closed days compared, 0 changed"
    watched.world.options["franchise_group"] = "Franchises"
    watched.sql('DELETE FROM "tabCustomer" WHERE customer_group != ?', "Individual")
    assert watched.tick().said == "2 closed days compared, 0 changed"


# -- when something is wrong --------------------------------------------------------------------------------------------


def test_erpnext_down_is_one_sentence_and_the_next_tick_finds_what_happened_meanwhile(
    watched: Office,
) -> None:
    before = watched.cursor
    watched.world.invoice(THANE, "250", day=BEFORE)
    watched.resources["erpnext"] = ERPNextResource(
        url="http://127.0.0.1:9", api_key="k", api_secret="sentinel"
    )
    tick = watched.tick()
    assert tick.requests == []
    assert tick.said.startswith("ERPNext could not be read, the next tick tries again: ")
    assert "sentinel" not in tick.said
    assert "\n" not in tick.said
    assert tick.cursor == before
    del watched.resources["erpnext"]
    assert watched.tick().days == [BEFORE]


def test_a_wrong_key_is_one_sentence_without_the_key(watched: Office) -> None:
    before = watched.cursor
    watched.world.options["api_secret"] = "sentinel"
    tick = watched.tick()
    assert "ERPNext does not accept the API key and secret" in tick.said
    assert "sentinel" not in tick.said
    assert tick.cursor == before


@pytest.mark.parametrize("nth", [1, 4, 9])
def test_a_list_that_fails_in_the_middle_leaves_the_cursor_as_it_was(watched: Office, nth: int) -> None:
    before = watched.cursor
    watched.world.invoice(THANE, "250", day=BEFORE)
    watched.erpnext.faults.add("html_500", path="get_list", nth=nth)
    tick = watched.tick()
    assert tick.said.startswith("ERPNext could not be read")
    assert tick.cursor == before
    watched.erpnext.faults.clear()
    assert watched.tick().days == [BEFORE]


@pytest.mark.parametrize(
    "broken",
    [
        None,
        "",
        "no JSON",
        "[]",
        '{"version": 1}',
        '{"version": 2, "watermark": "2026-11-23T01:00:00+05:30"}',
        '{"version": 2, "surprise": 1}',
    ],
)
def test_a_broken_cursor_begins_again_with_a_comparison_and_asks_under_the_same_key(
    watched: Office, broken: str | None
) -> None:
    watched.world.invoice(THANE, "250", day=BEFORE)
    (first,) = watched.tick().requests
    watched.cursor = broken
    (again,) = watched.tick().requests
    # Dagster starts one run for a key, whatever the cursor says.
    assert again.run_key == first.run_key
    assert json.loads(str(watched.cursor))["version"] == 2
    assert watched.tick().requests == []


@pytest.mark.parametrize("cursor", ["half of it", "[1, 2, 3]", '{"version": 1}'])
def test_a_cursor_that_cannot_be_read_begins_again_and_the_log_says_so_once(
    watched: Office, caplog: pytest.LogCaptureFixture, cursor: str
) -> None:
    watched.cursor = cursor
    watched.resources["erpnext"] = ERPNextResource(url="http://127.0.0.1:9", api_key="k", api_secret="s")
    watched.tick()
    del watched.resources["erpnext"]
    assert watched.tick().requests == []
    watched.world.invoice(THANE, "250", day=BEFORE)
    assert watched.tick().days == [BEFORE]
    assert sum(cursor in one.message for one in caplog.records) == 1
