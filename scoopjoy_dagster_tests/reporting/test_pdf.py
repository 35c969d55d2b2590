from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from io import BytesIO

from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.reporting.model import StatementEntry, StatementLine
from scoopjoy_dagster.reporting.pdf import report_pdf
from scoopjoy_dagster.reporting.pdf_statement import statement_pdf
from scoopjoy_dagster_tests.reporting.samples import (
    DAY,
    FINDINGS,
    POLICY,
    day_report,
    empty_report,
    frame,
    outlet_row,
    statement,
    with_past,
)


def pages(pdf: bytes) -> list[str]:
    """The text of each page on one line: where the lines of a cell break is not what is tested."""
    return [" ".join(page.extract_text().split()) for page in PdfReader(BytesIO(pdf)).pages]


def test_the_report_says_everything_and_numbers_its_pages() -> None:
    report = day_report(findings=FINDINGS, revision=1)
    found = pages(report_pdf(report))
    text = " ".join(found)
    for expected in (
        "Sunday, 22 November 2026", "₹14,05,608.15", "₹70,280.40", POLICY, "ScoopJoy Koramangala", "CUST-0000", "SJ-ROY-2026-00000",
        "POS-CLO-2026-00003", "-120.50", "not counted", "Item <b>Mango Kulfi</b> has no default warehouse & cannot", "Revision 1",
    ):  # fmt: skip
        assert expected in text
    assert all(f"Page {number} of {len(found)}" in page for number, page in enumerate(found, start=1))


def test_tables_repeat_their_headings_and_end_with_totals() -> None:
    names = [f"ScoopJoy {'Long Name ' * 10}{number}" for number in range(60)]
    report = day_report(names)
    found = pages(report_pdf(report))
    with_outlets = [page for page in found if "SJ-ROY-2026-" in page]
    assert len(with_outlets) >= 3
    assert all("Outlet Invoices Sales Rate Royalty Journal Entries" in page for page in with_outlets)
    assert sum(page.count("60 outlets") for page in found) == 1
    assert "60 shifts" in " ".join(found)
    # The totals never stand alone under repeated headings.
    assert "SJ-ROY-2026-" in next(page for page in found if "60 outlets" in page)


def test_equal_content_gives_equal_bytes() -> None:
    assert report_pdf(with_past(day_report())) == report_pdf(with_past(day_report()))
    assert statement_pdf(statement()) == statement_pdf(statement())
    assert statement_pdf(statement()) != statement_pdf(statement(royalty=Decimal("1.00")))


def test_an_empty_day_is_one_page() -> None:
    (page,) = pages(report_pdf(empty_report()))
    assert "No franchise had an invoice on this day." in page
    assert "Page 1 of 1" in page


@settings(max_examples=25, deadline=None)
@given(st.text(), st.decimals(-(10**9), 10**9, places=2))
def test_any_name_and_amount_can_be_printed(name: str, base: Decimal) -> None:
    outlets = frame("outlets", [outlet_row(0, name, base, note=name, journal_entries=name)])
    findings = (Finding("error", name, name, name, name),)
    assert report_pdf(day_report(["x"], outlets=outlets, findings=findings, company=name))
    assert statement_pdf(statement(customer_name=name, customer=name, base=base, company=name))


def test_markup_in_a_name_is_printed_as_text() -> None:
    name = "<b>Bold</b> & <font color=red>Sons</font> <para> &amp; \"Kulfi\" 'Co' <img src='/etc/passwd'/>"
    report = day_report([name], findings=(Finding("warning", name, name, name, name),))
    assert name in " ".join(pages(report_pdf(report)))
    assert name in pages(statement_pdf(statement(customer_name=name)))[0]


def test_a_message_longer_than_a_page_does_not_stop_the_report() -> None:
    report = day_report(findings=(Finding("error", "w" * 5000, "x", "long " * 5000, "do " * 5000),))
    assert "long long" in " ".join(pages(report_pdf(report)))


def test_names_in_other_scripts_are_printed() -> None:
    report = day_report(["Кофе и мороженое", "Παγωτό", "Łódź Żoliborz"])
    text = " ".join(pages(report_pdf(report)))
    assert all(name in text for name in ("Кофе и мороженое", "Παγωτό", "Łódź Żoliborz"))


@settings(max_examples=40, deadline=None)
@given(st.text(st.sampled_from("aZ(1,.-क्षिमैंகோொൖ🍦\u200dಕ್অ ₹"), min_size=1, max_size=12))
def test_letters_of_several_scripts_in_one_word_can_be_printed(name: str) -> None:
    assert statement_pdf(statement(customer_name=name, customer=name, company=name))


def test_latin_letters_beside_indic_ones_stay_what_they_are() -> None:
    # reportlab shapes a word in its first font, and would take the glyphs of the other letters from there.
    text = " ".join(pages(statement_pdf(statement(customer_name="मैंगोIndira(गोवा)North"))))
    assert "Indira" in text
    assert "North" in text


def test_the_statement_explains_the_royalty() -> None:
    found = pages(statement_pdf(statement()))
    text = " ".join(found)
    for expected in (
        "Royalty statement", "ScoopJoy Koramangala", "CUST-0001", "2026-11-22", "5 %", "₹522.56", POLICY, "Policy version: v1",
        "ACC-SINV-2026-00000", "Return", "-916.00", "ACC-JV-2026-00012", "Adjustment 1: ACC-SINV-2026-00017 was returned", "-12.50",
        "November 2026 up to and including this day: sales ₹2,19,460.50, royalty ₹10,973.76.",
        "not a tax invoice", "GST", "TDS", "24 invoices",
    ):  # fmt: skip
        assert expected in text
    assert all(f"Page {number} of {len(found)}" in page for number, page in enumerate(found, start=1))
    assert "not posted yet" not in text


def test_the_statement_says_what_is_not_posted_yet() -> None:
    entries = (StatementEntry("ACC-JV-2026-00012", DAY, 0, Decimal("500.00"), ""),)
    assert (
        "₹22.56 of the royalty of this day is not posted yet."
        in pages(statement_pdf(statement(entries=entries)))[0]
    )


def test_a_statement_without_month_or_invoices_is_whole() -> None:
    nothing = statement(
        lines=(),
        base=Decimal(0),
        royalty=Decimal(0),
        entries=(),
        month_to_date_base=None,
        month_to_date_royalty=None,
    )
    (page,) = pages(statement_pdf(nothing))
    assert "0 invoices" in page
    assert "up to and including" not in page


def test_a_statement_of_many_invoices_repeats_its_headings() -> None:
    line = statement().lines[0]
    many = tuple(replace(line, invoice=f"ACC-SINV-2026-{number:05d}") for number in range(200))
    found = pages(statement_pdf(statement(lines=many)))
    assert len(found) > 3
    assert all("Sales Invoice Posting date Kind Base Royalty share" in page for page in found)
    assert isinstance(many[0], StatementLine)
