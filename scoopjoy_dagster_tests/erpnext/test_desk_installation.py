"""The Batch Run desk on a site: installed once, brought up to date, and what is the site's own is left alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from scoopjoy_dagster.erpnext import desk_schema
from scoopjoy_dagster.erpnext.client import KEY_FIELD, Client
from scoopjoy_dagster.erpnext.desk_schema import (
    BATCH_RUN,
    BATCH_RUN_REQUEST,
    BATCH_RUN_STEP,
    DESK_DOCTYPES,
    FORM_SCRIPT,
    REQUEST_DOCTYPE,
    RUN_DOCTYPE,
    STEP_DOCTYPE,
    form_script,
)
from scoopjoy_dagster.erpnext.errors import Duplicate, Forbidden, Rejected
from scoopjoy_dagster.erpnext.install_step import InstallStep
from scoopjoy_dagster.erpnext.installation import (
    SiteState,
    install,
    plan_desk,
    plan_installation,
    read_installation,
)
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster_tests.erpnext.desk_site import (
    ACCOUNTANT,
    CASHIER,
    VIEWER,
    WEBMASTER,
    complete_desk,
    hire,
    with_doctype,
)
from scoopjoy_dagster_tests.world import change, insert, session_of

# -- the plan ---------------------------------------------------------------------------------------------------------


def test_an_empty_site_needs_the_child_before_its_parent_and_the_parent_before_what_links_to_it() -> None:
    steps = plan_desk(SiteState())
    assert [(step.kind, step.doctype, step.name) for step in steps] == [
        ("create", "DocType", BATCH_RUN_STEP),
        ("create", "DocType", BATCH_RUN),
        ("create", "DocType", BATCH_RUN_REQUEST),
        ("create", "Client Script", FORM_SCRIPT),
        ("create", "Workspace", "ScoopJoy"),
    ]


def test_a_site_with_the_whole_desk_needs_nothing() -> None:
    assert plan_desk(complete_desk()) == []


def test_a_site_that_does_not_want_the_desk_gets_none() -> None:
    assert not [step for step in plan_installation(SiteState(), desk=False) if "Batch Run" in step.name]


DESK_FIELDS = [(doctype, field["fieldname"]) for doctype in DESK_DOCTYPES for field in doctype["fields"]]


def edited(doctype: dict[str, Any], fieldname: str, **values: Any) -> dict[str, Any]:
    """A DocType with other properties of one field."""
    fields = [field | (values if field["fieldname"] == fieldname else {}) for field in doctype["fields"]]
    return doctype | {"fields": fields}


@pytest.mark.parametrize(
    ("doctype", "missing"), DESK_FIELDS, ids=lambda one: one if isinstance(one, str) else ""
)
def test_a_doctype_of_an_earlier_version_gets_what_it_lacks_and_keeps_what_the_site_added(
    doctype: dict[str, Any], missing: str
) -> None:
    theirs = {"fieldname": "remarks", "fieldtype": "Data", "label": "Remarks", "name": "a1b2c3"}
    fields = [field for field in doctype["fields"] if field["fieldname"] != missing]
    (step,) = plan_desk(with_doctype(doctype | {"fields": [*fields, theirs]}))
    assert (step.kind, step.name) == ("change", doctype["name"])
    assert step.sentence.endswith(f"it lacks {missing}")
    fields = step.body["fields"]
    assert [field["idx"] for field in fields] == list(range(1, len(fields) + 1))
    assert [{**field, "idx": 0} for field in fields] == [
        {**field, "idx": 0} for field in (*doctype["fields"], theirs)
    ]


def test_a_field_whose_options_are_of_an_earlier_version_is_changed_in_its_row() -> None:
    stored = edited(RUN_DOCTYPE, "status", options="Queued\nRunning\nDone", name="row-1")
    (step,) = plan_desk(with_doctype(stored))
    assert (
        step.reason == "status: options must be Queued | Running | Completed | Completed with Errors | Failed"
    )
    (status,) = [field for field in step.body["fields"] if field["fieldname"] == "status"]
    assert status["name"] == "row-1"
    assert status["options"].splitlines() == list(desk_schema.RUN_STATUSES)


@pytest.mark.parametrize(
    ("doctype", "fieldname", "flag"),
    [
        (RUN_DOCTYPE, KEY_FIELD, "unique"),
        (RUN_DOCTYPE, KEY_FIELD, "no_copy"),
        (RUN_DOCTYPE, "status", "read_only"),
        (RUN_DOCTYPE, "run_date", "set_only_once"),
        (REQUEST_DOCTYPE, "batch_run", "reqd"),
    ],
)
def test_a_flag_that_the_desk_rests_on_is_mended(doctype: dict[str, Any], fieldname: str, flag: str) -> None:
    (step,) = plan_desk(with_doctype(edited(doctype, fieldname, **{flag: 0})))
    assert step.reason == f"{fieldname}: {flag} must be on"
    assert step.body["fields"] == doctype["fields"]


def test_how_a_site_shows_a_field_is_its_own_business() -> None:
    for doctype in DESK_DOCTYPES:
        fields = [
            field | {"label": "Anders", "in_list_view": 1, "columns": 4, "description": "x"}
            for field in doctype["fields"]
        ]
        assert plan_desk(with_doctype(doctype | {"fields": fields})) == []


def test_a_role_that_lost_a_right_gets_it_back_and_roles_of_the_site_stay() -> None:
    theirs = {"role": "Auditor", "read": 1}
    grants = [
        grant | ({"write": 0, "create": 0} if grant["role"] == "Accounts Manager" else {})
        for grant in RUN_DOCTYPE["permissions"]
        if grant["role"] != "Sales Manager"
    ]
    (step,) = plan_desk(with_doctype(RUN_DOCTYPE | {"permissions": [theirs, *grants]}))
    assert (
        step.reason
        == "Accounts Manager: write must be on, create must be on; Sales Manager has no permissions"
    )
    assert step.body["permissions"] == [theirs, *RUN_DOCTYPE["permissions"]]


def test_a_role_that_may_write_and_must_not_loses_the_right_and_keeps_what_harms_nothing() -> None:
    grants = [
        grant | ({"write": 1, "print": 1} if grant["role"] == "Accounts User" else {})
        for grant in RUN_DOCTYPE["permissions"]
    ]
    (step,) = plan_desk(with_doctype(RUN_DOCTYPE | {"permissions": grants}))
    assert step.reason == "Accounts User: write must be off"
    (row,) = [row for row in step.body["permissions"] if row["role"] == "Accounts User"]
    assert (row["write"], row["print"]) == (0, 1)


def test_requests_that_are_not_named_by_what_they_ask_are_a_change() -> None:
    (step,) = plan_desk(with_doctype(REQUEST_DOCTYPE | {"autoname": "hash"}))
    assert step.body == {
        "autoname": "format:{batch_run} {action} {attempt}",
        "naming_rule": "Expression",
    }


def test_a_status_without_a_colour_gets_one_and_the_sites_colours_stay() -> None:
    first, *rest = RUN_DOCTYPE["states"]
    theirs = {"title": first["title"], "color": "Pink"}
    (step,) = plan_desk(with_doctype(RUN_DOCTYPE | {"states": [theirs, *rest[:-1]]}))
    assert step.body == {"states": [theirs, *rest]}


@pytest.mark.parametrize(
    ("doctype", "sentence"),
    [
        (RUN_DOCTYPE | {"custom": 0, "module": "Scoop"}, "an app on the site brings a DocType of this name"),
        (RUN_DOCTYPE | {"istable": 1}, "that is a child table; rename or delete it"),
        (
            edited(RUN_DOCTYPE, "run_date", fieldtype="Data"),
            "run_date is a Data field, a Date field is needed",
        ),
    ],
)
def test_what_is_in_the_way_is_refused_with_what_to_do(doctype: dict[str, Any], sentence: str) -> None:
    (step,) = plan_desk(with_doctype(doctype))
    assert step.kind == "refuse"
    assert sentence in step.sentence
    assert step.sentence.endswith("or do without the desk (SCOOPJOY_BATCH_RUN_DESK=off)")


def test_a_script_with_another_text_is_brought_up_to_date_and_nothing_else_of_it() -> None:
    stored = {**form_script(), "script": "// of an earlier version"}
    (step,) = plan_desk(complete_desk(form_script=stored))
    assert (step.kind, step.name, step.body) == ("change", FORM_SCRIPT, {"script": form_script()["script"]})


def test_a_script_of_our_name_for_something_else_is_refused() -> None:
    (step,) = plan_desk(complete_desk(form_script={**form_script(), "dt": "Customer"}))
    assert (step.kind, step.doctype) == ("refuse", "Client Script")


def test_the_script_says_its_version_which_changes_with_its_text() -> None:
    head, _, text = form_script()["script"].partition("\n")
    assert head.startswith("// Installed by `scoopjoy setup` (version ")
    assert text.startswith("// The form of a Batch Run")


def test_who_may_not_make_a_workspace_is_told_so_and_nothing_is_missing() -> None:
    (step,) = plan_desk(complete_desk(workspace=False, may_make_workspace=False))
    assert step.kind == "leave"
    assert "only a user with the role Workspace Manager may make a public one" in step.sentence


def test_every_field_but_the_day_is_read_only_or_hidden() -> None:
    for doctype in DESK_DOCTYPES:
        for field in doctype["fields"]:
            if field["fieldtype"] in {"Section Break", "Column Break"} or field["fieldname"] == "run_date":
                continue
            assert field.get("read_only") or field.get("hidden"), field["fieldname"]


# -- on a running site ------------------------------------------------------------------------------------------------


@pytest.fixture
def bare() -> Iterator[SandboxERPNext]:
    """A site with masters and people, without our fields."""
    with SandboxERPNext(":memory:", clock=lambda: datetime(2026, 11, 23, 1)) as site:
        seed.master_data(site)
        hire(site)
        yield site


@pytest.fixture
def desk(bare: SandboxERPNext) -> SandboxERPNext:
    """A site with everything installed."""
    set_up(bare)
    return bare


def set_up(site: SandboxERPNext, user: str = "robot@scoopjoy.example") -> list[InstallStep]:
    """Run the installation; returns what was done or left out."""
    told: list[InstallStep] = []
    with session_of(site, user=user) as session:
        client = Client(session)
        install(client, read_installation(client), told.append)
    return told


def test_setup_twice_installs_the_desk_once(bare: SandboxERPNext) -> None:
    done = [(step.kind, step.name) for step in set_up(bare) if step.doctype != "Custom Field"]
    assert done == [
        ("create", "Royalty Share"),
        ("create", "ScoopJoy Delivery"),
        ("create", "ScoopJoy Journal Entry"),
        ("create", "ScoopJoy POS Closing Entry"),
        ("create", "Royalty Shares"),
        ("create", "Journal Entry-naming_series-options"),
        ("create", "ScoopJoy Report Reader"),
        ("create", BATCH_RUN_STEP),
        ("create", BATCH_RUN),
        ("create", BATCH_RUN_REQUEST),
        ("create", FORM_SCRIPT),
        ("leave", "ScoopJoy"),
    ]
    bare.requests.reset()
    assert [step.kind for step in set_up(bare)] == ["leave"]
    assert bare.requests.writes == 0


def test_a_workspace_manager_installs_the_workspace_too_and_what_people_made_of_it_stays(
    bare: SandboxERPNext,
) -> None:
    (made,) = [step for step in set_up(bare, WEBMASTER) if step.doctype == "Workspace"]
    assert made.kind == "create"
    (workspace,) = bare.documents("Workspace")
    assert (workspace["public"], [row["label"] for row in workspace["shortcuts"]]) == (
        1,
        ["Batch Run", "Runs with Errors", "ScoopJoy Delivery"],
    )
    change(bare, "Workspace", "ScoopJoy", shortcuts=[], is_hidden=1)
    assert set_up(bare, WEBMASTER) == []
    assert set_up(bare) == []


def test_a_workspace_that_the_site_refuses_is_one_sentence_and_not_the_end(bare: SandboxERPNext) -> None:
    with session_of(bare) as session:
        client = Client(session)
        steps = plan_installation(SiteState())  # a plan that believes that the robot may
        told: list[InstallStep] = []
        install(client, steps, told.append)
    assert (told[-1].kind, told[-1].name) == ("leave", "ScoopJoy")
    assert "You need to be Workspace Manager to edit this document" in told[-1].sentence


def test_a_script_that_the_site_has_disabled_is_updated_and_stays_disabled(desk: SandboxERPNext) -> None:
    change(desk, "Client Script", FORM_SCRIPT, enabled=0, script="// theirs")
    assert [step.name for step in set_up(desk) if step.kind == "change"] == [FORM_SCRIPT]
    (script,) = desk.documents("Client Script", name=FORM_SCRIPT)
    assert (script["enabled"], script["script"]) == (0, form_script()["script"])


def test_a_desk_of_an_earlier_version_is_brought_up_to_date_with_its_documents(bare: SandboxERPNext) -> None:
    with session_of(bare) as session:
        client = Client(session)
        client.insert("DocType", STEP_DOCTYPE)
        earlier = [
            field
            | ({"options": "Queued\nRunning\nCompleted\nFailed"} if field["fieldname"] == "status" else {})
            for field in RUN_DOCTYPE["fields"]
            if field["fieldname"] not in {"dagster_url", "execution_log"}
        ]
        grants = [grant for grant in RUN_DOCTYPE["permissions"] if grant["role"] == "System Manager"]
        client.insert("DocType", RUN_DOCTYPE | {"fields": earlier, "permissions": grants, "states": []})
        kept = client.insert(
            BATCH_RUN, {"run_date": "2026-11-20", "status": "Failed", "steps": [{"step_name": "one"}]}
        )
    set_up(bare)
    assert [step.kind for step in set_up(bare)] == ["leave"]
    with session_of(bare, user=ACCOUNTANT) as session:
        client = Client(session)
        done = client.update(
            BATCH_RUN,
            kept["name"],
            {"status": "Completed with Errors", "dagster_url": "https://dagster.example/runs/1"},
        )
    assert (done["run_date"], [row["step_name"] for row in done["steps"]]) == ("2026-11-20", ["one"])


EARLIER_ACTION = {"fieldtype": "Data", "options": ""}
"""What a request could ask for before: any text."""

_SERIES = "SJ-BATCH-.YYYY.-.#####"
EARLIER_SERIES = {"fieldname": "naming_series", "label": "Series", "fieldtype": "Select", "options": _SERIES,
                  "default": _SERIES, "reqd": 1, "hidden": 1}  # fmt: skip
"""By what a Batch Run was named before: whoever made one chose it."""


def test_an_action_of_an_earlier_version_becomes_a_choice_in_its_row() -> None:
    stored = edited(REQUEST_DOCTYPE, "action", name="row-1", **EARLIER_ACTION)
    (step,) = plan_desk(with_doctype(stored))
    assert (step.kind, step.name) == ("change", BATCH_RUN_REQUEST)
    assert step.reason.startswith("action: it must be a Select field; action: options must be Run Pipeline")
    (action,) = [field for field in step.body["fields"] if field["fieldname"] == "action"]
    assert (action["name"], action["fieldtype"]) == ("row-1", "Select")
    assert action["options"].splitlines() == list(desk_schema.ACTIONS)


def test_an_address_that_the_desk_made_a_link_of_is_none_after_setup() -> None:
    (step,) = plan_desk(with_doctype(edited(RUN_DOCTYPE, "dagster_url", options="URL")))
    assert step.reason == "dagster_url: options must be empty"
    (url,) = [field for field in step.body["fields"] if field["fieldname"] == "dagster_url"]
    assert url["options"] == ""


def test_a_batch_run_that_its_maker_could_name_is_named_by_a_rule() -> None:
    earlier = {"autoname": "naming_series:", "fields": [EARLIER_SERIES, *RUN_DOCTYPE["fields"]]}
    (step,) = plan_desk(with_doctype(RUN_DOCTYPE | earlier))
    assert step.kind == "change"
    assert step.reason == f"documents must be named {RUN_DOCTYPE['autoname']}; naming_series must go"
    assert step.body["autoname"] == RUN_DOCTYPE["autoname"]
    assert [field["fieldname"] for field in step.body["fields"]] == [
        field["fieldname"] for field in RUN_DOCTYPE["fields"]
    ]


@pytest.fixture
def of_before(bare: SandboxERPNext) -> dict[str, str]:
    """A site whose desk an earlier version has installed, with a run, and requests that version took: their actions and names."""
    with session_of(bare) as session:
        client = Client(session)
        install(
            client, [step for step in read_installation(client) if step.doctype != "Role"], lambda _: None
        )
        for doctype, fieldname, values in (
            (REQUEST_DOCTYPE, "action", EARLIER_ACTION),
            (RUN_DOCTYPE, "dagster_url", {"options": "URL"}),
        ):
            now = client.get("DocType", doctype["name"])
            client.update("DocType", doctype["name"], {"fields": edited(now, fieldname, **values)["fields"]})
        fields = [EARLIER_SERIES, *client.get("DocType", BATCH_RUN)["fields"]]
        client.update("DocType", BATCH_RUN, {"autoname": "naming_series:", "fields": fields})
        run = client.insert(
            BATCH_RUN, {"run_date": "2026-11-20", "dagster_url": "https://dagster.example/runs/1"}
        )
        return {
            action: str(
                client.insert(BATCH_RUN_REQUEST, {"batch_run": run["name"], "action": action, "attempt": 0})[
                    "name"
                ]
            )
            for action in ("Run Pipeline Now", "Retry: Send Reports", "a\nb")
        }


def test_setup_on_the_desk_of_an_earlier_version_keeps_its_rows_and_is_done_once(
    bare: SandboxERPNext, of_before: dict[str, str]
) -> None:
    before = bare.documents(BATCH_RUN_REQUEST)
    changed = [(step.kind, step.name) for step in set_up(bare) if step.kind != "leave"]
    assert changed == [
        ("create", "ScoopJoy Report Reader"),
        ("change", BATCH_RUN),
        ("change", BATCH_RUN_REQUEST),
    ]
    assert [step.kind for step in set_up(bare)] == ["leave"]
    assert bare.documents(BATCH_RUN_REQUEST) == before
    run = before[0]["batch_run"]
    assert run == "SJ-BATCH-2026-00001"
    with session_of(bare, user=ACCOUNTANT) as session:
        client = Client(session)
        assert client.update(BATCH_RUN, run, {"status": "Failed"})["name"] == run
        for action in ("Run Pipeline Now", "Retry: Send Reports"):
            answered = client.update(
                BATCH_RUN_REQUEST, of_before[action], {"status": "Refused", "answer": "No."}
            )
            assert (answered["status"], answered["action"]) == ("Refused", action)
        with pytest.raises(Rejected, match="Action cannot be"):
            client.insert(BATCH_RUN_REQUEST, {"batch_run": run, "action": "a\nb", "attempt": 1})
        assert client.insert(
            BATCH_RUN_REQUEST, {"batch_run": run, "action": "Run Pipeline Now", "attempt": 1}
        )


def test_a_batch_run_of_another_app_stops_setup_with_a_sentence_and_is_not_touched(
    bare: SandboxERPNext,
) -> None:
    with session_of(bare) as session:
        client = Client(session)
        client.insert("DocType", STEP_DOCTYPE)
        client.insert("DocType", RUN_DOCTYPE)
        with bare.site.transaction():
            bare.site.db.run("UPDATE tabDocType SET custom = 0, module = 'Scoop' WHERE name = 'Batch Run'")
        with pytest.raises(Rejected, match="an app on the site brings a DocType of this name") as stopped:
            install(client, read_installation(client), lambda _step: None)
        assert "SCOOPJOY_BATCH_RUN_DESK=off" in str(stopped.value)
        assert client.exists("Custom Field", f"Journal Entry-{KEY_FIELD}")


# -- what the DocTypes hold people to ---------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["naming_series", "name", "__newname", "-", "SJ-BATCH-", "#####"])
def test_nobody_chooses_the_name_of_a_batch_run(desk: SandboxERPNext, key: str) -> None:
    """Of some names there is no address, so that nobody could put the document back."""
    with session_of(desk, user=ACCOUNTANT) as session:
        made = Client(session).insert(BATCH_RUN, {"run_date": "2026-11-22", key: "/x"})
    assert made["name"] == "SJ-BATCH-2026-11-00001"


def test_the_number_of_a_batch_run_that_was_deleted_does_not_come_again(desk: SandboxERPNext) -> None:
    first = new_run(desk)
    with session_of(desk) as session:
        Client(session).delete(BATCH_RUN, first)
    assert (first, new_run(desk)) == ("SJ-BATCH-2026-11-00001", "SJ-BATCH-2026-11-00002")


def new_run(site: SandboxERPNext, user: str = ACCOUNTANT) -> str:
    with session_of(site, user=user) as session:
        return str(Client(session).insert(BATCH_RUN, {"run_date": "2026-11-22"})["name"])


def test_a_second_click_is_the_same_request(desk: SandboxERPNext) -> None:
    run = new_run(desk)
    asked = {"batch_run": run, "action": desk_schema.RUN_NOW, "attempt": 0}
    with session_of(desk, user=ACCOUNTANT) as session:
        client = Client(session)
        made = client.insert(BATCH_RUN_REQUEST, asked)
        assert (made["name"], made["owner"]) == (f"{run} Run Pipeline Now 0", ACCOUNTANT)
        assert made["status"] == "Pending"
        with pytest.raises(Duplicate):
            client.insert(BATCH_RUN_REQUEST, asked)
        assert client.insert(BATCH_RUN_REQUEST, asked | {"attempt": 1})["name"].endswith(" 1")


def test_who_may_only_read_batch_runs_asks_for_nothing(desk: SandboxERPNext) -> None:
    run = new_run(desk)
    with session_of(desk, user=VIEWER) as session:
        client = Client(session)
        assert client.get(BATCH_RUN, run)["status"] == "Queued"
        for attempt in (
            lambda: client.insert(BATCH_RUN, {"run_date": "2026-11-22"}),
            lambda: client.update(BATCH_RUN, run, {"status": "Running"}),
            lambda: client.insert(BATCH_RUN_REQUEST, {"batch_run": run, "action": "Run Pipeline Now"}),
        ):
            with pytest.raises(Forbidden):
                attempt()


def test_what_was_asked_and_for_which_day_cannot_be_changed_later(desk: SandboxERPNext) -> None:
    run = new_run(desk)
    with session_of(desk, user=ACCOUNTANT) as session:
        client = Client(session)
        asked = client.insert(
            BATCH_RUN_REQUEST, {"batch_run": run, "action": "Run Pipeline Now", "attempt": 0}
        )["name"]
        with pytest.raises(Rejected, match="Value cannot be changed for Business Day"):
            client.update(BATCH_RUN, run, {"run_date": "2026-11-21"})
        with pytest.raises(Rejected, match="Value cannot be changed for Action"):
            client.update(BATCH_RUN_REQUEST, asked, {"action": "Retry: Send Reports"})
        answered = client.update(BATCH_RUN_REQUEST, asked, {"status": "Refused", "answer": "No."})
    assert (answered["status"], answered["answer"]) == ("Refused", "No.")


def test_a_cashier_makes_no_batch_run_and_asks_for_nothing(desk: SandboxERPNext) -> None:
    """Not with the roles either that cashiers often have and do not need."""
    run = new_run(desk)
    request = {"batch_run": run, "action": "Run Pipeline Now", "attempt": 0}
    with session_of(desk, user=CASHIER) as session:
        client = Client(session)
        for attempt in (
            lambda: client.insert(BATCH_RUN, {"run_date": "2026-11-22"}),
            lambda: client.update(BATCH_RUN, run, {"status": "Completed"}),
            lambda: client.insert(BATCH_RUN_REQUEST, request),
            lambda: client.rows(BATCH_RUN_REQUEST, ["name"], []),
        ):
            with pytest.raises(Forbidden):
                attempt()


def test_a_run_that_somebody_asked_for_cannot_be_deleted_from_under_the_request(desk: SandboxERPNext) -> None:
    run = new_run(desk)
    insert(desk, BATCH_RUN_REQUEST, batch_run=run, action="Run Pipeline Now", attempt=0)
    with session_of(desk) as session, pytest.raises(Rejected, match="is linked with Batch Run Request"):
        Client(session).delete(BATCH_RUN, run)
