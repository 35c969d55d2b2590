"""What a site may want on a Journal Entry besides: accounting dimensions, and mandatory custom fields."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .books import Books
    from .site import Caller

DIMENSION, FIELD = "Accounting Dimension", "sjc_contract_dimension"
PATIENCE_S = 180
"""A site makes the fields of a dimension in the background: some forty tables are altered."""


@pytest.fixture(scope="module")
def dimension(robot: Caller) -> str:
    """A dimension whose fields are there; nobody must fill it. It is left behind for the next run."""
    wanted = [["document_type", "=", "Customer Group"]]
    if not robot.rows(DIMENSION, ["name"], wanted):
        robot.insert(
            DIMENSION, document_type="Customer Group", label="SJC Contract Dimension", fieldname=FIELD
        ).accepted()
    made = ["Journal Entry Account", "GL Entry"]
    fields = [["dt", "in", made], ["fieldname", "=", FIELD]]
    give_up = time.monotonic() + PATIENCE_S
    while len(robot.rows("Custom Field", ["name"], fields)) < len(made):
        assert time.monotonic() < give_up, (
            "the site has not made the fields of the dimension: does a worker run?"
        )
        time.sleep(1)  # a job of the site, which no call waits for
    return str(robot.rows(DIMENSION, ["name"], wanted)[0]["name"])


@contextmanager
def mandatory(robot: Caller, books: Books, dimension: str, **kinds: int) -> Iterator[None]:
    row = {"company": books.company, "reference_document": "Customer Group", **kinds}
    robot.put(DIMENSION, dimension, dimension_defaults=[row]).accepted()
    try:
        yield
    finally:
        robot.put(DIMENSION, dimension, dimension_defaults=[]).accepted()


def with_dimension(entry: dict[str, Any], value: str, *rows: int) -> dict[str, Any]:
    accounts = [{**row, **({FIELD: value} if at in rows else {})} for at, row in enumerate(entry["accounts"])]
    return {**entry, "accounts": accounts}


@pytest.mark.parametrize(("kind", "row", "other"), [("mandatory_for_bs", 0, 1), ("mandatory_for_pl", 1, 0)])
def test_a_mandatory_dimension_is_wanted_on_the_rows_of_its_kind_of_account(
    robot: Caller, books: Books, franchise: str, dimension: str, kind: str, row: int, other: int
) -> None:
    """The receivable row is of the balance sheet, the income row of profit and loss."""
    entry = books.royalty(franchise)
    with mandatory(robot, books, dimension, **{kind: 1}):
        for wrong in (entry, with_dimension(entry, books.north, other)):
            robot.insert("Journal Entry", **wrong, docstatus=1).refused(417, "ValidationError")
        made = robot.insert("Journal Entry", **with_dimension(entry, books.north, row), docstatus=1).value
    rows = robot.rows(
        "GL Entry", ["account", FIELD], [["voucher_no", "=", made["name"]]], order_by="debit desc"
    )
    assert [one[FIELD] for one in rows] == [books.north if at == row else None for at in (0, 1)]


def test_mandatory_dimensions_are_listed_by_the_roles_of_the_close(
    small: Caller, robot: Caller, books: Books, dimension: str
) -> None:
    fields = ["name", "label", "fieldname"] + [
        f"dimension_defaults.{name}" for name in ("company", "mandatory_for_bs", "mandatory_for_pl")
    ]
    filters = [["disabled", "=", 0], ["name", "=", dimension]]
    with mandatory(robot, books, dimension, mandatory_for_bs=1):
        (row,) = small.rows(DIMENSION, fields, filters)
    assert {key: row[key] for key in ("fieldname", "company", "mandatory_for_bs", "mandatory_for_pl")} == {
        "fieldname": FIELD,
        "company": books.company,
        "mandatory_for_bs": 1,
        "mandatory_for_pl": 0,
    }
    (row,) = small.rows(DIMENSION, fields, filters)
    assert (row["company"], row["mandatory_for_bs"]) == (None, None)
