"""The naming series that people may choose: what a Property Setter of the options does, and who may make one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .books import Books
    from .site import Caller

JE = "Journal Entry"
FIELD = "naming_series"
SETTER = f"{JE}-{FIELD}-options"


def shown(caller: Caller) -> list[str]:
    """The options as the desk's form gets them."""
    answer = caller.call("GET", "/api/method/frappe.desk.form.load.getdoctype", params={"doctype": JE})
    answer.accepted()
    meta = next(one for one in answer.body["docs"] if one["name"] == JE)
    return str(next(one for one in meta["fields"] if one["fieldname"] == FIELD)["options"]).split("\n")


def setter(value: list[str]) -> dict[str, Any]:
    return {
        "doctype_or_field": "DocField",
        "doc_type": JE,
        "field_name": FIELD,
        "property": "options",
        "property_type": "Text",
        "value": "\n".join(value),
    }


@pytest.fixture
def options(keeper: Caller) -> Iterator[list[str]]:
    """The options of the site, which are as they were afterwards."""
    before = keeper.rows("Property Setter", ["value"], [["name", "=", SETTER]])
    yield shown(keeper)
    if before:
        keeper.insert("Property Setter", **setter(before[0]["value"].split("\n"))).accepted()
    elif keeper.rows("Property Setter", ["name"], [["name", "=", SETTER]]):
        keeper.delete("Property Setter", SETTER).accepted()


def test_a_property_setter_changes_the_options_that_everybody_is_shown(
    keeper: Caller, cashier: Caller, books: Books, options: list[str]
) -> None:
    series = f"{books.prefix}-ROY-.YYYY.-"
    made = keeper.insert("Property Setter", **setter([*options, series])).value
    assert made["name"] == SETTER
    assert shown(keeper) == shown(cashier) == [*options, series]


def test_an_entry_without_a_series_still_gets_the_first_option(
    robot: Caller, keeper: Caller, books: Books, franchise: str, options: list[str]
) -> None:
    before = robot.insert(JE, **books.royalty(franchise)).value
    keeper.insert("Property Setter", **setter([*options, f"{books.prefix}-ROY-.YYYY.-"])).accepted()
    after = robot.insert(JE, **books.royalty(franchise)).value
    assert after[FIELD] == before[FIELD]


def test_the_same_property_again_replaces_the_one_before(
    keeper: Caller, books: Books, options: list[str]
) -> None:
    for letter in "AB":
        keeper.insert("Property Setter", **setter([*options, f"{books.prefix}-{letter}-.YYYY.-"])).accepted()
    assert len(keeper.rows("Property Setter", ["name"], [["name", "=", SETTER]])) == 1
    assert shown(keeper) == [*options, f"{books.prefix}-B-.YYYY.-"]


def test_its_value_can_be_changed_and_without_it_the_options_are_erpnexts_own(
    keeper: Caller, books: Books, options: list[str]
) -> None:
    series = f"{books.prefix}-ROY-.YYYY.-"
    keeper.insert("Property Setter", **setter([*options, series])).accepted()
    keeper.put("Property Setter", SETTER, value="\n".join([*options, series, "X-.####"])).accepted()
    assert shown(keeper) == [*options, series, "X-.####"]
    keeper.delete("Property Setter", SETTER).accepted()
    fields = keeper.get("DocType", JE).value["fields"]
    own = str(next(one for one in fields if one["fieldname"] == FIELD)["options"])
    assert shown(keeper) == own.split("\n")


def test_only_a_system_manager_makes_one(cashier: Caller, options: list[str]) -> None:
    cashier.insert("Property Setter", **setter([*options, "X-.####"])).refused(403, "PermissionError")
    assert shown(cashier) == options
