"""The world that demo and tests start from: a small franchise chain with weeks of history.

Everything is made by the document engine of the embedded ERPNext, with its validations on.
"""

from __future__ import annotations

from scoopjoy_dagster.sandbox.seed.facts import (
    Sale,
    Shift,
    add_franchise,
    add_invoice,
    add_shift,
    at,
    cancel_document,
    close_shift,
)
from scoopjoy_dagster.sandbox.seed.history import SeedSummary, seed
from scoopjoy_dagster.sandbox.seed.masters import (
    FRANCHISES,
    OUTLETS,
    give_report_role,
    master_data,
    set_royalty_terms,
)

__all__ = [
    "FRANCHISES",
    "OUTLETS",
    "Sale",
    "SeedSummary",
    "Shift",
    "add_franchise",
    "add_invoice",
    "add_shift",
    "at",
    "cancel_document",
    "close_shift",
    "give_report_role",
    "master_data",
    "seed",
    "set_royalty_terms",
]
