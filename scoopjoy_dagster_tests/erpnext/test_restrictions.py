"""Which User Permissions of the integration user hide something that the close needs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.erpnext.preflight import DESK_PERMISSIONS, PERMISSIONS
from scoopjoy_dagster.erpnext.restrictions import LOOKED_AT, restrictions

OURS = "ScoopJoy"


def rows(*names: str, applicable_for: str | None = None) -> list[dict[str, Any]]:
    return [{"doc": name, "applicable_for": applicable_for, "is_default": 0} for name in names]


def test_all_that_the_program_needs_is_looked_at() -> None:
    assert {doctype for doctype, _ in (*PERMISSIONS, *DESK_PERMISSIONS)} <= LOOKED_AT


@pytest.mark.parametrize(
    "permissions",
    [
        {},
        {"Company": rows(OURS)},
        {"Company": rows("Other", OURS)},
        {"Customer": rows("Thane", applicable_for="Sales Order")},
        {"Company": rows("Other", applicable_for="Purchase Invoice")},
        {"Company": [*rows(OURS), *rows("Other", applicable_for="Sales Invoice")]},
    ],
)
def test_what_hides_nothing_of_ours_is_no_restriction(permissions: dict[str, list[dict[str, Any]]]) -> None:
    assert restrictions(permissions, OURS) == []


@pytest.mark.parametrize(
    ("permissions", "said"),
    [
        ({"Customer": rows("Thane")}, ["Customer Thane"]),
        ({"Customer": rows("Thane", applicable_for="Sales Invoice")}, ["Customer Thane"]),
        ({"Customer": rows("E", "D", "C", "B", "A")}, ["Customer A, B, C and 2 more"]),
        ({"Company": rows("Other")}, ["Company Other"]),
        (
            {"Company": [*rows(OURS, applicable_for="Customer"), *rows("Other", applicable_for="GL Entry")]},
            ["Company Other"],
        ),
        (
            {"Territory": rows("West"), "Customer Group": rows("North")},
            ["Customer Group North", "Territory West"],
        ),
    ],
)
def test_what_hides_something_is_named(permissions: dict[str, list[dict[str, Any]]], said: list[str]) -> None:
    assert restrictions(permissions, OURS) == said


def test_the_only_company_that_a_user_sees_is_ours_where_none_is_set() -> None:
    assert restrictions({"Company": rows("Any")}, "") == []


@given(
    st.sampled_from(["Customer", "Territory", "Branch", "User"]),
    st.sampled_from([None, *sorted(LOOKED_AT), "Sales Order", "Item", "Employee"]),
)
def test_one_is_a_restriction_unless_it_is_for_a_doctype_that_is_not_looked_at(
    allow: str, applicable_for: str | None
) -> None:
    found = restrictions({allow: rows("X", applicable_for=applicable_for)}, OURS)
    assert bool(found) == (applicable_for is None or applicable_for in LOOKED_AT)
