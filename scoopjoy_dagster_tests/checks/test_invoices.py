"""`do_the_shares_add_up`: the shares in the royalty entries, read again, are the royalty in the ledger."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import dagster as dg

from scoopjoy_dagster.erpnext.royalty_shares import TABLE
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster_tests.checks.conftest import After
from scoopjoy_dagster_tests.world import INDIRANAGAR, THANE, World, amend, entries

TOTAL = "do_the_shares_add_up"


def said(day: Any) -> dict[str, str]:
    return {name: entry.value for name, entry in day.check(TOTAL).metadata.items()}


def settled(chain: World) -> None:
    chain.a_day()
    assert chain.close("royalties").success


def set_row(chain: World, customer: str, column: str, value: object) -> None:
    """Change the first row of a franchise's entry in the database: nobody can in ERPNext."""
    (entry,) = entries(chain.erpnext, customer)
    row = entry[TABLE][0]["name"]
    with chain.erpnext.site.transaction():
        chain.erpnext.site.db.run(f'UPDATE "tabRoyalty Share" SET {column} = ? WHERE name = ?', (value, row))


def test_the_shares_of_a_day_are_its_royalties(chain: World) -> None:
    settled(chain)
    day = chain.close("invoices")
    check = day.check(TOTAL)
    assert (check.passed, check.severity, check.asset_key.to_user_string()) == (
        True,
        dg.AssetCheckSeverity.ERROR,
        "invoices",
    )
    assert said(day) == {
        "expected": "869.31",
        "actual": "869.31",
        "difference": "0.00",
        "worst_five": "none",
        "added_by_persons": "0.00",
        "franchises_without_shares": "none",
    }


def test_after_an_adjustment_the_shares_follow(chain: World) -> None:
    settled(chain)
    assert chain.close("invoices").success
    chain.invoice(THANE, "1000")
    assert chain.close("royalties", "invoices").check(TOTAL).passed


def test_a_row_that_was_changed_in_the_database_fails_it_by_name(chain: World, after: After) -> None:
    settled(chain)
    after("invoices", lambda: set_row(chain, THANE, "royalty_share", 70.0))
    day = chain.close("invoices")
    assert not day.success
    assert (said(day)["expected"], said(day)["actual"]) == ("869.31", "864.31")
    assert said(day)["worst_five"] == f"{THANE}: -5.00"


def test_shares_that_cancel_out_still_fail_it(chain: World, after: After) -> None:
    settled(chain)

    def swap() -> None:
        set_row(chain, THANE, "royalty_share", 76.0)
        set_row(chain, INDIRANAGAR, "royalty_share", 15.67)

    after("invoices", swap)
    day = chain.close("invoices")
    assert not day.check(TOTAL).passed
    assert said(day)["difference"] == "0.00"
    assert set(said(day)["worst_five"].split("; ")) == {f"{THANE}: 1.00", f"{INDIRANAGAR}: -1.00"}


def test_a_row_that_was_moved_to_the_entry_of_another_fails_it_for_both(chain: World, after: After) -> None:
    settled(chain)
    (other,) = entries(chain.erpnext, INDIRANAGAR)
    after("invoices", lambda: set_row(chain, THANE, "parent", other["name"]))
    day = chain.close("invoices")
    assert set(said(day)["worst_five"].split("; ")) == {f"{INDIRANAGAR}: 75.00", f"{THANE}: -75.00"}


def test_a_row_that_was_deleted_fails_it_by_name(chain: World, after: After) -> None:
    settled(chain)
    after("invoices", lambda: set_row(chain, THANE, "parent", "nowhere"))
    day = chain.close("invoices")
    assert not day.check(TOTAL).passed
    assert said(day)["worst_five"] == f"{THANE}: -75.00"


def test_an_entry_that_a_person_amends_afterwards_keeps_its_rows_and_passes(
    chain: World, after: After
) -> None:
    settled(chain)

    def amended() -> None:
        (entry,) = entries(chain.erpnext, THANE)
        seed.cancel_document(chain.erpnext, "Journal Entry", entry["name"])
        amend(chain.erpnext, entry["name"], Decimal("70.00"))

    after("invoices", amended)
    day = chain.close("invoices")
    assert day.check(TOTAL).passed
    assert (said(day)["expected"], said(day)["actual"]) == ("869.31", "869.31")
    assert said(day)["added_by_persons"] == "-2.50"


def test_it_fails_the_run_so_that_somebody_is_told_and_leaves_the_others_alone(
    full_chain: World, after: After
) -> None:
    full_chain.a_day()
    after("invoices", lambda: set_row(full_chain, THANE, "royalty_share", 1.0))
    day = full_chain.close()
    assert not day.success
    assert {day.status(asset) for asset in ("invoices", "reports", "hq_sync")} == {"success"}
    assert day.check("does_headquarters_agree").passed


def test_a_permission_that_is_lost_fails_it_with_the_reason(chain: World, after: After) -> None:
    settled(chain)
    after(
        "invoices", lambda: chain.erpnext.faults.add("permission_lost", doctype="Royalty Share", times=None)
    )
    check = chain.close("invoices").check(TOTAL)
    assert not check.passed
    assert check.description.startswith("The figures could not be read: list Royalty Share: ")
