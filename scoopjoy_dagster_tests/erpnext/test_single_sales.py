"""The sales of a day one by one: each that bears royalty once, as the document that was made when it was sold."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pytest

from scoopjoy_dagster.accounting.policy import Base, RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import BaseInvoice
from scoopjoy_dagster.erpnext.sales_totals import day_sales
from scoopjoy_dagster.erpnext.single_sales import single_sales
from scoopjoy_dagster.erpnext.site import BookSettings, Site
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster.sandbox.seed import Sale
from scoopjoy_dagster_tests.world import BANDRA, CASHIER, DAY, INDIRANAGAR, THANE, session_of

NEXT = DAY + timedelta(days=1)


@pytest.fixture
def erp(chain_site: SandboxERPNext) -> SandboxERPNext:
    return chain_site


@pytest.fixture
def site(erp: SandboxERPNext) -> Iterator[Site]:
    with session_of(erp) as session:
        yield Site.open(session)


def sales(
    site: Site, *customers: str, day: date = DAY, base: Base = Base.GRAND_TOTAL
) -> dict[str, list[BaseInvoice]]:
    """Every customer's sales of the day; each customer is in one part."""
    found: dict[str, list[BaseInvoice]] = {}
    for part in single_sales(site, site.books(), RoyaltyPolicy(base=base), day, dict.fromkeys(customers, 1)):
        assert not found.keys() & part.keys()
        found |= part
    return found


def test_a_sale_is_read_with_all_that_its_share_follows_from(erp: SandboxERPNext, site: Site) -> None:
    made = seed.add_invoice(erp, THANE, DAY, "1000.01", taxes="18")
    returned = seed.add_invoice(erp, THANE, DAY, "100", is_return=True, return_against=made)
    dollars = seed.add_invoice(erp, THANE, DAY, "3", currency="USD", conversion_rate=Decimal("84.31"))
    found = {one.name: one for one in sales(site, THANE, base=Base.NET_TOTAL)[THANE]}
    created = erp.documents("Sales Invoice", name=made)[0]["creation"]
    assert found[made] == BaseInvoice(
        made, THANE, Decimal("1000.01"), currency="INR", sales=Decimal("1180.01"), newest=created
    )
    assert (found[returned].base, found[returned].is_return) == (-100, True)
    assert (found[dollars].base, found[dollars].currency) == (Decimal("252.93"), "USD")
    assert len(found) == 3


def test_drafts_cancelled_ones_and_those_of_other_days_and_customers_are_none(
    erp: SandboxERPNext, site: Site
) -> None:
    kept = seed.add_invoice(erp, THANE, DAY, "100")
    seed.add_invoice(erp, THANE, DAY, "7", submit=False)
    seed.cancel_document(erp, "Sales Invoice", seed.add_invoice(erp, THANE, DAY, "8"))
    seed.add_invoice(erp, THANE, NEXT, "9")
    seed.add_invoice(erp, INDIRANAGAR, DAY, "10")
    assert {customer: [one.name for one in found] for customer, found in sales(site, THANE).items()} == {
        THANE: [kept]
    }


def test_what_the_till_sold_is_its_pos_invoice_and_not_what_consolidates_it(
    erp: SandboxERPNext, site: Site
) -> None:
    morning = datetime.combine(DAY, time(10))
    sold = [Sale(Decimal(amount), customer=THANE, gst=False) for amount in (10, 20)]
    shift = seed.add_shift(erp, BANDRA, CASHIER, morning, sold)
    assert sales(site, THANE) == {THANE: []}  # not in the ledger yet
    with seed.at(erp, morning + timedelta(hours=8)):
        seed.close_shift(erp, shift.opening)
    found = sales(site, THANE)[THANE]
    assert {one.document: one.base for one in found} == {
        ("POS Invoice", name): amount
        for name, amount in zip(shift.invoices, (Decimal(10), Decimal(20)), strict=True)
    }


def test_one_by_one_they_are_the_sums_that_royalties_are_computed_from(
    erp: SandboxERPNext, site: Site
) -> None:
    for number in range(7):
        seed.add_invoice(erp, THANE, DAY, f"{number}.37")
        seed.add_invoice(erp, INDIRANAGAR, DAY, f"{number}.73")
    added_up = {one.customer: one for one in day_sales(site, RoyaltyPolicy(), DAY, DAY)[DAY]}
    for customer, found in sales(site, THANE, INDIRANAGAR).items():
        whole = added_up[customer]
        assert (len(found), sum(one.base for one in found)) == (whole.count, whole.base)
        assert max(one.newest for one in found) == whole.newest


def test_where_the_day_ends_at_three_an_early_sale_is_of_the_day_before(erp: SandboxERPNext) -> None:
    late = seed.add_invoice(erp, THANE, NEXT, "5", at=time(2, 59, 59))
    seed.add_invoice(erp, THANE, NEXT, "6", at=time(3))
    seed.add_invoice(erp, THANE, DAY, "7", at=time(2, 59))
    with session_of(erp) as session:
        site = Site.open(session, BookSettings(day_ends_at=time(3)))
        assert [one.name for one in sales(site, THANE)[THANE]] == [late]
