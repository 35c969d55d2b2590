"""The content of a day report and of a royalty statement: values only, checked as they are made.

What belongs here: the dataclasses that every rendering reads, the columns of their frames, and the one way to read rows
out of a frame. What does not: computing a royalty (that is `accounting`) and formatting (that is `numbers`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from scoopjoy_dagster.accounting.past import Past

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import pandas as pd

    from scoopjoy_dagster.accounting.figures import Change
    from scoopjoy_dagster.accounting.findings import Finding

Kind = Literal["text", "count", "money", "money or uncounted", "date", "flag"]
Row = Mapping[str, Any]

#: Columns of each frame of a `DayReport`. "money" columns hold Decimal; rates are Decimal percent and count as money here.
FRAMES: dict[str, dict[str, Kind]] = {
    "outlets": {
        "customer": "text",
        "customer_name": "text",
        "invoices": "count",
        "base": "money",
        "rate": "money",
        "royalty": "money",
        "journal_entries": "text",
        "note": "text",
    },
    "shifts": {
        "opening": "text",
        "pos_profile": "text",
        "cashier": "text",
        "closing": "text",
        "invoices": "count",
        "returns": "count",
        "sales": "money",
    },
    "payments": {
        "pos_profile": "text",
        "opening": "text",
        "mode_of_payment": "text",
        "opening_amount": "money",
        "expected": "money",
        "counted": "money or uncounted",
        "difference": "money or uncounted",
    },
    "invoices": {
        "invoice": "text",
        "customer": "text",
        "customer_name": "text",
        "posting_date": "date",
        "is_return": "flag",
        "currency": "text",
        "base": "money",
        "rate": "money",
        "royalty": "money",
    },
    "history": {"day": "date", "sales": "money", "royalty": "money"},
}

#: Keys that `DayReport.totals` always has.
TOTALS = ("sales", "royalty", "pos_sales", "invoices")


@dataclass(frozen=True, eq=False)
class DayReport:
    """One business day as the managers see it. Amounts are Decimal in `currency`, the company's currency.

    Frames have the columns of `FRAMES` (more are allowed and ignored), one row per franchise (`outlets`), per POS shift
    (`shifts`), per shift and mode of payment (`payments`; `counted` None means that nobody counted), per Sales Invoice
    (`invoices`) and per day up to and including `business_day` (`history`).

    Raises:
        ValueError: a column or a total is missing, or an amount is not finite.
        TypeError: an amount is not a Decimal.
    """

    company: str
    business_day: date
    currency: str
    revision: int
    """0 for the first report of the day, 1.. for those that replace it."""
    policy: str
    """The royalty policy in one sentence, with its version."""
    policy_version: str
    """Version of the policy that the day was posted by; several, where it was by several."""
    outlets: pd.DataFrame
    shifts: pd.DataFrame
    payments: pd.DataFrame
    invoices: pd.DataFrame
    history: pd.DataFrame
    findings: tuple[Finding, ...]
    totals: Mapping[str, Decimal]
    """`sales`, `royalty`, `pos_sales` (amounts) and `invoices` (a count)."""
    changes: tuple[Change, ...] = ()
    """What changed since the revision before, and why; empty in revision 0."""
    past: Past = field(default_factory=Past)
    """The days before, and the business day with them; for comparisons, weeks and months. No part of the day's identity."""
    view: str = ""
    """The outlets that this report is about, as people call them; empty: the whole chain."""
    newest_invoices: Mapping[str, str] = field(default_factory=dict)
    """By customer: when the newest invoice of the day was created, in site time. It stands for the rows of `invoices`, which
    are read only for a report that is sent."""
    rows_read: dict[str, Sequence[Row]] = field(default_factory=dict, init=False, repr=False)
    """The rows of each frame, once somebody has read them; see `read_rows`."""

    def __post_init__(self) -> None:
        for name in FRAMES:
            _check_frame(name, getattr(self, name))
        for key in TOTALS:
            if key not in self.totals:
                raise ValueError(f"The total {key!r} is missing; a day report needs {', '.join(TOTALS)}.")
        for key, value in self.totals.items():
            _check_amount(f"totals[{key!r}]", value)


@dataclass(frozen=True)
class StatementLine:
    """One Sales Invoice in the base of a royalty; returns have a negative base."""

    invoice: str
    posting_date: date
    is_return: bool
    base: Decimal
    share: Decimal
    """The part of the royalty that falls on this invoice; the shares add up to the royalty."""


@dataclass(frozen=True)
class StatementEntry:
    """One Journal Entry that the day's royalty was posted with."""

    journal_entry: str
    posting_date: date
    revision: int
    """0 the first entry, 1.. the adjustments."""
    amount: Decimal
    """Signed: positive is owed by the franchise."""
    reason: str


@dataclass(frozen=True)
class RoyaltyStatement:
    """What one franchise owes for one business day, and why. Amounts are Decimal in `currency`, `rate` is percent.

    Raises:
        ValueError: an amount is not finite.
        TypeError: an amount is not a Decimal.
    """

    company: str
    customer: str
    customer_name: str
    business_day: date
    currency: str
    policy: str
    policy_version: str
    rate: Decimal
    base: Decimal
    royalty: Decimal
    lines: tuple[StatementLine, ...]
    entries: tuple[StatementEntry, ...]
    invoices: int = 0
    """Number of invoices, also where their lines have not been read."""
    newest_invoice: str = ""
    """When the newest of them was created, in site time."""
    by_person: Decimal = Decimal(0)
    """What a person added to the royalty when amending an entry; it has no line."""
    month_to_date_base: Decimal | None = None
    month_to_date_royalty: Decimal | None = None

    def __post_init__(self) -> None:
        for name in ("rate", "base", "royalty"):
            _check_amount(name, getattr(self, name))
        for name in ("month_to_date_base", "month_to_date_royalty"):
            if getattr(self, name) is not None:
                _check_amount(name, getattr(self, name))
        for line in self.lines:
            _check_amount(f"base of {line.invoice}", line.base)
            _check_amount(f"share of {line.invoice}", line.share)
        for entry in self.entries:
            _check_amount(f"amount of {entry.journal_entry}", entry.amount)

    @property
    def posted(self) -> Decimal:
        """What the Journal Entries say together; differs from `royalty` while an adjustment cannot be posted."""
        return sum((entry.amount for entry in self.entries), Decimal(0))


def read_rows(report: DayReport, name: str) -> Sequence[Row]:
    """The rows of the frame `name` as plain mappings of its `FRAMES` columns; a frame is read once, for mail, PDF and workbook.

    Texts are str ("" when missing), counts int, flags bool, dates `datetime.date`, amounts Decimal, and an amount that
    nobody counted is None. A frame that went through a join may hold NaN or NaT for a missing value; here it no longer does.
    """
    if name not in report.rows_read:
        columns = FRAMES[name]
        records = getattr(report, name)[list(columns)].to_dict("records")
        report.rows_read[name] = [
            {column: _plain(kind, record[column]) for column, kind in columns.items()} for record in records
        ]
    return report.rows_read[name]


def empty_frame(name: str) -> pd.DataFrame:
    """A frame without rows that has the columns of `FRAMES[name]`: a day without shifts, without invoices..."""
    import pandas as pd

    return pd.DataFrame({column: pd.Series(dtype=object) for column in FRAMES[name]})


def _check_frame(name: str, frame: pd.DataFrame) -> None:
    missing = [column for column in FRAMES[name] if column not in frame.columns]
    if missing:
        raise ValueError(f"The frame {name!r} lacks the columns {', '.join(missing)}.")
    for column, kind in FRAMES[name].items():
        if kind not in {"money", "money or uncounted"}:
            continue
        for number, value in enumerate(frame[column]):
            if kind == "money or uncounted" and _is_missing(value):
                continue
            _check_amount(f"{name}.{column} in row {number}", value)


def _check_amount(where: str, value: object) -> None:
    if not isinstance(value, Decimal):
        raise TypeError(f"{where} is {value!r} ({type(value).__name__}); amounts and rates are Decimal.")
    if not value.is_finite():
        raise ValueError(f"{where} is {value}; amounts and rates are finite.")


def _is_missing(value: Any) -> bool:
    """None, NaN, NaT and pandas.NA, without importing pandas: NaN and NaT differ from themselves, NA refuses to say."""
    if value is None:
        return True
    try:
        return bool(value != value)  # noqa: PLR0124 - the definition of NaN
    except TypeError:
        return True


def _plain(kind: Kind, value: Any) -> Any:
    if _is_missing(value):
        return {"text": "", "count": 0, "flag": False}.get(kind)
    match kind:
        case "text":
            return str(value)
        case "count":
            return int(value)
        case "flag":
            return bool(value)
        case "date":
            return value.date() if hasattr(value, "date") else value
        case _:
            return value
