"""What the charts show, and that mail and PDF carry it."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from scoopjoy_dagster.reporting.charts import (
    AMOUNT_COLUMNS,
    COLORS,
    DAYS,
    TOP_OUTLETS,
    Chart,
    day_charts,
    royalties_by_day,
    sales_by_outlet,
)
from scoopjoy_dagster.reporting.html import report_html
from scoopjoy_dagster.reporting.model import DayReport
from scoopjoy_dagster.reporting.pdf import report_pdf
from scoopjoy_dagster_tests.reporting.samples import (
    DAY,
    day_report,
    empty_report,
    frame,
    outlet_row,
    with_past,
)

AMOUNTS = st.decimals(-10_000_000, 10_000_000, places=2)


def selling(*bases: str) -> DayReport:
    rows = [outlet_row(number, f"Outlet {number}", Decimal(base)) for number, base in enumerate(bases)]
    return day_report(outlets=frame("outlets", rows))


def owing(royalties: dict[int, str]) -> DayReport:
    """A report with these royalties, by days before the business day."""
    rows = [
        {"day": DAY - timedelta(days=back), "sales": Decimal(0), "royalty": Decimal(royalty)}
        for back, royalty in royalties.items()
    ]
    return day_report(history=frame("history", rows))


def drawn(chart: Chart | None) -> Chart:
    assert chart is not None
    return chart


def test_a_day_has_a_chart_of_outlets_and_one_of_royalties_and_of_the_till_where_days_before_are_known() -> (
    None
):
    assert list(day_charts(with_past(day_report()))) == [
        "sales_by_outlet",
        "royalties_by_day",
        "pos_sales_by_day",
    ]
    assert list(day_charts(day_report())) == ["sales_by_outlet", "royalties_by_day"]
    assert day_charts(empty_report()) == {}


def test_a_chart_of_nothing_but_zeros_is_none() -> None:
    assert royalties_by_day(owing({0: "0", 7: "0"})) is None


def test_one_outlet_alone_compares_nothing() -> None:
    one = selling("500")
    assert sales_by_outlet(replace(one, view="Outlet 0")) is None
    assert drawn(sales_by_outlet(one)).bars


def test_outlets_stand_by_sales_and_those_below_zero_in_a_colour_of_their_own() -> None:
    bars = drawn(sales_by_outlet(selling("50000", "-25000", "200000"))).bars
    assert [(bar.label, bar.share, bar.amount, bar.tone) for bar in bars] == [
        ("Outlet 2", Decimal(1), "₹2.00 L", "day"),
        ("Outlet 0", Decimal("0.25"), "₹50,000", "day"),
        ("Outlet 1", Decimal("-0.125"), "-₹25,000", "negative"),
    ]
    assert len(set(COLORS.values())) == len(COLORS)


def test_the_outlets_after_the_first_twelve_are_one_line_without_a_bar() -> None:
    bars = drawn(sales_by_outlet(selling(*map(str, range(1000, 1060))))).bars
    assert len(bars) == TOP_OUTLETS + 1
    assert (bars[-1].label, bars[-1].share, bars[-1].amount) == (
        "48 others",
        0,
        f"₹{sum(range(1000, 1048)):,} together",
    )


def test_the_thirteenth_outlet_is_shown_rather_than_called_one_other() -> None:
    assert drawn(sales_by_outlet(selling(*["9"] * 13))).bars[-1].share == 1


def test_the_name_of_the_chain_is_left_out_and_long_names_keep_both_ends() -> None:
    names = ["ScoopJoy Koramangala", "ScoopJoy Phoenix Marketcity and Convention Centre, Unit 7", "ScoopJoy"]
    assert {bar.label for bar in drawn(sales_by_outlet(day_report(names))).bars} == {
        "Koramangala",
        "Phoenix Mark…e, Unit 7",
        "ScoopJoy",
    }


def test_a_fortnight_ends_with_the_business_day_and_marks_the_same_weekday_before() -> None:
    bars = drawn(royalties_by_day(owing({0: "50", 7: "100", 12: "200", 5: "-20"}))).bars
    assert len(bars) == DAYS
    assert [(bar.label, bar.tone, bar.share) for bar in bars if bar.share] == [
        ("Tu 10", "past", 1),
        ("Su 15", "week", Decimal("0.5")),
        ("Tu 17", "negative", Decimal("-0.1")),
        ("Su 22", "day", Decimal("0.25")),
    ]


def test_the_amounts_of_the_day_of_the_best_day_and_of_the_same_weekday_before_are_written() -> None:
    bars = drawn(royalties_by_day(owing({0: "50", 7: "100", 12: "200", 3: "70"}))).bars
    assert [bar.amount for bar in bars if bar.told] == ["₹200", "₹100", "₹50"]


@pytest.mark.parametrize(
    ("royalties", "told"),
    [
        ({0: "50", 1: "200", 7: "100"}, ["₹100", "₹50"]),  # the best day is yesterday
        ({0: "50", 7: "100", 8: "200"}, ["₹200", "₹50"]),  # the best day is beside the same weekday
        ({0: "0", 4: "200"}, ["₹200", "₹0"]),  # nothing was sold on the same weekday
        ({0: "-30", 7: "-20"}, ["-₹20", "-₹30"]),
    ],
)
def test_amounts_that_would_overlap_are_left_out_but_that_of_the_day_never(
    royalties: dict[int, str], told: list[str]
) -> None:
    assert [bar.amount for bar in drawn(royalties_by_day(owing(royalties))).bars if bar.told] == told


@given(st.dictionaries(st.integers(0, DAYS - 1), AMOUNTS.map(str), min_size=1))
def test_the_line_of_amounts_is_as_wide_as_the_columns_and_each_amount_is_over_its_own(
    royalties: dict[int, str],
) -> None:
    chart = royalties_by_day(owing(royalties))
    if chart is None:
        return
    cells, at = chart.amounts_above, 0
    for width, bar in cells:
        if bar is not None:
            assert width == AMOUNT_COLUMNS
            assert bar in chart.bars[at : at + width]
        at += width
    assert at == DAYS
    assert [bar for _, bar in cells if bar] == [bar for bar in chart.bars if bar.told]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=60), AMOUNTS), min_size=1, max_size=5), AMOUNTS)
def test_any_name_and_any_amount_can_be_drawn(rows: list[tuple[str, Decimal]], royalty: Decimal) -> None:
    outlets = frame("outlets", [outlet_row(number, name, base) for number, (name, base) in enumerate(rows)])
    report = replace(owing({0: str(royalty), 3: "5"}), outlets=outlets)
    for bar in [bar for chart in day_charts(report).values() for bar in chart.bars]:
        assert -1 <= bar.share <= 1
    assert report_html(report, links={})
    assert report_pdf(report)


def test_the_mail_shows_the_charts_without_any_picture() -> None:
    report = with_past(day_report(["ScoopJoy Whitefield", "ScoopJoy कोरमंगला & Sons"]))
    html = report_html(report, links={})
    assert "<img" not in html
    for chart in day_charts(report).values():
        assert chart.title in html
        for bar in chart.bars:
            assert f'bgcolor="{COLORS[bar.tone]}"' in html
            assert bar.amount in html  # of columns without room for it, for those who hear the mail
    assert "कोरमंगला &amp; Sons" in html
    assert max(map(int, re.findall(r'bgcolor="#\w+" height="(\d+)"', html))) == 90
    assert max(map(int, re.findall(r'bgcolor="#\w+" width="(\d+)%"', html))) == 70


def test_the_pdf_shows_the_charts_as_rectangles_and_text() -> None:
    report = with_past(day_report())
    page = PdfReader(BytesIO(report_pdf(report))).pages[0]
    assert not list(page.images)
    text = page.extract_text()
    charts = day_charts(report)
    for chart in charts.values():
        assert chart.title in text
        for bar in chart.bars:
            assert all(part in text for part in bar.label.split())
            assert not bar.told or bar.amount in text
    bars = sum(len(chart.bars) for chart in charts.values())
    assert page.get_contents().get_data().count(b" re f") >= bars


def test_importing_the_charts_loads_no_library() -> None:
    program = (
        "import sys\n"
        "import scoopjoy_dagster.reporting.charts\n"
        "print([name for name in ('pandas', 'reportlab', 'uharfbuzz') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
