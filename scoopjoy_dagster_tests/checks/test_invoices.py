"""`do_the_shares_add_up`: what the invoices carry in ERPNext, read again, is the royalty in the ledger."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from scoopjoy_dagster_tests.checks.conftest import After
from scoopjoy_dagster_tests.world import INDIRANAGAR, THANE, World, amend, change, entries

TOTAL = "do_the_shares_add_up"


def said(day: Any) -> dict[str, str]:
    return {name: entry.value for name, entry in day.check(TOTAL).metadata.items()}


def settled(chain: World) -> dict[str, str]:
    made = chain.a_day()
    assert chain.close("royalties").success
    return made


def test_the_shares_of_a_day_are_its_royalties(chain: World) -> None:
    settled(chain)
    day = chain.close("invoices")
    check = day.check(TOTAL)
    assert (check.passed, check.severity, check.asset_key.to_user_string()) == (
        True,
        dg.AssetCheckSeverity.ERROR,
        "invoices",
    )
    assert said(day) == {"expected": "869.31", "actual": "869.31", "difference": "0.00", "worst_five": "none"}


def test_after_an_adjustment_the_shares_follow(chain: World) -> None:
    settled(chain)
    assert chain.close("invoices").success
    chain.invoice(THANE, "1000")
    assert chain.close("royalties", "invoices").check(TOTAL).passed


def test_a_share_that_a_person_changes_fails_it_by_name(chain: World, after: After) -> None:
    made = settled(chain)
    after(
        "invoices",
        lambda: change(chain.erpnext, "Sales Invoice", made[THANE], custom_royalty_share=70.0),
    )
    day = chain.close("invoices")
    assert not day.success
    assert said(day)["expected"] == "869.31"
    assert said(day)["worst_five"].startswith(f"{THANE}: -")


def test_shares_that_cancel_out_still_fail_it(chain: World, after: After) -> None:
    made = settled(chain)

    def swap() -> None:
        for customer, by in ((THANE, 1), (INDIRANAGAR, -1)):
            (doc,) = chain.erpnext.documents("Sales Invoice", name=made[customer])
            share = float(doc["custom_royalty_share"]) + by
            change(chain.erpnext, "Sales Invoice", made[customer], custom_royalty_share=share)

    after("invoices", swap)
    day = chain.close("invoices")
    assert not day.check(TOTAL).passed
    assert said(day)["difference"] == "0.00"
    assert set(said(day)["worst_five"].split("; ")) == {f"{THANE}: 1.00", f"{INDIRANAGAR}: -1.00"}


@pytest.mark.parametrize(
    ("entry", "who"), [("ACC-JV-0000", "invoices of ACC-JV-0000"), ("", "invoices without a Journal Entry")]
)
def test_a_share_of_another_entry_or_of_none_fails_it(
    chain: World, after: After, entry: str, who: str
) -> None:
    made = settled(chain)
    after(
        "invoices",
        lambda: change(chain.erpnext, "Sales Invoice", made[INDIRANAGAR], custom_royalty_journal_entry=entry),
    )
    day = chain.close("invoices")
    assert set(said(day)["worst_five"].split("; ")) == {f"{INDIRANAGAR}: -16.67", f"{who}: 16.67"}


def test_an_entry_that_a_person_amends_afterwards_fails_it(chain: World, after: After) -> None:
    settled(chain)

    def amended() -> None:
        from decimal import Decimal

        from scoopjoy_dagster.sandbox import seed

        (entry,) = entries(chain.erpnext, THANE)
        seed.cancel_document(chain.erpnext, "Journal Entry", entry["name"])
        amend(chain.erpnext, entry["name"], Decimal("70.00"))

    after("invoices", amended)
    day = chain.close("invoices")
    assert not day.check(TOTAL).passed
    assert said(day)["expected"] == "866.81"


def test_it_fails_the_run_so_that_somebody_is_told_and_leaves_the_others_alone(
    full_chain: World, after: After
) -> None:
    made = full_chain.a_day()
    after(
        "invoices",
        lambda: change(full_chain.erpnext, "Sales Invoice", made[THANE], custom_royalty_share=1.0),
    )
    day = full_chain.close()
    assert not day.success
    assert {day.status(asset) for asset in ("invoices", "reports", "hq_sync")} == {"success"}
    assert day.check("does_headquarters_agree").passed


def test_a_permission_that_is_lost_fails_it_with_the_reason(chain: World, after: After) -> None:
    settled(chain)
    after(
        "invoices", lambda: chain.erpnext.faults.add("permission_lost", doctype="Sales Invoice", times=None)
    )
    check = chain.close("invoices").check(TOTAL)
    assert not check.passed
    assert check.description.startswith("The figures could not be read: list Sales Invoice: ")
