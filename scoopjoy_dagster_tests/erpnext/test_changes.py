"""What a look by `modified` finds, and that days are read with the filters by which they were closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pytest

from scoopjoy_dagster.accounting.inputs import Sold, together
from scoopjoy_dagster.accounting.keys import royalty_key
from scoopjoy_dagster.accounting.policy import Base, RoyaltyPolicy
from scoopjoy_dagster.erpnext import changes
from scoopjoy_dagster.erpnext.client import DIGEST_FIELD, KEY_FIELD
from scoopjoy_dagster.erpnext.royalty_entries import franchises
from scoopjoy_dagster.erpnext.sales_totals import day_sales
from scoopjoy_dagster.erpnext.site import Books, BookSettings, Site
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster.sandbox.seed.masters import WALK_IN
from scoopjoy_dagster_tests.world import (
    BANDRA,
    CASHIER,
    DAY,
    HEBBAL,
    INDIRANAGAR,
    NOW,
    THANE,
    change,
    exact,
    insert,
    rename,
    session_of,
)

FIRST, LAST = DAY - timedelta(days=6), DAY
LATER = NOW + timedelta(hours=9)
"""When the tests touch something; everything else was touched at NOW."""


@pytest.fixture
def erp(chain_site: SandboxERPNext) -> SandboxERPNext:
    return chain_site


@pytest.fixture
def site(erp: SandboxERPNext) -> Iterator[Site]:
    with session_of(erp) as session:
        yield Site.open(session)


@pytest.fixture
def until_three(erp: SandboxERPNext) -> Iterator[Site]:
    """The site of a chain whose business day ends at three."""
    with session_of(erp) as session:
        yield Site.open(session, BookSettings(day_ends_at=time(3)))


@pytest.fixture
def books(site: Site) -> Books:
    return site.books()


def touched(site: Site, since: datetime = LATER) -> changes.Touched:
    return changes.touched_since(site, site.books(), FIRST, LAST, since)


def entry(erp: SandboxERPNext, key: str, day: date = DAY, customer: str = THANE) -> str:
    rows = [
        {
            "account": "Debtors - SJ",
            "party_type": "Customer",
            "party": customer,
            "debit_in_account_currency": 75,
        },
        {"account": "Royalty Income - SJ", "cost_center": "Main - SJ", "credit_in_account_currency": 75},
    ]
    values = {"voucher_type": "Journal Entry", "company": "ScoopJoy", "posting_date": day.isoformat()}
    return insert(
        erp, "Journal Entry", **values, accounts=rows, docstatus=1, **{KEY_FIELD: key, DIGEST_FIELD: "d"}
    )


def test_nothing_touched_is_nothing_found(erp: SandboxERPNext, site: Site) -> None:
    seed.add_invoice(erp, THANE, DAY, "100")
    assert touched(site).days == {}
    assert touched(site).newest is None
    assert touched(site).fingerprint == touched(site).fingerprint


def submitted(erp: SandboxERPNext, day: date) -> None:
    seed.add_invoice(erp, THANE, day, "100")


def shift_begun(erp: SandboxERPNext, day: date) -> None:
    seed.add_shift(erp, BANDRA, CASHIER, datetime.combine(day, datetime.min.time()), ["100"])


def last_minute_shift(erp: SandboxERPNext, day: date) -> None:
    seed.add_shift(erp, BANDRA, CASHIER, datetime.combine(day, datetime.max.time()).replace(microsecond=0))


def entry_cancelled(erp: SandboxERPNext, day: date) -> None:
    # An entry for a locked day is posted later: the key says which day it is for.
    name = entry(erp, royalty_key("ScoopJoy", day, THANE, 0), day + timedelta(days=1))
    seed.cancel_document(erp, "Journal Entry", name)


TOUCHES = [submitted, shift_begun, last_minute_shift, entry_cancelled]


@pytest.mark.parametrize("touch", TOUCHES, ids=lambda touch: touch.__name__)
@pytest.mark.parametrize("day", [FIRST, LAST])
def test_a_document_of_a_day_touches_that_day(
    erp: SandboxERPNext, site: Site, touch: Callable[[SandboxERPNext, date], None], day: date
) -> None:
    with seed.at(erp, LATER):
        touch(erp, day)
    found = touched(site)
    assert found.days.keys() == {day}
    assert found.newest is not None
    assert LATER <= found.newest < LATER + timedelta(seconds=1)


@pytest.mark.parametrize("touch", TOUCHES, ids=lambda touch: touch.__name__)
@pytest.mark.parametrize("day", [FIRST - timedelta(days=1), LAST + timedelta(days=1)])
def test_days_outside_are_not_looked_at(
    erp: SandboxERPNext, site: Site, touch: Callable[[SandboxERPNext, date], None], day: date
) -> None:
    with seed.at(erp, LATER):
        touch(erp, day)
    assert touched(site).days == {}


@pytest.mark.parametrize(
    ("day", "clock", "found"),
    [
        (FIRST, time(2, 59), set()),
        (FIRST, time(3), {FIRST}),
        (LAST, time(1, 30), {LAST - timedelta(days=1)}),
        (LAST + timedelta(days=1), time(2, 59), {LAST}),
        (LAST + timedelta(days=1), time(3), set()),
    ],
)
def test_where_the_day_ends_at_three_an_early_document_touches_the_day_before(
    erp: SandboxERPNext, until_three: Site, day: date, clock: time, found: set[date]
) -> None:
    with seed.at(erp, LATER):
        seed.add_invoice(erp, THANE, day, "100", at=clock)
    seen = touched(until_three)
    assert seen.days.keys() == found
    assert bool(seen.newest) == bool(found)
    with seed.at(erp, LATER):
        seed.add_shift(erp, BANDRA, CASHIER, datetime.combine(day, clock))
    assert touched(until_three).days.keys() == found


def test_where_the_day_ends_at_three_days_are_read_as_they_are_closed(
    erp: SandboxERPNext, until_three: Site
) -> None:
    seed.add_invoice(erp, THANE, DAY, "20", at=time(3))
    seed.add_invoice(erp, THANE, DAY + timedelta(days=1), "4000", at=time(2, 59))
    seed.add_invoice(erp, THANE, DAY, "1", at=time(2, 59))
    seed.add_invoice(erp, THANE, DAY + timedelta(days=1), "600000", at=time(3))
    shift = seed.add_shift(erp, BANDRA, CASHIER, datetime.combine(DAY + timedelta(days=1), time(0, 15)))
    now = changes.read_days(until_three, until_three.books(), [THANE], [DAY])[DAY]
    assert (now.sold[THANE].invoices, now.sold[THANE].sales) == (2, 4020)
    assert (now.shifts, now.open_shifts) == (1, (shift.opening,))
    closed = day_sales(until_three, RoyaltyPolicy(), DAY, DAY)[DAY]
    assert sum(one.base for one in closed.invoices) == 4020


def test_cancelling_and_annotating_an_invoice_touch_its_day(erp: SandboxERPNext, site: Site) -> None:
    first, second = (seed.add_invoice(erp, THANE, day, "100") for day in (FIRST, LAST))
    with seed.at(erp, LATER):
        seed.cancel_document(erp, "Sales Invoice", first)
        change(erp, "Sales Invoice", second, po_no="seen")
    assert touched(site).days.keys() == {FIRST, LAST}


def test_closing_a_shift_and_reopening_it_touch_its_day(erp: SandboxERPNext, site: Site) -> None:
    shift = seed.add_shift(erp, BANDRA, CASHIER, datetime(2026, 11, 20, 9, 0), ["100"])
    with seed.at(erp, LATER):
        closing = seed.close_shift(erp, shift.opening)
    assert date(2026, 11, 20) in touched(site).days
    with seed.at(erp, LATER + timedelta(hours=1)):
        manager = erp.session()
        with erp.site.transaction():
            manager.cancel(manager.load("POS Closing Entry", closing))
    assert date(2026, 11, 20) in touched(site, LATER + timedelta(hours=1)).days


def test_drafts_and_entries_that_we_have_just_posted_touch_nothing(erp: SandboxERPNext, site: Site) -> None:
    with seed.at(erp, LATER):
        seed.add_invoice(erp, THANE, DAY, "100", submit=False)
        entry(erp, royalty_key("ScoopJoy", DAY, THANE, 0))
        seed.cancel_document(erp, "Journal Entry", entry(erp, royalty_key("Other Company", DAY, THANE, 0)))
    assert touched(site).days == {}


def test_what_becomes_of_a_customer_touches_no_day(erp: SandboxERPNext, site: Site) -> None:
    seed.add_invoice(erp, THANE, DAY, "100")
    with seed.at(erp, LATER):
        change(erp, "Customer", THANE, custom_royalty_percentage=6)
        change(erp, "Customer", HEBBAL, disabled=1)
        change(erp, "Customer Group", "Metro Partners", parent_customer_group="All Customer Groups")
    assert touched(site) == changes.Touched(fingerprint=touched(site).fingerprint)


def test_a_day_is_known_with_when_it_was_touched_last(erp: SandboxERPNext, site: Site) -> None:
    for hours in (2, 1):
        with seed.at(erp, LATER + timedelta(hours=hours)):
            seed.add_invoice(erp, THANE, DAY, "100")
    with seed.at(erp, LATER):
        seed.add_invoice(erp, THANE, FIRST, "100")
    found = {day: at.replace(microsecond=0) for day, at in touched(site).days.items()}
    assert found == {DAY: LATER + timedelta(hours=2), FIRST: LATER}


def test_what_was_touched_at_the_very_moment_is_found_and_a_microsecond_before_is_not(
    erp: SandboxERPNext, site: Site
) -> None:
    with seed.at(erp, LATER):
        name = seed.add_invoice(erp, THANE, DAY, "100")
    moment = datetime.fromisoformat(erp.documents("Sales Invoice", name=name)[0]["modified"])
    assert touched(site, moment).days.keys() == {DAY}
    assert touched(site, moment + timedelta(microseconds=1)).days == {}


def test_the_fingerprint_changes_when_the_same_document_is_touched_again(
    erp: SandboxERPNext, site: Site
) -> None:
    with seed.at(erp, LATER):
        name = seed.add_invoice(erp, THANE, DAY, "100")
    before = touched(site).fingerprint
    assert touched(site).fingerprint == before
    with seed.at(erp, LATER):
        change(erp, "Sales Invoice", name, po_no="seen")
    assert touched(site).fingerprint != before


def test_the_newest_modification_is_the_site_s_own_time_of_the_last_invoice(
    erp: SandboxERPNext, site: Site, books: Books
) -> None:
    assert changes.newest_modification(site, books) is None
    old = seed.add_invoice(erp, THANE, DAY, "100")
    with seed.at(erp, LATER):
        seed.add_invoice(erp, THANE, FIRST, "100")
    with seed.at(erp, LATER + timedelta(hours=1)):
        change(erp, "Sales Invoice", old, po_no="seen")
    newest = changes.newest_modification(site, books)
    assert newest is not None
    assert newest.replace(microsecond=0) == LATER + timedelta(hours=1)


def test_days_are_read_with_the_sales_that_royalties_are_computed_from(
    erp: SandboxERPNext, site: Site, books: Books
) -> None:
    """The close and the look at late changes add them up with two filters: the same sums."""
    for day in (FIRST, DAY):
        made = seed.add_invoice(erp, THANE, day, "1000.01", taxes="18")
        with seed.at(erp, LATER):
            seed.add_invoice(erp, THANE, day, "100", is_return=True, return_against=made)
            seed.add_invoice(erp, INDIRANAGAR, day, "3", currency="USD", conversion_rate=Decimal("84.31"))
        seed.add_invoice(erp, INDIRANAGAR, day, "7.77")
        seed.add_invoice(erp, WALK_IN, day, "50")
        seed.add_invoice(erp, THANE, day, "60", submit=False)
        seed.cancel_document(erp, "Sales Invoice", seed.add_invoice(erp, THANE, day, "70"))
    seed.add_invoice(erp, THANE, DAY - timedelta(days=1), "80")
    known = {one.customer for one in franchises(site, books.franchise_group)}
    found = changes.read_days(site, books, known, [FIRST, DAY])
    closed = day_sales(site, RoyaltyPolicy(base=Base.NET_TOTAL), FIRST, DAY)
    assert sorted(found) == [FIRST, DAY]
    for day in (FIRST, DAY):
        then = [
            Sold(one.count, one.sales, one.newest) for one in closed[day].invoices if one.customer in known
        ]
        assert together(found[day].sold.values()) == together(then)
        assert {customer: one.invoices for customer, one in found[day].sold.items()} == {
            THANE: 2,
            INDIRANAGAR: 2,
        }


def test_whoever_owes_royalties_by_the_ledger_is_read_whatever_it_is_called_now(
    erp: SandboxERPNext, site: Site, books: Books
) -> None:
    seed.add_invoice(erp, THANE, DAY, "100")
    entry(erp, royalty_key("ScoopJoy", DAY, THANE, 0))
    rename(erp, THANE, "Franchise Thane West")
    found = changes.read_days(site, books, {INDIRANAGAR}, [DAY, FIRST])
    assert found[DAY].payers == {"Franchise Thane West"}
    assert {customer: one.invoices for customer, one in found[DAY].sold.items()} == {
        "Franchise Thane West": 1
    }
    assert (found[FIRST].payers, found[FIRST].sold) == (frozenset(), {})


def test_days_are_read_with_their_shifts_and_their_ledger(
    erp: SandboxERPNext, site: Site, books: Books
) -> None:
    for hour, cashier in ((9, CASHIER), (15, CASHIER)):
        seed.add_shift(erp, BANDRA, cashier, datetime(2026, 11, 22, hour, 0), ["100"])
    closed, still_open = sorted(str(one["name"]) for one in erp.documents("POS Opening Entry"))
    seed.close_shift(erp, closed, datetime(2026, 11, 22, 14, 0))
    entry(erp, royalty_key("ScoopJoy", DAY, THANE, 0), DAY + timedelta(days=1))
    entry(erp, royalty_key("ScoopJoy", DAY, INDIRANAGAR, 0), customer=INDIRANAGAR)
    seed.cancel_document(erp, "Journal Entry", entry(erp, royalty_key("ScoopJoy", DAY, THANE, 1)))
    found = changes.read_days(site, books, {THANE, INDIRANAGAR}, [DAY, FIRST])
    assert (found[DAY].shifts, found[DAY].open_shifts) == (2, (still_open,))
    assert found[DAY].ledger == exact("150")
    assert (found[FIRST].shifts, found[FIRST].ledger) == (0, Decimal(0))
    assert not found[FIRST].open_shifts


def test_a_look_and_a_reading_take_a_fixed_number_of_requests(
    erp: SandboxERPNext, site: Site, books: Books
) -> None:
    def requests() -> tuple[int, int]:
        site.client.remembered.forget()  # each tick of the sensor begins with nothing
        erp.requests.reset()
        touched(site, NOW)
        look = erp.requests.total
        changes.read_days(
            site, books, {THANE, INDIRANAGAR, HEBBAL}, [FIRST + timedelta(days=n) for n in range(7)]
        )
        return look, erp.requests.total - look

    seed.add_invoice(erp, THANE, DAY, "100")
    entry(erp, royalty_key("ScoopJoy", DAY, THANE, 0))
    few = requests()
    for offset in range(7):
        day = FIRST + timedelta(days=offset)
        for customer in (THANE, INDIRANAGAR, HEBBAL):
            seed.add_invoice(erp, customer, day, "100")
            entry(erp, royalty_key("ScoopJoy", day, customer, 1), day, customer)
    assert requests() == few == (4, 5)


def test_no_days_are_read_without_asking(erp: SandboxERPNext, site: Site, books: Books) -> None:
    erp.requests.reset()
    assert changes.read_days(site, books, [], []) == {}
    assert erp.requests.total == 0
