"""The body of the report mail: HTML for a phone, and the plain text beside it.

What belongs here: choosing what fits into a mail, and the two templates. What does not: the whole of the day, which is in the
attached workbook; Gmail cuts a mail at 102 kB, so each table shows its most telling rows and says how many it left out.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from scoopjoy_dagster.reporting.numbers import count, group_indian, money, percent
from scoopjoy_dagster.reporting.summary import (
    counted_differences,
    exceptions,
    findings_by_severity,
    headline,
    mode_totals,
    outlets_by_sales,
    verdict,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Environment

    from scoopjoy_dagster.reporting.model import DayReport

#: Rows of each table that go into the mail.
MAX_OUTLETS = 30
MAX_DIFFERENCES = 10
MAX_FINDINGS = 10
MAX_CHANGES = 20
MAX_TEXT = 600  # characters of one finding's message: ERPNext may answer with a page


def report_html(report: DayReport, *, images: Mapping[str, str], links: Mapping[str, str]) -> str:
    """The HTML of the mail.

    Args:
        report: The day.
        images: Content-ID by picture, of those pictures that are sent along: `sales_by_outlet`, `royalties_by_day`.
        links: Address by label, shown as buttons in this order; may be empty.

    Raises:
        ValueError: a link is not http or https.
    """
    return _environment().get_template("report.html.j2").render(**_context(report, links), images=images)


def report_text(report: DayReport, *, links: Mapping[str, str]) -> str:
    """The same day as plain text, for readers that show no HTML.

    Raises:
        ValueError: a link is not http or https.
    """
    return _environment().get_template("report.txt.j2").render(**_context(report, links))


def _context(report: DayReport, links: Mapping[str, str]) -> dict[str, Any]:
    for label, address in links.items():
        if urlsplit(address).scheme not in {"http", "https"}:
            raise ValueError(
                f"The link {label!r} goes to {address!r}; links in the mail are http or https addresses."
            )
    outlets = outlets_by_sales(report)
    differences = counted_differences(report)
    findings = findings_by_severity(report)
    return {
        "report": report,
        "day": f"{report.business_day:%A}, {report.business_day.day} {report.business_day:%B %Y}",
        "headline": headline(report),
        "verdict": verdict(report),
        "exceptions": exceptions(report),
        "outlets": outlets[:MAX_OUTLETS],
        "more_outlets": len(outlets[MAX_OUTLETS:]),
        "modes": mode_totals(report),
        "differences": differences[:MAX_DIFFERENCES],
        "more_differences": len(differences[MAX_DIFFERENCES:]),
        "changes": report.changes[:MAX_CHANGES],
        "more_changes": len(report.changes[MAX_CHANGES:]),
        "findings": findings[:MAX_FINDINGS],
        "more_findings": len(findings[MAX_FINDINGS:]),
        "links": links,
    }


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("scoopjoy_dagster.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "amount": group_indian,
        "money": money,
        "percent": percent,
        "count": count,
        "shortened": _shortened,
        "line": _on_one_line,
    }
    return environment
