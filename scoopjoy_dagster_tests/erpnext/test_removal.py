"""Taking the desk away: everything that setup made for it, nothing of anybody else, and none of the evidence."""

from __future__ import annotations

from typing import Any

import pytest

from scoopjoy_dagster.erpnext import desk_schema
from scoopjoy_dagster.erpnext.client import Client
from scoopjoy_dagster.erpnext.desk_schema import (
    BATCH_RUN,
    BATCH_RUN_REQUEST,
    BATCH_RUN_STEP,
    FORM_SCRIPT,
    RUN_DOCTYPE,
)
from scoopjoy_dagster.erpnext.errors import Rejected
from scoopjoy_dagster.erpnext.installation import install, read_installation
from scoopjoy_dagster.erpnext.removal import DeskOnSite, plan_removal, read_removal, remove
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster_tests.erpnext.desk_site import WEBMASTER, hire
from scoopjoy_dagster_tests.world import change, insert, session_of

EVERYTHING: dict[str, Any] = {
    "doctypes": {one["name"]: one for one in desk_schema.DESK_DOCTYPES},
    "form_script": desk_schema.form_script(),
    "workspace": desk_schema.workspace(),
}

# -- the plan ---------------------------------------------------------------------------------------------------------


def test_what_points_to_something_goes_before_it_and_documents_before_their_doctype() -> None:
    documents = {BATCH_RUN: ["SJ-1", "SJ-2"], BATCH_RUN_REQUEST: ["SJ-1 Run Pipeline Now 0"]}
    steps = plan_removal(DeskOnSite(**EVERYTHING, documents=documents))
    assert [step.sentence for step in steps] == [
        "delete Client Script ScoopJoy Batch Run",
        "delete Workspace ScoopJoy",
        "delete 1 document of Batch Run Request",
        "delete 2 documents of Batch Run",
        "delete DocType Batch Run Request",
        "delete DocType Batch Run",
        "delete DocType Batch Run Step",
    ]


def test_a_site_without_the_desk_loses_nothing() -> None:
    assert plan_removal(DeskOnSite()) == []


@pytest.mark.parametrize(
    ("theirs", "kept"),
    [
        (
            {"doctypes": {**EVERYTHING["doctypes"], BATCH_RUN: RUN_DOCTYPE | {"custom": 0}}},
            "DocType Batch Run",
        ),
        (
            {
                "doctypes": {
                    **EVERYTHING["doctypes"],
                    BATCH_RUN: RUN_DOCTYPE | {"fields": [{"fieldname": "oven", "fieldtype": "Data"}]},
                }
            },
            "DocType Batch Run",
        ),
        (
            {"form_script": desk_schema.form_script() | {"dt": "Customer"}},
            "Client Script ScoopJoy Batch Run",
        ),
        ({"workspace": {"label": "ScoopJoy", "content": "[]"}}, "Workspace ScoopJoy"),
    ],
    ids=["an app's DocType", "another custom DocType", "another script", "another workspace"],
)
def test_what_has_our_name_and_is_not_ours_stays(theirs: dict[str, Any], kept: str) -> None:
    documents = {BATCH_RUN: ["TRAY-1"]}
    sentences = [
        step.sentence for step in plan_removal(DeskOnSite(**{**EVERYTHING, "documents": documents, **theirs}))
    ]
    assert f"delete {kept}" not in sentences
    if "Batch Run" in kept and kept.startswith("DocType"):
        assert "delete 1 document of Batch Run" not in sentences


# -- on a running site ------------------------------------------------------------------------------------------------


def test_removal_takes_the_desk_with_its_documents_and_leaves_the_evidence(
    chain_site: SandboxERPNext,
) -> None:
    hire(chain_site)
    with session_of(chain_site, user=WEBMASTER) as session:
        client = Client(session)
        install(client, read_installation(client), lambda _step: None)
    run = insert(chain_site, BATCH_RUN, run_date="2026-11-22", steps=[{"step_name": "Close POS Shifts"}])
    insert(chain_site, BATCH_RUN_REQUEST, batch_run=run, action="Run Pipeline Now", attempt=0)
    fields = chain_site.documents("Custom Field")
    delivery = chain_site.documents("DocType", name="ScoopJoy Delivery")

    with session_of(chain_site) as session:
        client = Client(session)
        told: list[str] = []
        steps = read_removal(client)
        remove(client, steps, lambda step: told.append(step.sentence))
        assert told == [step.sentence for step in steps]
        assert "delete 1 document of Batch Run" in told
        chain_site.requests.reset()
        assert read_removal(client) == []
        assert chain_site.requests.writes == 0

    for doctype, name in (
        ("Client Script", FORM_SCRIPT),
        ("Workspace", "ScoopJoy"),
        ("DocType", BATCH_RUN),
        ("DocType", BATCH_RUN_STEP),
        ("DocType", BATCH_RUN_REQUEST),
    ):
        assert chain_site.documents(doctype, name=name) == []
    assert chain_site.documents("Custom Field") == fields
    assert chain_site.documents("DocType", name="ScoopJoy Delivery") == delivery


def test_a_desk_that_was_removed_and_installed_again_is_empty(chain_site: SandboxERPNext) -> None:
    insert(chain_site, BATCH_RUN, run_date="2026-11-22", steps=[{"step_name": "Close POS Shifts"}])
    with session_of(chain_site) as session:
        client = Client(session)
        remove(client, read_removal(client), lambda _step: None)
        install(client, read_installation(client), lambda _step: None)
        assert client.rows(BATCH_RUN, ["name"], []) == []
        assert client.rows(BATCH_RUN_STEP, ["name"], [], parent=BATCH_RUN) == []


def test_a_removal_that_broke_off_goes_on_where_it_stopped(chain_site: SandboxERPNext) -> None:
    runs = [insert(chain_site, BATCH_RUN, run_date=f"2026-11-{day}") for day in (20, 21, 22)]
    with session_of(chain_site, attempts=1) as session:
        client = Client(session)
        chain_site.faults.add("refused_before_commit", path="/api/method/frappe.client.delete", nth=2)
        with pytest.raises(Exception, match=f"delete Batch Run {runs[1]}"):
            remove(client, read_removal(client), lambda _step: None)
        assert [doc["name"] for doc in chain_site.documents(BATCH_RUN)] == runs[1:]
        remove(client, read_removal(client), lambda _step: None)
        assert read_removal(client) == []


def test_a_document_of_the_site_that_links_to_a_run_stops_the_removal_with_erpnexts_sentence(
    chain_site: SandboxERPNext,
) -> None:
    run = insert(chain_site, BATCH_RUN, run_date="2026-11-22")
    insert(
        chain_site,
        "Custom Field",
        dt="Customer",
        fieldname="custom_run",
        label="Run",
        fieldtype="Link",
        options=BATCH_RUN,
    )
    insert(
        chain_site,
        "Customer",
        customer_name="Linked",
        customer_group="Commercial",
        territory="India",
        custom_run=run,
    )
    with session_of(chain_site) as session:
        client = Client(session)
        steps = read_removal(client)
        with pytest.raises(Rejected, match="is linked with Customer"):
            remove(client, steps, lambda _step: None)
    assert [doc["name"] for doc in chain_site.documents(BATCH_RUN)] == [run]


def test_a_request_whose_name_no_address_can_have_goes_too(chain_site: SandboxERPNext) -> None:
    run = insert(chain_site, BATCH_RUN, run_date="2026-11-22")
    insert(chain_site, BATCH_RUN_REQUEST, batch_run=run, action="Run Pipeline Now", attempt=0)
    with chain_site.site.transaction():
        chain_site.site.db.run('UPDATE "tabBatch Run Request" SET name = ?', (f"{run} a\nb 0",))
    with session_of(chain_site) as session:
        client = Client(session)
        remove(client, read_removal(client), lambda _step: None)
    assert chain_site.documents("DocType", name=BATCH_RUN_REQUEST) == []
    assert chain_site.documents("DocType", name=BATCH_RUN) == []


# -- the role of the readers ------------------------------------------------------------------------------------------

READER = "ScoopJoy Report Reader"


def sentences_of_the_role(site: SandboxERPNext) -> list[str]:
    with session_of(site) as session:
        return [step.sentence for step in read_removal(Client(session)) if step.doctype == "Role"]


def test_the_role_of_the_readers_stays_while_somebody_has_it_and_goes_after(
    chain_site: SandboxERPNext,
) -> None:
    assert sentences_of_the_role(chain_site) == []
    for user in chain_site.documents("User"):
        roles = [{"role": row["role"]} for row in user["roles"] if row["role"] != READER]
        if len(roles) != len(user["roles"]):
            change(chain_site, "User", user["name"], roles=roles)
    assert sentences_of_the_role(chain_site) == [f"delete Role {READER}"]
    with session_of(chain_site) as session:
        client = Client(session)
        remove(client, read_removal(client), lambda _step: None)
    assert chain_site.documents("Role", name=READER) == []
    assert sentences_of_the_role(chain_site) == []


def test_a_role_that_erpnext_keeps_because_something_else_links_to_it_is_left_with_a_sentence(
    chain_site: SandboxERPNext,
) -> None:
    for user in chain_site.documents("User"):
        roles = [{"role": row["role"]} for row in user["roles"] if row["role"] != READER]
        change(chain_site, "User", user["name"], roles=roles)
    insert(
        chain_site, "Custom Field", dt="Customer", fieldname="custom_role", label="Role", fieldtype="Link",
        options="Role",
    )  # fmt: skip
    insert(
        chain_site, "Customer", customer_name="Linked", customer_group="Commercial", territory="India",
        custom_role=READER,
    )  # fmt: skip
    with session_of(chain_site) as session:
        client = Client(session)
        told: list[str] = []
        remove(client, read_removal(client), lambda step: told.append(step.sentence))
    (said,) = [one for one in told if READER in one]
    assert said.startswith(f"leave Role {READER}: ")
    assert "is linked with Customer" in said
    assert len(chain_site.documents("Role", name=READER)) == 1
