"""The role of those who get the day's report: one of its own, which grants nothing else."""

from __future__ import annotations

from scoopjoy_dagster.erpnext.install_step import InstallStep

REPORT_ROLE = "ScoopJoy Report Reader"
"""Not one of ERPNext's: cashiers often are Sales Managers, since only those may close a shift, and the report has everybody's
figures."""


def role_step() -> InstallStep:
    """What makes the role. It opens no desk to whoever has no other role."""
    return InstallStep(
        "create",
        "Role",
        REPORT_ROLE,
        "it is not there; give it in ERPNext to those who are to get the day's report",
        {"role_name": REPORT_ROLE, "desk_access": 0},
    )
