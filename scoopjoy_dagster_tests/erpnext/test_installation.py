"""What `scoopjoy setup` installs: the plan is pure, carrying it out is repeatable, and what is in the way is refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from scoopjoy_dagster.accounting.figures import DayFigures
from scoopjoy_dagster.erpnext.client import KEY_FIELD, Client
from scoopjoy_dagster.erpnext.deliveries import Delivery, announce, confirm, deliveries, figures_told
from scoopjoy_dagster.erpnext.errors import Rejected
from scoopjoy_dagster.erpnext.install_step import InstallStep
from scoopjoy_dagster.erpnext.installation import SiteState, install, plan_installation, read_installation
from scoopjoy_dagster.erpnext.schema import (
    AMEND_SCRIPTS,
    DELIVERY_DOCTYPE,
    EARLIER_FIELDS,
    FIELDS,
    SHARE_DOCTYPE,
    SHARE_REPORT,
    CustomField,
)
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster_tests.world import DAY, THANE, change, insert, session_of

SALES = ("Sales Invoice", "POS Invoice")
REPORT = {"name": "Royalty Shares", "ref_doctype": "Journal Entry"}
DELIVERY_FIELDS: list[dict[str, Any]] = [dict(field) for field in DELIVERY_DOCTYPE["fields"]]


def row(field: CustomField, **other: Any) -> dict[str, Any]:
    """A field as a list of Custom Field shows it."""
    flags = {name: int(value) for name, value in field.flags().items()}
    texts = {name: getattr(field, name) for name in ("name", "fieldname", "label", "fieldtype", "options")}
    return {"dt": field.doctype} | texts | flags | other


EVERYTHING = [row(field) for field in FIELDS]


def plan(
    present: list[dict[str, Any]], delivery_fields: list[dict[str, Any]], **other: Any
) -> list[InstallStep]:
    """The plan of a site with these custom fields and a ScoopJoy Delivery with these fields, and all else but for what is said."""
    doctypes = {"Royalty Share": SHARE_DOCTYPE, "ScoopJoy Delivery": delivery(delivery_fields)}
    known: dict[str, Any] = {
        "fields": present,
        "doctypes": doctypes,
        "report": REPORT,
        "amend_scripts": {one["name"]: one for one in AMEND_SCRIPTS},
    }
    return plan_installation(SiteState(**{**known, **other}), desk=False)


def delivery(fields: list[dict[str, Any]]) -> dict[str, Any]:
    """The DocType of delivery records as a site has it, with these fields."""
    return DELIVERY_DOCTYPE | {"fields": fields}


def test_an_empty_site_needs_everything() -> None:
    """The rows come before the table that holds them, and that before the fields that look into it."""
    steps = plan_installation(SiteState(), desk=False)
    assert {step.kind for step in steps} == {"create"}
    assert [step.name for step in steps] == [
        "Royalty Share",
        "ScoopJoy Delivery",
        *(field.name for field in FIELDS),
        "ScoopJoy Journal Entry",
        "ScoopJoy POS Closing Entry",
        "Royalty Shares",
    ]
    table = [step.name for step in steps].index("Journal Entry-custom_royalty_shares")
    assert all(table < index for index, step in enumerate(steps) if step.body.get("is_virtual"))


def test_a_complete_site_needs_nothing() -> None:
    assert plan(EVERYTHING, DELIVERY_FIELDS) == []


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_one_missing_field_is_one_step(field: CustomField) -> None:
    present = [one for one in EVERYTHING if one["name"] != field.name]
    (step,) = plan(present, DELIVERY_FIELDS)
    assert (step.kind, step.name) == ("create", field.name)
    assert step.body["fieldtype"] == field.fieldtype


def test_every_key_field_is_unique_and_not_copied() -> None:
    keys = [field for field in FIELDS if field.fieldname == KEY_FIELD]
    assert {field.doctype for field in keys} == {"Journal Entry", "POS Closing Entry"}
    assert all(field.unique and field.no_copy for field in keys)
    (of_deliveries,) = [field for field in DELIVERY_DOCTYPE["fields"] if field["fieldname"] == KEY_FIELD]
    assert of_deliveries["unique"] == 1


@pytest.mark.parametrize("flag", ["unique", "no_copy"])
def test_a_flag_that_exactly_once_rests_on_is_mended(flag: str) -> None:
    key = next(field for field in FIELDS if field.fieldname == KEY_FIELD)
    present = [row(key, **{flag: 0}) if one["name"] == key.name else one for one in EVERYTHING]
    (step,) = plan(present, DELIVERY_FIELDS)
    assert (step.kind, dict(step.body)) == ("change", {flag: 1})
    assert f"{flag} must be on" in step.sentence


VIRTUAL = [field for field in FIELDS if field.is_virtual]


def test_a_sale_shows_rate_share_and_entry_and_holds_nothing_that_could_be_written() -> None:
    assert [(field.doctype, field.fieldname, field.fieldtype) for field in VIRTUAL] == [
        (doctype, f"custom_sale_royalty_{what}", fieldtype)
        for doctype in SALES
        for what, fieldtype in (("rate", "Percent"), ("share", "Currency"), ("entry", "Data"))
    ]
    assert [field for field in FIELDS if field.doctype in SALES] == VIRTUAL


@pytest.mark.parametrize("field", VIRTUAL, ids=lambda field: field.name)
def test_an_expression_of_another_version_or_of_a_person_is_put_right(field: CustomField) -> None:
    present = [row(field, options="0") if one["name"] == field.name else one for one in EVERYTHING]
    (step,) = plan(present, DELIVERY_FIELDS)
    assert (step.kind, step.name, dict(step.body)) == ("change", field.name, {"options": field.options})
    assert "its expression is not the one of this version" in step.sentence


def test_a_document_of_a_share_is_plain_text_with_an_index() -> None:
    """A link would keep people from cancelling their own invoice."""
    (document,) = [field for field in SHARE_DOCTYPE["fields"] if field["fieldname"] == "document"]
    assert (document["fieldtype"], document["search_index"]) == ("Data", 1)


SHARE_FIELDS: list[dict[str, Any]] = SHARE_DOCTYPE["fields"]


@pytest.mark.parametrize("missing", [field["fieldname"] for field in SHARE_FIELDS])
def test_a_doctype_of_shares_that_lacks_a_field_gets_it(missing: str) -> None:
    fields = [field for field in SHARE_FIELDS if field["fieldname"] != missing]
    doctypes = {
        "Royalty Share": SHARE_DOCTYPE | {"fields": fields},
        "ScoopJoy Delivery": delivery(DELIVERY_FIELDS),
    }
    (step,) = plan(EVERYTHING, DELIVERY_FIELDS, doctypes=doctypes)
    assert step.sentence == f"change DocType Royalty Share: it lacks {missing}"
    assert [field["fieldname"] for field in step.body["fields"]] == [
        field["fieldname"] for field in SHARE_FIELDS
    ]


def test_a_doctype_of_that_name_that_holds_no_rows_is_refused() -> None:
    doctypes = {
        "Royalty Share": SHARE_DOCTYPE | {"istable": 0},
        "ScoopJoy Delivery": delivery(DELIVERY_FIELDS),
    }
    (step,) = plan(EVERYTHING, DELIVERY_FIELDS, doctypes=doctypes)
    assert (step.kind, step.name) == ("refuse", "Royalty Share")


def test_a_report_of_the_site_with_our_name_is_left_alone_and_told() -> None:
    (step,) = plan(EVERYTHING, DELIVERY_FIELDS, report=REPORT | {"ref_doctype": "Sales Invoice"})
    assert (step.kind, step.doctype, step.name) == ("leave", "Report", "Royalty Shares")
    assert "the site has a report of this name on Sales Invoice" in step.sentence


EARLIER = [
    {
        "name": f"{doctype}-{fieldname}",
        "dt": doctype,
        "fieldname": fieldname,
        "label": label.partition(" (")[0],
    }
    for doctype in SALES
    for fieldname, label in EARLIER_FIELDS.items()
]


def test_fields_that_earlier_versions_wrote_are_called_so_and_keep_their_type_and_values() -> None:
    steps = plan([*EVERYTHING, *EARLIER], DELIVERY_FIELDS)
    assert [(step.kind, step.name, dict(step.body)) for step in steps] == [
        (
            "change",
            one["name"],
            {"label": EARLIER_FIELDS[one["fieldname"]], "depends_on": f"eval:doc.{one['fieldname']}"},
        )
        for one in EARLIER
    ]
    called = [one | {"label": EARLIER_FIELDS[one["fieldname"]]} for one in EARLIER]
    assert plan([*EVERYTHING, *called], DELIVERY_FIELDS) == []


def test_a_field_of_the_site_with_a_name_that_an_earlier_version_used_keeps_its_label() -> None:
    theirs = [one | {"label": "Our Royalty"} for one in EARLIER]
    assert plan([*EVERYTHING, *theirs], DELIVERY_FIELDS) == []


def test_the_rate_of_an_entry_is_no_earlier_field() -> None:
    """It has the name that the rate of a sale once had."""
    (rate,) = [one for one in EVERYTHING if one["name"] == "Journal Entry-custom_royalty_rate"]
    assert rate["label"] == "Royalty Rate"
    assert plan(EVERYTHING, DELIVERY_FIELDS) == []


@pytest.mark.parametrize("flag", ["in_list_view", "read_only"])
def test_how_a_site_shows_a_field_is_its_own_business(flag: str) -> None:
    present = [one | {flag: 1 - one[flag]} for one in EVERYTHING]
    assert plan(present, DELIVERY_FIELDS) == []


def test_a_field_of_another_type_is_refused_and_nothing_is_done_to_it() -> None:
    present = [row(FIELDS[0], fieldtype="Data"), *EVERYTHING[1:]]
    (step,) = plan(present, DELIVERY_FIELDS)
    assert step.kind == "refuse"
    assert "it is a Data field, a Percent field is needed" in step.sentence


@pytest.mark.parametrize("missing", [field["fieldname"] for field in DELIVERY_FIELDS])
def test_a_delivery_doctype_that_lacks_a_field_gets_it_and_keeps_its_own(missing: str) -> None:
    """Made by an earlier version of the program, and a person added a field."""
    theirs = {"fieldname": "remarks", "fieldtype": "Data", "label": "Remarks", "name": "a1b2c3"}
    present = [*(one for one in DELIVERY_FIELDS if one["fieldname"] != missing), theirs]
    (step,) = plan(EVERYTHING, present)
    assert (step.kind, step.doctype, step.name) == ("change", "DocType", DELIVERY_DOCTYPE["name"])
    assert step.sentence == f"change DocType ScoopJoy Delivery: it lacks {missing}"
    assert step.body["fields"] == [
        {**field, "idx": place} for place, field in enumerate([*DELIVERY_FIELDS, theirs], start=1)
    ]


def test_fields_of_a_person_on_the_delivery_doctype_are_none_of_our_business() -> None:
    theirs = {"fieldname": "remarks", "fieldtype": "Data"}
    assert plan(EVERYTHING, [*DELIVERY_FIELDS, theirs]) == []


@pytest.fixture
def bare() -> Iterator[SandboxERPNext]:
    """A site with masters, without our fields."""
    with SandboxERPNext(":memory:", clock=lambda: datetime(2026, 11, 23, 1)) as site:
        seed.master_data(site)
        yield site


def test_setup_twice_installs_once(bare: SandboxERPNext) -> None:
    with session_of(bare) as session:
        client = Client(session)
        told: list[str] = []
        install(client, read_installation(client, desk=False), lambda step: told.append(step.sentence))
        # The rows of entries and their report, the delivery records, the naming series, the role, and two scripts.
        assert len(told) == len(FIELDS) + 7
        bare.requests.reset()
        assert read_installation(client, desk=False) == []
        assert bare.requests.writes == 0
    installed = {doc["name"]: doc for doc in bare.documents("Custom Field")}
    for field in FIELDS:
        assert {name: bool(installed[field.name][name]) for name in field.flags()} == field.flags()
    scripts = {script["dt"]: script["script"] for script in bare.documents("Client Script")}
    assert scripts.keys() == {"Journal Entry", "POS Closing Entry"}
    assert all(f'frm.doc.{KEY_FIELD} = ""' in text for text in scripts.values())
    assert [doc["is_virtual"] for doc in bare.documents("Custom Field", dt="Sales Invoice")] == [1, 1, 1]
    (report,) = bare.documents("Report")
    assert {key: report[key] for key in SHARE_REPORT} == SHARE_REPORT


def test_a_site_that_refuses_the_report_has_all_else(bare: SandboxERPNext) -> None:
    with session_of(bare, attempts=1) as session:
        client = Client(session)
        bare.faults.add("permission_lost", method="POST", path="/api/resource/Report")
        told: list[InstallStep] = []
        install(client, read_installation(client, desk=False), told.append)
        assert [(step.doctype, step.name) for step in told if step.kind == "leave"] == [
            ("Report", "Royalty Shares")
        ]
        assert [step.name for step in read_installation(client, desk=False)] == ["Royalty Shares"]


def test_setup_that_broke_off_goes_on_where_it_stopped(bare: SandboxERPNext) -> None:
    with session_of(bare, attempts=1) as session:
        client = Client(session)
        bare.faults.add("refused_before_commit", method="POST", path="/api/resource/Custom Field", nth=5)
        with pytest.raises(Exception, match="insert Custom Field"):
            install(client, read_installation(client), lambda _step: None)
        assert len(bare.documents("Custom Field")) == 4
        install(client, read_installation(client, desk=False), lambda _step: None)
        assert read_installation(client, desk=False) == []


def test_setup_stops_at_a_field_of_another_type(bare: SandboxERPNext) -> None:
    insert(
        bare, "Custom Field", dt="Customer", fieldname=FIELDS[0].fieldname, label="Royalty", fieldtype="Data"
    )
    with session_of(bare) as session:
        client = Client(session)
        with pytest.raises(
            Rejected, match=r"set up the site: cannot install Custom Field Customer-custom_royalty"
        ):
            install(client, read_installation(client), lambda _step: None)
    (kept,) = bare.documents("Custom Field")
    assert kept["fieldtype"] == "Data"


def test_a_key_that_lost_its_uniqueness_gets_it_back(chain_site: SandboxERPNext) -> None:
    change(chain_site, "Custom Field", f"Journal Entry-{KEY_FIELD}", unique=0)
    with session_of(chain_site) as session:
        client = Client(session)
        (step,) = read_installation(client, desk=False)
        assert step.kind == "change"
        install(client, [step], lambda _step: None)
        assert read_installation(client, desk=False) == []


# -- a site of an earlier version -------------------------------------------------------------------------------------

ADDED_LATER = ("custom_scoopjoy_run", "custom_royalty_policy", "figures")


def annotations(doctype: str) -> list[dict[str, Any]]:
    """What earlier versions wrote on a sale, as they installed it."""
    written = {"dt": doctype, "no_copy": 1, "read_only": 1, "allow_on_submit": 1}
    kinds = {
        "custom_royalty_rate": ("Royalty Rate", "Percent"),
        "custom_royalty_share": ("Royalty Share", "Currency"),
        "custom_royalty_journal_entry": ("Royalty Journal Entry", "Data"),
    }
    return [
        written | {"fieldname": name, "label": label, "fieldtype": fieldtype}
        for name, (label, fieldtype) in kinds.items()
    ]


def without_shares(site: SandboxERPNext, lacking: tuple[str, ...] = ()) -> None:
    """A site whose entries carry no shares and whose sales are annotated; `lacking`: fields that came later than that."""
    fields = [field for field in DELIVERY_FIELDS if field["fieldname"] not in lacking]
    with session_of(site) as session:
        client = Client(session)
        for step in plan_installation(SiteState(), desk=False):
            if step.name == DELIVERY_DOCTYPE["name"]:
                client.insert("DocType", delivery(fields))
            elif step.doctype == "Custom Field" and not (
                step.body["fieldname"] in {*lacking, "custom_royalty_shares"} or step.body["is_virtual"]
            ):
                client.insert(step.doctype, step.body)
        for doctype in SALES:
            for body in annotations(doctype):
                client.insert("Custom Field", body)


NEW_WITH_SHARES = {
    "Royalty Share",
    "Royalty Shares",
    *(script["name"] for script in AMEND_SCRIPTS),
    "Journal Entry-custom_royalty_shares",
    *(field.name for field in VIRTUAL),
}


def test_setup_on_a_site_of_the_version_before_keeps_what_sales_say_and_lets_them_show_the_shares(
    bare: SandboxERPNext,
) -> None:
    seed.add_franchise(bare, THANE, group="Partner Outlets")
    without_shares(bare)
    annotated = {
        "custom_royalty_rate": 7.5,
        "custom_royalty_share": 75.0,
        "custom_royalty_journal_entry": "SJ-ROY-A-2026-00001",
    }
    invoice = seed.add_invoice(bare, THANE, DAY, "1000")
    change(bare, "Sales Invoice", invoice, **annotated)
    with session_of(bare) as session:
        client = Client(session)
        install(client, series_and_role(client), lambda _step: None)
        steps = read_installation(client, desk=False)
        assert {step.name for step in steps if step.kind == "create"} == NEW_WITH_SHARES
        assert {step.name: step.body["label"] for step in steps if step.kind == "change"} == {
            f"{doctype}-{fieldname}": label
            for doctype in SALES
            for fieldname, label in EARLIER_FIELDS.items()
        }
        assert len(steps) == len(NEW_WITH_SHARES) + 6
        install(client, steps, lambda _step: None)
        assert read_installation(client, desk=False) == []
        shown = client.get("Sales Invoice", invoice)
    assert {name: shown[name] for name in annotated} == annotated
    assert [shown[f"custom_sale_royalty_{what}"] for what in ("rate", "share", "entry")] == [0, 0, ""]
    for field in bare.documents("Custom Field", dt="Sales Invoice"):
        if field["fieldname"] in EARLIER_FIELDS:
            assert field["depends_on"] == f"eval:doc.{field['fieldname']}"
            assert not field["is_virtual"]


def series_and_role(client: Client) -> list[InstallStep]:
    return [
        step
        for step in read_installation(client, desk=False)
        if step.doctype not in {"Custom Field", "DocType", "Report", "Client Script"}
    ]


def test_setup_brings_a_site_of_an_earlier_version_up_to_date_and_keeps_its_records(
    bare: SandboxERPNext,
) -> None:
    without_shares(bare, ADDED_LATER)
    key = "hq:ScoopJoy:2026-11-22:headquarters:0"
    kept = insert(
        bare,
        "ScoopJoy Delivery",
        channel="hq",
        business_day="2026-11-22",
        recipient="headquarters",
        revision=0,
        reference="receipt-1",
        custom_scoopjoy_key=key,
        custom_scoopjoy_digest="0" * 32,
    )
    with session_of(bare) as session:
        client = Client(session)
        steps = read_installation(client, desk=False)
        assert {step.sentence for step in steps if step.kind == "change" and step.doctype == "DocType"} == {
            "change DocType ScoopJoy Delivery: it lacks custom_royalty_policy, custom_scoopjoy_run, figures"
        }
        assert {step.name for step in steps if step.kind == "create"} == {
            *(field.name for field in FIELDS if field.fieldname in ADDED_LATER),
            *NEW_WITH_SHARES,
            "Journal Entry-naming_series-options",
            "ScoopJoy Report Reader",
        }
        install(client, steps, lambda _step: None)
        assert read_installation(client, desk=False) == []

        site = Site.open(session)
        company = str(site.company["name"])
        (before,) = deliveries(site, company, DAY, DAY)["hq", DAY]
        assert (before.name, before.reference) == (kept, "receipt-1")
        assert figures_told(site, [before], 1) is None
        figures = DayFigures(Decimal(1), Decimal(2), Decimal(3), 4, ())
        later = announce(site, company, Delivery("hq", DAY, "headquarters", 1, "1" * 32), figures)
        confirm(site, later, "receipt-2", datetime(2026, 11, 23, 1))
        told = deliveries(site, company, DAY, DAY)["hq", DAY]
        assert [(one.revision, one.reference) for one in told] == [(0, "receipt-1"), (1, "receipt-2")]
        assert figures_told(site, told, 2) == figures
        with pytest.raises(Rejected):  # the key is as unique as before
            client.insert(
                "ScoopJoy Delivery",
                {"channel": "hq", "business_day": "2026-11-22", "recipient": "x", "custom_scoopjoy_key": key},
            )
