"""Naming series of royalty entries: which may run in parallel, and what setup and removal do to a site's options."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.erpnext.client import Client
from scoopjoy_dagster.erpnext.errors import ERPNextError
from scoopjoy_dagster.erpnext.installation import install, read_installation
from scoopjoy_dagster.erpnext.naming_series import ROYALTY_SERIES, counter, wrong_series
from scoopjoy_dagster.erpnext.preflight import Check, check_site
from scoopjoy_dagster.erpnext.removal import read_removal, remove
from scoopjoy_dagster.erpnext.series_options import (
    SETTER,
    SeriesOptions,
    plan_options,
    plan_without,
    read_counter,
)
from scoopjoy_dagster.erpnext.site import BookSettings, Site
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster.settings import SettingsError, load_settings
from scoopjoy_dagster_tests.erpnext.test_insert_once import document, fresh_key
from scoopjoy_dagster_tests.world import DAY, change, insert, session_of

STANDARD = "ACC-JV-.YYYY.-"
A, B = ROYALTY_SERIES


# -- which there may be -----------------------------------------------------------------------------------------------


def test_the_default_series_may_run_in_parallel() -> None:
    assert wrong_series(ROYALTY_SERIES) == ""


@pytest.mark.parametrize(
    ("series", "why"),
    [
        (("SJ:ROY-.YYYY.-",), "only letters, digits and"),
        (("SJ-ROY-.YYYY.-", "SJ-ROY-.YYYY.-"), "would wait for each other"),
        (("SJ-ROY-.YYYY.-", "sj-roy-.YYYY.-.#####"), "would wait for each other"),
        (("",), "only letters, digits and"),
    ],
)
def test_series_that_erpnext_refuses_or_that_share_a_counter_are_named(
    series: tuple[str, ...], why: str
) -> None:
    assert why in wrong_series(series)


def test_the_counter_is_the_name_up_to_its_number() -> None:
    assert counter("SJ-ROY-A-.YYYY.-.#####") == counter("sj-roy-a-.yyyy.-") != counter("SJ-ROY-B-.YYYY.-")


NEEDED = {
    "ERPNEXT_URL": "https://erp.example.com",
    "ERPNEXT_API_KEY": "k",
    "ERPNEXT_API_SECRET": "s",
    "SCOOPJOY_GO_LIVE": "2026-11-01",
}


@pytest.mark.parametrize(
    ("value", "series"),
    [
        ("", ROYALTY_SERIES),
        (" , ", ROYALTY_SERIES),
        ("SJ-ROY-.YYYY.-", ("SJ-ROY-.YYYY.-",)),
        ("R1-.YYYY.- , R2-.YYYY.-,R3-.YYYY.-", ("R1-.YYYY.-", "R2-.YYYY.-", "R3-.YYYY.-")),
    ],
)
def test_the_setting_is_a_list_of_series_and_the_default_without_one(
    value: str, series: tuple[str, ...]
) -> None:
    assert load_settings(NEEDED | {"SCOOPJOY_ROYALTY_SERIES": value}).royalty_series == series


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SCOOPJOY_ROYALTY_SERIES", "SJ-ROY-.YYYY.-,SJ-ROY-.YYYY.-"),
        ("SCOOPJOY_ROYALTY_SERIES", "SJ;ROY"),
        ("SCOOPJOY_ROYALTY_BATCH", "0"),
        ("SCOOPJOY_ROYALTY_BATCH", "201"),
    ],
)
def test_a_setting_that_cannot_work_is_one_sentence_with_its_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is wrong: "):
        load_settings(NEEDED | {name: value})


# -- the plan ---------------------------------------------------------------------------------------------------------


series_names = st.text(alphabet="ABC-", min_size=1, max_size=4).map(lambda name: f"{name}.YYYY.-")


@given(
    shown=st.lists(series_names, min_size=1, unique=True),
    ours=st.lists(series_names, min_size=1, unique=True),
    default=st.sampled_from(["", "A.YYYY.-"]),
    customised=st.booleans(),
)
def test_setup_keeps_every_option_and_the_first_and_a_removal_of_unused_ones_brings_back_what_was_there(
    shown: list[str], ours: list[str], default: str, *, customised: bool
) -> None:
    step = plan_options(SeriesOptions(shown, default, customised), ours)
    added = [one for one in ours if one not in shown]
    if step is None:
        assert not added
        return
    after = str(step.body["value"]).split("\n")
    assert after == [*shown, *added]
    assert step.kind == ("change" if customised else "create")
    assert step.optional
    back = plan_without(SeriesOptions(after, default, customised=True, standard=shown), added)
    gone = [one for one in added if one != default]
    if not gone:
        assert back is None
    elif gone == added:
        assert back is not None
        assert (back.name, back.values) == (SETTER, None)  # the site's own options are in force again
    else:
        assert back is not None
        assert back.values == {"value": "\n".join([*shown, default])}


@pytest.mark.parametrize(
    "options",
    [
        SeriesOptions([STANDARD, A, B], customised=True, used=frozenset({A, B})),
        SeriesOptions([STANDARD, A], default=A, customised=True),
        SeriesOptions([A, STANDARD], customised=True),
        SeriesOptions(["", A, STANDARD], customised=True),
        SeriesOptions([STANDARD, "SJ-ROY-C-.YYYY.-"], customised=True),
        SeriesOptions([STANDARD]),
    ],
)
def test_a_series_that_has_entries_or_is_the_default_or_is_not_ours_stays(options: SeriesOptions) -> None:
    assert plan_without(options, ROYALTY_SERIES) is None


def test_only_the_unused_one_of_ours_goes() -> None:
    options = SeriesOptions(
        [STANDARD, "BRANCH-.####", A, B], customised=True, standard=[STANDARD], used=frozenset({A})
    )
    step = plan_without(options, ROYALTY_SERIES)
    assert step is not None
    assert step.sentence == f"take {B} out of the naming series of Journal Entry"
    assert step.values == {"value": f"{STANDARD}\nBRANCH-.####\n{A}"}


# -- on a running site ------------------------------------------------------------------------------------------------


def options_of(site: SandboxERPNext) -> list[str]:
    with session_of(site) as session:
        answer = session.request(
            "GET",
            "/api/method/frappe.desk.form.load.getdoctype",
            doing="look",
            kind="read",
            params={"doctype": "Journal Entry"},
        )
    (field,) = [one for one in answer["docs"][0]["fields"] if one["fieldname"] == "naming_series"]
    return str(field["options"]).split("\n")


def set_up(site: SandboxERPNext, **options: Any) -> list[str]:
    told: list[str] = []
    with session_of(site) as session:
        client = Client(session)
        install(client, read_installation(client, **options), lambda step: told.append(step.sentence))
    return told


def take_away(site: SandboxERPNext) -> list[str]:
    told: list[str] = []
    with session_of(site) as session:
        client = Client(session)
        remove(client, read_removal(client), lambda step: told.append(step.sentence))
    return told


def series_line(site: SandboxERPNext, **books: Any) -> Check:
    with session_of(site, attempts=1) as session:
        lines = check_site(
            Site.open(session, BookSettings(**books)), time_zone="Asia/Kolkata", day=DAY, desk=False
        )
        (line,) = [one for one in lines if one.what == "naming series"]
    return line


def test_setup_adds_the_series_at_the_end_once_and_check_sees_them(chain_site: SandboxERPNext) -> None:
    assert options_of(chain_site) == [STANDARD, A, B]  # the site was set up so
    assert series_line(chain_site).level == "ok"
    assert not [one for one in set_up(chain_site) if "Property Setter" in one]
    line = series_line(chain_site, royalty_series=(A, "SJ-ROY-C-.YYYY.-"))
    assert line.level == "warning"
    assert line.message.startswith("SJ-ROY-C-.YYYY.- cannot be chosen in Journal Entry")
    (step,) = [one for one in set_up(chain_site, series=(A, "SJ-ROY-C-.YYYY.-")) if "Property Setter" in one]
    assert step.startswith(f"change Property Setter {SETTER}: SJ-ROY-C-.YYYY.- can then be chosen")
    assert options_of(chain_site) == [STANDARD, A, B, "SJ-ROY-C-.YYYY.-"]


def test_a_user_that_is_no_system_manager_can_check_the_series(chain_site: SandboxERPNext) -> None:
    change(
        chain_site,
        "User",
        "robot@scoopjoy.example",
        roles=[{"role": "Accounts Manager"}, {"role": "Sales Manager"}],
    )
    assert series_line(chain_site).level == "ok"


def test_removal_takes_out_the_unused_series_and_the_options_are_erpnexts_own_again(
    chain_site: SandboxERPNext,
) -> None:
    assert f"delete Property Setter {SETTER}" in take_away(chain_site)
    assert options_of(chain_site) == [STANDARD]
    assert chain_site.documents("Property Setter") == []
    assert [one for one in set_up(chain_site) if "Property Setter" in one]
    assert options_of(chain_site) == [STANDARD, A, B]


def test_removal_leaves_a_series_that_has_entries_and_what_the_site_chose_itself(
    chain_site: SandboxERPNext,
) -> None:
    change(chain_site, "Property Setter", SETTER, value=f"{STANDARD}\nBRANCH-.####\n{A}\n{B}")
    accounts = [
        {
            "account": "Debtors - SJ",
            "party_type": "Customer",
            "party": "Franchise Thane",
            "debit_in_account_currency": 1,
        },
        {"account": "Royalty Income - SJ", "credit_in_account_currency": 1},
    ]
    insert(
        chain_site,
        "Journal Entry",
        naming_series=B,
        company="ScoopJoy",
        posting_date="2026-11-22",
        accounts=accounts,
    )
    assert f"take {A} out of the naming series of Journal Entry" in take_away(chain_site)
    assert options_of(chain_site) == [STANDARD, "BRANCH-.####", B]


def test_a_site_that_refuses_the_property_setter_is_set_up_without_it(chain_site: SandboxERPNext) -> None:
    take_away(chain_site)
    chain_site.faults.add("permission_lost", method="POST", path="/api/resource/Property Setter")
    told: list[Any] = []
    with session_of(chain_site) as session:
        client = Client(session)
        install(client, read_installation(client), told.append)
        with pytest.raises(ERPNextError):
            client.get("Property Setter", SETTER)
    (step,) = [one for one in told if one.doctype == "Property Setter"]
    assert (step.kind, "ERPNext refused it" in step.reason) == ("leave", True)
    assert series_line(chain_site).level == "warning"


# -- where a counter must stand ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "highest"),
    [((), None), ((1,), 1), ((1, 7, 12), 12), ((99998, 99999), 99999), ((99999, 100000, 100001), 100001)],
)
def test_the_counter_must_stand_at_the_highest_number_that_exists(
    chain_site: SandboxERPNext, numbers: tuple[int, ...], highest: int | None
) -> None:
    with session_of(chain_site) as session:
        client = Client(session)
        for number in numbers:
            chain_site.site.set_counter(A, number - 1)
            client.insert_once("Journal Entry", document(fresh_key()) | {"naming_series": A}, label="A")
        client.insert_once("Journal Entry", document(fresh_key()) | {"naming_series": B}, label="B")
        found = read_counter(client, A)
    assert (found and (found.prefix, found.current)) == (highest and ("SJ-ROY-A-2026-", highest))
