"""An ERPNext in miniature, of version 15 or 16, that speaks Frappe's REST API over a real socket.

It imitates what the nightly close uses, and refuses everything else with 501 instead of guessing. What the versions do
otherwise is said in ``lines``.
"""

from __future__ import annotations

from scoopjoy_dagster.sandbox.erpnext.faults import KINDS, FaultSchedule, Rule
from scoopjoy_dagster.sandbox.erpnext.request_log import Logged, RequestLog
from scoopjoy_dagster.sandbox.erpnext.routes import RateLimit
from scoopjoy_dagster.sandbox.erpnext.server import app
from scoopjoy_dagster.sandbox.erpnext.settings import Settings
from scoopjoy_dagster.sandbox.erpnext.world import ROBOT, Credentials, SandboxERPNext

__all__ = [
    "KINDS",
    "ROBOT",
    "Credentials",
    "FaultSchedule",
    "Logged",
    "RateLimit",
    "RequestLog",
    "Rule",
    "SandboxERPNext",
    "Settings",
    "app",
]
