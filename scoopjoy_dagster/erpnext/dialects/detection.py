"""Which dialect a site speaks: by what it says of itself, and by what it does."""

from __future__ import annotations

import re

from scoopjoy_dagster.erpnext.client import Client
from scoopjoy_dagster.erpnext.dialects.interface import Dialect
from scoopjoy_dagster.erpnext.dialects.v15 import V15
from scoopjoy_dagster.erpnext.dialects.v16 import V16
from scoopjoy_dagster.erpnext.errors import UnsupportedSite

OLDEST, NEWEST_KNOWN = 15, 17
"""The lines that the contract suite was run against: 15, and the development line of 17."""


def detect(client: Client) -> tuple[Dialect, str]:
    """The dialect of the site and its ERPNext version; a newer line than the known ones is spoken to as the newest.

    Raises:
        UnsupportedSite: ERPNext is not installed there, or is older than this program knows.
    """
    doing = "find the version of ERPNext"
    versions = client.call("frappe.utils.change_log.get_versions", doing=doing) or {}
    version = str((versions.get("erpnext") or {}).get("version") or "")
    major = _major(version)
    if major is None:
        raise UnsupportedSite(
            doing, f"{client.session.url} has no ERPNext; set ERPNEXT_URL to a site with ERPNext v15 or later"
        )
    if major < OLDEST:
        raise UnsupportedSite(
            doing,
            f"{client.session.url} runs ERPNext {version}, and this program knows v15 and later: "
            "elsewhere a closing could orphan a shift's invoices in silence",
        )
    dialect: Dialect = V15() if major == OLDEST else V16()
    if major > NEWEST_KNOWN and not dialect.is_spoken(client):
        raise UnsupportedSite(
            doing,
            f"{client.session.url} runs ERPNext {version}, which does not answer as v16 and 17 do: "
            "this program does not know how its shifts are closed",
        )
    return dialect, version


def is_newer_than_known(version: str) -> bool:
    """Whether a line is newer than all that this program was proven against."""
    return (_major(version) or 0) > NEWEST_KNOWN


def _major(version: str) -> int | None:
    found = re.match(r"\d+", version)
    return int(found.group()) if found else None
