"""Where a franchise is debited: its own account, its group's, the company's, or that of the setting; and what a site wants besides."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest

from scoopjoy_dagster.erpnext.royalty_entries import franchises
from scoopjoy_dagster_tests.world import (
    BANJARA,
    DAY,
    GELATO,
    INDIRANAGAR,
    KORAMANGALA,
    THANE,
    World,
    change,
    entries,
    insert,
    ledger_balance,
)

GROUP_DEBTORS, OWN_DEBTORS, DOLLARS = "Group Debtors - SJ", "Own Debtors - SJ", "Dollar Debtors - SJ"


def account(chain: World, name: str, **values: Any) -> str:
    return insert(
        chain.erpnext,
        "Account",
        account_name=name.removesuffix(" - SJ"),
        company="ScoopJoy",
        parent_account="Accounts Receivable - SJ",
        account_type="Receivable",
        **values,
    )


def owes_on(chain: World, doctype: str, name: str, debtors: str) -> None:
    change(chain.erpnext, doctype, name, accounts=[{"company": "ScoopJoy", "account": debtors}])


@pytest.fixture
def debtors(chain: World) -> World:
    """Koramangala's group has an account, Thane one of its own, and a group above all of them one that is nobody's."""
    for name in (GROUP_DEBTORS, OWN_DEBTORS):
        account(chain, name)
    owes_on(chain, "Customer Group", "Owned Outlets", GROUP_DEBTORS)
    owes_on(chain, "Customer Group", "Franchise", OWN_DEBTORS)
    owes_on(chain, "Customer", THANE, OWN_DEBTORS)
    chain.a_day()
    return chain


def accounts_of(chain: World) -> dict[str, str]:
    """The account of the first row of each franchise's royalty entry."""
    return {
        doc["accounts"][0]["party"]: doc["accounts"][0]["account"]
        for doc in entries(chain.erpnext)
        if doc["docstatus"] == 1
    }


def test_each_franchise_is_debited_where_erpnext_would_debit_it(debtors: World) -> None:
    assert debtors.close("royalties").success
    assert accounts_of(debtors) == {
        KORAMANGALA: GROUP_DEBTORS,
        INDIRANAGAR: GROUP_DEBTORS,
        THANE: OWN_DEBTORS,
        BANJARA: "Debtors - SJ",
        GELATO: "Debtors - SJ",
    }
    # As its invoices are, and nothing else of the day is any different.
    for doc in debtors.erpnext.documents("Sales Invoice", posting_date=DAY.isoformat()):
        assert accounts_of(debtors).get(doc["customer"], doc["debit_to"]) == doc["debit_to"]
    assert debtors.owed() == debtors.expected()
    assert ledger_balance(debtors.erpnext) == 0


def test_the_control_totals_and_a_second_run_hold_on_several_accounts(debtors: World) -> None:
    first = debtors.close("royalties")
    assert [one.check_name for one in first.result.get_asset_check_evaluations() if not one.passed] == []
    debtors.erpnext.requests.reset()
    assert debtors.close("royalties").success
    assert debtors.erpnext.requests.writes == 0


def test_an_adjustment_clears_the_account_that_the_first_entry_is_on(debtors: World) -> None:
    """Whichever account the party has now: else one account would keep a debit and the other a credit."""
    assert debtors.close("royalties").success
    owes_on(debtors, "Customer", THANE, GROUP_DEBTORS)
    debtors.invoice(THANE, "1000")
    assert debtors.close("royalties").success
    first, adjustment = entries(debtors.erpnext, THANE)
    assert [doc["accounts"][0]["account"] for doc in (first, adjustment)] == [OWN_DEBTORS, OWN_DEBTORS]


def test_the_setting_overrides_all(debtors: World) -> None:
    debtors.options = {"receivable_account": "Debtors - SJ"}
    assert debtors.close("royalties").success
    assert set(accounts_of(debtors).values()) == {"Debtors - SJ"}


def test_an_account_for_another_company_is_none(chain: World) -> None:
    insert(chain.erpnext, "Company", company_name="Other", abbr="OT", default_currency="INR", country="India")
    insert(
        chain.erpnext,
        "Account",
        account_name="Debtors",
        company="Other",
        root_type="Asset",
        account_type="Receivable",
    )
    change(chain.erpnext, "Customer", THANE, accounts=[{"company": "Other", "account": "Debtors - OT"}])
    chain.options = {"company": "ScoopJoy"}
    chain.a_day()
    assert chain.close("royalties").success
    assert accounts_of(chain)[THANE] == "Debtors - SJ"


def test_a_franchise_with_several_accounts_is_one_franchise(debtors: World) -> None:
    insert(
        debtors.erpnext, "Company", company_name="Other", abbr="OT", default_currency="INR", country="India"
    )
    made = insert(
        debtors.erpnext,
        "Account",
        account_name="Debtors",
        company="Other",
        root_type="Asset",
        account_type="Receivable",
    )
    change(
        debtors.erpnext,
        "Customer",
        THANE,
        accounts=[{"company": "Other", "account": made}, {"company": "ScoopJoy", "account": OWN_DEBTORS}],
    )
    debtors.options = {"company": "ScoopJoy"}
    assert debtors.close("royalties").success
    assert accounts_of(debtors)[THANE] == OWN_DEBTORS
    with debtors.site() as site:
        assert [one.customer for one in franchises(site, "Franchise")].count(THANE) == 1


def test_an_account_in_another_currency_is_an_exception_of_that_franchise_alone_before_anything_is_sent(
    chain: World,
) -> None:
    account(chain, DOLLARS, account_currency="USD")
    chain.a_day()
    owes_on(chain, "Customer", THANE, DOLLARS)
    chain.erpnext.requests.reset()
    day = chain.close("royalties")
    assert day.status("royalties") == "failure"
    (row,) = day.exceptions("royalties")
    assert (row["what"], row["who"]) == ("receivable account in another currency", THANE)
    assert DOLLARS in row["message"]
    assert "72.50" in row["message"]
    assert set(accounts_of(chain)) == {KORAMANGALA, INDIRANAGAR, BANJARA, GELATO}
    # One request posts the others: that of Thane was never tried.
    assert chain.erpnext.requests.writes == 1

    owes_on(chain, "Customer", THANE, "Debtors - SJ")
    assert chain.close("royalties").success
    assert chain.owed() == chain.expected()


@pytest.mark.parametrize(
    ("values", "said"),
    [({"disabled": 1}, "is disabled"), ({"account_type": ""}, "is not of type Receivable")],
    ids=["disabled", "no receivable account"],
)
def test_a_franchises_own_account_that_takes_no_entry_is_its_own_exception(
    chain: World, values: dict[str, Any], said: str
) -> None:
    account(chain, OWN_DEBTORS)
    chain.a_day()
    owes_on(chain, "Customer", THANE, OWN_DEBTORS)
    change(chain.erpnext, "Account", OWN_DEBTORS, **values)
    day = chain.close("royalties")
    (row,) = day.exceptions("royalties")
    assert (row["what"], row["who"]) == ("receivable account not usable", THANE)
    assert said in row["message"]
    assert set(accounts_of(chain)) == {KORAMANGALA, INDIRANAGAR, BANJARA, GELATO}


def test_a_company_without_a_default_posts_nothing_and_says_so(chain: World) -> None:
    chain.a_day()
    change(chain.erpnext, "Company", "ScoopJoy", default_receivable_account="")
    day = chain.close("royalties")
    (row,) = day.exceptions("royalties")
    assert "has no default receivable account" in row["message"]
    assert entries(chain.erpnext) == []


def test_a_dry_run_names_the_franchise_too(chain: World) -> None:
    account(chain, DOLLARS, account_currency="USD")
    chain.a_day()
    owes_on(chain, "Customer", THANE, DOLLARS)
    day = chain.close("royalties", launchpad={"close": {"dry_run": True}})
    (shown,) = day.observations("royalties")
    assert "receivable account in another currency" in str(shown.metadata["exception_table"].value)
    assert entries(chain.erpnext) == []


# -- what a site wants besides ------------------------------------------------------------------------------------


def branch_dimension(chain: World, **mandatory: int) -> None:
    """A dimension of the DocType Branch with one branch, for the company."""
    insert(chain.erpnext, "Branch", branch="Pune")
    insert(
        chain.erpnext,
        "Accounting Dimension",
        document_type="Branch",
        dimension_defaults=[{"company": "ScoopJoy", "reference_document": "Branch", **mandatory}],
    )


@pytest.mark.parametrize("kind", ["mandatory_for_bs", "mandatory_for_pl"])
def test_a_mandatory_dimension_is_named_before_anything_is_sent_and_filled_by_the_setting(
    chain: World, kind: str
) -> None:
    chain.a_day()
    branch_dimension(chain, **{kind: 1})
    chain.erpnext.requests.reset()
    day = chain.close("royalties")
    (row,) = day.exceptions("royalties")
    assert "'Branch' is mandatory" in row["message"]
    assert "SCOOPJOY_ENTRY_FIELDS to branch=" in row["message"]
    assert chain.erpnext.requests.writes == 0

    chain.options = {"entry_fields": "branch=Pune"}
    assert chain.close("royalties").success
    assert chain.owed() == chain.expected()
    (entry,) = entries(chain.erpnext, THANE)
    assert [one["branch"] for one in entry["accounts"]] == ["Pune", "Pune"]
    rows = chain.erpnext.documents("GL Entry", voucher_no=entry["name"])
    assert [one["branch"] for one in rows] == ["Pune", "Pune"]


def test_a_dimension_that_is_not_mandatory_or_is_disabled_needs_nothing(chain: World) -> None:
    branch_dimension(chain, mandatory_for_bs=0)
    chain.a_day()
    assert chain.close("royalties").success
    change(
        chain.erpnext,
        "Accounting Dimension",
        "Branch",
        disabled=1,
        dimension_defaults=[{"company": "ScoopJoy", "mandatory_for_pl": 1}],
    )
    chain.invoice(THANE, "500")
    assert chain.close("royalties").success
    assert chain.owed() == chain.expected()


def test_mandatory_custom_fields_of_the_entry_and_its_rows_are_filled_by_the_setting(chain: World) -> None:
    for doctype, fieldname in (("Journal Entry", "source_of"), ("Journal Entry Account", "branch_dim")):
        insert(
            chain.erpnext,
            "Custom Field",
            dt=doctype,
            fieldname=fieldname,
            label=fieldname,
            fieldtype="Data",
            reqd=1,
        )
    chain.a_day()
    chain.options = {"entry_fields": "branch_dim=Pune; Journal Entry.source_of=Royalty = accrual"}
    assert chain.close("royalties").success
    (entry,) = entries(chain.erpnext, THANE)
    assert entry["source_of"] == "Royalty = accrual"
    assert [one["branch_dim"] for one in entry["accounts"]] == ["Pune", "Pune"]
    assert Decimal(str(entry["total_debit"])) == Decimal("72.5")
    assert re.fullmatch(r"SJ-ROY-.*", entry["name"])
