"""Money is exact: parsing, one rounding, and shares that add up."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.money import Rounding, allocate, exact, quantum, rounded

AMOUNTS = st.decimals(min_value=-(10**9), max_value=10**9, places=2)


@pytest.mark.parametrize("value", [0.1, True, "abc", object(), [1]])
def test_what_is_not_exact_money_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        exact(value)


def test_an_absent_amount_is_zero() -> None:
    assert exact(None) == exact("") == 0


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [(Rounding.HALF_UP, "0.03"), (Rounding.HALF_EVEN, "0.02"), (Rounding.DOWN, "0.02")],
)
def test_half_a_paisa_is_rounded_by_the_policy(rounding: Rounding, expected: str) -> None:
    assert rounded(Decimal("0.025"), 2, rounding) == Decimal(expected)


def test_a_rounded_amount_is_never_negative_zero() -> None:
    assert str(rounded(Decimal("-0.001"))) == "0.00"


@given(total=AMOUNTS, weights=st.lists(AMOUNTS, min_size=1, max_size=60))
def test_shares_add_up_to_the_paisa_and_are_within_one_paisa_of_their_proportion(
    total: Decimal, weights: list[Decimal]
) -> None:
    whole = sum(weights, Decimal(0))
    if whole == 0:
        assert allocate(Decimal(0), weights) == [Decimal(0)] * len(weights)
        return
    shares = allocate(total, weights)
    assert sum(shares) == total
    for share, weight in zip(shares, weights, strict=True):
        assert share == share.quantize(quantum(2))
        assert abs(share - total * weight / whole) < Decimal("0.0100001")


def test_weights_that_cancel_out_cannot_carry_a_total() -> None:
    with pytest.raises(ValueError, match="weights that add up to zero"):
        allocate(Decimal(1), [Decimal(5), Decimal(-5)])


def test_the_paise_that_are_left_go_to_the_shares_that_lost_most() -> None:
    assert allocate(Decimal("0.10"), [Decimal(1)] * 3) == [Decimal("0.04"), Decimal("0.03"), Decimal("0.03")]
