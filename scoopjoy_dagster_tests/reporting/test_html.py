from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.reporting.html import report_html, report_text
from scoopjoy_dagster.reporting.model import DayReport
from scoopjoy_dagster_tests.reporting.samples import (
    FINDINGS,
    POLICY,
    day_report,
    empty_report,
    frame,
    outlet_row,
    with_past,
)

GMAIL_CUTS_AT = 102_000


class Reader(HTMLParser):
    """Collects what a mail reader would show and which elements it would build."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def html_of(report: DayReport) -> str:
    return report_html(report, links={})


def test_the_mail_shows_the_figures_of_the_day() -> None:
    report = day_report(findings=FINDINGS)
    shown = Reader(html_of(report)).text
    for text in (
        "Sunday, 22 November 2026",
        "₹14,05,608.15",
        "₹70,280.40",
        "1,84,350.00",
        "ScoopJoy Koramangala",
        POLICY,
    ):
        assert text in shown
        assert text in report_text(report, links={})
    assert "3 shifts not counted (2,22,247.33)" in shown
    assert "-241.00" in shown
    assert "Set the warehouse on the POS Profile" in shown


def test_a_mode_that_nobody_counted_says_so_instead_of_zero() -> None:
    payments = day_report().payments.assign(counted=None, difference=None)
    report = day_report(payments=payments)
    assert len(re.findall(r">not counted</td>", html_of(report))) == 3
    assert "UPI: expected 7,67,584.49, not counted\n" in report_text(report, links={})


@settings(max_examples=40, deadline=None)
@given(st.text(), st.text(), st.text())
def test_text_from_erpnext_never_becomes_markup(name: str, note: str, message: str) -> None:
    plain = day_report(["x"], findings=(Finding("error", "x", "x", "x", "x"),))
    outlets = frame("outlets", [outlet_row(0, name, Decimal(1), customer=name, note=note)])
    findings = (Finding("error", name or "x", message or "x", message or "x", note or "x"),)
    hostile = replace(plain, outlets=outlets, findings=findings, company=name)
    allowed = set(Reader(html_of(replace(plain, outlets=plain.outlets.assign(note="x")))).tags)
    assert set(Reader(html_of(hostile)).tags) <= allowed


def test_a_script_in_a_name_is_shown_as_text() -> None:
    name = "<script>alert('x')</script>\"><img src=x onerror=y>& 🍦 {{ 7*7 }}"
    reader = Reader(html_of(day_report([name], findings=(Finding("error", name, name, name, name),))))
    assert "script" not in reader.tags
    assert "img" not in reader.tags
    assert name in reader.text
    assert not any(key.startswith("on") for key, _ in reader.attributes)
    assert name in report_text(day_report([name]), links={})


def test_a_name_cannot_add_lines_to_the_plain_text() -> None:
    text = report_text(day_report(["Shop\n\nSALES ₹0.00\r\nfake"]), links={})
    assert "- Shop SALES ₹0.00 fake: sales" in text


def test_links_are_buttons_and_only_web_addresses() -> None:
    reader = Reader(
        report_html(day_report(), links={"Dagster run": "https://dagster.example/runs/1?a=1&b=2"})
    )
    assert ("href", "https://dagster.example/runs/1?a=1&b=2") in reader.attributes
    assert "a" not in Reader(html_of(day_report())).tags
    with pytest.raises(ValueError, match="'Run' goes to 'javascript:alert"):
        report_html(day_report(), links={"Run": "javascript:alert(1)"})
    with pytest.raises(ValueError, match="'Run' goes to 'data:"):
        report_text(day_report(), links={"Run": "data:text/html,x"})


def test_a_mail_about_five_hundred_outlets_is_not_cut_by_gmail_and_says_what_it_left_out() -> None:
    findings = [replace(one, message=f"{one.message} {number}") for number in range(100) for one in FINDINGS]
    report = day_report([f"ScoopJoy {'Long Name ' * 14}{number}" for number in range(500)], findings=findings)
    html = html_of(with_past(report))
    assert len(html.encode()) < GMAIL_CUTS_AT
    assert "470 outlets more on the sheet Outlets" in html
    assert "290 more on the sheet Exceptions" in html
    assert "more on the sheet Payments" in html


def test_an_answer_of_a_whole_page_is_shortened() -> None:
    assert (
        len(html_of(day_report(findings=(Finding("error", "x", "y", "long " * 100_000, ""),))))
        < GMAIL_CUTS_AT
    )


def test_an_empty_day_is_a_whole_mail() -> None:
    shown = Reader(html_of(empty_report())).text
    assert "No franchise had an invoice on this day." in shown
    assert "No POS shift took payments on this day." in shown
    assert "No POS shift and no sale of a franchise on this day; nothing to look at." in shown
    assert "₹0.00" in report_text(empty_report(), links={})


def test_a_revision_says_that_it_replaces_the_report_before() -> None:
    assert "Revision 2: replaces" in html_of(day_report(revision=2))
    assert "Revision" not in html_of(day_report())


def test_negative_days_are_shown_with_their_sign() -> None:
    outlets = frame(
        "outlets", [outlet_row(0, "Shop", Decimal("-123456.50"), note="base is negative: nothing posted")]
    )
    shown = Reader(html_of(day_report(outlets=outlets))).text
    assert "-1,23,456.50" in shown
    assert "base is negative: nothing posted" in shown
