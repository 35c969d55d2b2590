"""What must not grow unnoticed: request counts exactly, and ratios within a margin. Never seconds.

The counts are of a small chain, which is enough to see a request that was added for each day or each franchise: they
are taken at two sizes. `python -m scoopjoy_dagster_tests.benchmarks --update-baseline` writes the file anew; the change
then stands in the diff, where somebody has to agree to it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scoopjoy_dagster_tests.benchmarks.workbench import Workbench, iso

FILE = Path(__file__).with_name("baseline.json")
SIZES = (3, 12)
DAYS = 3
"""Of the three days; the first of them is the night, so it is done already."""
INVOICES = 2
MARGIN = 0.3
"""How much of a ratio may be lost, as a part of it: the same code measures so much less on a busy machine."""


def measured(bench: Workbench) -> dict[str, Any]:
    """The figures of now."""
    found: dict[str, Any] = {"requests": {}, "ratios": {}}
    for size in SIZES:
        chain = bench.chain(size, INVOICES, DAYS)
        day, span = chain.first, (chain.first, chain.last)
        acts = {"a night": iso("close", day, day), "three days": iso("close", *span)}
        if size == SIZES[-1]:
            acts["the same days again"] = iso("close", *span)
            acts["the naive way"] = iso("naive", chain.last)
        with bench.site(chain) as site:
            told = bench.measure(site, chain, list(acts.values()))["acts"]
        found["requests"][f"{size} franchises"] = {
            name: _counts(act) for name, act in zip(acts, told, strict=True)
        }
    ours, naive = told[0], told[-1]
    found["ratios"] = {
        "requests of the royalty step, naive to ours": _ratio(naive, ours, "requests"),
        "seconds inside ERPNext of the royalty step, naive to ours": _ratio(naive, ours, "inside_s"),
    }
    return found


def _counts(act: dict[str, Any]) -> dict[str, Any]:
    steps = {
        name: f"{step['requests']}, {step['writes']} of them writes" for name, step in act["steps"].items()
    }
    return {"all": f"{act['requests']}, {act['writes']} of them writes", **steps}


def _ratio(naive: dict[str, Any], ours: dict[str, Any], figure: str) -> float:
    found: float = naive["steps"]["royalties"][figure] / ours["steps"]["royalties"][figure]
    return round(found, 2)


def stored() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def write(found: dict[str, Any]) -> None:
    FILE.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def lost(before: dict[str, float], now: dict[str, float]) -> dict[str, tuple[float, float]]:
    """Ratios that have fallen below the stored ones by more than the margin: stored, and now."""
    return {name: (ratio, now[name]) for name, ratio in before.items() if now[name] < ratio * (1 - MARGIN)}
