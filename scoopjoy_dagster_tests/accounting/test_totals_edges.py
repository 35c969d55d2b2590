"""Verdicts at the edges: exact texts, who is named and who is only counted."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import Action, Royalty, RoyaltyPlan
from scoopjoy_dagster.accounting.totals import (
    CONTROL_TOTALS,
    Difference,
    Verdict,
    count_text,
    ledger_against_rule,
    money_text,
    name_list,
    totals_of,
    worst_of,
)

DAY = date(2026, 11, 22)
HOLDS, FAILS = True, False


def action(kind: str, name: str, owed: str, missing: str = "0", reason: str = "why") -> Action:
    royalty = Royalty(name, f"Franchise {name}", (), Decimal(0), Decimal(5), Decimal(owed), "standard-1")
    return Action(kind, royalty, Decimal(missing), reason)  # type: ignore[arg-type]


def plan(*actions: Action) -> RoyaltyPlan:
    return RoyaltyPlan("ScoopJoy", DAY, RoyaltyPolicy(), actions, ())


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0.00"),
        ("-0.000", "0.00"),
        ("1.5", "1.50"),
        ("-1.50000", "-1.50"),
        ("0.005", "0.005"),
        ("-0.0040", "-0.004"),
        ("1E+3", "1000.00"),
        ("12345678901.125", "12345678901.125"),
    ],
)
def test_an_amount_is_shown_with_two_decimals_and_with_more_only_where_there_are_more(
    amount: str, text: str
) -> None:
    assert money_text(Decimal(amount)) == text


def test_a_count_has_no_decimals() -> None:
    assert [count_text(Decimal(one)) for one in ("0", "12", "-3", "1E+2")] == ["0", "12", "-3", "100"]


def test_fifty_names_are_listed_and_the_rest_is_counted() -> None:
    names = [f"N{number:02d}" for number in range(1, 53)]
    assert name_list(names[:50]) == ", ".join(names[:50])
    assert name_list(names[50::-1]) == ", ".join(names[:50]) + " and 1 more"
    assert name_list(names) == ", ".join(names[:50]) + " and 2 more"
    assert name_list([]) == "none"


def test_the_worst_are_the_largest_of_either_sign_and_equals_are_in_order_of_name() -> None:
    differences = [
        Difference(who, Decimal(by)) for who, by in zip("fedcba", (1, -3, 2, 3, -2, -1), strict=True)
    ]
    assert [one.who for one in worst_of(differences)] == ["c", "e", "b", "d", "a"]


def test_the_texts_of_a_verdict_about_money_and_of_one_about_a_count() -> None:
    worst = (Difference("Adyar", Decimal(-2)), Difference("Bandra", Decimal(-1), "not seen"))
    money = Verdict(FAILS, Decimal(5), Decimal(3), "x", worst, {"more": "1", "actual": "told otherwise"})
    assert money.texts() == {
        "expected": "5.00",
        "actual": "told otherwise",  # a figure of its own has the last word
        "difference": "-2.00",
        "worst_five": "Adyar: -2.00; Bandra: not seen",
        "more": "1",
    }
    count = Verdict(FAILS, Decimal(5), Decimal(3), "x", worst, unit="count")
    assert count.texts() == {
        "expected": "5",
        "actual": "3",
        "difference": "-2",
        "worst_five": "Adyar: -2; Bandra: not seen",
    }
    assert Verdict(HOLDS, Decimal(0), Decimal(0), "x").texts() == {
        "expected": "0.00",
        "actual": "0.00",
        "difference": "0.00",
        "worst_five": "none",
    }


def test_where_a_figure_is_not_known_there_is_no_difference() -> None:
    assert Verdict(HOLDS, None, Decimal(1), "x").difference is None
    assert Verdict(FAILS, Decimal(1), None, "x").difference is None
    assert Verdict(HOLDS, Decimal(0), Decimal(0), "x").difference == 0


def test_a_ledger_that_is_right_is_told_with_its_sum() -> None:
    verdict = ledger_against_rule(
        plan(action("adopt", "A", "80"), action("skip", "B", "0"), action("adopt", "C", "5.5"))
    )
    assert verdict == Verdict(HOLDS, Decimal("85.5"), Decimal("85.5"), "The ledger holds exactly 85.50.")
    assert str(ledger_against_rule(plan()).actual) == "0"


def test_a_ledger_that_is_wrong_is_told_with_both_sums_and_everybody_who_differs() -> None:
    """Two differences that cancel out are two differences."""
    verdict = ledger_against_rule(
        plan(
            action("adopt", "A", "80"),
            action("create", "B", "10", "10"),
            action("adjust", "C", "20", "-10"),
            action("refuse", "D", "0", "0", "rate is 250"),
            action("refuse", "E", "7", "3", "an entry was cancelled"),
        )
    )
    assert verdict == Verdict(
        FAILS,
        Decimal(117),
        Decimal(114),
        "The ledger holds 114.00, the rule says 117.00: 4 franchises differ.",
        (
            Difference("Franchise B", Decimal(-10)),
            Difference("Franchise C", Decimal(10)),
            Difference("Franchise E", Decimal(-3)),
            Difference("Franchise D", Decimal(0), "refused: rate is 250"),
        ),
    )


def test_what_stops_the_close_is_what_would_make_money_wrong() -> None:
    assert {one.name: one.blocking for one in CONTROL_TOTALS} == {
        "is_every_shift_closed": True,
        "did_every_outlet_open": False,
        "does_the_ledger_equal_the_rule": True,
        "is_every_invoice_counted": True,
        "does_debit_equal_credit": True,
        "did_every_franchise_sell": False,
        "is_every_franchise_still_there": False,
        "are_the_sales_as_usual": False,
        "do_the_shares_add_up": True,
        "does_headquarters_agree": True,
    }
    assert [one.name for one in totals_of("invoices")] == ["do_the_shares_add_up"]
    assert totals_of("nothing") == ()
