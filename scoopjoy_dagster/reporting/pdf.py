"""The day report as PDF, for the managers' file.

What belongs here: what it says and in which order. What does not: layout (that is `pdf_page`).
"""

from __future__ import annotations

from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING

from scoopjoy_dagster.accounting.findings import gathered
from scoopjoy_dagster.reporting.charts import day_charts
from scoopjoy_dagster.reporting.fonts import identified, shorten
from scoopjoy_dagster.reporting.model import read_rows
from scoopjoy_dagster.reporting.numbers import count, group_indian, percent
from scoopjoy_dagster.reporting.pdf_page import Column, Document
from scoopjoy_dagster.reporting.periods import (
    month_to_date,
    monthly,
    outlet_rows,
    returns_sentence,
    tiles,
    weekly,
)
from scoopjoy_dagster.reporting.summary import (
    heading,
    mode_totals,
    outlets_by_sales,
    verdict,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from scoopjoy_dagster.reporting.model import DayReport
    from scoopjoy_dagster.reporting.periods import PeriodView

_NOT_COUNTED = "not counted"
_MODE_LENGTH = 20  # characters of a mode of payment that fit on one line of its column


def report_pdf(report: DayReport) -> bytes:
    """The day report: headline, exceptions, outlets, shifts, payments per shift, policy. Equal reports give equal bytes."""
    name, day = heading(report), report.business_day
    revision = f", revision {report.revision}" if report.revision else ""
    document = Document(title=f"{name} {day.isoformat()}{revision}", author=report.company)
    subtitle = f"Business day {day.isoformat()}. All amounts in {report.currency}."
    if report.revision:
        subtitle += f" Revision {report.revision}: replaces the report of this day that was sent before."
    document.masthead(name, _long_date(day), subtitle)

    judged = verdict(report)
    document.text(judged.text, {"ok": "good", "warning": "care", "error": "bad"}[judged.level])
    document.figures(
        [
            (
                tile.label,
                tile.value,
                [
                    f"{one.moved} {'on' if one.moved == 'nothing' else 'vs'} {one.since}"
                    for one in tile.compared
                ],
            )
            for tile in tiles(report)
        ]
    )
    if month := month_to_date(report):
        document.text(month)
    document.text(f"Returns: {returns_sentence(report)}")
    document.text(f"Royalty policy: {report.policy}", "small")
    if report.view:
        document.text(f"This report is about {report.view} alone.", "small")

    document.space(6)
    document.charts(list(day_charts(report).values()))
    _changes(document, report)
    _findings(document, report)
    _tills(document, report)
    _payment_modes(document, report)
    _outlets(document, report)
    _shifts(document, report)
    _payments(document, report)
    for view in (weekly(report), monthly(report)):
        if view is not None:
            _period(document, view)
    return document.render()


def _ids(report: DayReport) -> dict[str, str]:
    """The ERPNext document names of the franchises, by name."""
    return {row["customer_name"]: row["customer"] for row in read_rows(report, "outlets")}


def _who(ids: Mapping[str, str], who: str) -> str:
    """Whom a finding or a change is about: a franchise whose name no font has goes by its ID too."""
    return identified(who, ids.get(who.partition(": ")[0], ""))


def _changes(document: Document, report: DayReport) -> None:
    if not report.changes:
        return
    ids = _ids(report)
    document.heading("What changed since the report before")
    document.table(
        [Column("Who", 0.2), Column("Before", 0.25), Column("Now", 0.25), Column("Why", 0.3)],
        ((_who(ids, change.who), change.before, change.after, change.reason) for change in report.changes),
    )


def _findings(document: Document, report: DayReport) -> None:
    if not report.findings:
        return
    ids = _ids(report)
    document.heading("To look at")
    document.table(
        [Column("", 0.1), Column("What", 0.26), Column("Message", 0.36), Column("What to do", 0.28)],
        (
            (
                finding.severity.capitalize(),
                (finding.what, _who(ids, finding.who)),
                finding.message,
                finding.action,
            )
            for finding in gathered(report.findings)
        ),
    )


def _payment_modes(document: Document, report: DayReport) -> None:
    modes = mode_totals(report)
    if not modes:
        return
    document.heading("Payments at the till, all shifts")
    document.table(
        [
            Column("Mode of payment", 0.34),
            Column("Shifts", 0.1, "right"),
            Column("Expected", 0.18, "right"),
            Column("Counted", 0.19, "right"),
            Column("Difference", 0.19, "right"),
        ],
        (
            (
                (
                    mode.mode_of_payment,
                    f"{count(mode.uncounted_shifts, 'shift')} not counted ({group_indian(mode.uncounted_expected)})"
                    if mode.uncounted_shifts
                    else "",
                ),
                str(mode.shifts),
                group_indian(mode.expected),
                _counted(mode.counted),
                _difference(mode.difference),
            )
            for mode in modes
        ),
    )


def _tills(document: Document, report: DayReport) -> None:
    rows = outlet_rows(report)
    if not rows:
        return
    document.heading("Sales and average ticket by outlet")
    document.table(
        [
            Column("Outlet", 0.4),
            Column("Shifts", 0.09, "right", places=0),
            Column("Invoices", 0.11, "right", places=0),
            Column("Returns", 0.1, "right", places=0),
            Column("Average ticket", 0.13, "right"),
            Column("Sales", 0.17, "right", places=2),
        ],
        (
            (
                row.pos_profile,
                Decimal(row.shifts),
                Decimal(row.invoices),
                Decimal(row.returns),
                "none" if row.ticket is None else group_indian(row.ticket),
                row.sales,
            )
            for row in rows
        ),
        "All outlets",
    )


def _outlets(document: Document, report: DayReport) -> None:
    rows = outlets_by_sales(report)
    if not rows and report.view:
        return
    document.heading("Royalties by outlet")
    if not rows:
        document.text("No franchise had an invoice on this day.")
        return
    document.table(
        [
            Column("Outlet", 0.29),
            Column("Invoices", 0.09, "right", places=0),
            Column("Sales", 0.15, "right", places=2),
            Column("Rate", 0.1, "right"),
            Column("Royalty", 0.13, "right", places=2),
            Column("Journal Entries", 0.24),
        ],
        (
            (
                (row["customer_name"], row["customer"] if row["customer"] != row["customer_name"] else ""),
                Decimal(row["invoices"]),
                row["base"],
                percent(row["rate"]),
                row["royalty"],
                (row["journal_entries"], row["note"]),
            )
            for row in rows
        ),
        count(len(rows), "outlet"),
    )


def _shifts(document: Document, report: DayReport) -> None:
    rows = read_rows(report, "shifts")
    if not rows:
        return
    document.heading("POS shifts")
    document.table(
        [
            Column("POS profile", 0.35),
            Column("Opening and closing", 0.29),
            Column("Invoices", 0.1, "right", places=0),
            Column("Returns", 0.1, "right", places=0),
            Column("Sales", 0.16, "right", places=2),
        ],
        (
            (
                (row["pos_profile"], row["cashier"]),
                (row["opening"], row["closing"] or "no closing entry"),
                Decimal(row["invoices"]),
                Decimal(row["returns"]),
                row["sales"],
            )
            for row in rows
        ),
        count(len(rows), "shift"),
    )


def _payments(document: Document, report: DayReport) -> None:
    rows = sorted(read_rows(report, "payments"), key=lambda row: (row["pos_profile"], row["opening"]))
    if not rows:
        return
    document.heading("Payments per shift")
    shifts = [list(group) for _, group in groupby(rows, key=lambda row: (row["pos_profile"], row["opening"]))]
    document.table(
        [
            Column("POS profile", 0.3),
            Column("Mode of payment", 0.18),
            Column("Opening amount", 0.13, "right"),
            Column("Expected", 0.13, "right"),
            Column("Counted", 0.13, "right"),
            Column("Difference", 0.13, "right"),
        ],
        (
            (
                (shift[0]["pos_profile"], shift[0]["opening"]),
                [shorten(row["mode_of_payment"], _MODE_LENGTH) for row in shift],
                [group_indian(row["opening_amount"]) for row in shift],
                [group_indian(row["expected"]) for row in shift],
                [_counted(row["counted"]) for row in shift],
                [_difference(row["difference"]) for row in shift],
            )
            for shift in shifts
        ),
    )


def _period(document: Document, view: PeriodView) -> None:
    document.heading(view.title)
    for label, rows in (("Together", view.figures), *view.sections):
        document.table(
            [
                Column(label, 0.46),
                Column(view.before_title, 0.19, "right", places=None if label == "Together" else 2),
                Column(view.sheet, 0.19, "right", places=None if label == "Together" else 2),
                Column("Change", 0.16, "right"),
            ],
            ((row.name, row.before, row.now, row.change) for row in rows),
            "" if label == "Together" else "Total",
        )
        document.space(6)


def _counted(amount: Decimal | None) -> str:
    return _NOT_COUNTED if amount is None else group_indian(amount)


def _difference(amount: Decimal | None) -> str:
    return "" if amount is None else group_indian(amount)


def _long_date(day: date) -> str:
    return f"{day:%A}, {day.day} {day:%B %Y}"
