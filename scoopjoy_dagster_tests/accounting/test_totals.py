"""Verdicts: exact texts, five names and no more; and the ledger against the rule."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import Action, Royalty, RoyaltyPlan
from scoopjoy_dagster.accounting.totals import (
    CONTROL_TOTALS,
    NAMED,
    WORST,
    Difference,
    Verdict,
    ledger_against_rule,
    money_text,
    name_list,
    totals_of,
    worst_of,
)

DAY = date(2026, 11, 22)
MONEY = st.decimals(-(10**9), 10**9, places=2)
ANY_AMOUNT = st.decimals(-(10**9), 10**9, places=9)
NAMES = st.text(st.characters(categories=["L"]), min_size=1, max_size=8)


def action(
    name: str, owed: Decimal, kind: Literal["create", "adjust", "adopt", "skip", "refuse"], missing: Decimal
) -> Action:
    royalty = Royalty(name, name, (), Decimal(0), Decimal(5), owed, "standard-1")
    return Action(kind, royalty, missing, "why")


def plan(*actions: Action) -> RoyaltyPlan:
    return RoyaltyPlan("ScoopJoy", DAY, RoyaltyPolicy(), actions, ())


@given(ANY_AMOUNT)
def test_the_text_of_an_amount_is_the_amount_with_at_least_two_decimals(amount: Decimal) -> None:
    text = money_text(amount)
    assert Decimal(text) == amount
    assert len(text.rpartition(".")[2]) >= 2
    assert "E" not in text
    assert text != "-0.00"


def test_texts_of_amounts_that_are_easily_wrong() -> None:
    assert money_text(Decimal("-0.00")) == "0.00"
    assert money_text(Decimal("0.004")) == "0.004"
    assert money_text(Decimal("1E+3")) == "1000.00"


@given(st.lists(NAMES, unique=True))
def test_a_list_of_names_is_in_order_and_counts_what_it_leaves_out(names: list[str]) -> None:
    text = name_list(names)
    shown = [] if text == "none" and not names else text.partition(" and ")[0].split(", ")
    assert shown == sorted(names)[:NAMED]


def test_a_long_list_of_names_says_how_many_more() -> None:
    assert name_list([f"{number:03d}" for number in range(NAMED + 7)]).endswith("049 and 7 more")


@given(st.lists(st.builds(Difference, NAMES, MONEY)))
def test_the_worst_are_the_five_that_differ_most(differences: list[Difference]) -> None:
    worst = worst_of(differences)
    assert len(worst) == min(WORST, len(differences))
    left = list(differences)
    for one in worst:
        left.remove(one)
    if left:
        assert min(abs(one.by) for one in worst) >= max(abs(one.by) for one in left)


@given(MONEY, MONEY, st.lists(st.builds(Difference, NAMES, MONEY), max_size=5))
def test_a_verdict_has_the_same_four_texts_whatever_it_is_about(
    expected: Decimal, actual: Decimal, worst: list[Difference]
) -> None:
    verdict = Verdict(
        ok=False, expected=expected, actual=actual, sentence="x", worst=tuple(worst), figures={"more": "1"}
    )
    texts = verdict.texts()
    assert list(texts) == ["expected", "actual", "difference", "worst_five", "more"]
    assert Decimal(texts["actual"]) - Decimal(texts["expected"]) == Decimal(texts["difference"])
    assert (texts["worst_five"] == "none") == (not worst)


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    texts = Verdict(ok=True, expected=None, actual=Decimal(1), sentence="x").texts()
    assert (texts["expected"], texts["actual"], texts["difference"]) == ("unknown", "1.00", "unknown")


@given(st.dictionaries(NAMES, st.tuples(MONEY, MONEY), max_size=8))
def test_the_ledger_is_right_exactly_when_it_is_right_for_everybody(
    franchises: dict[str, tuple[Decimal, Decimal]],
) -> None:
    made = plan(
        *(
            action(name, owed, "adopt" if owed == posted else "adjust", owed - posted)
            for name, (owed, posted) in franchises.items()
        )
    )
    verdict = ledger_against_rule(made)
    assert verdict.ok == all(owed == posted for owed, posted in franchises.values())
    assert verdict.expected == sum((owed for owed, _ in franchises.values()), Decimal(0))
    assert verdict.actual == sum((posted for _, posted in franchises.values()), Decimal(0))
    for one in verdict.worst:
        owed, posted = franchises[one.who]
        assert one.by == posted - owed


def test_a_franchise_for_which_nothing_may_be_posted_is_no_right_day_whatever_its_amount() -> None:
    verdict = ledger_against_rule(
        plan(
            action("Thane", Decimal(5), "adopt", Decimal(0)),
            action("Pune", Decimal(0), "refuse", Decimal(0)),
        )
    )
    assert not verdict.ok
    assert verdict.texts()["worst_five"] == "Pune: refused: why"


def test_every_control_total_has_a_name_of_its_own_and_belongs_to_one_asset() -> None:
    names = [one.name for one in CONTROL_TOTALS]
    assert len(set(names)) == len(names)
    assets = list(dict.fromkeys(one.asset for one in CONTROL_TOTALS))
    assert [one for asset in assets for one in totals_of(asset)] == list(CONTROL_TOTALS)
    assert {one.blocking for one in CONTROL_TOTALS if one.severity == "warning"} == {False}
    assert {one.blocking for one in CONTROL_TOTALS if one.severity == "error"} == {True}
