"""Survivors that no test can or need tell from the program, with the reason: `explained.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scoopjoy_dagster_tests.mutation.workbench import Mutant

LIST = Path(__file__).with_name("explained.toml")


@dataclass(frozen=True, slots=True)
class Explained:
    """By function (`module.function`) and change, as `workbench.Mutant` has it: why the mutant survives.

    mutmut's own numbers are of no use here: they shift with every line that is written above.
    """

    reasons: dict[tuple[str, str], str]

    @classmethod
    def read(cls, path: Path = LIST) -> Explained:
        """The list as it is kept."""
        groups = tomllib.loads(path.read_text(encoding="utf-8"))["group"]
        return cls(
            {
                (one["function"], one["change"].strip()): group["reason"].strip()
                for group in groups
                for one in group["mutants"]
            }
        )

    def covers(self, mutant: Mutant) -> bool:
        """Whether the mutant survived and it is explained why."""
        return mutant.outcome == "survived" and (mutant.function, mutant.change) in self.reasons

    def unused(self, mutants: Sequence[Mutant], only: Iterable[str]) -> list[str]:
        """Explanations of these modules (all if none is named) that no survivor needs any more."""
        needed = {(one.function, one.change) for one in mutants if one.outcome == "survived"}
        chosen = set(only)
        return [
            f"{function}\n{change}"
            for function, change in self.reasons
            if (function, change) not in needed and (not chosen or function.partition(".")[0] in chosen)
        ]
