"""Lists of sales by business day: whatever its end, each sale is in exactly one day, grouped by the server or one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.business_day import DayEnd
from scoopjoy_dagster.accounting.money import exact
from scoopjoy_dagster.erpnext.client import Filter
from scoopjoy_dagster.erpnext.sale_documents import pages_by_day, rows_by_day
from scoopjoy_dagster.erpnext.site import BookSettings, Site
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster_tests.world import DAY, INDIRANAGAR, THANE, session_of, started_site

DATES = [DAY + timedelta(days=offset) for offset in range(4)]
CLOCKS = [time(0), time(0, 30), time(2, 59, 59, 999999), time(3), time(9, 5), time(18), time(23, 59, 59)]
Sold = dict[str, tuple[datetime, str, Decimal]]
"""By name: when, to whom, for how much."""

ENDS = st.one_of(
    st.sampled_from([time(0), time(3), time(18)]), st.builds(time, st.integers(0, 23), st.integers(0, 59))
)


@pytest.fixture(scope="module")
def erp(chain_template: Path) -> Iterator[SandboxERPNext]:
    with started_site(chain_template) as made:
        yield made


@pytest.fixture(scope="module")
def sold(erp: SandboxERPNext) -> Sold:
    chance = Random(14)
    made: Sold = {}
    for day in DATES:
        for clock in [*CLOCKS, *(time(chance.randrange(24), chance.randrange(60)) for _ in range(4))]:
            customer, amount = (
                chance.choice([THANE, INDIRANAGAR]),
                Decimal(chance.randrange(100, 90000)) / 100,
            )
            name = seed.add_invoice(erp, customer, day, amount, at=clock)
            made[name] = (datetime.combine(day, clock), customer, amount)
    return made


@pytest.fixture(scope="module")
def opened(erp: SandboxERPNext) -> Iterator[Site]:
    with session_of(erp) as session:
        yield Site.open(session)


def on(site: Site, end: time) -> Site:
    """The site, with business days that end at another time."""
    return Site(site.client, site.dialect, site.version, BookSettings(day_ends_at=end))


def filters(when: Filter) -> list[Filter]:
    return [["docstatus", "=", 1], when, ["company", "=", "ScoopJoy"]]


def between(first: date, last: date) -> Filter:
    return ["posting_date", "between", [first.isoformat(), last.isoformat()]]


@settings(max_examples=40)
@given(end=ENDS, first=st.integers(-1, 4), days=st.integers(1, 6), as_list=st.booleans())
def test_sums_by_the_server_pages_and_rows_are_the_sales_of_these_business_days(
    opened: Site, sold: Sold, end: time, first: int, days: int, as_list: bool
) -> None:
    wanted = [DAY + timedelta(days=first + offset) for offset in range(days)]
    day_of, site = DayEnd(end).day_of, on(opened, end)
    expected: dict[tuple[str, str], Decimal] = {}
    for moment, customer, amount in sold.values():
        if day_of(moment) in wanted:
            key = (day_of(moment).isoformat(), customer)
            expected[key] = expected.get(key, Decimal(0)) + amount
    names = {
        name: day_of(moment).isoformat() for name, (moment, _, _) in sold.items() if day_of(moment) in wanted
    }
    when: Filter = (
        ["posting_date", "in", [day.isoformat() for day in wanted]]
        if as_list
        else between(wanted[0], wanted[-1])
    )
    sums: dict[tuple[str, str], Decimal] = {}
    for row in rows_by_day(
        site,
        "Sales Invoice",
        ["posting_date", "customer", site.dialect.total("base_grand_total", "total")],
        filters(when),
        group_by="posting_date, customer",
        order_by="posting_date asc, customer asc",
    ):
        key = (str(row["posting_date"]), str(row["customer"]))
        sums[key] = sums.get(key, Decimal(0)) + exact(row["total"])
    assert sums == expected
    rows = rows_by_day(site, "Sales Invoice", ["name", "posting_date"], filters(when))
    assert {row["name"]: row["posting_date"] for row in rows} == names
    paged = [row for page in pages_by_day(site, "Sales Invoice", ["name"], filters(when)) for row in page]
    assert {row["name"] for row in paged} == set(names)
    assert len(paged) == len(rows) == len(names)


@settings(max_examples=20)
@given(end=ENDS)
def test_the_days_together_have_every_sale_once(opened: Site, sold: Sold, end: time) -> None:
    site = on(opened, end)
    found: Counter[str] = Counter()
    for day in [DAY - timedelta(days=1), *DATES]:
        one: Filter = ["posting_date", "=", day.isoformat()]
        found.update(str(row["name"]) for row in rows_by_day(site, "Sales Invoice", ["name"], filters(one)))
    assert found == Counter(dict.fromkeys(sold, 1))


@pytest.mark.parametrize(("end", "lists"), [(time(0), 1), (time(3), 2)])
def test_a_day_that_ends_after_midnight_costs_one_list_more_where_the_server_adds_up(
    erp: SandboxERPNext, opened: Site, sold: Sold, end: time, lists: int
) -> None:
    assert sold
    site = on(opened, end)
    erp.requests.reset()
    rows_by_day(
        site,
        "Sales Invoice",
        ["posting_date", site.dialect.count("n")],
        filters(between(DAY, DAY)),
        group_by="posting_date",
        order_by="posting_date asc",
    )
    assert erp.requests.total == lists
    erp.requests.reset()
    rows_by_day(site, "Sales Invoice", ["name"], filters(between(DAY, DAY)))
    assert erp.requests.total == 1


def test_a_list_that_does_not_ask_for_days_is_left_alone(
    erp: SandboxERPNext, opened: Site, sold: Sold
) -> None:
    assert sold
    rows = rows_by_day(on(opened, time(3)), "Customer", ["name"], [["name", "=", THANE]])
    assert rows == [{"name": THANE}]
