"""The control totals of `royalties`: money that is wrong stops what is behind it, a day that surprises only warns."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster_tests.checks.conftest import After, CutList
from scoopjoy_dagster_tests.world import (
    BANJARA,
    DAY,
    FRANCHISES,
    INDIRANAGAR,
    THANE,
    World,
    amend,
    change,
    entries,
)

BEHIND = ("invoices", "reports", "hq_sync")
LEDGER, COUNTED, DEBIT = (
    "does_the_ledger_equal_the_rule",
    "is_every_invoice_counted",
    "does_debit_equal_credit",
)
SOLD, FALLEN, USUAL = "did_every_franchise_sell", "is_every_franchise_still_there", "are_the_sales_as_usual"
BLOCKING, WARNINGS = (LEDGER, COUNTED, DEBIT), (SOLD, FALLEN, USUAL)


def said(day: Any, name: str) -> dict[str, str]:
    return {key: entry.value for key, entry in day.check(name).metadata.items()}


def failed(day: Any) -> set[str]:
    return {name for name in (*BLOCKING, *WARNINGS) if not day.check(name).passed}


def in_database(chain: World, sql: str, *values: object) -> None:
    with chain.erpnext.site.transaction():
        chain.erpnext.site.db.run(sql, values)


def stopped(day: Any) -> bool:
    """Nothing behind the royalties was done."""
    return not day.success and {day.status(asset) for asset in BEHIND} <= {"never", "skipped"}


# -- a right day --------------------------------------------------------------------------------------------------


def test_a_settled_day_passes_with_its_figures(chain: World) -> None:
    chain.a_day()
    day = chain.close("royalties")
    assert failed(day) == set()
    equal = {"expected": "869.31", "actual": "869.31", "difference": "0.00", "worst_five": "none"}
    assert said(day, LEDGER) == equal
    assert day.check(LEDGER).description == "The ledger holds exactly 869.31."
    assert said(day, DEBIT) == {
        **equal,
        "journal_entries": "869.31",
        "receivable_debit": "869.31",
        "income_credit": "869.31",
        "entries": "5",
    }
    assert said(day, COUNTED) == {
        "expected": "21463.95",
        "actual": "21463.95",
        "difference": "0.00",
        "worst_five": "none",
        "invoices_expected": "8",
        "invoices_actual": "8",
        "franchises_overlooked": "none",
    }


def test_money_blocks_and_surprises_only_warn(chain: World) -> None:
    chain.a_day()
    day = chain.close("royalties")
    assert {name: (day.check(name).blocking, day.check(name).severity) for name in BLOCKING} == dict.fromkeys(
        BLOCKING, (True, dg.AssetCheckSeverity.ERROR)
    )
    assert {name: (day.check(name).blocking, day.check(name).severity) for name in WARNINGS} == dict.fromkeys(
        WARNINGS, (False, dg.AssetCheckSeverity.WARN)
    )


def test_a_day_without_sales_passes(chain: World) -> None:
    assert failed(chain.close("royalties")) == set()


def test_the_checks_read_only(chain: World) -> None:
    chain.a_day()
    assert chain.close("royalties").success
    chain.erpnext.requests.reset()
    assert failed(chain.close("royalties")) == set()
    assert chain.erpnext.requests.writes == 0


def test_an_adjusted_an_amended_and_a_negative_day_pass(chain: World) -> None:
    chain.policy = {"negative_days": "reverse"}
    chain.a_day()
    chain.close("royalties")
    chain.invoice(THANE, "1000")
    chain.invoice(BANJARA, "5000", is_return=True)
    (entry,) = entries(chain.erpnext, INDIRANAGAR)
    seed.cancel_document(chain.erpnext, "Journal Entry", entry["name"])
    amend(chain.erpnext, entry["name"], Decimal("16.67"))
    day = chain.close("royalties")
    assert failed(day) == set()
    assert said(day, DEBIT)["entries"] == "7"


def test_entries_on_the_accounts_of_earlier_settings_pass(chain: World) -> None:
    chain.a_day()
    assert chain.close("royalties").success
    chain.options = {"income_account": "Sales - SJ"}
    assert failed(chain.close("royalties")) == set()


# -- the ledger against the rule ----------------------------------------------------------------------------------


def test_an_entry_cancelled_in_between_fails_it_and_stops_what_is_behind(
    full_chain: World, after: After
) -> None:
    full_chain.a_day()
    after(
        "royalties",
        lambda: seed.cancel_document(
            full_chain.erpnext, "Journal Entry", entries(full_chain.erpnext, THANE)[0]["name"]
        ),
    )
    day = full_chain.close()
    assert said(day, LEDGER) == {
        "expected": "869.31",
        "actual": "796.81",
        "difference": "-72.50",
        "worst_five": f"{THANE}: -72.50",
    }
    assert said(day, DEBIT)["difference"] == "-72.50"
    assert failed(day) == {LEDGER, DEBIT}
    assert stopped(day)
    assert (full_chain.mail.messages, full_chain.headquarters.attempts) == ([], [])
    assert full_chain.erpnext.documents("File") == []


def test_a_stray_difference_in_the_ledger_fails_both(chain: World, after: After) -> None:
    """Somebody repairs the ledger in the database: the entry says 72.50, the ledger 72.51."""
    chain.a_day()

    def stray() -> None:
        (entry,) = entries(chain.erpnext, THANE)
        in_database(
            chain,
            'UPDATE "tabGL Entry" SET debit = 72.51 WHERE voucher_no = ? AND party = ?',
            entry["name"],
            THANE,
        )

    after("royalties", stray)
    day = chain.close("royalties", "invoices")
    assert said(day, LEDGER)["worst_five"] == f"{THANE}: 0.01"
    assert "the entry says 72.50, debit 72.51, credit 72.50" in said(day, DEBIT)["worst_five"]
    assert stopped(day)


def test_differences_that_cancel_out_still_fail_it(chain: World, after: After) -> None:
    chain.a_day()

    def swap() -> None:
        for customer, by in ((THANE, 1), (INDIRANAGAR, -1)):
            in_database(
                chain,
                "UPDATE \"tabGL Entry\" SET debit = debit + ? WHERE party = ? AND voucher_type = 'Journal Entry'",
                by,
                customer,
            )

    after("royalties", swap)
    day = chain.close("royalties")
    assert failed(day) == {LEDGER, DEBIT}
    assert said(day, LEDGER)["difference"] == said(day, DEBIT)["difference"] == "0.00"
    assert set(said(day, LEDGER)["worst_five"].split("; ")) == {f"{THANE}: 1.00", f"{INDIRANAGAR}: -1.00"}


def test_an_invoice_that_came_in_between_fails_it_and_the_next_run_settles_the_day(
    chain: World, after: After
) -> None:
    chain.a_day()
    came: list[str] = []
    after("royalties", lambda: came or came.append(chain.invoice(THANE, "1000")))
    assert not chain.close("royalties").check(LEDGER).passed
    again = chain.close("royalties")
    assert again.success
    assert said(again, LEDGER)["actual"] == "944.31"


def test_a_franchise_that_owes_nothing_and_was_charged_fails_it(chain: World, after: After) -> None:
    chain.a_day()

    def cancel_all() -> None:
        sold = chain.erpnext.documents("Sales Invoice", customer=THANE, docstatus=1)
        for one in sorted(sold, key=lambda one: -one["is_return"]):
            seed.cancel_document(chain.erpnext, "Sales Invoice", one["name"])

    after("royalties", cancel_all)
    day = chain.close("royalties")
    assert said(day, LEDGER)["worst_five"] == f"{THANE}: 72.50"


# -- counted and summed -------------------------------------------------------------------------------------------


def test_a_list_of_sums_that_was_cut_short_fails_although_the_ledger_agrees_with_it(
    chain: World, cut_list: CutList
) -> None:
    chain.a_day()
    cut_list("Sales Invoice", 3, "currency")
    day = chain.close("royalties", "invoices")
    assert day.status("royalties") == "success"
    assert failed(day) == {COUNTED}
    assert (said(day, COUNTED)["invoices_expected"], said(day, COUNTED)["invoices_actual"]) == ("8", "3")
    assert Decimal(said(day, COUNTED)["difference"]) < 0
    assert "ERPNext counts" in said(day, COUNTED)["worst_five"]
    assert stopped(day)


def test_a_list_of_franchises_that_was_cut_short_fails_too(chain: World, cut_list: CutList) -> None:
    chain.a_day()
    cut_list("Customer", 4)
    day = chain.close("royalties", "invoices")
    assert day.status("royalties") == "success"
    assert COUNTED in failed(day)
    overlooked = said(day, COUNTED)["franchises_overlooked"]
    assert overlooked != "none"
    assert all(name in FRANCHISES for name in overlooked.split(", "))
    assert stopped(day)


def test_customers_that_are_no_franchise_are_not_counted(chain: World) -> None:
    chain.a_day()
    chain.shift(2)
    day = chain.close("closed_shifts", "royalties")
    walk_in = [
        doc
        for doc in chain.erpnext.documents("Sales Invoice", posting_date=DAY.isoformat(), docstatus=1)
        if doc["customer"] not in FRANCHISES
    ]
    assert walk_in
    assert said(day, COUNTED)["invoices_expected"] == "8"
    assert day.check(COUNTED).passed


# -- debit and credit ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "where"),
    [
        ("account", "Sales - SJ", "party IS NULL OR party = ''"),
        ("account", "Cash - SJ", f"party = '{THANE}'"),
        ("party", BANJARA, f"party = '{THANE}'"),
        ("credit", 1.0, "party IS NULL OR party = ''"),
    ],
    ids=["another income account", "no receivable account", "another franchise", "another amount"],
)
def test_a_ledger_row_that_is_not_the_row_of_its_entry_fails_it_by_entry(
    chain: World, after: After, column: str, value: object, where: str
) -> None:
    chain.a_day()
    names: list[str] = []

    def tamper() -> None:
        (entry,) = entries(chain.erpnext, THANE)
        names.append(entry["name"])
        sql = f'UPDATE "tabGL Entry" SET {column} = ? WHERE voucher_no = ? AND ({where})'
        in_database(chain, sql, value, entry["name"])

    after("royalties", tamper)
    day = chain.close("royalties", "invoices")
    assert DEBIT in failed(day)
    assert said(day, DEBIT)["worst_five"].startswith(f"{names[0]}: the entry says 72.50, ")
    assert stopped(day)


def test_an_amendment_onto_an_account_of_another_kind_fails_it(chain: World, after: After) -> None:
    """The customer owes what it must, and the ledger balances: only the income is nowhere."""
    chain.a_day()

    def book_elsewhere() -> None:
        (entry,) = entries(chain.erpnext, THANE)
        for table, name in (("GL Entry", "voucher_no"), ("Journal Entry Account", "parent")):
            in_database(
                chain,
                f"UPDATE \"tab{table}\" SET account = 'Cash - SJ' WHERE {name} = ? AND (party IS NULL OR party = '')",
                entry["name"],
            )

    after("royalties", book_elsewhere)
    day = chain.close("royalties")
    assert failed(day) == {DEBIT}
    assert said(day, DEBIT)["income_credit"] == "796.81"


# -- figures that cannot be read ----------------------------------------------------------------------------------


def test_a_site_that_is_down_fails_every_check_with_the_reason_and_is_not_asked_for_each(
    full_chain: World, after: After
) -> None:
    full_chain.options = {"attempts": 2}
    full_chain.a_day()

    def down() -> None:
        full_chain.erpnext.faults.add("maintenance", times=None)
        full_chain.erpnext.requests.reset()

    after("royalties", down)
    day = full_chain.close()
    assert failed(day) == {*BLOCKING, *WARNINGS}
    for name in (*BLOCKING, *WARNINGS):
        assert day.check(name).description.startswith("The figures could not be read: ")
        assert "Session Stopped" in day.check(name).description
        unknown = dict.fromkeys(("expected", "actual", "difference", "worst_five"), "unknown")
        assert said(day, name) == {**unknown, "passes": True}  # the schedule may ask again
    assert stopped(day)
    assert full_chain.erpnext.requests.total == 2


def test_a_list_that_is_refused_fails_only_what_needs_it(chain: World, after: After) -> None:
    chain.a_day()
    after(
        "royalties",
        lambda: chain.erpnext.faults.add("permission_lost", doctype="Journal Entry Account", times=None),
    )
    day = chain.close("royalties", "invoices")
    assert failed(day) == {DEBIT}
    assert "list Journal Entry Account" in day.check(DEBIT).description
    assert stopped(day)


def test_a_permission_lost_on_the_ledger_fails_what_is_read_from_it(chain: World, after: After) -> None:
    chain.a_day()
    after("royalties", lambda: chain.erpnext.faults.add("permission_lost", doctype="GL Entry", times=None))
    day = chain.close("royalties", "invoices")
    assert failed(day) == {LEDGER, COUNTED, DEBIT}
    assert stopped(day)


# -- what only warns ----------------------------------------------------------------------------------------------


def week_before(chain: World, *customers: str, amount: str = "1000") -> None:
    for customer in customers:
        chain.invoice(customer, amount, day=DAY - timedelta(days=3))


def test_a_franchise_without_sales_is_named_and_stops_nothing(chain: World) -> None:
    week_before(chain, THANE, INDIRANAGAR)
    chain.invoice(THANE, "1000")
    day = chain.close("royalties", "invoices")
    assert day.success
    assert failed(day) == {SOLD}
    assert said(day, SOLD) == {
        "expected": "2",
        "actual": "1",
        "difference": "-1",
        "worst_five": f"{INDIRANAGAR}: no invoice",
        "missing": INDIRANAGAR,
    }


def test_franchises_that_sold_again_or_not_for_a_week_are_no_surprise(chain: World) -> None:
    week_before(chain, THANE)
    chain.invoice(INDIRANAGAR, "1000", day=DAY - timedelta(days=8))
    chain.invoice(THANE, "5")
    day = chain.close("royalties")
    assert day.check(SOLD).passed
    assert said(day, SOLD)["expected"] == "1"


@pytest.mark.parametrize(
    "leaves", [{"disabled": 1}, {"customer_group": "Commercial"}], ids=["disabled", "moved"]
)
def test_a_franchise_that_fell_out_is_named_and_stops_nothing(
    chain: World, leaves: dict[str, object]
) -> None:
    before = DAY - timedelta(days=1)
    for customer in (THANE, INDIRANAGAR):
        chain.invoice(customer, "1000", day=before)
        chain.invoice(customer, "1000")
    assert chain.close("royalties", day=before).success
    change(chain.erpnext, "Customer", THANE, **leaves)
    day = chain.close("royalties", "invoices")
    assert day.success
    assert not day.check(FALLEN).passed
    assert said(day, FALLEN) == {
        "expected": "2",
        "actual": "1",
        "difference": "-1",
        "worst_five": f"{THANE}: no franchise now",
        "fallen": THANE,
        "franchises_now": "5",
    }


def test_a_franchise_that_was_renamed_has_not_fallen(chain: World) -> None:
    before = DAY - timedelta(days=1)
    chain.invoice(THANE, "1000", day=before)
    assert chain.close("royalties", day=before).success
    for table, column in (
        ("Customer", "name"),
        ("Journal Entry Account", "party"),
        ("GL Entry", "party"),
        ("Sales Invoice", "customer"),
    ):
        in_database(chain, f'UPDATE "tab{table}" SET {column} = ? WHERE {column} = ?', "Thane West", THANE)
    assert chain.close("royalties").check(FALLEN).passed


def sundays(chain: World, *amounts: str) -> list[date]:
    """Sales of Thane on the Sundays before, newest first; empty for none."""
    days = [DAY - timedelta(weeks=back) for back in range(1, len(amounts) + 1)]
    for day, amount in zip(days, amounts, strict=True):
        if amount:
            chain.invoice(THANE, amount, day=day)
    return days


def test_a_day_far_from_the_same_weekdays_before_warns_and_stops_nothing(chain: World) -> None:
    sundays(chain, "1000", "", "2000", "1000", "2000", "99999")
    chain.invoice(THANE, "2250.01")
    day = chain.close("royalties", "invoices")
    assert day.success
    assert USUAL in failed(day)
    assert said(day, USUAL) == {
        "expected": "1500.00",
        "actual": "2250.01",
        "difference": "750.01",
        "worst_five": f"{THANE}: 750.01",
        "compared_with": "2026-11-15, 2026-11-01, 2026-10-25, 2026-10-18",
    }


@pytest.mark.parametrize("amount", ["750", "1500", "2250"])
def test_a_day_within_half_of_the_mean_is_usual(chain: World, amount: str) -> None:
    sundays(chain, "1000", "2000")
    chain.invoice(THANE, amount)
    day = chain.close("royalties")
    assert day.check(USUAL).passed
    assert said(day, USUAL)["expected"] == "1500.00"


def test_a_day_on_which_nobody_sold_anything_warns_where_there_was_business_before(chain: World) -> None:
    sundays(chain, "1000")
    assert said(chain.close("royalties"), USUAL)["difference"] == "-1000.00"


def test_warnings_of_a_day_without_a_past_are_silent(chain: World) -> None:
    chain.a_day()
    day = chain.close("royalties")
    assert failed(day) == set()
    assert said(day, USUAL)["expected"] == "unknown"
    assert said(day, SOLD)["expected"] == "0"
