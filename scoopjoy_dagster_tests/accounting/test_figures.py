"""Figures that were told can be read again exactly, and a revision always says what is another than before."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.figures import (
    DayFigures,
    FranchiseFigures,
    changes,
    franchise_figures,
)
from scoopjoy_dagster.accounting.royalties import Action, BaseInvoice, Royalty
from scoopjoy_dagster.clean_text import shown

TEXT = st.text(st.characters(codec="utf-8"), max_size=40).map(shown)
"""As texts of ERPNext are held; what control characters become is `test_clean_text.py`'s."""
AMOUNT = st.decimals(-(10**12), 10**12, allow_nan=False, allow_infinity=False, places=2)
FRANCHISE = st.builds(
    FranchiseFigures, TEXT, TEXT, st.integers(0, 10**6), AMOUNT, st.decimals(0, 100, places=3), AMOUNT
)
FIGURES = st.builds(
    DayFigures,
    AMOUNT,
    AMOUNT,
    AMOUNT,
    st.integers(0, 10**4),
    st.lists(FRANCHISE, max_size=5, unique_by=lambda one: one.customer).map(tuple),
)

ADYAR = FranchiseFigures(
    "Adyar", "Franchise Adyar", 3, Decimal("1000.00"), Decimal("8.000"), Decimal("80.00")
)
BANDRA = FranchiseFigures("Bandra", "Franchise Bandra", 1, Decimal("50.00"), Decimal(5), Decimal("2.50"))
DAY = DayFigures(Decimal("1050.00"), Decimal("82.50"), Decimal("210.00"), 2, (ADYAR, BANDRA))


@given(FIGURES)
def test_what_was_written_is_read_again_to_the_paisa(figures: DayFigures) -> None:
    read = DayFigures.from_text(figures.as_text())
    assert read == figures
    assert read is not None
    assert read.as_text() == figures.as_text()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "None",
        "null",
        "[]",
        "{}",
        "17",
        '"text"',
        '{"sales": "1"}',
        DAY.as_text()[:-2],
        DAY.as_text().replace('"1050.00"', '"many"'),
        DAY.as_text().replace('"invoices":3', '"invoices":null'),
        DAY.as_text().replace('"customer":"Adyar",', ""),
        DAY.as_text().replace('"franchises":[', '"franchises":[null,'),
    ],
)
def test_a_text_that_holds_no_figures_gives_none(text: str) -> None:
    assert DayFigures.from_text(text) is None


@given(st.text(max_size=200))
def test_no_text_at_all_is_an_error(text: str) -> None:
    DayFigures.from_text(text)


@given(st.one_of(st.none(), FIGURES), FIGURES)
def test_a_revision_always_has_a_change_and_every_change_has_somebody_and_a_reason(
    before: DayFigures | None, after: DayFigures
) -> None:
    found = changes(before, after, {})
    assert found
    assert all(one.reason for one in found)


@given(FIGURES)
def test_where_every_figure_is_the_same_the_revision_says_that_other_things_changed(
    figures: DayFigures,
) -> None:
    (change,) = changes(figures, figures, {})
    assert (change.who, change.before, change.after) == ("The day", "", "")
    assert "the totals are the same" in change.reason


def test_figures_that_were_not_kept_are_said_to_be_unknown() -> None:
    (change,) = changes(None, DAY, {"Adyar": "more"})
    assert (change.who, change.before) == ("The day", "not kept")


def test_a_changed_franchise_shows_both_and_the_reason_of_its_adjustment() -> None:
    now = replace(ADYAR, invoices=4, base=Decimal("1500.00"), royalty=Decimal("120.00"))
    (change,) = changes(DAY, replace(DAY, franchises=(now, BANDRA)), {"Adyar": "base 1000.00 -> 1500.00"})
    assert change.who == "Franchise Adyar"
    assert change.before == "3 invoices, base 1000.00, rate 8 %, royalty 80.00"
    assert change.after == "4 invoices, base 1500.00, rate 8 %, royalty 120.00"
    assert change.reason == "base 1000.00 -> 1500.00"


def test_the_reason_of_an_older_adjustment_is_no_reason_for_a_royalty_that_stayed() -> None:
    now = replace(ADYAR, invoices=4)
    (change,) = changes(DAY, replace(DAY, franchises=(now, BANDRA)), {"Adyar": "an older reason"})
    assert change.reason == "invoices of the day, the rate or the exemption changed since"


def test_a_franchise_that_came_or_went_is_named() -> None:
    (went,) = changes(DAY, replace(DAY, franchises=(ADYAR,)), {})
    assert (went.who, went.after) == ("Franchise Bandra", "no franchise")
    (came,) = changes(replace(DAY, franchises=(ADYAR,)), DAY, {})
    assert (came.who, came.before) == ("Franchise Bandra", "no franchise")


def test_a_franchise_without_sales_is_as_good_as_none_whatever_its_rate() -> None:
    idle = FranchiseFigures("Idle", "Franchise Idle", 0, Decimal("0.00"), Decimal(7), Decimal("0.00"))
    with_it = replace(DAY, franchises=(*DAY.franchises, idle))
    (change,) = changes(DAY, with_it, {})
    assert change.who == "The day"
    (change,) = changes(
        with_it, replace(with_it, franchises=(*DAY.franchises, replace(idle, rate=Decimal(9)))), {}
    )
    assert change.who == "The day"


@pytest.mark.parametrize(
    "now", [replace(DAY, shifts=3), replace(DAY, pos_sales=Decimal("211.00"))], ids=["shifts", "sales"]
)
def test_changed_shifts_are_one_line(now: DayFigures) -> None:
    (change,) = changes(DAY, now, {})
    assert change.who == "POS shifts"
    assert change.before == "2 closed, sales 210.00"
    assert change.after == f"{now.shifts} closed, sales {now.pos_sales:.2f}"


def test_changes_come_in_order_of_customer_and_the_shifts_last() -> None:
    now = DayFigures(
        DAY.sales, DAY.royalty, DAY.pos_sales, 3, (replace(BANDRA, invoices=2), replace(ADYAR, invoices=2))
    )
    assert [one.who for one in changes(DAY, now, {})] == ["Franchise Adyar", "Franchise Bandra", "POS shifts"]


def test_the_figures_of_a_franchise_are_those_of_its_royalty() -> None:
    invoices = tuple(BaseInvoice(f"S-{n}", "Adyar", Decimal(500)) for n in range(2))
    royalty = Royalty("Adyar", "Franchise Adyar", invoices, Decimal(1000), Decimal(8), Decimal("80.00"), "v")
    assert franchise_figures(Action("adopt", royalty, Decimal(0), "")) == FranchiseFigures(
        "Adyar", "Franchise Adyar", 2, Decimal(1000), Decimal(8), Decimal("80.00")
    )


def test_a_value_that_would_not_be_exact_is_refused() -> None:
    with pytest.raises(TypeError, match="object cannot be kept with the figures"):
        replace(DAY, sales=object()).as_text()  # type: ignore[arg-type]
