"""A Server Script of the site that writes the annotations of hundreds of invoices in one request.

Saved as documents, each invoice costs ERPNext some 50 ms: it is read three times over, with all its tables, before
three fields are written. The script writes the fields alone, in 6 ms (docs/performance.md, ADR 34). It is optional: a site allows
Server Scripts or it does not, and a user without the role Script Manager can call one but not make one.

Here: its text, its installation, calling it. Not here: what an invoice must carry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from scoopjoy_dagster.erpnext.client import Client, Row
from scoopjoy_dagster.erpnext.errors import Rejected
from scoopjoy_dagster.erpnext.install_step import InstallStep
from scoopjoy_dagster.erpnext.session import encode

DOCTYPE = "Server Script"
NAME = "ScoopJoy Annotate Invoices"
METHOD = "scoopjoy_annotate_invoices"
ROLE = "Script Manager"
"""Only who has this role may read or make a Server Script (observed on v15: 403 on the list)."""

WITHOUT = "or set SCOOPJOY_ANNOTATION_SCRIPT=off: invoices are then saved as documents"


@cache
def _text() -> tuple[str, str]:
    """The script and its version, a digest."""
    body = (
        resources.files("scoopjoy_dagster.erpnext") / "server_scripts" / "annotate_invoices.txt"
    ).read_text("utf-8")
    version = hashlib.sha256(body.encode()).hexdigest()[:12]
    head = "# Installed by `scoopjoy setup`; it puts changes made here back."
    return f'{head}\nversion = "{version}"\n{body}', version


def script() -> dict[str, Any]:
    """The Server Script as a document."""
    return {
        "name": NAME,
        "script_type": "API",
        "api_method": METHOD,
        "allow_guest": 0,
        "disabled": 0,
        "script": _text()[0],
    }


def script_step(row: Row | None, *, may: bool) -> InstallStep | None:
    """What is to be done so that the script is there in the text of this version. Pure.

    Args:
        row: the Server Script of our name with `script_type`, `api_method` and `script`; None when there is none.
        may: whether the user may make one.
    """
    wanted = script()
    if not may:
        reason = f"only a user with the role {ROLE} may make one. Give it to the integration user while `scoopjoy setup` runs, {WITHOUT}"
        return InstallStep("leave", DOCTYPE, NAME, reason, {}, optional=True)
    if row is None:
        return InstallStep("create", DOCTYPE, NAME, "it is not there", wanted)
    if (row["script_type"], row["api_method"]) != (wanted["script_type"], METHOD):
        reason = f"there is one of this name that is something else; rename it, {WITHOUT}"
        return InstallStep("refuse", DOCTYPE, NAME, reason, {})
    if str(row["script"] or "") == wanted["script"]:
        return None
    reason = "its text is not the one of this version"
    return InstallStep("change", DOCTYPE, NAME, reason, {"script": wanted["script"]})


def annotate(client: Client, documents: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Have the script write these annotations, as `Client.bulk_update` takes them. All of the request are stored, or none.

    Returns:
        For each document that was refused: its name and why. The others are written.

    Raises:
        Rejected: the site has no such script, does not run any, or has it in another version.
        ERPNextError: ERPNext did not answer.
    """
    doing = f"annotate {len(documents)} documents by the {DOCTYPE} {NAME}"
    answer = client.call(
        METHOD,
        {"docs": encode([dict(one) for one in documents]).decode()},
        doing=doing,
        kind="repeatable write" if documents else "read",
    )
    version = answer.get("version") if isinstance(answer, dict) else None
    if version != _text()[1]:
        raise Rejected(doing, f"it is of the version {version}, not {_text()[1]}; run `scoopjoy setup`")
    return {str(name): str(why) for name, why in answer["failed"].items()}
