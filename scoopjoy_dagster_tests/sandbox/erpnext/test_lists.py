"""Lists: paging, filters, aggregates, trees, joins."""

from __future__ import annotations

from datetime import date

import pytest

from scoopjoy_dagster.sandbox import seed

DAY = date(2026, 11, 22)
SI = "/api/resource/Sales Invoice"


@pytest.fixture
def invoices(world):
    return [seed.add_invoice(world, "Franchise Thane", DAY, n + 0.1) for n in range(25)]


def test_a_list_without_a_limit_stops_at_20_and_zero_means_all(robot, invoices):
    assert len(robot.get(SI)) == 20
    assert len(robot.get(SI, limit_page_length=0)) == 25
    assert len(robot.get(SI, limit=3)) == 3
    assert robot.get(SI, limit_start=1000, limit_page_length=5) == []


def test_without_order_by_the_order_is_of_no_use_to_anybody(robot, invoices):
    names = [row["name"] for row in robot.get(SI, limit_page_length=0)]
    assert sorted(names) == invoices
    assert names != invoices
    assert names == [row["name"] for row in robot.get(SI, limit_page_length=0)]
    assert [row["name"] for row in robot.get(SI, limit_page_length=0, order_by="name asc")] == invoices


def test_sums_are_decimal_sums_and_grouped_lists_are_paged_too(robot, invoices):
    row = robot.get(
        SI,
        fields=["customer", "sum(grand_total) as total", "count(name) as n", "max(modified) as m"],
        filters=[["docstatus", "=", 1], ["posting_date", "=", "2026-11-22"]],
        group_by="customer",
    )
    assert [(r["customer"], r["total"], r["n"]) for r in row] == [("Franchise Thane", 302.5, 25)]


def test_a_child_filter_repeats_the_parent_for_each_matching_row(world, robot):
    session = world.session()
    items = [
        {"item_code": "SJ-VAN-500", "qty": 1, "rate": 1},
        {"item_code": "SJ-VAN-500", "qty": 2, "rate": 1},
    ]
    with world.site.transaction():
        session.insert(session.new("Sales Invoice", {"customer": "Franchise Thane", "items": items}))
    rows = robot.get(SI, filters=[["Sales Invoice Item", "item_code", "=", "sj-van-500"]])
    assert len(rows) == 2


def test_descendants_reach_the_deepest_group(robot):
    groups = robot.get(
        "/api/resource/Customer Group", filters=[["name", "descendants of", "Franchise"]], order_by="name"
    )
    assert [g["name"] for g in groups] == ["Metro Partners", "Owned Outlets", "Partner Outlets"]
    customers = robot.get(
        "/api/resource/Customer",
        filters=[["customer_group", "descendants of (inclusive)", "Franchise"]],
        limit_page_length=0,
    )
    assert len(customers) == 6


def test_rows_of_a_table_are_listed_only_through_their_parent(robot):
    assert robot.refused("GET", "/api/resource/Has Role") == (403, "PermissionError")
    rows = robot.get(
        "/api/resource/Has Role",
        parent="User",
        fields=["parent"],
        filters=[["role", "=", "System Manager"]],
        limit=0,
    )
    assert {"parent": "robot@scoopjoy.example"} in rows


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"fields": ["nofield"]}, (417, "DataError")),
        ({"filters": [["nofield", "=", 1]]}, (417, "DataError")),
        ({"fields": ["count(*) as n"]}, (417, "DataError")),
        ({"fields": ["sum(grand_total*0.05) as r"]}, (500, "ValueError")),
        ({"fields": ["sum(grand_total)"]}, (501, "SandboxNotImplemented")),
        ({"filters": [["posting_date", "timespan", "today"]]}, (501, "SandboxNotImplemented")),
        ({"order_by": "name; drop table x"}, (417, "ValidationError")),
        ({"limit_page_length": -1}, (500, "ProgrammingError")),
        ({"filters": '[["broken"'}, (500, "JSONDecodeError")),
        ({"fields": [{"SUM": "grand_total"}]}, (500, "TypeError")),
    ],
)
def test_what_a_list_cannot_do_is_refused(robot, params, expected):
    assert robot.refused("GET", SI, **params) == expected


def test_linked_fields_nulls_and_long_filters_by_post(robot, invoices):
    rows = robot.post(
        "/api/method/frappe.client.get_list",
        {
            "doctype": "Sales Invoice",
            "fields": ["name", "customer.customer_group as grp", "return_against"],
            "filters": [["name", "in", invoices + ["x" * 50] * 300], ["return_against", "is", "not set"]],
            "order_by": "name desc",
            "limit_page_length": 1,
        },
    )
    assert rows == [{"name": invoices[-1], "grp": "Partner Outlets", "return_against": None}]


def test_times_have_no_leading_zero_as_on_a_real_server(world, robot):
    seed.add_shift(
        world, seed.OUTLETS[0].profile, seed.OUTLETS[0].cashier, seed.facts.datetime(2026, 11, 22, 9), [180]
    )
    rows = robot.get("/api/resource/POS Invoice", fields=["posting_time"])
    assert rows == [{"posting_time": "9:15:00"}]
