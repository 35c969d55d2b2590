"""The list of explained survivors is of the program as it is, and the bench that mutants are made on is the same program."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from scoopjoy_dagster_tests.mutation.explained import Explained
from scoopjoy_dagster_tests.mutation.workbench import ROOT, RULES, Mutant, modules, undecorated

EXPLAINED = Explained.read()


def test_every_explained_line_is_in_the_function_s_module() -> None:
    for (function, change), reason in EXPLAINED.reasons.items():
        module = function.partition(".")[0]
        source = [line.strip() for line in (ROOT / RULES / f"{module}.py").read_text().splitlines()]
        removed = [line[2:] for line in change.splitlines() if line.startswith("- ")]
        assert removed
        assert set(removed) <= set(source), function
        assert reason


def test_only_a_survivor_with_exactly_this_change_in_this_function_is_explained() -> None:
    removed = "- each, left = divmod(int((total - sum(parts, ZERO)) / unit), len(parts))"
    change = f"{removed}\n{removed.replace('- each', '+ each').replace('parts, ZERO', 'parts, ')}"
    mutant = Mutant("scoopjoy_dagster.accounting.money.x_apportion__mutmut_18", "money", 0, change)
    assert mutant.function == "money.apportion"
    assert EXPLAINED.covers(mutant)
    assert not EXPLAINED.covers(replace(mutant, exit_code=1))
    assert not EXPLAINED.covers(replace(mutant, change=change.replace("int(", "abs(")))
    assert not EXPLAINED.covers(replace(mutant, name=mutant.name.replace("apportion", "rounded")))
    assert all(one.startswith("keys.") for one in EXPLAINED.unused([], ["keys"]))
    assert len(EXPLAINED.unused([], ["money"])) == len(EXPLAINED.unused([mutant], ["money"])) + 1


def test_a_run_that_says_nothing_is_no_killed_mutant() -> None:
    outcomes = {code: Mutant("m", "m", code).outcome for code in (None, 0, 1, 2, 3, 5, 24, 33, 36, -11)}
    assert outcomes == {
        None: "not run",
        0: "survived",
        1: "killed",
        2: "not run",
        3: "killed",
        5: "survived",
        24: "timed out",
        33: "survived",
        36: "timed out",
        -11: "not run",
    }


def test_properties_of_the_rules_become_methods_that_can_be_mutated_and_stay_properties() -> None:
    source = "class A:\n    @property\n    def b(self) -> int:\n        return 1\n\n    @other\n    @property\n    def c(self): ...\n"
    made = undecorated(source)
    assert made.count("@property") == 1
    found: dict[str, Any] = {"other": lambda one: one}
    exec(made, found)
    assert found["A"]().b == 1
    assert isinstance(found["A"].b, property)
    assert all("@property" not in undecorated((ROOT / RULES / f"{one}.py").read_text()) for one in modules())
