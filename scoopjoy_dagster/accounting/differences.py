"""Differences between what ERPNext holds and what should be there: their kinds, and their sums over days and months.

Not here: finding them (`verification`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from scoopjoy_dagster.accounting.money import ZERO


class What(StrEnum):
    """The kinds of difference. A refused franchise is reported under the words of its exception row instead."""

    MISSING = "royalty missing"
    DIFFERS = "royalty differs"
    OF_NOBODY = "royalty entry of nobody"
    NOT_OURS = "royalty entry without our key"
    KEY_UNREADABLE = "key cannot be read"
    KEY_TWICE = "key is there twice"
    REVISION_MISSING = "revision is missing"
    LEDGER_DIFFERS = "general ledger differs from the entry"
    OTHER_PARTY = "entry is booked on another customer"
    CANCELLED_IN_LEDGER = "cancelled entry is still in the general ledger"
    SHARES_DIFFER = "shares differ from the royalty"
    BASES_DIFFER = "bases of the shares differ from the entry"
    SHARE_WRONG = "shares lie on other sales"
    WITHOUT_SHARES = "royalty entry without shares"
    STATEMENT_MISSING = "statement missing"
    NOT_ACKNOWLEDGED = "not acknowledged by headquarters"
    TOLD_OTHERWISE = "headquarters was told another royalty"
    SHIFT_OPEN = "shift still open"
    UNBOOKED = "till sales not in the ledger"


@dataclass(frozen=True, slots=True)
class DayDifference:
    """One thing that is not as it should be. `expected` and `actual` in INR; None where it is not about an amount."""

    day: date
    who: str
    what: str
    message: str
    action: str
    expected: Decimal | None = None
    actual: Decimal | None = None

    @property
    def amount(self) -> Decimal | None:
        """Actual minus expected, in INR."""
        return None if self.expected is None or self.actual is None else self.actual - self.expected

    def as_dict(self) -> dict[str, str | None]:
        """The row as JSON: amounts are exact decimal strings."""
        return {
            "business_day": self.day.isoformat(),
            "who": self.who,
            "what": self.what,
            "expected": _text(self.expected),
            "actual": _text(self.actual),
            "difference": _text(self.amount),
            "message": self.message,
            "action": self.action,
        }


@dataclass(frozen=True, slots=True)
class DayVerdict:
    """A day: royalties by the rule and in the general ledger, in INR, and every difference."""

    day: date
    expected: Decimal
    actual: Decimal
    differences: tuple[DayDifference, ...]

    @property
    def right(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


@dataclass(slots=True)
class Period:
    """Sums over days (a month, or all), in INR."""

    name: str
    days: int = 0
    different: int = 0
    expected: Decimal = ZERO
    actual: Decimal = ZERO

    def add(self, verdict: DayVerdict) -> None:
        """Count a day."""
        self.days += 1
        self.different += not verdict.right
        self.expected += verdict.expected
        self.actual += verdict.actual

    def as_dict(self) -> dict[str, str | int]:
        """The sums as JSON."""
        return {
            "period": self.name,
            "days": self.days,
            "right": self.days - self.different,
            "different": self.different,
            "expected": f"{self.expected:.2f}",
            "actual": f"{self.actual:.2f}",
            "difference": f"{self.actual - self.expected:.2f}",
        }


def by_month(verdicts: Iterable[DayVerdict]) -> list[Period]:
    """The sums of each month, oldest first."""
    months: dict[str, Period] = {}
    for verdict in sorted(verdicts, key=lambda one: one.day):
        name = f"{verdict.day:%Y-%m}"
        months.setdefault(name, Period(name)).add(verdict)
    return list(months.values())


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:.2f}"
