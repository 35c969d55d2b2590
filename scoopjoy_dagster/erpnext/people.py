"""Users of the site by role: who gets reports and alerts."""

from __future__ import annotations

from scoopjoy_dagster.erpnext.site import Site


def enabled_users(site: Site, role: str, robot: str = "") -> list[str]:
    """E-mail addresses of the enabled users with a role, without Administrator and Guest, in order.

    The integration user has the roles too, and mostly no mailbox: it gets mail only when nobody else would. `robot` is its
    name where that is known already.
    """
    # Not as a filter of the User list: v16 and later refuse that to whoever is no System Manager.
    holders = site.client.rows(
        "Has Role",
        ["parent"],
        [["role", "=", role], ["parenttype", "=", "User"]],
        order_by="parent asc",
        parent="User",
        remember=True,
    )
    rows = site.client.rows(
        "User",
        ["name", "email"],
        [
            ["name", "in", [row["parent"] for row in holders]],
            ["name", "not in", ["Administrator", "Guest"]],
            ["enabled", "=", 1],
        ],
        remember=True,
    )
    found = {str(row["email"]).strip() for row in rows if row["email"]}
    robot = robot or site.user
    return sorted((found - {str(row["email"]).strip() for row in rows if row["name"] == robot}) or found)
