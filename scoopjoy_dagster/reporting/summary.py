"""What a day report says in a few words: the headline, the drawer by mode of payment, what comes first.

What belongs here: figures and sentences that more than one rendering shows. What does not: markup.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from scoopjoy_dagster.reporting.model import read_rows
from scoopjoy_dagster.reporting.numbers import count, money

if TYPE_CHECKING:
    from scoopjoy_dagster.accounting.findings import Finding
    from scoopjoy_dagster.reporting.model import DayReport, Row

_ZERO = Decimal(0)


@dataclass(frozen=True)
class ModeTotal:
    """One mode of payment over all shifts of the day. Amounts are in the company's currency."""

    mode_of_payment: str
    shifts: int
    expected: Decimal
    """Over all shifts, counted or not."""
    counted: Decimal | None
    """Over the shifts where somebody counted; None where nobody did."""
    difference: Decimal | None
    """Counted less expected over the same shifts; None where nobody counted."""
    uncounted_shifts: int
    uncounted_expected: Decimal
    """What the shifts that nobody counted should hold."""


@dataclass(frozen=True)
class Verdict:
    """The day in one line, and how bad it is."""

    level: str
    """"ok", "warning" or "error"."""
    text: str


@dataclass
class _Drawer:
    shifts: int = 0
    expected: Decimal = _ZERO
    counted: list[Decimal] = field(default_factory=list)
    difference: Decimal = _ZERO
    uncounted_shifts: int = 0
    uncounted_expected: Decimal = _ZERO


def mode_totals(report: DayReport) -> list[ModeTotal]:
    """The payments of the day by mode of payment, the largest expected amount first."""
    drawers: defaultdict[str, _Drawer] = defaultdict(_Drawer)
    for row in read_rows(report, "payments"):
        drawer = drawers[row["mode_of_payment"]]
        drawer.shifts += 1
        drawer.expected += row["expected"]
        if row["counted"] is None:
            drawer.uncounted_shifts += 1
            drawer.uncounted_expected += row["expected"]
        else:
            drawer.counted.append(row["counted"])
            drawer.difference += row["difference"] or _ZERO
    totals = [
        ModeTotal(
            mode_of_payment=mode,
            shifts=drawer.shifts,
            expected=drawer.expected,
            counted=sum(drawer.counted, _ZERO) if drawer.counted else None,
            difference=drawer.difference if drawer.counted else None,
            uncounted_shifts=drawer.uncounted_shifts,
            uncounted_expected=drawer.uncounted_expected,
        )
        for mode, drawer in drawers.items()
    ]
    return sorted(totals, key=lambda total: (-total.expected, total.mode_of_payment))


def counted_differences(report: DayReport) -> list[Row]:
    """The rows of `payments` where the count is over or short, the largest difference first."""
    rows = [row for row in read_rows(report, "payments") if row["difference"]]
    return sorted(rows, key=lambda row: (-abs(row["difference"]), row["pos_profile"], row["mode_of_payment"]))


def outlets_by_sales(report: DayReport) -> list[Row]:
    """The rows of `outlets`, the largest sales first. A franchise without a name goes by its document name."""
    rows = [
        row if row["customer_name"].strip() else {**row, "customer_name": row["customer"]}
        for row in read_rows(report, "outlets")
    ]
    return sorted(rows, key=lambda row: (-row["base"], row["customer_name"], row["customer"]))


def findings_by_severity(report: DayReport) -> list[Finding]:
    """Errors first, then warnings, each in the order that they were recorded in; for the workbook, which has room for all."""
    return sorted(report.findings, key=lambda finding: finding.severity != "error")


def exceptions(report: DayReport) -> str:
    """`2 errors, 1 warning` or `no exceptions`."""
    errors = sum(finding.severity == "error" for finding in report.findings)
    warnings = len(report.findings) - errors
    parts = [count(number, word) for number, word in ((errors, "error"), (warnings, "warning")) if number]
    return ", ".join(parts) or "no exceptions"


def headline(report: DayReport) -> str:
    """Sales, royalty and exceptions of the day in one line; the sales at the till where a report is about tills alone."""
    if report.view and report.outlets.empty:
        return f"{money(report.totals['pos_sales'], report.currency)} POS sales, {exceptions(report)}"
    sales, royalty = (money(report.totals[key], report.currency) for key in ("sales", "royalty"))
    return f"{sales} sales, {royalty} royalty, {exceptions(report)}"


def heading(report: DayReport) -> str:
    """What the report is called: the company, and the outlets where it is not about all of them."""
    return " · ".join(filter(None, (report.company, "Nightly close", report.view)))


def verdict(report: DayReport) -> Verdict:
    """Whether the managers can leave the day alone."""
    if any(finding.severity == "error" for finding in report.findings):
        return Verdict("error", f"Needs attention: {exceptions(report)}.")
    if report.shifts.empty and report.outlets.empty:
        day = "No POS shift and no sale of a franchise on this day"
    else:
        closed = sum(bool(row["closing"]) for row in read_rows(report, "shifts"))
        parts = []
        if not report.view or not report.shifts.empty:
            parts.append(f"{closed} of {count(len(report.shifts), 'shift')} closed")
        if not report.view or not report.outlets.empty:
            parts.append(f"royalty worked out for {count(len(report.outlets), 'franchise')}")
        day = ", ".join(parts)
        day = day[0].upper() + day[1:]
    if report.findings:
        return Verdict("warning", f"{day}; {exceptions(report)} to look at.")
    return Verdict("ok", f"{day}; nothing to look at.")
