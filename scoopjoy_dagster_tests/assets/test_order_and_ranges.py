"""What a failure stops and what it must not touch; and several days in one run."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import dagster as dg
import pytest

from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster_tests.world import (
    BANJARA,
    DAY,
    THANE,
    World,
    by_rule,
    change,
    entries,
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
            full_chain.erpnext.faults.add("permission_lost", path="upload_file", times=None)
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
    description = days.failure("royalties").user_failure_data.description
    assert str(FIRST) in description
    assert str(DAY) not in description
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
