"""`does_headquarters_agree`: the record of what headquarters acknowledged against the day as it is now."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from scoopjoy_dagster_tests.checks.conftest import After
from scoopjoy_dagster_tests.world import THANE, World

TOTAL = "does_headquarters_agree"


def said(day: Any) -> dict[str, str]:
    return {name: entry.value for name, entry in day.check(TOTAL).metadata.items()}


def settled(chain: World) -> None:
    chain.a_day()
    assert chain.close("closed_shifts", "royalties").success


def records(chain: World) -> list[dict[str, Any]]:
    return [one for one in chain.erpnext.documents("ScoopJoy Delivery") if one["channel"] == "hq"]


def in_database(chain: World, sql: str, *values: str) -> None:
    with chain.erpnext.site.transaction():
        chain.erpnext.site.db.run(sql, values)


def test_what_was_acknowledged_is_the_day(full_chain: World) -> None:
    settled(full_chain)
    day = full_chain.close("hq_sync")
    assert day.check(TOTAL).passed
    assert said(day) == {
        "expected": "869.31",
        "actual": "869.31",
        "difference": "0.00",
        "worst_five": "none",
        "revision": "0",
    }


def test_totals_that_were_sent_later_and_never_acknowledged_fail_it(full_chain: World) -> None:
    settled(full_chain)
    assert full_chain.close("hq_sync").success
    full_chain.invoice(THANE, "1000")
    assert full_chain.close("royalties", "hq_sync").check(TOTAL).passed
    in_database(full_chain, "UPDATE \"tabScoopJoy Delivery\" SET reference = '' WHERE revision = 1")
    day = full_chain.judge("hq_sync")
    assert not day.check(TOTAL).passed
    assert (said(day)["revision"], said(day)["actual"]) == ("0", "869.31")


def test_without_headquarters_it_passes_and_says_so(chain: World) -> None:
    settled(chain)
    check = chain.close("hq_sync").check(TOTAL)
    assert check.passed
    assert check.description == "No headquarters is configured (SCOOPJOY_HQ_URL is empty)."


def test_a_late_change_is_told_as_the_next_revision_and_passes(full_chain: World) -> None:
    settled(full_chain)
    assert full_chain.close("hq_sync").success
    full_chain.invoice(THANE, "1000")
    day = full_chain.close("royalties", "hq_sync")
    assert (said(day)["revision"], said(day)["actual"]) == ("1", "944.31")


def test_a_day_that_changes_after_it_was_told_fails_it_with_the_figures_then_and_now(
    full_chain: World, after: After
) -> None:
    settled(full_chain)

    def posted_by_another_run() -> None:
        full_chain.invoice(THANE, "1000")
        replace(full_chain, headquarters=None).close("royalties")

    after("hq_sync", posted_by_another_run)
    day = full_chain.close("hq_sync")
    assert not day.success
    assert said(day)["expected"] == "944.31"
    assert said(day)["actual"] == "869.31"
    assert said(day)["worst_five"] == f"{THANE}: -75.00"
    assert "royalty 869.31 -> 944.31" in said(day)["differs"]


def test_a_record_that_somebody_deleted_fails_it(full_chain: World, after: After) -> None:
    settled(full_chain)
    after("hq_sync", lambda: in_database(full_chain, 'DELETE FROM "tabScoopJoy Delivery"'))
    day = full_chain.close("hq_sync")
    assert not day.check(TOTAL).passed
    assert (said(day)["actual"], said(day)["revision"]) == ("0.00", "none")


def test_a_record_without_figures_is_judged_by_its_digest(full_chain: World, after: After) -> None:
    settled(full_chain)
    after("hq_sync", lambda: in_database(full_chain, 'UPDATE "tabScoopJoy Delivery" SET figures = NULL'))
    assert full_chain.close("hq_sync").check(TOTAL).passed
    in_database(full_chain, "UPDATE \"tabScoopJoy Delivery\" SET custom_scoopjoy_digest = 'x'")
    assert len(records(full_chain)) == 1
    day = full_chain.judge("hq_sync")
    assert not day.check(TOTAL).passed
    assert said(day)["actual"] == "unknown"


def test_a_permission_that_is_lost_fails_it_with_the_reason(full_chain: World, after: After) -> None:
    settled(full_chain)
    after(
        "hq_sync",
        lambda: full_chain.erpnext.faults.add("permission_lost", doctype="ScoopJoy Delivery", times=None),
    )
    check = full_chain.close("hq_sync").check(TOTAL)
    assert not check.passed
    assert check.description.startswith("The figures could not be read: list ScoopJoy Delivery: ")
