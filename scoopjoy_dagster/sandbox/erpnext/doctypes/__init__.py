"""The DocTypes that the embedded ERPNext knows from the start."""

from __future__ import annotations

from scoopjoy_dagster.sandbox.erpnext.doctypes import accounts, core, invoices, pos, selling
from scoopjoy_dagster.sandbox.erpnext.meta import Meta, parse


def builtin(changes: str = "") -> dict[str, Meta]:
    """Fresh meta data of every standard DocType, by name, with the changes of a line of ERPNext."""
    groups = {
        "Core": core.TEXT,
        "Accounts": accounts.TEXT + invoices.TEXT + pos.TEXT,
        "Selling": selling.TEXT,
    }
    metas = {meta.name: meta for module, text in groups.items() for meta in parse(text, module)}
    return metas | {meta.name: meta for meta in parse(changes, "Accounts", metas)}
