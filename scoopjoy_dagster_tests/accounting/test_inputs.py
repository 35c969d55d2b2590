"""What is kept of a day's royalties: everything that was sold to franchises, and on which terms."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.inputs import day_inputs, terms_of
from scoopjoy_dagster.accounting.royalties import BaseInvoice, Franchise

TERMS = {"Thane": "7.5 %", "Hebbal": "exempt"}
INVOICES = [
    BaseInvoice("SINV-1", "Thane", Decimal("100.10"), sales=Decimal("118.12")),
    BaseInvoice("SINV-2", "Hebbal", Decimal(-20), is_return=True, sales=Decimal("-23.60")),
    BaseInvoice("SINV-3", "Thane", Decimal(7), sales=Decimal("8.26")),
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
    [{"name": "SINV-9"}, {"customer": "Hebbal"}, {"base": Decimal("100.11")}, {"sales": Decimal("118.13")}],
)
def test_whatever_changes_in_an_invoice_changes_what_was_sold(change: dict[str, object]) -> None:
    other = [replace(INVOICES[0], **change), *INVOICES[1:]]  # type: ignore[arg-type]
    assert day_inputs(TERMS, other).sold != day_inputs(TERMS, INVOICES).sold
    assert day_inputs(TERMS, INVOICES[1:]).sold != day_inputs(TERMS, INVOICES).sold


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
