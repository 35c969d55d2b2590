"""The royalty policy: what is paid on, at which rate, how it is rounded. A value, versioned by its content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from scoopjoy_dagster.accounting.money import Rounding


class Base(StrEnum):
    """The amount of a Sales Invoice that a royalty is computed on, in company currency (INR)."""

    GRAND_TOTAL = "grand_total"
    NET_TOTAL = "net_total"

    @property
    def field(self) -> str:
        """The field of Sales Invoice: the company-currency twin, so that foreign invoices count exactly."""
        return f"base_{self.value}"


class NegativeDays(StrEnum):
    """What a day whose returns exceed its sales does: nothing (with a warning), or a reversed entry."""

    SKIP = "skip"
    REVERSE = "reverse"


class LockedDays(StrEnum):
    """Where a difference goes whose day the books no longer take: nowhere (an exception), or to the next open day."""

    EXCEPTION = "exception"
    NEXT_OPEN_DAY = "next_open_day"


@dataclass(frozen=True, slots=True)
class RoyaltyPolicy:
    """The rule by which a day's royalty follows from a day's invoices.

    Attributes:
        name: what finance calls this rule.
        default_rate: percent, for a franchise whose own rate is 0 or empty (ERPNext cannot tell the two apart).
        base: which total of the invoice counts.
        rounding: applied once, at franchise x day.
        negative_days: what a negative base does.
        locked_days: where a difference goes whose day is locked. It moves a posting date and never an amount, so it
            is no part of the version.
        precision: decimals of the company's currency (2 for INR).
    """

    name: str = "standard"
    default_rate: Decimal = Decimal(5)
    base: Base = Base.GRAND_TOTAL
    rounding: Rounding = Rounding.HALF_UP
    negative_days: NegativeDays = NegativeDays.SKIP
    locked_days: LockedDays = LockedDays.EXCEPTION
    precision: int = 2

    @property
    def version(self) -> str:
        """Name and fingerprint: two policies that could give different royalties have different versions."""
        rate = format(self.default_rate.normalize(), "f")
        content = f"{rate}|{self.base}|{self.rounding}|{self.negative_days}|{self.precision}"
        return f"{self.name}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"

    @property
    def terms(self) -> str:
        """What decides an amount besides the rate, as codes that every entry carries: `grand_total half_up skip`."""
        return f"{self.base} {self.rounding} {self.negative_days}"

    @property
    def sentence(self) -> str:
        """The rule in words, as printed on reports and statements."""
        rate = format(self.default_rate.normalize(), "f")
        negative = (
            "posts nothing" if self.negative_days is NegativeDays.SKIP else "is posted with sides swapped"
        )
        return (
            f"{self.version}: each franchise's own rate, {rate} % where none is set, of {self.base.field}; "
            f"rounded {self.rounding.value.replace('_', ' ')} once per franchise and day; "
            f"a day with a negative base {negative}"
        )
