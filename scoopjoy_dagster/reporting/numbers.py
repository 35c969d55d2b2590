"""How amounts, rates and counts are written for people in India.

What belongs here: text for display. What does not: rounding that decides what is owed (that is `accounting`); rounding here
only drops digits that the page has no room for.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal

_LAKH = Decimal(100_000)
_CRORE = Decimal(10_000_000)
_SYMBOLS = {"INR": "₹"}


def group_indian(value: Decimal | int, places: int = 2) -> str:
    """`value` with `places` decimals in Indian digit groups: `1,23,45,678.90`; negative amounts begin with `-`.

    Raises:
        ValueError: `value` is not finite.
    """
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError(f"{number} cannot be shown as an amount.")
    # A context of its own: the default one holds 28 digits and would raise on longer amounts.
    text = f"{_rounded(number, places):f}"
    negative = text.startswith("-") and any(digit in text for digit in "123456789")
    whole, _, decimals = text.lstrip("-").partition(".")
    head, tail = whole[:-3], whole[-3:]
    groups = [tail]
    while head:
        head, group = head[:-2], head[-2:]
        groups.insert(0, group)
    return ("-" if negative else "") + ",".join(groups) + (f".{decimals}" if decimals else "")


def money(value: Decimal, currency: str, places: int = 2) -> str:
    """An amount with its currency: `₹1,23,456.78`, `-₹50.00`; without a known symbol `USD 1,23,456.78`."""
    text = group_indian(value, places)
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    symbol = _SYMBOLS.get(currency)
    return f"{sign}{symbol}{digits}" if symbol else f"{currency} {sign}{digits}"


def short_money(value: Decimal, currency: str) -> str:
    """An amount for a chart: `₹8.34 L` (lakh, 100,000), `₹1.20 Cr` (crore, 10,000,000), whole rupees below a lakh."""
    for unit, name in ((_CRORE, "Cr"), (_LAKH, "L")):
        if abs(value) >= unit:
            return f"{money(value / unit, currency)} {name}"
    return money(value, currency, places=0)


def percent(rate: Decimal) -> str:
    """A rate in percent without needless zeros: `5 %`, `4.5 %`."""
    text = f"{rate:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"{text or '0'} %"


def count(number: Decimal | int, singular: str, plural: str | None = None) -> str:
    """`1 shift`, `2 shifts`, `1,20,000 invoices`; `plural` where an s is not enough."""
    word = singular if number == 1 else plural or f"{singular}s"
    return f"{group_indian(number, 0)} {word}"


def _rounded(number: Decimal, places: int) -> Decimal:
    digits = max(28, number.adjusted() + places + 3)
    return number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, Context(prec=digits))
