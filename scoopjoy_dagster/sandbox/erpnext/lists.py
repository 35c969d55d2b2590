"""Lists: ``/api/resource/<DocType>`` and ``frappe.client.get_list``.

Belongs here: the whole query, its order and its page, by the rules of Frappe v15, or of later lines (``sums``). Does not belong here: who may
list (``permissions``), HTTP.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from scoopjoy_dagster.sandbox.erpnext import jobs, permissions, sums
from scoopjoy_dagster.sandbox.erpnext.database import column, table
from scoopjoy_dagster.sandbox.erpnext.errors import SiteError, thrown
from scoopjoy_dagster.sandbox.erpnext.filters import conditions
from scoopjoy_dagster.sandbox.erpnext.meta import DECIMALS, STANDARD
from scoopjoy_dagster.sandbox.erpnext.query import CALL, Query
from scoopjoy_dagster.sandbox.erpnext.session import Session
from scoopjoy_dagster.sandbox.erpnext.values import shown_time, whole

DEFAULT_PAGE = 20


@dataclass(slots=True)
class ListCall:
    """The arguments of a list call, already parsed from JSON."""

    doctype: str
    fields: Any = None
    filters: Any = None
    or_filters: Any = None
    group_by: str | None = None
    order_by: str | None = None
    limit_start: Any = None
    limit_page_length: Any = DEFAULT_PAGE
    parent: str | None = None
    as_dict: bool = True


def _order(query: Query, order_by: str, aliases: dict[str, str]) -> str:
    by_name_only = query.session.site.line.sums_as_dicts
    if ";" in order_by and not by_name_only:
        raise thrown("Illegal SQL Query")
    parts = []
    for part in order_by.split(","):
        words = part.strip().rsplit(" ", 1)
        direction = words[1].lower() if len(words) == 2 and words[1].lower() in {"asc", "desc"} else ""
        what = words[0].strip() if direction else part.strip()
        if what.strip("`") in aliases and "." not in what:
            sql = aliases[what.strip("`")]
        elif by_name_only:
            sql = sums.named(query, what, "Order By")
        elif found := CALL.match(what):
            sql = query.aggregate(found["function"].lower(), found["inner"].strip(), "__order")[0]
        else:
            sql = query.column(what).sql
            if query.joins and what.strip("`") in STANDARD:
                # The site sends the bare name to its database; one that is shown is known there by that.
                raise SiteError("OperationalError", f"(1052, \"Column '{what}' in ORDER BY is ambiguous\")")
        parts.append(f"{sql} {direction}".strip())
    return ", ".join(parts)


def get_list(session: Session, call: ListCall) -> list[Any]:
    """Rows of a list call: dicts, or lists where ``as_dict`` is false."""
    meta = session.site.meta(call.doctype)
    if call.doctype == "RQ Worker":
        return _workers(session, call)
    _check(session, call, child=bool(meta.istable))
    query = Query(session, meta, call.parent or "")
    selected = _selected(query, call.fields)
    if not selected:
        return []  # every field that was asked for is one that the user may not read
    query.strict = session.site.line.sums_as_dicts
    where = conditions(query, call.filters)
    if call.or_filters:
        either = conditions(query, call.or_filters)
        where.append(f"({' OR '.join(either)})")
    if call.doctype == "User" and session.user != "Administrator":
        # The standard users are shown to the Administrator only.
        where.append(f"{table('User')}.name NOT IN ('Administrator', 'Guest')")
    where += _allowed(query, call.parent)
    aliases = {name: sql.removeprefix("DISTINCT ") for sql, name in selected}
    groups = _groups(query, call.group_by)
    sql = "SELECT " + ", ".join(f"{text} AS {column(name)}" for text, name in selected)
    order = _order(query, call.order_by, aliases) if call.order_by else ""
    sql += f" FROM {table(meta.name)} " + " ".join(query.joins.values())
    if where:
        sql += f" WHERE {' AND '.join(where)}"
    if groups:
        sql += f" GROUP BY {', '.join(groups)}"
    is_plain = not groups and not any(CALL.match(text) or "DISTINCT" in text for text, _ in selected)
    if order:
        sql += f" ORDER BY {order}"
    elif is_plain:
        # No ORDER BY is the database's whim on a real site; here it is an order that helps nobody.
        sql += f" ORDER BY scramble({table(meta.name)}.name)"
    sql += _page(call)
    names, rows = session.site.db.described(sql, query.params)
    kinds = [query.kinds.get(name, "Data") for name in names]
    shown = [[_shown(kind, value) for kind, value in zip(kinds, row, strict=True)] for row in rows]
    if not call.as_dict:
        return shown
    return [dict(zip(names, row, strict=True)) for row in shown]


def _workers(session: Session, call: ListCall) -> list[dict[str, Any]]:
    """A virtual DocType: every field, whatever was asked for."""
    if session.site.line.workers_hidden:
        _check(session, call, child=False)
    return jobs.workers(session.site)


def _allowed(query: Query, parent: str | None) -> list[str]:
    """What User Permissions leave of a list; of a table's rows on later lines what they leave of its parents."""
    session, meta = query.session, query.meta
    if not meta.istable:
        conditions, params = permissions.visible(session, meta)
        query.params += params
        return conditions
    if not parent or not session.site.line.sums_as_dicts:
        return []
    conditions, params = permissions.visible(session, session.site.meta(str(parent)))
    query.params += params
    of_parent = [f"{table(str(parent))}.name = {table(meta.name)}.parent", *conditions]
    return [f"EXISTS (SELECT 1 FROM {table(str(parent))} WHERE {' AND '.join(of_parent)})"]


def _check(session: Session, call: ListCall, *, child: bool) -> None:
    """Who may not list the DocType, or asks for fewer rows than none, is refused."""
    if child:
        permissions.require_parent(session, call.doctype, call.parent)
    else:
        permissions.require_list(session, call.doctype)
    if session.site.line.sums_as_dicts and _length(call) < 0:
        raise thrown("Limit must be a non-negative integer", "TypeError")


def _selected(query: Query, fields: Any) -> list[tuple[str, str]]:
    """What is shown, as (SQL, name in the answer)."""
    if query.session.site.line.sums_as_dicts:
        entries = json.loads(fields) if isinstance(fields, str) and fields.strip()[:1] == "[" else fields
        return sums.selected(query, entries if isinstance(entries, list) else _texts(entries))
    return [pair for text in _texts(fields) for pair in query.select(text)]


def _groups(query: Query, group_by: Any) -> list[str]:
    if query.session.site.line.sums_as_dicts:
        parts = group_by.split(",") if isinstance(group_by, str) else [str(group_by)] if group_by else []
        return [sums.named(query, part.strip(), "Group By") for part in parts if part.strip()]
    return [query.column(part).sql for part in (group_by or "").split(",") if part.strip()]


def _texts(fields: Any) -> list[str]:
    if not fields:
        return ["name"]
    if isinstance(fields, str):
        if not fields.strip().startswith("["):
            return [part.strip() for part in fields.split(",")]
        fields = json.loads(fields)
    if any(isinstance(entry, dict) for entry in fields):
        # The form that aggregates have on v16 and later.
        raise SiteError("TypeError", "unhashable type: 'dict'")
    return [str(entry) for entry in fields]


def _length(call: ListCall) -> int:
    return whole(DEFAULT_PAGE if call.limit_page_length in (None, "") else call.limit_page_length)


def _page(call: ListCall) -> str:
    length, start = _length(call), whole(call.limit_start)
    if length < 0:
        raise SiteError(
            "ProgrammingError",
            '(1064, "You have an error in your SQL syntax; check the manual that corresponds to your MariaDB server'
            f" version for the right syntax to use near '{length} offset {start}' at line 6\")",
        )
    if length == 0:
        return f" LIMIT -1 OFFSET {start}" if start else ""
    return f" LIMIT {length} OFFSET {start}"


def _shown(kind: str, value: Any) -> Any:
    if value is None:
        return None
    if kind in DECIMALS:
        # Sums of REAL columns carry the noise of binary fractions; MariaDB adds decimals.
        return float(round(Decimal(repr(float(value))), 6))
    if kind == "Time":
        return shown_time(value)
    return value


def count(session: Session, doctype: str, filters: Any) -> int:
    """``frappe.client.get_count``."""
    meta = session.site.meta(doctype)
    query = Query(session, meta, strict=session.site.line.sums_as_dicts)
    where = conditions(query, filters) + _allowed(query, None)
    sql = f"SELECT count(*) FROM {table(doctype)} " + " ".join(query.joins.values())
    if where:
        sql += f" WHERE {' AND '.join(where)}"
    found = session.site.db.one(sql, query.params)
    return int(found[0]) if found else 0
