from __future__ import annotations

import datetime as dt
import re
import zipfile
from decimal import Decimal
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.reporting.model import FRAMES, DayReport
from scoopjoy_dagster.reporting.xlsx import report_xlsx
from scoopjoy_dagster_tests.reporting.samples import (
    DAY,
    FINDINGS,
    POLICY,
    day_report,
    empty_report,
    frame,
    outlet_row,
)


def opened(report: DayReport, *, values: bool = False) -> Workbook:
    return load_workbook(BytesIO(report_xlsx(report)), data_only=values)


def test_the_sheets_and_their_frozen_headings() -> None:
    book = opened(day_report(findings=FINDINGS))
    assert book.sheetnames == ["Summary", "Outlets", "Shifts", "Payments", "Invoices", "Exceptions"]
    assert {name: book[name].freeze_panes for name in book.sheetnames[1:]} == dict.fromkeys(
        book.sheetnames[1:], "A2"
    )
    assert all(book["Outlets"].column_dimensions[letter].width > 8 for letter in "ABCDEFGH")


def test_amounts_are_numbers_and_dates_are_dates() -> None:
    book = opened(day_report())
    name, invoices, sales, rate = (book["Outlets"][cell] for cell in ("B2", "C2", "D2", "E2"))
    assert (name.data_type, invoices.data_type, sales.data_type, rate.data_type) == ("s", "n", "n", "n")
    assert (sales.value, rate.value) == (184350, 5)
    assert book["Invoices"]["D2"].value == dt.datetime(2026, 11, 22)
    assert book["Invoices"]["D2"].is_date
    assert book["Summary"]["B3"].is_date
    assert "##\\,##\\," in sales.number_format


def test_totals_are_formulas_that_carry_their_value() -> None:
    report = day_report()
    formulas, values = opened(report), opened(report, values=True)
    bottom = len(report.outlets) + 2
    assert formulas["Outlets"][f"D{bottom}"].value == f"=SUM(D2:D{bottom - 1})"
    assert formulas["Outlets"][f"A{bottom}"].value == "Total"
    assert Decimal(str(values["Outlets"][f"D{bottom}"].value)) == report.totals["sales"]
    assert Decimal(str(values["Outlets"][f"F{bottom}"].value)) == report.totals["royalty"]
    assert formulas["Invoices"].max_row == len(report.invoices) + 2


def test_the_summary_sets_what_is_reported_beside_what_the_sheets_add_up_to() -> None:
    report = day_report(findings=FINDINGS, revision=2)
    formulas, values = opened(report)["Summary"], opened(report, values=True)["Summary"]
    cells = {row[0].value: row for row in formulas.iter_rows()}
    computed = {row[0].value: [cell.value for cell in row[1:]] for row in values.iter_rows()}
    assert cells["Sales (INR)"][2].value == "=Outlets!D12"
    assert [Decimal(str(value)) for value in computed["Sales (INR)"]] == [
        report.totals["sales"],
        report.totals["sales"],
        0,
    ]
    assert [Decimal(str(value)) for value in computed["POS sales (INR)"]] == [
        report.totals["pos_sales"],
        report.totals["pos_sales"],
        0,
    ]
    assert computed["Royalty policy"][0] == POLICY
    assert (computed["Revision"][0], computed["Errors"][0], computed["Warnings"][0]) == (2, 1, 2)


def test_a_drawer_that_nobody_counted_is_an_empty_cell_and_says_so() -> None:
    sheet = opened(day_report())["Payments"]
    row = next(row for row in sheet.iter_rows(min_row=2) if row[7].value == "not counted")
    assert (row[5].value, row[6].value) == (None, None)
    assert isinstance(row[4].value, int | float)


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        '=HYPERLINK("http://x")',
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "{=1}",
        "http://x.example",
        "mailto:a@b",
        "1234",
        "₹ 🍦 <&>'\"",
    ],
)
def test_a_text_stays_a_text(text: str) -> None:
    report = day_report([text], findings=(Finding("error", text, text, text, text),))
    book = opened(report)
    for cell in (
        book["Outlets"]["B2"],
        book["Exceptions"]["B2"],
        book["Exceptions"]["E2"],
        book["Invoices"]["C2"],
    ):
        assert (cell.value, cell.data_type, cell.hyperlink) == (text, "s", None)


@settings(max_examples=25, deadline=None)
@given(st.text(), st.decimals(-(10**9), 10**9, places=2))
def test_no_name_ever_adds_a_formula(name: str, base: Decimal) -> None:
    outlets = frame("outlets", [outlet_row(0, name, base, note=name, journal_entries=name)])
    findings = (Finding("error", name, name, name, name),)
    content = report_xlsx(day_report(["x"], outlets=outlets, findings=findings, policy=name, company=name))
    with zipfile.ZipFile(BytesIO(content)) as parts:
        formulas = [
            formula
            for part in parts.namelist()
            if part.startswith("xl/worksheets/sheet")
            for formula in re.findall(r"<f>(.*?)</f>", parts.read(part).decode())
        ]
    assert formulas
    assert all(
        re.fullmatch(r"SUM\([A-Z]+2:[A-Z]+\d+\)|[A-Za-z]+![A-Z]+\d+|ROUND\(B\d+-C\d+,2\)", formula)
        for formula in formulas
    )


def test_equal_days_give_equal_bytes() -> None:
    assert report_xlsx(day_report()) == report_xlsx(day_report())
    assert opened(day_report()).properties.created == dt.datetime.combine(DAY, dt.time())


def test_an_empty_day_has_all_sheets_with_headings_only() -> None:
    book = opened(empty_report())
    assert [book[name].max_row for name in book.sheetnames[1:]] == [1] * len(FRAMES)
    assert {row[0].value: row[1].value for row in book["Summary"].iter_rows()}["Sales (INR)"] == 0
