"""Lists: fields, filters, grouping and paging of ``/api/resource/<DocType>`` and ``frappe.client.get_list``.

Belongs here: the translation of a list call into one SQL query, with the rules of Frappe v15. Does not belong
here: who may list (``permissions``), HTTP.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from scoopjoy_dagster.sandbox.erpnext import collation, permissions
from scoopjoy_dagster.sandbox.erpnext.database import column, table
from scoopjoy_dagster.sandbox.erpnext.errors import SiteError, thrown, unknown_to_the_sandbox
from scoopjoy_dagster.sandbox.erpnext.meta import DECIMALS, INTEGERS, Field, Meta
from scoopjoy_dagster.sandbox.erpnext.session import Session
from scoopjoy_dagster.sandbox.erpnext.values import as_date, as_datetime, as_time, number, shown_time, stamp, whole

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_ALIAS = re.compile(rf"^(?P<what>.+?)\s+as\s+[`'\"]?(?P<alias>{_NAME})[`'\"]?$", re.IGNORECASE)
_CALL = re.compile(r"^(?P<function>sum|count|min|max|avg)\s*\((?P<inner>.*)\)$", re.IGNORECASE)
_IF = re.compile(r"^if\s*\(\s*(?P<test>[^,]+?)\s*,\s*(?P<yes>[^,]+?)\s*,\s*(?P<no>[^,]+?)\s*\)$", re.IGNORECASE)
_TEST = re.compile(rf"^(?P<name>{_NAME})\s*(?P<op>=|!=|<>|<=|>=|<|>)\s*(?P<value>-?\d+(\.\d+)?|'[^']*')$")
_NUMBER = re.compile(r"^-?\d+(\.\d+)?$")
_QUALIFIED = re.compile(rf"^`?tab(?P<doctype>[^`.]+)`?\.`?(?P<name>{_NAME}|\*)`?$")
_DOTTED = re.compile(rf"^(?P<via>{_NAME})\.(?P<name>{_NAME})$")
_PLAIN = re.compile(rf"^`?(?P<name>{_NAME})`?$")
_STANDARD_KINDS = {"docstatus": "Int", "idx": "Int", "creation": "Datetime", "modified": "Datetime"}

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


@dataclass(slots=True)
class _Column:
    """A resolved column: its SQL and its field (``None`` for standard columns)."""

    sql: str
    name: str
    kind: str


def _not_permitted(what: str) -> SiteError:
    return thrown(f"Field not permitted in query: {what}", "DataError")


@dataclass
class _Query:
    session: Session
    meta: Meta
    joins: dict[str, str] = field(default_factory=dict)
    params: list[Any] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)

    # -- columns ------------------------------------------------------------------------------------

    def column(self, text: str) -> _Column:
        """Resolve ``name``, ``link.name``, ``table.name`` or ```tabDocType`.name``."""
        text = text.strip()
        if found := _QUALIFIED.match(text):
            return self.of(found["doctype"], found["name"])
        if found := _DOTTED.match(text):
            return self._dotted(found["via"], found["name"])
        if found := _PLAIN.match(text):
            return self.of(self.meta.name, found["name"])
        raise _not_permitted(text)

    def of(self, doctype: str, name: str) -> _Column:
        """A column of the listed DocType or of one of its tables."""
        if doctype == self.meta.name:
            return self._made(self.meta, table(doctype), name)
        child = next((f for f in self.meta.tables if f.options == doctype), None)
        if child is None:
            raise _not_permitted(f"tab{doctype}.{name}")
        return self._made(self.session.site.meta(doctype), self._join_table(child), name)

    def _made(self, meta: Meta, owner: str, name: str) -> _Column:
        if not meta.has_column(name):
            raise _not_permitted(name)
        known = meta.by_name.get(name)
        kind = known.fieldtype if known else _STANDARD_KINDS.get(name, "Data")
        return _Column(f"{owner}.{column(name)}", name, kind)

    def _dotted(self, via: str, name: str) -> _Column:
        through = self.meta.by_name.get(via)
        if through is None:
            raise _not_permitted(f"{via}.{name}")
        target = self.session.site.meta(through.options)
        if through.fieldtype == "Table":
            return self._made(target, self._join_table(through), name)
        if through.fieldtype != "Link":
            raise _not_permitted(f"{via}.{name}")
        alias = column(f"link_{via}")
        self.joins[alias] = (
            f"LEFT JOIN {table(target.name)} AS {alias} ON {alias}.name = {table(self.meta.name)}.{column(via)}"
        )
        return self._made(target, alias, name)

    def _join_table(self, child: Field) -> str:
        own, rows = table(self.meta.name), table(child.options)
        self.joins[rows] = (
            f"LEFT JOIN {rows} ON {rows}.parent = {own}.name AND {rows}.parenttype = '{self.meta.name}'"
            f" AND {rows}.parentfield = '{child.fieldname}'"
        )
        return rows

    # -- select -------------------------------------------------------------------------------------

    def select(self, text: str) -> list[tuple[str, str]]:
        """One entry of ``fields`` as (SQL, name in the answer)."""
        text = text.strip()
        if text == "*" or text == f"`tab{self.meta.name}`.*":
            return [self._plain(name) for name in self.meta.columns]
        alias = None
        if found := _ALIAS.match(text):
            text, alias = found["what"].strip(), found["alias"]
        if found := _CALL.match(text):
            if alias is None:
                raise unknown_to_the_sandbox(f"aggregate without 'as': {text}")
            return [self._aggregate(found["function"].lower(), found["inner"].strip(), alias)]
        if text.lower().startswith("distinct "):
            sql, name = self.select(text[9:])[0]
            return [(f"DISTINCT {sql}", alias or name)]
        if "(" in text:
            # Expressions and sub-selects break in the site's parser (02-19).
            raise SiteError("IndexError", "list index out of range")
        resolved = self.column(text)
        self.kinds[alias or resolved.name] = resolved.kind
        return [(resolved.sql, alias or resolved.name)]

    def _plain(self, name: str) -> tuple[str, str]:
        resolved = self.of(self.meta.name, name)
        self.kinds[name] = resolved.kind
        return resolved.sql, name

    def _aggregate(self, function: str, inner: str, alias: str) -> tuple[str, str]:
        if inner == "*":
            raise _not_permitted("*")
        if found := _IF.match(inner):
            sql, kind = self._conditional(found["test"], found["yes"], found["no"]), "Currency"
        elif inner.lower().startswith("distinct "):
            resolved = self.column(inner[9:])
            sql, kind = f"DISTINCT {resolved.sql}", resolved.kind
        elif not (_PLAIN.match(inner) or _DOTTED.match(inner) or _QUALIFIED.match(inner)):
            raise SiteError("ValueError", "not enough values to unpack (expected 2, got 1)")
        else:
            resolved = self.column(inner)
            sql, kind = resolved.sql, resolved.kind
        if function == "count":
            kind = "Int"
        elif function in {"sum", "avg"}:
            kind = "Currency"
        self.kinds[alias] = kind
        return f"{function}({sql})", alias

    def _conditional(self, test: str, yes: str, no: str) -> str:
        found = _TEST.match(test)
        if found is None:
            raise unknown_to_the_sandbox(f"if({test}, ...) in a list field")
        sides = [part if _NUMBER.match(part) else self.column(part).sql for part in (yes, no)]
        return f"iif({self.column(found['name']).sql} {found['op']} {found['value']}, {sides[0]}, {sides[1]})"

    # -- where --------------------------------------------------------------------------------------

    def conditions(self, filters: Any) -> list[str]:
        """SQL conditions of ``filters`` in any of the forms that Frappe takes."""
        return [self._condition(*triple) for triple in _normal(filters, self.meta.name)]

    def _condition(self, doctype: str, name: str, operator: str, value: Any) -> str:
        resolved = self.column(name) if "." in name else self.of(doctype, name)
        make = _OPERATORS.get(operator)
        if make is None:
            raise unknown_to_the_sandbox(f"filter operator {operator!r}")
        return make(self, resolved, value)

    def bind(self, resolved: _Column, value: Any, *, end_of_day: bool = False) -> str:
        """Add a parameter and return its placeholder."""
        self.params.append(_comparable(resolved.kind, value, end_of_day=end_of_day))
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
    return str(value)


def _folded(resolved: _Column) -> str:
    """The column with NULL read as empty, compared as the database compares texts."""
    if resolved.kind in INTEGERS or resolved.kind in DECIMALS:
        return resolved.sql
    return f"coalesce({resolved.sql}, '') COLLATE {collation.NAME}"


def _listed(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [part.strip().strip("'\"") for part in value.split(",")]
    return list(value) if isinstance(value, list | tuple) else [value]


def _compare(operator: str, *, null_counts: bool) -> Callable[[_Query, _Column, Any], str]:
    def make(query: _Query, resolved: _Column, value: Any) -> str:
        if value is None:
            value = ""
        left = _folded(resolved) if null_counts or value == "" else resolved.sql
        return f"{left} {operator} {query.bind(resolved, value)}"

    return make


def _like(operator: str) -> Callable[[_Query, _Column, Any], str]:
    def make(query: _Query, resolved: _Column, value: Any) -> str:
        query.params.append(str(value))
        return f"coalesce({resolved.sql}, '') {operator} ?"

    return make


def _in(operator: str) -> Callable[[_Query, _Column, Any], str]:
    def make(query: _Query, resolved: _Column, value: Any) -> str:
        values = _listed(value)
        places = ", ".join(query.bind(resolved, "" if item is None else item) for item in values)
        plain = operator == "IN" and all(item not in (None, "") for item in values)
        left = resolved.sql if plain else _folded(resolved)
        return f"{left} {operator} ({places})" if values else f"{left} {operator} ('')"

    return make


def _is(query: _Query, resolved: _Column, value: Any) -> str:
    del query
    numeric = resolved.kind in INTEGERS or resolved.kind in DECIMALS
    wanted = str(value).lower()
    if wanted not in {"set", "not set"}:
        raise unknown_to_the_sandbox(f"filter 'is' {value!r}")
    empty = f"{resolved.sql} IS NULL" if numeric else f"coalesce({resolved.sql}, '') = ''"
    return empty if wanted == "not set" else f"NOT ({empty})"


def _between(query: _Query, resolved: _Column, value: Any) -> str:
    values = _listed(value)
    if len(values) != 2:
        raise unknown_to_the_sandbox("'between' without two values")
    first = query.bind(resolved, values[0])
    return f"({resolved.sql} BETWEEN {first} AND {query.bind(resolved, values[1], end_of_day=True)})"


def _tree(relation: str) -> Callable[[_Query, _Column, Any], str]:
    def make(query: _Query, resolved: _Column, value: Any) -> str:
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


_OPERATORS: dict[str, Callable[[_Query, _Column, Any], str]] = {
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
        filters = [[key, *(value if isinstance(value, list) else ["=", value])] for key, value in filters.items()]
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


def _order(query: _Query, order_by: str, aliases: dict[str, str]) -> str:
    if ";" in order_by:
        raise thrown("Illegal SQL Query")
    parts = []
    for part in order_by.split(","):
        words = part.strip().rsplit(" ", 1)
        direction = words[1].lower() if len(words) == 2 and words[1].lower() in {"asc", "desc"} else ""
        what = words[0].strip() if direction else part.strip()
        if what.strip("`") in aliases and "." not in what:
            sql = aliases[what.strip("`")]
        elif found := _CALL.match(what):
            sql = query._aggregate(found["function"].lower(), found["inner"].strip(), "__order")[0]  # noqa: SLF001
        else:
            sql = query.column(what).sql
        parts.append(f"{sql} {direction}".strip())
    return ", ".join(parts)


def get_list(session: Session, call: ListCall) -> list[Any]:
    """Rows of a list call: dicts, or lists where ``as_dict`` is false."""
    meta = session.site.meta(call.doctype)
    if meta.istable:
        permissions.require_parent(session, call.doctype, call.parent)
    else:
        permissions.require_list(session, call.doctype)
    query = _Query(session, meta)
    selected = [pair for text in _texts(call.fields) for pair in query.select(text)]
    where = query.conditions(call.filters)
    if call.or_filters:
        either = query.conditions(call.or_filters)
        where.append(f"({' OR '.join(either)})")
    aliases = {name: sql.removeprefix("DISTINCT ") for sql, name in selected}
    groups = [query.column(part).sql for part in (call.group_by or "").split(",") if part.strip()]
    sql = "SELECT " + ", ".join(f"{text} AS {column(name)}" for text, name in selected)
    order = _order(query, call.order_by, aliases) if call.order_by else ""
    sql += f" FROM {table(meta.name)} " + " ".join(query.joins.values())
    if where:
        sql += f" WHERE {' AND '.join(where)}"
    if groups:
        sql += f" GROUP BY {', '.join(groups)}"
    is_plain = not groups and not any(_CALL.match(text) or "DISTINCT" in text for text, _ in selected)
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


def _texts(fields: Any) -> list[str]:
    if not fields:
        return ["name"]
    if isinstance(fields, str):
        if fields.strip().startswith("["):
            return [str(entry) for entry in json.loads(fields)]
        return [part.strip() for part in fields.split(",")]
    for entry in fields:
        if not isinstance(entry, str):
            # The dict form of aggregates belongs to v16 and later.
            raise thrown(f"Field not permitted in query: {entry}", "DataError")
    return list(fields)


def _page(call: ListCall) -> str:
    length = whole(DEFAULT_PAGE if call.limit_page_length in (None, "") else call.limit_page_length)
    start = whole(call.limit_start)
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
    query = _Query(session, meta)
    where = query.conditions(filters)
    sql = f"SELECT count(*) FROM {table(doctype)} " + " ".join(query.joins.values())
    if where:
        sql += f" WHERE {' AND '.join(where)}"
    found = session.site.db.one(sql, query.params)
    return int(found[0]) if found else 0
