"""The documented roles of the integration user, Sales Manager and Accounts Manager, are enough for every call of a night."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from .lines import V15
from .marks import only_v16
from .night_calls import FORM, FORMS, LISTS, LISTS_SINCE_V16, OWN_PERMISSIONS, QUESTIONS
from .shifts import CLOSING, Shift

if TYPE_CHECKING:
    from .books import Books
    from .site import Caller

MAY_BE_EMPTY = {
    *("Accounting Dimension", "Accounting Period", "Period Closing Voucher", "File"),
    *("Journal Entry", "Journal Entry Account", "GL Entry"),
    *(
        "POS Closing Entry",
        "POS Invoice",
        "POS Invoice Reference",
        "Sales Invoice",
        "Sales Invoice Reference",
    ),
    *("Sales Invoice Payment", "Sales Taxes and Charges"),
}
"""What a site may have none of when nothing but a shift and a franchise has been made."""


@pytest.mark.parametrize("doctype", [*LISTS, *LISTS_SINCE_V16])
def test_every_list_of_a_night_shows_all_that_it_asks_for(
    small: Caller, robot: Caller, line: str, shift: Shift, franchise: str, doctype: str
) -> None:
    """ERPNext leaves out fields and rows that a user may not see, without an error. So compare with what a user with all roles sees."""
    del shift, franchise  # there is something to list
    if doctype in LISTS_SINCE_V16 and line == V15:
        return
    fields, parent = (LISTS | LISTS_SINCE_V16)[doctype]
    more = {"parent": parent, "order_by": "parent asc, idx asc"} if parent else {}
    # v16 shows nobody else's private files that hang on nothing.
    filters = [["attached_to_doctype", "=", "Journal Entry"]] if doctype == "File" else []
    seen = [who.rows(doctype, fields, filters, **more) for who in (small, robot)]
    assert sorted(map(repr, seen[0])) == sorted(map(repr, seen[1]))
    assert seen[0] or doctype in MAY_BE_EMPTY


@pytest.mark.parametrize("method", QUESTIONS)
def test_every_question_without_a_document_is_answered(small: Caller, method: str) -> None:
    small.rpc(method).accepted()


@pytest.mark.parametrize("doctype", FORMS)
def test_the_rules_of_a_doctype_are_told(small: Caller, doctype: str) -> None:
    found = small.call("GET", f"/api/method/{FORM}", params={"doctype": doctype})
    found.accepted()
    (form,) = [one for one in found.body["docs"] if one["name"] == doctype]
    assert {row["role"] for row in form["permissions"]}


def test_nothing_restricts_it(small: Caller) -> None:
    assert small.rpc(OWN_PERMISSIONS).value == {}


def test_it_closes_a_shift(small: Caller, shift: Shift) -> None:
    sold = shift.sell(1)
    own = Shift(replace(shift.counter, robot=small), shift.opening)
    assert sold in own.told()
    closing = own.close(sold)
    assert small.get(CLOSING, closing).value["status"] == "Submitted"
    assert shift.status() == "Closed"


def test_it_posts_entries_and_attaches_files_to_them(small: Caller, books: Books, franchise: str) -> None:
    entry = {"doctype": "Journal Entry", **books.royalty(franchise), "docstatus": 1}
    (name,) = small.rpc("frappe.client.insert_many", docs=[entry]).value
    assert small.get("Journal Entry", name).value["docstatus"] == 1
    body = {
        "doctype": "File",
        "file_name": f"{name}.txt",
        "attached_to_doctype": "Journal Entry",
        "attached_to_name": name,
        "is_private": 1,
        "content": "c3RhdGVtZW50",
        "decode": 1,
    }
    (made,) = small.rpc("frappe.client.insert_many", docs=[body]).value
    assert small.rows("File", ["name"], [["attached_to_name", "=", name]]) == [{"name": made}]
    small.delete("File", made).accepted()


@only_v16
def test_it_may_not_read_what_the_tills_make_which_the_shifts_themselves_say(
    small: Caller, shift: Shift
) -> None:
    single = {"doctype": "POS Settings", "field": "invoice_type"}
    small.rpc("frappe.client.get_single_value", **single).refused(403, "PermissionError")
    sold = shift.sell(1)
    assert sold in Shift(replace(shift.counter, robot=small), shift.opening).told()


def test_who_has_a_role_is_told_by_the_roles_themselves(small: Caller, line: str) -> None:
    """As a filter of the User list later lines refuse it to whoever is no System Manager."""
    role, enabled = ["Has Role", "role", "in", ["Accounts Manager"]], ["User", "enabled", "=", 1]
    asked = {"doctype": "User", "fields": ["name"], "filters": [role, enabled]}
    answer = small.rpc("frappe.client.get_list", **asked)
    if line == V15:
        answer.accepted()
    else:
        answer.refused(403, "PermissionError")
    assert small.rows("Has Role", ["parent"], [["role", "=", "Accounts Manager"]], parent="User")
