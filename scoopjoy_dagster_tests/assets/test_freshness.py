"""Freshness of `hq_sync`: late at 06:00 when nothing was told since midnight, judged by Dagster's own evaluator."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState
from dagster._core.definitions.freshness_evaluator import CronFreshnessPolicyEvaluator
from dagster._core.loader import LoadingContextForTest
from dagster._core.test_utils import freeze_time

from scoopjoy_dagster.definitions import build_defs
from scoopjoy_dagster.settings import load_settings

KOLKATA = ZoneInfo("Asia/Kolkata")
SETTINGS = {
    "ERPNEXT_URL": "https://erp.example",
    "ERPNEXT_API_KEY": "key",
    "ERPNEXT_API_SECRET": "secret",
    "SCOOPJOY_GO_LIVE": "2026-11-01",
}


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_defs(load_settings(SETTINGS))


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as made:
        yield made


def told(instance: dg.DagsterInstance, moment: str, day: str) -> None:
    """Headquarters is told the day at this moment of India."""
    with freeze_time(datetime.fromisoformat(moment).replace(tzinfo=KOLKATA)):
        instance.report_runless_asset_event(dg.AssetMaterialization("hq_sync", partition=day))


def state(definitions: dg.Definitions, instance: dg.DagsterInstance, moment: str) -> FreshnessState:
    """What Dagster says at this moment of India."""
    node = definitions.resolve_asset_graph().get(dg.AssetKey("hq_sync"))
    with freeze_time(datetime.fromisoformat(moment).replace(tzinfo=KOLKATA)):
        found = CronFreshnessPolicyEvaluator().evaluate_freshness(LoadingContextForTest(instance), node)
        return asyncio.run(found)


@pytest.mark.parametrize(
    ("closed", "moment", "expected"),
    [
        ("2026-11-23T01:01", "2026-11-23T05:59", FreshnessState.PASS),
        ("2026-11-23T01:01", "2026-11-23T06:01", FreshnessState.PASS),
        ("2026-11-23T00:10", "2026-11-23T06:01", FreshnessState.PASS),  # closed by hand, right after midnight
        ("2026-11-23T01:01", "2026-11-24T05:59", FreshnessState.PASS),
        ("2026-11-23T01:01", "2026-11-24T06:01", FreshnessState.FAIL),
        ("2026-11-23T23:50", "2026-11-24T06:01", FreshnessState.FAIL),  # before midnight it was no new day's
        ("2026-11-24T07:30", "2026-11-24T07:31", FreshnessState.PASS),  # made good
    ],
)
def test_hq_sync_is_late_at_six_when_nothing_was_told_since_midnight(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    closed: str,
    moment: str,
    expected: FreshnessState,
) -> None:
    told(instance, closed, "2026-11-22")
    assert state(definitions, instance, moment) is expected


@pytest.mark.parametrize(
    ("closed", "expected"),
    [
        ("2026-11-24T03:00", FreshnessState.PASS),
        ("2026-11-24T02:50", FreshnessState.FAIL),  # before three the newest day had not ended
    ],
)
def test_where_the_day_ends_at_three_what_was_told_before_is_no_new_days(
    instance: dg.DagsterInstance, closed: str, expected: FreshnessState
) -> None:
    later = {**SETTINGS, "SCOOPJOY_DAY_ENDS_AT": "03:00", "SCOOPJOY_CLOSE_AT": "04:00"}
    told(instance, closed, "2026-11-22")
    assert state(build_defs(load_settings(later)), instance, "2026-11-24T06:01") is expected


def test_before_the_first_close_nothing_is_late(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    assert state(definitions, instance, "2026-11-23T09:00") is FreshnessState.UNKNOWN


def test_dagster_evaluates_it_by_itself_with_the_instance_that_we_ship(tmp_path: Path) -> None:
    """The daemon is on unless `dagster.yaml` turns it off; so says the file that every process reads."""
    shipped = (Path(__file__).parents[2] / "dagster.yaml").read_text(encoding="utf-8")
    _, _, rest = shipped.partition("run_coordinator:")
    (tmp_path / "dagster.yaml").write_text(
        f"run_coordinator:{rest}", encoding="utf-8"
    )  # without the database
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert "FRESHNESS_DAEMON" in instance.get_required_daemon_types()
