"""What the DocTypes do: one controller class for each DocType with behaviour of its own."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from scoopjoy_dagster.sandbox.erpnext.controllers.base import Controller

if TYPE_CHECKING:
    from collections.abc import Mapping


@cache
def _registry() -> Mapping[str, Controller]:
    from scoopjoy_dagster.sandbox.erpnext import workflows
    from scoopjoy_dagster.sandbox.erpnext.controllers import (
        customisation,
        journal_entry,
        masters,
        pos_closing,
        pos_invoice,
        pos_merge,
        pos_opening,
        records,
        sales_invoice,
        tills,
    )

    modules = (
        workflows, customisation, journal_entry, masters, pos_closing, pos_invoice, pos_merge, pos_opening, records,
        sales_invoice, tills,
    )  # fmt: skip
    return {name: made for module in modules for name, made in module.CONTROLLERS.items()}


_PLAIN = Controller()


def controller(doctype: str) -> Controller:
    """The controller of a DocType; one without behaviour for all others."""
    return _registry().get(doctype, _PLAIN)
