"""What one schedule came to, in numbers and in words."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scoopjoy_dagster_tests.chaos.verdict import Verdict


@dataclass(slots=True)
class Result:
    """What one schedule came to."""

    seed: int
    heavy: bool = False
    faults: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    at_once: int = 0
    beside_backfill: int = 0
    daemons_killed: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    reruns: int = 0
    mails_twice: int = 0
    verdicts: list[str] = field(default_factory=list)
    duplicates: int = 0
    lost: int = 0
    wrong: int = 0
    difference: int = 0
    """In paise."""
    story: list[str] = field(default_factory=list)
    """What happened, in order, for whoever looks into it."""
    began: float = field(default_factory=time.monotonic)

    @property
    def bad(self) -> bool:
        """Whether anything is not as it must be."""
        return bool(self.verdicts)

    def add(self, verdicts: list[Verdict]) -> None:
        """Count verdicts."""
        for one in verdicts:
            self.verdicts.append(str(one))
            self.duplicates += one.fault == "duplicate"
            self.lost += one.fault == "lost"
            self.wrong += one.fault == "wrong"
            self.difference += one.amount if one.fault in {"difference", "lost", "duplicate"} else 0

    def tell(self, what: str) -> None:
        """Add to the story."""
        self.story.append(f"{time.monotonic() - self.began:6.2f} s  {what}")

    def note(self, fault: str) -> None:
        """A fault struck, elsewhere than in ERPNext's requests."""
        self.faults[fault] += 1
        self.tell(f"struck: {fault}")

    def struck(self, kinds: list[str]) -> None:
        """Faults that struck ERPNext's requests."""
        self.faults.update(kinds)
        if kinds:
            self.tell("struck: " + ", ".join(f"{n} x {kind}" for kind, n in sorted(Counter(kinds).items())))
