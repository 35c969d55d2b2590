"""What Dagster knows about days, from real runs in real storage."""

from __future__ import annotations

import time
import warnings

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.automation.state import (
    BLOCKING_CHECKS,
    business_day_of,
    days_to_run,
    in_flight_days,
    settled_days,
)
from scoopjoy_dagster.checks import control_totals
from scoopjoy_dagster_tests.automation.world import DAYS, NAMES, Close, refusal

ENDED = ["2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04"]
DAY = ENDED[0]


def settled(close: Close) -> set[str]:
    return settled_days(close.instance, DAYS, ENDED)


def test_nothing_is_settled_before_the_first_run(close: Close) -> None:
    assert settled(close) == set()


def test_a_day_is_settled_when_all_five_steps_are_materialized(close: Close) -> None:
    close.run(DAY, only=NAMES[:4])
    assert settled(close) == set()
    close.run(DAY, only=NAMES[4:])
    assert settled(close) == {DAY}


@pytest.mark.parametrize("step", ["closed_shifts", "hq_sync"])
def test_a_re_run_that_fails_unsettles_a_day_that_was_settled(close: Close, step: str) -> None:
    close.settle(DAY)
    assert settled(close) == {DAY}
    close.boom[step] = refusal(step, DAY)
    assert close.run(DAY).is_failure
    assert settled(close) == set()
    close.boom.clear()
    assert close.run(DAY).is_success
    assert settled(close) == {DAY}


def test_one_step_that_fails_in_a_re_run_of_its_own_unsettles_the_day(close: Close) -> None:
    close.settle(DAY)
    close.boom["reports"] = refusal("reports", DAY)
    close.run(DAY, only=["reports"])
    assert settled(close) == set()


def test_a_ledger_check_that_fails_unsettles_the_day_although_every_step_is_materialized(
    close: Close,
) -> None:
    close.settle(DAY)
    close.ledger_ok = False
    assert close.run(DAY, only=["royalties"]).is_failure
    assert settled(close) == set()
    close.ledger_ok = True
    close.run(DAY, only=["royalties"])
    assert settled(close) == {DAY}


def test_a_check_that_breaks_unsettles_the_day_although_every_step_is_materialized(close: Close) -> None:
    """It was planned and never answered: that is no pass."""
    close.settle(DAY)
    close.ledger_unread = True
    assert close.run(DAY, only=["royalties"]).is_failure
    assert settled(close) == set()
    close.ledger_unread = False
    close.run(DAY, only=["royalties"])
    assert settled(close) == {DAY}


def test_a_run_that_a_person_ends_before_its_check_leaves_the_day_as_it_was(close: Close) -> None:
    close.settle(DAY)
    close.ledger_unread = True
    run = close.run(DAY, only=["royalties"])
    close.instance.report_run_canceled(run)
    assert settled(close) == {DAY}


def _evaluated(close: Close, key: dg.AssetCheckKey, *, passed: bool, day: str = DAY) -> None:
    close.instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=key.asset_key, check_name=key.name, passed=passed, partition=day, blocking=True
        )
    )


@pytest.mark.parametrize("key", BLOCKING_CHECKS, ids=lambda key: key.name)
def test_any_blocking_check_that_failed_unsettles_the_day(close: Close, key: dg.AssetCheckKey) -> None:
    close.settle(DAY, "2026-03-02")
    _evaluated(close, key, passed=False)
    _evaluated(close, key, passed=True, day="2026-03-02")
    assert settled(close) == {"2026-03-02"}


@pytest.mark.parametrize(
    "name", ["did_every_franchise_sell", "is_every_franchise_still_there", "are_the_sales_as_usual"]
)
def test_a_check_that_only_warns_leaves_the_day_settled(close: Close, name: str) -> None:
    close.settle(DAY)
    _evaluated(close, dg.AssetCheckKey(dg.AssetKey("royalties"), name), passed=False)
    assert settled(close) == {DAY}


def test_the_blocking_checks_are_those_of_the_close() -> None:
    made = [spec for one in _checks() for spec in one.check_specs]
    assert {spec.key for spec in made if spec.blocking} == set(BLOCKING_CHECKS)
    assert {key.name for key in BLOCKING_CHECKS} == set(control_totals.BLOCKING)


def _checks() -> list[dg.AssetChecksDefinition]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return control_totals.build(DAYS)


def test_unfinished_runs_name_their_days_and_finished_ones_do_not(close: Close) -> None:
    close.run("2026-03-01", only=["reports"])
    close.queue({"dagster/partition": "2026-03-02"})
    close.queue({})
    assert in_flight_days(close.instance) == {"2026-03-02"}


@pytest.mark.parametrize("status", ["NOT_STARTED", "STARTING", "STARTED", "CANCELING"])
def test_a_run_is_in_flight_in_every_unfinished_state(close: Close, status: str) -> None:
    close.instance.create_run_for_job(
        close.defs.resolve_job_def("nightly_close"),
        tags={"dagster/partition": DAY},
        status=dg.DagsterRunStatus[status],
    )
    assert in_flight_days(close.instance) == {DAY}


def asset_backfill(close: Close, days: list[str]) -> PartitionBackfill:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Dagster's own
        return PartitionBackfill.from_asset_partitions(
            backfill_id="bf1",
            asset_graph=close.defs.resolve_asset_graph(),
            partition_names=days,
            asset_selection=[dg.AssetKey(name) for name in NAMES],
            backfill_timestamp=time.time(),
            tags={},
            dynamic_partitions_store=close.instance,
            all_partitions=False,
            title=None,
            description=None,
            run_config=None,
        )


def test_days_that_an_asset_backfill_has_still_to_launch_are_in_flight(close: Close) -> None:
    backfill = asset_backfill(close, ENDED[:3])
    data = backfill.asset_backfill_data
    assert data is not None
    launched = data.target_subset.filter_asset_keys(set(data.target_subset.asset_keys))
    requested = asset_backfill(close, ENDED[:1]).asset_backfill_data
    assert requested is not None
    backfill = backfill.with_asset_backfill_data(
        data.replace_requested_subset(launched & requested.target_subset),
        close.instance,
        close.defs.resolve_asset_graph(),
    )
    close.instance.add_backfill(backfill)
    # The first day was launched, and its run has ended: whether it is right shows in its state.
    assert in_flight_days(close.instance) == {ENDED[1], ENDED[2]}
    close.instance.update_backfill(backfill._replace(status=BulkActionStatus.COMPLETED_FAILED))
    assert in_flight_days(close.instance) == set()


def test_days_that_a_job_backfill_has_still_to_launch_are_in_flight(close: Close) -> None:
    close.instance.add_backfill(
        PartitionBackfill(
            "bf2",
            BulkActionStatus.REQUESTED,
            from_failure=False,
            tags={},
            backfill_timestamp=time.time(),
            partition_names=ENDED[:3],
            last_submitted_partition_name=ENDED[0],
        )
    )
    assert in_flight_days(close.instance) == {ENDED[1], ENDED[2]}


@pytest.mark.parametrize(
    "tags",
    [{}, {"dagster/partition": "CUST-1"}, {"dagster/partition": "2026-03"}],
    ids=["none", "not a day", "a month"],
)
def test_tags_that_name_no_day_name_none(tags: dict[str, str]) -> None:
    assert business_day_of(tags) == ""


DAY_SETS = st.sets(st.sampled_from([f"2026-03-{n:02d}" for n in range(1, 21)]))


@given(ended=DAY_SETS, settled=DAY_SETS, in_flight=DAY_SETS, lookback=st.integers(1, 30))
def test_exactly_the_unsettled_ended_days_in_reach_are_run_oldest_first(
    ended: set[str], settled: set[str], in_flight: set[str], lookback: int
) -> None:
    ordered = sorted(ended)
    todo = days_to_run(ordered, settled, in_flight, lookback)
    assert todo == sorted(todo)
    assert set(todo) == set(ordered[-lookback:]) - settled - in_flight
