"""The two PDFs: the day report for the managers' file, and a franchise's royalty statement.

What belongs here: what each document says and in which order. What does not: layout (that is `pdf_page`).
"""

from __future__ import annotations

from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING

from scoopjoy_dagster.reporting.fonts import shorten
from scoopjoy_dagster.reporting.model import read_rows
from scoopjoy_dagster.reporting.numbers import count, group_indian, money, percent
from scoopjoy_dagster.reporting.pdf_page import Column, Document
from scoopjoy_dagster.reporting.summary import findings_by_severity, mode_totals, outlets_by_sales, verdict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from scoopjoy_dagster.reporting.model import DayReport, RoyaltyStatement, StatementEntry

_ZERO = Decimal(0)
_NOT_COUNTED = "not counted"
_MODE_LENGTH = 20  # characters of a mode of payment that fit on one line of its column

#: Printed on every royalty statement. A Journal Entry carries no GST and deducts no TDS.
ACCRUAL_NOTICE = (
    "This is a statement of royalty accrued by Journal Entry. It is not a tax invoice: it carries no GST and no TDS has been "
    "deducted. Tax invoicing (GST) and tax deducted at source (TDS) are decided and documented by the company separately."
)


def report_pdf(report: DayReport, pictures: Mapping[str, bytes]) -> bytes:
    """The day report: headline, exceptions, outlets, shifts, payments per shift, policy. Equal reports give equal bytes.

    Args:
        report: The day.
        pictures: PNG by name, from `charts.pictures`; shown in this order.
    """
    revision = f", revision {report.revision}" if report.revision else ""
    document = Document(
        title=f"{report.company}: nightly close {report.business_day.isoformat()}{revision}",
        author=report.company,
    )
    subtitle = f"Business day {report.business_day.isoformat()}. All amounts in {report.currency}."
    if report.revision:
        subtitle += f" Revision {report.revision}: replaces the report of this day that was sent before."
    document.masthead(f"{report.company} · Nightly close", _long_date(report.business_day), subtitle)

    judged = verdict(report)
    document.text(judged.text, {"ok": "good", "warning": "care", "error": "bad"}[judged.level])
    totals = report.totals
    document.figures(
        [
            ("Sales", money(totals["sales"], report.currency)),
            ("Royalty", money(totals["royalty"], report.currency)),
            ("POS sales", money(totals["pos_sales"], report.currency)),
            ("Invoices", group_indian(totals["invoices"], 0)),
        ]
    )
    document.text(f"Royalty policy: {report.policy}", "small")

    document.space(6)
    document.pictures(list(pictures.values()))
    _changes(document, report)
    _findings(document, report)
    _payment_modes(document, report)
    _outlets(document, report)
    _shifts(document, report)
    _payments(document, report)
    return document.render()


def statement_pdf(statement: RoyaltyStatement, *, made_by: str = "") -> bytes:
    """The royalty statement of one franchise for one business day. Equal arguments give equal bytes.

    Args:
        statement: What it says.
        made_by: Kept in the document's properties: the run that made it.
    """
    day, currency = statement.business_day, statement.currency
    name = statement.customer_name if statement.customer_name.strip() else statement.customer
    document = Document(
        title=f"{statement.company}: royalty statement {day.isoformat()}, {statement.customer}",
        author=statement.company,
        subject=" ".join(filter(None, (f"policy {statement.policy_version}", made_by and f"run {made_by}"))),
    )
    document.masthead(
        f"{statement.company} · Royalty statement",
        name,
        f"Customer {statement.customer}. Business day {day.isoformat()} ({_long_date(day)}). All amounts in {currency}.",
    )
    document.figures(
        [
            ("Sales (base)", money(statement.base, currency)),
            ("Rate", percent(statement.rate)),
            ("Royalty for the day", money(statement.royalty, currency)),
            ("Posted by Journal Entry", money(statement.posted, currency)),
        ]
    )
    document.text(f"Royalty policy: {statement.policy}", "small")
    document.text(f"Policy version: {statement.policy_version}", "small")
    open_amount = statement.royalty - statement.posted
    if open_amount:
        document.text(f"{money(open_amount, currency)} of the royalty of this day is not posted yet.", "care")
    if statement.month_to_date_base is not None and statement.month_to_date_royalty is not None:
        document.text(
            f"{day:%B %Y} up to and including this day: sales {money(statement.month_to_date_base, currency)}, "
            f"royalty {money(statement.month_to_date_royalty, currency)}."
        )

    document.text(ACCRUAL_NOTICE)

    document.heading(f"Royalty entries ({currency})")
    document.table(
        [
            Column("Journal Entry", 0.3),
            Column("Posting date", 0.14),
            Column("Reason", 0.38),
            Column("Amount", 0.18, "right"),
        ],
        (
            (
                entry.journal_entry,
                entry.posting_date.isoformat(),
                _entry_reason(entry),
                group_indian(entry.amount),
            )
            for entry in sorted(statement.entries, key=lambda entry: entry.revision)
        ),
        totals=("Total posted", "", "", group_indian(statement.posted)),
    )

    document.heading(f"Sales Invoices in the base ({currency})")
    document.table(
        [
            Column("Sales Invoice", 0.34),
            Column("Posting date", 0.14),
            Column("Kind", 0.12),
            Column("Base", 0.2, "right"),
            Column("Royalty share", 0.2, "right"),
        ],
        (
            (
                line.invoice,
                line.posting_date.isoformat(),
                "Return" if line.is_return else "Invoice",
                group_indian(line.base),
                group_indian(line.share),
            )
            for line in statement.lines
        ),
        totals=(
            count(len(statement.lines), "invoice"),
            "",
            "",
            group_indian(sum((line.base for line in statement.lines), _ZERO)),
            group_indian(sum((line.share for line in statement.lines), _ZERO)),
        ),
    )
    return document.render()


def _changes(document: Document, report: DayReport) -> None:
    if not report.changes:
        return
    document.heading("What changed since the report before")
    document.table(
        [Column("Who", 0.2), Column("Before", 0.25), Column("Now", 0.25), Column("Why", 0.3)],
        ((change.who, change.before, change.after, change.reason) for change in report.changes),
    )


def _findings(document: Document, report: DayReport) -> None:
    if not report.findings:
        return
    document.heading("To look at")
    document.table(
        [Column("", 0.1), Column("What", 0.26), Column("Message", 0.36), Column("What to do", 0.28)],
        (
            (finding.severity.capitalize(), (finding.what, finding.who), finding.message, finding.action)
            for finding in findings_by_severity(report)
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


def _outlets(document: Document, report: DayReport) -> None:
    document.heading("Outlets")
    rows = outlets_by_sales(report)
    if not rows:
        document.text("No franchise had an invoice on this day.")
        return
    document.table(
        [
            Column("Outlet", 0.3),
            Column("Invoices", 0.09, "right"),
            Column("Sales", 0.15, "right"),
            Column("Rate", 0.08, "right"),
            Column("Royalty", 0.13, "right"),
            Column("Journal Entries", 0.25),
        ],
        (
            (
                (row["customer_name"], row["customer"] if row["customer"] != row["customer_name"] else ""),
                group_indian(row["invoices"], 0),
                group_indian(row["base"]),
                percent(row["rate"]),
                group_indian(row["royalty"]),
                (row["journal_entries"], row["note"]),
            )
            for row in rows
        ),
        totals=(
            count(len(rows), "outlet"),
            group_indian(report.totals["invoices"], 0),
            group_indian(report.totals["sales"]),
            "",
            group_indian(report.totals["royalty"]),
            "",
        ),
    )


def _shifts(document: Document, report: DayReport) -> None:
    rows = read_rows(report, "shifts")
    if not rows:
        return
    document.heading("POS shifts")
    document.table(
        [
            Column("POS profile", 0.3),
            Column("Opening and closing", 0.34),
            Column("Invoices", 0.1, "right"),
            Column("Returns", 0.1, "right"),
            Column("Sales", 0.16, "right"),
        ],
        (
            (
                (row["pos_profile"], row["cashier"]),
                (row["opening"], row["closing"] or "no closing entry"),
                group_indian(row["invoices"], 0),
                group_indian(row["returns"], 0),
                group_indian(row["sales"]),
            )
            for row in rows
        ),
        totals=(
            count(len(rows), "shift"),
            "",
            group_indian(sum(row["invoices"] for row in rows), 0),
            group_indian(sum(row["returns"] for row in rows), 0),
            group_indian(sum((row["sales"] for row in rows), _ZERO)),
        ),
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


def _counted(amount: Decimal | None) -> str:
    return _NOT_COUNTED if amount is None else group_indian(amount)


def _difference(amount: Decimal | None) -> str:
    return "" if amount is None else group_indian(amount)


def _entry_reason(entry: StatementEntry) -> str:
    kind = f"Adjustment {entry.revision}" if entry.revision else "Royalty"
    return f"{kind}: {entry.reason}" if entry.reason else kind


def _long_date(day: date) -> str:
    return f"{day:%A}, {day.day} {day:%B %Y}"
