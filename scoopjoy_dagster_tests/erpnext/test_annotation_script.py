"""The Server Script that annotates invoices: installed where the site allows it, and never in the way where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from scoopjoy_dagster.erpnext import annotation_script, invoice_royalty
from scoopjoy_dagster.erpnext.annotation_script import NAME, ROLE, script, script_step
from scoopjoy_dagster.erpnext.client import Client
from scoopjoy_dagster.erpnext.errors import ERPNextError, Rejected
from scoopjoy_dagster.erpnext.installation import install, read_installation
from scoopjoy_dagster.erpnext.invoice_royalty import Annotation, AnnotationsWritten, write_annotations
from scoopjoy_dagster.erpnext.preflight import Check, check_site
from scoopjoy_dagster.erpnext.site import BookSettings, Site
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster_tests.world import DAY, THANE, World, change, entries, insert, session_of

WITH_SCRIPT = BookSettings(annotation_script=True)
ROBOT = "robot@scoopjoy.example"


# -- the plan ---------------------------------------------------------------------------------------------------------


def test_a_site_without_the_script_gets_it() -> None:
    step = script_step(None, may=True)
    assert step is not None
    assert (step.kind, step.doctype, step.name, step.body) == ("create", "Server Script", NAME, script())


def test_who_may_not_make_a_script_is_told_which_role_it_takes_and_setup_goes_on() -> None:
    step = script_step(None, may=False)
    assert step is not None
    assert (step.kind, step.optional) == ("leave", True)
    assert ROLE in step.reason


def test_a_script_of_this_version_is_left_alone() -> None:
    assert script_step(script(), may=True) is None


def test_a_script_of_another_text_is_put_back() -> None:
    step = script_step({**script(), "script": "# theirs"}, may=True)
    assert step is not None
    assert (step.kind, step.body) == ("change", {"script": script()["script"]})


def test_another_script_of_our_name_is_in_the_way() -> None:
    step = script_step({**script(), "script_type": "DocType Event"}, may=True)
    assert step is not None
    assert step.kind == "refuse"
    assert "rename it" in step.reason


# -- on a site --------------------------------------------------------------------------------------------------------


@pytest.fixture
def scripted(chain: World) -> World:
    """A site that runs Server Scripts and has ours, and assets that are to use it."""
    chain.erpnext.site.server_scripts = True
    insert(chain.erpnext, "Server Script", **script())
    chain.options = {"annotation_script": True}
    return chain


@pytest.fixture
def wanted(scripted: World) -> list[Annotation]:
    before = DAY - timedelta(days=1)
    scripted.invoice(THANE, "1000", before)
    assert scripted.close("closed_shifts", "royalties", day=before).success
    (entry,) = [str(one["name"]) for one in entries(scripted.erpnext, THANE, before)]
    invoices = [scripted.invoice(THANE, str(100 + number)) for number in range(30)]
    return [
        Annotation(invoice, Decimal("7.5"), Decimal(number), entry)
        for number, invoice in enumerate(invoices, start=1)
    ]


@pytest.fixture
def client(chain_site: SandboxERPNext) -> Iterator[Client]:
    with session_of(chain_site) as session:
        yield Client(session)


def written(chain: World) -> dict[str, Decimal]:
    rows = chain.erpnext.documents("Sales Invoice", customer=THANE)
    return {
        row["name"]: Decimal(str(row["custom_royalty_share"])) for row in rows if row["custom_royalty_rate"]
    }


def shares(annotations: list[Annotation]) -> dict[str, Decimal]:
    return {one.invoice: one.share for one in annotations}


def test_setup_makes_it_as_a_script_manager_once_and_not_as_anybody_else(
    chain_site: SandboxERPNext, client: Client
) -> None:
    def steps() -> list[tuple[str, str]]:
        return [
            (one.kind, one.name)
            for one in read_installation(client, script=True)
            if one.doctype == "Server Script"
        ]

    assert steps() == [("leave", NAME)]
    (robot,) = chain_site.documents("User", name=ROBOT)
    roles = [{"role": one["role"]} for one in robot["roles"]]
    change(chain_site, "User", ROBOT, roles=[*roles, {"role": ROLE}])
    assert steps() == [("create", NAME)]
    install(client, read_installation(client, script=True), lambda _step: None)
    assert steps() == []
    assert [one for one in read_installation(client) if one.doctype == "Server Script"] == []


def test_many_annotations_are_one_request(scripted: World, wanted: list[Annotation]) -> None:
    with scripted.site() as site:
        scripted.erpnext.requests.reset()
        assert write_annotations(site, wanted[:15]) == AnnotationsWritten({})
    assert scripted.erpnext.requests.total == 1
    assert written(scripted) == shares(wanted[:15])


def test_batches_go_side_by_side(
    scripted: World, wanted: list[Annotation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invoice_royalty, "SCRIPT_BATCH", 8)
    with scripted.site() as site:
        scripted.erpnext.requests.reset()
        assert write_annotations(site, wanted) == AnnotationsWritten({})
    assert scripted.erpnext.requests.total == 4
    assert written(scripted) == shares(wanted)


def test_what_is_refused_is_told_and_the_others_are_written(
    scripted: World, wanted: list[Annotation]
) -> None:
    seed.cancel_document(scripted.erpnext, "Sales Invoice", wanted[17].invoice)
    with scripted.site() as site:
        found = write_annotations(site, wanted)
    assert found == AnnotationsWritten({wanted[17].invoice: "it is not submitted"})
    assert written(scripted) == {
        name: share for name, share in shares(wanted).items() if name != wanted[17].invoice
    }


def test_who_may_read_an_invoice_but_not_write_it_writes_none(
    scripted: World, wanted: list[Annotation], monkeypatch: pytest.MonkeyPatch
) -> None:
    from scoopjoy_dagster.sandbox.erpnext import permissions

    may = permissions.may
    monkeypatch.setattr(
        permissions,
        "may",
        lambda session, doctype, right: right != "write" and may(session, doctype, right),
    )
    with scripted.site() as site:
        failed = write_annotations(site, wanted[:3]).failed
    assert set(failed.values()) == {"the user may not write a Sales Invoice"}
    assert written(scripted) == {}


@pytest.mark.parametrize("kind", ["committed_never_answered", "bad_gateway_before_commit", "deadlock"])
def test_a_fault_is_repeated(scripted: World, wanted: list[Annotation], kind: str) -> None:
    rule = scripted.erpnext.faults.add(kind, path=annotation_script.METHOD)
    with scripted.site() as site:
        assert write_annotations(site, wanted) == AnnotationsWritten({})
    assert rule.hit == 1
    assert written(scripted) == shares(wanted)


def _not_allowed(site: SandboxERPNext) -> None:
    site.site.server_scripts = False


def _not_there(site: SandboxERPNext) -> None:
    change(site, "Server Script", NAME, disabled=1)


def _older(site: SandboxERPNext) -> None:
    text = str(script()["script"]).replace('version = "', 'version = "old')
    change(site, "Server Script", NAME, script=text)


BROKEN = pytest.mark.parametrize(
    ("breaks", "said"),
    [
        (_not_allowed, "Server Scripts are disabled"),
        (_not_there, "Failed to get method for command scoopjoy_annotate_invoices"),
        (_older, "it is of the version old"),
    ],
)


@BROKEN
def test_where_the_script_does_not_answer_the_invoices_are_saved_as_documents(
    scripted: World, wanted: list[Annotation], breaks: Any, said: str
) -> None:
    breaks(scripted.erpnext)
    with scripted.site() as site:
        found = write_annotations(site, wanted)
    assert found.failed == {}
    assert said in found.script_problem
    assert written(scripted) == shares(wanted)


def _checks(site: SandboxERPNext, books: BookSettings) -> list[Check]:
    with session_of(site, attempts=1) as session:
        lines = check_site(Site.open(session, books), time_zone="Asia/Kolkata", day=DAY)
        return [one for one in lines if one.what == "annotation script"]


@BROKEN
def test_check_says_why_the_script_does_not_answer(scripted: World, breaks: Any, said: str) -> None:
    (line,) = _checks(scripted.erpnext, WITH_SCRIPT)
    assert (line.level, line.message) == ("ok", f"{NAME} answers")
    breaks(scripted.erpnext)
    scripted.erpnext.requests.reset()
    (line,) = _checks(scripted.erpnext, WITH_SCRIPT)
    assert line.level == "warning"
    assert said in line.message
    assert "SCOOPJOY_ANNOTATION_SCRIPT=off" in line.action
    assert scripted.erpnext.requests.writes == 0
    assert _checks(scripted.erpnext, BookSettings()) == []


# -- in a run ---------------------------------------------------------------------------------------------------------


def test_a_day_is_annotated_by_the_script_as_it_is_without(scripted: World) -> None:
    scripted.a_day()
    scripted.shift(3)
    scripted.erpnext.requests.reset()
    day = scripted.close("closed_shifts", "royalties", "invoices")
    assert day.success
    assert day.check("do_the_shares_add_up").passed
    assert not [one for one in scripted.erpnext.requests.entries if one.path.endswith("bulk_update")]
    assert not day.warnings("invoices", "annotation script not used")
    scripted.options = {}
    again = scripted.close("invoices")
    assert again.outcome("invoices")["written"] == 0


def test_a_run_whose_script_does_not_answer_is_right_and_warns(scripted: World) -> None:
    scripted.erpnext.site.server_scripts = False
    scripted.a_day()
    day = scripted.close("closed_shifts", "royalties", "invoices")
    assert day.success
    (row,) = day.warnings("invoices", "annotation script not used")
    assert "Server Scripts are disabled" in row["message"]


def test_a_script_that_answers_something_else_is_refused(client: Client, chain_site: SandboxERPNext) -> None:
    chain_site.site.server_scripts = True
    insert(chain_site, "Server Script", **{**script(), "script": "frappe.response['message'] = 'hello'"})
    with pytest.raises(Rejected, match="of the version None"):
        annotation_script.annotate(client, [])


def test_a_script_that_breaks_off_is_an_error_and_stores_nothing(
    scripted: World, wanted: list[Annotation]
) -> None:
    text = str(script()["script"]).replace("frappe.response", "frappe.nothing")
    change(scripted.erpnext, "Server Script", NAME, script=text)
    with scripted.site() as site, pytest.raises(ERPNextError):
        annotation_script.annotate(
            site.client,
            [
                {
                    "doctype": "Sales Invoice",
                    "docname": wanted[0].invoice,
                    "custom_royalty_rate": 5,
                    "custom_royalty_share": 5,
                    "custom_royalty_journal_entry": "",
                }
            ],
        )
    assert written(scripted) == {}
