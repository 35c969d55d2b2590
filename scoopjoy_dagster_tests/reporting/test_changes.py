"""What changed since the report before: the same lines in the mail, the plain text, the PDF and the workbook."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import pytest
from openpyxl import load_workbook
from pypdf import PdfReader

from scoopjoy_dagster.accounting.figures import Change
from scoopjoy_dagster.reporting.digest import report_digest
from scoopjoy_dagster.reporting.html import MAX_CHANGES, report_html, report_text
from scoopjoy_dagster.reporting.model import DayReport
from scoopjoy_dagster.reporting.pdf import report_pdf
from scoopjoy_dagster.reporting.pdf_statement import statement_pdf
from scoopjoy_dagster.reporting.xlsx import report_xlsx
from scoopjoy_dagster_tests.reporting.samples import day_report, statement

MORE = Change("Franchise Thane", "3 invoices, base 966.68", "4 invoices, base 1966.68", "SINV-9 was added")
DOCUMENTS = Change("The day", "", "", "the totals are the same; documents changed")
REVISION = day_report(revision=1, changes=(MORE, DOCUMENTS))
HEADING = "What changed since the report before"


def pdf_text(content: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(BytesIO(content)).pages).split())


def texts(report: DayReport) -> dict[str, str]:
    cells: list[str] = []
    book = load_workbook(BytesIO(report_xlsx(report)))
    if "Changes" in book.sheetnames:
        cells = [str(cell or "") for row in book["Changes"].iter_rows(values_only=True) for cell in row]
    return {
        "html": " ".join(report_html(report, links={}).split()),
        "text": " ".join(report_text(report, links={}).split()),
        "pdf": pdf_text(report_pdf(report)),
        "xlsx": " ".join(cells),
    }


@pytest.mark.parametrize("kind", ["html", "text", "pdf", "xlsx"])
def test_a_revision_shows_who_changed_from_what_to_what_and_why(kind: str) -> None:
    shown = texts(REVISION)[kind]
    for said in (MORE.who, MORE.before, MORE.after, MORE.reason, DOCUMENTS.reason):
        assert said in shown
    if kind != "xlsx":
        assert HEADING.casefold() in shown.casefold()


def test_the_first_report_of_a_day_has_no_such_part() -> None:
    for shown in texts(day_report()).values():
        assert "what changed since" not in shown.casefold()
        assert MORE.who not in shown


def test_a_change_without_figures_shows_no_empty_arrow() -> None:
    only = replace(REVISION, changes=(DOCUMENTS,))
    assert "&rarr;" not in report_html(only, links={})
    assert "before:" not in report_text(only, links={})


def test_a_long_list_is_cut_in_the_mail_and_whole_in_the_files() -> None:
    many = tuple(replace(MORE, who=f"Franchise {number:03}") for number in range(MAX_CHANGES + 7))
    shown = texts(replace(REVISION, changes=many))
    for kind in ("html", "text"):
        assert "7 more in the attached PDF." in shown[kind]
        assert many[MAX_CHANGES].who not in shown[kind]
    for kind in ("pdf", "xlsx"):
        assert all(one.who in shown[kind] for one in many)


def test_a_name_or_a_reason_never_becomes_markup_or_a_line_of_its_own() -> None:
    nasty = Change("<script>x</script>", "a\nTOTAL 0", "<b>b</b>", "see <img src=x>\nFrom: me")
    report = replace(REVISION, changes=(nasty,))
    html = report_html(report, links={})
    for tag in ("<script", "<img", "<b>b</b>"):
        assert tag not in html
    lines = report_text(report, links={}).splitlines()
    assert not [line for line in lines if line.startswith(("TOTAL 0", "From:"))]
    cells = load_workbook(BytesIO(report_xlsx(report)))["Changes"]
    assert cells["A2"].value == "<script>x</script>"


def test_a_reason_that_looks_like_a_formula_is_text() -> None:
    report = replace(REVISION, changes=(replace(MORE, reason='=HYPERLINK("http://x.example")'),))
    assert load_workbook(BytesIO(report_xlsx(report)))["Changes"]["D2"].data_type != "f"


def test_what_changed_is_no_content_of_its_own() -> None:
    """It follows from the digests: a day that is told in other words is not told again."""
    assert report_digest(REVISION) == report_digest(day_report())


def test_a_statement_keeps_policy_and_run_in_its_properties() -> None:
    made = PdfReader(BytesIO(statement_pdf(statement(), made_by="run-7"))).metadata
    assert made is not None
    assert made.subject == f"policy {statement().policy_version} run run-7"
    assert statement_pdf(statement(), made_by="run-7") == statement_pdf(statement(), made_by="run-7")
    without = PdfReader(BytesIO(statement_pdf(statement()))).metadata
    assert without is not None
    assert without.subject == f"policy {statement().policy_version}"
