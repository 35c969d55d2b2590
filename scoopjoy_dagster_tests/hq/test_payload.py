"""The document that headquarters receives."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.hq.payload import (
    FranchiseDay,
    PosDay,
    amount,
    canonical,
    delivery_id,
    digest,
    idempotency_key,
    next_revision,
    percent,
)
from scoopjoy_dagster_tests.hq.days import MUMBAI, PUNE, a_day

exact = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12)


def schema() -> Any:
    return json.loads((files("scoopjoy_dagster.hq") / "daily_totals.schema.json").read_text())


def test_the_document_of_a_day_is_this_one() -> None:
    assert a_day() == {
        "schema": "scoopjoy.daily-totals/1",
        "company": "ScoopJoy",
        "business_day": "2026-11-22",
        "revision": 0,
        "currency": "INR",
        "policy": {"name": "standard", "version": "1"},
        "totals": {
            "invoices": 3,
            "sales": "1700.10",
            "royalty_base": "1700.10",
            "royalty": "90.01",
            "journal_entries": 3,
            "pos_shifts": 2,
            "pos_invoices": 31,
            "pos_sales": "4321.50",
        },
        "franchises": [
            {
                "customer": "CUST-0001",
                "customer_name": "आइसक्रीम Pune",
                "invoices": 1,
                "base": "200.00",
                "rate": "7.5",
                "royalty": "15.00",
                "journal_entries": ["ACC-JV-2026-00003"],
            },
            {
                "customer": "CUST-0002",
                "customer_name": "ScoopJoy Mumbai",
                "invoices": 2,
                "base": "1500.10",
                "rate": "5",
                "royalty": "75.01",
                "journal_entries": ["ACC-JV-2026-00001", "ACC-JV-2026-00002"],
            },
        ],
        "changes": [],
    }


@given(
    rows=st.lists(
        st.builds(
            FranchiseDay,
            customer=st.text(min_size=1),
            customer_name=st.text(),
            invoices=st.integers(0, 10**6),
            base=exact,
            rate=st.decimals(0, 100, places=3),
            royalty=exact,
            journal_entries=st.lists(st.text(min_size=1), unique=True).map(tuple),
        ),
        unique_by=lambda row: row.customer,
        max_size=5,
    ),
    sales=exact,
    changes=st.lists(
        st.fixed_dictionaries(
            {
                "who": st.text(min_size=1),
                "before": st.text(),
                "after": st.text(),
                "reason": st.text(min_size=1),
            }
        ),
        max_size=3,
    ),
)
def test_every_document_keeps_the_published_schema_and_its_own_sums(
    rows: list[FranchiseDay], sales: Decimal, changes: list[dict[str, str]]
) -> None:
    document = a_day(franchises=rows, sales=sales, changes=changes)
    assert document["changes"] == changes
    jsonschema.Draft202012Validator(schema()).validate(document)
    for total, part in (("royalty_base", "base"), ("royalty", "royalty")):
        summed = sum((Decimal(row[part]) for row in document["franchises"]), Decimal(0))
        assert Decimal(document["totals"][total]) == summed


def test_the_schema_refuses_an_amount_that_is_a_number() -> None:
    document = a_day()
    document["totals"]["royalty"] = 90.01
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema()).validate(document)


@given(rows=st.permutations([MUMBAI, PUNE, replace(PUNE, customer="CUST-0003")]))
def test_the_order_of_the_franchises_does_not_change_a_byte(rows: list[FranchiseDay]) -> None:
    ordered = sorted(rows, key=lambda row: row.customer)
    assert canonical(a_day(franchises=rows)) == canonical(a_day(franchises=ordered))


def test_the_canonical_bytes_are_sorted_compact_utf_8() -> None:
    assert canonical({"b": 1, "a": ["आ", "x"]}) == '{"a":["आ","x"],"b":1}'.encode()


@given(value=exact, zeros=st.integers(0, 5))
def test_one_value_has_one_string_however_it_is_written(value: Decimal, zeros: int) -> None:
    rewritten = Decimal(format(value, "f") + ("" if "." in format(value, "f") else ".") + "0" * zeros)
    assert amount(rewritten) == amount(value)
    assert Decimal(amount(value)) == value
    assert Decimal(percent(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [("0", "0.00"), ("-0.000", "0.00"), ("1E+3", "1000.00"), ("12.345", "12.345"), ("-7.1", "-7.10")],
)
def test_amounts_are_written_in_full(value: str, text: str) -> None:
    assert amount(Decimal(value)) == text


@pytest.mark.parametrize(("value", "text"), [("100", "100"), ("7.50", "7.5"), ("0", "0"), ("10.000", "10")])
def test_rates_have_only_the_decimals_they_need(value: str, text: str) -> None:
    assert percent(Decimal(value)) == text


@pytest.mark.parametrize("wrong", [1.5, "1.5", True, None])
def test_an_inexact_amount_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"decimal\.Decimal"):
        a_day(sales=wrong)
    with pytest.raises(TypeError, match=r"decimal\.Decimal"):
        a_day(franchises=[replace(PUNE, base=wrong)])


@pytest.mark.parametrize("wrong", ["NaN", "Infinity"])
def test_an_amount_that_is_no_number_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="must be a number"):
        a_day(sales=Decimal(wrong))


def test_a_customer_may_not_come_twice() -> None:
    with pytest.raises(ValueError, match="'CUST-0001' appears twice"):
        a_day(franchises=[PUNE, PUNE])


@pytest.mark.parametrize("changes", [{"revision": -1}, {"pos": PosDay(-1, 0, Decimal(0))}])
def test_a_negative_count_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="cannot be negative"):
        a_day(**changes)


CHANGE = {"who": "ScoopJoy Pune", "before": "1 invoices", "after": "2 invoices", "reason": "one was added"}


@pytest.mark.parametrize(
    "change",
    [
        {**CHANGE, "reason": ""},
        {**CHANGE, "who": ""},
        {**CHANGE, "when": "today"},
        {"who": "ScoopJoy Pune", "reason": "no figures"},
    ],
)
def test_the_schema_refuses_a_change_that_does_not_say_who_and_why(change: dict[str, str]) -> None:
    document = a_day(revision=1)
    document["changes"] = [change]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema()).validate(document)


def test_a_document_of_an_earlier_version_without_changes_keeps_the_schema() -> None:
    document = a_day()
    del document["changes"]
    jsonschema.Draft202012Validator(schema()).validate(document)


def test_the_digest_speaks_of_the_day_and_not_of_the_way_to_it() -> None:
    assert digest(a_day(revision=0)) == digest(a_day(revision=7, changes=[CHANGE]))
    assert digest(a_day()) != digest(a_day(sales=Decimal("1700.11")))


def test_a_franchise_without_sales_that_is_new_today_is_no_news_about_an_old_day() -> None:
    new = FranchiseDay("NEW", "Franchise New", 0, Decimal(0), Decimal(5), Decimal(0))
    rows = [MUMBAI, PUNE]
    assert digest(a_day(franchises=[*rows, new])) == digest(a_day(franchises=rows))
    assert digest(a_day(franchises=[*rows, replace(new, invoices=1)])) != digest(a_day(franchises=rows))


def test_the_revision_rises_only_when_the_totals_changed() -> None:
    assert next_revision(None, None, "a") == 0
    assert next_revision(2, "a", "a") == 2
    assert next_revision(2, "a", "b") == 3


def test_the_key_names_company_day_and_revision_and_the_delivery_id_follows_from_it() -> None:
    key = idempotency_key(a_day(revision=3))
    assert key == "hq:ScoopJoy:2026-11-22:3"
    assert delivery_id(key) == delivery_id(key)
    assert delivery_id(key) != delivery_id(idempotency_key(a_day(revision=4)))


def test_what_a_franchise_is_called_is_no_news_about_a_day() -> None:
    """A renamed Customer stands elsewhere in the list, and its Journal Entries are the same."""
    rows = [MUMBAI, PUNE]
    renamed = [replace(rows[0], customer="ZZZ", customer_name="Renamed"), *rows[1:]]
    assert digest(a_day(franchises=renamed)) == digest(a_day(franchises=rows))
    assert digest(a_day(franchises=[replace(rows[0], royalty=Decimal(1)), *rows[1:]])) != digest(
        a_day(franchises=rows)
    )
