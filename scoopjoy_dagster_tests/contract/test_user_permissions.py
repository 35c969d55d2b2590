"""User Permissions: what they hide from lists in silence, and that a user may ask for its own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .books import Books
    from .site import Caller, Site

OWN = "frappe.core.doctype.user_permission.user_permission.get_user_permissions"


@pytest.fixture(scope="module")
def clerk(site: Site) -> Caller:
    """A user with the roles of the close whom these tests restrict."""
    return site.hire("clerk", ["Sales Manager", "Accounts Manager"])


@pytest.fixture(scope="module")
def two(robot: Caller, books: Books) -> tuple[str, str]:
    """Two customers, each with a Sales Invoice and a royalty entry."""
    names = (books.customer(robot, "Shown"), books.customer(robot, "Hidden"))
    for name in names:
        robot.insert("Sales Invoice", **books.invoice(name), docstatus=1).accepted()
        robot.insert("Journal Entry", **books.royalty(name), docstatus=1).accepted()
    return names


@contextmanager
def restricted(keeper: Caller, user: str, allow: str, value: str, **more: Any) -> Iterator[str]:
    values = {"user": user, "allow": allow, "for_value": value, "apply_to_all_doctypes": 1, **more}
    made = keeper.insert("User Permission", **values).value["name"]
    try:
        yield made
    finally:
        keeper.delete("User Permission", made).accepted()


def sold_to(caller: Caller, two: tuple[str, str]) -> list[str]:
    rows = caller.rows(
        "Sales Invoice", ["customer"], [["customer", "in", list(two)]], order_by="customer asc"
    )
    return sorted({row["customer"] for row in rows})


def test_without_any_a_user_sees_all_and_is_told_so(clerk: Caller, two: tuple[str, str]) -> None:
    assert clerk.rpc(OWN).value == {}
    assert sold_to(clerk, two) == sorted(two)


def test_one_for_a_customer_hides_the_others_and_their_invoices_in_silence(
    clerk: Caller, keeper: Caller, two: tuple[str, str]
) -> None:
    shown, hidden = two
    with restricted(keeper, clerk.user, "Customer", shown):
        assert sold_to(clerk, two) == [shown]
        assert clerk.rows("Customer", ["name"], [["name", "in", list(two)]]) == [{"name": shown}]
        clerk.get("Customer", hidden).refused(403, "PermissionError")
        # The ledger links no customer: the party is a dynamic link.
        rows = clerk.rows(
            "GL Entry", ["party"], [["party", "in", list(two)], ["voucher_type", "=", "Journal Entry"]]
        )
        assert {row["party"] for row in rows} == set(two)
        (row,) = clerk.rpc(OWN).value["Customer"]
        assert (row["doc"], row["applicable_for"]) == (shown, None)
    assert sold_to(clerk, two) == sorted(two)


def test_one_for_a_customer_group_shows_what_is_below_it_and_names_it(
    clerk: Caller, keeper: Caller, robot: Caller, books: Books
) -> None:
    north, south = (
        books.customer(robot, "In North", books.north),
        books.customer(robot, "In South", books.south),
    )
    with restricted(keeper, clerk.user, "Customer Group", books.north):
        found = clerk.rows("Customer", ["name"], [["name", "in", [north, south]]])
        assert found == [{"name": north}]
    with restricted(keeper, clerk.user, "Customer Group", books.franchises):
        found = clerk.rows("Customer", ["name"], [["name", "in", [north, south]]])
        assert [row["name"] for row in found] == [north, south]
        told = {row["doc"] for row in clerk.rpc(OWN).value["Customer Group"]}
        assert {books.franchises, books.north, books.south} <= told


def test_one_that_applies_to_a_doctype_hides_in_that_alone(
    clerk: Caller, keeper: Caller, two: tuple[str, str]
) -> None:
    shown, _ = two
    of_orders = {"apply_to_all_doctypes": 0, "applicable_for": "Sales Invoice"}
    with restricted(keeper, clerk.user, "Customer", shown, **of_orders):
        assert sold_to(clerk, two) == [shown]
        assert len(clerk.rows("Customer", ["name"], [["name", "in", list(two)]])) == 2
        (row,) = clerk.rpc(OWN).value["Customer"]
        assert (row["doc"], row["applicable_for"]) == (shown, "Sales Invoice")


def test_one_for_the_company_of_all_documents_hides_none_of_them(
    clerk: Caller, keeper: Caller, books: Books, two: tuple[str, str]
) -> None:
    with restricted(keeper, clerk.user, "Company", books.company):
        assert sold_to(clerk, two) == sorted(two)
        assert len(clerk.rows("Customer", ["name"], [["name", "in", list(two)]])) == 2
