"""The benchmarks of nights and backfills: what is run, and which figures come out."""

from __future__ import annotations

from typing import Any

from scoopjoy_dagster_tests.benchmarks.workbench import Workbench, iso

NAIVE_STEPS = ("royalties", "invoices")
"""The steps that the naive way does; the others are the same work either way."""


def figures(act: dict[str, Any]) -> dict[str, Any]:
    """What is kept of one act."""
    inside = act["inside_s"]
    return {
        "wall_s": round(act["wall_s"], 2),
        "inside_s": round(inside, 2),
        "overhead": round(act["wall_s"] / inside, 3) if inside else None,
        "processor_s": round(act["processor_s"], 2),
        "requests": act["requests"],
        "writes": act["writes"],
        "peak_mib": round(act["peak_mib"]),
    }


def by_step(act: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "wall_s": round(step["wall_s"], 2),
            "inside_s": round(step["inside_s"], 2),
            "requests": step["requests"],
            "writes": step["writes"],
        }
        for name, step in act["steps"].items()
    }


def night(bench: Workbench, franchises: int, invoices: int, *, naive: bool) -> dict[str, Any]:
    """(a), (b) and (d): one night, the same day again, and the day before by the naive way, in one process."""
    chain = bench.chain(franchises, invoices, 2)
    acts = [iso("close", chain.last, chain.last)] * 2
    if naive:
        acts.append(iso("naive", chain.first))
    with bench.site(chain) as site:
        found = bench.measure(site, chain, acts)
    first, again, *rest = found["acts"]
    told = {
        "franchises": franchises,
        "invoices": franchises * invoices,
        "start_s": round(found["start_s"], 2),
        "night": {**figures(first), "steps": by_step(first)},
        "again": {**figures(again), "steps": by_step(again)},
    }
    if rest:
        told["naive"] = compared(first, rest[0])
    return told


def compared(ours: dict[str, Any], naive: dict[str, Any]) -> dict[str, Any]:
    """The naive way against ours. Its whole night is its two steps and our other three, which are the same work."""
    other = sum(step["wall_s"] for name, step in ours["steps"].items() if name not in NAIVE_STEPS)
    whole = naive["wall_s"] + other
    return {
        **figures(naive),
        "steps": by_step(naive),
        "royalty_step_ratio": round(
            naive["steps"]["royalties"]["wall_s"] / ours["steps"]["royalties"]["wall_s"], 2
        ),
        "night_wall_s": round(whole, 2),
        "night_ratio": round(whole / ours["wall_s"], 2),
    }


def backfill(bench: Workbench, days: int, franchises: int, invoices: int) -> dict[str, Any]:
    """(c): so many days, a run for each, and the same days again."""
    chain = bench.chain(franchises, invoices, days)
    with bench.site(chain) as site:
        told = bench.measure(site, chain, [iso("close", chain.first, chain.last)] * 2)
    first, again = told["acts"]
    return {
        "days": days,
        "franchises": franchises,
        "invoices": days * franchises * invoices,
        "new": figures(first),
        "again": figures(again),
    }
