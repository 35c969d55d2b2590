"""What a day is compared with: the day before, the same weekday, its week on Mondays' mail, its month on the 1st's."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.past import OutletDay, Past, average_ticket
from scoopjoy_dagster.reporting.html import report_html, report_text
from scoopjoy_dagster.reporting.periods import (
    change,
    first_day_needed,
    month_to_date,
    monthly,
    outlet_rows,
    returns_sentence,
    tiles,
    weekly,
)
from scoopjoy_dagster_tests.reporting.samples import DAY, day_report, with_past

SUNDAY, MONDAY = DAY, DAY + timedelta(days=1)
MONTH_END = date(2026, 11, 30)
DAYS = st.dates(date(2020, 1, 1), date(2040, 1, 1))


def test_headline_numbers_are_compared_with_yesterday_and_the_same_weekday_last_week() -> None:
    report = with_past(day_report())
    found = {tile.label: tile for tile in tiles(report)}
    assert list(found) == ["Sales", "Royalty", "POS sales", "Average ticket"]
    for label in ("Sales", "Royalty", "POS sales"):
        assert [one.since for one in found[label].compared] == ["Sat 21 Nov", "Sun 15 Nov"]
    before = report.past.figures(DAY - timedelta(days=7), DAY - timedelta(days=7)).sales
    assert found["Sales"].compared[1].moved == change(report.totals["sales"], before)


def test_a_day_with_nothing_before_it_says_so_and_divides_by_nothing() -> None:
    report = with_past(day_report())
    only_today = Past(tuple(one for one in report.past.franchises if one.day == DAY))
    compared = tiles(day_report(past=only_today))[0].compared
    assert [one.moved for one in compared] == ["nothing", "nothing"]
    assert tiles(day_report())[0].compared == ()


@pytest.mark.parametrize(
    ("now", "before", "words"),
    [
        ("112.4", "100", "+12.4 %"),
        ("97", "100", "-3.0 %"),
        ("5", "5.00", "unchanged"),
        ("5", "0", "new"),
        ("0", "5", "-100.0 %"),
        ("50", "-100", "+150.0 %"),
    ],
)
def test_a_change_is_said_with_its_direction(now: str, before: str, words: str) -> None:
    assert change(Decimal(now), Decimal(before)) == words


@given(DAYS)
def test_the_week_is_in_the_report_of_a_sunday_and_the_month_in_that_of_its_last_day(day: date) -> None:
    past = Past(outlets=(OutletDay(day, "Till", 1, 2, 0, Decimal(10), Decimal(0)),))
    report = day_report([], business_day=day, past=past)
    assert (weekly(report) is not None) == (day.isoweekday() == 7)
    assert (monthly(report) is not None) == ((day + timedelta(days=1)).day == 1)
    assert bool(month_to_date(report)) == (monthly(report) is None)


@given(DAYS)
def test_everything_that_a_report_compares_with_is_read(day: date) -> None:
    first = first_day_needed(day)
    assert first <= day - timedelta(days=13)
    assert first <= day.replace(day=1)
    if (day + timedelta(days=1)).day == 1:
        assert first == (day.replace(day=1) - timedelta(days=1)).replace(day=1)
    assert (day - first).days <= 61


def test_a_week_adds_up_to_its_days_and_its_outlets() -> None:
    view = weekly(with_past(day_report()))
    assert view is not None
    assert view.title == "Week of 16–22 November 2026"
    sums = {row.name: row for row in view.figures}
    for label, of in (
        ("POS sales by day", "POS sales"),
        ("POS sales by outlet", "POS sales"),
        ("Sales by franchise", "Sales"),
    ):
        rows = dict(view.sections)[label]
        assert sum(row.now for row in rows) == sums[of].now
        assert sum(row.before for row in rows) == sums[of].before
    assert [row.name for row in dict(view.sections)["POS sales by day"]][::6] == ["Mon 16 Nov", "Sun 22 Nov"]


def test_the_month_is_whole_on_its_last_day_beside_the_month_before() -> None:
    report = with_past(day_report(business_day=MONTH_END))
    view = monthly(report)
    assert view is not None
    assert (view.title, view.before_title) == ("November 2026", "October 2026")
    assert view.figures[0].now == report.past.figures(date(2026, 11, 1), MONTH_END).sales
    assert view.figures[0].before == report.past.figures(date(2026, 10, 1), date(2026, 10, 31)).sales
    for shown in (report_html(report, links={}), report_text(report, links={}).title()):
        assert "November 2026" in shown
        assert "October 2026" in shown


def test_every_other_day_has_one_line_of_the_month_to_date() -> None:
    report = with_past(day_report(business_day=MONDAY))
    assert weekly(report) is None
    figures = report.past.figures(date(2026, 11, 1), MONDAY)
    line = month_to_date(report)
    assert line.startswith("November to date (23 days): sales ₹")
    assert f"{figures.royalty:.2f}"[-3:] in line
    assert line in report_text(report, links={})
    assert line in report_html(report, links={})


def test_the_average_ticket_of_an_outlet_counts_no_returns_and_joins_its_shifts() -> None:
    report = day_report(["A", "B"])
    shifts = report.shifts.assign(pos_profile="Till", invoices=[10, 6], returns=[2, 0])
    (row,) = outlet_rows(day_report(["A", "B"], shifts=shifts))
    assert (row.shifts, row.invoices, row.returns) == (2, 16, 2)
    assert row.ticket == report.totals["pos_sales"] / 14
    assert average_ticket(Decimal(-50), 1, 1) is None


def test_returns_are_said_with_their_amounts() -> None:
    said = returns_sentence(with_past(day_report(["A", "B"])))
    assert (
        said == "1 return at the till of ₹120.00 and 2 returns of ₹1,000.00 among the invoices of franchises."
    )
    assert returns_sentence(day_report([])) == "No returns."
