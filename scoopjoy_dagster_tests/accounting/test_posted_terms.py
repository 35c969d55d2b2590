"""What was posted keeps its terms: by rate and policy of its entry, whatever a customer is called, and whose it has become."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.keys import royalty_key
from scoopjoy_dagster.accounting.money import Rounding
from scoopjoy_dagster.accounting.policy import Base, NegativeDays, RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import (
    BaseInvoice,
    Franchise,
    PostedEntry,
    RoyaltyPlan,
)
from scoopjoy_dagster_tests.accounting.planning import DAY, POLICY, plan_of_day

ADYAR = Franchise("Adyar", "Franchise Adyar", Decimal(5))
OTHERS = (
    replace(POLICY, base=Base.NET_TOTAL),
    replace(POLICY, rounding=Rounding.DOWN),
    replace(POLICY, negative_days=NegativeDays.REVERSE),
)


def sale(amount: str, customer: str = "Adyar", name: str = "SINV-1") -> BaseInvoice:
    return BaseInvoice(name, customer, Decimal(amount), Decimal(amount) < 0, "INR", Decimal(amount))


def entry(of: str, revision: int, amount: str, base: str, rate: str = "5", **more: object) -> PostedEntry:
    made = PostedEntry(
        f"JE-{of}-{revision}",
        royalty_key("ScoopJoy", DAY, of, revision),
        1,
        Decimal(amount),
        customer="Adyar",
        base=Decimal(base),
        rate=Decimal(rate),
        policy=POLICY.version,
        terms=POLICY.terms,
        adjusts=f"JE-{of}-0" if revision else "",
    )
    return replace(made, **more)  # type: ignore[arg-type]


plan = partial(plan_of_day, franchises=(ADYAR,))


def whats(found: RoyaltyPlan) -> list[str]:
    return [one.what for one in found.notes]


# -- another rate -------------------------------------------------------------------------------------------------

POSTED = (entry("Adyar", 0, "50.00", "1000"),)
CHANGED = {
    "another rate": replace(ADYAR, rate=Decimal("5.5")),
    "exempt": replace(ADYAR, exempt=True),
    "no rate": replace(ADYAR, rate=Decimal(0)),
    "no rate at all": replace(ADYAR, rate=Decimal(250)),
}


@pytest.mark.parametrize("now", CHANGED.values(), ids=CHANGED)
def test_a_posted_day_follows_its_sales_at_the_rate_that_it_was_posted_at(now: Franchise) -> None:
    policy = replace(POLICY, default_rate=Decimal(6))
    same = plan(sale("1000"), posted=POSTED, franchises=[now], policy=policy)
    assert ([one.kind for one in same.actions], same.findings, same.unsettled()) == (["adopt"], (), None)
    (action,) = plan(sale("1100"), posted=POSTED, franchises=[now], policy=policy).writes()
    assert (action.amount, action.royalty.rate) == (Decimal("5.00"), Decimal(5))
    assert action.reason == "royalty 50.00 -> 55.00: base 1000.00 -> 1100.00"
    assert (action.royalty.policy_version, action.royalty.terms) == (POLICY.version, POLICY.terms)
    (note,) = same.notes
    assert (note.severity, note.what) == ("warning", "posted rate kept")
    assert "Franchise Adyar (posted at 5 %, now " in note.message
    assert "`scoopjoy close --date 2026-11-22 --re-rate`" in note.action


def test_who_has_no_entry_of_the_day_has_today_s_terms() -> None:
    cancelled = entry("Adyar", 0, "0", "1000", docstatus=2)
    now = replace(ADYAR, rate=Decimal("5.5"))
    for posted in ((), (cancelled,)):
        (action,) = plan(sale("1000"), posted=posted, franchises=[now]).actions
        assert (action.royalty.rate, action.royalty.amount) == (Decimal("5.5"), Decimal("55.00"))


def test_other_rates_are_one_row_whatever_their_number() -> None:
    names = [f"C{number}" for number in range(7)]
    chain = [Franchise(name, f"Franchise {name}", Decimal(6)) for name in names]
    posted = [entry(name, 0, "5.00", "100", customer=name) for name in names]
    found = plan(*(sale("100", name, f"S-{name}") for name in names), posted=posted, franchises=chain)
    assert whats(found) == ["posted rate kept"]
    assert found.notes[0].message.endswith("Franchise C4 (posted at 5 %, now 6 %) and 2 more")
    assert plan(sale("1000"), posted=POSTED).notes == ()


def test_what_a_person_re_rated_stays_re_rated() -> None:
    """The terms of a day are those of its newest entry: the night must not undo what a person wished for."""
    posted = (*POSTED, entry("Adyar", 1, "5.00", "1000", "5.5"))
    assert [one.kind for one in plan(sale("1000"), posted=posted).actions] == ["adopt"]
    (action,) = plan(sale("1100"), posted=posted).writes()
    assert (action.amount, action.royalty.rate) == (Decimal("5.50"), Decimal("5.5"))


def test_the_default_rate_of_then_is_told_as_long_as_the_day_lives_whatever_rate_is_set_since() -> None:
    unset = replace(ADYAR, rate=Decimal(0))
    first = plan(sale("1000"), franchises=[unset])
    (action,) = first.writes()
    assert action.royalty.terms == "grand_total half_up skip default_rate"
    posted = (entry("Adyar", 0, "50.00", "1000", terms=action.royalty.terms),)
    later = plan(sale("1000"), posted=posted, franchises=[replace(ADYAR, rate=Decimal(7))])
    assert later.findings == first.findings
    assert [one.what for one in first.findings] == ["no royalty rate set"]
    assert plan(sale("1000"), posted=POSTED, franchises=[unset]).findings == ()


# -- another policy -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", OTHERS, ids=lambda one: one.terms)
def test_what_was_posted_by_another_rule_stays_and_only_a_person_can_move_it(policy: RoyaltyPolicy) -> None:
    found = plan(sale("1700"), posted=POSTED, policy=policy)
    assert [(one.kind, one.royalty.amount) for one in found.actions] == [("adopt", Decimal("50.00"))]
    assert found.actions[0].royalty.frozen
    assert (whats(found), found.findings, found.unsettled()) == (["posted by another policy"], (), None)
    assert "Franchise Adyar (posted by grand_total half_up skip)" in found.notes[0].message
    (action,) = plan(sale("1700"), posted=POSTED, policy=policy, re_rate=True).writes()
    assert (action.amount, action.royalty.terms) == (Decimal("35.00"), policy.terms)
    # With the rule of then at hand it follows its sales.
    assert plan(sale("1700"), posted=POSTED).writes()[0].amount == Decimal("35.00")


def test_another_default_rate_or_name_is_no_other_rule() -> None:
    policy = RoyaltyPolicy("festival", Decimal(9))
    (action,) = plan(sale("1100"), posted=POSTED, policy=policy).writes()
    assert (action.amount, action.royalty.policy_version) == (Decimal("5.00"), POLICY.version)


@pytest.mark.parametrize(
    ("policy", "follows"), [(POLICY, True), (RoyaltyPolicy("festival"), False)], ids=["the same", "another"]
)
def test_an_entry_of_an_earlier_version_is_followed_only_under_the_policy_that_it_names(
    policy: RoyaltyPolicy, follows: bool
) -> None:
    old = replace(POSTED[0], terms="")
    found = plan(sale("1100"), posted=[old], policy=policy)
    assert bool(found.writes()) == follows
    assert whats(found) == ([] if follows else ["posted by another policy"])


def test_money_is_never_moved_because_an_entry_does_not_say_its_rate() -> None:
    found = plan(sale("1100"), posted=[replace(POSTED[0], rate=Decimal(0))])
    assert (found.writes(), whats(found)) == ([], ["posted by another policy"])


def test_the_policy_of_a_day_is_the_one_that_it_was_posted_by() -> None:
    now = replace(POLICY, default_rate=Decimal(6))
    found = plan(sale("1000"), posted=POSTED, policy=now)
    assert found.policy_version == POLICY.version
    assert found.policy_sentence == f"as posted, by {POLICY.version}"
    assert found.sentence_for(found.actions[0].royalty) == f"{POLICY.version}: grand_total half_up skip"
    unposted = plan(sale("1000"), policy=now)
    assert (unposted.policy_version, unposted.policy_sentence) == (now.version, now.sentence)


# -- merged customers ---------------------------------------------------------------------------------------------

MERGED = (entry("Adyar", 0, "50.00", "1000"), entry("Bandra", 0, "20.00", "200", "10"))
"""Bandra, who owed 10 %, was merged into Adyar: the ledger knows one party."""


def test_two_merged_customers_owe_what_was_posted_for_both() -> None:
    found = plan(sale("1000"), sale("200", name="SINV-2"), posted=MERGED)
    (action,) = found.actions
    assert (action.kind, action.royalty.amount, found.findings) == ("adopt", Decimal("70.00"), ())
    assert (action.royalty.rate, action.royalty.base, action.royalty.own_base) == (5, 1200, 1000)


def test_a_late_sale_of_merged_customers_is_charged_alone_at_the_rate_of_the_first_key() -> None:
    sales = [sale("1000"), sale("200", name="SINV-2"), sale("100", name="SINV-3")]
    (action,) = plan(*sales, posted=MERGED).writes()
    assert (action.amount, action.adjusts) == (Decimal("5.00"), "JE-Adyar-0")
    # Bases and rates that were posted, and no others.
    assert action.reason == "royalty 70.00 -> 75.00: base 1000.00 -> 1100.00"
    after = (*MERGED, entry("Adyar", 1, "5.00", str(action.royalty.own_base)))
    assert plan(*sales, posted=after).writes() == []
    (gone,) = plan(*sales[:2], posted=after).writes()
    assert (gone.amount, gone.reason) == (
        Decimal("-5.00"),
        "royalty 75.00 -> 70.00: base 1100.00 -> 1000.00",
    )


def test_adjustments_of_before_stay_with_their_own_first_entry() -> None:
    posted = (*MERGED, entry("Bandra", 1, "30.00", "500", "10"))
    found = plan(sale("1000"), sale("500", name="SINV-2"), posted=posted)
    assert [(one.kind, one.royalty.amount) for one in found.actions] == [("adopt", Decimal("100.00"))]
    (action,) = plan(sale("1000"), sale("700", name="SINV-2"), posted=posted).writes()
    assert (action.amount, action.adjusts) == (Decimal("10.00"), "JE-Adyar-0")
    assert action.key == royalty_key("ScoopJoy", DAY, "Adyar", 2)


def test_of_merged_customers_that_sold_nothing_after_all_everything_is_taken_back() -> None:
    (action,) = plan(posted=MERGED).writes()
    assert (action.amount, action.royalty.amount) == (Decimal("-70.00"), Decimal("0.00"))


def test_where_one_rate_cannot_give_back_what_another_charged_nothing_moves() -> None:
    posted = (entry("Adyar", 0, "5.00", "10", "50"), entry("Bandra", 0, "10.00", "1000", "1"))
    found = plan(sale("110"), posted=posted)
    assert (found.writes(), found.due) == ([], Decimal("15.00"))


def test_an_entry_booked_on_another_franchise_by_mistake_is_no_merged_customer() -> None:
    bandra = Franchise("Bandra", "Franchise Bandra", Decimal(10))
    found = plan(sale("1000"), sale("200", "Bandra", "SINV-2"), posted=MERGED, franchises=[ADYAR, bandra])
    assert [(one.kind, one.amount) for one in found.actions] == [
        ("adjust", Decimal("-20.00")),
        ("create", Decimal("20.00")),
    ]


AMOUNTS = st.decimals("0.01", "9999.99", places=2)
RATES = st.decimals("0.01", "100", places=2)


@given(
    st.lists(st.tuples(AMOUNTS, RATES), min_size=1, max_size=4),
    st.lists(AMOUNTS, max_size=3),
    st.booleans(),
)
def test_renaming_and_merging_moves_no_money_and_later_sales_are_charged_alone(
    parts: list[tuple[Decimal, Decimal]], more: list[Decimal], renamed: bool
) -> None:
    names = [f"C{number}" for number in range(len(parts))]
    chain = [Franchise(name, name, rate) for name, (_, rate) in zip(names, parts, strict=True)]
    first = plan(
        *(sale(str(amount), name, f"S-{name}") for name, (amount, _) in zip(names, parts, strict=True)),
        franchises=chain,
    )
    owner = "Zed" if renamed else names[0]
    posted = [
        entry(
            one.royalty.customer,
            0,
            str(one.amount),
            str(one.royalty.base),
            str(one.royalty.rate),
            customer=owner,
            terms=one.royalty.terms,
        )
        for one in first.writes()
    ]
    # Who rounded to nothing has no entry: its sales are news for the merged customer.
    sold = [sale(str(one.royalty.base), owner, f"S-{one.royalty.customer}") for one in first.writes()]
    now = Franchise(owner, owner, Decimal("3.21"))
    same = plan(*sold, posted=posted, franchises=[now])
    assert same.writes() == []
    assert same.due == sum((one.amount for one in posted), Decimal(0))
    if not posted or not more:
        return
    later = [sale(str(amount), owner, f"L-{number}") for number, amount in enumerate(more)]
    followed = plan(*sold, *later, posted=posted, franchises=[now])
    lead = posted[0]
    grown = lead.base + sum(more, Decimal(0))
    expected = (grown * lead.rate / 100).quantize(Decimal("0.01"), "ROUND_HALF_UP") - lead.amount
    assert sum((one.amount for one in followed.writes()), Decimal(0)) == expected
