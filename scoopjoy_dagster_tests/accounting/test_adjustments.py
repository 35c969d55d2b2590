"""What is posted is followed by signed differences with a reason, whoever changed what; and it settles at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.keys import royalty_key
from scoopjoy_dagster.accounting.policy import NegativeDays, RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import (
    BaseInvoice,
    FormerFranchise,
    Franchise,
    PostedEntry,
    RoyaltyPlan,
)
from scoopjoy_dagster_tests.accounting.planning import COMPANY, DAY, plan_of_day

NOTHING = Decimal(0)
ADYAR = Franchise("Adyar", "Franchise Adyar", Decimal(8))
BANDRA = Franchise("Bandra", "Franchise Bandra", Decimal(5))
MOVED = FormerFranchise("Adyar", "Franchise Adyar", "the customer is in the group Commercial now")


def sale(amount: str, customer: str = "Adyar", name: str = "SINV-1") -> BaseInvoice:
    return BaseInvoice(name, customer, Decimal(amount), Decimal(amount) < 0, "INR", Decimal(amount))


plan = partial(plan_of_day, franchises=(ADYAR,))


def carried_out(done: RoyaltyPlan, before: Sequence[PostedEntry] = ()) -> tuple[PostedEntry, ...]:
    """The ledger after a plan was carried out, as it is read back."""
    return (
        *before,
        *(
            PostedEntry(
                f"JE-{number}",
                action.key,
                1,
                action.amount,
                action.digest,
                action.royalty.customer,
                base=action.royalty.own_base,
                rate=action.royalty.rate,
                policy=action.royalty.policy_version,
                posting_date=DAY,
                reason=action.reason,
                terms=action.royalty.terms,
                adjusts=action.adjusts,
            )
            for number, action in enumerate(done.writes(), len(before) + 1)
        ),
    )


@pytest.fixture
def ledger() -> tuple[PostedEntry, ...]:
    """80.00 are posted for Adyar: 8 % of 1000.00."""
    return carried_out(plan(sale("1000")))


# -- former franchises --------------------------------------------------------------------------------------------


def test_a_former_franchise_keeps_what_is_posted_whatever_was_sold_since_and_it_is_said_each_time(
    ledger: tuple[PostedEntry, ...],
) -> None:
    for sold in ("1000", "1700"):
        kept = plan(sale(sold), posted=ledger, former=[MOVED], franchises=())
        (action,) = kept.actions
        assert (action.kind, action.amount, action.royalty.amount) == ("adopt", NOTHING, Decimal("80.00"))
        assert action.royalty.frozen == (sold == "1700")
        assert (kept.unsettled(), kept.due, kept.findings) == (None, Decimal("80.00"), ())
        (note,) = kept.notes
        assert (note.severity, note.what, note.who) == ("warning", "former franchise", "Franchise Adyar")
        assert ("1000.00 then and are 1700.00 now" in note.message) == (sold == "1700")


def test_where_a_person_wants_today_s_rule_a_former_franchise_s_royalty_is_taken_back_once(
    ledger: tuple[PostedEntry, ...],
) -> None:
    gone = plan(sale("1000"), posted=ledger, former=[MOVED], franchises=(), re_rate=True)
    (action,) = gone.writes()
    assert (action.kind, action.amount, action.adjusts) == ("adjust", Decimal("-80.00"), "JE-1")
    assert action.key == royalty_key(COMPANY, DAY, "Adyar", 1)
    (note,) = gone.notes
    assert (note.severity, note.what, note.who) == ("warning", "former franchise", "Franchise Adyar")
    assert "80.00" in note.message
    assert "JE-1" in note.message

    after = carried_out(gone, ledger)
    for re_rate in (False, True):
        again = plan(sale("1000"), posted=after, former=[MOVED], franchises=(), re_rate=re_rate)
        assert [one.kind for one in again.actions] == ["adopt"]
        assert again.due == NOTHING
        assert again.unsettled() is None
        assert not again.actions[0].royalty.frozen


def test_what_was_taken_back_from_a_former_franchise_is_posted_again_only_by_a_person_s_wish(
    ledger: tuple[PostedEntry, ...],
) -> None:
    ledger = carried_out(plan(posted=ledger, former=[MOVED], franchises=(), re_rate=True), ledger)
    assert plan(sale("1000"), posted=ledger).writes() == []
    (action,) = plan(sale("1000"), posted=ledger, re_rate=True).writes()
    assert (action.kind, action.amount, action.adjusts) == ("adjust", Decimal("80.00"), "JE-1")
    assert action.key == royalty_key(COMPANY, DAY, "Adyar", 2)


def test_a_former_franchise_whose_entry_a_person_cancelled_needs_nobody(
    ledger: tuple[PostedEntry, ...],
) -> None:
    cancelled = replace(ledger[0], docstatus=2, amount=NOTHING)
    assert plan(posted=[cancelled], former=[MOVED], franchises=()).writes() == []
    assert plan(posted=[cancelled], former=[MOVED], franchises=()).findings == ()


# -- whose entry it is --------------------------------------------------------------------------------------------


def test_a_renamed_customer_is_not_charged_twice(ledger: tuple[PostedEntry, ...]) -> None:
    """The ledger's party follows a rename; the key keeps the old name."""
    renamed = replace(ADYAR, customer="Adyar Beach")
    read = tuple(replace(one, customer="Adyar Beach") for one in ledger)
    same = plan(sale("1000", "Adyar Beach"), franchises=[renamed], posted=read)
    assert [one.kind for one in same.actions] == ["adopt"]
    more = plan(sale("1500", "Adyar Beach"), franchises=[renamed], posted=read)
    (action,) = more.writes()
    assert (action.amount, action.adjusts) == (Decimal("40.00"), "JE-1")
    assert action.key == royalty_key(COMPANY, DAY, "Adyar Beach", 1)


def test_a_submitted_entry_without_ledger_rows_refuses_instead_of_posting_again(
    ledger: tuple[PostedEntry, ...],
) -> None:
    blind = replace(ledger[0], amount=NOTHING, customer="", booked=False)
    refused = plan(sale("1000"), posted=[blind])
    assert refused.writes() == []
    (action,) = refused.actions
    assert action.kind == "refuse"
    assert [one.what for one in refused.findings] == ["royalty entry without ledger entries"]
    assert "JE-1" in refused.findings[0].message
    assert refused.unsettled() is not None


@pytest.mark.parametrize("customer", ["Gone", ""], ids=["unknown customer", "no ledger row"])
def test_entries_of_nobody_are_an_error_and_nothing_is_posted_for_them(customer: str) -> None:
    stranger = PostedEntry(
        "JE-9", royalty_key(COMPANY, DAY, "Gone", 0), 1, Decimal("12.00"), customer=customer
    )
    found = plan(sale("1000"), posted=[stranger])
    assert [(one.kind, one.royalty.customer) for one in found.actions] == [("create", "Adyar")]
    (finding,) = found.findings
    assert (finding.severity, finding.what, finding.who) == ("error", "royalty entry of nobody", "JE-9")
    assert "12.00 INR" in finding.message


def test_cancelled_entries_of_nobody_are_nobody_s_business() -> None:
    stranger = PostedEntry("JE-9", royalty_key(COMPANY, DAY, "Gone", 0), 2, NOTHING, customer="Gone")
    assert plan(posted=[stranger]).findings == ()


# -- reasons ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "rate", "policy", "says"),
    [
        ("1500", "8", RoyaltyPolicy(), "royalty 80.00 -> 120.00: base 1000.00 -> 1500.00"),
        ("1000", "9", RoyaltyPolicy(), "royalty 80.00 -> 90.00: rate 8 % -> 9 %"),
        (
            "1500",
            "9",
            RoyaltyPolicy(),
            "royalty 80.00 -> 135.00: base 1000.00 -> 1500.00, rate 8 % -> 9 %",
        ),
        (
            "-100",
            "8",
            RoyaltyPolicy(negative_days=NegativeDays.REVERSE),
            (
                "royalty 80.00 -> -8.00: base 1000.00 -> -100.00, policy "
                f"{RoyaltyPolicy().version} -> {RoyaltyPolicy(negative_days=NegativeDays.REVERSE).version}"
            ),
        ),
    ],
    ids=["base", "rate", "base and rate", "policy"],
)
def test_a_re_rating_says_what_changed_from_what_to_what(
    ledger: tuple[PostedEntry, ...], base: str, rate: str, policy: RoyaltyPolicy, says: str
) -> None:
    franchise = replace(ADYAR, rate=Decimal(rate))
    changed = plan(sale(base), franchises=[franchise], posted=ledger, policy=policy, re_rate=True)
    (action,) = changed.writes()
    assert action.reason == says
    # What a person wished for stays, also when a sale comes later.
    ledger = carried_out(changed, ledger)
    assert plan(sale(base), franchises=[ADYAR], posted=ledger, policy=policy).writes() == []


@pytest.mark.parametrize("amount", ["70", "180"])
def test_what_a_person_changed_by_amending_stands_until_somebody_asks_for_the_rule(
    ledger: tuple[PostedEntry, ...], amount: str
) -> None:
    by_person = Decimal(amount) - 80
    ledger = (replace(ledger[0], name="JE-1-1", amount=Decimal(amount), amended=True),)
    for sold, due in (("1000", "80"), ("1500", "120")):
        found = plan(sale(sold), posted=ledger)
        (finding,) = found.findings
        assert (finding.severity, finding.what) == ("warning", "royalty changed by a person")
        assert f"{by_person:.2f}" in finding.message
        (action,) = found.actions
        assert (action.royalty.by_person, action.royalty.amount) == (by_person, Decimal(due) + by_person)
        ledger = carried_out(found, ledger)
    assert [one.amount for one in ledger] == [Decimal(amount), Decimal("40.00")]
    back = plan(sale("1500"), posted=ledger, re_rate=True)
    (action,) = back.writes()
    assert action.amount == -by_person
    assert action.reason.endswith("without what was changed in ERPNext")
    ledger = carried_out(back, ledger)
    for re_rate in (False, True):
        settled = plan(sale("1500"), posted=ledger, re_rate=re_rate)
        assert (settled.writes(), settled.findings, settled.due) == ([], (), Decimal(120))


def test_an_amount_that_differs_though_nobody_amended_the_entry_is_put_right(
    ledger: tuple[PostedEntry, ...],
) -> None:
    (action,) = plan(sale("1000"), posted=[replace(ledger[0], amount=Decimal(70))]).writes()
    assert action.amount == 10


def test_a_cancelled_adjustment_is_no_change_by_a_person(ledger: tuple[PostedEntry, ...]) -> None:
    amended = (replace(ledger[0], amount=Decimal(90), amended=True),)
    ledger = carried_out(plan(sale("1500"), posted=amended), amended)
    cancelled = (ledger[0], replace(ledger[1], docstatus=2, amount=NOTHING))
    refused = plan(sale("1500"), posted=cancelled)
    assert [one.kind for one in refused.actions] == ["refuse"]


def test_a_second_adjustment_says_what_changed_since_the_first(ledger: tuple[PostedEntry, ...]) -> None:
    ledger = carried_out(plan(sale("1500"), posted=ledger), ledger)
    (action,) = plan(sale("1400"), posted=ledger).writes()
    assert action.reason == "royalty 120.00 -> 112.00: base 1500.00 -> 1400.00"
    assert action.adjusts == "JE-1"


# -- whatever happens -----------------------------------------------------------------------------------------------

NAMES = ("Adyar", "Bandra", "Colaba")
AMOUNT = st.decimals(min_value=-50_000, max_value=100_000, places=2)
POLICIES = (
    RoyaltyPolicy(),
    RoyaltyPolicy(default_rate=Decimal("6.5")),
    RoyaltyPolicy(negative_days=NegativeDays.REVERSE),
)


@st.composite
def facts(draw: st.DrawFn) -> dict[str, tuple[bool, Decimal, bool, list[Decimal]]]:
    """For each customer: whether it is a franchise, its rate, whether it is exempt, and its invoices."""
    rate = st.decimals(0, 100, places=2)
    return {
        name: (
            draw(st.booleans()),
            draw(rate),
            draw(st.booleans()) and draw(st.booleans()),
            draw(st.lists(AMOUNT, max_size=4)),
        )
        for name in NAMES
    }


def of_facts(
    found: dict[str, tuple[bool, Decimal, bool, list[Decimal]]],
    policy: RoyaltyPolicy,
    posted: Sequence[PostedEntry],
    *,
    re_rate: bool = False,
) -> RoyaltyPlan:
    franchises = [
        Franchise(name, name, rate, exempt) for name, (is_one, rate, exempt, _) in found.items() if is_one
    ]
    invoices = [
        BaseInvoice(f"{name}-{number}", name, amount)
        for name, (*_, amounts) in found.items()
        for number, amount in enumerate(amounts)
    ]
    former = [
        FormerFranchise(name, name, "the customer is disabled")
        for name in NAMES
        if not found[name][0] and any(one.customer == name for one in posted)
    ]
    return plan_of_day(
        *invoices, franchises=franchises, posted=posted, former=former, policy=policy, re_rate=re_rate
    )


@given(st.lists(st.tuples(facts(), st.sampled_from(POLICIES), st.booleans()), min_size=1, max_size=6))
def test_after_any_changes_one_plan_settles_the_day_and_only_sales_or_a_person_move_posted_money(
    history: list[tuple[dict[str, tuple[bool, Decimal, bool, list[Decimal]]], RoyaltyPolicy, bool]],
) -> None:
    posted: tuple[PostedEntry, ...] = ()
    terms: dict[str, tuple[Decimal, NegativeDays]] = {}
    """By what each was posted, or re-rated since; kept by hand, beside the entries."""
    for found, policy, re_rate in history:
        before = {
            name: sum((one.amount for one in posted if one.customer == name), NOTHING) for name in NAMES
        }
        now = of_facts(found, policy, posted, re_rate=re_rate)
        assert all(one.severity == "warning" for one in [*now.findings, *now.notes])
        assert all(one.amount for one in now.writes())
        assert len({one.royalty.customer for one in now.writes()}) == len(now.writes())
        first = {one.customer: one.name for one in reversed(posted)}
        for action in now.writes():
            assert action.adjusts == first.get(action.royalty.customer, "")
            assert action.reason
        written = {one.royalty.customer for one in now.writes()}
        posted = carried_out(now, posted)
        assert len({one.key for one in posted}) == len(posted)
        after = {name: sum((one.amount for one in posted if one.customer == name), NOTHING) for name in NAMES}
        assert {one.royalty.customer: one.royalty.amount for one in now.actions} == {
            one.royalty.customer: after[one.royalty.customer] for one in now.actions
        }
        for name, (is_one, rate, exempt, amounts) in found.items():
            todays = (NOTHING if exempt or not is_one else rate or policy.default_rate, policy.negative_days)
            rate_then, negative = terms.get(name, todays) if not re_rate else todays
            base = sum(amounts, NOTHING)
            if negative is NegativeDays.SKIP:
                base = max(base, NOTHING)
            owed = (base * rate_then / 100).quantize(Decimal("0.01"), "ROUND_HALF_UP")
            follows = re_rate or (is_one and negative is policy.negative_days)
            assert after[name] == (owed if follows else before[name])
            if name in written and (re_rate or name not in terms):
                terms[name] = todays
        again = of_facts(found, policy, posted)
        if {one.royalty.customer for one in again.writes()} - written and re_rate:
            return  # today's terms gave by chance what other terms had given for other sales: no entry carries them
        assert again.writes() == []
        assert again.unsettled() is None
        assert again.due == now.due


def test_a_name_that_was_a_renamed_customer_s_gets_a_key_that_is_free() -> None:
    """Adyar was renamed to Besant after its royalty was posted, and a new customer is called Adyar now."""
    posted = PostedEntry("JE-1", royalty_key(COMPANY, DAY, "Adyar", 0), 1, Decimal("80.00"), "", "Besant")
    besant = Franchise("Besant", "Franchise Besant", Decimal(8))
    found = plan(
        sale("1000", "Besant", "SINV-1"),
        sale("100", "Adyar", "SINV-2"),
        franchises=(ADYAR, besant),
        posted=(posted,),
    )
    (action,) = found.writes()
    assert (action.kind, action.royalty.customer, action.amount) == ("create", "Adyar", Decimal("8.00"))
    assert action.key == royalty_key(COMPANY, DAY, "Adyar", 1)
