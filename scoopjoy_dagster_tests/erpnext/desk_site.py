"""Sites for the tests of the Batch Run desk: as a plan sees them, and running ones."""

from __future__ import annotations

from typing import Any

from scoopjoy_dagster.erpnext import desk_schema
from scoopjoy_dagster.erpnext.installation import SiteState
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster_tests.world import insert

ACCOUNTANT = "desk-accountant@scoopjoy.example"
"""Accounts Manager: may ask for runs."""
VIEWER = "desk-viewer@scoopjoy.example"
"""Accounts User: sees the runs."""
SECOND_ACCOUNTANT = "desk-second-accountant@scoopjoy.example"
"""Accounts Manager, too."""
CASHIER = "desk-cashier@scoopjoy.example"
"""What cashiers have, and often more than they need."""
WEBMASTER = "desk-webmaster@scoopjoy.example"
"""System Manager and Workspace Manager."""


def complete_desk(**other: Any) -> SiteState:
    """A site with the whole desk, but for what is said otherwise."""
    script = desk_schema.form_script()
    known: dict[str, Any] = {
        "doctypes": {one["name"]: one for one in desk_schema.DESK_DOCTYPES},
        "form_script": {key: script[key] for key in ("name", "dt", "view", "script")},
        "workspace": True,
    }
    return SiteState(**{**known, **other})


def with_doctype(doctype: dict[str, Any]) -> SiteState:
    """A complete site that has this instead of our DocType of the name."""
    ours = {one["name"]: one for one in desk_schema.DESK_DOCTYPES}
    return complete_desk(doctypes={**ours, doctype["name"]: doctype})


def hire(site: SandboxERPNext) -> None:
    """The people of the desk."""
    for user, roles in (
        (ACCOUNTANT, ["Accounts Manager"]),
        (SECOND_ACCOUNTANT, ["Accounts Manager"]),
        (CASHIER, ["Sales User", "Sales Manager", "Accounts User"]),
        (VIEWER, ["Accounts User"]),
        (WEBMASTER, ["System Manager", "Workspace Manager"]),
    ):
        insert(site, "User", email=user, first_name=user, roles=[{"role": role} for role in roles])
