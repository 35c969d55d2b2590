"""What a failure stops and what it must not touch; and several days in one run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from scoopjoy_dagster.accounting.totals import CONTROL_TOTALS
from scoopjoy_dagster.automation.state import settled_days
from scoopjoy_dagster.local.postgres import EmbeddedPostgres
from scoopjoy_dagster.partitions import business_days
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster_tests.world import (
    BANJARA,
    DAY,
    THANE,
    Close,
    World,
    by_rule,
    change,
    entries,
    insert,
    owed,
    submitted_closings,
)

pytestmark = pytest.mark.usefixtures("quick_charts")

ASSETS = ("closed_shifts", "royalties", "invoices", "reports", "hq_sync")


def states(day: object) -> dict[str, str]:
    return {asset: day.status(asset) for asset in ASSETS}  # type: ignore[attr-defined]


@pytest.mark.parametrize("broken", ["invoices", "reports", "hq_sync"])
def test_a_failure_that_is_not_critical_never_touches_the_other_two(full_chain: World, broken: str) -> None:
    full_chain.a_day()
    match broken:
        case "invoices":
            full_chain.erpnext.faults.add("permission_lost", path="insert_many", doctype="File", times=None)
        case "reports":
            full_chain.mail.down = True
        case "hq_sync":
            full_chain.headquarters.fail_next(400)
    day = full_chain.close()
    assert states(day) == dict.fromkeys(ASSETS, "success") | {broken: "failure"}
    assert full_chain.owed() == full_chain.expected()
    if broken != "hq_sync":
        assert len(full_chain.headquarters.deliveries) == 1
    if broken != "reports":
        assert len(full_chain.mail.messages) == 2
    if broken != "invoices":
        assert len(full_chain.erpnext.documents("File")) == 5


def test_a_shift_that_cannot_be_closed_stops_everything_after_it(full_chain: World) -> None:
    full_chain.shift(1)
    full_chain.a_day()
    change(full_chain.erpnext, "Customer", "Walk-in Customer", disabled=1)
    day = full_chain.close()
    assert states(day) == dict.fromkeys(ASSETS, "never") | {"closed_shifts": "failure"}
    assert entries(full_chain.erpnext) == []
    assert (full_chain.mail.messages, full_chain.headquarters.attempts) == ([], [])


def test_a_royalty_that_cannot_be_posted_stops_everything_after_it(full_chain: World) -> None:
    full_chain.shift(1)
    full_chain.a_day()
    change(full_chain.erpnext, "Customer", THANE, custom_royalty_percentage=-3)
    day = full_chain.close()
    assert states(day) == dict.fromkeys(ASSETS, "never") | {
        "closed_shifts": "success",
        "royalties": "failure",
    }
    assert owed(full_chain.erpnext, BANJARA) == by_rule(full_chain.erpnext, BANJARA, Decimal(8))
    assert (full_chain.mail.messages, full_chain.headquarters.attempts) == ([], [])
    assert full_chain.erpnext.documents("File") == []


FIRST = DAY - timedelta(days=2)


@pytest.fixture
def three_days(chain: World) -> World:
    """Three days of sales to Thane: 1000, 2000, 3000 INR; a shift on each."""
    for number in range(3):
        day = FIRST + timedelta(days=number)
        opened = seed.facts.end_of(day) - timedelta(hours=12)
        with seed.at(chain.erpnext, seed.facts.end_of(day)):
            chain.invoice(THANE, str(1000 * (number + 1)), day=day)
            chain.shift(2, opened=opened)
    return chain


def test_a_range_records_each_day_with_its_own_metadata(three_days: World) -> None:
    days = three_days.close("closed_shifts", "royalties", "invoices", day=FIRST, until=DAY)
    assert days.success
    for asset in ("closed_shifts", "royalties", "invoices"):
        found = {one.partition: one.metadata for one in days.materializations(asset)}
        assert list(found) == [str(FIRST + timedelta(days=number)) for number in range(3)]
        assert {partition: one["business_day"].value for partition, one in found.items()} == {
            partition: partition for partition in found
        }
    amounts = [one.metadata["royalty_exact"].value for one in days.materializations("royalties")]
    assert amounts == ["75.00", "150.00", "225.00"]
    assert [owed(three_days.erpnext, THANE, FIRST + timedelta(days=n)) for n in range(3)] == [75, 150, 225]
    postings = [doc["posting_date"] for doc in three_days.erpnext.documents("POS Closing Entry", docstatus=1)]
    assert sorted(postings) == [str(FIRST + timedelta(days=number)) for number in range(3)]
    three_days.erpnext.requests.reset()
    assert three_days.close("closed_shifts", "royalties", "invoices", day=FIRST, until=DAY).success
    assert three_days.erpnext.requests.writes == 0


def test_a_bad_day_in_a_range_fails_the_run_and_keeps_the_others(three_days: World, tmp_path) -> None:
    three_days.erpnext.settings.frozen_upto = FIRST
    with dg.DagsterInstance.local_temp(str(tmp_path)) as three_days.instance:
        days = three_days.close("royalties", day=FIRST, until=DAY)
        assert not days.success
        done = three_days.instance.get_materialized_partitions(dg.AssetKey("royalties"))
        assert done == {str(FIRST + timedelta(days=1)), str(DAY)}
        (observed,) = three_days.instance.fetch_observations(dg.AssetKey("royalties"), limit=10).records
        assert observed.partition_key == str(FIRST)
    assert [owed(three_days.erpnext, THANE, FIRST + timedelta(days=n)) for n in range(3)] == [0, 150, 225]
    # The last step of the run fails it: here the control totals.
    description = days.failure("royalties_control_totals").user_failure_data.description
    assert description == f"royalties is not done for {FIRST}"
    metadata = {
        one.partition: one.metadata["royalty_exact"].value for one in days.materializations("royalties")
    }
    assert metadata == {str(FIRST + timedelta(days=1)): "150.00", str(DAY): "225.00"}


def test_days_may_be_closed_in_any_order(three_days: World) -> None:
    for number in (2, 0, 1):
        assert three_days.close("closed_shifts", "royalties", day=FIRST + timedelta(days=number)).success
    for opening in three_days.erpnext.documents("POS Opening Entry"):
        (closing,) = submitted_closings(three_days.erpnext, opening["name"])
        assert closing["posting_date"] == opening["posting_date"]
        assert len(closing["pos_transactions"]) == 2


# -- a range through all five assets ------------------------------------------------------------------------------

SECOND = FIRST + timedelta(days=1)


@pytest.fixture
def whole_range(full_chain: World, tmp_path: Path) -> Iterator[World]:
    """Three days of sales to Thane and a shift on each, headquarters and mail, and an instance with a history."""
    for number in range(3):
        day = FIRST + timedelta(days=number)
        with seed.at(full_chain.erpnext, seed.facts.end_of(day)):
            full_chain.invoice(THANE, str(1000 * (number + 1)), day=day)
            full_chain.shift(2, opened=seed.facts.end_of(day) - timedelta(hours=12))
    with dg.DagsterInstance.local_temp(str(tmp_path)) as full_chain.instance:
        yield full_chain


def recorded(world: World, asset: str) -> set[str]:
    return set(world.instance.get_materialized_partitions(dg.AssetKey(asset)))


def settled(world: World) -> set[str]:
    days = business_days(date(2026, 11, 1))
    return settled_days(world.instance, days, [str(FIRST + timedelta(days=n)) for n in range(3)])


def test_a_day_that_fails_in_a_range_stops_only_itself_and_the_settled_state_is_right(
    whole_range: World,
) -> None:
    period = insert(
        whole_range.erpnext,
        "Accounting Period",
        period_name="One day",
        company="ScoopJoy",
        start_date=SECOND.isoformat(),
        end_date=SECOND.isoformat(),
        closed_documents=[{"document_type": "Journal Entry", "closed": 1}],
    )
    days = whole_range.close(day=FIRST, until=DAY)
    assert not days.success
    assert states(days) == {
        "closed_shifts": "success",
        "royalties": "success",  # it went on with the other days
        "invoices": "success",
        "reports": "failure",  # and the last steps say that a day is missing
        "hq_sync": "success",
    }
    failed = {event.step_key for event in days.result.get_step_failure_events()}
    assert failed == {"reports", "invoices_control_totals", "hq_sync_control_totals"}
    assert recorded(whole_range, "closed_shifts") == {str(FIRST), str(SECOND), str(DAY)}
    for asset in ASSETS[1:]:
        assert recorded(whole_range, asset) == {str(FIRST), str(DAY)}, asset
    (observed,) = days.observations("royalties")
    assert observed.partition == str(SECOND)
    assert (
        days.failure("reports").user_failure_data.description == f"royalties failed for {SECOND}: not started"
    )
    for asset in ("invoices", "hq_sync"):
        description = days.failure(f"{asset}_control_totals").user_failure_data.description
        assert description == f"{asset} is not done for {SECOND}"
    assert all(days.observations(asset) == [] for asset in ASSETS[2:])
    assert settled(whole_range) == {str(FIRST), str(DAY)}
    assert [one.payload["business_day"] for one in whole_range.headquarters.deliveries] == [
        str(FIRST),
        str(DAY),
    ]
    assert [owed(whole_range.erpnext, THANE, FIRST + timedelta(days=n)) for n in range(3)] == [75, 0, 225]

    # Launched again it does what is missing, and nothing else.
    (closed,) = whole_range.erpnext.documents("Accounting Period", name=period)[0]["closed_documents"]
    change(whole_range.erpnext, "Accounting Period", period, closed_documents=[closed | {"closed": 0}])
    whole_range.erpnext.requests.reset()
    again = whole_range.close(day=FIRST, until=DAY)
    assert again.success
    assert settled(whole_range) == {str(FIRST), str(SECOND), str(DAY)}
    written = {one.partition: one.metadata["written"].value for one in again.materializations("royalties")}
    assert written == {str(FIRST): 0, str(SECOND): 1, str(DAY): 0}
    assert [one.payload["business_day"] for one in whole_range.headquarters.deliveries][2:] == [str(SECOND)]
    whole_range.erpnext.requests.reset()
    assert whole_range.close(day=FIRST, until=DAY).success
    assert whole_range.erpnext.requests.writes == 0


def test_a_control_total_that_does_not_hold_stops_only_its_day_of_a_range(whole_range: World) -> None:
    def lose(_: object) -> None:
        # Somebody cancels the entry of the second day right after it was posted, as the control totals begin to read.
        (entry,) = entries(whole_range.erpnext, THANE, SECOND)
        seed.cancel_document(whole_range.erpnext, "Journal Entry", entry["name"])

    whole_range.erpnext.faults.add("meanwhile", path="get_list", doctype="Customer", nth=2, hook=lose)
    days = whole_range.close(day=FIRST, until=DAY)
    assert not days.success
    assert whole_range.erpnext.faults.struck
    broken = {(one.check_name, one.partition) for one in checks_of(days) if not one.passed and one.blocking}
    assert ("does_the_ledger_equal_the_rule", str(SECOND)) in broken
    assert {partition for _, partition in broken} == {str(SECOND)}
    assert recorded(whole_range, "invoices") == {str(FIRST), str(DAY)}
    assert settled(whole_range) == {str(FIRST), str(DAY)}


def checks_of(days: Close) -> list[dg.AssetCheckEvaluation]:
    kind = dg.DagsterEventType.ASSET_CHECK_EVALUATION
    return [one.asset_check_evaluation_data for one in days.logged if one.event_type is kind]


def test_every_control_total_of_a_range_is_recorded_for_each_of_its_days(whole_range: World) -> None:
    days = whole_range.close(day=FIRST, until=DAY)
    assert days.success
    found = checks_of(days)
    names = {one.name for one in CONTROL_TOTALS}
    wanted = {(name, str(FIRST + timedelta(days=n))) for name in names for n in range(3)}
    assert {(one.check_name, one.partition) for one in found} == wanted
    assert len(found) == len(wanted)
    # Each names the materialization that it judged: of its own asset and day, and of this run.
    judged = {one.target_materialization_data.storage_id for one in found if one.target_materialization_data}
    assert len(judged) == 4 * 3
    info = whole_range.instance.event_log_storage.get_asset_check_partition_info(
        [dg.AssetCheckKey(dg.AssetKey(one.asset), one.name) for one in CONTROL_TOTALS]
    )
    assert {(one.check_key.name, one.partition_key) for one in info} == wanted
    assert {one.latest_execution_status.value for one in info} == {"SUCCEEDED"}


def test_a_day_of_a_range_is_recorded_before_the_next_one_is_begun(whole_range: World) -> None:
    seen: list[set[str]] = []
    whole_range.erpnext.faults.add(
        "meanwhile",
        method="POST",
        path="/api/resource/POS Closing Entry",
        times=3,
        hook=lambda _: seen.append(recorded(whole_range, "closed_shifts")),
    )
    assert whole_range.close("closed_shifts", day=FIRST, until=DAY).success
    assert seen == [set(), {str(FIRST)}, {str(FIRST), str(SECOND)}]
    assert (
        len(whole_range.instance.fetch_materializations(dg.AssetKey("closed_shifts"), limit=10).records) == 3
    )


def test_a_range_is_read_in_windows_of_the_setting(whole_range: World) -> None:
    def lists(window_days: int) -> int:
        whole_range.window_days = window_days
        whole_range.erpnext.requests.reset()
        assert whole_range.close("royalties", day=FIRST, until=DAY).success
        return sum(one.doctype == "GL Entry" for one in whole_range.erpnext.requests.entries)

    assert whole_range.close("royalties", day=FIRST, until=DAY).success
    # One for the asset and one for its control totals, which read for themselves.
    assert [lists(1), lists(2), lists(31)] == [6, 4, 2]


def test_days_of_a_range_that_were_right_already_are_logged_in_one_line(whole_range: World) -> None:
    def lines(days: Close) -> list[str]:
        logged = days.instance.all_logs(days.result.run_id)
        return [line.user_message for line in logged if line.dagster_event is None]

    def range_of_royalties() -> Close:
        return whole_range.close("closed_shifts", "royalties", day=FIRST, until=DAY)

    first = range_of_royalties()
    assert sum(line.startswith("royalties 2026-") for line in lines(first)) == 3
    again = lines(range_of_royalties())
    assert sum(line.startswith("royalties 2026-") for line in again) == 0
    assert again.count("3 days were right already: nothing was written") == 2


def test_a_range_opens_few_connections_to_postgresql_however_much_it_records(
    whole_range: World, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with EmbeddedPostgres(tmp_path / "postgres") as server:
        (home / "dagster.yaml").write_text(f"storage: {{postgres: {{postgres_url: '{server.url}'}}}}\n")
        engine = sa.create_engine(server.url, poolclass=sa.NullPool)

        def opened() -> int:
            with engine.connect() as connection:
                return int(
                    connection.execute(sa.text("SELECT sum(sessions) FROM pg_stat_database")).scalar_one()
                )

        with dg.DagsterInstance.from_config(str(home)) as whole_range.instance:
            assert whole_range.close("royalties", day=FIRST, until=DAY).success
            before = opened()
            days = whole_range.close("royalties", day=FIRST, until=DAY)
            events = len(whole_range.instance.all_logs(days.result.run_id))
        assert days.success
        assert events > 40
        assert opened() - before <= 2  # the looks themselves


BEFORE = date(2020, 1, 1)


@pytest.mark.parametrize(
    ("first", "last", "named"),
    [
        (BEFORE, BEFORE, "2020-01-01"),
        (date(2026, 10, 31), date(2026, 11, 1), "2026-10-31"),
        (DAY, DAY + timedelta(days=1), "2026-11-23"),
        (DAY, DAY - timedelta(days=1), "A range whose end lies before its start"),
    ],
)
def test_days_before_go_live_or_that_have_not_ended_are_one_sentence_and_nothing_is_read_or_written(
    chain: World, first: date, last: date, named: str
) -> None:
    """Dagster runs any days that the tags of a run name."""
    chain.erpnext.requests.reset()
    night = chain.close(day=first, until=last)
    failure = night.failure("closed_shifts").user_failure_data
    assert failure is not None
    assert failure.description == (
        f"{named} cannot be closed: only the business days from 2026-11-01 (go-live) to 2026-11-22 (the last that has ended) "
        "can. Launch a run of these; nothing was done."
    )
    assert [asset for asset in ASSETS if night.materializations(asset)] == []
    assert chain.erpnext.requests.total == 0


def test_before_the_first_day_has_ended_no_day_can_be_closed(chain: World) -> None:
    chain.now = datetime(2026, 11, 1, 12)
    failure = chain.close(day=BEFORE, until=BEFORE).failure("closed_shifts").user_failure_data
    assert failure is not None
    assert failure.description == (
        "2020-01-01 cannot be closed: no business day has ended since go-live; nothing was done."
    )
