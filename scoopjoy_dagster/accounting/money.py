"""Exact money: parsing, rounding, and parts that add up to the paisa.

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


def apportion(total: Decimal, exact_parts: Sequence[Decimal], precision: int = 2) -> list[Decimal]:
    """Round parts that are known exactly so that they add up to `total` to the last paisa.

    Largest remainder: every part is cut down to the paisa, then the paise that are left go one by one to the parts that
    lost most (the first of equals first), and round again where there are more paise than parts.

    Raises:
        ValueError: there is a total, and no part.
    """
    if not exact_parts:
        if total != 0:
            message = f"{total} cannot be split over nothing"
            raise ValueError(message)
        return []
    unit = quantum(precision)
    parts = [part.quantize(unit, rounding=decimal.ROUND_FLOOR) for part in exact_parts]
    each, left = divmod(int((total - sum(parts, ZERO)) / unit), len(parts))
    lost_most = sorted(range(len(parts)), key=lambda i: (parts[i] - exact_parts[i], i))
    more = set(lost_most[:left])
    return [part + unit * (each + (index in more)) or unit * 0 for index, part in enumerate(parts)]
