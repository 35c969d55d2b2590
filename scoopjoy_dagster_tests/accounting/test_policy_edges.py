"""The policy: its defaults, its version for ever, and its sentence as it is printed on statements."""

from __future__ import annotations

from decimal import Decimal

import pytest

from scoopjoy_dagster.accounting.money import Rounding
from scoopjoy_dagster.accounting.policy import Base, LockedDays, NegativeDays, RoyaltyPolicy


def test_the_standard_policy_is_five_percent_of_the_grand_total_rounded_half_up() -> None:
    assert RoyaltyPolicy() == RoyaltyPolicy(
        "standard",
        Decimal(5),
        Base.GRAND_TOTAL,
        Rounding.HALF_UP,
        NegativeDays.SKIP,
        LockedDays.EXCEPTION,
        2,
    )


def test_invoices_count_in_company_currency() -> None:
    assert [base.field for base in Base] == ["base_grand_total", "base_net_total"]


@pytest.mark.parametrize(
    ("policy", "version"),
    [
        (RoyaltyPolicy(), "standard-c2757abb"),
        (RoyaltyPolicy("festival", Decimal("10.00")), "festival-bcec2a2d"),
        (RoyaltyPolicy(precision=3), "standard-87d1bc8d"),
    ],
)
def test_a_policy_has_the_same_version_in_every_process(policy: RoyaltyPolicy, version: str) -> None:
    """It is kept on posted entries: another fingerprint would make every one of them look changed."""
    assert policy.version == version


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (
            RoyaltyPolicy(),
            (
                "each franchise's own rate, 5 % where none is set, of base_grand_total; rounded half up once per franchise "
                "and day; a day with a negative base posts nothing"
            ),
        ),
        (
            RoyaltyPolicy(
                default_rate=Decimal("10.00"),
                base=Base.NET_TOTAL,
                rounding=Rounding.DOWN,
                negative_days=NegativeDays.REVERSE,
            ),
            (
                "each franchise's own rate, 10 % where none is set, of base_net_total; rounded down once per franchise and "
                "day; a day with a negative base is posted with sides swapped"
            ),
        ),
    ],
)
def test_the_policy_in_words_says_everything_that_decides_about_an_amount(
    policy: RoyaltyPolicy, words: str
) -> None:
    assert policy.sentence == f"{policy.version}: {words}"


@pytest.mark.parametrize(
    ("policy", "terms"),
    [
        (RoyaltyPolicy(), "grand_total half_up skip"),
        (RoyaltyPolicy("festival", Decimal(9)), "grand_total half_up skip"),
        (RoyaltyPolicy(base=Base.NET_TOTAL, rounding=Rounding.DOWN), "net_total down skip"),
        (RoyaltyPolicy(negative_days=NegativeDays.REVERSE), "grand_total half_up reverse"),
    ],
)
def test_the_terms_on_an_entry_say_what_decides_an_amount_besides_the_rate(
    policy: RoyaltyPolicy, terms: str
) -> None:
    """They are read back for as long as the entry lives."""
    assert policy.terms == terms
