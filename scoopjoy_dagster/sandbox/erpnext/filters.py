"""Filters of lists: operators, NULLs, trees, as Frappe v15 writes them into SQL.

Belongs here: ``filters`` and ``or_filters``. Does not belong here: which columns exist (``query``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scoopjoy_dagster.sandbox.erpnext import collation
from scoopjoy_dagster.sandbox.erpnext.database import table
from scoopjoy_dagster.sandbox.erpnext.errors import unknown_to_the_sandbox
from scoopjoy_dagster.sandbox.erpnext.meta import DECIMALS, INTEGERS
from scoopjoy_dagster.sandbox.erpnext.query import Column, Query
from scoopjoy_dagster.sandbox.erpnext.values import as_date, as_datetime, as_time, number, stamp, whole


def conditions(query: Query, filters: Any) -> list[str]:
    """SQL conditions of ``filters`` in any of the forms that Frappe takes."""
    return [_condition(query, *triple) for triple in _normal(filters, query.meta.name)]


def _condition(query: Query, doctype: str, name: str, operator: str, value: Any) -> str:
    resolved = query.column(name) if "." in name else query.of(doctype, name)
    make = _OPERATORS.get(operator)
    if make is None:
        raise unknown_to_the_sandbox(f"filter operator {operator!r}")
    return make(query, resolved, value)


def bind(query: Query, resolved: Column, value: Any, *, end_of_day: bool = False) -> str:
    """Add a parameter and return its placeholder."""
    query.params.append(_comparable(resolved.kind, value, end_of_day=end_of_day))
    return "?"


def _comparable(kind: str, value: Any, *, end_of_day: bool = False) -> Any:
    if value is None:
        return None
    if kind in INTEGERS:
        return whole(value)
    if kind in DECIMALS:
        return float(number(value))
    if value == "":
        return ""
    if kind == "Date":
        return as_date(value).isoformat()
    if kind == "Datetime":
        moment = as_datetime(value)
        if end_of_day and len(str(value).strip()) <= 10:
            moment = moment.replace(hour=23, minute=59, second=59, microsecond=999999)
        return stamp(moment)
    if kind == "Time":
        return as_time(value).isoformat()
    return str(value).rstrip(" ")


def _folded(resolved: Column) -> str:
    """The column with NULL read as empty, compared as the database compares texts."""
    if resolved.kind in INTEGERS or resolved.kind in DECIMALS:
        return resolved.sql
    return f"coalesce({resolved.sql}, '') COLLATE {collation.NAME}"


def _listed(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [part.strip().strip("'\"") for part in value.split(",")]
    return list(value) if isinstance(value, list | tuple) else [value]


def _compare(operator: str, *, null_counts: bool) -> Callable[[Query, Column, Any], str]:
    def make(query: Query, resolved: Column, value: Any) -> str:
        if value is None:
            value = ""
        left = _folded(resolved) if null_counts or value == "" else resolved.sql
        return f"{left} {operator} {bind(query, resolved, value)}"

    return make


def _like(operator: str) -> Callable[[Query, Column, Any], str]:
    def make(query: Query, resolved: Column, value: Any) -> str:
        query.params.append(str(value))
        return f"coalesce({resolved.sql}, '') {operator} ?"

    return make


def _in(operator: str) -> Callable[[Query, Column, Any], str]:
    def make(query: Query, resolved: Column, value: Any) -> str:
        values = _listed(value)
        places = ", ".join(bind(query, resolved, "" if item is None else item) for item in values)
        plain = operator == "IN" and all(item not in (None, "") for item in values)
        left = resolved.sql if plain else _folded(resolved)
        return f"{left} {operator} ({places})" if values else f"{left} {operator} ('')"

    return make


def _is(query: Query, resolved: Column, value: Any) -> str:
    numeric = resolved.kind in INTEGERS or resolved.kind in DECIMALS
    wanted = str(value).lower()
    if wanted not in {"set", "not set"}:
        raise unknown_to_the_sandbox(f"filter 'is' {value!r}")
    empty = f"{resolved.sql} IS NULL" if numeric else f"coalesce({resolved.sql}, '') = ''"
    if numeric and query.session.site.line.zero_is_not_set:
        empty = f"coalesce({resolved.sql}, 0) = 0"
    return empty if wanted == "not set" else f"NOT ({empty})"


def _between(query: Query, resolved: Column, value: Any) -> str:
    values = _listed(value)
    if len(values) != 2:
        raise unknown_to_the_sandbox("'between' without two values")
    first = bind(query, resolved, values[0])
    return f"({resolved.sql} BETWEEN {first} AND {bind(query, resolved, values[1], end_of_day=True)})"


def _tree(relation: str) -> Callable[[Query, Column, Any], str]:
    def make(query: Query, resolved: Column, value: Any) -> str:
        via = query.meta.by_name.get(resolved.name)
        target = query.session.site.meta(via.options if via and via.fieldtype == "Link" else query.meta.name)
        if not target.has_column("lft"):
            raise unknown_to_the_sandbox(f"'{relation}' on {target.name}, which is no tree")
        tests = {
            "descendants of": "t.lft > a.lft AND t.rgt < a.rgt",
            "descendants of (inclusive)": "t.lft >= a.lft AND t.rgt <= a.rgt",
            "not descendants of": "t.lft > a.lft AND t.rgt < a.rgt",
            "ancestors of": "t.lft < a.lft AND t.rgt > a.rgt",
            "not ancestors of": "t.lft < a.lft AND t.rgt > a.rgt",
        }
        query.params.append(str(value))
        nodes = table(target.name)
        inner = f"SELECT t.name FROM {nodes} t, {nodes} a WHERE a.name = ? AND {tests[relation]}"
        return f"{_folded(resolved)} {'NOT IN' if relation.startswith('not') else 'IN'} ({inner})"

    return make


_OPERATORS: dict[str, Callable[[Query, Column, Any], str]] = {
    "=": _compare("=", null_counts=False),
    "!=": _compare("!=", null_counts=True),
    "<>": _compare("!=", null_counts=True),
    "<": _compare("<", null_counts=True),
    "<=": _compare("<=", null_counts=True),
    ">": _compare(">", null_counts=False),
    ">=": _compare(">=", null_counts=False),
    "like": _like("LIKE"),
    "not like": _like("NOT LIKE"),
    "in": _in("IN"),
    "not in": _in("NOT IN"),
    "is": _is,
    "between": _between,
} | {
    relation: _tree(relation)
    for relation in (
        "descendants of", "descendants of (inclusive)", "not descendants of", "ancestors of", "not ancestors of",
    )
}  # fmt: skip


def _normal(filters: Any, doctype: str) -> list[tuple[str, str, str, Any]]:
    """Filters as (doctype, field, operator, value), from dict, triples, pairs or a name."""
    if not filters:
        return []
    if isinstance(filters, str):
        return [(doctype, "name", "=", filters)]
    if isinstance(filters, dict):
        filters = [
            [key, *(value if isinstance(value, list) else ["=", value])] for key, value in filters.items()
        ]
    normal = []
    for entry in filters:
        if isinstance(entry, dict):
            normal += _normal(entry, doctype)
            continue
        if not isinstance(entry, list | tuple):
            raise unknown_to_the_sandbox(f"filter {entry!r}")
        parts = list(entry)
        if len(parts) == 2:
            parts = [doctype, parts[0], "=", parts[1]]
        elif len(parts) == 3:
            parts = [doctype, *parts]
        elif len(parts) not in {4, 5}:
            raise unknown_to_the_sandbox(f"filter {entry!r}")
        normal.append((str(parts[0]), str(parts[1]), str(parts[2]).lower().strip(), parts[3]))
    return normal
