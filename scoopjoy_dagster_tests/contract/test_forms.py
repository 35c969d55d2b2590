"""What every logged-in user can read of a DocType: its fields in force, its rules, and its active workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .site import Caller, Site

FORM = "/api/method/frappe.desk.form.load.getdoctype"


@pytest.fixture(scope="module")
def slip(site: Site, keeper: Caller) -> str:
    """A submittable DocType: Sales Managers see only what is their own, Accounts Managers nothing."""
    name = f"{site.prefix} Slip"
    everything = dict.fromkeys(("read", "write", "create", "submit", "cancel", "delete"), 1)
    keeper.insert(
        "DocType",
        name=name,
        module="Custom",
        custom=1,
        is_submittable=1,
        autoname="hash",
        fields=[{"fieldname": "note", "label": "Note", "fieldtype": "Data"}],
        permissions=[
            {"role": "System Manager", **everything},
            {"role": "Sales Manager", "if_owner": 1, "read": 1, "write": 1, "create": 1, "delete": 0},
        ],
    ).accepted()
    return name


@pytest.fixture(scope="module")
def workflow(site: Site, keeper: Caller, slip: str) -> str:
    """An active workflow on it, from a draft that waits to one that is approved by submission."""
    states = [f"{site.prefix} Waiting", f"{site.prefix} Approved"]
    for state in states:
        keeper.insert("Workflow State", workflow_state_name=state).accepted()
    action = keeper.insert("Workflow Action Master", workflow_action_name=f"{site.prefix} Approve").value[
        "name"
    ]
    role = {"allow_edit": "System Manager"}
    body = {
        "workflow_name": f"{site.prefix} Flow",
        "document_type": slip,
        "is_active": 1,
        "workflow_state_field": "workflow_state",
        "states": [
            {"state": states[0], "doc_status": "0", **role},
            {"state": states[1], "doc_status": "1", **role},
        ],
        "transitions": [
            {"state": states[0], "action": action, "next_state": states[1], "allowed": "System Manager"}
        ],
    }
    return str(keeper.insert("Workflow", **body).value["name"])


def form(caller: Caller, doctype: str) -> list[dict[str, Any]]:
    answer = caller.call("GET", FORM, params={"doctype": doctype})
    answer.accepted()
    docs: list[dict[str, Any]] = answer.body["docs"]
    return docs


def test_a_user_whose_rule_is_only_if_creator_lists_its_own_in_silence(
    small: Caller, keeper: Caller, slip: str
) -> None:
    keeper.insert(slip, note="of another").accepted()
    own = small.insert(slip, note="of its own").value["name"]
    assert [row["name"] for row in small.rows(slip, ["name"])] == [own]
    # ERPNext answers that the user may read this document type.
    asked = small.rpc("frappe.client.has_permission", doctype=slip, docname="", perm_type="read").value
    assert asked == {"has_permission": True}


def test_the_rules_are_in_the_form(small: Caller, slip: str) -> None:
    rules = form(small, slip)[0]["permissions"]
    found = {
        row["role"]: (bool(row.get("if_owner")), bool(row["read"]), int(row.get("permlevel") or 0))
        for row in rules
    }
    assert found == {"System Manager": (False, True, 0), "Sales Manager": (True, True, 0)}


def test_an_active_workflow_is_in_the_form_and_may_not_be_listed(
    small: Caller, slip: str, workflow: str
) -> None:
    docs = form(small, slip)[0]["__workflow_docs"]
    (flow,) = [one for one in docs if one["doctype"] == "Workflow"]
    assert (flow["name"], flow["document_type"]) == (workflow, slip)
    small.page("Workflow", ["name"]).refused(403, "PermissionError")


def test_a_document_inserted_as_submitted_passes_the_workflow_by(
    keeper: Caller, slip: str, workflow: str
) -> None:
    """Submitted, and in the state of one that somebody has approved."""
    states = [row["state"] for row in keeper.get("Workflow", workflow).value["states"]]
    made = keeper.insert(slip, note="at once", docstatus=1).value
    assert (made["docstatus"], made["workflow_state"]) == (1, states[1])
    draft = keeper.insert(slip, note="in two steps").value
    assert (draft["docstatus"], draft["workflow_state"]) == (0, states[0])


def test_mandatory_fields_of_an_entry_and_of_its_rows_are_in_one_form(small: Caller) -> None:
    docs = {one["name"]: one for one in form(small, "Journal Entry")}
    for doctype, field in (("Journal Entry", "company"), ("Journal Entry Account", "account")):
        wanted = {one["fieldname"] for one in docs[doctype]["fields"] if one.get("reqd")}
        assert field in wanted
    assert not docs["Journal Entry"].get("__workflow_docs")
