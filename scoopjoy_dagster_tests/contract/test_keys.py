"""Custom fields made over REST, and the unique one that makes a document exist exactly once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from .books import CUSTOM_FIELDS, KEY

if TYPE_CHECKING:
    from .books import Books
    from .site import Answer, Caller


@pytest.fixture
def key(books: Books, request: pytest.FixtureRequest) -> str:
    """A key of this run and this test."""
    return f"{books.prefix}:{request.node.name}"[:120]


def post(robot: Caller, books: Books, franchise: str, **fields: Any) -> Answer:
    return robot.insert("Journal Entry", **books.royalty(franchise, **fields))


def holders(robot: Caller, key: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = robot.rows("Journal Entry", ["name", "docstatus"], [[KEY, "=", key]])
    return rows


def test_a_custom_field_keeps_the_properties_it_was_made_with(robot: Caller, books: Books) -> None:
    properties = ["unique", "no_copy", "read_only", "allow_on_submit", "fieldtype", "label"]
    for wanted in CUSTOM_FIELDS:
        which = [["dt", "=", wanted["dt"]], ["fieldname", "=", wanted["fieldname"]]]
        (row,) = robot.rows("Custom Field", [*properties, "name"], which)
        assert row == {
            **dict.fromkeys(properties[:4], 0),
            **{name: wanted[name] for name in properties if name in wanted},
            "name": f"{wanted['dt']}-{wanted['fieldname']}",
        }


def test_making_a_custom_field_again_is_417_and_changes_nothing(robot: Caller, books: Books) -> None:
    answer = robot.insert("Custom Field", **CUSTOM_FIELDS[0]).refused(417, "ValidationError")
    assert any(KEY in message for message in answer.messages)


def test_a_read_only_field_is_still_written_by_rest(
    robot: Caller, books: Books, franchise: str, key: str
) -> None:
    made = post(robot, books, franchise, **{KEY: key}).value
    assert made[KEY] == key
    assert holders(robot, key) == [{"name": made["name"], "docstatus": 0}]


def test_a_second_document_with_the_key_is_417_unique_validation_error(
    robot: Caller, books: Books, franchise: str, key: str
) -> None:
    first = post(robot, books, franchise, **{KEY: key}, docstatus=1).value["name"]
    answer = post(robot, books, franchise, **{KEY: key}, docstatus=1)
    answer.refused(417, "UniqueValidationError")
    assert any("SJC Contract Key" in message for message in answer.messages)
    assert holders(robot, key) == [{"name": first, "docstatus": 1}]


@pytest.mark.parametrize(
    "change",
    [str.upper, str.lower, lambda key: key + " ", lambda key: key + "   "],
    ids=["upper", "lower", "space", "spaces"],
)
def test_a_key_is_the_same_in_any_case_and_with_trailing_spaces(
    robot: Caller, books: Books, franchise: str, key: str, change: Any
) -> None:
    post(robot, books, franchise, **{KEY: key}).accepted()
    post(robot, books, franchise, **{KEY: change(key)}).refused(417, "UniqueValidationError")


def test_an_empty_key_binds_nothing(robot: Caller, books: Books, franchise: str) -> None:
    made = [post(robot, books, franchise, **{KEY: empty}).value["name"] for empty in ("", "", None, None)]
    rows = robot.rows("Journal Entry", ["name", KEY], [["name", "in", made]])
    assert [row[KEY] for row in rows] == [None] * 4


def test_a_deleted_draft_frees_its_key(robot: Caller, books: Books, franchise: str, key: str) -> None:
    draft = post(robot, books, franchise, **{KEY: key}).value["name"]
    assert robot.delete("Journal Entry", draft).status == 202
    assert post(robot, books, franchise, **{KEY: key}).status == 200


def test_a_cancelled_document_keeps_its_key_for_ever(
    robot: Caller, books: Books, franchise: str, key: str
) -> None:
    name = post(robot, books, franchise, **{KEY: key}, docstatus=1).value["name"]
    assert robot.cancel("Journal Entry", name).value["docstatus"] == 2
    post(robot, books, franchise, **{KEY: key}, docstatus=1).refused(417, "UniqueValidationError")
    robot.put("Journal Entry", name, **{KEY: f"{key}:free"}).refused(417, "ValidationError")
    answer = robot.rpc(
        "frappe.client.set_value", doctype="Journal Entry", name=name, fieldname=KEY, value="free"
    )
    answer.refused(417, "ValidationError")
    robot.delete("Journal Entry", name).refused(417, "LinkExistsError")  # its GL Entries link to it
    assert holders(robot, key) == [{"name": name, "docstatus": 2}]
    assert post(robot, books, franchise, **{KEY: f"{key}:1"}, docstatus=1).status == 200


def test_the_key_of_a_submitted_document_cannot_be_changed(
    robot: Caller, books: Books, franchise: str, key: str
) -> None:
    name = post(robot, books, franchise, **{KEY: key}, docstatus=1).value["name"]
    answer = robot.put("Journal Entry", name, **{KEY: f"{key}:other"})
    answer.refused(417, "UpdateAfterSubmitError")
    assert holders(robot, key) == [{"name": name, "docstatus": 1}]


@pytest.mark.parametrize("docstatus", [0, 1])
def test_of_eight_simultaneous_posts_with_one_key_exactly_one_wins(
    robot: Caller, books: Books, franchise: str, key: str, docstatus: int
) -> None:
    def one(_: int) -> Answer:
        caller = robot.again()
        try:
            return post(caller, books, franchise, **{KEY: key}, docstatus=docstatus)
        finally:
            caller.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(8)))
    won = [answer for answer in answers if answer.status == 200]
    assert [answer.value["name"] for answer in won] == [row["name"] for row in holders(robot, key)]
    assert len(won) == 1
    lost = {(answer.status, answer.exc_type) for answer in answers if answer not in won}
    # A deadlock of simultaneous inserts is a certain rollback too.
    assert lost <= {(417, "UniqueValidationError"), (500, "QueryDeadlockError")}
    posted = robot.rows("GL Entry", ["name"], [["voucher_no", "=", won[0].value["name"]]])
    assert len(posted) == 2 * docstatus


def test_a_duplicate_in_a_batch_stores_nothing_of_the_batch(
    robot: Caller, books: Books, franchise: str, key: str
) -> None:
    keys = [f"{key}:{part}" for part in ("new", "taken", "newer")]
    post(robot, books, franchise, **{KEY: keys[1]}, docstatus=1).accepted()
    docs = [
        {"doctype": "Journal Entry", **books.royalty(franchise), KEY: one, "docstatus": 1} for one in keys
    ]
    robot.rpc("frappe.client.insert_many", docs=docs).refused(417, "UniqueValidationError")
    assert [len(holders(robot, one)) for one in keys] == [0, 1, 0]


def test_one_list_finds_all_keys_with_a_prefix(robot: Caller, books: Books, franchise: str, key: str) -> None:
    docs = [
        {"doctype": "Journal Entry", **books.royalty(franchise), KEY: f"{key}:{number}"}
        for number in range(3)
    ]
    names = robot.rpc("frappe.client.insert_many", docs=docs).value
    rows = robot.rows("Journal Entry", ["name", KEY], [[KEY, "like", f"{key}:%"]])
    assert sorted(row["name"] for row in rows) == sorted(names)
    rows = robot.rows("Journal Entry", ["name"], [[KEY, "in", [f"{key}:0", f"{key}:2", f"{key}:9"]]])
    assert len(rows) == 2
