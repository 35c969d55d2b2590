"""Naming series: what a Property Setter of the options does and who may make one; and a counter behind existing names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .books import KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .books import Books
    from .site import Answer, Caller

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


# A counter behind existing names

SETTINGS = "Document Naming Settings"


def press(caller: Caller, form: dict[str, Any]) -> Answer:
    """What the desk's button *Update Series Number* does."""
    return caller.rpc("run_doc_method", docs=form, method="update_series_start")


def set_counter(keeper: Caller, prefix: str, current: int) -> None:
    form = keeper.get(SETTINGS, SETTINGS).value | {"prefix": prefix, "current_value": current}
    press(keeper, form).accepted()


def insert_many(caller: Caller, entry: dict[str, Any]) -> Answer:
    return caller.rpc("frappe.client.insert_many", docs=[{"doctype": JE, "docstatus": 1, **entry}])


def test_a_counter_behind_existing_names_refuses_every_insert_until_it_is_set(
    robot: Caller, keeper: Caller, books: Books, franchise: str
) -> None:
    entry = books.royalty(franchise) | {FIELD: f"{books.prefix}-CTR-.YYYY.-"}
    names = [insert_many(robot, entry).value[0] for _ in range(3)]
    prefix = names[0].removesuffix("00001")
    assert names == [f"{prefix}0000{number}" for number in (1, 2, 3)]
    set_counter(keeper, prefix, 1)
    for _ in range(3):  # the counter is taken back with the rest: it never comes past the names by itself
        insert_many(robot, entry).refused(409, "DuplicateEntryError")
        robot.insert(JE, **entry).refused(409, "DuplicateEntryError")
    set_counter(keeper, prefix, 3)
    assert insert_many(robot, entry).value == [f"{prefix}00004"]


def test_a_taken_name_is_told_before_a_taken_key(
    robot: Caller, keeper: Caller, books: Books, franchise: str
) -> None:
    series = f"{books.prefix}-CTK-.YYYY.-"
    entry = books.royalty(franchise) | {FIELD: series, KEY: f"{books.prefix}-name-and-key"}
    name = insert_many(robot, entry).value[0]
    insert_many(robot, entry).refused(417, "UniqueValidationError")
    set_counter(keeper, name.removesuffix("00001"), 0)
    insert_many(robot, entry).refused(409, "DuplicateEntryError")


def test_the_highest_name_of_a_series_is_found_by_its_letters_and_its_length(
    robot: Caller, keeper: Caller, books: Books, franchise: str
) -> None:
    series = f"{books.prefix}-CTL-.YYYY.-"
    entry = books.royalty(franchise) | {FIELD: series}
    prefix = robot.insert(JE, **entry).value["name"].removesuffix("00001")
    set_counter(keeper, prefix, 99998)
    for number in (99999, 100000):
        assert robot.insert(JE, **entry).value["name"] == f"{prefix}{number}"
    of_series = [[FIELD, "=", series], ["amended_from", "is", "not set"]]
    first = {"order_by": "name desc", "limit_page_length": 1}
    assert robot.rows(JE, ["name"], of_series, **first) == [{"name": f"{prefix}99999"}]
    longer = ["name", "like", prefix + "_" * 6]
    assert robot.rows(JE, ["name"], [*of_series, longer], **first) == [{"name": f"{prefix}100000"}]


def test_only_a_system_manager_sets_a_counter(keeper: Caller, cashier: Caller, books: Books) -> None:
    form = keeper.get(SETTINGS, SETTINGS).value | {"prefix": f"{books.prefix}-CTO-", "current_value": 0}
    press(cashier, form).refused(403, "PermissionError")
