"""Server Scripts of type API: who makes one, who calls one, what it may do; and that ERPNext takes the text of ours."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

from .books import NOTE, money
from .site import patiently

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .books import Books
    from .site import Answer, Caller, Site

SI, SCRIPT = "Sales Invoice", "Server Script"
FIELDS = ("custom_royalty_rate", "custom_royalty_share", "custom_royalty_journal_entry")


@pytest.fixture(scope="module")
def scripter(site: Site) -> Caller:
    """A user who may make scripts."""
    return site.hire("scripter", ["System Manager", "Script Manager"])


class Scripts:
    """Scripts of a test: made, called, and taken away again."""

    def __init__(self, scripter: Caller, prefix: str) -> None:
        self.scripter = scripter
        self.prefix = prefix
        self.made: list[str] = []

    def method(self, label: str) -> str:
        return f"{self.prefix}_{label}".lower().replace("-", "_")

    def make(self, label: str, text: str, **fields: Any) -> str:
        """Make one; the name of its method."""
        method = self.method(label)
        made = self.scripter.insert(
            SCRIPT, name=method, script_type="API", api_method=method, script=text, **fields
        )
        self.made.append(str(made.value["name"]))
        return method


@pytest.fixture
def scripts(site: Site, scripter: Caller) -> Iterator[Scripts]:
    found = Scripts(scripter, site.prefix)
    yield found
    for name in found.made:
        scripter.delete(SCRIPT, name).accepted()


def called(caller: Caller, method: str, **arguments: Any) -> Answer:
    """The answer of a script. The site must run scripts: the suite asks for that as it asks for the roles of its key."""
    answer = patiently(lambda: caller.rpc(method, **arguments))
    allow = "allow Server Scripts on the test site: bench set-config -g server_script_enabled 1"
    assert answer.exc_type != "ServerScriptNotEnabled", allow
    return answer


@pytest.fixture
def invoice(robot: Caller, books: Books, franchise: str) -> str:
    made = patiently(lambda: robot.insert(SI, **books.invoice(franchise), docstatus=1))
    return str(made.value["name"])


def test_only_a_script_manager_is_shown_scripts_or_makes_one(site: Site, limited: Caller) -> None:
    writer = site.hire("accountant", ["System Manager", "Accounts Manager"])
    for user in (limited, writer):
        user.page(SCRIPT, ["name"]).refused(403, "PermissionError")
        user.insert(SCRIPT, name="x", script_type="API", api_method="x", script="pass").refused(
            403, "PermissionError"
        )


def test_a_method_that_nobody_has_is_417(robot: Caller, scripts: Scripts) -> None:
    (message,) = robot.rpc(scripts.method("none")).refused(417, "ValidationError").messages
    assert message.startswith("Failed to get method for command ")


def test_a_script_answers_under_its_method_and_a_disabled_one_does_not(
    robot: Caller, scripts: Scripts
) -> None:
    text = 'frappe.response["message"] = {"said": frappe.form_dict.word}'
    assert called(robot, scripts.make("echo", text), word="yes").value == {"said": "yes"}
    off = scripts.make("off", text, disabled=1)
    robot.rpc(off, word="yes").refused(417, "ValidationError")


MARK = f'frappe.db.set_value("{SI}", frappe.form_dict.name, {{"{NOTE}": frappe.form_dict.note}})\n'


def history(robot: Caller, name: str) -> list[list[Any]]:
    """What the Versions of a Sales Invoice say of our field, oldest first: field, before, after."""
    rows = robot.page(
        "Version",
        ["data", "owner"],
        [["ref_doctype", "=", SI], ["docname", "=", name], ["data", "like", f"%{NOTE}%"]],
        order_by="creation asc",
    ).value
    assert {row["owner"] for row in rows} <= {robot.user}
    return [one for row in rows for one in json.loads(row["data"])["changed"] if one[0] == NOTE]


def test_a_script_writes_a_field_of_a_submitted_document_and_who_did_but_no_version(
    robot: Caller, scripts: Scripts, invoice: str
) -> None:
    before = robot.get(SI, invoice).value
    method = scripts.make("mark", MARK + 'frappe.response["message"] = "done"')
    assert called(robot, method, name=invoice, note="marked").value == "done"
    after = robot.get(SI, invoice).value
    assert after[NOTE] == "marked"
    assert after["modified"] > before["modified"]
    assert after["modified_by"] == robot.user
    assert (after["docstatus"], money(after["base_grand_total"])) == (
        1,
        money(before["base_grand_total"]),
    )
    assert history(robot, invoice) == []


def test_a_script_may_store_a_version_without_a_right_to_it(
    robot: Caller, scripts: Scripts, invoice: str
) -> None:
    text = (
        f'version = {{"doctype": "Version", "ref_doctype": "{SI}", "docname": frappe.form_dict.name}}\n'
        'frappe.get_doc({**version, "data": frappe.form_dict.data}).db_insert()'
    )
    data = {"changed": [[NOTE, "", "marked"]], "added": [], "removed": [], "row_changed": []}
    called(robot, scripts.make("history", text), name=invoice, data=json.dumps(data))
    assert history(robot, invoice) == [[NOTE, "", "marked"]]


def test_nothing_is_stored_of_a_script_that_fails(robot: Caller, scripts: Scripts, invoice: str) -> None:
    method = scripts.make("fail", MARK + "frappe.nothing()")
    assert called(robot, method, name=invoice, note="half").status == 500
    assert robot.get(SI, invoice).value.get(NOTE) != "half"


@pytest.fixture
def ours(scripts: Scripts) -> str:
    """The script of scoopjoy_dagster, with a field of the contract in place of its three; the last one is the entry."""
    text = (
        files("scoopjoy_dagster.erpnext")
        .joinpath("server_scripts", "annotate_invoices.txt")
        .read_text("utf-8")
    )
    for field in FIELDS:
        text = text.replace(field, NOTE)
    text = text.replace(f'FIELDS = ["{NOTE}", "{NOTE}", "{NOTE}"]', f'FIELDS = ["{NOTE}"]')
    return scripts.make("annotate", f'version = "1"\n{text}')


@pytest.fixture
def entry(robot: Caller, books: Books, franchise: str) -> str:
    made = patiently(lambda: robot.insert("Journal Entry", **books.royalty(franchise), docstatus=1))
    return str(made.value["name"])


def mark(doctype: str, name: str, entry: str) -> dict[str, str]:
    return {"doctype": doctype, "docname": name, NOTE: entry}


def test_our_script_marks_submitted_invoices_and_says_why_it_does_not_mark_others(
    robot: Caller, books: Books, franchise: str, ours: str, invoice: str, entry: str
) -> None:
    draft = str(robot.insert(SI, **books.invoice(franchise)).value["name"])
    other = str(patiently(lambda: robot.insert(SI, **books.invoice(franchise), docstatus=1)).value["name"])
    marks = [
        mark(SI, invoice, entry),
        mark(SI, draft, entry),
        mark(SI, "SJC-none", entry),
        mark(SI, other, "SJC-no-entry"),
        mark("Customer", franchise, entry),
    ]
    assert called(robot, ours, docs=json.dumps(marks)).value == {
        "version": "1",
        "failed": {
            draft: "it is not submitted",
            "SJC-none": "there is none of this name that the user may read",
            other: "there is no submitted Journal Entry SJC-no-entry",
            franchise: "a Customer bears no royalty",
        },
    }
    assert robot.get(SI, invoice).value[NOTE] == entry
    assert not robot.get(SI, draft).value.get(NOTE)
    assert not robot.get(SI, other).value.get(NOTE)


def test_our_script_takes_a_mark_away(robot: Caller, ours: str, invoice: str, entry: str) -> None:
    for wanted in (entry, ""):
        assert called(robot, ours, docs=json.dumps([mark(SI, invoice, wanted)])).value["failed"] == {}
        assert (robot.get(SI, invoice).value.get(NOTE) or "") == wanted


def test_our_script_leaves_a_version_of_each_change_and_none_where_nothing_changes(
    robot: Caller, ours: str, invoice: str, entry: str
) -> None:
    for wanted in (entry, entry, ""):
        assert called(robot, ours, docs=json.dumps([mark(SI, invoice, wanted)])).value["failed"] == {}
    first, second = history(robot, invoice)
    assert (first[1] or "", first[2]) == ("", entry)
    assert second[1:] == [entry, ""]


def test_our_script_shows_nothing_to_a_user_without_rights(
    limited: Caller, robot: Caller, ours: str, invoice: str, entry: str
) -> None:
    called(limited, ours, docs=json.dumps([mark(SI, invoice, entry)])).refused(403, "PermissionError")
    assert not robot.get(SI, invoice).value.get(NOTE)
