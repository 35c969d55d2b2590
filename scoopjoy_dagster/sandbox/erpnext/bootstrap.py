"""What every site has before anybody has set it up: Administrator, roles, settings, the robot user."""

from __future__ import annotations

from typing import Any

from scoopjoy_dagster.sandbox.erpnext.session import Session
from scoopjoy_dagster.sandbox.erpnext.site import Site

ROLES = (
    "Administrator", "All", "Guest", "Desk User", "System Manager", "Accounts Manager", "Accounts User", "Auditor",
    "Sales Manager", "Sales User", "Sales Master Manager", "Stock Manager", "Stock User", "Item Manager",
    "Website Manager", "Workspace Manager", "Inbox User", "Script Manager",
)  # fmt: skip
MODULES = ("Core", "Custom", "Accounts", "Selling", "Stock", "Desk", "Setup")
ROBOT_ROLES = ("Sales Manager", "Accounts Manager", "Accounts User", "System Manager")


def add(session: Session, doctype: str, **values: Any) -> str:
    """Insert a document and return its name."""
    return session.insert(session.new(doctype, values)).name


def bootstrap(site: Site) -> None:
    """Fill a new site; leaves one that is already filled alone."""
    session = Session(site, "Administrator")
    with site.db.lock:
        if session.exists("User", "Administrator"):
            return
    with site.transaction():
        for role in ROLES:
            add(session, "Role", role_name=role)
        for module in MODULES:
            add(session, "Module Def", module_name=module, app_name="frappe")
        for user, first_name, roles in (
            ("Administrator", "Administrator", ("System Manager",)),
            ("Guest", "Guest", ()),
            ("robot@scoopjoy.example", "Night Close", ROBOT_ROLES),
        ):
            doc = session.new("User", {"email": user, "first_name": first_name})
            doc["roles"] = []
            session.amend(doc, {"roles": [{"role": role} for role in roles]})
            session.insert(doc)
        add(session, "Country", country_name="India", code="in")
        for code, symbol, fraction in (("INR", "₹", "Paisa"), ("USD", "$", "Cent"), ("EUR", "€", "Cent")):
            add(
                session,
                "Currency",
                currency_name=code,
                enabled=1,
                symbol=symbol,
                fraction=fraction,
                fraction_units=100,
                smallest_currency_fraction_value=0.01,
            )
        add(session, "System Settings", country="India", enable_scheduler=1, setup_complete=1)
        for single in ("Global Defaults", "Accounts Settings", "POS Settings", "Document Naming Settings"):
            add(session, single)
