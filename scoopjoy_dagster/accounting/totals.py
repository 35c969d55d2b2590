"""Control totals: two figures that must be equal, and what is said when they are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.royalties import RoyaltyPlan

WORST = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """A control total in INR: what it must be, what it is, and the five largest differences by name."""

    expected: Decimal
    actual: Decimal
    worst: tuple[tuple[str, Decimal], ...] = ()

    @property
    def difference(self) -> Decimal:
        """Actual minus expected."""
        return self.actual - self.expected

    @property
    def ok(self) -> bool:
        """Equal to the last paisa, in total and for everyone (differences may not cancel out)."""
        return self.difference == 0 and not self.worst


def ledger_against_rule(plan: RoyaltyPlan) -> Verdict:
    """Royalties in the ledger against the rule, per franchise, from a plan made after posting."""
    differences = [
        (action.royalty.customer_name, -action.amount)
        for action in plan.actions
        if action.kind in {"create", "adjust", "refuse"} and action.amount
    ]
    differences.sort(key=lambda one: (-abs(one[1]), one[0]))
    return Verdict(
        plan.due, plan.due + sum((amount for _, amount in differences), ZERO), tuple(differences[:WORST])
    )


def combined(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict for several days: the sums, and the worst differences of all."""
    worst = sorted(
        (one for verdict in verdicts for one in verdict.worst), key=lambda one: (-abs(one[1]), one[0])
    )
    return Verdict(
        sum((verdict.expected for verdict in verdicts), ZERO),
        sum((verdict.actual for verdict in verdicts), ZERO),
        tuple(worst[:WORST]),
    )
