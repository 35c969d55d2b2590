"""What an asset did for a business day, and how Dagster shows it: the metadata contract of every materialization."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

import dagster as dg

from scoopjoy_dagster.accounting.findings import Finding, errors, gathered
from scoopjoy_dagster.accounting.money import ZERO

OUTCOME_KEY = "outcome"
"""Metadata entry with the whole outcome as JSON; the `scoopjoy` command reads it."""

PASSES = "passes"
"""In a row of its exceptions, and in the metadata of a control total without an answer: the cause can pass without anybody."""

WRITES_KEY = "writes_before_the_stop"
"""Metadata entry of a step that was stopped in its work: how many requests that write it had sent to ERPNext."""

TABLE_ROWS = 50
"""Rows of a table that the UI is given; the rest is counted."""


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One line of a plan: what is done, for whom, how much (INR), why, and the document that shows it."""

    action: str
    who: str
    amount: Decimal
    reason: str
    document: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one asset and day.

    Attributes:
        seen: things looked at (shifts, franchises, invoices, recipients).
        written: documents created or changed, mails sent, totals delivered.
        adopted: found to be right already.
        skipped: nothing was due.
        amount: INR that the asset stands for (sales, royalties, shares), exact.
        plots: INR by name (`sales`, `royalty`), shown exact and plotted over time; the same names for every asset.
        findings: exception rows; errors fail the asset.
        lines: what was done, line by line.
        facts: further figures by name, shown as they are.
    """

    asset: str
    business_day: date
    seen: int = 0
    written: int = 0
    adopted: int = 0
    skipped: int = 0
    amount: Decimal = ZERO
    plots: Mapping[str, Decimal] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    lines: tuple[PlanLine, ...] = ()
    facts: Mapping[str, str | int | Decimal] = field(default_factory=dict)
    requests: int = 0
    duration_s: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether something that should be true for the day is not."""
        return bool(errors(self.findings))

    @property
    def summary(self) -> str:
        """One sentence for logs and failures."""
        counts = f"{self.seen} seen, {self.written} written, {self.adopted} adopted, {self.skipped} skipped"
        problems = errors(self.findings)
        if not problems:
            return f"{self.asset} {self.business_day}: {counts}"
        first = problems[0]
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        return (
            f"{self.asset} {self.business_day}: {first.what} - {first.who}: {first.message}{more} ({counts})"
        )

    def as_dict(self) -> dict[str, Any]:
        """The outcome as JSON: amounts are exact decimal strings."""
        return {
            "asset": self.asset,
            "business_day": self.business_day.isoformat(),
            "seen": self.seen,
            "written": self.written,
            "adopted": self.adopted,
            "skipped": self.skipped,
            "amount": f"{self.amount:.2f}",
            "exceptions": [finding.as_dict() for finding in self.findings],
            "facts": {name: str(value) for name, value in self.facts.items()},
            "requests": self.requests,
            "duration_s": round(self.duration_s, 3),
        }

    def metadata(self) -> dict[str, dg.MetadataValue[Any]]:
        """What the UI shows, in this order: the figures, what is wrong, what was done, the details, and all of it as JSON.

        Dagster plots numbers over time, and only these. An amount is a float there, good for a curve (Dagster refuses a Decimal
        and plots no text); beside it stands the exact text, good for the books.
        """
        value = dg.MetadataValue
        wrong = len(errors(self.findings))
        entries: dict[str, dg.MetadataValue[Any]] = {
            "business_day": value.text(self.business_day.isoformat())
        }
        for name, amount in self.plots.items():
            entries[name] = value.float(float(amount))
            entries[f"{name}_exact"] = value.text(f"{amount:.2f}")
        entries |= {
            "exceptions": value.int(wrong),
            "warnings": value.int(len(self.findings) - wrong),
            "exception_table": value.md(exception_table(self.findings)),
            "documents": value.md(plan_table(self.lines)),
            "seen": value.int(self.seen),
            "written": value.int(self.written),
            "adopted": value.int(self.adopted),
            "skipped": value.int(self.skipped),
        }
        for name, fact in self.facts.items():
            entries[name] = value.int(fact) if isinstance(fact, int) else value.text(str(fact))
        return entries | {
            "requests": value.int(self.requests),
            "seconds": value.float(round(self.duration_s, 3)),
            OUTCOME_KEY: value.json(json.loads(json.dumps(self.as_dict()))),
        }


def exception_table(findings: Sequence[Finding]) -> str:
    """The findings as a markdown table, errors first, warnings that are alike in one row."""
    ordered = gathered(findings)
    if not ordered:
        return "No exceptions."
    # Three columns: the UI gives the table of an asset's page a third of the screen.
    rows = [
        "| Who | What is wrong | What to do |",
        "|---|---|---|",
        *(
            f"| {cell(one.who)} | **{one.severity}: {cell(one.what)}** {cell(one.message)} | {cell(one.action)} |"
            for one in ordered[:TABLE_ROWS]
        ),
    ]
    return "\n".join([*rows, *_rest(len(ordered))])


def plan_table(lines: Sequence[PlanLine]) -> str:
    """What was done as a markdown table with links to the documents: writes first, then what was found right."""
    order = {"create": 0, "adjust": 0, "complete": 0, "retry": 0, "refuse": 1, "adopt": 2, "skip": 3}
    ordered = sorted(lines, key=lambda one: order.get(one.action, 0))
    if not ordered:
        return "Nothing was due."
    rows = ["| For | Amount | Action | Document |", "|---|---:|---|---|"]
    for one in ordered[:TABLE_ROWS]:
        document = f"[{cell(one.document)}]({one.url})" if one.url and one.document else cell(one.document)
        rows.append(
            f"| {cell(one.who)} | {one.amount:.2f} | **{one.action}** {cell(one.reason)} | {document} |"
        )
    return "\n".join([*rows, *_rest(len(ordered))])


def cell(text: str) -> str:
    """Text as a cell of a markdown table: names from ERPNext can neither break the table nor become HTML or links."""
    flat = " ".join(text.split())
    for character, entity in (
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("|", "&#124;"),
        ("[", "&#91;"),
        ("]", "&#93;"),
    ):
        flat = flat.replace(character, entity)
    return flat


def _rest(count: int) -> list[str]:
    return [f"\n... and {count - TABLE_ROWS} more rows."] if count > TABLE_ROWS else []
