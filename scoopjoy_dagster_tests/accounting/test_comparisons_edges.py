"""The control totals at the edges: every verdict whole, as it is shown, and who is named in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from scoopjoy_dagster.accounting.comparisons import (
    BookedRow,
    CustomerSales,
    ShiftFigures,
    debit_equals_credit,
    franchises_not_fallen,
    franchises_sold,
    headquarters_equals_ours,
    invoices_counted_and_summed,
    shifts_closed,
    usual_day,
)
from scoopjoy_dagster.accounting.figures import DayFigures, FranchiseFigures
from scoopjoy_dagster.accounting.keys import royalty_key
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import Action, BaseInvoice, PostedEntry, Royalty, RoyaltyPlan
from scoopjoy_dagster.accounting.shifts import Opening, TillSale, UnbookedSales
from scoopjoy_dagster.accounting.totals import Difference, Verdict

DAY = date(2026, 11, 22)
HOLDS, FAILS = True, False
ONE = Decimal(1)


# -- shifts -------------------------------------------------------------------------------------------------------


def opening(number: int, status: str = "Closed") -> Opening:
    return Opening(f"OPE-{number}", "ScoopJoy", "POS Bandra", "asha", datetime(2026, 11, 22, 10), status)


def label(number: int) -> str:
    return f"OPE-{number} (POS Bandra, asha)"


def test_every_way_in_which_a_shift_is_not_closed_is_told() -> None:
    figures = ShiftFigures(
        [opening(1), opening(2, "Open"), opening(3), opening(4, "Open"), opening(5)],
        {"POS Bandra": 5},
        [],
        {"OPE-1": ["CLO-1"], "OPE-3": ["CLO-4", "CLO-3"], "OPE-4": ["CLO-5"]},
        {},
        [],
        [],
    )
    assert shifts_closed(figures) == Verdict(
        FAILS,
        Decimal(5),
        Decimal(1),
        "1 of 5 shifts have exactly one submitted closing; 0 of their sales are not booked; 0 sales of the day are in no closing of it.",
        (
            Difference(label(2), -ONE, "Open, no submitted closing"),
            Difference(label(3), -ONE, "2 submitted closings: CLO-3, CLO-4"),
            Difference(label(4), -ONE, "Open in spite of CLO-5"),
            Difference(label(5), -ONE, "Closed, no submitted closing"),
        ),
        {"not_consolidated": "none", "sales_in_no_closing": "none", "invoices_of_open_shifts": "none"},
        "count",
    )


def test_shifts_that_the_list_does_not_show_and_invoices_that_nothing_consolidated_fail_the_day() -> None:
    at = datetime(2026, 11, 22, 12)
    lost = tuple(
        TillSale(name, "POS Bandra", "asha", at, Decimal(50), Decimal(50), ONE) for name in ("P", "O")
    )
    in_a_shift = UnbookedSales(
        "POS Bandra", "asha", at.date(), shift=opening(1), sales=lost, first_sold=at.date()
    )
    figures = ShiftFigures(
        [opening(1)],
        {"POS Bandra": 1, "POS Thane": 2},
        [],
        {"OPE-1": ["CLO-1"]},
        {"PSINV-2": "CLO-1", "PSINV-1": "CLO-1"},
        ["W"],
        [in_a_shift],
    )
    assert shifts_closed(figures) == Verdict(
        FAILS,
        Decimal(3),
        Decimal(1),
        "1 of 3 shifts have exactly one submitted closing; 2 of their sales are not booked; 3 sales of the day are in no closing of it.",
        (
            Difference("2026-11-22 (POS Bandra, asha)", Decimal(-2), "2 sales of 100.00 are in no closing"),
            Difference("shifts that the list does not show", Decimal(-2)),
            Difference("PSINV-1", -ONE, "in CLO-1 and not consolidated"),
            Difference("PSINV-2", -ONE, "in CLO-1 and not consolidated"),
        ),
        {
            "not_consolidated": "PSINV-1, PSINV-2",
            "sales_in_no_closing": "O, P",
            "invoices_of_open_shifts": "W",
        },
        "count",
    )
    assert not shifts_closed(replace(figures, not_consolidated={})).ok
    assert not shifts_closed(replace(figures, counted={"POS Bandra": 1})).ok
    assert not shifts_closed(replace(figures, counted={"POS Bandra": 1}, not_consolidated={})).ok
    no_shift = replace(in_a_shift, shift=None)
    right = shifts_closed(
        replace(figures, counted={"POS Bandra": 1}, not_consolidated={}, unbooked=[no_shift])
    )
    assert (right.ok, right.worst) == (True, ())


# -- counted and summed -------------------------------------------------------------------------------------------


def plan_of(invoices: Mapping[str, list[str]]) -> RoyaltyPlan:
    actions = []
    for customer, bases in invoices.items():
        rows = tuple(BaseInvoice(f"{customer}-{n}", customer, Decimal(base)) for n, base in enumerate(bases))
        base = sum((one.base for one in rows), Decimal(0))
        royalty = Royalty(customer, f"Franchise {customer}", rows, base, Decimal(5), Decimal(0), "standard-1")
        actions.append(Action("skip", royalty, Decimal(0), "why"))
    return RoyaltyPlan("ScoopJoy", DAY, RoyaltyPolicy(), tuple(actions), ())


def sales(invoices: int, base: str) -> CustomerSales:
    return CustomerSales(invoices, Decimal(base), Decimal(0))


def test_rows_that_differ_from_the_count_of_the_server_are_told_by_franchise() -> None:
    verdict = invoices_counted_and_summed(
        plan_of({"A": ["10", "5.5"], "B": ["7"], "C": ["3"], "D": [], "E": ["1"]}),
        {
            "A": sales(2, "15.50"),
            "B": sales(2, "9"),
            "C": sales(1, "3.01"),
            "X": sales(3, "40"),
            "Walk-in": sales(9, "9"),
        },
        {"X": "Franchise X"},
    )
    assert verdict == Verdict(
        FAILS,
        Decimal("67.51"),
        Decimal("26.5"),
        "The royalties follow from 5 invoices of 26.50; ERPNext counts 8 of 67.51.",
        (
            Difference("Franchise X", Decimal(-40), "0 invoices, 0.00; ERPNext counts 3, 40.00"),
            Difference("Franchise B", Decimal(-2), "1 invoices, 7.00; ERPNext counts 2, 9.00"),
            Difference("Franchise E", ONE, "1 invoices, 1.00; ERPNext counts 0, 0.00"),
            Difference("Franchise C", Decimal("-0.01"), "1 invoices, 3.00; ERPNext counts 1, 3.01"),
        ),
        {"invoices_expected": "8", "invoices_actual": "5", "franchises_overlooked": "Franchise X"},
    )


def test_rows_that_the_server_counts_the_same_are_told_with_their_sum() -> None:
    assert invoices_counted_and_summed(
        plan_of({"A": ["10"], "D": []}), {"A": sales(1, "10.00"), "Walk-in": sales(1, "1")}, {}
    ) == Verdict(
        HOLDS,
        Decimal(10),
        Decimal(10),
        "The royalties follow from 1 invoices of 10.00; ERPNext counts 1 of 10.00.",
        (),
        {"invoices_expected": "1", "invoices_actual": "1", "franchises_overlooked": "none"},
    )
    nothing = invoices_counted_and_summed(plan_of({}), {}, {})
    assert (str(nothing.expected), str(nothing.actual), nothing.ok) == ("0", "0", True)


# -- debit and credit ---------------------------------------------------------------------------------------------

DEBTORS, INCOME, CASH = "Debtors - SJ", "Royalty Income - SJ", "Cash - SJ"


def booked(
    entry: str, amount: str, *, party: str = "Adyar", debit: str = DEBTORS, credit: str = INCOME
) -> list[BookedRow]:
    return [BookedRow(entry, debit, party, Decimal(amount)), BookedRow(entry, credit, "", -Decimal(amount))]


def judged(due: str, entries: list[str], journal: list[BookedRow], ledger: list[BookedRow]) -> Verdict:
    return debit_equals_credit(
        Decimal(due), entries, journal, ledger, receivable=frozenset({DEBTORS}), income=frozenset({INCOME})
    )


def test_books_that_agree_are_told_with_all_four_sums() -> None:
    rows = [*booked("JV-1", "80"), *booked("JV-2", "-5.5", party="Bandra")]
    assert judged("74.5", ["JV-2", "JV-1", "JV-1"], rows, rows) == Verdict(
        HOLDS,
        Decimal("74.5"),
        Decimal("74.5"),
        "By the rule 74.50; 2 Journal Entries of 74.50; in the ledger debit 74.50, credit 74.50.",
        (),
        {"journal_entries": "74.50", "receivable_debit": "74.50", "income_credit": "74.50", "entries": "2"},
    )
    nothing = judged("0", [], [], [])
    assert (nothing.ok, str(nothing.expected), str(nothing.actual)) == (True, "0", "0")


def test_rows_of_entries_that_are_not_of_the_day_do_not_count() -> None:
    rows = booked("JV-1", "80")
    assert judged("80", ["JV-1"], [*rows, *booked("JV-2", "7")], [*rows, *booked("JV-3", "9")]).ok


@pytest.mark.parametrize(
    ("ledger", "by", "debit", "credit"),
    [
        ([], "-80", "0.00", "0.00"),
        (booked("JV-1", "79"), "-1", "79.00", "79.00"),
        (booked("JV-1", "80", debit=CASH), "-80", "0.00", "80.00"),
        (booked("JV-1", "80", credit=CASH), "-80", "80.00", "0.00"),
        (booked("JV-1", "80", party=""), "-80", "0.00", "80.00"),
        ([*booked("JV-1", "80"), BookedRow("JV-1", CASH, "", ONE)], "1", "80.00", "80.00"),
        ([*booked("JV-1", "80"), BookedRow("JV-1", INCOME, "Adyar", ONE)], "1", "80.00", "80.00"),
        ([*booked("JV-1", "80"), BookedRow("JV-1", DEBTORS, "", ONE)], "1", "80.00", "80.00"),
    ],
    ids=[
        "no rows",
        "another amount",
        "no receivable account",
        "no income account",
        "no party",
        "a row more",
        "income with a party",
        "receivable without a party",
    ],
)
def test_an_entry_that_is_booked_otherwise_is_told_with_its_largest_gap(
    ledger: list[BookedRow], by: str, debit: str, credit: str
) -> None:
    rows = [*booked("JV-1", "80"), *booked("JV-2", "10")]
    verdict = judged("90", ["JV-1", "JV-2"], rows, [*ledger, *booked("JV-2", "10")])
    assert not verdict.ok
    assert verdict.worst == (
        Difference("JV-1", Decimal(by), f"the entry says 80.00, debit {debit}, credit {credit}"),
    )
    sums = [f"{Decimal(one) + 10:.2f}" for one in (debit, credit)]
    assert verdict.actual == Decimal(debit) + 10
    assert verdict.sentence == (
        f"By the rule 90.00; 2 Journal Entries of 90.00; in the ledger debit {sums[0]}, credit {sums[1]}."
    )
    assert verdict.figures == {
        "journal_entries": "90.00",
        "receivable_debit": sums[0],
        "income_credit": sums[1],
        "entries": "2",
    }


def test_an_entry_that_is_booked_on_another_party_is_told_with_its_amount_though_the_sums_are_right() -> None:
    verdict = judged("80", ["JV-1"], booked("JV-1", "80"), booked("JV-1", "80", party="Bandra"))
    assert (verdict.ok, verdict.difference) == (False, Decimal(0))
    (one,) = verdict.worst
    assert (one.who, abs(one.by)) == (
        "JV-1",
        Decimal(80),
    )  # 80 too little on one party, 80 too much on the other
    assert one.said == "the entry says 80.00, debit 80.00, credit 80.00"


def test_an_entry_that_no_row_was_read_of_is_another_sum_than_the_rule_s() -> None:
    verdict = judged("80", ["JV-1"], [], [])
    assert (verdict.ok, verdict.expected, verdict.actual, verdict.worst) == (
        False,
        Decimal(80),
        Decimal(0),
        (),
    )


def test_rows_in_the_ledger_of_an_entry_that_has_none_of_its_own_are_told() -> None:
    assert judged("80", ["JV-1"], [], booked("JV-1", "80")).worst == (
        Difference("JV-1", Decimal(80), "the entry says 0.00, debit 80.00, credit 80.00"),
    )


def test_gaps_of_two_entries_that_cancel_out_fail() -> None:
    journal = [*booked("JV-1", "80"), *booked("JV-2", "10")]
    verdict = judged("90", ["JV-1", "JV-2"], journal, [*booked("JV-1", "79"), *booked("JV-2", "11")])
    assert (verdict.ok, verdict.difference) == (False, Decimal(0))
    assert [one.who for one in verdict.worst] == ["JV-1", "JV-2"]


# -- what only warns ----------------------------------------------------------------------------------------------


def test_a_franchise_that_did_not_sell_is_named() -> None:
    names = {"A": "Adyar", "B": "Bandra", "C": "Colaba"}
    verdict = franchises_sold(names, ["A", "B", "Walk-in"], ["A", "C", "Hotel"])
    assert verdict == Verdict(
        FAILS,
        Decimal(2),
        ONE,
        "1 of the 2 franchises with invoices in the week before have one on the day; missing: Bandra.",
        (Difference("Bandra", -ONE, "no invoice"),),
        {"missing": "Bandra"},
        "count",
    )
    assert franchises_sold(names, [], ["A"]).ok


def test_customers_that_are_no_franchise_any_more_are_named_as_they_were_written() -> None:
    assert franchises_not_fallen({"ADYAR": "Adyar"}, ["Colaba ", "adyar", "Bandra"]) == Verdict(
        FAILS,
        Decimal(3),
        ONE,
        "1 of the 3 customers that owed a royalty in the week before are among the 1 franchises now; no more: Bandra, "
        "Colaba .",
        (Difference("Bandra", -ONE, "no franchise now"), Difference("Colaba ", -ONE, "no franchise now")),
        {"fallen": "Bandra, Colaba ", "franchises_now": "1"},
        "count",
    )
    assert franchises_not_fallen({"A": "x", "B": "y"}, ["a"]) == Verdict(
        HOLDS,
        ONE,
        ONE,
        "1 of the 1 customers that owed a royalty in the week before are among the 2 franchises now.",
        (),
        {"fallen": "none", "franchises_now": "2"},
        "count",
    )


def weeks(*amounts: str) -> dict[date, dict[str, Decimal]]:
    return {DAY - timedelta(weeks=n): {"A": Decimal(one)} for n, one in enumerate(amounts, start=1)}


@pytest.mark.parametrize(("actual", "ok"), [("50", True), ("49.99", False), ("150", True), ("150.01", False)])
def test_a_day_of_half_or_of_one_and_a_half_times_the_mean_is_just_usual(actual: str, ok: bool) -> None:
    verdict = usual_day({"A": "Adyar"}, {"A": Decimal(actual)}, weeks("90", "110"))
    by = Decimal(actual) - 100
    assert verdict == Verdict(
        ok,
        Decimal("100.00"),
        Decimal(actual),
        f"Sales of {Decimal(actual):.2f} are {'within' if ok else 'not within'} 50% of 100.00, the mean of 2 earlier same "
        "weekdays.",
        (Difference("Adyar", by),),
        {"compared_with": "2026-11-15, 2026-11-08"},
    )


def test_the_last_four_days_with_sales_are_the_measure_and_days_without_are_passed_over() -> None:
    before = weeks("10", "0", "20", "-5", "30", "40", "9999")
    verdict = usual_day({"A": "Adyar"}, {"A": Decimal(25)}, dict(reversed(before.items())))
    assert (verdict.ok, verdict.expected, verdict.worst) == (True, Decimal("25.00"), ())
    assert verdict.figures == {"compared_with": "2026-11-15, 2026-11-01, 2026-10-18, 2026-10-11"}
    assert "the mean of 4 earlier" in verdict.sentence


def test_franchises_far_from_their_own_mean_are_named_in_paise() -> None:
    before = {
        DAY - timedelta(weeks=1): {"A": Decimal(10), "B": Decimal(5), "Walk-in": Decimal(1000)},
        DAY - timedelta(weeks=2): {"A": Decimal("10.01")},
        DAY - timedelta(weeks=3): {"A": Decimal("10.01")},
    }
    verdict = usual_day(
        {"A": "Adyar", "B": "Bandra", "C": "Colaba"}, {"C": Decimal(1), "A": Decimal(10)}, before
    )
    assert verdict.expected == Decimal("11.67")  # 35.02 / 3
    assert verdict.worst == (
        Difference("Bandra", Decimal("-1.67")),
        Difference("Colaba", Decimal("1.00")),
        Difference("Adyar", Decimal("-0.01")),
    )


def test_a_first_day_has_nothing_to_be_compared_with() -> None:
    for before in ({}, weeks("0"), {DAY - timedelta(weeks=1): {"Walk-in": Decimal(7)}}):
        assert usual_day({"A": "Adyar"}, {"A": Decimal(25), "Walk-in": Decimal(1)}, before) == Verdict(
            HOLDS,
            None,
            Decimal(25),
            "There is no earlier day of this weekday to compare with.",
            (),
            {"compared_with": "none"},
        )
    assert str(usual_day({}, {}, {}).actual) == "0"


# -- what was told ------------------------------------------------------------------------------------------------


def entry(name: str, amount: str, revision: int = 0, customer: str = "Adyar", **more: object) -> PostedEntry:
    key = royalty_key("ScoopJoy", DAY, customer, revision)
    posted = PostedEntry(name, key, 1, Decimal(amount), customer=customer)
    return replace(posted, **more)  # type: ignore[arg-type]


def day_figures(**royalties: str) -> DayFigures:
    franchises = tuple(
        FranchiseFigures(one, f"Franchise {one}", 2, Decimal(100), Decimal(5), Decimal(amount))
        for one, amount in royalties.items()
    )
    total = sum((one.royalty for one in franchises), Decimal(0))
    return DayFigures(Decimal(1000), total, Decimal(500), 3, franchises)


OURS = day_figures(a="5", b="7")


def test_headquarters_that_acknowledged_nothing_is_told_with_what_it_should_have() -> None:
    assert headquarters_equals_ours(OURS, None, revision=None, same=False) == Verdict(
        FAILS,
        Decimal(12),
        Decimal(0),
        "Headquarters has acknowledged nothing; the royalties are 12.00.",
        (),
        {"revision": "none"},
    )


@pytest.mark.parametrize("told", [None, day_figures(a="99")])
def test_headquarters_that_acknowledged_the_very_same_is_right_whatever_was_kept(
    told: DayFigures | None,
) -> None:
    assert headquarters_equals_ours(OURS, told, revision=0, same=True) == Verdict(
        HOLDS,
        Decimal(12),
        Decimal(12),
        "Headquarters acknowledged exactly 12.00 as revision 0.",
        (),
        {"revision": "0"},
    )


def test_what_headquarters_was_told_otherwise_is_unknown_where_it_was_not_kept() -> None:
    assert headquarters_equals_ours(OURS, None, revision=3, same=False) == Verdict(
        FAILS,
        Decimal(12),
        None,
        "What headquarters acknowledged as revision 3 is not what the day is now; its figures were not kept.",
        (),
        {"revision": "3", "differs": "not kept"},
    )


def test_what_headquarters_was_told_otherwise_is_told_figure_by_figure() -> None:
    told = DayFigures(Decimal(900), Decimal(11), Decimal("499.5"), 2, day_figures(a="6", c="1").franchises)
    ours = replace(
        OURS, franchises=(replace(OURS.franchises[0], customer_name="Adyar now"), OURS.franchises[1])
    )
    shown = "sales 900.00 -> 1000.00; royalty 11.00 -> 12.00; POS sales 499.50 -> 500.00; shifts 2 -> 3"
    assert headquarters_equals_ours(ours, told, revision=1, same=False) == Verdict(
        FAILS,
        Decimal(12),
        Decimal(11),
        f"What headquarters acknowledged as revision 1 is not what the day is now: {shown}.",
        (
            Difference("Franchise b", Decimal(-7)),
            Difference("Adyar now", ONE),
            Difference("Franchise c", ONE),
        ),
        {"revision": "1", "differs": shown},
    )


def test_the_same_figures_under_another_digest_are_other_documents() -> None:
    verdict = headquarters_equals_ours(OURS, OURS, revision=1, same=False)
    assert verdict.sentence == (
        "What headquarters acknowledged as revision 1 is not what the day is now: documents, rates or names."
    )
    assert verdict.figures == {"revision": "1", "differs": "documents, rates or names"}
    assert (verdict.ok, verdict.worst) == (False, ())
