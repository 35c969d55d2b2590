"""Take the Batch Run desk, and naming series and a role that nobody uses, off a site again: the plan is pure, carrying it
out is thin.

Belongs here: what mirrors Dagster's own record, and what only people choose from. Does not belong here: the custom
fields on ledger documents and the delivery records. They are the evidence by which nothing is posted or sent twice,
and no command takes them away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from scoopjoy_dagster.erpnext import desk_schema, series_options
from scoopjoy_dagster.erpnext.client import Client, Row
from scoopjoy_dagster.erpnext.errors import NotFound, Rejected
from scoopjoy_dagster.erpnext.naming_series import ROYALTY_SERIES
from scoopjoy_dagster.erpnext.removal_step import RemovalStep
from scoopjoy_dagster.erpnext.report_role import REPORT_ROLE

__all__ = ["DeskOnSite", "RemovalStep", "is_ours", "plan_removal", "read_removal", "remove"]


@dataclass(frozen=True, slots=True)
class DeskOnSite:
    """What a site has of the desk, or of the same names.

    Attributes:
        doctypes: the DocTypes that are there, by name, each with its child rows.
        documents: names of the documents of those that are ours, in the order of deletion.
        form_script: the row of the Client Script of our name; None when there is none.
        workspace: the Workspace of our name; None when there is none.
    """

    doctypes: Mapping[str, Row] = field(default_factory=dict)
    documents: Mapping[str, Sequence[str]] = field(default_factory=dict)
    form_script: Row | None = None
    workspace: Row | None = None


def is_ours(name: str, doctype: Row) -> bool:
    """Whether a DocType of one of our names was made by setup: custom, with the field that tells ours."""
    fields = {str(row["fieldname"]) for row in doctype.get("fields") or []}
    return bool(doctype.get("custom")) and desk_schema.MARKS[name] in fields


def plan_removal(desk: DeskOnSite) -> list[RemovalStep]:
    """What goes, in the order in which ERPNext lets it go; nothing that was not made by setup."""
    steps = []
    script = desk.form_script
    if script is not None and script["dt"] == desk_schema.BATCH_RUN:
        steps.append(RemovalStep("Client Script", desk_schema.FORM_SCRIPT))
    if desk.workspace is not None and desk_schema.BLOCK in str(desk.workspace.get("content") or ""):
        steps.append(RemovalStep("Workspace", desk_schema.WORKSPACE))
    ours = [
        name for name in desk_schema.MARKS if name in desk.doctypes and is_ours(name, desk.doctypes[name])
    ]
    steps += [
        RemovalStep(name, documents=tuple(desk.documents[name])) for name in ours if desk.documents.get(name)
    ]
    steps += [RemovalStep("DocType", name) for name in ours]
    return steps


def read_removal(client: Client, *, series: Sequence[str] = ROYALTY_SERIES) -> list[RemovalStep]:
    """The plan for a site as it stands. Needs a System Manager.

    Args:
        client: of the site.
        series: naming series of royalty entries; those without entries are no options any more.

    Raises:
        ERPNextError: the site could not be read.
    """
    doctypes = {name: found for name in desk_schema.MARKS if (found := _find(client, "DocType", name))}
    documents = {
        name: [str(row["name"]) for row in client.rows(name, ["name"], [])]
        for name, doctype in doctypes.items()
        if is_ours(name, doctype) and not doctype.get("istable")
    }
    scripts = client.rows("Client Script", ["name", "dt"], [["name", "=", desk_schema.FORM_SCRIPT]])
    steps = plan_removal(
        DeskOnSite(
            doctypes=doctypes,
            documents=documents,
            form_script=scripts[0] if scripts else None,
            workspace=_find(client, "Workspace", desk_schema.WORKSPACE),
        )
    )
    options = series_options.plan_without(series_options.read_customised(client, series), series)
    steps += [options] if options else []
    # Whoever has the role gets the reports, with the desk or without it.
    unused = client.exists("Role", REPORT_ROLE) and not client.rows(
        "Has Role", ["name"], [["role", "=", REPORT_ROLE]], parent="User", limit=1
    )
    return [*steps, RemovalStep("Role", REPORT_ROLE, optional=True)] if unused else steps


def _find(client: Client, doctype: str, name: str) -> Row | None:
    try:
        return client.get(doctype, name)
    except NotFound:
        return None


def remove(client: Client, steps: Iterable[RemovalStep], tell: Callable[[RemovalStep], None]) -> None:
    """Carry out the plan; `tell` is given each step that was done. What is gone already is fine.

    Raises:
        Rejected: ERPNext refused a deletion, for instance because something of the site links to a document.
    """
    for step in steps:
        for name in step.documents:
            _delete_document(client, step.doctype, name)
        if step.values is not None:
            client.update(step.doctype, step.name, step.values)
        elif step.name:
            try:
                client.delete(step.doctype, step.name)
            except Rejected as problem:
                if not step.optional:
                    raise
                tell(replace(step, said=f"leave {step.doctype} {step.name}: {problem.said}"))
                continue
        tell(step)


def _delete_document(client: Client, doctype: str, name: str) -> None:
    """By a call: a name that people have chosen may have characters that no address can have."""
    with suppress(NotFound):
        client.call(
            "frappe.client.delete",
            {"doctype": doctype, "name": name},
            doing=f"delete {doctype} {name}",
            kind="repeatable write",
        )
