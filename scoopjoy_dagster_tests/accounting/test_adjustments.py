"""What is posted is followed by signed differences with a reason, whoever changed what; and it settles at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.keys import royalty_key
from scoopjoy_dagster.accounting.policy import FormerFranchises, NegativeDays, RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import (
    BaseInvoice,
    FormerFranchise,
    Franchise,
    PostedEntry,
    RoyaltyPlan,
    plan_royalties,
    with_named_invoices,
)

COMPANY = "ScoopJoy"
DAY = date(2026, 11, 22)
NOTHING = Decimal(0)
ADYAR = Franchise("Adyar", "Franchise Adyar", Decimal(8))
BANDRA = Franchise("Bandra", "Franchise Bandra", Decimal(5))
MOVED = FormerFranchise("Adyar", "Franchise Adyar", "the customer is in the group Commercial now")
KEEP = RoyaltyPolicy(former_franchises=FormerFranchises.KEEP)


def sale(amount: str, customer: str = "Adyar", name: str = "SINV-1") -> BaseInvoice:
    return BaseInvoice(name, customer, Decimal(amount), Decimal(amount) < 0, "INR", Decimal(amount))


def plan(
    *invoices: BaseInvoice,
    franchises: Sequence[Franchise] = (ADYAR,),
    posted: Sequence[PostedEntry] = (),
    former: Sequence[FormerFranchise] = (),
    policy: RoyaltyPolicy | None = None,
) -> RoyaltyPlan:
    return plan_royalties(
        company=COMPANY,
        day=DAY,
        policy=policy or RoyaltyPolicy(),
        franchises=franchises,
        invoices=invoices,
        posted=posted,
        former=former,
    )


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
                base=action.royalty.base,
                rate=action.royalty.rate,
                policy=action.royalty.policy_version,
                posting_date=DAY,
                reason=action.reason,
            )
            for number, action in enumerate(done.writes(), len(before) + 1)
        ),
    )


@pytest.fixture
def ledger() -> tuple[PostedEntry, ...]:
    """80.00 are posted for Adyar: 8 % of 1000.00."""
    return carried_out(plan(sale("1000")))


# -- former franchises --------------------------------------------------------------------------------------------


def test_a_former_franchise_s_royalty_is_taken_back_by_one_signed_adjustment_and_a_re_run_adopts(
    ledger: tuple[PostedEntry, ...],
) -> None:
    gone = plan(posted=ledger, former=[MOVED], franchises=())
    (action,) = gone.writes()
    assert (action.kind, action.amount, action.adjusts) == ("adjust", Decimal("-80.00"), "JE-1")
    assert action.key == royalty_key(COMPANY, DAY, "Adyar", 1)
    assert action.reason == "royalty 80.00 -> 0.00: the customer is in the group Commercial now"
    (finding,) = gone.findings
    assert (finding.severity, finding.what, finding.who) == (
        "warning",
        "former franchise",
        "Franchise Adyar",
    )
    assert "80.00" in finding.message
    assert "JE-1" in finding.message

    after = carried_out(gone, ledger)
    again = plan(posted=after, former=[MOVED], franchises=())
    assert [one.kind for one in again.actions] == ["adopt"]
    assert again.findings == ()
    assert again.unsettled() is None


def test_by_policy_a_former_franchise_keeps_what_is_posted_and_it_is_said_each_time(
    ledger: tuple[PostedEntry, ...],
) -> None:
    kept = plan(posted=ledger, former=[MOVED], franchises=(), policy=KEEP)
    (action,) = kept.actions
    assert (action.kind, action.amount, action.royalty.amount) == ("adopt", NOTHING, Decimal("80.00"))
    assert action.royalty.kept
    assert kept.unsettled() is None
    assert kept.due == Decimal("80.00")
    (finding,) = kept.findings
    assert (finding.severity, finding.what) == ("warning", "former franchise")


def test_what_was_taken_back_from_a_former_franchise_is_posted_again_when_it_returns(
    ledger: tuple[PostedEntry, ...],
) -> None:
    ledger = carried_out(plan(posted=ledger, former=[MOVED], franchises=()), ledger)
    back = plan(sale("1000"), posted=ledger)
    (action,) = back.writes()
    assert (action.kind, action.amount, action.adjusts) == ("adjust", Decimal("80.00"), "JE-1")
    assert action.key == royalty_key(COMPANY, DAY, "Adyar", 2)


def test_a_former_franchise_whose_royalty_is_nothing_already_is_left_alone_by_either_policy(
    ledger: tuple[PostedEntry, ...],
) -> None:
    ledger = carried_out(plan(posted=ledger, former=[MOVED], franchises=()), ledger)
    for policy in (RoyaltyPolicy(), KEEP):
        (action,) = plan(posted=ledger, former=[MOVED], franchises=(), policy=policy).actions
        assert (action.kind, action.royalty.amount, action.royalty.kept) == ("adopt", NOTHING, False)


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
def test_an_adjustment_says_what_changed_from_what_to_what(
    ledger: tuple[PostedEntry, ...], base: str, rate: str, policy: RoyaltyPolicy, says: str
) -> None:
    changed = plan(sale(base), franchises=[replace(ADYAR, rate=Decimal(rate))], posted=ledger, policy=policy)
    (action,) = changed.writes()
    assert action.reason == says


def test_an_entry_that_a_person_amended_is_the_reason_when_nothing_else_changed(
    ledger: tuple[PostedEntry, ...],
) -> None:
    amended = replace(ledger[0], name="JE-1-1", amount=Decimal("70.00"))
    (action,) = plan(sale("1000"), posted=[amended]).writes()
    assert action.reason == "royalty 70.00 -> 80.00: an entry was changed by a person"


def test_a_second_adjustment_says_what_changed_since_the_first(ledger: tuple[PostedEntry, ...]) -> None:
    ledger = carried_out(plan(sale("1500"), posted=ledger), ledger)
    (action,) = plan(sale("1400"), posted=ledger).writes()
    assert action.reason == "royalty 120.00 -> 112.00: base 1500.00 -> 1400.00"
    assert action.adjusts == "JE-1"


def named(before: Mapping[str, Sequence[str]], now: Sequence[str], posted: Sequence[PostedEntry]) -> str:
    changed = plan(*(sale("700", name=name) for name in now), posted=posted)
    (action,) = with_named_invoices(changed, before).writes()
    return action.reason


def test_an_adjustment_names_the_invoices_that_came_and_went(ledger: tuple[PostedEntry, ...]) -> None:
    reason = named({"JE-1": ["SINV-1", "SINV-2"]}, ["SINV-2", "SINV-4", "SINV-3"], ledger)
    assert reason.endswith("; SINV-3, SINV-4 added; SINV-1 cancelled or no longer of this day")


def test_many_invoices_are_counted_instead_of_named(ledger: tuple[PostedEntry, ...]) -> None:
    reason = named({"JE-1": ["N1"]}, [f"N{number}" for number in range(1, 10)], ledger)
    assert reason.endswith("; N2, N3, N4, N5, N6 and 3 more added")


@pytest.mark.parametrize("before", [{}, {"JE-1": []}, {"JE-7": ["SINV-1"]}])
def test_where_the_day_was_never_annotated_no_invoice_is_called_new(
    ledger: tuple[PostedEntry, ...], before: Mapping[str, Sequence[str]]
) -> None:
    assert "added" not in named(before, ["SINV-8"], ledger)


def test_only_adjustments_get_names_and_no_amount_changes() -> None:
    first = plan(sale("1000"))
    assert with_named_invoices(first, {"": ["SINV-0"]}) == first


# -- whatever happens -----------------------------------------------------------------------------------------------

NAMES = ("Adyar", "Bandra", "Colaba")
AMOUNT = st.decimals(min_value=-50_000, max_value=100_000, places=2)
POLICIES = (
    RoyaltyPolicy(),
    KEEP,
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
) -> RoyaltyPlan:
    franchises = [
        Franchise(name, name, rate, exempt) for name, (is_one, rate, exempt, _) in found.items() if is_one
    ]
    invoices = [
        BaseInvoice(f"{name}-{number}", name, amount)
        for name, (is_one, *_, amounts) in found.items()
        for number, amount in enumerate(amounts)
        if is_one
    ]
    former = [
        FormerFranchise(name, name, "the customer is disabled")
        for name in NAMES
        if not found[name][0] and any(one.customer == name for one in posted)
    ]
    return plan_royalties(
        company=COMPANY,
        day=DAY,
        policy=policy,
        franchises=franchises,
        invoices=invoices,
        posted=posted,
        former=former,
    )


@given(st.lists(st.tuples(facts(), st.sampled_from(POLICIES)), min_size=1, max_size=6))
def test_after_any_changes_one_plan_settles_the_day_and_the_next_has_no_writes(
    history: list[tuple[dict[str, tuple[bool, Decimal, bool, list[Decimal]]], RoyaltyPolicy]],
) -> None:
    posted: tuple[PostedEntry, ...] = ()
    for found, policy in history:
        before = {
            name: sum((one.amount for one in posted if one.customer == name), NOTHING) for name in NAMES
        }
        now = of_facts(found, policy, posted)
        assert all(one.severity == "warning" for one in now.findings)
        assert all(one.amount for one in now.writes())
        assert len({one.royalty.customer for one in now.writes()}) == len(now.writes())
        first = {one.customer: one.name for one in reversed(posted)}
        for action in now.writes():
            assert action.adjusts == first.get(action.royalty.customer, "")
            assert action.reason
        posted = carried_out(now, posted)
        assert len({one.key for one in posted}) == len(posted)
        for action in now.actions:
            name = action.royalty.customer
            assert (
                sum((one.amount for one in posted if one.customer == name), NOTHING) == action.royalty.amount
            )
        for name in set(NAMES) - {one.royalty.customer for one in now.actions}:
            assert before[name] == 0
        for name, (is_one, rate, exempt, amounts) in found.items():
            if not is_one and policy.former_franchises is FormerFranchises.KEEP:
                owed = before[name]
            elif not is_one or exempt:
                owed = NOTHING
            else:
                base = sum(amounts, NOTHING)
                if policy.negative_days is NegativeDays.SKIP:
                    base = max(base, NOTHING)
                owed = (base * (rate or policy.default_rate) / 100).quantize(Decimal("0.01"), "ROUND_HALF_UP")
            assert sum((one.amount for one in posted if one.customer == name), NOTHING) == owed
        again = of_facts(found, policy, posted)
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


def test_an_adjustment_names_a_cancelled_invoice_once_and_not_in_every_later_one() -> None:
    first = plan(sale("1000"), sale("500", name="SINV-2"))
    ledger = carried_out(first)
    annotated = {"JE-1": ["SINV-1", "SINV-2"]}
    second = with_named_invoices(plan(sale("1000"), posted=ledger), annotated)
    assert second.writes()[0].reason.endswith("SINV-2 cancelled or no longer of this day")
    ledger = carried_out(second, ledger)
    third = with_named_invoices(plan(sale("1000"), sale("70", name="SINV-3"), posted=ledger), annotated)
    assert third.writes()[0].reason.endswith("SINV-3 added")
    assert "SINV-2" not in third.writes()[0].reason
