"""Control totals never go by what an asset has read, whether or not the run has written; another run in between is seen."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from scoopjoy_dagster.accounting.totals import CONTROL_TOTALS
from scoopjoy_dagster_tests.checks.conftest import After
from scoopjoy_dagster_tests.world import DAY, THANE, World


def judged(day: Any) -> dict[str, tuple[bool, dict[str, Any]]]:
    return {
        one.check_name: (one.passed, {name: entry.value for name, entry in one.metadata.items()})
        for one in day.result.get_asset_check_evaluations()
    }


def in_between(chain: World, after: After, asset: str, late_sale: str = "") -> list[Any]:
    """Let another run do `asset` after the royalties of the next run; the list will hold how it ended."""
    ended: list[Any] = []
    waiting = [asset]

    def another_run() -> None:
        if waiting:
            if late_sale:
                chain.invoice(THANE, late_sale)
            ended.append(chain.close(waiting.pop()))

    after("royalties", another_run)
    return ended


@pytest.fixture
def weeks(full_chain: World) -> World:
    """A day that is closed, and a day of the week before that is, too."""
    full_chain.invoice(THANE, "700", DAY - timedelta(days=2))
    assert full_chain.close(day=DAY - timedelta(days=2)).success
    full_chain.a_day()
    full_chain.shift(3)
    assert full_chain.close().success
    return full_chain


def test_in_a_run_and_by_themselves_they_say_the_same(weeks: World) -> None:
    in_a_run = weeks.close()
    alone = weeks.judge(*{one.asset for one in CONTROL_TOTALS})
    assert judged(in_a_run) == judged(alone)
    assert {name for name, (passed, _) in judged(alone).items() if passed} == {
        one.name for one in CONTROL_TOTALS
    }


def test_a_day_whose_ledger_was_bent_fails_although_nothing_is_written(weeks: World) -> None:
    with weeks.erpnext.site.transaction():
        weeks.erpnext.site.db.run(
            'UPDATE "tabJournal Entry Account" SET debit = debit + 1 WHERE party = ?', (THANE,)
        )
    weeks.erpnext.requests.reset()
    day = weeks.close()
    assert weeks.erpnext.requests.writes == 0
    assert not day.check("does_debit_equal_credit").passed


def test_shares_that_another_run_posted_since_the_sums_were_read_are_seen(weeks: World, after: After) -> None:
    others = in_between(weeks, after, "royalties", late_sale="1000")
    day = weeks.close("royalties", "invoices")
    assert others[0].outcome("royalties")["written"] == 1
    assert day.outcome("royalties")["written"] == 0
    assert day.check("do_the_shares_add_up").passed
    assert Decimal(str(judged(day)["do_the_shares_add_up"][1]["actual"])) == sum(weeks.owed().values())
    assert day.success


def test_totals_that_another_run_delivered_since_the_records_were_read_are_seen(
    weeks: World, after: After
) -> None:
    weeks.invoice(THANE, "1000")
    assert weeks.close("royalties").success
    others = in_between(weeks, after, "hq_sync")
    day = weeks.close("royalties", "hq_sync")
    assert others[0].outcome("hq_sync")["written"] == 1
    assert day.outcome("hq_sync")["written"] == 0
    assert day.check("does_headquarters_agree").passed
