"""What a failure stops and what it must not touch; and which days a run may close."""

from __future__ import annotations

import os
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from unittest import mock

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
    owed,
    submitted_closings,
)

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


def test_days_may_be_closed_in_any_order(three_days: World) -> None:
    for number in (2, 0, 1):
        assert three_days.close("closed_shifts", "royalties", day=FIRST + timedelta(days=number)).success
    for opening in three_days.erpnext.documents("POS Opening Entry"):
        (closing,) = submitted_closings(three_days.erpnext, opening["name"])
        assert closing["posting_date"] == opening["posting_date"]
        assert len(closing["pos_transactions"]) == 2


def test_a_day_that_fails_is_observed_with_its_outcome_and_materialized_by_the_next_run(
    full_chain: World, tmp_path: Path
) -> None:
    full_chain.a_day()
    full_chain.erpnext.settings.frozen_upto = DAY
    with dg.DagsterInstance.local_temp(str(tmp_path)) as full_chain.instance:
        failed = full_chain.close()
        assert not failed.success
        (observed,) = failed.observations("royalties")
        assert observed.partition == str(DAY)
        assert observed.metadata["exceptions"].value == 5
        assert settled(full_chain) == set()
        full_chain.erpnext.settings.frozen_upto = None
        assert full_chain.close().success
        assert settled(full_chain) == {str(DAY)}
    assert full_chain.owed() == full_chain.expected()


def settled(world: World) -> set[str]:
    return settled_days(world.instance, business_days(date(2026, 11, 1)), [str(DAY)])


def test_every_control_total_is_recorded_for_the_day_and_names_what_it_judged(
    full_chain: World, tmp_path: Path
) -> None:
    full_chain.a_day()
    with dg.DagsterInstance.local_temp(str(tmp_path)) as full_chain.instance:
        night = full_chain.close()
        assert night.success
        found = [
            one.asset_check_evaluation_data
            for one in night.logged
            if one.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
        ]
        names = {one.name for one in CONTROL_TOTALS}
        assert sorted((one.check_name, one.partition) for one in found) == sorted(
            (name, str(DAY)) for name in names
        )
        judged = {
            one.target_materialization_data.storage_id for one in found if one.target_materialization_data
        }
        assert len(judged) == 4
        info = full_chain.instance.event_log_storage.get_asset_check_partition_info(
            [dg.AssetCheckKey(dg.AssetKey(one.asset), one.name) for one in CONTROL_TOTALS]
        )
    assert {(one.check_key.name, one.partition_key) for one in info} == {(name, str(DAY)) for name in names}
    assert {one.latest_execution_status.value for one in info} == {"SUCCEEDED"}


def test_a_day_opens_few_connections_to_postgresql_however_much_it_records(
    full_chain: World, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    full_chain.a_day()
    with EmbeddedPostgres(tmp_path / "postgres") as server:
        (home / "dagster.yaml").write_text(f"storage: {{postgres: {{postgres_url: '{server.url}'}}}}\n")
        engine = sa.create_engine(server.url, poolclass=sa.NullPool)

        def opened() -> int:
            with engine.connect() as connection:
                return int(
                    connection.execute(sa.text("SELECT sum(sessions) FROM pg_stat_database")).scalar_one()
                )

        with dg.DagsterInstance.from_config(str(home)) as full_chain.instance:
            assert full_chain.close("royalties").success
            before = opened()
            days = full_chain.close("royalties")
            events = len(full_chain.instance.all_logs(days.result.run_id))
        assert days.success
        assert events > 20
        assert opened() - before <= 2  # the looks themselves


BEFORE = date(2020, 1, 1)


@pytest.mark.parametrize("day", [BEFORE, date(2026, 10, 31), DAY + timedelta(days=1)])
def test_a_day_before_go_live_or_that_has_not_ended_is_one_sentence_and_nothing_is_read_or_written(
    chain: World, day: date
) -> None:
    """Dagster runs any day that the tags of a run name."""
    chain.erpnext.requests.reset()
    night = tagged(chain, day, day)
    failure = night.failure("closed_shifts").user_failure_data
    assert failure is not None
    assert failure.description == (
        f"{day} cannot be closed: only the business days from 2026-11-01 (go-live) to 2026-11-22 (the last that has ended) "
        "can. Launch a run of these; nothing was done."
    )
    assert [asset for asset in ASSETS if night.materializations(asset)] == []
    assert chain.erpnext.requests.total == 0


def tagged(chain: World, first: date, last: date) -> Close:
    """A run that names its days by Dagster's tags of a range, as a person can who launches it over GraphQL."""
    with mock.patch.dict(os.environ, chain.environment):
        result = chain.job().execute_in_process(
            instance=chain.instance,
            raise_on_error=False,
            tags={
                "dagster/asset_partition_range_start": f"{first}",
                "dagster/asset_partition_range_end": f"{last}",
            },
        )
    return Close(result, chain.instance)


def test_a_run_of_several_days_is_refused_in_one_sentence(chain: World) -> None:
    chain.erpnext.requests.reset()
    failure = tagged(chain, DAY - timedelta(days=1), DAY).failure("closed_shifts").user_failure_data
    assert failure is not None
    assert failure.description == (
        "One run closes one business day; this one names 2026-11-21 to 2026-11-22. Launch a backfill of these days: it makes "
        "one run for each. Nothing was done."
    )
    assert chain.erpnext.requests.total == 0


def test_before_the_first_day_has_ended_no_day_can_be_closed(chain: World) -> None:
    chain.now = datetime(2026, 11, 1, 12)
    failure = tagged(chain, BEFORE, BEFORE).failure("closed_shifts").user_failure_data
    assert failure is not None
    assert failure.description == (
        "2020-01-01 cannot be closed: no business day has ended since go-live; nothing was done."
    )
