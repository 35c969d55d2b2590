"""What keeps the integration user from seeing the whole company: ERPNext leaves rows out of lists without a word.

A User Permission on this user once turned 45 invoices of 24 customers into 3 of 1, and the night was green. So whoever reads
the books asks first, once for each session, and stops at the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from scoopjoy_dagster.erpnext.client import Client, Row
from scoopjoy_dagster.erpnext.forms import read_forms

LOOKED_AT = frozenset(
    {
        "Company",
        "Account",
        "Cost Center",
        "Customer",
        "Customer Group",
        "Accounting Dimension",
        "Sales Invoice",
        "Journal Entry",
        "GL Entry",
        "POS Opening Entry",
        "POS Invoice",
        "POS Closing Entry",
        "POS Profile",
        "POS Settings",
        "Accounting Period",
        "Accounts Settings",
        "Fiscal Year",
        "Period Closing Voucher",
        "File",
        "User",
        "ScoopJoy Delivery",
        "Batch Run",
        "Batch Run Request",
    }
)
"""DocTypes that the program reads or writes."""

DECISIVE = ("Customer", "Sales Invoice", "POS Invoice", "POS Opening Entry")
"""DocTypes whose lists decide what is closed and how much is posted."""

DOING = "see what ERPNext shows this user"
ACTION = "delete them in ERPNext (User Permission), or apply them only to document types that the close does not use"


def user_permissions(client: Client) -> dict[str, list[Row]]:
    """The User Permissions of the session's own user, by the DocType whose documents they name; everybody may ask for these."""
    found = client.call(
        "frappe.core.doctype.user_permission.user_permission.get_user_permissions", doing=DOING
    )
    return dict(found or {})


def restrictions(permissions: Mapping[str, Sequence[Row]], company: str) -> list[str]:
    """The User Permissions that hide something the program needs: a part of a sentence for each DocType that they name. Pure.

    Harmless are those for DocTypes that it does not use, and a company that is ours: every document of ours names it. Every
    other one counts, whatever it names, because custom fields may link any document to it.

    Args:
        permissions: by the DocType whose documents they name, rows of `doc` and `applicable_for` (None: for all DocTypes).
        company: ours; empty means the only one that the user sees.
    """
    return [
        f"{allow} {_listed(hidden)}"
        for allow, rows in sorted(permissions.items())
        if (hidden := _hiding(rows, company if allow == "Company" else None))
    ]


def shown_only_own(client: Client, user: str, doctypes: Iterable[str]) -> list[str]:
    """Of these DocTypes, those of which the rules of its roles ("Only If Creator") show the user only documents of its own.

    A request for each DocType, and one for the roles; those that everybody has are not among them.
    """
    if user == "Administrator":
        return []
    held = client.rows(
        "Has Role",
        ["role"],
        [["parent", "=", user], ["parenttype", "=", "User"]],
        order_by="idx asc",
        parent="User",
    )
    roles = [*(str(row["role"]) for row in held), "All", "Desk User"]
    return [one for one in doctypes if read_forms(client, one)[one].only_own(roles)]


def _hiding(rows: Sequence[Row], company: str | None) -> list[str]:
    """The documents that are shown alone where something is hidden; none where nothing is. `company`: see `restrictions`."""
    hidden: list[str] = []
    for doctype in LOOKED_AT:
        shown = [str(row["doc"]) for row in rows if (row.get("applicable_for") or doctype) == doctype]
        if shown and (company is None or (company and company not in shown)):
            hidden += shown
    return sorted(set(hidden))


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
