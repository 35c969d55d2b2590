"""A custom DocType of ours as a document, and what must change in a site's version of it.

Belongs here: the comparison of two definitions, pure. Does not belong here: which DocTypes there are (`schema`,
`desk_schema`), and talking to the site (`installation`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scoopjoy_dagster.erpnext.client import Row
from scoopjoy_dagster.erpnext.install_step import InstallStep

RIGHTS = ("read", "write", "create", "delete", "report", "export", "share", "print", "email")

_GUARDING = ("read", "write", "create", "delete")
"""Rights that decide who may see and change documents; whether a role may print or share them is the site's affair."""

SERIES_FIELD = "naming_series"

_FLAGS = ("reqd", "unique", "no_copy", "read_only", "set_only_once")

_TURNED = {("Data", "Select")}
"""Kinds of field that setup turns into another: the column is the same, and what documents say in it stays."""


def rights(role: str, **granted: int) -> dict[str, Any]:
    """A row of permissions with every right said: ERPNext grants most of those that a row leaves out."""
    return {"role": role, **{right: granted.get(right, 0) for right in RIGHTS}}


def doctype_step(
    wanted: Mapping[str, Any], present: Row | None, *, otherwise: str = ""
) -> InstallStep | None:
    """What brings a site's DocType to our definition; None when nothing is missing.

    Fields and permission rows that a site added are kept, and so is how it shows ours (labels, lists, filters). A naming series
    by which documents are not named (any more) goes.

    Args:
        wanted: the DocType as we define it.
        present: the DocType as the site has it, with its child rows; None when there is none.
        otherwise: what a person can do instead, when the DocType cannot be installed.
    """
    name = str(wanted["name"])
    if present is None:
        return InstallStep("create", "DocType", name, "it is not there", wanted)
    problem = _in_the_way(wanted, present)
    if problem:
        return InstallStep("refuse", "DocType", name, f"{problem}{otherwise}", {})
    reasons: list[str] = []
    body: dict[str, Any] = {}
    if (present.get("autoname") or "") != wanted.get("autoname", ""):
        reasons.append(f"documents must be named {wanted['autoname']}")
        body |= {key: wanted[key] for key in ("autoname", "naming_rule") if key in wanted}
    for table, merge in (("fields", _fields), ("permissions", _permissions), ("states", _states)):
        rows, why = merge(wanted.get(table, []), present.get(table) or [])
        if why:
            reasons += why
            body[table] = rows
    return InstallStep("change", "DocType", name, "; ".join(reasons), body) if reasons else None


def _in_the_way(wanted: Mapping[str, Any], present: Row) -> str:
    if not present.get("custom"):
        return f"an app on the site brings a DocType of this name (module {present.get('module')}); uninstall that app"
    if bool(present.get("istable")) != bool(wanted.get("istable")):
        kind = "a child table" if present.get("istable") else "no child table"
        return f"the site has a DocType of this name that is {kind}; rename or delete it"
    have = {str(row["fieldname"]): str(row["fieldtype"]) for row in present.get("fields") or []}
    wrong = [
        f"{field['fieldname']} is a {have[field['fieldname']]} field, a {field['fieldtype']} field is needed"
        for field in wanted["fields"]
        if have.get(field["fieldname"], field["fieldtype"]) != field["fieldtype"]
        and (have[field["fieldname"]], field["fieldtype"]) not in _TURNED
    ]
    return f"{', '.join(wrong)}; rename or remove it in the DocType" if wrong else ""


def _fields(wanted: Sequence[Mapping[str, Any]], present: Sequence[Row]) -> tuple[list[Row], list[str]]:
    by_series = any(field["fieldname"] == SERIES_FIELD for field in wanted)
    rows = [dict(row) for row in present if by_series or row["fieldname"] != SERIES_FIELD]
    needless = len(rows) < len(present)
    lacking: list[str] = []
    wrong: list[str] = []
    before = ""
    for field in wanted:
        name = str(field["fieldname"])
        row = next((one for one in rows if one["fieldname"] == name), None)
        if row is None:
            lacking.append(name)
            after = [at for at, one in enumerate(rows) if one["fieldname"] == before]
            rows.insert(after[0] + 1 if after else 0, dict(field))
        else:
            changed = _changed(field, row)
            wrong += [f"{name}: {said}" for said in changed.values()]
            row |= {key: field.get(key, 0) for key in changed}
        before = name
    if lacking or needless:
        # ERPNext keeps the places that rows come with: a new one takes none away from the others by itself.
        rows = [row | {"idx": place} for place, row in enumerate(rows, start=1)]
    told = [f"it lacks {', '.join(sorted(lacking))}"] if lacking else []
    return rows, told + ([f"{SERIES_FIELD} must go"] if needless else []) + wrong


def _changed(field: Mapping[str, Any], row: Row) -> dict[str, str]:
    """Properties of a field that the program relies on and that differ, each with what is said about it."""
    said = {}
    if row["fieldtype"] != field["fieldtype"]:
        said["fieldtype"] = f"it must be a {field['fieldtype']} field"
    said |= {
        flag: f"{flag} must be {'on' if field[flag] else 'off'}"
        for flag in _FLAGS
        if flag in field and bool(row.get(flag)) != bool(field[flag])
    }
    for key in ("options", "default"):
        if key in field and str(row.get(key) or "") != str(field[key]):
            said[key] = f"{key} must be {' | '.join(str(field[key]).splitlines()) or 'empty'}"
    return said


def _permissions(wanted: Sequence[Mapping[str, Any]], present: Sequence[Row]) -> tuple[list[Row], list[str]]:
    rows = [dict(row) for row in present]
    reasons: list[str] = []
    for grant in wanted:
        row = next((one for one in rows if one["role"] == grant["role"] and not one.get("permlevel")), None)
        if row is None:
            reasons.append(f"{grant['role']} has no permissions")
            rows.append(dict(grant))
            continue
        wrong = [right for right in _GUARDING if bool(row.get(right)) != bool(grant[right])]
        if wrong:
            reasons.append(
                f"{grant['role']}: "
                + ", ".join(f"{right} must be {'on' if grant[right] else 'off'}" for right in wrong)
            )
            row |= {right: grant[right] for right in wrong}
    return rows, reasons


def _states(wanted: Sequence[Mapping[str, Any]], present: Sequence[Row]) -> tuple[list[Row], list[str]]:
    have = {str(row["title"]) for row in present}
    missing = [dict(state) for state in wanted if state["title"] not in have]
    reasons = [f"it lacks a colour for {', '.join(state['title'] for state in missing)}"] if missing else []
    return [*(dict(row) for row in present), *missing], reasons
