"""Money at the edges: what is an amount, what is none and which value it was, and where the last paise go."""

from __future__ import annotations

from decimal import Decimal

import pytest

from scoopjoy_dagster.accounting.money import Rounding, exact, quantum, rounded


@pytest.mark.parametrize(
    ("sent", "amount"),
    [("10.10", "10.10"), (7, "7"), (0, "0"), (Decimal("-0.05"), "-0.05"), ("1E+3", "1000")],
)
def test_an_amount_is_taken_as_it_was_sent(sent: object, amount: str) -> None:
    assert exact(sent) == Decimal(amount)
    assert isinstance(exact(sent), Decimal)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0.1, "0.1 is not exact money; parse JSON with parse_float=Decimal"),
        (True, "True is not exact money; parse JSON with parse_float=Decimal"),
        ("many", "'many' is not an amount"),
        ([1], "[1] is not an amount"),
    ],
)
def test_a_refused_amount_is_named_in_the_refusal(value: object, message: str) -> None:
    with pytest.raises(TypeError) as refused:
        exact(value)
    assert str(refused.value) == message


def test_the_smallest_unit_follows_the_precision_of_the_currency() -> None:
    assert [str(quantum(precision)) for precision in (0, 2, 3)] == ["1", "0.01", "0.001"]


def test_an_amount_is_rounded_half_up_to_the_paisa_unless_told_otherwise() -> None:
    assert str(rounded(Decimal("1.005"))) == "1.01"
    assert str(rounded(Decimal("-1.005"))) == "-1.01"
    assert str(rounded(Decimal("1.0005"), 3)) == "1.001"
    assert str(rounded(Decimal("0.0004"), 3)) == "0.000"


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [(Rounding.HALF_UP, "-0.04"), (Rounding.HALF_EVEN, "-0.04"), (Rounding.DOWN, "-0.03")],
)
def test_a_negative_amount_is_rounded_by_the_same_rule(rounding: Rounding, expected: str) -> None:
    assert rounded(Decimal("-0.035"), 2, rounding) == Decimal(expected)
