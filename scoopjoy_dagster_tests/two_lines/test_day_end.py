"""A chain whose business day ends at 03:00: what is sold before it belongs to the day before, in every figure of the close."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.totals import CONTROL_TOTALS
from scoopjoy_dagster.cli.verify import verify
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.seed import Sale
from scoopjoy_dagster_tests.world import (
    BANDRA,
    CASHIER,
    DAY,
    KORAMANGALA,
    PAISA,
    RATES,
    THANE,
    World,
    entries,
    exact,
    ledger_balance,
)

BEFORE, NEXT = DAY - timedelta(days=1), DAY + timedelta(days=1)
INVOICES = [
    (DAY, time(2, 59), "1", BEFORE),
    (DAY, time(3), "20", DAY),
    (DAY, time(23, 30), "300", DAY),
    (NEXT, time(0, 30), "4000", DAY),
    (NEXT, time(2, 59, 59), "50000", DAY),
    (NEXT, time(3), "600000", NEXT),
]
"""Invoices of Thane: posting date and time, amount, business day."""


def sold(amount: str, at: datetime) -> Sale:
    return Sale(Decimal(amount), at=at, customer=KORAMANGALA, gst=False)


def invoices(chain: World) -> None:
    chain.day_ends_at = "03:00"
    for posted, clock, amount, _ in INVOICES:
        chain.invoice(THANE, amount, posted, at=clock)


@pytest.fixture
def night(chain: World) -> World:
    """Outlets that sell past midnight, at 04:00: one shift from the evening, and one that was opened at 00:15."""
    invoices(chain)
    evening = [sold("1000", datetime.combine(DAY, time(23, 30)))]
    if not chain.erpnext.line.tills_sell_today:  # v16+ lets a shift sell on the date of its opening only
        evening.append(sold("200", datetime.combine(NEXT, time(0, 30))))
    seed.add_shift(chain.erpnext, BANDRA, CASHIER, datetime.combine(DAY, time(18)), evening)
    seed.add_shift(
        chain.erpnext,
        "POS Indiranagar",
        "cashier.indiranagar@scoopjoy.example",
        datetime.combine(NEXT, time(0, 15)),
        [sold("30", datetime.combine(NEXT, time(2, 59))), sold("4", datetime.combine(NEXT, time(3)))],
    )
    at_four(chain, NEXT)
    return chain


def at_four(chain: World, of: date) -> None:
    now = datetime.combine(of, time(4))
    chain.now = now
    chain.erpnext.site.clock = lambda: now


def till_sales(chain: World) -> Decimal:
    """What Koramangala bought at the tills on the business day."""
    return Decimal(1030) if chain.erpnext.line.tills_sell_today else Decimal(1230)


def royalty(customer: str, base: Decimal) -> Decimal:
    return (base * RATES[customer] / 100).quantize(PAISA, ROUND_HALF_UP)


def owed(chain: World, day: date) -> dict[str, Decimal]:
    found = chain.owed(day)
    return {name: found[name] for name in (THANE, KORAMANGALA)}


def shared(chain: World) -> dict[str, str]:
    """By the amount of each of Thane's invoices the entry that it shows."""
    with chain.site() as site:
        found = [
            site.client.get("Sales Invoice", one["name"])
            for one in chain.erpnext.documents("Sales Invoice", customer=THANE)
        ]
    return {str(int(exact(one["base_grand_total"]))): one["custom_sale_royalty_entry"] for one in found}


def test_base_shifts_shares_report_and_headquarters_agree_on_the_day(night: World) -> None:
    day = night.close()
    assert day.success, day.result
    passed = {one.check_name for one in day.result.get_asset_check_evaluations() if one.passed}
    assert passed == {one.name for one in CONTROL_TOTALS}
    due = {
        THANE: royalty(THANE, Decimal(54320)),
        KORAMANGALA: royalty(KORAMANGALA, till_sales(night)),
    }
    assert owed(night, DAY) == due
    (entry,) = entries(night.erpnext, THANE)
    assert shared(night) == {amount: entry["name"] if of == DAY else "" for _, _, amount, of in INVOICES}
    # A shift is of the day on which it began, with all that it sold.
    assert day.outcome("closed_shifts")["seen"] == 2
    openings = night.erpnext.documents("POS Opening Entry")
    assert {one["status"] for one in openings} == {"Closed"}
    closings = night.erpnext.documents("POS Closing Entry")
    assert all(f":{DAY}:" in one["custom_scoopjoy_key"] for one in closings)
    assert all(one["period_end_date"] >= one["period_start_date"] for one in closings)
    assert night.headquarters is not None
    totals = night.headquarters.days["ScoopJoy", DAY.isoformat()]["totals"]
    assert Decimal(totals["royalty"]) == sum(due.values())
    assert Decimal(totals["sales"]) == 54320 + till_sales(night)
    assert (totals["pos_shifts"], Decimal(totals["pos_sales"])) == (2, till_sales(night) + 4)
    assert ledger_balance(night.erpnext) == 0


def test_control_totals_by_themselves_agree_too(night: World) -> None:
    """They count and add up anew, each in its own way."""
    assert night.close().success
    judged = night.judge(*{one.asset for one in CONTROL_TOTALS})
    found = {one.check_name: one.passed for one in judged.result.get_asset_check_evaluations()}
    assert found == {one.name: True for one in CONTROL_TOTALS}


def test_the_audit_of_the_days_finds_what_was_closed(night: World) -> None:
    at_four(night, NEXT + timedelta(days=1))
    for day in (BEFORE, DAY, NEXT):
        assert night.close(day=day).success
    with night.site() as site:
        found = verify(site, RoyaltyPolicy(), BEFORE, NEXT, headquarters=True, tell=lambda *_: None)
    assert [one.day for one in found.verdicts] == [BEFORE, DAY, NEXT]
    assert found.differences == []


def test_the_report_shows_the_business_day(night: World) -> None:
    assert night.close().success
    assert night.mail is not None
    html = night.mail.messages[0].message.get_body(("html",)).get_content()
    assert DAY.isoformat() in night.mail.messages[0].message["Subject"]
    assert "54,320.00" in html
    for other in ("600,000.00", "6,00,000.00"):
        assert other not in html


def requests_of_a_re_run(chain: World) -> int:
    """Of the day as it is; the run before makes it right."""
    assert chain.close().success
    chain.erpnext.requests.reset()
    assert chain.close().success
    assert chain.erpnext.requests.writes == 0
    return len(chain.erpnext.requests.entries)


def test_again_nothing_is_written_and_six_lists_more_are_read(chain: World) -> None:
    invoices(chain)
    chain.shift(3)
    at_four(chain, NEXT)
    with_end = requests_of_a_re_run(chain)
    chain.day_ends_at = "00:00"
    # Two for each of three lists of sums: one for the asset and two for the control totals, which read for themselves.
    assert requests_of_a_re_run(chain) == with_end - 6


def test_every_sale_is_of_one_business_day(night: World) -> None:
    at_four(night, NEXT + timedelta(days=1))
    for day in (BEFORE, DAY, NEXT):
        assert night.close(day=day).success
    assert [owed(night, day)[THANE] for day in (BEFORE, DAY, NEXT)] == [
        royalty(THANE, Decimal(base)) for base in (1, 54320, 600000)
    ]
    till = {day: owed(night, day)[KORAMANGALA] for day in (BEFORE, DAY, NEXT)}
    assert till == {
        BEFORE: 0,
        DAY: royalty(KORAMANGALA, till_sales(night)),
        NEXT: royalty(KORAMANGALA, Decimal(4)),
    }


def test_a_sale_that_arrives_later_is_an_adjustment_of_its_business_day(night: World) -> None:
    assert night.close().success
    late = night.invoice(THANE, "7", NEXT, at=time(1, 30))
    assert night.close().success
    posted: list[dict[str, Any]] = entries(night.erpnext, THANE)
    assert len(posted) == 2
    assert f"{late} added" in posted[1]["custom_scoopjoy_reason"]
    assert owed(night, DAY)[THANE] == royalty(THANE, Decimal(54327))


def test_an_early_sale_that_is_cancelled_later_is_taken_off_its_business_day_and_named(night: World) -> None:
    early = night.invoice(THANE, "7", NEXT, at=time(1, 30))
    assert night.close().success
    later = night.now + timedelta(hours=5)
    with seed.at(night.erpnext, later):
        seed.cancel_document(night.erpnext, "Sales Invoice", early)
    night.now = later + timedelta(minutes=1)
    night.erpnext.site.clock = lambda: night.now
    assert night.close().success
    posted = entries(night.erpnext, THANE)
    assert len(posted) == 2
    assert f"{early} cancelled" in posted[1]["custom_scoopjoy_reason"]
    assert owed(night, DAY)[THANE] == royalty(THANE, Decimal(54320))
