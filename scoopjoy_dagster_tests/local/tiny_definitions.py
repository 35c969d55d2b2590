"""The smallest code location: what the tests of Dagster's processes load."""

import dagster as dg


@dg.asset
def scoop() -> None:
    """Made by a run that the tests launch."""


defs = dg.Definitions([scoop])
