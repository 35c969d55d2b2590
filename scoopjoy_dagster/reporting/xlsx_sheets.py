"""The building blocks of our workbooks: formats, tables with frozen headings, and totals that are formulas.

What belongs here: everything that touches xlsxwriter. What does not: what a workbook says (that is `xlsx`). Texts are written as
texts only, so that a name that begins with `=`, `+`, `-` or `@` never becomes a formula.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scoopjoy_dagster.reporting.model import Row

#: Lakh and crore groups; Excel allows two conditions, so negative amounts keep plain groups of three.
_AMOUNT_FORMAT = "[>=10000000]##\\,##\\,##\\,##0.00;[>=100000]##\\,##\\,##0.00;#,##0.00"


@dataclass(frozen=True)
class Column:
    """A column of a table: heading, key of its values in the rows, width in characters, format, and whether it is totalled.

    Formats: `text`, `wrapped`, `date`, `count`, `amount`, `rate`.
    """

    heading: str
    key: str
    width: float
    format: str = "text"
    total: bool = False
    formula: str = ""
    """For a column that is computed: a formula with `{row}` for the row's number; the value is kept beside it."""


@dataclass(frozen=True)
class Total:
    """The cell that holds the total of a column, e.g. `Outlets!D12`, and its value."""

    cell: str
    value: Decimal


class Book:
    """A workbook in the making. The same calls in the same order give the same bytes."""

    def __init__(self, *, title: str, author: str, day: date) -> None:
        import xlsxwriter

        self._buffer = BytesIO()
        self._workbook: Any = xlsxwriter.Workbook(
            self._buffer,
            {
                "in_memory": True,
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "strings_to_numbers": False,
            },
        )
        # Without a moment of its own it would be the time of writing, and no two workbooks of one day would be equal.
        self._workbook.set_properties({"title": title, "author": author, "created": _midnight(day)})
        self.formats = _formats(self._workbook)

    def sheet(self, name: str) -> Any:
        """A new sheet, to be written cell by cell."""
        return self._workbook.add_worksheet(name)

    def table(self, name: str, columns: Sequence[Column], rows: Sequence[Row]) -> Mapping[str, Total]:
        """One sheet with a table; returns the totals by column key, none where there are no rows."""
        from xlsxwriter.utility import xl_col_to_name, xl_rowcol_to_cell

        sheet = self.sheet(name)
        sheet.freeze_panes(1, 0)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(0)
        for index, column in enumerate(columns):
            sheet.set_column(index, index, column.width)
            sheet.write_string(0, index, column.heading, self.formats["head"])
        for line, row in enumerate(rows, start=1):
            for index, column in enumerate(columns):
                self.cell(sheet, line, index, column.format, row[column.key], column.formula)
        if not rows:
            return {}
        sheet.autofilter(0, 0, len(rows), len(columns) - 1)
        totals: dict[str, Total] = {}
        bottom = len(rows) + 1
        for index, column in enumerate(columns):
            if not column.total:
                continue
            letter = xl_col_to_name(index)
            value = sum((Decimal(row[column.key] or 0) for row in rows), Decimal(0))
            formula = f"=SUM({letter}2:{letter}{bottom})"
            sheet.write_formula(bottom, index, formula, self.formats[f"total {column.format}"], value)
            totals[column.key] = Total(f"{name}!{xl_rowcol_to_cell(bottom, index)}", value)
        if totals:
            sheet.write_string(bottom, 0, "Total", self.formats["total label"])
        return totals

    def cell(self, sheet: Any, row: int, column: int, kind: str, value: Any, formula: str = "") -> None:
        """Write one value in its format; None leaves the cell empty."""
        style = self.formats[kind]
        if value is None:
            sheet.write_blank(row, column, None, style)
        elif formula:
            sheet.write_formula(row, column, formula.format(row=row + 1), style, value)
        elif kind == "date":
            sheet.write_datetime(row, column, _midnight(value), style)
        elif kind in {"text", "wrapped"}:
            sheet.write_string(row, column, value, style)
        else:
            sheet.write_number(row, column, value, style)

    def content(self) -> bytes:
        """The finished file."""
        self._workbook.close()
        return self._buffer.getvalue()


def _formats(workbook: Any) -> dict[str, Any]:
    top = {"valign": "top"}
    bold = {"bold": True, "top": 1}
    made = {
        "title": {"bold": True, "font_size": 16, "font_color": "#9d174d"},
        "head": {"bold": True, "font_color": "#ffffff", "bg_color": "#9d174d", "text_wrap": True, **top},
        "label": {"bold": True, **top},
        "text": top,
        "wrapped": {"text_wrap": True, **top},
        "date": {"num_format": "yyyy-mm-dd", "align": "left", **top},
        "count": {"num_format": "#,##0", **top},
        "amount": {"num_format": _AMOUNT_FORMAT, **top},
        "rate": {"num_format": '0.00" %"', **top},
        "change": {"num_format": "+0.0%;-0.0%;0.0%", **top},
        "total label": bold,
        "total count": {"num_format": "#,##0", **bold},
        "total amount": {"num_format": _AMOUNT_FORMAT, **bold},
    }
    return {name: workbook.add_format(properties) for name, properties in made.items()}


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())
