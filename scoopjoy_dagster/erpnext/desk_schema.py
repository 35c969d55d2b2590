"""The Batch Run desk inside ERPNext: its DocTypes, the script of its form, its workspace.

Belongs here: what `scoopjoy setup` installs for the desk. Does not belong here: writing runs into it and reading
what people ask for there.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib import resources
from typing import Any

from scoopjoy_dagster.erpnext import deliveries
from scoopjoy_dagster.erpnext.client import KEY_FIELD
from scoopjoy_dagster.erpnext.custom_doctype import rights
from scoopjoy_dagster.steps import STEPS

BATCH_RUN = "Batch Run"
BATCH_RUN_STEP = "Batch Run Step"
BATCH_RUN_REQUEST = "Batch Run Request"

RUN_STATUSES = ("Queued", "Running", "Completed", "Completed with Errors", "Failed")
STEP_STATUSES = ("Pending", "Running", "Success", "Failed", "Skipped")
REQUEST_STATUSES = ("Pending", "Started", "Refused")

STEP_NAMES = tuple(step.title for step in STEPS)
"""As people choose them."""

RUN_NOW = "Run Pipeline Now"
RETRY_PREFIX = "Retry: "
ACTIONS = (RUN_NOW, *(f"{RETRY_PREFIX}{name}" for name in STEP_NAMES))
"""All that a request can ask for. ERPNext refuses anything else: an action is a part of the request's name, and a document
whose name has a line break can be neither changed nor deleted by its address."""

RUN_AUTONAME = "format:SJ-BATCH-{YYYY}-{MM}-{#####}"
"""Nothing that a client sends is in the name, which is an address. Of a rule in parts (`SJ-BATCH-.YYYY.-.#####`) a client
replaces any part by sending a key that is called like it. The numbers are those of all such rules of the site, so they have gaps, and
begin at 1 on a site that has documents of an earlier version: the month keeps their names apart.
"""
REQUEST_AUTONAME = "format:{batch_run} {action} {attempt}"
"""The same click twice has the same name: ERPNext refuses the second as a duplicate."""

_READ_ONLY = {"read_only": 1, "no_copy": 1}


def _field(fieldname: str, label: str, fieldtype: str, **more: Any) -> dict[str, Any]:
    return {"fieldname": fieldname, "label": label, "fieldtype": fieldtype, **more}


STEP_DOCTYPE: dict[str, Any] = {
    "name": BATCH_RUN_STEP,
    "module": "Custom",
    "custom": 1,
    "istable": 1,
    "editable_grid": 0,
    "track_changes": 0,
    "fields": [
        _field("step_name", "Step", "Data", reqd=1, in_list_view=1, columns=2, **_READ_ONLY),
        _field("step_order", "Order", "Int", **_READ_ONLY),
        _field(
            "status",
            "Status",
            "Select",
            options="\n".join(STEP_STATUSES),
            default="Pending",
            in_list_view=1,
            columns=2,
            **_READ_ONLY,
        ),
        _field("started_at", "Started At", "Datetime", in_list_view=1, columns=2, **_READ_ONLY),
        _field("completed_at", "Completed At", "Datetime", in_list_view=1, columns=2, **_READ_ONLY),
        _field("is_critical", "Critical", "Check", in_list_view=1, columns=1, **_READ_ONLY),
        _field("retry_count", "Retries", "Int", in_list_view=1, columns=1, **_READ_ONLY),
        _field("error_message", "Error", "Long Text", **_READ_ONLY),
    ],
}

RUN_DOCTYPE: dict[str, Any] = {
    "name": BATCH_RUN,
    "module": "Custom",
    "custom": 1,
    "autoname": RUN_AUTONAME,
    "naming_rule": "Expression",
    "allow_rename": 0,
    # The mirror writes a running document every few seconds: a version of each would fill the site.
    "track_changes": 0,
    "search_fields": "run_date,status",
    "fields": [
        _field(
            "run_date",
            "Business Day",
            "Date",
            reqd=1,
            set_only_once=1,
            in_list_view=1,
            in_standard_filter=1,
        ),
        _field("triggered_by", "Triggered By", "Data", in_list_view=1, **_READ_ONLY),
        _field("column_break_status", "", "Column Break"),
        _field(
            "status",
            "Status",
            "Select",
            options="\n".join(RUN_STATUSES),
            default="Queued",
            in_list_view=1,
            in_standard_filter=1,
            **_READ_ONLY,
        ),
        _field("dagster_run", "Dagster Run", "Data", **_READ_ONLY),
        # Not of the kind URL: the desk makes a link of those, and ERPNext takes `javascript:` for one of them (v15 with two
        # slashes, v16 and later as it is). The form's own button opens http and https only.
        _field("dagster_url", "Dagster Link", "Data", options="", **_READ_ONLY),
        _field("column_break_times", "", "Column Break"),
        _field("started_at", "Started At", "Datetime", **_READ_ONLY),
        _field("completed_at", "Completed At", "Datetime", in_list_view=1, **_READ_ONLY),
        _field("section_steps", "", "Section Break"),
        _field("steps", "Steps", "Table", options=BATCH_RUN_STEP, **_READ_ONLY),
        _field("section_log", "Log", "Section Break"),
        _field("execution_log", "Execution Log", "Long Text", **_READ_ONLY),
        _field(KEY_FIELD, "ScoopJoy Key", "Data", unique=1, hidden=1, **_READ_ONLY),
    ],
    "permissions": [
        rights("System Manager", read=1, write=1, create=1, delete=1, report=1, export=1),
        rights("Accounts Manager", read=1, write=1, create=1, report=1, export=1),
        rights("Accounts User", read=1, report=1),
        rights("Sales Manager", read=1, report=1),
    ],
    "states": [
        {"title": status, "color": colour, "custom": 1}
        for status, colour in zip(RUN_STATUSES, ("Gray", "Blue", "Green", "Orange", "Red"), strict=True)
    ],
}

REQUEST_DOCTYPE: dict[str, Any] = {
    "name": BATCH_RUN_REQUEST,
    "module": "Custom",
    "custom": 1,
    "autoname": REQUEST_AUTONAME,
    "naming_rule": "Expression",
    "allow_rename": 0,
    "track_changes": 0,
    "fields": [
        _field(
            "batch_run",
            "Batch Run",
            "Link",
            options=BATCH_RUN,
            reqd=1,
            set_only_once=1,
            in_list_view=1,
            in_standard_filter=1,
            **_READ_ONLY,
        ),
        _field(
            "action",
            "Action",
            "Select",
            options="\n".join(ACTIONS),
            reqd=1,
            set_only_once=1,
            in_list_view=1,
            **_READ_ONLY,
        ),
        _field("attempt", "Attempt", "Int", set_only_once=1, **_READ_ONLY),
        _field("column_break_status", "", "Column Break"),
        _field(
            "status",
            "Status",
            "Select",
            options="\n".join(REQUEST_STATUSES),
            default="Pending",
            in_list_view=1,
            in_standard_filter=1,
            **_READ_ONLY,
        ),
        _field("answer", "Answer", "Small Text", **_READ_ONLY),
        _field("dagster_run", "Dagster Run", "Data", **_READ_ONLY),
    ],
    # Accounts Manager writes, because the integration user answers the requests; people only see read-only fields.
    "permissions": [
        rights("System Manager", read=1, write=1, create=1, delete=1, report=1, export=1),
        rights("Accounts Manager", read=1, write=1, create=1, report=1, export=1),
    ],
    "states": [
        {"title": status, "color": colour, "custom": 1}
        for status, colour in zip(REQUEST_STATUSES, ("Orange", "Green", "Red"), strict=True)
    ],
}

DESK_DOCTYPES = (STEP_DOCTYPE, RUN_DOCTYPE, REQUEST_DOCTYPE)
"""In the order in which they can be made: a Table or a Link needs its DocType."""

MARKS = {BATCH_RUN_REQUEST: "attempt", BATCH_RUN: KEY_FIELD, BATCH_RUN_STEP: "is_critical"}
"""A field of each by which our DocType is told from another of the same name; in the order of removal."""

FORM_SCRIPT = "ScoopJoy Batch Run"


@cache
def form_script() -> dict[str, Any]:
    """The Client Script of the form, with a first line that tells its version: a digest of the rest."""
    text = (resources.files("scoopjoy_dagster.erpnext") / "desk" / "batch_run_form.js").read_text("utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    head = f"// Installed by `scoopjoy setup` (version {digest}); it puts changes made here back."
    return {
        "name": FORM_SCRIPT,
        "dt": BATCH_RUN,
        "view": "Form",
        "enabled": 1,
        "script": f"{head}\n{text}",
    }


WORKSPACE = "ScoopJoy"
BLOCK = "scoopjoy-"
"""Start of the IDs of our blocks in the content of the Workspace."""
WORKSPACE_ROLE = "Workspace Manager"
"""Only who has this role may make a public Workspace (frappe/desk/doctype/workspace/workspace.py, `validate`)."""


def workspace() -> dict[str, Any]:
    """A page in everybody's sidebar who may read a Batch Run: shortcuts to the runs and to the deliveries."""
    errors = {"status": ["in", ["Failed", "Completed with Errors"]]}
    shortcuts: list[dict[str, Any]] = [
        {"link_to": BATCH_RUN, "label": BATCH_RUN},
        # A click on a shortcut that counts opens the list with the same filter.
        {
            "link_to": BATCH_RUN,
            "label": "Runs with Errors",
            "color": "Red",
            "format": "{} to look at",
            "stats_filter": json.dumps(errors),
        },
        {"link_to": deliveries.DOCTYPE, "label": deliveries.DOCTYPE},
    ]
    blocks: list[dict[str, Any]] = [
        {"type": "header", "data": {"text": '<span class="h4"><b>Nightly close</b></span>', "col": 12}},
        *({"type": "shortcut", "data": {"shortcut_name": one["label"], "col": 4}} for one in shortcuts),
    ]
    return {
        "label": WORKSPACE,
        "title": WORKSPACE,
        "public": 1,
        "icon": "calendar",
        "sequence_id": 90.0,
        "content": json.dumps([{"id": f"{BLOCK}{at}", **block} for at, block in enumerate(blocks)]),
        "roles": [{"role": grant["role"]} for grant in RUN_DOCTYPE["permissions"]],
        "shortcuts": [{"type": "DocType", "doc_view": "List", **one} for one in shortcuts],
    }
