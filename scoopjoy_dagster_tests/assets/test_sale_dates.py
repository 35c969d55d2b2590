"""A sale counts once, as the document that was made when it was sold, on its own date; what consolidates it counts never."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from scoopjoy_dagster.sandbox.seed import Sale
from scoopjoy_dagster_tests.world import DAY, RATES, THANE, World, entries, exact, owed

NEXT = DAY + timedelta(days=1)


def bought(amount: str, *, at: datetime | None = None, returns: int | None = None) -> Sale:
    """A sale at the till to the franchise at Thane, without GST."""
    return Sale(Decimal(amount), at=at, returns=returns, customer=THANE, gst=False)


def royalty_of(amount: str) -> Decimal:
    return exact(Decimal(amount) * RATES[THANE] / 100)


def consolidations(world: World) -> list[dict[str, Any]]:
    return world.erpnext.documents("Sales Invoice", customer=THANE, is_consolidated=1)


def marks(document: dict[str, Any]) -> tuple[Decimal, str]:
    return exact(document.get("custom_royalty_share")), document.get("custom_royalty_journal_entry") or ""


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
    shares = [marks(one) for one in chain.erpnext.documents("POS Invoice", customer=THANE)]
    assert sorted(shares) == sorted([(royalty_of("1000"), entry["name"]), (royalty_of("500"), entry["name"])])
    assert marks(booked) == (Decimal(0), "")
    assert day.check("is_every_invoice_counted").passed
    assert day.check("do_the_shares_add_up").passed


def test_of_a_shift_over_midnight_each_sale_counts_on_its_own_day(chain: World) -> None:
    late = datetime.combine(NEXT, datetime.min.time()) + timedelta(minutes=30)
    chain.shift([bought("1000"), bought("200", at=late)])
    chain.now = datetime.combine(NEXT + timedelta(days=1), datetime.min.time()) + timedelta(hours=1)
    assert chain.close(day=DAY, until=NEXT).success
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
