"""What is kept of a day's royalties: everything that was sold to franchises, and on which terms."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.inputs import SOLD_FORM, day_inputs, terms_of
from scoopjoy_dagster.accounting.royalties import BaseInvoice, Franchise
from scoopjoy_dagster_tests.accounting.sums import added_up

TERMS = {"Thane": "7.5 %", "Hebbal": "exempt"}
NOON, LATER = "2026-11-22 12:00:00.000000", "2026-11-22 12:00:00.000001"
INVOICES = [
    BaseInvoice("SINV-1", "Thane", Decimal("100.10"), sales=Decimal("118.12"), newest=NOON),
    BaseInvoice("SINV-2", "Hebbal", Decimal(-20), is_return=True, sales=Decimal("-23.60"), newest=NOON),
    BaseInvoice("SINV-3", "Thane", Decimal(7), sales=Decimal("8.26"), newest="2026-11-22 09:00:00.000000"),
]


def test_invoices_of_customers_that_are_no_franchise_do_not_count() -> None:
    walk_in = BaseInvoice("SINV-4", "Walk In", Decimal(50), sales=Decimal(59))
    found = day_inputs(TERMS, [*INVOICES, walk_in])
    assert found == day_inputs(TERMS, INVOICES)
    assert (found.invoices, found.base) == (3, Decimal("87.10"))


@given(st.permutations(INVOICES))
def test_the_order_of_the_list_decides_nothing(invoices: list[BaseInvoice]) -> None:
    assert day_inputs(TERMS, invoices) == day_inputs(TERMS, INVOICES)


@pytest.mark.parametrize(
    "change",
    [
        {"customer": "Hebbal"},
        {"base": Decimal("100.11")},
        {"sales": Decimal("118.13")},
        {"count": 2},
        {"newest": LATER},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_changes_in_an_invoice_changes_what_was_sold(change: dict[str, object]) -> None:
    other = [replace(INVOICES[0], **change), *INVOICES[1:]]  # type: ignore[arg-type]
    assert day_inputs(TERMS, other).sold != day_inputs(TERMS, INVOICES).sold
    assert day_inputs(TERMS, INVOICES[1:]).sold != day_inputs(TERMS, INVOICES).sold


def test_one_invoice_in_place_of_another_of_the_same_amount_is_seen_by_when_it_was_made() -> None:
    """Cancelled and made again: number and sums are what they were."""
    again = replace(INVOICES[0], name="SINV-9", newest=LATER)
    assert day_inputs(TERMS, [again, *INVOICES[1:]]).sold != day_inputs(TERMS, INVOICES).sold


def test_the_digest_says_of_which_form_it_is() -> None:
    """One of another form says nothing about this one; it is compared by number and base."""
    form, colon, digest = day_inputs(TERMS, INVOICES).sold.partition(":")
    assert (form + colon, SOLD_FORM) == ("2:", "2:")
    assert (len(digest), set(digest) <= set("0123456789abcdef")) == (32, True)


MOMENTS = st.sampled_from([NOON, LATER, "2026-11-22 09:00:00.000000", "2026-11-23 01:00:00.000000"])
MONEY = st.decimals(-100_000, 100_000, places=2)
ROWS = st.lists(
    st.builds(
        BaseInvoice,
        name=st.uuids().map(str),
        customer=st.sampled_from(["Thane", "Hebbal", "Walk In"]),
        base=MONEY,
        currency=st.sampled_from(["INR", "USD"]),
        sales=MONEY,
        newest=MOMENTS,
    ),
    max_size=12,
)


@given(ROWS)
def test_a_day_read_as_sums_has_the_inputs_of_the_day_read_as_rows(rows: list[BaseInvoice]) -> None:
    """The close reads sums; what finds late changes must not take the other reading for a change."""
    assert day_inputs(TERMS, added_up(rows)) == day_inputs(TERMS, rows)
    whole = day_inputs(TERMS, rows)
    ours = [one for one in rows if one.customer in TERMS]
    assert (whole.invoices, whole.base) == (len(ours), sum((one.base for one in ours), Decimal(0)))


@given(ROWS, st.sampled_from(["Thane", "Hebbal"]))
def test_one_invoice_more_is_another_day_even_one_of_nothing(rows: list[BaseInvoice], customer: str) -> None:
    nothing = BaseInvoice("", customer, Decimal(0), currency="INR")
    assert day_inputs(TERMS, added_up([*rows, nothing])).sold != day_inputs(TERMS, added_up(rows)).sold


def test_terms_decide_nothing_about_what_was_sold() -> None:
    other = {"Thane": "6 %", "Hebbal": "default rate", "Koramangala": "5 %"}
    assert day_inputs(other, INVOICES).sold == day_inputs(TERMS, INVOICES).sold


def test_terms_are_words_for_people_for_every_franchise_in_order() -> None:
    franchises = [
        Franchise("Thane", "T", Decimal("7.500000000")),
        Franchise("Hebbal", "H", Decimal(6), exempt=True),
        Franchise("Indiranagar", "I"),
        Franchise("Bandra", "B", Decimal(100)),
    ]
    assert list(terms_of(franchises).items()) == [
        ("Bandra", "100 %"),
        ("Hebbal", "exempt"),
        ("Indiranagar", "default rate"),
        ("Thane", "7.5 %"),
    ]
