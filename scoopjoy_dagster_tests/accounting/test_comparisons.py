"""The comparisons behind the control totals: equal figures pass, one that is off by a paisa or a name does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.comparisons import (
    USUAL_WEEKDAYS,
    BookedRow,
    CustomerSales,
    ShiftFigures,
    debit_equals_credit,
    franchises_not_fallen,
    franchises_sold,
    headquarters_equals_ours,
    invoices_counted_and_summed,
    outlets_opened,
    shares_equal_royalties,
    shifts_closed,
    usual_day,
)
from scoopjoy_dagster.accounting.figures import DayFigures, FranchiseFigures
from scoopjoy_dagster.accounting.keys import royalty_key
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import (
    SUBMITTED,
    Action,
    BaseInvoice,
    PostedEntry,
    Royalty,
    RoyaltyPlan,
)
from scoopjoy_dagster.accounting.shifts import Opening, TillSale, UnbookedSales

DAY = date(2026, 11, 22)
PAISA = Decimal("0.01")
NAMES = [f"Outlet {letter}" for letter in "ABCDEFGH"]
MONEY = st.decimals(-(10**7), 10**7, places=2)
POSITIVE = st.decimals("0.01", 10**7, places=2)


def paise(*amounts: Decimal) -> Decimal:
    return sum(amounts, Decimal(0))


# -- shifts -------------------------------------------------------------------------------------------------------


def opening(number: int, status: str = "Closed") -> Opening:
    return Opening(f"OPE-{number}", "ScoopJoy", f"POS {number}", "asha", datetime(2026, 11, 22, 10), status)


SHIFTS = st.lists(st.tuples(st.sampled_from(["Closed", "Open"]), st.integers(0, 3)), max_size=8)


def unbooked(number: int, *, in_a_shift: bool) -> UnbookedSales:
    at = datetime(2026, 11, 22, 12)
    sale = TillSale(f"LOST-{number}", "POS 1", "asha", at, Decimal(50), Decimal(50), Decimal(1))
    shift = opening(1) if in_a_shift else None
    return UnbookedSales("POS 1", "asha", at.date(), shift, (sale,), at.date())


@given(SHIFTS, st.integers(0, 2), st.integers(0, 3), st.integers(0, 3), st.lists(st.booleans(), max_size=3))
def test_shifts_are_closed_when_each_is_closed_by_one_closing_and_nothing_of_it_is_left_out(
    shifts: list[tuple[str, int]], unread: int, lost: int, waiting: int, in_shifts: list[bool]
) -> None:
    verdict = shifts_closed(
        ShiftFigures(
            [opening(number, status) for number, (status, _) in enumerate(shifts)],
            {"POS": len(shifts) + unread},
            [],
            {
                f"OPE-{number}": [f"CLO-{number}-{one}" for one in range(closings)]
                for number, (_, closings) in enumerate(shifts)
                if closings
            },
            {f"INV-{one}": "CLO-0-0" for one in range(lost)},
            [f"WAIT-{one}" for one in range(waiting)],
            [unbooked(number, in_a_shift=inside) for number, inside in enumerate(in_shifts)],
        )
    )
    right = [shift for shift in shifts if shift == ("Closed", 1)]
    assert verdict.expected == len(shifts) + unread
    assert verdict.actual == len(right)
    # Sales of a till without a shift, and those that wait for another day's, are listed and fail nothing.
    assert verdict.ok == (len(right) == len(shifts) and not unread and not lost and not any(in_shifts))
    assert (verdict.figures["sales_in_no_closing"] == "none") == (not in_shifts)
    assert (verdict.figures["invoices_of_open_shifts"] == "none") == (not waiting)
    assert verdict.ok or verdict.worst


# -- counted and summed -------------------------------------------------------------------------------------------


def plan_of(invoices: Mapping[str, list[Decimal]]) -> RoyaltyPlan:
    actions = []
    for customer, bases in invoices.items():
        rows = tuple(BaseInvoice(f"{customer}-{n}", customer, base) for n, base in enumerate(bases))
        royalty = Royalty(customer, customer, rows, paise(*bases), Decimal(5), Decimal(0), "standard-1")
        actions.append(Action("skip", royalty, Decimal(0), "why"))
    return RoyaltyPlan("ScoopJoy", DAY, RoyaltyPolicy(), tuple(actions), ())


INVOICES = st.dictionaries(st.sampled_from(NAMES), st.lists(MONEY, min_size=1, max_size=4), max_size=6)


def counts(invoices: Mapping[str, list[Decimal]]) -> dict[str, CustomerSales]:
    return {
        customer: CustomerSales(len(bases), paise(*bases), paise(*bases))
        for customer, bases in invoices.items()
    }


@given(INVOICES, INVOICES)
def test_rows_are_complete_exactly_when_the_server_counts_and_sums_the_same_for_every_franchise(
    shown: dict[str, list[Decimal]], held: dict[str, list[Decimal]]
) -> None:
    verdict = invoices_counted_and_summed(
        plan_of(shown), counts(held), {one: one for one in held.keys() - shown.keys()}
    )
    assert verdict.ok == (counts(shown) == counts(held))
    assert verdict.actual == paise(*(base for bases in shown.values() for base in bases))
    assert verdict.expected == paise(*(base for bases in held.values() for base in bases))
    assert verdict.figures["invoices_expected"] == str(sum(map(len, held.values())))


def test_an_invoice_of_nothing_is_missed_though_the_sums_are_equal() -> None:
    verdict = invoices_counted_and_summed(
        plan_of({"A": [Decimal(5)]}), counts({"A": [Decimal(5), Decimal(0)]}), {}
    )
    assert not verdict.ok
    assert verdict.difference == 0
    assert verdict.texts()["worst_five"] == "A: 1 invoices, 5.00; ERPNext counts 2, 5.00"


@given(INVOICES)
def test_customers_that_are_no_franchise_do_not_count(held: dict[str, list[Decimal]]) -> None:
    counted = {**counts(held), "Walk-in": CustomerSales(9, Decimal(1), Decimal(1))}
    assert invoices_counted_and_summed(plan_of(held), counted, {}).ok


# -- debit and credit ---------------------------------------------------------------------------------------------

DEBTORS, INCOME = "Debtors - SJ", "Royalty Income - SJ"
ENTRIES = st.dictionaries(
    st.sampled_from(NAMES), MONEY.filter(lambda amount: amount != 0), min_size=1, max_size=6
)


def rows_of(amounts: Mapping[str, Decimal]) -> list[BookedRow]:
    return [
        row
        for name, amount in amounts.items()
        for row in (BookedRow(name, DEBTORS, f"Party {name}", amount), BookedRow(name, INCOME, "", -amount))
    ]


def judged(amounts: Mapping[str, Decimal], journal: list[BookedRow], ledger: list[BookedRow]):
    return debit_equals_credit(
        paise(*amounts.values()),
        amounts,
        journal,
        ledger,
        receivable=frozenset({DEBTORS}),
        income=frozenset({INCOME}),
    )


@given(ENTRIES)
def test_entries_that_are_booked_as_they_are_written_pass(amounts: dict[str, Decimal]) -> None:
    verdict = judged(amounts, rows_of(amounts), rows_of(amounts))
    assert verdict.ok
    assert verdict.expected == verdict.actual
    assert verdict.worst == ()


@given(ENTRIES, st.data())
def test_any_ledger_row_that_is_changed_fails_and_names_its_entry(
    amounts: dict[str, Decimal], data: st.DataObject
) -> None:
    ledger = rows_of(amounts)
    index = data.draw(st.integers(0, len(ledger) - 1))
    row = ledger[index]
    changed = data.draw(
        st.sampled_from(
            [
                replace(row, amount=row.amount + PAISA),
                replace(row, account="Cash - SJ"),
                replace(row, party="Party of nobody"),
                replace(row, entry="JV-0"),
            ]
        )
    )
    ledger[index] = changed
    verdict = judged(amounts, rows_of(amounts), ledger)
    assert not verdict.ok
    assert row.entry in {one.who for one in verdict.worst}


@given(ENTRIES)
def test_rows_of_one_account_may_be_split_in_the_ledger(amounts: dict[str, Decimal]) -> None:
    halves = [
        part
        for row in rows_of(amounts)
        for part in (replace(row, amount=row.amount - PAISA), replace(row, amount=PAISA))
    ]
    assert judged(amounts, rows_of(amounts), halves).ok


@given(ENTRIES)
def test_an_account_of_another_kind_fails_though_entry_and_ledger_agree(amounts: dict[str, Decimal]) -> None:
    elsewhere = [replace(row, account="Cash - SJ") if not row.party else row for row in rows_of(amounts)]
    verdict = judged(amounts, elsewhere, elsewhere)
    assert not verdict.ok
    assert verdict.figures["income_credit"] == "0.00"


@given(ENTRIES, POSITIVE)
def test_entries_that_are_consistent_but_not_what_the_rule_says_fail(
    amounts: dict[str, Decimal], more: Decimal
) -> None:
    rows = rows_of(amounts)
    due = paise(*amounts.values()) + more
    verdict = debit_equals_credit(
        due, amounts, rows, rows, receivable=frozenset({DEBTORS}), income=frozenset({INCOME})
    )
    assert not verdict.ok
    assert verdict.difference == -more


# -- what only warns ----------------------------------------------------------------------------------------------

SOME = st.sets(st.sampled_from(NAMES))


@given(SOME, SOME, SOME)
def test_every_franchise_that_sold_in_the_week_before_is_expected_and_only_these(
    franchises: set[str], before: set[str], now: set[str]
) -> None:
    verdict = franchises_sold({one: one for one in franchises}, before, now)
    missing = (before & franchises) - now
    assert verdict.ok == (not missing)
    assert (verdict.expected, verdict.difference) == (len(before & franchises), -len(missing))
    assert verdict.figures["missing"] == (", ".join(sorted(missing)) or "none")


@given(SOME, SOME)
def test_every_till_with_a_shift_in_the_week_before_is_expected_and_only_these(
    before: set[str], now: set[str]
) -> None:
    verdict = outlets_opened(ShiftFigures([], dict.fromkeys(now, 1), before, {}, {}, [], []))
    assert verdict.ok == (before <= now)
    assert (verdict.expected, verdict.actual) == (len(before), len(before & now))
    assert verdict.figures["missing"] == (", ".join(sorted(before - now)) or "none")


@given(SOME, SOME)
def test_a_customer_with_entries_that_is_no_franchise_now_has_fallen(now: set[str], before: set[str]) -> None:
    # MariaDB does not tell these apart.
    verdict = franchises_not_fallen({one.upper(): one for one in now}, {f"{one} " for one in before})
    assert verdict.ok == (before <= now)
    assert verdict.expected == len(before)
    assert verdict.actual == len(before & now)
    assert verdict.figures["franchises_now"] == str(len(now))


HISTORY = st.lists(st.none() | st.dictionaries(st.sampled_from(NAMES), POSITIVE, max_size=4), max_size=8)


@given(st.dictionaries(st.sampled_from(NAMES), MONEY, max_size=4), HISTORY)
def test_a_day_is_usual_when_it_is_within_half_of_the_mean_of_the_last_four_days_with_sales(
    sales: dict[str, Decimal], history: list[dict[str, Decimal] | None]
) -> None:
    before = {DAY - timedelta(weeks=n): of for n, of in enumerate(history, start=1) if of is not None}
    verdict = usual_day({one: one for one in NAMES}, sales, before)
    with_sales = [of for _, of in sorted(before.items(), reverse=True) if of][:USUAL_WEEKDAYS]
    assert verdict.actual == paise(*sales.values())
    if not with_sales:
        assert verdict.ok
        assert verdict.expected is None
        return
    exact_mean = paise(*(amount for of in with_sales for amount in of.values())) / len(with_sales)
    assert verdict.expected is not None
    assert abs(verdict.expected - exact_mean) <= PAISA / 2
    distance = abs(paise(*sales.values()) - exact_mean)
    assume(abs(distance - exact_mean / 2) > PAISA)  # the mean is rounded to the paisa
    assert verdict.ok == (distance < exact_mean / 2)


def test_customers_that_are_no_franchise_have_no_part_in_a_usual_day() -> None:
    before = {DAY - timedelta(weeks=1): {"A": Decimal(100), "Walk-in": Decimal(9999)}}
    verdict = usual_day({"A": "A"}, {"A": Decimal(100), "Walk-in": Decimal(5)}, before)
    assert (verdict.ok, verdict.expected, verdict.actual) == (True, Decimal(100), Decimal(100))


# -- what was told ------------------------------------------------------------------------------------------------


def entry(customer: str, revision: int, amount: Decimal, docstatus: int = SUBMITTED) -> PostedEntry:
    key = royalty_key("ScoopJoy", DAY, customer, revision)
    return PostedEntry(f"JV {customer} {revision}", key, docstatus, amount, customer=customer)


def owing(owed: Mapping[str, Sequence[Decimal]], by_person: Decimal = Decimal(0)) -> RoyaltyPlan:
    """A settled day of these entries; what a person added is part of each first one's amount."""
    actions = [
        Action(
            "adopt",
            Royalty(name, name, (), Decimal(0), Decimal(5), paise(*amounts), "p", by_person=by_person),
            Decimal(0),
            "",
            entries=tuple(entry(name, number, amount) for number, amount in enumerate(amounts)),
        )
        for name, amounts in owed.items()
    ]
    return RoyaltyPlan("ScoopJoy", DAY, RoyaltyPolicy(), tuple(actions), ())


@given(
    st.dictionaries(st.sampled_from(NAMES), st.lists(MONEY, min_size=1, max_size=3), min_size=1),
    MONEY,
    st.data(),
)
def test_shares_are_right_when_those_of_each_franchise_add_up_to_its_entries_less_what_persons_added(
    owed: dict[str, list[Decimal]], by_person: Decimal, data: st.DataObject
) -> None:
    plan = owing(owed, by_person)
    shares = {f"JV {name} 0": paise(*amounts) - by_person for name, amounts in owed.items()}
    assert shares_equal_royalties(plan, shares).ok
    name = data.draw(st.sampled_from(sorted(owed)))
    other = data.draw(st.sampled_from(sorted(owed)))
    shares[f"JV {name} 0"] += PAISA
    shares[f"JV {other} 0"] -= PAISA
    verdict = shares_equal_royalties(plan, shares)
    assert verdict.difference == 0
    assert verdict.ok == (name == other)
    if name != other:
        assert {one.who for one in verdict.worst} == {name, other}


def test_entries_that_carry_no_shares_are_named_and_not_compared() -> None:
    verdict = shares_equal_royalties(
        owing({"A": [Decimal(5), Decimal(2)], "B": [Decimal(9)]}), {"JV A 1": Decimal(7)}
    )
    assert (verdict.ok, verdict.expected, verdict.figures["franchises_without_shares"]) == (
        True,
        Decimal(7),
        "B",
    )


def figures(**royalties: Decimal) -> DayFigures:
    return DayFigures(
        Decimal(1000),
        paise(*royalties.values()),
        Decimal(500),
        3,
        tuple(
            FranchiseFigures(one, f"Franchise {one}", 2, Decimal(100), Decimal(5), amount)
            for one, amount in royalties.items()
        ),
    )


def test_headquarters_that_acknowledged_the_very_totals_is_right() -> None:
    ours = figures(a=Decimal(5), b=Decimal(7))
    verdict = headquarters_equals_ours(ours, ours, revision=2, same=True)
    assert (verdict.ok, verdict.expected, verdict.actual) == (True, Decimal(12), Decimal(12))
    assert verdict.figures == {"revision": "2"}


def test_headquarters_that_acknowledged_nothing_is_wrong_also_about_nothing() -> None:
    assert not headquarters_equals_ours(figures(), None, revision=None, same=False).ok


def test_headquarters_with_other_figures_is_told_who_differs_and_in_what() -> None:
    ours = figures(a=Decimal(5), b=Decimal(7))
    told = replace(figures(a=Decimal(6), c=Decimal(1)), sales=Decimal(900), shifts=2)
    verdict = headquarters_equals_ours(ours, told, revision=0, same=False)
    assert verdict.difference == Decimal(-5)
    assert verdict.texts()["worst_five"] == "Franchise b: -7.00; Franchise a: 1.00; Franchise c: 1.00"
    assert verdict.figures["differs"] == "sales 900.00 -> 1000.00; royalty 7.00 -> 12.00; shifts 2 -> 3"


@pytest.mark.parametrize("kept", [True, False])
def test_another_digest_is_another_statement_though_the_figures_are_equal_or_not_kept(kept: bool) -> None:
    ours = figures(a=Decimal(5))
    verdict = headquarters_equals_ours(ours, ours if kept else None, revision=1, same=False)
    assert not verdict.ok
    assert verdict.actual == (Decimal(5) if kept else None)
