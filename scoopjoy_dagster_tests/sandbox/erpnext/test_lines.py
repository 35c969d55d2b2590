"""The lines of ERPNext that the sandbox speaks, and what is the sandbox's own about them."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import datetime

import pytest

from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import RateLimit, SandboxERPNext
from scoopjoy_dagster.sandbox.erpnext.lines import V15, V16, Line
from scoopjoy_dagster_tests.sandbox.erpnext.conftest import Client

VERSIONS = "/api/method/frappe.utils.change_log.get_versions"
NOW = datetime(2026, 11, 23, 1)


def test_a_world_speaks_v15_unless_told_otherwise():
    world = SandboxERPNext(":memory:")
    assert world.line is V15
    assert not world.snapshot_isolation
    world.close()


def test_a_line_that_there_is_not_is_refused():
    with pytest.raises(KeyError):
        SandboxERPNext(":memory:", line="v14")


def test_each_fact_of_v16_is_another_than_that_of_v15():
    same = {one.name for one in fields(Line) if getattr(V15, one.name) == getattr(V16, one.name)}
    assert same == set()


def test_a_world_tells_its_version(world, newer):
    for made, major in ((world, "15"), (newer, "16")):
        versions = Client(made.url, made.robot).get(VERSIONS)
        assert {versions[app]["version"].split(".")[0] for app in ("frappe", "erpnext")} == {major}


@pytest.mark.parametrize(("first", "then"), [("v15", "v16"), ("v16", "v15")])
def test_a_site_is_not_opened_in_another_line(tmp_path, first, then):
    path = tmp_path / "site.db"
    SandboxERPNext(path, line=first).close()
    with pytest.raises(ValueError, match=first):
        SandboxERPNext(path, line=then)
    SandboxERPNext(path, line=first).close()


def test_a_template_of_another_line_is_refused(template):
    with pytest.raises(ValueError, match="v15"):
        SandboxERPNext(":memory:", template=template, line="v16")


def test_the_tills_of_a_new_site_make_sales_invoices_and_those_of_the_example_pos_invoices(newer_robot):
    path = "/api/resource/POS Settings/POS Settings"
    assert newer_robot.get(path)["invoice_type"] == "POS Invoice"
    bare = SandboxERPNext(":memory:", line="v16")
    session = bare.session()
    with bare.site.transaction():
        assert session.value("POS Settings", "POS Settings", "invoice_type") == "Sales Invoice"
    bare.close()


# Errors


def test_an_error_says_only_its_type_to_whoever_is_nobody(newer):
    answer = Client(newer.url, None).call("GET", "/api/resource/Customer")
    assert set(answer.json()) <= {"exc_type", "_server_messages"}
    wrong = Client(newer.url, None)
    wrong.http.headers["Authorization"] = "token a:b"
    assert wrong.call("GET", "/api/resource/Customer").json() == {"exc_type": "AuthenticationError"}


def test_a_rate_limit_counts_microseconds_of_work(newer, newer_robot):
    newer.settings.rate_limit = RateLimit(1, 60)
    first, late = (newer_robot.call("GET", "/api/method/ping") for _ in range(2))
    assert (first.headers["X-RateLimit-Limit"], first.headers["X-RateLimit-Remaining"]) == ("1000000", "0")
    assert late.status_code == 429
    assert late.json() == {"exc_type": "TooManyRequestsError"}
    assert int(late.headers["Retry-After"]) > 0


def test_faults_are_worded_as_the_line_words_its_errors(newer, newer_robot):
    newer.faults.add("permission_lost", path="/api/resource")
    body = newer_robot.call("GET", "/api/resource/Customer").json()
    (message,) = (json.loads(text) for text in json.loads(body["_server_messages"]))
    assert (body["exc_type"], message["as_table"]) == ("PermissionError", False)


# Lists


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([{"SUM": "nofield", "as": "n"}], (417, "DataError")),
        (["sum(grand_total)"], (417, "ValidationError")),
        (["distinct customer"], (403, "PermissionError")),
    ],
)
def test_what_a_list_of_v16_cannot_do_is_refused(newer_robot, fields, expected):
    assert newer_robot.refused("GET", "/api/resource/Sales Invoice", fields=fields) == expected


def test_a_negative_page_is_a_type_error(newer_robot):
    found = newer_robot.refused("GET", "/api/resource/Customer", limit_page_length=-1)
    assert found == (500, "TypeError")


# The night after


def test_the_shift_of_yesterday_is_closed_the_next_morning_and_keeps_the_day_of_its_sales(newer):
    """Nobody sells at that till before that, and the day of the sales is that of the last of them."""
    outlet = seed.OUTLETS[0]
    shift = seed.add_shift(newer, outlet.profile, outlet.cashier, datetime(2026, 11, 22, 9), ["100", "50"])
    assert newer.documents("POS Opening Entry", name=shift.opening)[0]["status"] == "Open"
    closing = seed.close_shift(newer, shift.opening)
    (doc,) = newer.documents("POS Closing Entry", name=closing)
    assert (doc["status"], doc["posting_date"]) == ("Submitted", "2026-11-23")
    (merged,) = newer.documents("Sales Invoice", is_consolidated=1)
    assert merged["posting_date"] == "2026-11-22"
