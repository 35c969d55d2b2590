"""The day report as a workbook: everything there is, as numbers and dates that people can work on.

What belongs here: sheets and columns. What does not: formats and formulas (that is `xlsx_sheets`), and choosing rows; a workbook
has them all.
"""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from scoopjoy_dagster.reporting.model import read_rows
from scoopjoy_dagster.reporting.periods import monthly, outlet_rows, weekly
from scoopjoy_dagster.reporting.summary import findings_by_severity, outlets_by_sales
from scoopjoy_dagster.reporting.xlsx_sheets import Book, Column, Total

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scoopjoy_dagster.reporting.model import DayReport
    from scoopjoy_dagster.reporting.periods import PeriodView


def report_xlsx(report: DayReport) -> bytes:
    """The workbook. Equal reports give equal bytes.

    Sheets: Summary, Outlets, Shifts, Payments, Invoices, Exceptions; Changes in a revision; Till and the raw rows of the days
    before (Franchise days, Outlet days) where they are known; Week and Month on their days. A report about tills alone has no
    sheets of franchises. Amounts are numbers in the company's currency, rates numbers in percent, dates real dates; totals are
    formulas that carry their value, so that a preview without a calculation engine shows them too.
    """
    book = Book(
        title=f"Nightly close {report.business_day.isoformat()}",
        author=report.company,
        day=report.business_day,
    )
    summary = book.sheet("Summary")
    with_franchises = not report.view or not report.outlets.empty
    outlets = _outlets(book, report) if with_franchises else {}
    shifts = _tills(book, report)
    invoices = _invoices(book, report) if with_franchises else {}
    _exceptions(book, report)
    if report.past:
        _days(book, report, with_franchises=with_franchises)
    for view in (weekly(report), monthly(report)):
        if view is not None:
            _period(book, report.currency, view)
    _summary(book, summary, report, outlets, shifts, invoices)
    return book.content()


def _outlets(book: Book, report: DayReport) -> Mapping[str, Total]:
    money = report.currency
    return book.table(
        "Outlets",
        [
            Column("Customer", "customer", 18),
            Column("Name", "customer_name", 34),
            Column("Invoices", "invoices", 10, "count", total=True),
            Column(f"Sales ({money})", "base", 18, "amount", total=True),
            Column("Rate (percent)", "rate", 10, "rate"),
            Column(f"Royalty ({money})", "royalty", 16, "amount", total=True),
            Column("Journal Entries", "journal_entries", 30),
            Column("Note", "note", 50),
        ],
        outlets_by_sales(report),
    )


def _tills(book: Book, report: DayReport) -> Mapping[str, Total]:
    """The sheets of shifts and payments; returns the totals of the shifts."""
    money = report.currency
    totals = book.table(
        "Shifts",
        [
            Column("POS profile", "pos_profile", 30),
            Column("Cashier", "cashier", 28),
            Column("Opening entry", "opening", 24),
            Column("Closing entry", "closing", 24),
            Column("Invoices", "invoices", 10, "count", total=True),
            Column("Returns", "returns", 10, "count", total=True),
            Column(f"Sales ({money})", "sales", 18, "amount", total=True),
        ],
        read_rows(report, "shifts"),
    )
    book.table(
        "Payments",
        [
            Column("POS profile", "pos_profile", 30),
            Column("Opening entry", "opening", 24),
            Column("Mode of payment", "mode_of_payment", 20),
            Column(f"Opening amount ({money})", "opening_amount", 18, "amount", total=True),
            Column(f"Expected ({money})", "expected", 18, "amount", total=True),
            Column(f"Counted ({money})", "counted", 18, "amount", total=True),
            Column(f"Difference ({money})", "difference", 18, "amount", total=True),
            Column("Counted?", "was_counted", 14),
        ],
        [
            {**row, "was_counted": "not counted" if row["counted"] is None else "counted"}
            for row in read_rows(report, "payments")
        ],
    )
    return totals


def _invoices(book: Book, report: DayReport) -> Mapping[str, Total]:
    money = report.currency
    return book.table(
        "Invoices",
        [
            Column("Sales Invoice", "invoice", 26),
            Column("Customer", "customer", 18),
            Column("Name", "customer_name", 34),
            Column("Posting date", "posting_date", 13, "date"),
            Column("Kind", "kind", 10),
            Column("Invoice currency", "currency", 10),
            Column(f"Base ({money})", "base", 18, "amount", total=True),
            Column("Rate (percent)", "rate", 10, "rate"),
            Column(f"Royalty ({money})", "royalty", 16, "amount", total=True),
        ],
        [
            {**row, "kind": "Return" if row["is_return"] else "Invoice"}
            for row in read_rows(report, "invoices")
        ],
    )


def _exceptions(book: Book, report: DayReport) -> None:
    book.table(
        "Exceptions",
        [
            Column("Severity", "severity", 11),
            Column("What", "what", 30, "wrapped"),
            Column("Who", "who", 30, "wrapped"),
            Column("Message", "message", 70, "wrapped"),
            Column("What to do", "action", 60, "wrapped"),
        ],
        [asdict(finding) for finding in findings_by_severity(report)],
    )
    if report.changes:
        book.table(
            "Changes",
            [
                Column("Who", "who", 34, "wrapped"),
                Column("Before", "before", 50, "wrapped"),
                Column("Now", "after", 50, "wrapped"),
                Column("Why", "reason", 70, "wrapped"),
            ],
            [asdict(change) for change in report.changes],
        )


def _days(book: Book, report: DayReport, *, with_franchises: bool) -> None:
    """The day at the till by outlet, and the rows that comparisons, weeks and months are made of."""
    money = report.currency
    book.table(
        "Till",
        [
            Column("Outlet", "pos_profile", 34),
            Column("Shifts", "shifts", 10, "count", total=True),
            Column("Invoices", "invoices", 10, "count", total=True),
            Column("Returns", "returns", 10, "count", total=True),
            Column(f"Sales ({money})", "sales", 18, "amount", total=True),
            Column(f"Average ticket ({money})", "ticket", 18, "amount", formula="=E{row}/(C{row}-D{row})"),
        ],
        [asdict(row) | {"ticket": row.ticket} for row in outlet_rows(report)],
    )
    if with_franchises:
        book.table(
            "Franchise days",
            [
                Column("Business day", "day", 13, "date"),
                Column("Customer", "customer", 18),
                Column("Name", "customer_name", 34),
                Column("Invoices", "invoices", 10, "count", total=True),
                Column(f"Sales ({money})", "sales", 18, "amount", total=True),
                Column(f"Royalty ({money})", "royalty", 16, "amount", total=True),
            ],
            [asdict(row) for row in report.past.franchises],
        )
    book.table(
        "Outlet days",
        [
            Column("Business day", "day", 13, "date"),
            Column("Outlet", "pos_profile", 34),
            Column("Shifts", "shifts", 10, "count", total=True),
            Column("Invoices", "invoices", 10, "count", total=True),
            Column("Returns", "returns", 10, "count", total=True),
            Column(f"Sales ({money})", "sales", 18, "amount", total=True),
            Column(f"Returned ({money})", "returned", 18, "amount", total=True),
        ],
        [asdict(row) for row in report.past.outlets],
    )


def _period(book: Book, currency: str, view: PeriodView) -> None:
    rows = [
        {"section": label, **asdict(row), "change": (row.now / row.before - 1) if row.before else None}
        for label, group in (("Together", view.figures), *view.sections)
        for row in group
    ]
    book.table(
        view.sheet,
        [
            Column("What", "section", 22),
            Column(view.title, "name", 40),
            Column(f"{view.before_title} ({currency})", "before", 20, "amount"),
            Column(f"{view.sheet} ({currency})", "now", 20, "amount"),
            Column("Change", "change", 12, "change", formula="=D{row}/C{row}-1"),
        ],
        rows,
    )


def _summary(
    book: Book,
    sheet: Any,
    report: DayReport,
    outlets: Mapping[str, Total],
    shifts: Mapping[str, Total],
    invoices: Mapping[str, Total],
) -> None:
    """What the day is, and its totals beside the sums of the sheets: a control that the reader can recalculate."""
    formats = book.formats
    sheet.set_column(0, 0, 22)
    sheet.set_column(1, 3, 20)
    sheet.write_string(0, 0, f"{report.company}: nightly close", formats["title"])
    facts = [
        ("Business day", "date", report.business_day),
        ("Revision", "count", report.revision),
        ("Currency", "text", report.currency),
        ("Royalty policy", "text", report.policy),
        ("Errors", "count", sum(finding.severity == "error" for finding in report.findings)),
        ("Warnings", "count", sum(finding.severity == "warning" for finding in report.findings)),
    ]
    if report.view:
        facts.append(("About", "text", report.view))
    for line, (label, kind, value) in enumerate(facts, start=2):
        sheet.write_string(line, 0, label, formats["label"])
        book.cell(sheet, line, 1, kind, value)
    line = len(facts) + 3
    for index, title in enumerate(("Figure", "Reported", "Sum of the sheet", "Difference")):
        sheet.write_string(line, index, title, formats["head"])
    sheet.freeze_panes(line + 1, 0)
    nothing = Total("0", Decimal(0))
    money, totals = report.currency, report.totals
    base = outlets.get("base", nothing)
    figures = [(f"POS sales ({money})", totals["pos_sales"], "amount", shifts.get("sales", nothing))]
    if not report.view or not report.outlets.empty:
        # Sales are grand totals; by a policy on net totals the sheet's amounts are others, and are checked with each other.
        sales = (f"Sales ({money})", totals["sales"], "amount", base)
        if base.value != totals["sales"]:
            sales = (f"Royalty base ({money})", base.value, "amount", invoices.get("base", nothing))
        figures = [
            sales,
            (f"Royalty ({money})", totals["royalty"], "amount", outlets.get("royalty", nothing)),
            ("Invoices", totals["invoices"], "count", outlets.get("invoices", nothing)),
            *figures,
        ]
    for row, (label, reported, kind, total) in enumerate(figures, start=line + 1):
        sheet.write_string(row, 0, label, formats["label"])
        sheet.write_number(row, 1, reported, formats[kind])
        sheet.write_formula(row, 2, f"={total.cell}", formats[kind], total.value)
        sheet.write_formula(row, 3, f"=ROUND(B{row + 1}-C{row + 1},2)", formats[kind], reported - total.value)
