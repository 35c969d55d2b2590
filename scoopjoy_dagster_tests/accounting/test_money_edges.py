"""Money at the edges: what is an amount, what is none and which value it was, and where the last paise go."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from scoopjoy_dagster.accounting.money import Rounding, allocate, exact, quantum, rounded


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


@pytest.mark.parametrize(
    ("total", "weights", "shares"),
    [
        ("0.02", [2, 1], ["0.01", "0.01"]),  # 0.0133 and 0.0067: the second lost more
        (
            "0.04",
            [11, 29],
            ["0.01", "0.03"],
        ),  # 0.011 and 0.029: it is what was lost that counts, not the size
        ("0.05", [1, 1, 1], ["0.02", "0.02", "0.01"]),  # two paise are left: the first two of equals
        ("-0.02", [1, 2], ["-0.01", "-0.01"]),
        ("0.01", [3, -1], ["0.02", "-0.01"]),  # 0.015 and -0.005: of equal losses the first is made good
    ],
)
def test_every_left_paisa_goes_to_the_share_that_lost_most(
    total: str, weights: list[int], shares: list[str]
) -> None:
    assert allocate(Decimal(total), [Decimal(one) for one in weights]) == [Decimal(one) for one in shares]


def test_shares_have_the_precision_of_the_currency() -> None:
    assert [str(one) for one in allocate(Decimal("0.010"), [Decimal(1)] * 3, 3)] == [
        "0.004",
        "0.003",
        "0.003",
    ]
    assert [str(one) for one in allocate(Decimal(0), [Decimal(1), Decimal(-1)], 3)] == ["0.000", "0.000"]
    assert [str(one) for one in allocate(Decimal(0), [Decimal(1), Decimal(2)])] == ["0.00", "0.00"]
    assert allocate(Decimal(0), []) == []


def test_no_share_is_a_negative_zero() -> None:
    assert [str(one) for one in allocate(Decimal("1.00"), [Decimal(1), Decimal("-0.00")])] == ["1.00", "0.00"]


def test_amounts_of_many_digits_are_split_to_the_paisa() -> None:
    """28 digits, the precision of the decimal module unless told otherwise, would be too few for these."""
    total, weights = (
        Decimal("98765432109876543210987.65"),
        [Decimal("12345678901.23"), Decimal("98765432109.87")],
    )
    shares = allocate(total, weights)
    whole = sum(map(Fraction, weights))
    assert sum(map(Fraction, shares)) == Fraction(total)
    for share, weight in zip(shares, weights, strict=True):
        assert abs(Fraction(share) - Fraction(total) * Fraction(weight) / whole) < Fraction(1, 100)


def test_what_cannot_be_split_is_named() -> None:
    with pytest.raises(ValueError, match=r"^1\.50 cannot be split over weights that add up to zero$"):
        allocate(Decimal("1.50"), [Decimal(5), Decimal(-5)])
    with pytest.raises(ValueError, match="cannot be split"):
        allocate(Decimal("0.01"), [])
