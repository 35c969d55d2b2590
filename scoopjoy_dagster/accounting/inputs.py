"""What the royalties of a day were computed from, kept short: sums of what was sold.

They are kept with every materialization of `royalties`. A day on which something else is sold now was touched after its close.
The sums name nobody, so a customer that is renamed or merged changes no day; and they say nothing of rates: a posted day keeps
its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from scoopjoy_dagster.accounting.money import ZERO


@dataclass(frozen=True, slots=True)
class Sold:
    """Sales of one day, added up: how many, their grand totals in INR, and when the newest was created (site time)."""

    invoices: int = 0
    sales: Decimal = ZERO
    newest: str = ""


def together(parts: Iterable[Sold]) -> Sold:
    """The sum of these."""
    found = Sold()
    for one in parts:
        found = Sold(found.invoices + one.invoices, found.sales + one.sales, max(found.newest, one.newest))
    return found
