"""What ERPNext sends to a form of the desk about a DocType: its fields in force, its rules, its active workflow.

Everybody who has logged in may ask for it, where Custom Fields, rules and workflows themselves are shown to System Managers only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scoopjoy_dagster.erpnext.client import Client, Row


@dataclass(frozen=True, slots=True)
class Form:
    """A DocType as it is in force, with Custom Fields and Property Setters.

    Attributes:
        fields: rows with fieldname, label, options, default, reqd.
        rules: rows with role, permlevel, if_owner, read.
        workflow: name of its active workflow; empty without one.
    """

    doctype: str
    fields: Sequence[Row]
    rules: Sequence[Row]
    workflow: str = ""

    def field(self, name: str) -> Row | None:
        """One of its fields."""
        return next((one for one in self.fields if one["fieldname"] == name), None)

    def mandatory(self) -> list[Row]:
        """The fields that ERPNext wants and does not fill by itself."""
        return [one for one in self.fields if one.get("reqd") and not one.get("default")]

    def only_own(self, roles: Sequence[str]) -> bool:
        """Whether these roles see a document only where their user is its owner ("Only If Creator")."""
        reading = [
            bool(one.get("if_owner"))
            for one in self.rules
            if one["role"] in roles and one.get("read") and not int(one.get("permlevel") or 0)
        ]
        return bool(reading) and all(reading)


def read_forms(client: Client, doctype: str) -> dict[str, Form]:
    """The form of a DocType, and those of its tables, by DocType; one request."""
    answer = client.session.request(
        "GET",
        "/api/method/frappe.desk.form.load.getdoctype",
        doing=f"read the form of {doctype}",
        kind="read",
        params={"doctype": doctype},
    )
    return {
        str(one["name"]): Form(
            str(one["name"]),
            one.get("fields") or [],
            one.get("permissions") or [],
            next(
                (
                    str(flow["name"])
                    for flow in one.get("__workflow_docs") or []
                    if flow["doctype"] == "Workflow"
                ),
                "",
            ),
        )
        for one in answer["docs"]
    }
