"""Royalty entries that are not ours: known by what they book, whatever their remark says."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from scoopjoy_dagster.erpnext import royalty_entries
from scoopjoy_dagster.erpnext.other_royalties import read_other_royalties
from scoopjoy_dagster.sandbox.seed import cancel_document
from scoopjoy_dagster_tests.world import DAY, INDIRANAGAR, THANE, World, amend, by_hand, entries

FIRST = DAY - timedelta(days=1)


def found(chain: World, last: date | None = None) -> list[tuple[str, date, str, Decimal]]:
    with chain.site() as site:
        books = site.books()
        names = [one.customer for one in royalty_entries.franchises(site, books.franchise_group)]
        rows = read_other_royalties(site, books, names, FIRST, last)
    return [(one.name, one.day, one.customer, one.amount) for one in rows]


@pytest.mark.parametrize(
    ("how", "amount"),
    [
        ({}, "96.66"),
        ({"amount": -40.5}, "-40.5"),
        ({"party_on_income": True}, "96.66"),  # as the pipeline inside Frappe did it
        ({"income": "Sales - SJ", "remark": f"Royalty for {THANE} on {DAY}"}, "96.66"),
    ],
    ids=["debit", "credit", "party on both rows", "another account and our remark"],
)
def test_an_entry_by_hand_is_found_with_what_the_franchise_owes_by_it(
    chain: World, how: dict[str, Any], amount: str
) -> None:
    name = by_hand(chain.erpnext, THANE, DAY, **how)
    assert found(chain) == [(name, DAY, THANE, Decimal(amount))]


@pytest.mark.parametrize(
    "how",
    [
        {"income": "Sales - SJ"},
        {"docstatus": 0},
        {"day": FIRST - timedelta(days=1)},
        {"customer": "Walk-in Customer"},
    ],
    ids=["another account", "a draft", "before the days", "no franchise"],
)
def test_other_entries_are_none(chain: World, how: dict[str, Any]) -> None:
    by_hand(chain.erpnext, **{"customer": THANE, "day": DAY, **how})
    assert found(chain) == []


def test_our_entries_and_their_amendments_are_none_and_amendments_of_others_are(chain: World) -> None:
    chain.a_day()
    assert chain.close("royalties").success
    name = entries(chain.erpnext, INDIRANAGAR)[0]["name"]
    for amount in ("50", "60"):
        cancel_document(chain.erpnext, "Journal Entry", name)
        name = amend(chain.erpnext, name, Decimal(amount))
    assert found(chain) == []
    other = by_hand(chain.erpnext, THANE, DAY)
    cancel_document(chain.erpnext, "Journal Entry", other)
    assert found(chain) == []
    amended = amend(chain.erpnext, other, Decimal(70))
    assert found(chain) == [(amended, DAY, THANE, Decimal(70))]


def test_each_is_of_its_posting_date_and_oldest_first(chain: World) -> None:
    late = by_hand(chain.erpnext, THANE, DAY)
    early = by_hand(chain.erpnext, INDIRANAGAR, FIRST)
    assert [one[0] for one in found(chain)] == [early, late]
    assert [one[0] for one in found(chain, FIRST)] == [early]


def test_where_there_is_none_it_costs_one_list_call(chain: World) -> None:
    chain.a_day()
    assert chain.close("royalties").success
    chain.erpnext.requests.reset()
    with chain.site() as site:
        books = site.books()
        names = [THANE, INDIRANAGAR]
        before = chain.erpnext.requests.total
        assert read_other_royalties(site, books, names, FIRST) == []
    assert chain.erpnext.requests.total - before == 1
