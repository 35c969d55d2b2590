"""Long lists come a page at a time: nothing is lost or doubled while others write, and memory does not grow with them."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.business_day import DayEnd
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.erpnext import single_sales as module
from scoopjoy_dagster.erpnext.client import PAGE, Client, Field
from scoopjoy_dagster.erpnext.errors import Forbidden
from scoopjoy_dagster.erpnext.single_sales import single_sales
from scoopjoy_dagster.erpnext.site import BookSettings, Site
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster.sandbox.seed.masters import WALK_IN
from scoopjoy_dagster_tests.erpnext.scripted import Answer, answering, session_with
from scoopjoy_dagster_tests.world import DAY, HEBBAL, INDIRANAGAR, THANE, insert, session_of

OURS = [["name", "like", "Paged %"]]


class Table(Client):
    """ERPNext's answers to the lists that `pages` asks for, out of a set of names that may change between two of them."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = set(names)
        self.limits: list[int] = []

    def rows(self, doctype: str, fields: Sequence[str], filters: Any, **more: Any) -> list[dict[str, Any]]:
        after = [value for field, operator, value in filters if (field, operator) == ("name", ">")]
        assert len(after) <= 1
        self.limits.append(more["limit"])
        found = sorted(name for name in self.names if not after or name > after[0])
        return [{"name": name} for name in found[: more["limit"]]]


NAMES = st.sets(st.integers(0, 60).map(lambda number: f"SINV-{number:04d}"), max_size=30)


@given(NAMES, st.integers(1, 7), st.lists(st.tuples(NAMES, NAMES), max_size=8))
def test_what_is_inserted_or_deleted_between_two_pages_shifts_none_of_the_others(
    names: set[str], size: int, meanwhile: list[tuple[set[str], set[str]]]
) -> None:
    """Pages that are counted would skip a row for each that was deleted before it, and show one twice for each inserted."""
    table, gone, came = Table(sorted(names)), set[str](), set[str]()
    steps = iter(meanwhile)
    read: list[str] = []
    for page in table.pages("Sales Invoice", ["name"], [], size=size):
        assert 0 < len(page) <= size
        read += [row["name"] for row in page]
        inserted, deleted = next(steps, (set(), set()))
        came |= inserted - table.names
        gone |= deleted
        table.names = (table.names | inserted) - deleted
    assert read == sorted(set(read))
    assert names - gone <= set(read) <= names | came
    assert set(table.limits) == {size}


@pytest.mark.parametrize(("rows", "requests"), [(0, 1), (1, 1), (4, 1), (5, 2), (9, 2), (10, 3)])
def test_a_page_that_is_not_full_is_the_last(rows: int, requests: int) -> None:
    table = Table([f"{number:03d}" for number in range(rows)])
    pages = list(table.pages("Sales Invoice", ["name"], [], size=5))
    assert [len(page) for page in pages] == [5] * (rows // 5) + ([rows % 5] if rows % 5 else [])
    assert len(table.limits) == requests


@pytest.fixture(scope="module")
def paged(module_site: SandboxERPNext) -> list[str]:
    names = [f"Paged {number:02d}" for number in range(25)]
    for name in names:
        insert(module_site, "Customer", customer_name=name, customer_group="Commercial", territory="India")
    return names


def test_erpnext_gives_the_pages_in_order_of_name(
    erp: SandboxERPNext, client: Client, paged: list[str]
) -> None:
    erp.requests.reset()
    pages = list(client.pages("Customer", ["name", "customer_name"], OURS, size=10))
    assert [[row["name"] for row in page] for page in pages] == [paged[:10], paged[10:20], paged[20:]]
    assert all(row["customer_name"] == row["name"] for page in pages for row in page)
    assert erp.requests.total == 3


def deleted(erp: SandboxERPNext, customer: str) -> None:
    with session_of(erp, user="Administrator") as session:
        Client(session).delete("Customer", customer)


def test_a_row_that_is_deleted_between_two_pages_of_erpnext_hides_no_other(
    erp: SandboxERPNext, client: Client, paged: list[str]
) -> None:
    pages = client.pages("Customer", ["name"], OURS, size=10)
    first = [row["name"] for row in next(pages)]
    deleted(erp, paged[3])
    insert(erp, "Customer", customer_name="Paged 00a", customer_group="Commercial", territory="India")
    rest = [row["name"] for page in pages for row in page]
    assert first + rest == paged
    deleted(erp, "Paged 00a")
    insert(erp, "Customer", customer_name=paged[3], customer_group="Commercial", territory="India")


def test_a_page_without_a_field_is_an_error_and_no_page(paged: list[str]) -> None:
    with (
        answering(Answer(200, {"message": [{"name": "A"}]})) as site,
        session_with(site) as session,
        pytest.raises(Forbidden, match="left out base_grand_total"),
    ):
        list(Client(session).pages("Sales Invoice", ["name", "base_grand_total"], []))


# -- the invoices of a day ------------------------------------------------------------------------------------------


def test_the_invoices_of_a_day_come_customers_together_and_each_customer_whole(
    erp: SandboxERPNext, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 4)
    day = DAY - timedelta(days=40)
    made: dict[str, list[str]] = {}
    for customer, how_many in ((THANE, 3), (INDIRANAGAR, 9), (HEBBAL, 1), (WALK_IN, 2)):
        made[customer] = sorted(seed.add_invoice(erp, customer, day, f"{n + 1}.50") for n in range(how_many))
    seed.add_invoice(erp, THANE, day, "7", submit=False)
    seed.add_invoice(erp, THANE, day - timedelta(days=1), "7")
    asked = [THANE, INDIRANAGAR, HEBBAL]
    site = Site.open(client.session, BookSettings())
    counts = {customer: len(made[customer]) for customer in asked} | {"Nobody": 1}
    parts = list(single_sales(site, site.books(), RoyaltyPolicy(), day, counts))
    # In order of name; a customer with more than a page is a part of his own.
    assert [sorted(part) for part in parts] == parts_of(counts, 4)
    together = {customer: rows for part in parts for customer, rows in part.items()}
    assert together.pop("Nobody") == []
    assert {customer: [one.name for one in rows] for customer, rows in together.items()} == {
        customer: made[customer] for customer in asked
    }
    assert all(one.count == 1 and one.newest for rows in together.values() for one in rows)
    assert sum(len(part) for part in parts) == len(counts)


def parts_of(counts: dict[str, int], page: int) -> list[list[str]]:
    """Customers in order, as many together as have no more than a page of invoices."""
    parts: list[list[str]] = []
    for customer in sorted(counts):
        if parts and sum(counts[one] for one in [*parts[-1], customer]) <= page:
            parts[-1].append(customer)
        else:
            parts.append([customer])
    return parts


class Many:
    """A site with so many invoices of each of many customers, made as they are asked for; the client's own pages read them."""

    def __init__(self, customers: int, each: int) -> None:
        self.counts = {f"C{number:04d}": each for number in range(customers)}
        self.day_end = DayEnd()
        self.client = _Made(self)
        self.company = {"name": "ScoopJoy"}


class _Made(Client):
    def __init__(self, site: Many) -> None:
        self.site = site
        self.read = 0

    def rows(self, doctype: str, fields: Sequence[Field], filters: Any, **more: Any) -> list[dict[str, Any]]:
        if doctype != "Sales Invoice":
            return []
        (customers,) = [
            value for field, operator, value in filters if (field, operator) == ("customer", "in")
        ]
        after = next((value for field, operator, value in filters if operator == ">"), "")
        found = [
            _row(name, customer)
            for name, customer in sorted(
                (f"{customer}-{number:06d}", customer)
                for customer in customers
                for number in range(self.site.counts[customer])
            )
            if name > after
        ][: more["limit"]]
        self.read += len(found)
        return found


def _row(name: str, customer: str) -> dict[str, Any]:
    return {
        "name": name,
        "customer": customer,
        "base_grand_total": Decimal("118.0"),
        "base_net_total": Decimal("100.0"),
        "is_return": 0,
        "currency": "INR",
        "creation": "2026-11-22 12:00:00.000000",
    }


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


class _Books:
    company = "ScoopJoy"


def peak_of(site: Any, day: date = DAY) -> float:
    """Megabytes that were needed at most while every invoice of the day was read once."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    read = sum(
        len(rows)
        for part in single_sales(site, _Books(), RoyaltyPolicy(), day, site.counts)  # type: ignore[arg-type]
        for rows in part.values()
    )
    assert read == sum(site.counts.values()) == site.client.read
    return (tracemalloc.get_traced_memory()[1] - before) / 1e6


@pytest.mark.usefixtures("traced")
def test_ten_times_the_invoices_need_about_the_same_memory() -> None:
    few, many = Many(customers=50, each=100), Many(customers=500, each=100)
    assert sum(few.counts.values()) > 2 * PAGE
    peak_of(few)  # what is made once
    few.client.read = 0
    small, large = peak_of(few), peak_of(many)
    assert small > 0.3
    assert large < 1.5 * small, f"{small:.1f} MB for 5000 invoices, {large:.1f} MB for 50000"
