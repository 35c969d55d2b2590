"""A finding: one row of the exception table that a person works through in the morning."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem: what it is, whose it is, what ERPNext (or the rule) said, and what to do.

    An `error` is a thing that should be true and is not: it fails the asset after everything else was done.
    A `warning` is a thing that a person should know and that stops nothing.
    """

    severity: Severity
    what: str
    who: str
    message: str
    action: str

    def as_dict(self) -> dict[str, str]:
        """The row as the command's JSON and the metadata show it."""
        return {
            "severity": self.severity,
            "what": self.what,
            "who": self.who,
            "message": self.message,
            "action": self.action,
        }


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """Only the findings that must be repaired before the day is settled."""
    return [finding for finding in findings if finding.severity == "error"]
