"""What `scoopjoy setup` installs: the plan is pure, carrying it out is repeatable, and what is in the way is refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from scoopjoy_dagster.accounting.figures import DayFigures
from scoopjoy_dagster.erpnext.client import KEY_FIELD, Client
from scoopjoy_dagster.erpnext.deliveries import Delivery, deliveries, figures_told, record_delivery
from scoopjoy_dagster.erpnext.errors import Rejected
from scoopjoy_dagster.erpnext.install_step import InstallStep
from scoopjoy_dagster.erpnext.installation import SiteState, install, plan_installation, read_installation
from scoopjoy_dagster.erpnext.schema import DELIVERY_DOCTYPE, FIELDS, CustomField
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster_tests.world import DAY, insert, session_of

DELIVERY_FIELDS: list[dict[str, Any]] = [dict(field) for field in DELIVERY_DOCTYPE["fields"]]


def row(field: CustomField, **other: Any) -> dict[str, Any]:
    """A field as a list of Custom Field shows it."""
    flags = {name: int(value) for name, value in field.flags().items()}
    return (
        {"name": field.name, "dt": field.doctype, "fieldname": field.fieldname, "fieldtype": field.fieldtype}
        | flags
        | other
    )


EVERYTHING = [row(field) for field in FIELDS]


def plan(present: list[dict[str, Any]], delivery_fields: list[dict[str, Any]] | None) -> list[InstallStep]:
    """The plan of a site with these custom fields, and a ScoopJoy Delivery with these fields or none."""
    doctypes = {} if delivery_fields is None else {"ScoopJoy Delivery": delivery(delivery_fields)}
    return plan_installation(SiteState(fields=present, doctypes=doctypes), desk=False)


def delivery(fields: list[dict[str, Any]]) -> dict[str, Any]:
    """The DocType of delivery records as a site has it, with these fields."""
    return DELIVERY_DOCTYPE | {"fields": fields}


def test_an_empty_site_needs_everything() -> None:
    steps = plan([], None)
    assert {step.kind for step in steps} == {"create"}
    assert [step.name for step in steps] == [*(field.name for field in FIELDS), DELIVERY_DOCTYPE["name"]]


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
        assert len(told) == len(FIELDS) + 3  # the delivery records, the naming series, and the role
        bare.requests.reset()
        assert read_installation(client, desk=False) == []
        assert bare.requests.writes == 0
    installed = {doc["name"]: doc for doc in bare.documents("Custom Field")}
    for field in FIELDS:
        assert {name: bool(installed[field.name][name]) for name in field.flags()} == field.flags()
    assert bare.documents("Client Script") == []


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
    from scoopjoy_dagster_tests.world import change

    change(chain_site, "Custom Field", f"Journal Entry-{KEY_FIELD}", unique=0)
    with session_of(chain_site) as session:
        client = Client(session)
        (step,) = read_installation(client, desk=False)
        assert step.kind == "change"
        install(client, [step], lambda _step: None)
        assert read_installation(client, desk=False) == []


ADDED_LATER = ("custom_scoopjoy_run", "custom_royalty_policy", "figures")


def as_of_an_earlier_version(site: SandboxERPNext) -> None:
    """A site with the program's fields as they were before documents said their run, policy and figures."""
    earlier = delivery([field for field in DELIVERY_FIELDS if field["fieldname"] not in ADDED_LATER])
    with session_of(site) as session:
        client = Client(session)
        for step in plan([], None):
            if step.doctype == "DocType":
                client.insert("DocType", earlier)
            elif step.body["fieldname"] not in {"custom_scoopjoy_run", "custom_scoopjoy_reason"}:
                client.insert(step.doctype, step.body)


def test_setup_brings_a_site_of_an_earlier_version_up_to_date_and_keeps_its_records(
    bare: SandboxERPNext,
) -> None:
    as_of_an_earlier_version(bare)
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
        assert {step.sentence for step in steps if step.kind == "change"} == {
            "change DocType ScoopJoy Delivery: it lacks custom_royalty_policy, custom_scoopjoy_run, figures"
        }
        assert {step.name for step in steps if step.kind == "create"} == {
            field.name
            for field in FIELDS
            if field.fieldname in {"custom_scoopjoy_run", "custom_scoopjoy_reason"}
        } | {"Journal Entry-naming_series-options", "ScoopJoy Report Reader"}
        install(client, steps, lambda _step: None)
        assert read_installation(client, desk=False) == []

        site = Site.open(session)
        company = str(site.company["name"])
        (before,) = deliveries(site, company, DAY, DAY)["hq", DAY]
        assert (before.name, before.reference) == (kept, "receipt-1")
        assert figures_told(site, [before], 1) is None
        figures = DayFigures(Decimal(1), Decimal(2), Decimal(3), 4, ())
        later = Delivery("hq", DAY, "headquarters", 1, "1" * 32, "receipt-2")
        record_delivery(site, company, later, figures, datetime(2026, 11, 23, 1))
        told = deliveries(site, company, DAY, DAY)["hq", DAY]
        assert [one.revision for one in told] == [0, 1]
        assert figures_told(site, told, 2) == figures
        with pytest.raises(Rejected):  # the key is as unique as before
            client.insert(
                "ScoopJoy Delivery",
                {"channel": "hq", "business_day": "2026-11-22", "recipient": "x", "custom_scoopjoy_key": key},
            )
