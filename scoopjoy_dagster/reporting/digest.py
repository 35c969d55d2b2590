"""The identity of a report and of a statement: equal content, equal digest, in every process and on every machine.

What belongs here: what counts as content. A report whose digest differs from the one that was sent goes out as a revision; a
statement whose digest differs is attached again. What does not: rendering.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, fields
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from scoopjoy_dagster.reporting.model import FRAMES, read_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scoopjoy_dagster.reporting.model import DayReport, Row, RoyaltyStatement, StatementEntry

#: Raise it when a change of the templates is worth sending every report again; leave it for a change of looks.
TEMPLATE_VERSION = 2

_LENGTH = 32


def report_digest(report: DayReport) -> str:
    """The first 32 hex digits of a SHA-256 over the content of the day.

    Content is the company, day, currency, version of the policy, totals, findings and the rows of the day, whatever order rows
    and findings come in. Of the invoices it is their number and sums by outlet, and when the newest was created: so it can be
    told without reading each of them. The history and the days before are not (an adjusted day last week is no news about this
    one), nor are the revision and what changed since the one before (they follow from the digest), nor the looks of a
    rendering, nor an outlet without sales and entries: a franchise that is new today is no news about a day last week. Nor is
    what a franchise is called: a renamed Customer is no news about the days before either, and its Journal Entries stay what
    they are. Nor which outlets the report is about: the delivery record says that beside the digest.
    """
    content = {
        "kind": "day report",
        "company": report.company,
        "business_day": report.business_day,
        "currency": report.currency,
        "policy": report.policy_version,
        "totals": dict(report.totals),
        "newest invoices": sorted(report.newest_invoices.values()),
        "findings": _sorted([_without(asdict(finding), "who", "passes") for finding in report.findings]),
    }
    for name in FRAMES:
        if name not in {"history", "invoices"}:
            rows = [row for row in read_rows(report, name) if not _idle(name, row)]
            content[name] = _sorted([_without(row, "customer", "customer_name") for row in rows])
    return _digest(content)


def _without(row: Row, *names: str) -> Row:
    return {name: value for name, value in row.items() if name not in names}


def _idle(frame: str, row: Row) -> bool:
    return frame == "outlets" and not (row["invoices"] or row["royalty"] or row["journal_entries"])


def statement_digest(statement: RoyaltyStatement) -> str:
    """The first 32 hex digits of a SHA-256 over the content of the statement.

    Of the invoices it is their number, their base, and when the newest was created: the lines follow from that, and what a person
    added from the entries. The month to
    date is left out for the reason that the history is: a late change of another day does not make the statement of this day
    wrong. So is what the franchise is called (see `report_digest`), and the policy in words: its version says it.
    """
    content = _shallow(statement)
    for name in (
        "lines",
        "by_person",
        "month_to_date_base",
        "month_to_date_royalty",
        "customer",
        "customer_name",
        "policy",
    ):
        del content[name]
    content["kind"] = "royalty statement"
    content["entries"] = _sorted([_shallow(entry) for entry in statement.entries])
    return _digest(content)


def statement_file_name(business_day: date, journal_entry: str, digest: str) -> str:
    """The name of a statement's file: `royalty-statement-2026-11-22-ACC-JV-2026-00012-1a2b3c4d.pdf`.

    A naming series may hold a slash or a space; whatever is not a letter, digit, dot or hyphen becomes a hyphen.
    """
    entry = re.sub(r"[^A-Za-z0-9.-]+", "-", journal_entry).strip("-.")
    return f"royalty-statement-{business_day.isoformat()}-{entry}-{digest[:8]}.pdf"


def _digest(content: dict[str, Any]) -> str:
    text = _canonical({**content, "template": TEMPLATE_VERSION})
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


def _shallow(value: RoyaltyStatement | StatementEntry) -> dict[str, Any]:
    """The fields, not copied as `asdict` does: for a thousand statements that takes longer than to hash them."""
    return {one.name: getattr(value, one.name) for one in fields(value)}


def _sorted(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=_canonical)


def _canonical(content: Any) -> str:
    return json.dumps(content, default=_text, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        # 5, 5.0 and 5.00 are one amount, 0.00 and -0.00 too; str() would keep them apart.
        digits = f"{value:f}"
        digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
        return "0" if value == 0 else digits
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{value!r} ({type(value).__name__}) has no canonical form.")
