"""Locks of the books: how an Accounting Period that is closed for Journal Entries is found, and what it refuses.

Every period is made for this run and deleted again. They lie on days that no fiscal year covers, where nobody can
post anyway, save for the one of the refusal: it lasts for one call.
"""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .books import Books
    from .site import Caller

CLOSED_FOR_ENTRIES = [
    ["Closed Document", "document_type", "=", "Journal Entry"],
    ["Closed Document", "closed", "=", 1],
]


@contextmanager
def period(
    robot: Caller, books: Books, label: str, day: dt.date, closed: dict[str, int]
) -> Iterator[dict[str, Any]]:
    """An Accounting Period of one day, for as long as it is needed."""
    made = robot.insert(
        "Accounting Period",
        period_name=f"{books.prefix} {label}",
        company=books.company,
        start_date=day.isoformat(),
        end_date=day.isoformat(),
        closed_documents=[{"document_type": doctype, "closed": value} for doctype, value in closed.items()],
    ).value
    try:
        yield made
    finally:
        robot.delete("Accounting Period", made["name"]).accepted()


@pytest.fixture
def periods(robot: Caller, books: Books) -> Iterator[dict[str, str]]:
    """Three periods: closed for Journal Entries, open for them, and closed for something else only."""
    day, one = books.no_fiscal_year, dt.timedelta(days=1)
    with (
        period(robot, books, "closed", day, {"Journal Entry": 1, "Sales Invoice": 1}) as closed,
        period(robot, books, "open", day - one, {"Journal Entry": 0, "Sales Invoice": 1}) as left_open,
        period(robot, books, "other", day - 2 * one, {"Sales Invoice": 1}) as other,
    ):
        yield {"closed": closed["name"], "open": left_open["name"], "other": other["name"]}


def test_a_filter_on_the_child_rows_finds_the_periods_closed_for_journal_entries_once_each(
    robot: Caller, books: Books, periods: dict[str, str]
) -> None:
    """Both conditions hold for one and the same row: `open` has a Journal Entry row and a closed row, but not in one."""
    ours = [["company", "=", books.company], ["name", "in", list(periods.values())]]
    fields = ["name", "start_date", "end_date"]
    day = books.no_fiscal_year.isoformat()
    found = robot.rows("Accounting Period", fields, [*ours, *CLOSED_FOR_ENTRIES])
    assert found == [{"name": periods["closed"], "start_date": day, "end_date": day}]
    listed = robot.rpc(
        "frappe.client.get_list",
        doctype="Accounting Period",
        fields=fields,
        filters=[*ours, *CLOSED_FOR_ENTRIES],
        order_by="name asc",
        limit_page_length=0,
    )
    assert listed.value == found


def test_a_filter_on_the_document_type_alone_finds_a_period_that_takes_them_too(
    robot: Caller, periods: dict[str, str]
) -> None:
    ours = ["name", "in", list(periods.values())]
    rows = robot.rows("Accounting Period", ["name"], [ours, CLOSED_FOR_ENTRIES[0]])
    assert {row["name"] for row in rows} == {periods["closed"], periods["open"]}


def test_an_entry_in_a_closed_period_is_417_closed_accounting_period_until_it_is_open(
    robot: Caller, books: Books, franchise: str
) -> None:
    entry = {**books.royalty(franchise), "posting_date": books.other_day.isoformat(), "docstatus": 1}
    with period(robot, books, "this day", books.other_day, {"Journal Entry": 1}) as closed:
        answer = robot.insert("Journal Entry", **entry).refused(417, "ClosedAccountingPeriod")
        assert any(closed["name"] in message for message in answer.messages)
    robot.insert("Journal Entry", **entry).accepted()


def test_period_closing_vouchers_are_listed_by_company_and_state(robot: Caller, books: Books) -> None:
    """The field of the end changed its name within v15: the list asks for names only."""
    filters = [["company", "=", books.company], ["docstatus", "=", 1]]
    for row in robot.rows("Period Closing Voucher", ["name"], filters):
        document = robot.get("Period Closing Voucher", row["name"]).value
        assert document.get("period_end_date") or document.get("posting_date")


def test_the_active_fiscal_years_are_listed_with_their_ends(robot: Caller, books: Books) -> None:
    fields = ["name", "year_start_date", "year_end_date"]
    years = [
        (dt.date.fromisoformat(row["year_start_date"]), dt.date.fromisoformat(row["year_end_date"]))
        for row in robot.rows("Fiscal Year", fields, [["disabled", "=", 0]])
    ]
    assert any(first <= books.today <= last for first, last in years)
    assert not any(first <= books.no_fiscal_year <= last for first, last in years)
