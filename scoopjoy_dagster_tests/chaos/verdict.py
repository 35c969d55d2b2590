"""A verdict: one thing that is not as it must be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scoopjoy_dagster_tests.chaos.truth import rupees

Fault = Literal["duplicate", "lost", "difference", "wrong"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing that is not as it must be.

    Attributes:
        fault: ``duplicate`` (there more than once, or though it must not be), ``lost`` (not there), ``difference``
            (there with another amount), ``wrong`` (there with something else that is not right).
        what: in words, with names.
        amount: by how much, in paise, never negative; 0 where it is no matter of an amount.
    """

    fault: Fault
    what: str
    amount: int = 0

    def __str__(self) -> str:
        money = f" ({rupees(self.amount)} INR)" if self.amount else ""
        return f"{self.fault}: {self.what}{money}"
