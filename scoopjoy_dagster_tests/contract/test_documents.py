"""One document: reading, writing, and two writers at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from .lines import V15, refusals

if TYPE_CHECKING:
    from .books import Books
    from .site import Answer, Caller

STALE = "2020-01-01 00:00:00.000000"


@pytest.fixture
def customer(robot: Caller, books: Books, request: pytest.FixtureRequest) -> dict[str, Any]:
    label = request.node.name.removeprefix("test_").replace("_", " ").title()[:60]
    made: dict[str, Any] = robot.insert("Customer", **books.customer_body(label)).value
    return made


def test_a_document_leaves_null_fields_out_and_before_v16_frappe_client_get_does_not(
    robot: Caller, line: str, customer: dict[str, Any]
) -> None:
    assert "customer_details" not in customer
    assert "customer_details" not in robot.get("Customer", customer["name"]).value
    answer = robot.rpc("frappe.client.get", doctype="Customer", name=customer["name"])
    assert answer.value["customer_details"] is None if line == V15 else "customer_details" not in answer.value


def test_unknown_fields_are_ignored_by_post_and_put(robot: Caller, books: Books) -> None:
    made = robot.insert("Customer", **books.customer_body("Unknown Field"), no_such_field="1").value
    changed = robot.put("Customer", made["name"], no_such_field="2", customer_details="seen").value
    assert changed["customer_details"] == "seen"
    assert "no_such_field" not in {**made, **changed}


def test_a_name_with_slash_percent_and_accents_survives_the_path(robot: Caller, books: Books) -> None:
    label = "Café & Söhne / 100% – नमस्ते"
    name = books.customer(robot, label)
    read = robot.get("Customer", name).value
    assert read["name"] == name
    assert read["customer_name"] == f"{books.prefix} {label}"


def test_put_without_modified_is_last_write_wins(robot: Caller, customer: dict[str, Any]) -> None:
    for text in ("first", "second"):
        assert robot.put("Customer", customer["name"], customer_details=text).status == 200
    assert robot.get("Customer", customer["name"]).value["customer_details"] == "second"


def test_put_with_modified_is_compare_and_set(robot: Caller, customer: dict[str, Any]) -> None:
    current = customer["modified"]
    changed = robot.put("Customer", customer["name"], customer_details="a", modified=current).value
    assert changed["modified"] > current
    for old in (current, STALE):
        answer = robot.put("Customer", customer["name"], customer_details="b", modified=old)
        answer.refused(417, "TimestampMismatchError")
    assert robot.get("Customer", customer["name"]).value["customer_details"] == "a"


def test_of_eight_writers_with_one_modified_exactly_one_wins(
    robot: Caller, line: str, customer: dict[str, Any]
) -> None:
    def write(number: int) -> Answer:
        caller = robot.again()
        try:
            text = f"writer {number}"
            return caller.put(
                "Customer", customer["name"], customer_details=text, modified=customer["modified"]
            )
        finally:
            caller.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(write, range(8)))
    won = [answer for answer in answers if answer.status == 200]
    assert len(won) == 1
    lost = {(answer.status, answer.exc_type) for answer in answers if answer is not won[0]}
    # Where the database reads of one moment, whoever waited for the row is told that it has changed.
    assert lost <= refusals(line, 417, "TimestampMismatchError")
    stored = robot.get("Customer", customer["name"]).value["customer_details"]
    assert stored == won[0].value["customer_details"]


def test_frappe_client_save_needs_the_current_modified(robot: Caller, customer: dict[str, Any]) -> None:
    whole = robot.rpc("frappe.client.get", doctype="Customer", name=customer["name"]).value
    stale = {**whole, "modified": STALE, "customer_details": "x"}
    robot.rpc("frappe.client.save", doc=stale).refused(417, "TimestampMismatchError")
    saved = robot.rpc("frappe.client.save", doc={**whole, "customer_details": "y"}).value
    assert saved["customer_details"] == "y"


def test_set_value_takes_one_field_or_a_mapping(robot: Caller, customer: dict[str, Any]) -> None:
    which = {"doctype": "Customer", "name": customer["name"]}
    one = robot.rpc("frappe.client.set_value", **which, fieldname="customer_details", value="one").value
    assert one["customer_details"] == "one"
    several = {"customer_details": "two", "website": "https://example.com"}
    assert robot.rpc("frappe.client.set_value", **which, fieldname=several).status == 200
    read = robot.get("Customer", customer["name"]).value
    assert (read["customer_details"], read["website"]) == ("two", "https://example.com")


def test_insert_many_stores_all_or_nothing(robot: Caller, books: Books) -> None:
    good = {"doctype": "Customer", **books.customer_body("All Or Nothing Good")}
    bad = {"doctype": "Customer", **books.customer_body("All Or Nothing Bad", f"{books.prefix} no group")}
    robot.rpc("frappe.client.insert_many", docs=[good, bad]).refused(417, "LinkValidationError")
    filters = [["customer_name", "like", f"{books.prefix} All Or Nothing%"]]
    assert robot.rows("Customer", ["name"], filters) == []


def test_a_delete_is_202_and_then_the_document_is_gone(robot: Caller, books: Books, franchise: str) -> None:
    name = robot.insert("Journal Entry", **books.royalty(franchise)).value["name"]
    answer = robot.delete("Journal Entry", name)
    assert (answer.status, answer.value) == (202, "ok")
    robot.get("Journal Entry", name).refused(404, "DoesNotExistError")


def test_a_method_that_returns_nothing_answers_200_without_message(
    robot: Caller, books: Books, franchise: str
) -> None:
    name = robot.insert("Journal Entry", **books.royalty(franchise)).value["name"]
    answer = robot.rpc("frappe.client.delete", doctype="Journal Entry", name=name)
    assert (answer.status, answer.body) == (200, {})
    robot.get("Journal Entry", name).refused(404, "DoesNotExistError")


def test_a_comment_is_added_to_a_submitted_document_without_touching_it(
    robot: Caller, books: Books, franchise: str
) -> None:
    entry = robot.insert("Journal Entry", **books.royalty(franchise), docstatus=1).value
    reference = {"reference_doctype": "Journal Entry", "reference_name": entry["name"]}
    comment = {"comment_type": "Comment", "content": "checked", **reference}
    assert robot.insert("Comment", **comment).status == 200
    filters = [["reference_doctype", "=", "Journal Entry"], ["reference_name", "=", entry["name"]]]
    filters.append(["comment_type", "=", "Comment"])
    assert [row["content"] for row in robot.rows("Comment", ["content"], filters)] == ["checked"]
    assert robot.get("Journal Entry", entry["name"]).value["modified"] == entry["modified"]
    nowhere = {**comment, "reference_name": f"{books.prefix} nowhere"}
    robot.insert("Comment", **nowhere).refused(417, "LinkValidationError")
