"""`is_every_shift_closed`: a shift without its one closing, or an invoice left out of the ledger, stops the royalties."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.seed import Sale
from scoopjoy_dagster_tests.checks.conftest import After, CutList
from scoopjoy_dagster_tests.world import BANDRA, CASHIER, World, submitted_closings

ROBOT = "robot@scoopjoy.example"
OTHER_PROFILE, OTHER_CASHIER = "POS Indiranagar", "cashier.indiranagar@scoopjoy.example"
MORNING = datetime(2026, 11, 22, 10)


def said(day: Any) -> dict[str, str]:
    return {name: entry.value for name, entry in day.check("is_every_shift_closed").metadata.items()}


def stopped(day: Any) -> bool:
    """Nothing behind the shifts was done."""
    return not day.success and {day.status(asset) for asset in ("royalties", "invoices")} <= {
        "never",
        "skipped",
    }


def other_shift(chain: World) -> seed.Shift:
    return seed.add_shift(chain.erpnext, OTHER_PROFILE, OTHER_CASHIER, MORNING, ["50"])


def in_database(chain: World, sql: str, *values: str) -> None:
    with chain.erpnext.site.transaction():
        chain.erpnext.site.db.run(sql, values)


def cancel_closing(chain: World, opening: str) -> None:
    (closing,) = submitted_closings(chain.erpnext, opening)
    session = chain.erpnext.session(ROBOT)
    with chain.erpnext.site.transaction():
        session.cancel(session.load("POS Closing Entry", closing["name"]))


def test_closed_shifts_pass_with_their_number(chain: World) -> None:
    chain.shift(3)
    other_shift(chain)
    day = chain.close("closed_shifts")
    check = day.check("is_every_shift_closed")
    assert (check.passed, check.blocking, check.asset_key.to_user_string()) == (True, True, "closed_shifts")
    assert said(day) == {
        "expected": "2",
        "actual": "2",
        "difference": "0",
        "worst_five": "none",
        "not_consolidated": "none",
        "sales_in_no_closing": "none",
        "invoices_of_open_shifts": "none",
    }


def test_a_day_without_shifts_passes(chain: World) -> None:
    assert said(chain.close("closed_shifts"))["expected"] == "0"


def test_the_check_reads_only(chain: World) -> None:
    chain.shift(1)
    assert chain.close("closed_shifts").success
    chain.erpnext.requests.reset()
    assert chain.close("closed_shifts").check("is_every_shift_closed").passed
    assert chain.erpnext.requests.writes == 0


def test_a_sale_at_a_till_without_a_shift_is_listed_by_name_and_stops_nothing(chain: World) -> None:
    shift = chain.shift([Sale(Decimal(100)), Sale(Decimal(60), at=datetime(2026, 11, 22, 8))])
    day = chain.close("closed_shifts")
    assert day.success
    assert said(day)["sales_in_no_closing"] == shift.invoices[1]
    assert said(day)["invoices_of_open_shifts"] == "none"


def test_an_invoice_of_an_older_shift_that_is_still_open_is_listed_as_waiting(chain: World) -> None:
    with seed.at(chain.erpnext, datetime(2026, 11, 22, 23)):
        older = chain.shift([Sale(Decimal(100), at=MORNING)], opened=datetime(2026, 11, 21, 22))
    day = chain.close("closed_shifts")
    assert day.success
    assert said(day)["invoices_of_open_shifts"] == older.invoices[0]
    assert said(day)["sales_in_no_closing"] == "none"


def test_a_closing_that_a_person_cancels_fails_it_and_stops_the_royalties(chain: World, after: After) -> None:
    shift = chain.shift(2)
    other_shift(chain)
    chain.a_day()
    after("closed_shifts", lambda: cancel_closing(chain, shift.opening))
    day = chain.close()
    assert not day.check("is_every_shift_closed").passed
    assert said(day)["difference"] == "-1"
    assert said(day)["worst_five"] == f"{shift.opening} ({BANDRA}, {CASHIER}): Open, no submitted closing"
    # The shift is open again and will take them.
    assert said(day)["invoices_of_open_shifts"] == ", ".join(sorted(shift.invoices))
    assert stopped(day)
    assert chain.erpnext.documents("Journal Entry", voucher_type="Journal Entry") == []


def test_the_next_run_closes_it_again_and_passes(chain: World, after: After) -> None:
    shift = chain.shift(2)
    cancelled: list[str] = []

    def cancel_once() -> None:
        if not cancelled:
            cancelled.append(shift.opening)
            cancel_closing(chain, shift.opening)

    after("closed_shifts", cancel_once)
    assert not chain.close("closed_shifts").success
    assert chain.close("closed_shifts").check("is_every_shift_closed").passed


def test_two_submitted_closings_of_one_shift_fail_it(chain: World, after: After) -> None:
    """ERPNext does not allow it; somebody may have moved one in the database."""
    first, second = chain.shift(1), other_shift(chain)

    def move() -> None:
        (closing,) = submitted_closings(chain.erpnext, second.opening)
        in_database(
            chain,
            'UPDATE "tabPOS Closing Entry" SET pos_opening_entry = ? WHERE name = ?',
            first.opening,
            closing["name"],
        )

    after("closed_shifts", move)
    day = chain.close("closed_shifts", "royalties")
    assert said(day)["actual"] == "0"
    assert "2 submitted closings: " in said(day)["worst_five"]
    assert f"{second.opening} ({OTHER_PROFILE}, {OTHER_CASHIER}): Closed, no" in said(day)["worst_five"]
    assert stopped(day)


def test_a_shift_that_is_open_in_spite_of_its_closing_fails_it(chain: World, after: After) -> None:
    shift = chain.shift(1)
    after(
        "closed_shifts",
        lambda: in_database(
            chain, "UPDATE \"tabPOS Opening Entry\" SET status = 'Open' WHERE name = ?", shift.opening
        ),
    )
    day = chain.close("closed_shifts", "royalties")
    assert "Open in spite of POS-CLO-" in said(day)["worst_five"]
    assert stopped(day)


def test_an_invoice_in_a_submitted_closing_that_is_not_consolidated_fails_it(
    chain: World, after: After
) -> None:
    """Also one that was sold after midnight and carries the next day's date."""
    late = Sale(Decimal(70), at=datetime(2026, 11, 23, 0, 20))
    shift = chain.shift([Sale(Decimal(100)), Sale(Decimal(90)), late])

    def loosen() -> None:
        for invoice in (shift.invoices[0], shift.invoices[2]):
            in_database(
                chain, 'UPDATE "tabPOS Invoice" SET consolidated_invoice = NULL WHERE name = ?', invoice
            )

    after("closed_shifts", loosen)
    day = chain.close("closed_shifts", "royalties")
    assert said(day)["difference"] == "0"
    assert said(day)["not_consolidated"] == f"{shift.invoices[0]}, {shift.invoices[2]}"
    assert said(day)["sales_in_no_closing"] == said(day)["invoices_of_open_shifts"] == "none"
    assert stopped(day)


def test_a_list_of_shifts_that_is_cut_short_fails_it(chain: World, cut_list: CutList) -> None:
    """The asset closes the shifts that it is shown, and has nothing to complain of."""
    chain.shift(1)
    other_shift(chain)
    cut_list("POS Opening Entry", 1)
    day = chain.close("closed_shifts", "royalties")
    assert day.status("closed_shifts") == "success"
    assert (said(day)["expected"], said(day)["actual"]) == ("2", "1")
    assert said(day)["worst_five"] == "shifts that the list does not show: -1"
    assert stopped(day)


def test_a_permission_that_is_lost_fails_it_with_the_reason(chain: World, after: After) -> None:
    chain.shift(1)
    after(
        "closed_shifts",
        lambda: chain.erpnext.faults.add("permission_lost", doctype="POS Closing Entry", times=None),
    )
    day = chain.close("closed_shifts", "royalties")
    check = day.check("is_every_shift_closed")
    assert not check.passed
    assert check.description.startswith("The figures could not be read: list POS Closing Entry: ")
    assert said(day)["actual"] == "unknown"
    assert stopped(day)


def opened_and_closed(chain: World, *days: int) -> None:
    for day in days:
        with seed.at(chain.erpnext, datetime(2026, 11, day, 22)):
            shift = chain.shift(1, opened=datetime(2026, 11, day, 10))
            seed.close_shift(chain.erpnext, shift.opening)


def test_an_outlet_that_did_not_open_is_named_and_stops_nothing(chain: World) -> None:
    opened_and_closed(chain, 20)
    other_shift(chain)
    day = chain.close("closed_shifts", "royalties")
    assert day.success
    check = day.check("did_every_outlet_open")
    assert (check.passed, check.blocking) == (False, False)
    assert {name: entry.value for name, entry in check.metadata.items()} == {
        "expected": "1",
        "actual": "0",
        "difference": "-1",
        "worst_five": f"{BANDRA}: no shift",
        "missing": BANDRA,
    }


def test_an_outlet_that_opened_again_or_not_for_a_week_is_no_surprise(chain: World) -> None:
    opened_and_closed(chain, 14, 20, 22)
    check = chain.close("closed_shifts").check("did_every_outlet_open")
    assert check.passed
    assert check.metadata["expected"].value == "1"
