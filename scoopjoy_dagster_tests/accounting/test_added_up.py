"""Invoices added up: the same royalties as from each of them, and what needs each of them says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.comparisons import CustomerSales, invoices_counted_and_summed
from scoopjoy_dagster.accounting.figures import franchise_figures
from scoopjoy_dagster.accounting.keys import royalty_key
from scoopjoy_dagster.accounting.policy import NegativeDays, RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import (
    BaseInvoice,
    FormerFranchise,
    Franchise,
    PostedEntry,
    RoyaltyPlan,
)
from scoopjoy_dagster_tests.accounting.planning import DAY, plan_of_day
from scoopjoy_dagster_tests.accounting.sums import added_up

ADYAR = Franchise("Adyar", "Franchise Adyar", Decimal(8))
BANDRA = Franchise("Bandra", "Franchise Bandra", Decimal(5))
EARLY, LATE = "2026-11-22 10:00:00.000000", "2026-11-22 21:30:00.000000"

ROWS = (
    BaseInvoice("SINV-2", "Adyar", Decimal("600.00"), sales=Decimal("708.00"), currency="INR", newest=LATE),
    BaseInvoice("SINV-1", "Adyar", Decimal("400.50"), sales=Decimal("472.59"), currency="INR", newest=EARLY),
    BaseInvoice("SINV-3", "Bandra", Decimal("10.00"), sales=Decimal("11.80"), currency="INR", newest=EARLY),
)


def plan(
    invoices: Sequence[BaseInvoice], franchises: Sequence[Franchise] = (ADYAR, BANDRA), **more: Any
) -> RoyaltyPlan:
    return plan_of_day(*invoices, franchises=franchises, **more)


def entry(amount: str, customer: str = "Adyar", **more: object) -> PostedEntry:
    told = PostedEntry(
        f"JE-{customer}",
        royalty_key("ScoopJoy", DAY, customer, 0),
        1,
        Decimal(amount),
        customer=customer,
        base=Decimal(1),
        rate=Decimal(8),
        policy=RoyaltyPolicy().version,
    )
    return replace(told, **more)  # type: ignore[arg-type]


def rows_of(*customers: str) -> dict[str, list[BaseInvoice]]:
    return {name: [one for one in ROWS if one.customer == name] for name in customers}


# -- what sums say ------------------------------------------------------------------------------------------------


def test_an_invoice_is_one_and_nothing_more_is_known_of_it_unless_it_is_said() -> None:
    one = BaseInvoice("SINV-1", "Adyar", Decimal(5))
    assert (one.count, one.newest, one.sales, one.currency, one.is_return) == (1, "", Decimal(0), "", False)


def test_a_royalty_of_sums_knows_how_many_invoices_there_are_and_when_the_newest_was_made() -> None:
    adyar, bandra = (action.royalty for action in plan(added_up(ROWS)).actions)
    assert (adyar.invoice_count, adyar.newest_invoice, len(adyar.invoices)) == (2, LATE, 1)
    assert (bandra.invoice_count, bandra.newest_invoice) == (1, EARLY)
    (nothing,) = plan([], franchises=[ADYAR]).actions
    assert (nothing.royalty.invoice_count, nothing.royalty.newest_invoice) == (0, "")


def test_the_sales_of_a_day_are_the_grand_totals_of_all_its_invoices() -> None:
    assert plan(added_up(ROWS)).sales == Decimal("1192.39")
    assert isinstance(plan([]).sales, Decimal)


def test_two_currencies_of_a_customer_are_two_sums_of_one_royalty() -> None:
    foreign = replace(ROWS[0], name="SINV-4", currency="USD", base=Decimal(100), newest="2026-11-22 23:00:00")
    (action, _) = plan(added_up([*ROWS, foreign])).actions
    assert [one.currency for one in action.royalty.invoices] == ["INR", "USD"]
    assert (action.royalty.invoice_count, action.royalty.base) == (3, Decimal("1100.50"))
    assert action.royalty.newest_invoice == "2026-11-22 23:00:00"


MONEY = st.decimals(-100_000, 1_000_000, places=2)
DAYS = st.lists(
    st.builds(
        BaseInvoice,
        name=st.uuids().map(str),
        customer=st.sampled_from(["Adyar", "Bandra", "Walk In"]),
        base=MONEY,
        currency=st.just("INR"),
        sales=MONEY,
        newest=st.sampled_from([EARLY, LATE]),
    ),
    max_size=10,
)


def same(
    invoices: Sequence[BaseInvoice], posted: Sequence[PostedEntry] = ()
) -> tuple[RoyaltyPlan, RoyaltyPlan]:
    """The plans of each and of the sums, without the invoices themselves."""
    policy = RoyaltyPolicy(negative_days=NegativeDays.REVERSE)
    each, sums = (plan(one, posted=posted, policy=policy) for one in (invoices, added_up(invoices)))
    assert [one.royalty.invoice_count for one in each.actions] == [
        one.royalty.invoice_count for one in sums.actions
    ]
    assert [one.royalty.newest_invoice for one in each.actions] == [
        one.royalty.newest_invoice for one in sums.actions
    ]

    def bare(the_plan: RoyaltyPlan) -> RoyaltyPlan:
        actions = (replace(one, royalty=replace(one.royalty, invoices=())) for one in the_plan.actions)
        return replace(the_plan, actions=tuple(actions))

    return bare(each), bare(sums)


@given(DAYS, st.none() | MONEY)
def test_a_plan_of_sums_posts_to_the_paisa_what_a_plan_of_each_invoice_posts(
    invoices: list[BaseInvoice], posted: Decimal | None
) -> None:
    each, sums = same(invoices, [] if posted is None else [entry(f"{posted:f}")])
    assert each == sums


@given(DAYS)
def test_a_plan_with_its_rows_again_is_the_plan_of_the_rows(invoices: list[BaseInvoice]) -> None:
    rows = {name: [one for one in invoices if one.customer == name] for name in ("Adyar", "Bandra")}
    assert plan(added_up(invoices)).with_rows(rows) == plan(invoices)


# -- rows in the place of sums --------------------------------------------------------------------------------------


def test_only_those_whose_rows_are_given_get_them_in_order_of_name() -> None:
    sums = plan(added_up(ROWS))
    adyar, bandra = sums.with_rows(rows_of("Adyar")).actions
    assert [one.name for one in adyar.royalty.invoices] == ["SINV-1", "SINV-2"]
    assert bandra == sums.actions[1]
    assert sums.with_rows({}) == sums
    assert sums.with_rows({"Somebody": list(ROWS)}) == sums


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([ROWS[0]], "1 invoices of 600.00"),
        ([*ROWS[:2], replace(ROWS[0], name="SINV-9", base=Decimal(0))], "3 invoices of 1000.50"),
        ([ROWS[0], replace(ROWS[1], base=Decimal("400.51"))], "2 invoices of 1000.51"),
        ([], "0 invoices of 0.00"),
    ],
    ids=["one less", "one more, of nothing", "another amount", "none"],
)
def test_rows_that_are_not_those_that_were_added_up_are_refused(rows: list[BaseInvoice], found: str) -> None:
    """Else the shares would be of other invoices than the royalty that is posted."""
    said = f"^Franchise Adyar has {found} now, and had 2 of 1000.50 a moment ago$"
    with pytest.raises(ValueError, match=said):
        plan(added_up(ROWS)).with_rows({"Adyar": rows})


def test_a_former_franchise_keeps_its_royalty_and_its_invoices_are_listed() -> None:
    gone = FormerFranchise("Adyar", "Franchise Adyar", "it was disabled")
    made = plan(added_up(ROWS), franchises=[BANDRA], posted=[entry("80.04")], former=[gone])
    assert made.actions[0].royalty.frozen
    detailed = made.with_rows(rows_of("Adyar", "Bandra"))
    royalty = detailed.actions[0].royalty
    assert [one.name for one in royalty.invoices] == ["SINV-1", "SINV-2"]
    assert royalty.amount == Decimal("80.04")
    assert [one.name for one in detailed.actions[1].royalty.invoices] == ["SINV-3"]


# -- who counts invoices --------------------------------------------------------------------------------------------


def test_the_figures_of_a_day_count_each_of_the_invoices_that_were_added_up() -> None:
    sums = plan(added_up(ROWS))
    assert [franchise_figures(one).invoices for one in sums.actions] == [2, 1]
    assert [franchise_figures(one) for one in sums.actions] == [
        franchise_figures(one) for one in plan(ROWS).actions
    ]


def test_the_control_total_of_counted_invoices_is_the_same_for_sums_and_for_rows() -> None:
    by_server = {
        "Adyar": CustomerSales(2, Decimal("1000.50"), Decimal("1180.59")),
        "Bandra": CustomerSales(2, Decimal("10.00"), Decimal("11.80")),
    }
    sums, each = (invoices_counted_and_summed(plan(one), by_server, {}) for one in (added_up(ROWS), ROWS))
    assert sums == each
    assert not sums.ok
    assert sums.worst[0].said == "1 invoices, 10.00; ERPNext counts 2, 10.00"
