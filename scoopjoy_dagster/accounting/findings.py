"""A finding: one row of the exception table that a person works through in the morning."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Severity = Literal["error", "warning"]

NAMED = 3
"""Names that a row for many shows before it counts the others."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem: what it is, whose it is, what ERPNext (or the rule) said, and what to do.

    An `error` is a thing that should be true and is not: it fails the asset after everything else was done.
    A `warning` is a thing that a person should know and that stops nothing.

    `passes`: whether the cause can pass without anybody (a server that is away, another writer), so that the same close may
    succeed later.
    """

    severity: Severity
    what: str
    who: str
    message: str
    action: str
    passes: bool = False

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Finding:
        """The finding of a row that `as_dict` gave."""
        return cls(**row)

    def as_dict(self) -> dict[str, Any]:
        """The row as the command's JSON and the metadata show it."""
        return {
            "severity": self.severity,
            "what": self.what,
            "who": self.who,
            "message": self.message,
            "action": self.action,
            **({"passes": True} if self.passes else {}),
        }


def gathered(findings: Iterable[Finding]) -> list[Finding]:
    """The findings as a person reads them, errors first: many warnings that differ only in whose they are, as one row.

    Of a chain whose franchises all pay the default rate, one row says so and not hundreds, between which no other is seen.
    Errors stay a row each: each of them is to be repaired.
    """
    rows: list[Finding] = []
    alike: dict[tuple[str, str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.severity == "error":
            rows.append(finding)
        else:
            alike[finding.what, finding.message, finding.action].append(finding)
    for same in alike.values():
        if len(same) <= NAMED + 1:
            rows += same
        else:
            first, *_ = same
            names = ", ".join(one.who for one in same[:NAMED])
            rows.append(replace(first, who=f"{names} and {len(same) - NAMED} more"))
    return rows


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """Only the findings that must be repaired before the day is settled."""
    return [finding for finding in findings if finding.severity == "error"]
