"""Totals: carried from page to page in the PDF, formulas with their value in the workbook; both exact."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from io import BytesIO

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from openpyxl.utils import range_boundaries
from pypdf import PdfReader

from scoopjoy_dagster.reporting.numbers import group_indian
from scoopjoy_dagster.reporting.pdf import report_pdf
from scoopjoy_dagster.reporting.pdf_statement import statement_pdf
from scoopjoy_dagster.reporting.xlsx import report_xlsx
from scoopjoy_dagster_tests.reporting.samples import FINDINGS, day_report, statement, with_past

PAISA = Decimal("0.01")
AMOUNTS = st.decimals(-(10**7), 10**7, places=2)


def pages(pdf: bytes) -> list[str]:
    return [" ".join(page.extract_text().split()) for page in PdfReader(BytesIO(pdf)).pages]


def amount(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


@settings(max_examples=8, deadline=None)
@given(st.lists(AMOUNTS, min_size=60, max_size=150))
def test_what_a_page_carries_forward_the_next_brings_forward_and_is_the_sum_so_far(
    bases: list[Decimal],
) -> None:
    line = statement().lines[0]
    lines = tuple(
        replace(line, invoice=f"SINV-{number:05d}", base=base, share=base / 20)
        for number, base in enumerate(bases)
    )
    found = pages(statement_pdf(statement(lines=lines)))
    assert len(found) >= 2
    seen = Decimal(0)
    for number, page in enumerate(found):
        brought = re.search(r"Brought forward (-?[\d,.]+)", page)
        assert (brought is not None) == (number > 0)
        if brought:
            assert amount(brought[1]) == seen
        shown = [int(name) for name in re.findall(r"SINV-(\d{5})", page)]
        seen += sum((bases[one] for one in shown), Decimal(0))
        carried = re.search(r"Carried forward (-?[\d,.]+)", page)
        assert (carried is not None) == (number < len(found) - 1)
        if carried:
            assert amount(carried[1]) == seen
    assert seen == sum(bases)
    assert f"{len(bases)} invoices {group_indian(sum(bases, Decimal(0)))}" in found[-1]


def test_pages_are_numbered_n_of_m_and_every_table_ends_with_the_sum_of_its_rows() -> None:
    report = with_past(
        day_report([f"ScoopJoy {'Long Name ' * 8}{number}" for number in range(60)], findings=FINDINGS)
    )
    found = pages(report_pdf(report))
    assert all(f"Page {number} of {len(found)}" in page for number, page in enumerate(found, start=1))
    text = " ".join(found)
    bases = sum(report.outlets["base"], Decimal(0))
    assert f"60 outlets {group_indian(sum(report.outlets['invoices']), 0)} {group_indian(bases)}" in text
    assert f"All outlets 60 {group_indian(sum(report.shifts['invoices']), 0)}" in text
    assert text.count("Carried forward") == text.count("Brought forward") >= 6


def test_a_heading_is_never_alone_at_the_end_of_a_page() -> None:
    for outlets in range(1, 14):
        found = pages(report_pdf(with_past(day_report([f"Outlet {number}" for number in range(outlets)]))))
        for page in found:
            body = page.rpartition("ScoopJoy · Nightly close")[0]
            assert not body.rstrip().endswith(
                (
                    "Payments per shift",
                    "POS shifts",
                    "Royalties by outlet",
                    "average ticket by outlet",
                    "all shifts",
                )
            ), outlets


@settings(max_examples=10, deadline=None)
@given(st.lists(AMOUNTS, min_size=1, max_size=6))
def test_every_total_of_the_workbook_is_a_formula_that_equals_the_decimal_sum(bases: list[Decimal]) -> None:
    report = day_report([f"Outlet {number}" for number in range(len(bases))])
    report = with_past(replace(report, outlets=report.outlets.assign(base=pd.Series(bases, dtype=object))))
    content = BytesIO(report_xlsx(report))
    formulas, values = load_workbook(content), load_workbook(content, data_only=True)
    checked = 0
    for sheet in formulas:
        for cell in (cell for row in sheet.iter_rows() for cell in row if cell.data_type == "f"):
            kept = values[sheet.title][cell.coordinate].value
            assert kept is not None, (
                f"{sheet.title}!{cell.coordinate} shows nothing without a calculation engine"
            )
            found = re.fullmatch(r"=SUM\((\w+:\w+)\)", str(cell.value))
            if found is None:
                continue
            column, top, _, bottom = range_boundaries(found[1])
            assert column is not None
            assert top is not None
            assert bottom is not None
            cells = [sheet.cell(row, column).value or 0 for row in range(top, bottom + 1)]
            total = sum((Decimal(str(one)) for one in cells), Decimal(0))
            assert Decimal(str(kept)).quantize(PAISA) == total.quantize(PAISA), cell.coordinate
            checked += 1
    assert checked >= 15
    assert Decimal(str(values["Outlets"].cell(len(bases) + 2, 4).value)).quantize(PAISA) == sum(bases)


@pytest.mark.parametrize(
    "sheet", ["Outlets", "Shifts", "Payments", "Invoices", "Till", "Franchise days", "Outlet days", "Week"]
)
def test_every_sheet_of_rows_has_frozen_headings(sheet: str) -> None:
    book = load_workbook(BytesIO(report_xlsx(with_past(day_report()))))
    assert book[sheet].freeze_panes == "A2"


def test_the_raw_rows_are_dates_and_numbers() -> None:
    book = load_workbook(BytesIO(report_xlsx(with_past(day_report()))))
    for name, first_amount in (("Franchise days", "E2"), ("Outlet days", "F2")):
        assert book[name]["A2"].is_date
        assert book[name][first_amount].data_type == "n"
    ticket = book["Till"]["F2"]
    assert ticket.value == "=E2/(C2-D2)"


def test_by_a_policy_on_net_totals_the_summary_compares_like_with_like() -> None:
    report = day_report()
    content = BytesIO(report_xlsx(replace(report, totals={**report.totals, "sales": Decimal("1658617.62")})))
    values = load_workbook(content, data_only=True)["Summary"]
    rows = {row[0].value: [cell.value for cell in row[1:]] for row in values.iter_rows()}
    assert "Sales (INR)" not in rows
    assert rows["Royalty base (INR)"][2] == 0
