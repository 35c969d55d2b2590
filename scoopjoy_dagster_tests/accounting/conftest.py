"""Hypothesis in mutation testing: few examples and always the same ones, so that a verdict can be had again."""

from __future__ import annotations

import pytest
from hypothesis import Phase, is_hypothesis_test, settings

settings.register_profile(
    "mutation",
    max_examples=20,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),  # a mutant is killed by any example; nobody reads a smaller one
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The quick tests first, where the first failure ends it."""
    if settings.get_current_profile_name() == "mutation":
        items.sort(key=lambda item: is_hypothesis_test(getattr(item, "function", None)))
