"""A sale counts once, as the document that was made when it was sold, on its own date; what consolidates it counts never.

Nor does what is no sale: an opening balance, a transfer within the company.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.erpnext import royalty_entries
from scoopjoy_dagster.erpnext.range_reading import read_days
from scoopjoy_dagster.sandbox.seed import Sale
from scoopjoy_dagster_tests.world import (
    DAY,
    NO_ROYALTY,
    RATES,
    THANE,
    World,
    change,
    entries,
    exact,
    insert,
    owed,
    shown,
)

NEXT = DAY + timedelta(days=1)


def bought(amount: str, *, at: datetime | None = None, returns: int | None = None) -> Sale:
    """A sale at the till to the franchise at Thane, without GST."""
    return Sale(Decimal(amount), at=at, returns=returns, customer=THANE, gst=False)


def royalty_of(amount: str) -> Decimal:
    return exact(Decimal(amount) * RATES[THANE] / 100)


def consolidations(world: World) -> list[dict[str, Any]]:
    return world.erpnext.documents("Sales Invoice", customer=THANE, is_consolidated=1)


def test_a_sale_at_the_till_counts_as_its_pos_invoice_and_not_again_as_what_consolidates_it(
    chain: World,
) -> None:
    chain.shift([bought("1000"), bought("500"), "70"])
    day = chain.close()
    assert day.success
    (booked,) = consolidations(chain)
    assert (exact(booked["base_grand_total"]), booked["posting_date"]) == (Decimal(1500), DAY.isoformat())
    assert owed(chain.erpnext, THANE) == royalty_of("1500")
    (entry,) = entries(chain.erpnext, THANE)
    at_the_till = chain.erpnext.documents("POS Invoice", customer=THANE)
    assert [shown(chain.erpnext, one["name"], "POS Invoice") for one in at_the_till] == [
        (RATES[THANE], royalty_of(amount), entry["name"]) for amount in ("1000", "500")
    ]
    assert shown(chain.erpnext, booked["name"]) == NO_ROYALTY
    assert day.check("is_every_invoice_counted").passed
    assert day.check("do_the_shares_add_up").passed


def test_of_a_shift_over_midnight_each_sale_counts_on_its_own_day(chain: World) -> None:
    late = datetime.combine(NEXT, datetime.min.time()) + timedelta(minutes=30)
    chain.shift([bought("1000"), bought("200", at=late)])
    chain.now = datetime.combine(NEXT + timedelta(days=1), datetime.min.time()) + timedelta(hours=1)
    assert chain.close(day=DAY).success
    assert chain.close(day=NEXT).success
    # ERPNext books both on the day of the closing; the royalty follows the sales.
    assert [(exact(one["base_grand_total"]), one["posting_date"]) for one in consolidations(chain)] == [
        (Decimal(1200), DAY.isoformat())
    ]
    assert owed(chain.erpnext, THANE, DAY) == royalty_of("1000")
    assert owed(chain.erpnext, THANE, NEXT) == royalty_of("200")


def test_a_return_at_the_till_is_taken_off_the_day_on_which_it_was_taken_back(chain: World) -> None:
    chain.shift([bought("1000"), bought("400"), bought("400", returns=1)])
    assert chain.close().success
    assert owed(chain.erpnext, THANE) == royalty_of("1000")


def test_a_sale_at_the_till_that_is_in_no_ledger_bears_no_royalty(chain: World) -> None:
    """Its shift is of the next day and still open: it is not consolidated, and counts once it is."""
    opened = datetime.combine(NEXT, datetime.min.time()) + timedelta(hours=9)
    chain.shift(
        [bought("1000", at=datetime.combine(DAY, datetime.min.time()) + timedelta(hours=23))], opened=opened
    )
    assert chain.close("closed_shifts", "royalties").success
    assert entries(chain.erpnext, THANE) == []


def test_invoices_and_sales_at_the_till_of_one_franchise_are_one_royalty(chain: World) -> None:
    chain.invoice(THANE, "333.33")
    chain.shift([bought("66.67")])
    day = chain.close()
    assert day.success
    assert owed(chain.erpnext, THANE) == royalty_of("400")
    assert len(entries(chain.erpnext, THANE)) == 1
    again = chain.close()
    assert [again.outcome(asset)["written"] for asset in ("royalties", "invoices")] == [0, 0]


def test_a_sale_at_the_till_that_is_closed_late_is_followed_by_one_adjustment(chain: World) -> None:
    chain.invoice(THANE, "1000")
    assert chain.close().success
    chain.shift([bought("200")])
    assert chain.close().success
    posted = entries(chain.erpnext, THANE)
    assert len(posted) == 2
    assert owed(chain.erpnext, THANE) == royalty_of("1200")
    (till,) = chain.erpnext.documents("POS Invoice", customer=THANE)
    assert f"{till['name']} added" in posted[1]["custom_scoopjoy_reason"]


def invoiced(world: World, amount: str, **fields: Any) -> str:
    """A Sales Invoice to the franchise at Thane, as an accountant makes it."""
    row = {"item_code": "SJ-SUPPLY", "qty": 1, "rate": amount, **fields.pop("row", {})}
    return insert(
        world.erpnext,
        "Sales Invoice",
        user="accountant@scoopjoy.example",
        customer=THANE,
        company="ScoopJoy",
        set_posting_time=1,
        posting_date=DAY.isoformat(),
        due_date=NEXT.isoformat(),
        items=[row],
        docstatus=1,
        **fields,
    )


def opening_balance(world: World) -> str:
    return invoiced(world, "20000", is_opening="Yes", row={"income_account": "Temporary Opening - SJ"})


def transfer(world: World) -> str:
    """The outlet is the company's own now: what it gets from the store is no sale."""
    change(world.erpnext, "Company", "ScoopJoy", unrealized_profit_loss_account="Temporary Opening - SJ")
    change(world.erpnext, "Customer", THANE, is_internal_customer=1, represents_company="ScoopJoy")
    return invoiced(world, "700")


@pytest.mark.parametrize("make", [opening_balance, transfer])
def test_what_is_no_sale_bears_no_royalty_and_is_in_no_figure(
    full_chain: World, make: Callable[[World], str]
) -> None:
    full_chain.invoice(THANE, "1000")
    other = make(full_chain)
    day = full_chain.close()
    assert day.success
    assert owed(full_chain.erpnext, THANE) == royalty_of("1000")
    assert shown(full_chain.erpnext, other) == NO_ROYALTY
    assert exact(day.metadata("royalties")["sales"].value) == Decimal(1000)
    with full_chain.site() as site:  # what `verify` sees
        books = site.books()
        everybody = royalty_entries.franchises(site, books.franchise_group)
        (read,) = read_days(site, books, RoyaltyPolicy(), everybody, DAY, DAY, headquarters=False)
    assert sum(one.sales for one in read.invoices) == Decimal(1000)
    assert day.check("is_every_invoice_counted").passed
    again = full_chain.close()
    assert [again.outcome(asset)["written"] for asset in ("royalties", "invoices", "reports", "hq_sync")] == [
        0
    ] * 4
