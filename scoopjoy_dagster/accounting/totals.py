"""Control totals: which there are, and the verdict on two figures that must be equal.

Here: the list of the control totals, what a verdict is, and the comparison of the ledger with the rule. Not here:
the other comparisons (`comparisons`), reading figures (`erpnext.control_figures`), and telling Dagster (`checks`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.royalties import RoyaltyPlan

WORST = 5
"""So many of the largest differences are named; the rest is in the figures themselves."""

NAMED = 50
"""So many names are listed in one figure; the rest is counted."""


@dataclass(frozen=True, slots=True)
class ControlTotal:
    """One control total: its name, the asset (by name) that it judges, what it asks, and what a failure does.

    An `error` fails the run, stops every asset that needs this one, and leaves the day unsettled. A `warning` is
    shown and changes nothing.
    """

    name: str
    asset: str
    severity: Literal["error", "warning"]
    question: str

    @property
    def blocking(self) -> bool:
        """Whether a failure stops what is behind it. Also where nothing is: only so does a failure reach anybody."""
        return self.severity == "error"


CONTROL_TOTALS: tuple[ControlTotal, ...] = (
    ControlTotal(
        "is_every_shift_closed",
        "closed_shifts",
        "error",
        "Has every POS shift of the day exactly one submitted closing, and is every POS Invoice in it consolidated?",
    ),
    ControlTotal(
        "did_every_outlet_open",
        "closed_shifts",
        "warning",
        "Has every POS Profile that had a shift in the week before one on the day?",
    ),
    ControlTotal(
        "does_the_ledger_equal_the_rule",
        "royalties",
        "error",
        "Does the general ledger hold exactly the royalties that the rule says, franchise by franchise?",
    ),
    ControlTotal(
        "is_every_invoice_counted",
        "royalties",
        "error",
        "Are the invoices that the royalties were computed from those that ERPNext itself counts and sums?",
    ),
    ControlTotal(
        "does_debit_equal_credit",
        "royalties",
        "error",
        "Are the royalties by the rule, the Journal Entries, the receivable account and the income account one sum?",
    ),
    ControlTotal(
        "did_every_franchise_sell",
        "royalties",
        "warning",
        "Has every franchise that had invoices in the week before some on the day?",
    ),
    ControlTotal(
        "is_every_franchise_still_there",
        "royalties",
        "warning",
        "Is every customer that owed a royalty in the week before still a franchise?",
    ),
    ControlTotal(
        "are_the_sales_as_usual",
        "royalties",
        "warning",
        "Are the sales of the day near those of the last four same weekdays?",
    ),
    ControlTotal(
        "do_the_shares_add_up",
        "invoices",
        "error",
        "Do the shares of the sales in the royalty entries add up to the royalties in the ledger?",
    ),
    ControlTotal(
        "does_headquarters_agree",
        "hq_sync",
        "error",
        "Are the totals that headquarters acknowledged those of the day as it is now?",
    ),
)
"""Every control total of the close, in order of the assets."""


def totals_of(asset: str) -> tuple[ControlTotal, ...]:
    """The control totals of one asset."""
    return tuple(one for one in CONTROL_TOTALS if one.asset == asset)


def money_text(amount: Decimal) -> str:
    """An amount as exact text: two decimals, or more where there are more."""
    cut = amount.quantize(Decimal("0.01"))
    return f"{cut or abs(cut):.2f}" if cut == amount else f"{amount.normalize():f}"


def count_text(number: Decimal) -> str:
    """A count as text."""
    return f"{number:f}"


def name_list(names: Iterable[str]) -> str:
    """Names in order, as one text; `none` when there are none."""
    ordered = sorted(names)
    more = f" and {len(ordered) - NAMED} more" if len(ordered) > NAMED else ""
    return ", ".join(ordered[:NAMED]) + more if ordered else "none"


@dataclass(frozen=True, slots=True)
class Difference:
    """One who differs: by how much (actual minus expected), and in words where a number does not say it."""

    who: str
    by: Decimal
    said: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of a control total.

    Attributes:
        ok: whether it holds.
        expected: what must be, in INR or as a number; None where there is nothing to compare with.
        actual: what is; None where it is not known.
        sentence: the answer in words.
        worst: those who differ most, at most five.
        figures: further figures by name.
        unit: what `expected` and `actual` are.
    """

    ok: bool
    expected: Decimal | None
    actual: Decimal | None
    sentence: str
    worst: tuple[Difference, ...] = ()
    figures: Mapping[str, str] = field(default_factory=dict)
    unit: Literal["money", "count"] = "money"

    @property
    def difference(self) -> Decimal | None:
        """Actual minus expected; None where one of them is not known."""
        if self.expected is None or self.actual is None:
            return None
        return self.actual - self.expected

    def texts(self) -> dict[str, str]:
        """The figures as text, exact; the same four keys for every control total, then its own."""
        shown = money_text if self.unit == "money" else count_text

        def text(value: Decimal | None) -> str:
            return "unknown" if value is None else shown(value)

        return {
            "expected": text(self.expected),
            "actual": text(self.actual),
            "difference": text(self.difference),
            "worst_five": "; ".join(f"{one.who}: {one.said or shown(one.by)}" for one in self.worst)
            or "none",
            **self.figures,
        }


def worst_of(differences: Iterable[Difference]) -> tuple[Difference, ...]:
    """The five largest differences, largest first."""
    return tuple(sorted(differences, key=lambda one: (-abs(one.by), one.who))[:WORST])


def ledger_against_rule(plan: RoyaltyPlan) -> Verdict:
    """Royalties in the ledger against the rule, per franchise, from a plan made after posting.

    Differences of several franchises that cancel out are differences all the same; so is a franchise for which
    nothing may be posted (`refuse`), whatever its amount.
    """
    open_actions = [action for action in plan.actions if action.kind in {"create", "adjust", "refuse"}]
    differences = [
        Difference(
            action.royalty.customer_name, -action.amount, "" if action.amount else f"refused: {action.reason}"
        )
        for action in open_actions
    ]
    actual = plan.due + sum((one.by for one in differences), ZERO)
    if not differences:
        sentence = f"The ledger holds exactly {money_text(actual)}."
    else:
        sentence = (
            f"The ledger holds {money_text(actual)}, the rule says {money_text(plan.due)}: "
            f"{len(differences)} franchises differ."
        )
    return Verdict(not differences, plan.due, actual, sentence, worst_of(differences))
