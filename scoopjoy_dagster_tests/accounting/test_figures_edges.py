"""Figures that people and headquarters are told: their text for ever, and every line of what changed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from scoopjoy_dagster.accounting.figures import Change, DayFigures, FranchiseFigures, changes

ADYAR = FranchiseFigures(
    "CUST-1", "Franchise Adyar", 3, Decimal("1000.00"), Decimal("8.00"), Decimal("80.00")
)
DAY = DayFigures(Decimal("1000.00"), Decimal("80.00"), Decimal("210.00"), 2, (ADYAR,))


def test_the_text_of_the_figures_is_one_that_other_versions_read() -> None:
    day = replace(DAY, sales=Decimal("1E+3"), franchises=(replace(ADYAR, customer_name="अड्यार"),))
    text = (
        '{"sales":"1000","royalty":"80.00","pos_sales":"210.00","shifts":2,"franchises":[{"customer":"CUST-1",'
        '"customer_name":"अड्यार","invoices":3,"base":"1000.00","rate":"8.00","royalty":"80.00","entry":""}]}'
    )
    assert day.as_text() == text
    assert DayFigures.from_text(text) == day


def test_figures_of_some_outlets_say_of_which() -> None:
    bandra = replace(DAY, view="POS Bandra")
    assert DayFigures.from_text(bandra.as_text()) == bandra
    assert bandra.as_text() != DAY.as_text()


def test_the_figures_of_a_franchise_in_words() -> None:
    assert ADYAR.sentence == "3 invoices, base 1000.00, rate 8 %, royalty 80.00"
    assert replace(ADYAR, rate=Decimal(10)).sentence == "3 invoices, base 1000.00, rate 10 %, royalty 80.00"


def test_what_changed_when_the_figures_before_are_not_known() -> None:
    assert changes(None, DAY, {}) == (
        Change("The day", "not kept", "", "the figures of the revision before were not kept"),
    )


def test_what_changed_when_no_figure_did() -> None:
    assert changes(DAY, DAY, {"CUST-1": "why"}) == (
        Change(
            "The day",
            "",
            "",
            "the totals are the same; documents, names of outlets, counted amounts or exceptions changed",
        ),
    )


def test_what_changed_in_the_shifts() -> None:
    assert changes(DAY, replace(DAY, shifts=1, pos_sales=Decimal(100)), {}) == (
        Change(
            "POS shifts",
            "2 closed, sales 210.00",
            "1 closed, sales 100.00",
            "a shift of the day was closed or cancelled since",
        ),
    )


@pytest.mark.parametrize(
    "now",
    [
        replace(ADYAR, invoices=4),
        replace(ADYAR, base=Decimal("1000.01")),
        replace(ADYAR, rate=Decimal(9)),
        replace(ADYAR, royalty=Decimal("80.01")),
    ],
    ids=["invoices", "base", "rate", "royalty"],
)
def test_every_figure_of_a_franchise_is_compared(now: FranchiseFigures) -> None:
    (change,) = changes(DAY, replace(DAY, franchises=(now,)), {})
    assert change == Change(
        "Franchise Adyar",
        ADYAR.sentence,
        now.sentence,
        "invoices of the day, the rate or the exemption changed since",
    )


def test_a_new_name_alone_is_no_change_and_a_change_is_shown_under_the_name_of_now() -> None:
    renamed = replace(ADYAR, customer_name="Adyar Beach")
    (change,) = changes(DAY, replace(DAY, franchises=(renamed,)), {})
    assert change.who == "The day"
    (change,) = changes(DAY, replace(DAY, franchises=(replace(renamed, invoices=4),)), {})
    assert change.who == "Adyar Beach"


def test_the_reason_of_an_adjustment_is_given_also_where_a_franchise_came_or_went() -> None:
    nobody = replace(DAY, franchises=())
    (went,) = changes(DAY, nobody, {"CUST-1": "royalty 80.00 -> 0.00: disabled"})
    assert went == Change(
        "Franchise Adyar", ADYAR.sentence, "no franchise", "royalty 80.00 -> 0.00: disabled"
    )
    (came,) = changes(nobody, DAY, {"CUST-1": "8 % of 1000.00", "CUST-2": "another's"})
    assert came == Change("Franchise Adyar", "no franchise", ADYAR.sentence, "8 % of 1000.00")


@pytest.mark.parametrize("field", ["sales", "royalty", "pos_sales", "base", "rate"])
def test_an_amount_that_is_no_number_makes_the_whole_text_unreadable(field: str) -> None:
    text = DAY.as_text()
    value = {"base": "1000.00", "rate": "8.00", "sales": "1000.00", "royalty": "80.00", "pos_sales": "210.00"}
    assert DayFigures.from_text(text.replace(f'"{field}":"{value[field]}"', f'"{field}":"x"')) is None
    assert DayFigures.from_text(text.replace(f'"{field}":"{value[field]}"', f'"{field}":null')) is None
