"""Users of the site by role: who gets reports and alerts."""

from __future__ import annotations

from scoopjoy_dagster.erpnext.site import Site


def enabled_users(site: Site, role: str) -> list[str]:
    """E-mail addresses of the enabled users with a role, without Administrator and Guest, in order."""
    rows = site.client.rows(
        "User",
        ["name", "email"],
        [
            ["Has Role", "role", "=", role],
            ["User", "enabled", "=", 1],
            ["User", "name", "not in", ["Administrator", "Guest"]],
        ],
    )
    return sorted({str(row["email"]).strip() for row in rows if row["email"]})
