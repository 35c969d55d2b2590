"""What the terms of a franchise are called: late changes compares these words with those of an earlier close."""

from __future__ import annotations

from decimal import Decimal

from scoopjoy_dagster.accounting.inputs import day_inputs, terms_of
from scoopjoy_dagster.accounting.royalties import BaseInvoice, Franchise


def test_terms_are_written_out_and_come_in_order_of_customer() -> None:
    terms = terms_of(
        [
            Franchise("C", "", Decimal("10.000")),
            Franchise("A", "", exempt=True),
            Franchise("B", ""),
            Franchise("D", "", Decimal("0.001")),
        ]
    )
    assert list(terms.items()) == [("A", "exempt"), ("B", "default rate"), ("C", "10 %"), ("D", "0.001 %")]


def test_a_day_of_nothing_has_a_base_of_nothing() -> None:
    inputs = day_inputs({}, [BaseInvoice("S-1", "Walk-in", Decimal(5))])
    assert (inputs.invoices, inputs.base, inputs.terms) == (0, Decimal(0), {})
    assert isinstance(inputs.base, Decimal)
    assert inputs.sold == day_inputs({"A": "exempt"}, []).sold
