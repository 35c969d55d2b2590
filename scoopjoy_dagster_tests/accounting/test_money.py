"""Money is exact: parsing, one rounding, and shares that add up."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.money import Rounding, apportion, exact, quantum, rounded

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


@given(
    st.lists(st.decimals(-(10**9), 10**9, places=4), min_size=1, max_size=60),
    st.integers(-200, 200),
    st.sampled_from([0, 2, 3]),
)
def test_rounded_parts_add_up_to_the_total_and_stay_near_what_they_were(
    parts: list[Decimal], besides: int, precision: int
) -> None:
    unit = quantum(precision)
    total = rounded(sum(parts, Decimal(0)), precision) + besides * unit
    shares = apportion(total, parts, precision)
    assert sum(shares) == total
    most = unit * (3 + abs(besides) // len(parts))
    for share, part in zip(shares, parts, strict=True):
        assert share == share.quantize(unit)
        assert abs(share - part) <= most


def test_the_paise_that_are_left_go_to_the_parts_that_lost_most_and_round_again() -> None:
    thirds = [Decimal("0.0334"), Decimal("0.0333"), Decimal("0.0333")]
    assert apportion(Decimal("0.10"), thirds) == [Decimal("0.04"), Decimal("0.03"), Decimal("0.03")]
    assert apportion(Decimal("0.13"), thirds) == [Decimal("0.05"), Decimal("0.04"), Decimal("0.04")]
    assert apportion(Decimal("0.05"), thirds) == [Decimal("0.02"), Decimal("0.02"), Decimal("0.01")]
    assert [str(one) for one in apportion(Decimal(0), [Decimal("-0.001"), Decimal("0.001")])] == [
        "0.00",
        "0.00",
    ]


def test_nothing_has_no_parts() -> None:
    assert apportion(Decimal(0), []) == []
    with pytest.raises(ValueError, match="split over nothing"):
        apportion(Decimal(1), [])
