"""The same sales make the same royalties on every line of ERPNext and in both modes of its tills."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.seed import Sale
from scoopjoy_dagster_tests.assets.test_dry_run import previews
from scoopjoy_dagster_tests.world import (
    BANDRA,
    CASHIER,
    DAY,
    INDIRANAGAR,
    KORAMANGALA,
    RATES,
    THANE,
    World,
    change,
    entries,
    exact,
    ledger_balance,
    owed,
)

DAYS = [DAY - timedelta(days=back) for back in (2, 1, 0)]


def bought(amount: str, customer: str = THANE, *, returns: int | None = None) -> Sale:
    return Sale(Decimal(amount), returns=returns, customer=customer, gst=False)


def a_day(world: World, day: date, sales: list[Sale | str]) -> seed.Shift:
    """Invoices of two franchises, and a shift at Bandra that is left open."""
    with seed.at(world.erpnext, datetime.combine(day, datetime.min.time()) + timedelta(hours=10)):
        world.invoice(KORAMANGALA, "12345.67", day)
        world.invoice(INDIRANAGAR, "333.33", day)
        return seed.add_shift(
            world.erpnext,
            BANDRA,
            CASHIER,
            datetime.combine(day, datetime.min.time()) + timedelta(hours=11),
            sales,
        )


def on(world: World, day: date) -> None:
    """It is past one o'clock in the night after the day, for the program and for the site."""
    night = datetime.combine(day + timedelta(days=1), datetime.min.time()) + timedelta(hours=1, seconds=7)
    world.now = night
    world.erpnext.site.clock = lambda: night


def royalties(world: World, day: date) -> dict[str, Decimal]:
    return {name: owed(world.erpnext, name, day) for name in (KORAMANGALA, INDIRANAGAR, THANE)}


def expected(thane: str) -> dict[str, Decimal]:
    bases = {KORAMANGALA: Decimal("12345.67"), INDIRANAGAR: Decimal("333.33"), THANE: Decimal(thane)}
    return {name: exact(base * RATES[name] / 100) for name, base in bases.items()}


def closings(world: World) -> list[dict[str, Any]]:
    return world.erpnext.documents("POS Closing Entry")


def test_three_nights_post_the_same_royalties_and_again_nothing(chain: World) -> None:
    sold = (
        ["70", bought("1000")],
        [bought("500"), bought("200"), bought("200", returns=1)],
        [bought("66.67"), "5"],
    )
    bases = ("1000", "500", "66.67")
    for day, sales in zip(DAYS, sold, strict=True):
        a_day(chain, day, sales)
        on(chain, day)
        night = chain.close(day=day)
        assert night.success, night.result
        assert all(night.check(name).passed for name in ("is_every_shift_closed", "do_the_shares_add_up"))
    assert [royalties(chain, day) for day in DAYS] == [expected(base) for base in bases]
    assert [one["status"] for one in closings(chain)] == ["Submitted"] * 3
    assert ledger_balance(chain.erpnext) == 0
    chain.erpnext.requests.reset()
    for day in DAYS:
        assert chain.close(day=day).success
    assert chain.erpnext.requests.writes == 0


def test_a_dry_run_says_of_open_shifts_only_what_is_not_in_its_plan(chain: World) -> None:
    """Sales Invoices of the tills count already; those that ERPNext will make of POS Invoices do not exist yet."""
    a_day(chain, DAY, [bought("1000"), "70"])
    on(chain, DAY)
    consolidated = bool(chain.erpnext.documents("POS Invoice"))
    before = previews(chain)["royalties"]
    said = [one.what for one in before.findings if one.what == "shifts not closed yet"]
    assert said == (["shifts not closed yet"] if consolidated else [])
    thane = {one.who: one.amount for one in before.lines}[THANE]
    assert chain.close("closed_shifts").success
    after = previews(chain)["royalties"]
    assert ({one.who: one.amount for one in after.lines}[THANE] == thane) != consolidated
    assert [one for one in after.findings if one.what == "shifts not closed yet"] == []


def test_a_shift_of_many_sales_is_closed_with_all_of_them(chain: World) -> None:
    """Ten POS Invoices and more are consolidated in the background; Sales Invoices never are."""
    shift = a_day(chain, DAY, [bought("10") for _ in range(12)])
    on(chain, DAY)
    night = chain.close()
    assert night.success, night.exceptions("closed_shifts")
    assert owed(chain.erpnext, THANE) == exact(Decimal(120) * RATES[THANE] / 100)
    (closing,) = closings(chain)
    named = [
        row.get("pos_invoice") or row.get("sales_invoice")
        for table in ("pos_transactions", "pos_invoices", "sales_invoices")
        for row in closing.get(table) or []
    ]
    assert sorted(named) == sorted(shift.invoices)
    (opening,) = chain.erpnext.documents("POS Opening Entry")
    assert (opening["status"], opening["pos_closing_entry"]) == ("Closed", closing["name"])


def test_a_shift_left_open_over_midnight_is_closed_by_the_night_run_and_the_till_may_open_again(
    chain: World,
) -> None:
    a_day(chain, DAY, [bought("1000")])
    on(chain, DAY)
    assert chain.close().success
    morning = datetime.combine(DAY + timedelta(days=1), datetime.min.time()) + timedelta(hours=9)
    with seed.at(chain.erpnext, morning):
        seed.add_shift(chain.erpnext, BANDRA, CASHIER, morning, [bought("50")])
    assert royalties(chain, DAY) == expected("1000")


def test_a_return_that_is_taken_back_on_another_day_counts_on_that_day(chain: World) -> None:
    """Its original was consolidated the night before; on v16 the credit note is dated when the closing runs."""
    first = a_day(chain, DAYS[0], [bought("1000")])
    on(chain, DAYS[0])
    assert chain.close(day=DAYS[0]).success
    second = a_day(chain, DAYS[1], [bought("300")])
    returned = take_back(chain, second, first.invoices[0], DAYS[1])
    on(chain, DAYS[2])  # closed a night late
    assert chain.close(day=DAYS[1]).success
    # More was taken back than sold: nothing is due on that day, and the day before keeps its royalty.
    assert owed(chain.erpnext, THANE, DAYS[0]) == exact(Decimal(1000) * RATES[THANE] / 100)
    assert owed(chain.erpnext, THANE, DAYS[1]) == 0
    assert returned


def take_back(world: World, shift: seed.Shift, original: str, day: date) -> str:
    """Return a sale of an earlier shift at the till."""
    counter = world.erpnext.session(shift.cashier)
    doctype = "Sales Invoice" if world.erpnext.documents("Sales Invoice", name=original) else "POS Invoice"
    moment = datetime.combine(day, datetime.min.time()) + timedelta(hours=15)
    with world.erpnext.site.transaction(), seed.at(world.erpnext, moment):
        sold = counter.load(doctype, original)
        values: dict[str, Any] = {
            "customer": sold["customer"],
            "company": sold["company"],
            "pos_profile": sold["pos_profile"],
            "is_pos": 1,
            "is_return": 1,
            "return_against": original,
            "set_posting_time": 1,
            "posting_date": day.isoformat(),
            "posting_time": "15:00:00",
            "items": [
                {"item_code": row["item_code"], "qty": -row["qty"], "rate": row["rate"]}
                for row in sold["items"]
            ],
            "payments": [{"mode_of_payment": "Cash", "amount": -sold["grand_total"]}],
            "paid_amount": -sold["grand_total"],
        }
        if doctype == "Sales Invoice":
            values["is_created_using_pos"] = 1
        return str(counter.submit(counter.insert(counter.new(doctype, values))).name)


def test_what_the_till_sold_to_a_franchise_carries_its_share_and_what_consolidates_it_carries_none(
    chain: World,
) -> None:
    shift = a_day(chain, DAY, [bought("1000"), bought("500")])
    on(chain, DAY)
    assert chain.close().success
    (entry,) = entries(chain.erpnext, THANE)
    due = {
        name: exact(Decimal(amount) * RATES[THANE] / 100)
        for name, amount in zip(shift.invoices, ("1000", "500"), strict=True)
    }
    carried = {row["document"]: exact(row["royalty_share"]) for row in entry["custom_royalty_shares"]}
    assert carried == due
    with chain.site() as site:
        shown = [
            site.client.get(doctype, one["name"])
            for doctype in ("POS Invoice", "Sales Invoice")
            for one in chain.erpnext.documents(doctype, customer=THANE)
        ]
    assert {
        one["name"]: exact(one["custom_sale_royalty_share"])
        for one in shown
        if one["custom_sale_royalty_entry"]
    } == due
    assert {one["custom_sale_royalty_entry"] for one in shown} <= {entry["name"], ""}


@pytest.mark.parametrize("fault", ["remark", "party"])
def test_an_entry_says_what_it_is_for_and_names_the_franchise_on_the_receivable_row_only(
    chain: World, fault: str
) -> None:
    a_day(chain, DAY, [])
    on(chain, DAY)
    assert chain.close().success
    (entry,) = entries(chain.erpnext, KORAMANGALA)
    if fault == "remark":
        assert entry["user_remark"] == f"Royalty for {KORAMANGALA} on {DAY}"
        assert f"Royalty for {KORAMANGALA} on {DAY}" in entry["remark"]
    else:
        assert [row.get("party") or "" for row in entry["accounts"]] == [KORAMANGALA, ""]


def test_frozen_books_are_seen_wherever_the_line_keeps_their_date_and_the_entry_waits(chain: World) -> None:
    chain.invoice(KORAMANGALA, "1000")
    frozen = chain.erpnext.line.freeze
    (document,) = chain.erpnext.documents(frozen.doctype)
    change(chain.erpnext, frozen.doctype, document["name"], **{frozen.day: DAY.isoformat()})
    on(chain, DAY)
    night = chain.close("closed_shifts", "royalties")
    assert not night.success
    (row,) = night.exceptions("royalties", "books locked")
    assert f"the books are frozen up to {DAY}" in row["message"]
    change(chain.erpnext, frozen.doctype, document["name"], **{frozen.day: None})
    assert chain.close().success
    assert owed(chain.erpnext, KORAMANGALA) == exact(Decimal(1000) * RATES[KORAMANGALA] / 100)


def test_an_invoice_that_comes_late_is_followed_by_one_adjustment(chain: World) -> None:
    a_day(chain, DAY, [bought("1000")])
    on(chain, DAY)
    assert chain.close().success
    chain.invoice(THANE, "100")
    assert chain.close().success
    first, second = entries(chain.erpnext, THANE)
    assert second["custom_scoopjoy_adjusts"] == first["name"]
    assert owed(chain.erpnext, THANE) == exact(Decimal(1100) * RATES[THANE] / 100)
