"""The body of the report mail: HTML for a phone, and the plain text beside it.

What belongs here: choosing what fits into a mail, and the two templates. What does not: the whole of the day, which is in the
attached workbook; Gmail cuts a mail at 102 kB, so each table shows its most telling rows and says how many it left out.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from scoopjoy_dagster.accounting.findings import gathered
from scoopjoy_dagster.reporting.charts import COLORS, day_charts
from scoopjoy_dagster.reporting.numbers import count, group_indian, money, percent
from scoopjoy_dagster.reporting.periods import (
    month_to_date,
    monthly,
    outlet_rows,
    returns_sentence,
    tiles,
    weekly,
)
from scoopjoy_dagster.reporting.summary import (
    counted_differences,
    exceptions,
    heading,
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
MAX_PERIOD_ROWS = 10
MAX_TEXT = 600  # characters of one finding's message: ERPNext may answer with a page
MAX_NAME = 80  # characters of a name in a table


def report_html(report: DayReport, *, links: Mapping[str, str], again: bool = False) -> str:
    """The HTML of the mail.

    Args:
        report: The day.
        links: Address by label, shown as buttons in this order; may be empty.
        again: Whether somebody asked for it to be sent although it was delivered.

    Raises:
        ValueError: a link is not http or https.
    """
    template = _environment().get_template("report.html.j2")
    return template.render(**_context(report, links), charts=day_charts(report), colors=COLORS, again=again)


def report_text(report: DayReport, *, links: Mapping[str, str], again: bool = False) -> str:
    """The same day as plain text, for readers that show no HTML.

    Raises:
        ValueError: a link is not http or https.
    """
    return _environment().get_template("report.txt.j2").render(**_context(report, links), again=again)


def _context(report: DayReport, links: Mapping[str, str]) -> dict[str, Any]:
    for label, address in links.items():
        if urlsplit(address).scheme not in {"http", "https"}:
            raise ValueError(
                f"The link {label!r} goes to {address!r}; links in the mail are http or https addresses."
            )
    franchises, outlets = outlets_by_sales(report), outlet_rows(report)
    differences = counted_differences(report)
    findings = gathered(report.findings)
    return {
        "report": report,
        "day": f"{report.business_day:%A}, {report.business_day.day} {report.business_day:%B %Y}",
        "heading": heading(report),
        "headline": headline(report),
        "verdict": verdict(report),
        "exceptions": exceptions(report),
        "tiles": tiles(report),
        "month_to_date": month_to_date(report),
        "with_franchises": not report.view or bool(franchises),
        "with_tills": not report.view or bool(outlets or report.past.outlets) or not franchises,
        # In the column's own terms: the headline counts grand totals, whatever the policy's base is.
        "base_total": sum((row["base"] for row in franchises), Decimal(0)),
        "outlets": franchises[:MAX_OUTLETS],
        "more_outlets": len(franchises[MAX_OUTLETS:]),
        "tills": outlets[:MAX_OUTLETS],
        "more_tills": len(outlets[MAX_OUTLETS:]),
        "till_invoices": sum(row.invoices for row in outlets),
        "returns": returns_sentence(report),
        "modes": mode_totals(report),
        "differences": differences[:MAX_DIFFERENCES],
        "more_differences": len(differences[MAX_DIFFERENCES:]),
        "periods": [view for view in (weekly(report), monthly(report)) if view is not None],
        "period_rows": MAX_PERIOD_ROWS,
        "changes": report.changes[:MAX_CHANGES],
        "more_changes": len(report.changes[MAX_CHANGES:]),
        "findings": findings[:MAX_FINDINGS],
        "more_findings": len(findings[MAX_FINDINGS:]),
        "links": links,
    }


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def _short_name(text: str) -> str:
    """A name with both its ends: those of a chain begin alike."""
    half = MAX_NAME // 2
    return text if len(text) <= MAX_NAME else f"{text[:half].rstrip()}…{text[-half:].lstrip()}"


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
        "name": _short_name,
        "line": _on_one_line,
    }
    return environment
