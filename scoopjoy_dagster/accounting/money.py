"""Exact money: parsing, rounding, and splitting a total without losing a paisa.

Amounts are `decimal.Decimal` in the company's currency (INR) from the wire to the page. Binary floats are
refused: on 5 % of paise amounts they differ from exact half-up rounding on about one total in a hundred.
"""

from __future__ import annotations

import decimal
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum

ZERO = Decimal(0)


class Rounding(StrEnum):
    """How a royalty is rounded to the currency's precision; printed on every statement."""

    HALF_UP = "half_up"
    HALF_EVEN = "half_even"
    DOWN = "down"

    @property
    def mode(self) -> str:
        """The name of the same rule in the `decimal` module."""
        return {
            Rounding.HALF_UP: decimal.ROUND_HALF_UP,
            Rounding.HALF_EVEN: decimal.ROUND_HALF_EVEN,
            Rounding.DOWN: decimal.ROUND_DOWN,
        }[self]


def exact(value: object) -> Decimal:
    """The amount that ERPNext sent, as a Decimal. An absent value (null) is 0.

    Raises:
        TypeError: for a binary float or anything that is no number; parse JSON with `parse_float=Decimal`.
    """
    if value is None or value == "":
        return ZERO
    if isinstance(value, bool | float):
        message = f"{value!r} is not exact money; parse JSON with parse_float=Decimal"
        raise TypeError(message)
    if isinstance(value, Decimal | int | str):
        try:
            return Decimal(value)
        except decimal.InvalidOperation as problem:
            message = f"{value!r} is not an amount"
            raise TypeError(message) from problem
    message = f"{value!r} is not an amount"
    raise TypeError(message)


def quantum(precision: int) -> Decimal:
    """The smallest unit of a currency with so many decimals: 0.01 (one paisa) for 2."""
    return Decimal(1).scaleb(-precision)


def rounded(amount: Decimal, precision: int = 2, rounding: Rounding = Rounding.HALF_UP) -> Decimal:
    """`amount` rounded once, to `precision` decimals. Never returns a negative zero."""
    result = amount.quantize(quantum(precision), rounding=rounding.mode)
    return result or quantum(precision) * 0


def allocate(total: Decimal, weights: Sequence[Decimal], precision: int = 2) -> list[Decimal]:
    """Split `total` in proportion to `weights` so that the shares add up to it to the last paisa.

    Largest remainder: every share is cut down to the paisa, then the paise that are left go one by one to the
    shares that lost most (the first of equals first). Weights may be negative (returns): their shares are too.
    No share is further than one paisa from its exact proportion.

    Raises:
        ValueError: when the weights add up to zero but the total does not.
    """
    unit = quantum(precision)
    whole = sum(weights, ZERO)
    if whole == 0:
        if total != 0:
            message = f"{total} cannot be split over weights that add up to zero"
            raise ValueError(message)
        return [unit * 0 for _ in weights]
    with decimal.localcontext() as context:
        context.prec = 50
        exact_shares = [total * weight / whole for weight in weights]
        shares = [share.quantize(unit, rounding=decimal.ROUND_FLOOR) for share in exact_shares]
        left = int((total - sum(shares, ZERO)) / unit)
        lost_most = sorted(range(len(shares)), key=lambda i: (shares[i] - exact_shares[i], i))
    for index in lost_most[:left]:
        shares[index] += unit
    return [share or unit * 0 for share in shares]
