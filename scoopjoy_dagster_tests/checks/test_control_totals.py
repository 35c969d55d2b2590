"""All control totals: each is a check of its asset, recorded for its day, and documented; a right day passes them all."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from scoopjoy_dagster.accounting.totals import CONTROL_TOTALS, ControlTotal, totals_of
from scoopjoy_dagster.checks import control_totals
from scoopjoy_dagster.partitions import business_days
from scoopjoy_dagster_tests.checks.conftest import After
from scoopjoy_dagster_tests.world import DAY, THANE, World

DOCUMENT = Path(__file__).parents[2] / "docs/control-totals.md"
FOUR = {"expected", "actual", "difference", "worst_five"}


@pytest.fixture(scope="module")
def made() -> list[dg.AssetChecksDefinition]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return control_totals.build(business_days(DAY))


@pytest.fixture
def remembered(full_chain: World) -> Iterator[World]:
    """The chain with an instance of its own."""
    with dg.DagsterInstance.ephemeral() as instance:
        full_chain.instance = instance
        yield full_chain


def key_of(total: ControlTotal) -> dg.AssetCheckKey:
    return dg.AssetCheckKey(dg.AssetKey(total.asset), total.name)


def recorded(world: World) -> dict[str, tuple[str | None, AssetCheckExecutionRecordStatus]]:
    """What the instance keeps of each check: the day and whether it passed."""
    keys = [key_of(one) for one in CONTROL_TOTALS]
    found = world.instance.event_log_storage.get_asset_check_partition_info(keys)
    return {one.check_key.name: (one.partition_key, one.latest_execution_status) for one in found}


def test_every_control_total_is_a_check_of_its_asset_with_its_question(
    made: list[dg.AssetChecksDefinition],
) -> None:
    specs = {spec.key: spec for one in made for spec in one.check_specs}
    assert set(specs) == {key_of(one) for one in CONTROL_TOTALS}
    for total in CONTROL_TOTALS:
        spec = specs[key_of(total)]
        assert spec.blocking is total.blocking
        assert spec.description == total.question
        assert spec.partitions_def == business_days(DAY)


def test_one_step_answers_for_one_asset(made: list[dg.AssetChecksDefinition]) -> None:
    assert [one.node_def.name for one in made] == [
        f"{asset}_control_totals" for asset in ("closed_shifts", "royalties", "invoices", "hq_sync")
    ]


def test_a_right_day_passes_them_all_and_every_one_is_recorded_for_its_day(remembered: World) -> None:
    remembered.shift(3)
    remembered.a_day()
    for _ in range(2):
        day = remembered.close()
        assert day.success
        for total in CONTROL_TOTALS:
            check = day.check(total.name)
            assert check.passed, check
            assert check.metadata.keys() >= FOUR
            assert check.description
        assert recorded(remembered) == {
            one.name: (DAY.isoformat(), AssetCheckExecutionRecordStatus.SUCCEEDED) for one in CONTROL_TOTALS
        }


def test_one_that_fails_is_recorded_for_its_day_and_those_behind_it_have_no_answer(
    remembered: World, after: After
) -> None:
    remembered.a_day()
    came: list[str] = []
    after("royalties", lambda: came or came.append(remembered.invoice(THANE, "1000")))
    assert not remembered.close().success
    states = {name: status for name, (_, status) in recorded(remembered).items()}
    assert states["does_the_ledger_equal_the_rule"] is AssetCheckExecutionRecordStatus.FAILED
    assert states["are_the_sales_as_usual"] is AssetCheckExecutionRecordStatus.SUCCEEDED
    for behind in (*totals_of("invoices"), *totals_of("hq_sync")):
        assert states[behind.name] is AssetCheckExecutionRecordStatus.PLANNED


def test_an_asset_that_is_run_alone_has_its_own_checks_only(chain: World) -> None:
    chain.a_day()
    day = chain.close("royalties")
    assert {one.check_name for one in day.result.get_asset_check_evaluations()} == {
        one.name for one in totals_of("royalties")
    }


def test_the_table_of_the_document_has_every_control_total_with_its_asset_and_effect() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| `(\w+)` \| (blocking|warning) \|", DOCUMENT.read_text("utf-8"), re.MULTILINE
    )
    assert rows == [
        (one.name, one.asset, "blocking" if one.blocking else "warning") for one in CONTROL_TOTALS
    ]
