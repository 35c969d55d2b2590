"""What a look by `modified` finds, and what was told last of a day."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from scoopjoy_dagster.accounting.figures import DayFigures
from scoopjoy_dagster.accounting.keys import royalty_key
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.erpnext import changes
from scoopjoy_dagster.erpnext.client import DIGEST_FIELD, KEY_FIELD
from scoopjoy_dagster.erpnext.deliveries import Delivery, announce, told_last
from scoopjoy_dagster.erpnext.site import Books, BookSettings, Site
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster_tests.world import (
    BANDRA,
    CASHIER,
    DAY,
    HEBBAL,
    INDIRANAGAR,
    NOW,
    THANE,
    change,
    insert,
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


def test_cancelling_an_invoice_and_editing_one_touch_its_day(erp: SandboxERPNext, site: Site) -> None:
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


def test_a_look_takes_four_requests_however_much_there_is(erp: SandboxERPNext, site: Site) -> None:
    def requests() -> int:
        erp.requests.reset()
        touched(site, NOW)
        return erp.requests.total

    seed.add_invoice(erp, THANE, DAY, "100")
    site.books()  # read once for each site
    few = requests()
    for offset in range(7):
        day = FIRST + timedelta(days=offset)
        for customer in (THANE, INDIRANAGAR, HEBBAL):
            seed.add_invoice(erp, customer, day, "100")
    assert requests() == few == 4


# -- what was told ------------------------------------------------------------------------------------------------------


def figures(sales: int, view: str = "") -> DayFigures:
    return DayFigures(Decimal(sales), ZERO, ZERO, 0, (), view)


def tell(erp: SandboxERPNext, site: Site, told: DayFigures | None, minute: int, **which: Any) -> None:
    """A report or headquarters' totals were delivered; None: of an earlier version, which kept no figures."""
    values = {
        "channel": "report",
        "business_day": DAY,
        "recipient": f"{minute}",
        "revision": 0,
        "digest": "d",
    }
    delivery = Delivery(**(values | which))
    with seed.at(erp, NOW + timedelta(minutes=minute)):
        made = announce(site, str(which.get("company", "ScoopJoy")), delivery, told or figures(0))
    if told is None:
        with erp.site.transaction():
            erp.site.db.run('UPDATE "tabScoopJoy Delivery" SET figures = NULL WHERE name = ?', (made.name,))


def test_of_all_channels_the_figures_told_last_of_the_whole_chain_count(
    erp: SandboxERPNext, site: Site
) -> None:
    tell(erp, site, figures(3), 2, channel="hq")
    tell(erp, site, figures(2), 1, revision=7)
    tell(erp, site, figures(4, "v"), 3, digest="v-d")
    tell(erp, site, figures(5), 4, channel="statements")
    tell(erp, site, figures(6), 5, business_day=FIRST)
    tell(erp, site, figures(7), 6, business_day=FIRST + timedelta(days=1))
    found = told_last(site, "ScoopJoy", [FIRST, DAY])
    assert {day: [one.figures for one in told] for day, told in found.items()} == {
        DAY: [figures(3)],
        FIRST: [figures(6)],
    }
    assert found[DAY][0].at.startswith(str(NOW + timedelta(minutes=2)))


def test_where_only_some_outlets_were_told_each_view_counts(erp: SandboxERPNext, site: Site) -> None:
    tell(erp, site, figures(1, "v"), 1, digest="v-d")
    tell(erp, site, figures(2, "v"), 2, digest="v-e")
    tell(erp, site, figures(3, "w"), 3, digest="w-d")
    assert [one.figures for one in told_last(site, "ScoopJoy", [DAY])[DAY]] == [
        figures(2, "v"),
        figures(3, "w"),
    ]


def test_figures_of_another_company_and_records_without_figures_tell_nothing(
    erp: SandboxERPNext, site: Site
) -> None:
    tell(erp, site, None, 1)
    assert told_last(site, "ScoopJoy", [DAY])[DAY] == []
    assert told_last(site, "Other Company", [DAY]) == {}


def test_what_was_told_takes_two_requests_however_much_it_is(erp: SandboxERPNext, site: Site) -> None:
    for minute in range(5):
        tell(erp, site, figures(minute), minute)
        tell(erp, site, figures(minute), minute, business_day=FIRST)
    erp.requests.reset()
    assert len(told_last(site, "ScoopJoy", [FIRST, DAY])) == 2
    assert erp.requests.total == 2
