"""Install our custom fields, DocTypes, naming series, role and desk on a site: the plan is pure, applying it is thin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from scoopjoy_dagster.erpnext import desk_schema, series_options
from scoopjoy_dagster.erpnext.client import Client, Row
from scoopjoy_dagster.erpnext.custom_doctype import doctype_step
from scoopjoy_dagster.erpnext.errors import Forbidden, NotFound, Rejected
from scoopjoy_dagster.erpnext.install_step import InstallStep
from scoopjoy_dagster.erpnext.naming_series import ROYALTY_SERIES
from scoopjoy_dagster.erpnext.report_role import REPORT_ROLE, role_step
from scoopjoy_dagster.erpnext.sale_documents import SALE_DOCUMENTS
from scoopjoy_dagster.erpnext.schema import (
    AMEND_SCRIPTS,
    DELIVERY_DOCTYPE,
    EARLIER_FIELDS,
    FIELDS,
    SHARE_DOCTYPE,
    SHARE_REPORT,
    CustomField,
)
from scoopjoy_dagster.erpnext.series_options import SeriesOptions

__all__ = [
    "InstallStep",
    "SiteState",
    "fields_by_doctype",
    "install",
    "plan_installation",
    "read_installation",
    "read_site_state",
]

FIELD_COLUMNS = [
    "name",
    "dt",
    "fieldname",
    "label",
    "fieldtype",
    "options",
    "unique",
    "no_copy",
    "read_only",
    "allow_on_submit",
    "in_list_view",
    "is_virtual",
]


PARENTS = {"POS Closing Entry Detail": "POS Closing Entry", SHARE_DOCTYPE["name"]: "Journal Entry"}
"""Parent of each child DocType that has fields of ours; a list of child rows must name it."""

WITHOUT_DESK = ", or do without the desk (SCOOPJOY_BATCH_RUN_DESK=off)"


def fields_by_doctype() -> dict[str, list[str]]:
    """Names of our custom fields that a list can show, by DocType."""
    found: dict[str, list[str]] = {
        SHARE_DOCTYPE["name"]: [field["fieldname"] for field in SHARE_DOCTYPE["fields"]]
    }
    for one in FIELDS:
        if not one.is_virtual:
            name = f"{one.fieldname}.name as row_name" if one.fieldtype == "Table" else one.fieldname
            found.setdefault(one.doctype, []).append(name)
    return found


@dataclass(frozen=True, slots=True)
class SiteState:
    """What a site has of what setup installs.

    Attributes:
        fields: rows of Custom Field (`FIELD_COLUMNS`) on the DocTypes that we extend.
        doctypes: our DocTypes that are there, by name, each with its child rows.
        form_script: the row of the Client Script of the Batch Run form; None when there is none.
        amend_scripts: the rows of our Client Scripts for amendments, by name.
        workspace: whether our Workspace is there.
        may_make_workspace: whether the user may make a public Workspace.
        report: the row of our Report; None when there is none.
        series: what can be chosen as naming series of a Journal Entry; None when it was not asked for.
        report_role: whether our Role is there; None when it was not asked for.
    """

    fields: Sequence[Row] = ()
    doctypes: Mapping[str, Row] = field(default_factory=dict)
    form_script: Row | None = None
    amend_scripts: Mapping[str, Row] = field(default_factory=dict)
    workspace: bool = False
    may_make_workspace: bool = True
    report: Row | None = None
    series: SeriesOptions | None = None
    report_role: bool | None = None


def plan_installation(
    state: SiteState,
    *,
    desk: bool = True,
    series: Sequence[str] = ROYALTY_SERIES,
    role: str = REPORT_ROLE,
) -> list[InstallStep]:
    """What must be done so that everything is there and of the right kind, in the order in which it can be done.

    Args:
        state: of the site.
        desk: whether the Batch Run desk is wanted; without it, one that is there is left alone.
        series: naming series of royalty entries.
        role: of those who get the report; it is made if it is ours, any other is the site's own.
    """
    by_name = {(str(row["dt"]), str(row["fieldname"])): row for row in state.fields}
    # The rows before the table that holds them, and that before the fields that look into it.
    steps = [
        step
        for wanted in (SHARE_DOCTYPE, DELIVERY_DOCTYPE)
        if (step := doctype_step(wanted, state.doctypes.get(wanted["name"])))
    ]
    steps += [step for one in FIELDS if (step := _field_step(one, by_name.get((one.doctype, one.fieldname))))]
    for sale in SALE_DOCUMENTS:
        for fieldname, label in EARLIER_FIELDS.items():
            row = by_name.get((sale.doctype, fieldname))
            if row and label.startswith(f"{row['label']} ("):
                steps.append(_earlier_step(row, fieldname, label))
    steps += [
        replace(step, optional=True)
        for wanted in AMEND_SCRIPTS
        if (step := _script_step(wanted, state.amend_scripts.get(wanted["name"])))
    ]
    report = _report_step(state.report)
    steps += [report] if report else []
    options = series_options.plan_options(state.series, series) if state.series else None
    steps += [options] if options else []
    steps += [role_step()] if role == REPORT_ROLE and state.report_role is False else []
    return steps + (plan_desk(state) if desk else [])


def plan_desk(state: SiteState) -> list[InstallStep]:
    """The part of the plan that is the Batch Run desk."""
    steps = [
        step
        for wanted in desk_schema.DESK_DOCTYPES
        if (step := doctype_step(wanted, state.doctypes.get(wanted["name"]), otherwise=WITHOUT_DESK))
    ]
    script = _script_step(desk_schema.form_script(), state.form_script, otherwise=WITHOUT_DESK)
    steps += [script] if script else []
    if not state.workspace:
        steps.append(_workspace_step(may=state.may_make_workspace))
    return steps


def _field_step(wanted: CustomField, row: Row | None) -> InstallStep | None:
    if row is None:
        return InstallStep("create", "Custom Field", wanted.name, "it is not there", wanted.document())
    if row["fieldtype"] != wanted.fieldtype:
        reason = f"it is a {row['fieldtype']} field, a {wanted.fieldtype} field is needed; rename or remove it in Customize Form"
        return InstallStep("refuse", "Custom Field", wanted.name, reason, {})
    wrong = {flag: int(value) for flag, value in wanted.flags().items() if bool(row[flag]) != value}
    # A site may show or hide a field in its lists as it likes, and may let people edit what we only read.
    needed = {
        flag: value
        for flag, value in wrong.items()
        if flag in {"unique", "no_copy", "allow_on_submit", "is_virtual"}
    }
    reasons = [f"{flag} must be {'on' if value else 'off'}" for flag, value in sorted(needed.items())]
    body: dict[str, Any] = dict(needed)
    if wanted.is_virtual and row["options"] != wanted.options:
        reasons.append("its expression is not the one of this version")
        body["options"] = wanted.options
    return InstallStep("change", "Custom Field", wanted.name, ", ".join(reasons), body) if reasons else None


def _earlier_step(row: Row, fieldname: str, label: str) -> InstallStep:
    return InstallStep(
        "change",
        "Custom Field",
        str(row["name"]),
        "an earlier version wrote it; it keeps its values, and the form shows it where it has one",
        {"label": label, "depends_on": f"eval:doc.{fieldname}"},
    )


def _report_step(row: Row | None) -> InstallStep | None:
    name = str(SHARE_REPORT["name"])
    if row is None:
        return InstallStep("create", "Report", name, "it is not there", SHARE_REPORT, optional=True)
    if row["ref_doctype"] != SHARE_REPORT["ref_doctype"]:
        reason = f"the site has a report of this name on {row['ref_doctype']}"
        return InstallStep("leave", "Report", name, reason, {}, optional=True)
    return None


def _script_step(wanted: Mapping[str, Any], row: Row | None, *, otherwise: str = "") -> InstallStep | None:
    """A script that the site has disabled is kept up to date and stays disabled. `otherwise`: what can be done without it."""
    name = str(wanted["name"])
    if row is None:
        return InstallStep("create", "Client Script", name, "it is not there", wanted)
    if (row["dt"], row["view"]) != (wanted["dt"], wanted["view"]):
        reason = f"there is one of this name for the {row['view']} of {row['dt']}; rename it{otherwise}"
        return InstallStep("refuse", "Client Script", name, reason, {})
    if str(row["script"] or "") == wanted["script"]:
        return None
    return InstallStep(
        "change",
        "Client Script",
        name,
        "its text is not the one of this version",
        {"script": wanted["script"]},
    )


def _workspace_step(*, may: bool) -> InstallStep:
    name = desk_schema.WORKSPACE
    if may:
        return InstallStep(
            "create", "Workspace", name, "it is not there", desk_schema.workspace(), optional=True
        )
    reason = (
        f"only a user with the role {desk_schema.WORKSPACE_ROLE} may make a public one. The desk works without it:"
        f" people find it by searching for {desk_schema.BATCH_RUN}"
    )
    return InstallStep("leave", "Workspace", name, reason, {}, optional=True)


def read_site_state(client: Client) -> SiteState:
    """The site as it stands. Needs read access to Custom Field and DocType (System Manager).

    Raises:
        ERPNextError: the site could not be read.
    """
    fields = client.rows(
        "Custom Field", FIELD_COLUMNS, [["dt", "in", sorted({one.doctype for one in FIELDS})]]
    )
    doctypes = {}
    for wanted in (SHARE_DOCTYPE, DELIVERY_DOCTYPE, *desk_schema.DESK_DOCTYPES):
        name = str(wanted["name"])
        try:
            doctypes[name] = client.get("DocType", name)
        except NotFound:
            continue
    names = [desk_schema.FORM_SCRIPT, *(wanted["name"] for wanted in AMEND_SCRIPTS)]
    scripts = {
        str(row["name"]): row
        for row in client.rows("Client Script", ["name", "dt", "view", "script"], [["name", "in", names]])
    }
    reports = client.rows("Report", ["name", "ref_doctype"], [["name", "=", SHARE_REPORT["name"]]])
    return SiteState(
        fields=fields,
        doctypes=doctypes,
        form_script=scripts.pop(desk_schema.FORM_SCRIPT, None),
        amend_scripts=scripts,
        workspace=client.exists("Workspace", desk_schema.WORKSPACE),
        may_make_workspace=may_make_workspace(client),
        report=reports[0] if reports else None,
        series=series_options.read_customised(client),
        report_role=client.exists("Role", REPORT_ROLE),
    )


def may_make_workspace(client: Client) -> bool:
    """Whether the user has the role that a public Workspace takes; the Administrator has every role."""
    user = client.call("frappe.auth.get_logged_user", doing="find the user")
    if user == "Administrator":
        return True
    return bool(
        client.rows(
            "Has Role",
            ["name"],
            [["parent", "=", user], ["parenttype", "=", "User"], ["role", "=", desk_schema.WORKSPACE_ROLE]],
            parent="User",
        )
    )


def read_installation(
    client: Client,
    *,
    desk: bool = True,
    series: Sequence[str] = ROYALTY_SERIES,
    role: str = REPORT_ROLE,
) -> list[InstallStep]:
    """The plan for a site as it stands: see `read_site_state` and `plan_installation`."""
    return plan_installation(read_site_state(client), desk=desk, series=series, role=role)


def install(client: Client, steps: Iterable[InstallStep], tell: Callable[[InstallStep], None]) -> None:
    """Carry out the plan; stops with a sentence at a step that cannot be done and is not optional.

    Args:
        client: of the site.
        steps: of a plan.
        tell: is given each step that was done, or that was left out (`leave`, with the reason).

    Raises:
        Rejected: something is in the way; nothing of that step was changed.
    """
    for step in steps:
        if step.kind == "refuse":
            raise Rejected("set up the site", step.sentence)
        try:
            _carry_out(client, step)
        except (Forbidden, Rejected) as problem:
            if not step.optional:
                raise
            tell(InstallStep("leave", step.doctype, step.name, f"ERPNext refused it: {problem.said}", {}))
            continue
        tell(step)


def _carry_out(client: Client, step: InstallStep) -> None:
    if step.kind == "create":
        client.insert(step.doctype, step.body)
    elif step.kind == "change":
        client.update(step.doctype, step.name, step.body)
