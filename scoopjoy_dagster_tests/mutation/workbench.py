"""A copy of the rules and of their tests in which mutmut may write, and what it found there.

mutmut leaves decorated functions alone, and a good part of the money is in properties. In the copy a property is
therefore a method, followed by `name = property(name)`: the same program, in which mutmut sees all of it. Constants
and defaults outside of functions are not mutated; tests hold each at its edge.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import libcst as cst

ROOT = Path(__file__).parents[2]
PACKAGE, TESTS = Path("scoopjoy_dagster"), Path("scoopjoy_dagster_tests")
RULES = PACKAGE / "accounting"

KILLED = frozenset({1, 3})
TIMED_OUT = frozenset({24, -24, 36, 152, 255})
SURVIVED = frozenset({0, 5, 33})
"""Exit codes as mutmut keeps them: 5 and 33 are mutants that no test reaches. Any other is a run that says nothing."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mutant: `name` by mutmut, the module, its exit code, and the changed lines of its diff (`- old`, `+ new`)."""

    name: str
    module: str
    exit_code: int | None
    change: str = ""

    @property
    def function(self) -> str:
        """Where it is: `module.function` or `module.Class.method`."""
        mangled = self.name.rpartition(".")[2].rpartition("__mutmut_")[0]
        return f"{self.module}.{mangled.removeprefix('x').removeprefix('_').strip('ǁ').replace('ǁ', '.')}"

    @property
    def outcome(self) -> str:
        """`killed`, `timed out`, `survived` (also where no test reaches it) or `not run`."""
        outcomes = (("killed", KILLED), ("timed out", TIMED_OUT), ("survived", SURVIVED))
        return next((name for name, codes in outcomes if self.exit_code in codes), "not run")


def modules() -> list[str]:
    """The modules of the rules that have functions, by name."""
    return sorted(path.stem for path in (ROOT / RULES).glob("[!_]*.py") if "def " in path.read_text())


def build(bench: Path) -> None:
    """Make the copy anew."""
    shutil.rmtree(bench, ignore_errors=True)
    for folder in (RULES, TESTS / "accounting"):
        shutil.copytree(ROOT / folder, bench / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (PACKAGE / "__init__.py", TESTS / "__init__.py", Path("pyproject.toml")):
        shutil.copy(ROOT / file, bench / file)
    for path in (bench / RULES).glob("*.py"):
        path.write_text(undecorated(path.read_text()))


def undecorated(source: str) -> str:
    """The same module, with properties that mutmut mutates."""
    return cst.parse_module(source).visit(_Properties()).code


class _Properties(cst.CSTTransformer):
    def leave_FunctionDef(
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.FunctionDef | cst.FlattenSentinel[cst.BaseStatement]:
        names = [
            one.decorator.value for one in original_node.decorators if isinstance(one.decorator, cst.Name)
        ]
        if names != ["property"]:
            return updated_node
        name = updated_node.name.value
        bound = cst.parse_statement(f"{name} = property({name})")
        return cst.FlattenSentinel([updated_node.with_changes(decorators=[]), bound])


def mutate(bench: Path, only: Iterable[str]) -> int:
    """Run mutmut in the copy, one mutant at a time; all modules if `only` names none. Returns its exit code."""
    chosen = [f"scoopjoy_dagster.accounting.{module}.*" for module in only]
    command = [str(Path(sys.executable).parent / "mutmut"), "run", "--max-children", "1", *chosen]
    return subprocess.run(command, cwd=bench, check=False).returncode


def found(bench: Path, only: Iterable[str]) -> list[Mutant]:
    """Every mutant of these modules (all if none is named), and what became of it; survivors with their change."""
    mutants = []
    for module in only or modules():
        kept = bench / "mutants" / RULES / f"{module}.py.meta"
        for name, exit_code in json.loads(kept.read_text())["exit_code_by_key"].items():
            mutant = Mutant(name, module, exit_code)
            if mutant.outcome == "survived":
                mutant = Mutant(name, module, exit_code, _change(bench, name))
            mutants.append(mutant)
    return mutants


def _change(bench: Path, name: str) -> str:
    command = [str(Path(sys.executable).parent / "mutmut"), "show", name]
    shown = subprocess.run(command, cwd=bench, check=True, capture_output=True, text=True).stdout
    lines = [line for line in shown.splitlines() if line[:1] in {"-", "+"} and line[:3] not in {"---", "+++"}]
    return "\n".join(f"{line[0]} {line[1:].strip()}" for line in lines)
