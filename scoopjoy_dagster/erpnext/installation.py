"""Install our custom fields on a site, and say what is missing: the plan is pure, applying it is thin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scoopjoy_dagster.erpnext.client import Client, Row
from scoopjoy_dagster.erpnext.errors import NotFound, Rejected
from scoopjoy_dagster.erpnext.schema import DELIVERY_DOCTYPE, FIELDS, CustomField

FIELD_COLUMNS = [
    "name",
    "dt",
    "fieldname",
    "fieldtype",
    "unique",
    "no_copy",
    "read_only",
    "allow_on_submit",
    "in_list_view",
]


PARENTS = {"POS Closing Entry Detail": "POS Closing Entry"}
"""Parent of each child DocType that we extend; a list of child rows must name it."""


def fields_by_doctype() -> dict[str, list[str]]:
    """Names of our custom fields, by DocType."""
    found: dict[str, list[str]] = {}
    for field in FIELDS:
        found.setdefault(field.doctype, []).append(field.fieldname)
    return found


@dataclass(frozen=True, slots=True)
class InstallStep:
    """One thing that a site needs: to be created, to be changed, or in the way (`refuse`)."""

    kind: Literal["create", "change", "refuse"]
    doctype: str
    name: str
    reason: str
    body: Mapping[str, Any]

    @property
    def sentence(self) -> str:
        """The step in words."""
        verb = {"create": "create", "change": "change", "refuse": "cannot install"}[self.kind]
        return f"{verb} {self.doctype} {self.name}: {self.reason}"


def plan_installation(present: Iterable[Row], delivery_fields: Sequence[Row] | None) -> list[InstallStep]:
    """What must be done so that every field is there and of the right kind.

    Args:
        present: rows of Custom Field (`FIELD_COLUMNS`) on the DocTypes that we extend.
        delivery_fields: field rows of the DocType of delivery records; None when it does not exist.
    """
    by_name = {(str(row["dt"]), str(row["fieldname"])): row for row in present}
    steps = [
        step
        for field in FIELDS
        if (step := _field_step(field, by_name.get((field.doctype, field.fieldname))))
    ]
    name = str(DELIVERY_DOCTYPE["name"])
    if delivery_fields is None:
        steps.append(InstallStep("create", "DocType", name, "it is not there", DELIVERY_DOCTYPE))
    else:
        have = {str(row["fieldname"]) for row in delivery_fields}
        missing = [one for one in DELIVERY_DOCTYPE["fields"] if one["fieldname"] not in have]
        if missing:  # made by an earlier version of this program
            reason = f"it lacks {', '.join(sorted(one['fieldname'] for one in missing))}"
            body = {"fields": [*delivery_fields, *missing]}
            steps.append(InstallStep("change", "DocType", name, reason, body))
    return steps


def _field_step(field: CustomField, row: Row | None) -> InstallStep | None:
    if row is None:
        return InstallStep("create", "Custom Field", field.name, "it is not there", field.document())
    if row["fieldtype"] != field.fieldtype:
        reason = f"it is a {row['fieldtype']} field, a {field.fieldtype} field is needed; rename or remove it in Customize Form"
        return InstallStep("refuse", "Custom Field", field.name, reason, {})
    wrong = {flag: int(wanted) for flag, wanted in field.flags().items() if bool(row[flag]) != wanted}
    # A site may show or hide a field in its lists as it likes, and may let people edit what we only read.
    needed = {
        flag: value for flag, value in wrong.items() if flag in {"unique", "no_copy", "allow_on_submit"}
    }
    if not needed:
        return None
    reason = ", ".join(f"{flag} must be {'on' if value else 'off'}" for flag, value in sorted(needed.items()))
    return InstallStep("change", "Custom Field", field.name, reason, needed)


def read_installation(client: Client) -> list[InstallStep]:
    """The plan for a site as it stands. Needs read access to Custom Field and DocType (System Manager).

    Raises:
        ERPNextError: the site could not be read.
    """
    present = client.rows(
        "Custom Field", FIELD_COLUMNS, [["dt", "in", sorted({field.doctype for field in FIELDS})]]
    )
    try:
        document = client.get("DocType", str(DELIVERY_DOCTYPE["name"]))
        fields: list[Row] | None = list(document.get("fields", []))
    except NotFound:
        fields = None
    return plan_installation(present, fields)


def install(client: Client, steps: Iterable[InstallStep], tell: Callable[[InstallStep], None]) -> None:
    """Carry out the plan; stops with a sentence at a step that cannot be done.

    Raises:
        Rejected: something is in the way; nothing of that step was changed.
    """
    for step in steps:
        if step.kind == "refuse":
            raise Rejected("set up the site", step.sentence)
        if step.kind == "create":
            client.insert(step.doctype, step.body)
        else:
            client.update(step.doctype, step.name, step.body)
        tell(step)
