"""The royalty policy: what is due, what is posted already, and the one signed difference between them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.keys import royalty_key
from scoopjoy_dagster.accounting.money import Rounding
from scoopjoy_dagster.accounting.policy import (
    Base,
    LockedDays,
    NegativeDays,
    RoyaltyPolicy,
)
from scoopjoy_dagster.accounting.royalties import (
    BaseInvoice,
    Franchise,
    PostedEntry,
    RoyaltyPlan,
    with_shares,
)
from scoopjoy_dagster.accounting.totals import ledger_against_rule
from scoopjoy_dagster_tests.accounting.planning import DAY, plan_of_day

ADYAR = Franchise("CUST-0001", "Franchise Adyar", Decimal(8))


def invoice(
    amount: str, customer: str = "CUST-0001", name: str = "SINV-1", currency: str = "INR"
) -> BaseInvoice:
    return BaseInvoice(name, customer, Decimal(amount), Decimal(amount) < 0, currency)


plan = partial(plan_of_day, franchises=(ADYAR,))


def carry_out(the_plan: RoyaltyPlan, before: tuple[PostedEntry, ...] = ()) -> tuple[PostedEntry, ...]:
    """The ledger after a plan was applied without faults."""
    new = tuple(
        PostedEntry(
            f"JE-{one.key}",
            one.key,
            1,
            one.amount,
            one.digest,
            base=one.royalty.own_base,
            rate=one.royalty.rate,
            policy=one.royalty.policy_version,
            terms=one.royalty.terms,
            adjusts=one.adjusts,
        )
        for one in the_plan.writes()
    )
    return (*before, *new)


def test_the_royalty_is_the_rate_times_the_base_rounded_once() -> None:
    the_plan = plan(invoice("333.33", name="A"), invoice("0.10", name="B"), invoice("1234.57", name="C"))
    (action,) = the_plan.actions
    assert action.kind == "create"
    assert action.amount == Decimal("125.44")  # 8 % of 1568.00; per invoice it would be 26.67 + 0.01 + 98.77
    assert action.key == "royalty:ScoopJoy:2026-11-22:CUST-0001:0"


@pytest.mark.parametrize("rate", ["-3", "250", "100.01"])
def test_a_rate_out_of_range_posts_nothing_and_is_an_error_of_that_franchise_alone(rate: str) -> None:
    other = Franchise("CUST-0002", "Franchise Bandra", Decimal(5))
    the_plan = plan(
        invoice("100"),
        invoice("200", "CUST-0002", "SINV-2"),
        franchises=(replace(ADYAR, rate=Decimal(rate)), other),
    )
    assert [(one.kind, one.amount) for one in the_plan.actions] == [
        ("refuse", 0),
        ("create", Decimal("10.00")),
    ]
    (finding,) = (one for one in the_plan.findings if one.severity == "error")
    assert finding.who == "Franchise Adyar"
    assert the_plan.unsettled() is not None


def test_no_rate_means_the_default_and_is_listed() -> None:
    the_plan = plan(invoice("100"), franchises=(replace(ADYAR, rate=Decimal(0)),))
    assert the_plan.due == Decimal("5.00")
    assert [one.what for one in the_plan.findings] == ["no royalty rate set"]


def test_an_exempt_franchise_pays_nothing_although_zero_would_mean_the_default() -> None:
    the_plan = plan(invoice("100"), franchises=(replace(ADYAR, rate=Decimal(0), exempt=True),))
    assert (the_plan.due, the_plan.writes(), the_plan.findings) == (0, [], ())


def test_a_day_whose_returns_exceed_its_sales_posts_nothing_and_names_the_amount() -> None:
    the_plan = plan(invoice("100", name="A"), invoice("-300", name="B"))
    assert the_plan.writes() == []
    (finding,) = the_plan.findings
    assert "-200" in finding.message


def test_a_negative_day_is_posted_with_its_sign_where_the_policy_says_so() -> None:
    the_plan = plan(invoice("-200"), policy=RoyaltyPolicy(negative_days=NegativeDays.REVERSE))
    assert [one.amount for one in the_plan.writes()] == [Decimal("-16.00")]


def test_a_royalty_that_rounds_to_zero_is_listed_and_not_posted() -> None:
    the_plan = plan(invoice("0.05"))
    assert the_plan.writes() == []
    assert [one.what for one in the_plan.findings] == ["royalty rounds to zero"]


def test_a_foreign_invoice_counts_at_its_base_amount_and_is_listed() -> None:
    the_plan = plan(invoice("8345.00", currency="USD"))
    assert the_plan.due == Decimal("667.60")
    assert "USD" in the_plan.findings[0].message


def test_a_settled_day_is_all_adopt() -> None:
    first = plan(invoice("1000"))
    again = plan(invoice("1000"), posted=carry_out(first))
    assert [one.kind for one in again.actions] == ["adopt"]
    assert again.writes() == []
    assert again.unsettled() is None


@pytest.mark.parametrize(
    ("later", "difference"), [("1500", "40.00"), ("400", "-48.00")], ids=["back-dated invoice", "late return"]
)
def test_a_late_change_is_one_signed_adjustment_linked_to_the_first_entry(
    later: str, difference: str
) -> None:
    ledger = carry_out(plan(invoice("1000")))
    changed = plan(invoice(later), posted=ledger)
    (action,) = changed.writes()
    assert (action.kind, action.amount, action.adjusts) == ("adjust", Decimal(difference), ledger[0].name)
    assert action.key == royalty_key("ScoopJoy", DAY, "CUST-0001", 1)
    settled = plan(invoice(later), posted=carry_out(changed, ledger))
    assert settled.writes() == []


def test_all_invoices_cancelled_takes_the_royalty_back_in_full() -> None:
    ledger = carry_out(plan(invoice("1000")))
    (action,) = plan(posted=ledger).writes()
    assert action.amount == Decimal("-80.00")


@pytest.mark.parametrize(("docstatus", "state"), [(2, "cancelled"), (0, "left as a draft")])
def test_an_entry_that_a_person_cancelled_is_not_posted_again_in_silence(docstatus: int, state: str) -> None:
    touched = PostedEntry("JE-1", royalty_key("ScoopJoy", DAY, "CUST-0001", 0), docstatus, Decimal(0))
    the_plan = plan(invoice("1000"), posted=(touched,))
    assert the_plan.writes() == []
    assert state in the_plan.findings[0].what
    assert ledger_against_rule(the_plan).difference == Decimal("-80.00")


def test_a_cancelled_entry_of_a_franchise_that_owes_nothing_needs_nobody() -> None:
    touched = PostedEntry("JE-1", royalty_key("ScoopJoy", DAY, "CUST-0001", 0), 2, Decimal(0))
    assert plan(posted=(touched,)).findings == ()


def test_keys_are_matched_as_mariadb_compares_them() -> None:
    posted = PostedEntry("JE-1", "ROYALTY:scoopjoy:2026-11-22:cust-0001:0 ", 1, Decimal("80.00"))
    assert [one.kind for one in plan(invoice("1000"), posted=(posted,)).actions] == ["adopt"]


def test_the_policy_version_tells_apart_policies_that_could_give_other_royalties() -> None:
    versions = {
        policy.version
        for policy in (
            RoyaltyPolicy(),
            RoyaltyPolicy(default_rate=Decimal(6)),
            RoyaltyPolicy(base=Base.NET_TOTAL),
            RoyaltyPolicy(rounding=Rounding.HALF_EVEN),
            RoyaltyPolicy(negative_days=NegativeDays.REVERSE),
        )
    }
    assert len(versions) == 5
    assert RoyaltyPolicy(default_rate=Decimal("5.00")).version == RoyaltyPolicy().version


def test_on_which_day_a_locked_day_is_posted_is_no_other_policy() -> None:
    """It moves a posting date and never an amount: switching it must not make every posted royalty look changed."""
    assert RoyaltyPolicy(locked_days=LockedDays.NEXT_OPEN_DAY).version == RoyaltyPolicy().version


AMOUNT = st.decimals(min_value=-100_000, max_value=1_000_000, places=2)


@given(
    days=st.lists(st.lists(AMOUNT, max_size=8), min_size=1, max_size=6), rate=st.decimals(0, 100, places=2)
)
def test_whatever_changes_late_the_ledger_follows_the_rule_and_a_re_run_posts_nothing(
    days: list[list[Decimal]], rate: Decimal
) -> None:
    franchise = replace(ADYAR, rate=rate)
    ledger: tuple[PostedEntry, ...] = ()
    for amounts in days:  # the same business day, changed again and again
        invoices = tuple(BaseInvoice(f"S{i}", "CUST-0001", amount) for i, amount in enumerate(amounts))
        now = plan(*invoices, franchises=(franchise,), posted=ledger)
        assert len(now.writes()) <= 1
        ledger = carry_out(now, ledger)
        assert sum((one.amount for one in ledger), Decimal(0)) == now.due
        again = plan(*invoices, franchises=(franchise,), posted=ledger)
        assert again.writes() == []
        assert ledger_against_rule(again).ok
        assert len({one.key for one in ledger}) == len(ledger)


@given(amounts=st.lists(AMOUNT, min_size=1, max_size=30))
def test_the_shares_of_the_invoices_add_up_to_the_royalty(amounts: list[Decimal]) -> None:
    invoices = tuple(BaseInvoice(f"S{i}", "CUST-0001", amount) for i, amount in enumerate(amounts))
    the_plan = plan(*invoices, policy=RoyaltyPolicy(negative_days=NegativeDays.REVERSE))
    (action,) = the_plan.actions
    if action.royalty.base == 0:
        return
    assert sum(one.share for one in with_shares(action, (), 2).shares) == action.royalty.amount
