"""The day report as a workbook: everything there is, as numbers and dates that people can work on.

What belongs here: sheets, formats, formulas. What does not: choosing rows; a workbook has them all. Texts are written as texts
only, so that a name that begins with `=`, `+`, `-` or `@` never becomes a formula.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime, time
from decimal import Decimal
from io import BytesIO
from typing import TYPE_CHECKING, Any

from scoopjoy_dagster.reporting.model import Row, read_rows
from scoopjoy_dagster.reporting.summary import findings_by_severity, outlets_by_sales

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scoopjoy_dagster.reporting.model import DayReport

#: Lakh and crore groups; Excel allows two conditions, so negative amounts keep plain groups of three.
_AMOUNT_FORMAT = "[>=10000000]##\\,##\\,##\\,##0.00;[>=100000]##\\,##\\,##0.00;#,##0.00"


@dataclass(frozen=True)
class _Column:
    heading: str
    key: str
    width: float  # characters
    format: str = "text"
    total: bool = False


def report_xlsx(report: DayReport) -> bytes:
    """The workbook: Summary, Outlets, Shifts, Payments, Invoices, Exceptions. Equal reports give equal bytes.

    Amounts are numbers in the company's currency, rates numbers in percent, dates real dates; totals are formulas that carry
    their value, so that a preview without a calculation engine shows them too.
    """
    import xlsxwriter

    buffer = BytesIO()
    workbook = xlsxwriter.Workbook(
        buffer,
        {
            "in_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        },
    )
    workbook.set_properties(
        {
            "title": f"Nightly close {report.business_day.isoformat()}",
            "author": report.company,
            # Otherwise the time of writing, and no two workbooks of one day would be equal.
            "created": _midnight(report.business_day),
        }
    )
    formats = {
        "title": workbook.add_format({"bold": True, "font_size": 16, "font_color": "#9d174d"}),
        "head": workbook.add_format(
            {"bold": True, "font_color": "#ffffff", "bg_color": "#9d174d", "text_wrap": True, "valign": "top"}
        ),
        "label": workbook.add_format({"bold": True, "valign": "top"}),
        "text": workbook.add_format({"valign": "top"}),
        "wrapped": workbook.add_format({"valign": "top", "text_wrap": True}),
        "date": workbook.add_format({"num_format": "yyyy-mm-dd", "align": "left", "valign": "top"}),
        "count": workbook.add_format({"num_format": "#,##0", "valign": "top"}),
        "amount": workbook.add_format({"num_format": _AMOUNT_FORMAT, "valign": "top"}),
        "rate": workbook.add_format({"num_format": '0.00" %"', "valign": "top"}),
        "total label": workbook.add_format({"bold": True, "top": 1}),
        "total count": workbook.add_format({"bold": True, "top": 1, "num_format": "#,##0"}),
        "total amount": workbook.add_format({"bold": True, "top": 1, "num_format": _AMOUNT_FORMAT}),
    }
    sheets = _Sheets(workbook, formats, report)
    sheets.write()
    workbook.close()
    return buffer.getvalue()


class _Sheets:
    """The workbook while it is written: xlsxwriter's objects and the report that fills them."""

    def __init__(self, workbook: Any, formats: dict[str, Any], report: DayReport) -> None:
        self._workbook, self._formats, self._report = workbook, formats, report

    def write(self) -> None:
        money = self._report.currency
        summary = self._workbook.add_worksheet("Summary")
        outlet_totals = self._table(
            "Outlets",
            [
                _Column("Customer", "customer", 18),
                _Column("Name", "customer_name", 34),
                _Column("Invoices", "invoices", 10, "count", total=True),
                _Column(f"Sales ({money})", "base", 18, "amount", total=True),
                _Column("Rate (percent)", "rate", 10, "rate"),
                _Column(f"Royalty ({money})", "royalty", 16, "amount", total=True),
                _Column("Journal Entries", "journal_entries", 30),
                _Column("Note", "note", 50),
            ],
            outlets_by_sales(self._report),
        )
        shift_totals = self._table(
            "Shifts",
            [
                _Column("POS profile", "pos_profile", 30),
                _Column("Cashier", "cashier", 28),
                _Column("Opening entry", "opening", 24),
                _Column("Closing entry", "closing", 24),
                _Column("Invoices", "invoices", 10, "count", total=True),
                _Column("Returns", "returns", 10, "count", total=True),
                _Column(f"Sales ({money})", "sales", 18, "amount", total=True),
            ],
            read_rows(self._report, "shifts"),
        )
        self._table(
            "Payments",
            [
                _Column("POS profile", "pos_profile", 30),
                _Column("Opening entry", "opening", 24),
                _Column("Mode of payment", "mode_of_payment", 20),
                _Column(f"Opening amount ({money})", "opening_amount", 18, "amount", total=True),
                _Column(f"Expected ({money})", "expected", 18, "amount", total=True),
                _Column(f"Counted ({money})", "counted", 18, "amount", total=True),
                _Column(f"Difference ({money})", "difference", 18, "amount", total=True),
                _Column("Counted?", "was_counted", 14),
            ],
            [
                row | {"was_counted": "not counted" if row["counted"] is None else "counted"}
                for row in read_rows(self._report, "payments")
            ],
        )
        self._table(
            "Invoices",
            [
                _Column("Sales Invoice", "invoice", 26),
                _Column("Customer", "customer", 18),
                _Column("Name", "customer_name", 34),
                _Column("Posting date", "posting_date", 13, "date"),
                _Column("Kind", "kind", 10),
                _Column("Invoice currency", "currency", 10),
                _Column(f"Base ({money})", "base", 18, "amount", total=True),
                _Column("Rate (percent)", "rate", 10, "rate"),
                _Column(f"Royalty ({money})", "royalty", 16, "amount", total=True),
            ],
            [
                row | {"kind": "Return" if row["is_return"] else "Invoice"}
                for row in read_rows(self._report, "invoices")
            ],
        )
        self._table(
            "Exceptions",
            [
                _Column("Severity", "severity", 11),
                _Column("What", "what", 30, "wrapped"),
                _Column("Who", "who", 30, "wrapped"),
                _Column("Message", "message", 70, "wrapped"),
                _Column("What to do", "action", 60, "wrapped"),
            ],
            [asdict(finding) for finding in findings_by_severity(self._report)],
        )
        if self._report.changes:
            self._table(
                "Changes",
                [
                    _Column("Who", "who", 34, "wrapped"),
                    _Column("Before", "before", 50, "wrapped"),
                    _Column("Now", "after", 50, "wrapped"),
                    _Column("Why", "reason", 70, "wrapped"),
                ],
                [asdict(change) for change in self._report.changes],
            )
        self._summary(summary, outlet_totals, shift_totals)

    def _table(
        self, name: str, columns: Sequence[_Column], rows: Sequence[Row]
    ) -> dict[str, tuple[str, Decimal]]:
        """One sheet; returns, by column key, the cell that holds its total and the value of that cell."""
        from xlsxwriter.utility import xl_col_to_name, xl_rowcol_to_cell

        sheet = self._workbook.add_worksheet(name)
        sheet.freeze_panes(1, 0)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(0)
        for index, column in enumerate(columns):
            sheet.set_column(index, index, column.width)
            sheet.write_string(0, index, column.heading, self._formats["head"])
        for line, row in enumerate(rows, start=1):
            for index, column in enumerate(columns):
                self._cell(sheet, line, index, column.format, row[column.key])
        if not rows:
            return {}
        sheet.autofilter(0, 0, len(rows), len(columns) - 1)
        totals: dict[str, tuple[str, Decimal]] = {}
        bottom = len(rows) + 1
        for index, column in enumerate(columns):
            if not column.total:
                continue
            letter = xl_col_to_name(index)
            value = sum((Decimal(row[column.key] or 0) for row in rows), Decimal(0))
            formula = f"=SUM({letter}2:{letter}{bottom})"
            sheet.write_formula(bottom, index, formula, self._formats[f"total {column.format}"], value)
            totals[column.key] = (f"{name}!{xl_rowcol_to_cell(bottom, index)}", value)
        if totals:
            sheet.write_string(bottom, 0, "Total", self._formats["total label"])
        return totals

    def _summary(
        self, sheet: Any, outlets: dict[str, tuple[str, Decimal]], shifts: dict[str, tuple[str, Decimal]]
    ) -> None:
        """What the day is, and its totals beside the sums of the sheets: a control that the reader can recalculate."""
        report, formats = self._report, self._formats
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
        for line, (label, kind, value) in enumerate(facts, start=2):
            sheet.write_string(line, 0, label, formats["label"])
            self._cell(sheet, line, 1, kind, value)
        line = len(facts) + 3
        for index, heading in enumerate(("Figure", "Reported", "Sum of the sheet", "Difference")):
            sheet.write_string(line, index, heading, formats["head"])
        sheet.freeze_panes(line + 1, 0)
        figures = [
            (f"Sales ({report.currency})", "sales", "amount", outlets.get("base")),
            (f"Royalty ({report.currency})", "royalty", "amount", outlets.get("royalty")),
            ("Invoices", "invoices", "count", outlets.get("invoices")),
            (f"POS sales ({report.currency})", "pos_sales", "amount", shifts.get("sales")),
        ]
        for row, (label, key, kind, total) in enumerate(figures, start=line + 1):
            reported = report.totals[key]
            cell, value = total or ("0", Decimal(0))
            sheet.write_string(row, 0, label, formats["label"])
            sheet.write_number(row, 1, reported, formats[kind])
            sheet.write_formula(row, 2, f"={cell}", formats[kind], value)
            sheet.write_formula(row, 3, f"=ROUND(B{row + 1}-C{row + 1},2)", formats[kind], reported - value)

    def _cell(self, sheet: Any, row: int, column: int, kind: str, value: Any) -> None:
        style = self._formats[kind]
        if value is None:
            sheet.write_blank(row, column, None, style)
        elif kind == "date":
            sheet.write_datetime(row, column, _midnight(value), style)
        elif kind in {"text", "wrapped"}:
            sheet.write_string(row, column, value, style)
        else:
            sheet.write_number(row, column, value, style)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())
