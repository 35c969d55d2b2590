"""Lists: pages, order, filters and sums, as GET /api/resource/DOCTYPE and POST frappe.client.get_list give them."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from .books import PERCENT, Books, money
from .lines import V15, aggregate
from .marks import only_v15, only_v16
from .site import patiently

if TYPE_CHECKING:
    from .site import Caller

MANY = 23  # more than the default page of 20


@dataclass(frozen=True)
class Sales:
    """Customers in a tree of groups, and the invoices of two of them."""

    books: Books
    big: str  # 400 + 200 + tax, less a return of 100 + tax
    small: str  # 100 + tax; its percent was never set
    invoices: list[str]
    returned: str

    @property
    def ours(self) -> list[Any]:
        return [["customer", "in", [self.big, self.small]], ["docstatus", "=", 1]]

    @property
    def in_the_tree(self) -> list[Any]:
        return [["customer_group", "descendants of (inclusive)", self.books.franchises]]

    @property
    def in_the_north(self) -> list[Any]:
        return [["customer_group", "=", self.books.north], ["customer_name", "like", "%Crowd%"]]


@pytest.fixture(scope="session")
def sales(robot: Caller, books: Books) -> Sales:
    crowd = [{"doctype": "Customer", **books.customer_body(f"Crowd {number:02}")} for number in range(MANY)]
    assert len(robot.rpc("frappe.client.insert_many", docs=crowd).value) == MANY
    big = books.customer(robot, "Big", books.north, **{PERCENT: 7.5})
    small = books.customer(robot, "Small", books.south)
    bodies = [books.invoice(big, 3), books.invoice(big, 2), books.invoice(small, 1)]
    bodies[0]["items"] += books.items(2, 50)  # a second row

    def sell(body: dict[str, Any]) -> str:
        answer = patiently(lambda: robot.insert("Sales Invoice", **body, docstatus=1))
        return str(answer.value["name"])

    made = [sell(body) for body in bodies]
    returned = sell(books.invoice(big, -1, is_return=1, return_against=made[0]))
    return Sales(books, big, small, made, returned)


def test_a_page_has_twenty_rows_unless_told_otherwise(robot: Caller, sales: Sales) -> None:
    assert len(robot.page("Customer", ["name"], sales.in_the_north).value) == 20


def test_the_default_page_cuts_grouped_rows_too(robot: Caller, line: str, sales: Sales) -> None:
    fields = ["name", aggregate(line, "count", "name", "n")]
    rows = robot.page("Customer", fields, sales.in_the_north, group_by="name").value
    assert len(rows) == 20


@pytest.mark.parametrize("limit", [0, 1_000_000])
def test_limit_zero_is_all_rows_and_there_is_no_maximum(robot: Caller, sales: Sales, limit: int) -> None:
    assert len(robot.page("Customer", ["name"], sales.in_the_north, limit_page_length=limit).value) == MANY


def test_limit_is_another_word_for_limit_page_length(robot: Caller, sales: Sales) -> None:
    assert len(robot.page("Customer", ["name"], sales.in_the_north, limit=3).value) == 3


def test_pages_with_an_order_meet_without_gap_or_overlap(robot: Caller, sales: Sales) -> None:
    pages: list[str] = []
    for start in range(0, MANY + 10, 10):
        page = robot.page(
            "Customer",
            ["name"],
            sales.in_the_north,
            order_by="name asc",
            limit_start=start,
            limit_page_length=10,
        )
        pages += [row["name"] for row in page.value]
    assert len(pages) == MANY
    assert len(set(pages)) == MANY


def test_past_the_end_is_an_empty_page(robot: Caller, sales: Sales) -> None:
    rows = robot.page("Customer", ["name"], sales.in_the_north, limit_start=1000, order_by="name asc").value
    assert rows == []


def test_order_by_takes_directions_and_several_fields(robot: Caller, sales: Sales) -> None:
    rows = robot.rows("Customer", ["name"], sales.in_the_north)
    falling = robot.rows("Customer", ["name"], sales.in_the_north, order_by="name desc")
    assert falling == rows[::-1]
    by_age = robot.rows("Customer", ["name"], sales.in_the_north, order_by="creation asc, name asc")
    assert [row["name"] for row in by_age] == [row["name"] for row in rows]


def test_before_v16_a_list_with_child_rows_is_ordered_by_a_name_only_where_it_shows_it(
    robot: Caller, line: str, sales: Sales
) -> None:
    ours = [["name", "=", sales.invoices[0]]]
    shown = robot.page("Sales Invoice", ["name", "items.qty"], ours, order_by="name asc")
    assert sorted(row["qty"] for row in shown.value) == [2, 3]
    hidden = robot.page("Sales Invoice", ["customer", "items.qty"], ours, order_by="name asc")
    if line == V15:
        hidden.refused(500, "OperationalError")
    else:
        assert sorted(row["qty"] for row in hidden.value) == [2, 3]


def test_order_by_takes_no_second_statement(robot: Caller) -> None:
    robot.page("Customer", ["name"], order_by="name; drop table x").refused(417, "ValidationError")


def test_descendants_of_leaves_the_group_itself_out_and_inclusive_takes_it_in(
    robot: Caller, sales: Sales
) -> None:
    def found(operator: str, group: str) -> set[str]:
        filters = [["customer_group", operator, group], ["name", "in", [sales.big, sales.small]]]
        return {row["name"] for row in robot.rows("Customer", ["name"], filters)}

    books = sales.books
    assert found("descendants of (inclusive)", books.franchises) == {sales.big, sales.small}
    assert found("descendants of", books.franchises) == {sales.big, sales.small}
    assert found("descendants of (inclusive)", books.north) == {sales.big}
    assert found("descendants of", books.north) == set()


def test_filters_may_be_a_mapping(robot: Caller, sales: Sales) -> None:
    filters = {"customer": sales.big, "docstatus": 1, "is_return": ["=", 0]}
    rows = robot.rows("Sales Invoice", ["name"], filters)
    assert {row["name"] for row in rows} == set(sales.invoices[:2])


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (["is_return", "=", 1], 1),
        (["is_return", "!=", 1], 3),
        (["posting_date", "between", ["DAY", "DAY"]], 4),
        (["posting_date", ">", "DAY"], 0),
        (["posting_date", "<=", "DAY"], 4),
        (["modified", ">=", "DAY 00:00:00"], 4),
        (["base_net_total", ">", 200], 1),
        (["return_against", "is", "set"], 1),
        (["return_against", "is", "not set"], 3),
        (["customer_name", "like", "%Big%"], 3),
        (["docstatus", "<", 2], 4),
    ],
)
def test_filter_operators(robot: Caller, sales: Sales, condition: list[Any], expected: int) -> None:
    written = json.loads(json.dumps(condition).replace("DAY", sales.books.day))
    assert len(robot.rows("Sales Invoice", ["name"], [*sales.ours, written])) == expected


def test_or_filters_are_alternatives_beside_the_filters(robot: Caller, sales: Sales) -> None:
    either = [["name", "=", sales.invoices[0]], ["name", "=", sales.invoices[2]]]
    filters = [["customer", "=", sales.big]]
    rows = robot.rows("Sales Invoice", ["name"], filters, or_filters=json.dumps(either))
    assert [row["name"] for row in rows] == [sales.invoices[0]]


@pytest.mark.parametrize("order", ["customer asc", "total desc"])
def test_sums_and_counts_by_group_with_returns_subtracting(
    robot: Caller, line: str, sales: Sales, order: str
) -> None:
    fields = [
        "customer",
        aggregate(line, "sum", "base_grand_total", "total"),
        aggregate(line, "sum", "base_net_total", "net"),
        aggregate(line, "count", "name", "n"),
    ]
    rows = robot.rows("Sales Invoice", fields, sales.ours, group_by="customer", order_by=order)
    found = {row["customer"]: (money(row["total"]), money(row["net"]), row["n"]) for row in rows}
    assert found == {
        sales.big: (money(525), money(500), 3),
        sales.small: (money(105), money(100), 1),
    }
    if order != "customer asc":
        assert [row["customer"] for row in rows] == [sales.big, sales.small]


@only_v15
def test_sums_are_text_and_not_objects(robot: Caller, sales: Sales) -> None:
    as_object = {"SUM": "base_net_total", "as": "net"}
    robot.page("Sales Invoice", ["customer", as_object], sales.ours).refused(500, "TypeError")


@only_v16
def test_sums_are_objects_and_not_text(robot: Caller, sales: Sales) -> None:
    fields = ["customer", "sum(base_net_total) as net"]
    robot.page("Sales Invoice", fields, sales.ours, group_by="customer").refused(417, "ValidationError")
    listed = {"doctype": "Sales Invoice", "fields": fields, "filters": sales.ours, "group_by": "customer"}
    robot.rpc("frappe.client.get_list", **listed).refused(417, "ValidationError")


@only_v16
def test_the_functions_of_a_list_are_count_sum_average_least_and_greatest(
    robot: Caller, sales: Sales
) -> None:
    functions = {"COUNT": "*", "SUM": "base_net_total", "AVG": "base_net_total"}
    functions |= {"MIN": "base_net_total", "MAX": "posting_date"}
    fields = [{name: field, "as": name.lower()} for name, field in functions.items()]
    (row,) = robot.page("Sales Invoice", fields, sales.ours).value
    assert {**row, **{name: money(row[name]) for name in ("sum", "avg", "min")}} == {
        "count": 4,
        "sum": money(600),
        "avg": money(150),
        "min": money(-100),
        "max": sales.books.day,
    }


@only_v16
@pytest.mark.parametrize(
    "field",
    [{"NOPE": "base_net_total", "as": "x"}, {"sum": "base_net_total", "as": "x"}],
    ids=["no such function", "in small letters"],
)
def test_a_function_that_a_list_does_not_know_is_refused(
    robot: Caller, sales: Sales, field: dict[str, str]
) -> None:
    assert robot.page("Sales Invoice", [field], sales.ours).status >= 400


def test_whether_an_order_may_be_a_sum_depends_on_the_line(robot: Caller, line: str, sales: Sales) -> None:
    fields = ["customer", aggregate(line, "sum", "base_grand_total", "total")]
    answer = robot.page(
        "Sales Invoice", fields, sales.ours, group_by="customer", order_by="sum(base_grand_total) desc"
    )
    if line == V15:
        assert [row["customer"] for row in answer.value] == [sales.big, sales.small]
    else:
        answer.refused(417, "ValidationError")


def test_whether_distinct_is_a_field_depends_on_the_line(robot: Caller, line: str, sales: Sales) -> None:
    answer = robot.page("Sales Invoice", ["distinct customer"], sales.ours, limit_page_length=0)
    if line == V15:
        assert sorted(row["customer"] for row in answer.value) == sorted([sales.big, sales.small])
    else:
        answer.refused(403, "PermissionError")


def test_a_group_without_a_sum_names_each_value_once(robot: Caller, sales: Sales) -> None:
    rows = robot.rows("Sales Invoice", ["customer"], sales.ours, group_by="customer", order_by="customer asc")
    assert [row["customer"] for row in rows] == sorted([sales.big, sales.small])


def test_two_columns_may_group(robot: Caller, line: str, sales: Sales) -> None:
    fields = ["customer", "is_return", aggregate(line, "sum", "base_net_total", "net")]
    rows = robot.rows(
        "Sales Invoice", fields, sales.ours, group_by="customer, is_return", order_by="customer asc"
    )
    assert {(row["customer"], row["is_return"]): money(row["net"]) for row in rows} == {
        (sales.big, 0): money(600),
        (sales.big, 1): money(-100),
        (sales.small, 0): money(100),
    }


def test_a_sum_without_a_group_is_one_row(robot: Caller, line: str, sales: Sales) -> None:
    wanted = (("sum", "base_grand_total", "total"), ("count", "name", "n"), ("max", "modified", "last"))
    fields = [aggregate(line, *one) for one in wanted]
    (row,) = robot.page("Sales Invoice", fields, sales.ours).value
    assert (money(row["total"]), row["n"]) == (money(630), 4)
    assert row["last"] >= sales.books.day  # a suite that runs over midnight ends on another day


def test_a_sum_over_nothing_is_one_row_of_null(robot: Caller, line: str, sales: Sales) -> None:
    filters = [*sales.ours, ["posting_date", ">", sales.books.day]]
    fields = [aggregate(line, "sum", "base_grand_total", "total")]
    rows = robot.page("Sales Invoice", fields, filters).value
    assert rows == [{"total": None}]


@only_v15
def test_count_star_is_refused(robot: Caller) -> None:
    robot.page("Sales Invoice", ["count(*) as n"]).refused(417, "DataError")


@pytest.mark.parametrize("field", ["sum(base_grand_total*0.05) as royalty", "(select 1) as x"])
def test_arithmetic_and_subselects_are_refused(robot: Caller, field: str) -> None:
    assert robot.page("Sales Invoice", [field], limit=1).status >= 400


def test_a_field_of_a_linked_document_comes_with_the_row(robot: Caller, sales: Sales) -> None:
    fields = ["name", "customer.customer_group as customer_group", f"customer.{PERCENT} as percent"]
    rows = robot.rows("Sales Invoice", fields, [["name", "in", [sales.invoices[0], sales.invoices[2]]]])
    assert rows == [
        {"name": sales.invoices[0], "customer_group": sales.books.north, "percent": 7.5},
        {"name": sales.invoices[2], "customer_group": sales.books.south, "percent": 0},
    ]


def test_a_field_of_a_linked_document_may_stand_beside_a_sum(robot: Caller, line: str, sales: Sales) -> None:
    total = aggregate(line, "sum", "base_grand_total", "total")
    fields = ["customer", f"customer.{PERCENT} as percent", total]
    rows = robot.rows("Sales Invoice", fields, sales.ours, group_by="customer", order_by="customer asc")
    assert {row["customer"]: (row["percent"], money(row["total"])) for row in rows} == {
        sales.big: (7.5, money(525)),
        sales.small: (0, money(105)),
    }


def test_a_child_field_or_filter_repeats_the_parent_for_every_row(robot: Caller, sales: Sales) -> None:
    first = ["name", "=", sales.invoices[0]]  # it has two item rows
    dotted = robot.rows("Sales Invoice", ["name", "items.item_code", "items.qty"], [first])
    assert [(row["item_code"], row["qty"]) for row in sorted(dotted, key=lambda row: -row["qty"])] == [
        (sales.books.item, 3),
        (sales.books.item, 2),
    ]
    filters = [first, ["Sales Invoice Item", "item_code", "=", sales.books.item]]
    assert robot.rows("Sales Invoice", ["name"], filters) == [{"name": sales.invoices[0]}] * 2


def test_a_child_doctype_is_listed_only_with_its_parent_doctype(robot: Caller, sales: Sales) -> None:
    filters = [["parent", "=", sales.invoices[0]]]
    robot.page("Sales Invoice Item", ["parent", "qty"], filters).refused(403, "PermissionError")
    rows = robot.rows(
        "Sales Invoice Item", ["parent", "qty"], filters, parent="Sales Invoice", order_by="idx asc"
    )
    assert rows == [
        {"parent": sales.invoices[0], "qty": 3},
        {"parent": sales.invoices[0], "qty": 2},
    ]


def test_child_rows_can_be_summed(robot: Caller, line: str, sales: Sales) -> None:
    rows = robot.rows(
        "Sales Invoice Item",
        [
            "item_code",
            aggregate(line, "sum", "qty", "qty"),
            aggregate(line, "sum", "base_net_amount", "net"),
        ],
        [["parent", "in", [*sales.invoices, sales.returned]]],
        parent="Sales Invoice",
        group_by="item_code",
        order_by="item_code asc",
    )
    assert [(row["item_code"], row["qty"], money(row["net"])) for row in rows] == [
        (sales.books.item, 7, money(600))
    ]


@pytest.mark.parametrize("where", ["fields", "filters"])
def test_an_unknown_field_is_417_data_error(robot: Caller, where: str) -> None:
    fields = ["name", "no_such_field"] if where == "fields" else ["name"]
    filters = [["no_such_field", "=", 1]] if where == "filters" else []
    answer = robot.page("Customer", fields, filters).refused(417, "DataError")
    assert any("no_such_field" in message for message in answer.messages)


def test_rows_hold_nulls_where_documents_leave_fields_out(robot: Caller, sales: Sales) -> None:
    (row,) = robot.rows("Sales Invoice", ["name", "return_against"], [["name", "=", sales.invoices[0]]])
    assert row == {"name": sales.invoices[0], "return_against": None}
    assert "return_against" not in robot.get("Sales Invoice", sales.invoices[0]).value


def test_a_percent_never_set_is_zero_and_counts_as_set_before_v16(
    robot: Caller, line: str, sales: Sales
) -> None:
    which = [["name", "in", [sales.big, sales.small]]]
    zero = robot.rows("Customer", ["name", PERCENT], [*which, [PERCENT, "=", 0]])
    assert zero == [{"name": sales.small, PERCENT: 0}]
    unset = robot.rows("Customer", ["name"], [*which, [PERCENT, "is", "not set"]])
    assert unset == ([] if line == V15 else [{"name": sales.small}])


def test_a_request_line_too_long_is_refused_by_the_web_server(robot: Caller) -> None:
    names = [f"no such invoice {number:06}" for number in range(1000)]
    answer = robot.page("Sales Invoice", ["name"], [["name", "in", names]])
    assert answer.status in {400, 414}  # gunicorn itself, or a proxy before it
    assert answer.body is None


def test_a_long_filter_goes_through_post_get_list(robot: Caller, sales: Sales) -> None:
    names = [f"no such invoice {number:06}" for number in range(1000)] + sales.invoices
    answer = robot.rpc(
        "frappe.client.get_list",
        doctype="Sales Invoice",
        fields=["name", "customer.customer_group as customer_group"],
        filters=[["name", "in", names]],
        order_by="name asc",
        limit_page_length=0,
    )
    assert [row["name"] for row in answer.value] == sorted(sales.invoices)


def test_post_get_list_has_the_same_default_page_groups_and_child_rule(
    robot: Caller, line: str, sales: Sales
) -> None:
    def listed(**arguments: Any) -> Any:
        return robot.rpc("frappe.client.get_list", **arguments)

    assert len(listed(doctype="Customer", filters=sales.in_the_north).value) == 20
    totals = listed(
        doctype="Sales Invoice",
        fields=["customer", aggregate(line, "sum", "base_net_total", "net")],
        filters=sales.ours,
        group_by="customer",
        order_by="net desc",
        limit_page_length=0,
    ).value
    assert [(row["customer"], money(row["net"])) for row in totals] == [
        (sales.big, money(500)),
        (sales.small, money(100)),
    ]
    child = {"doctype": "Sales Invoice Item", "filters": [["parent", "=", sales.invoices[2]]]}
    listed(**child).refused(403, "PermissionError")
    assert len(listed(**child, parent="Sales Invoice").value) == 1


def test_get_count_counts_what_filters_select(robot: Caller, sales: Sales) -> None:
    answer = robot.rpc("frappe.client.get_count", doctype="Sales Invoice", filters=sales.ours)
    assert answer.value == 4


def test_get_value_reads_some_fields_of_one_document(robot: Caller, sales: Sales) -> None:
    answer = robot.rpc(
        "frappe.client.get_value",
        doctype="Customer",
        filters={"name": sales.big},
        fieldname=[PERCENT, "disabled"],
    )
    assert answer.value == {PERCENT: 7.5, "disabled": 0}


CLOCKS = ("0:00:00", "2:59:59.999999", "03:00:00", "3:00:00.000001", "09:05:00", "23:59:59")


@pytest.fixture(scope="session")
def by_the_clock(robot: Caller, books: Books) -> dict[str, str]:
    """Drafts of one customer, one at each of these times: time -> name."""
    customer = books.customer(robot, "Clock", books.north)

    def at(clock: str) -> str:
        body = books.invoice(customer, posting_time=clock)
        return str(patiently(lambda: robot.insert("Sales Invoice", **body)).value["name"])

    return {clock: at(clock) for clock in CLOCKS}


def test_times_are_compared_as_times_and_not_as_they_are_written(
    robot: Caller, by_the_clock: dict[str, str]
) -> None:
    mine = ["name", "in", list(by_the_clock.values())]

    def found(*filters: list[Any]) -> set[str]:
        return {
            str(row["name"]) for row in robot.rows("Sales Invoice", ["name"], [mine, *map(list, filters)])
        }

    def these(*clocks: str) -> set[str]:
        return {by_the_clock[clock] for clock in clocks}

    assert found(["posting_time", "<", "03:00:00"]) == these(*CLOCKS[:2])
    assert found(["posting_time", ">=", "03:00:00"]) == these(*CLOCKS[2:])
    assert found(["posting_time", "<", "10:00:00"]) == these(*CLOCKS[:5])


def test_a_time_comes_back_without_a_leading_zero(robot: Caller, by_the_clock: dict[str, str]) -> None:
    names = [["name", "in", list(by_the_clock.values())]]
    rows = {
        row["name"]: row["posting_time"]
        for row in robot.rows("Sales Invoice", ["name", "posting_time"], names)
    }
    assert rows[by_the_clock["09:05:00"]] == "9:05:00"
    assert rows[by_the_clock["0:00:00"]] == "0:00:00"


def test_an_invoice_without_a_time_has_the_time_of_its_insert(robot: Caller, books: Books) -> None:
    """Also one that is dated back: so it may be of the hours before the end of a business day."""
    body = books.invoice(
        books.customer(robot, "Timeless", books.north),
        posting_date=books.other_day.isoformat(),
        due_date=None,
    )
    made = patiently(lambda: robot.insert("Sales Invoice", **body)).value
    stored = robot.get("Sales Invoice", made["name"]).value
    hours, minutes, seconds = (float(part) for part in str(stored["posting_time"]).split(":"))
    inserted = dt.datetime.fromisoformat(stored["creation"])
    begun = dt.datetime.combine(inserted.date(), dt.time()) + dt.timedelta(
        hours=hours, minutes=minutes, seconds=seconds
    )
    assert abs(inserted - begun) < dt.timedelta(seconds=30)


def test_one_list_takes_a_date_or_the_early_hours_of_the_next(robot: Caller, books: Books) -> None:
    customer = books.customer(robot, "Night", books.north)
    day, other = sorted((books.today, books.other_day))

    def at(date: Any, clock: str) -> str:
        body = books.invoice(customer, posting_date=date.isoformat(), posting_time=clock, due_date=None)
        return str(patiently(lambda: robot.insert("Sales Invoice", **body)).value["name"])

    evening, early, morning = at(day, "23:30:00"), at(other, "1:30:00"), at(other, "9:00:00")
    rows = robot.rows(
        "Sales Invoice",
        ["name"],
        [["customer", "=", customer], ["posting_date", "between", [day.isoformat(), other.isoformat()]]],
        or_filters=json.dumps([["posting_date", "=", day.isoformat()], ["posting_time", "<", "03:00:00"]]),
    )
    assert {row["name"] for row in rows} == {evening, early}
    assert morning not in {row["name"] for row in rows}


def test_sums_of_the_hours_before_and_after_a_time_are_the_sum_of_the_day(
    robot: Caller, line: str, by_the_clock: dict[str, str]
) -> None:
    mine = ["name", "in", list(by_the_clock.values())]

    def number(*filters: list[Any]) -> int:
        rows = robot.rows(
            "Sales Invoice",
            ["posting_date", aggregate(line, "count", "name", "n")],
            [mine, *map(list, filters)],
            group_by="posting_date",
            order_by="posting_date asc",
        )
        return sum(int(row["n"]) for row in rows)

    early, later = number(["posting_time", "<", "03:00:00"]), number(["posting_time", ">=", "03:00:00"])
    assert (early, later, early + later) == (2, 4, number())
