"""Hypothesis in mutation testing: few examples and always the same ones, so that a verdict can be had again."""

from __future__ import annotations

from hypothesis import Phase, settings

settings.register_profile(
    "mutation",
    max_examples=25,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),  # a mutant is killed by any example; nobody reads a smaller one
)
