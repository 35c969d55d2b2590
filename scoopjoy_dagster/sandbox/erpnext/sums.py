"""Fields of a list as later lines take them: names as text, sums and arithmetic as dicts.

``{"SUM": "base_net_total", "as": "net"}``, ``{"COUNT": "*", "as": "n"}``, ``{"SUM": [{"MUL": ["rate", 0.05]}], "as": "x"}``.

Belongs here: what such a field becomes in SQL, and what is refused. Does not belong here: the whole query (``lists``).
"""

from __future__ import annotations

import re
from typing import Any

from scoopjoy_dagster.sandbox.erpnext.errors import SiteError, thrown, unknown_to_the_sandbox
from scoopjoy_dagster.sandbox.erpnext.query import Query, not_permitted

_CALL = re.compile(r"^\s*[a-zA-Z_]\w*\s*\(", re.ASCII)
_STAR = re.compile(r"\(\s*\*\s*\)")
_SHOWN = re.compile(
    r"^(?:(`[\w\s-]+`|\w+)\.)?(`\w+`|\w+)(?:\s+as\s+(?:`[\w\s-]+`|'[\w\s:-]+'|\w+))?$", re.IGNORECASE
)
_NAMED = re.compile(r"^(?:`tab[\w\s-]+`\.`?\w+`?|\w+(?:\.\w+)?)$")
_SIMPLE = re.compile(r"^\w+$")

_FUNCTIONS = {"SUM", "COUNT", "AVG", "MIN", "MAX", "ABS", "IFNULL", "NULLIF"}
_NOT_IMITATED = {"CONCAT", "EXTRACT", "LOCATE", "TIMESTAMP", "NOW", "QUARTER", "MONTH", "MONTHNAME"}
_OPERATORS = {"ADD": "+", "SUB": "-", "MUL": "*", "DIV": "/"}


def selected(query: Query, entries: list[Any]) -> list[tuple[str, str]]:
    """What is shown, as (SQL, name in the answer); without what the user may not read."""
    if any(isinstance(entry, str) and _STAR.search(entry) for entry in entries):
        raise not_permitted("*")  # before anything else is looked at
    pairs: list[tuple[str, str]] = []
    for entry in entries:
        pairs += _shown(query, entry.strip()) if isinstance(entry, str) else [_summed(query, entry)]
    return pairs


def named(query: Query, text: str, clause: str) -> str:
    """A column to order or to group by, by its name alone."""
    if not _NAMED.match(text):
        raise thrown(
            f"Invalid field format in {clause}: {text}. Use 'field', 'link_field.field', or 'child_table.field'."
        )
    return query.column(text).sql


def _shown(query: Query, text: str) -> list[tuple[str, str]]:
    if _CALL.match(text):
        raise thrown(
            f"SQL functions are not allowed as strings in SELECT: {text}. Use dict syntax like {{'COUNT': '*'}}"
            " instead."
        )
    if text != "*" and not _SHOWN.match(text):
        raise thrown(
            f"Invalid field format for SELECT: {text}. Field names must be simple, backticked, table-qualified,"
            " aliased, or '*'.",
            "PermissionError",
        )
    return query.select(text)


def _summed(query: Query, entry: Any) -> tuple[str, str]:
    if not isinstance(entry, dict):
        raise thrown(f"Invalid field type: {type(entry)}")
    for key, value in entry.items():
        if key.lower() == "as" or key in _FUNCTIONS or key in _OPERATORS:
            continue
        if key in _NOT_IMITATED:
            raise unknown_to_the_sandbox(f"{key} in a list field")
        if key.isupper():
            raise thrown(f"Unsupported function or operator: {key}")
        if not isinstance(value, list):
            raise thrown(f"Child query fields for '{key}' must be a list or tuple.")
        raise unknown_to_the_sandbox(f"child query {key} in a list field")
    alias = next((value for key, value in entry.items() if key.lower() == "as"), None)
    if alias is not None and not _SIMPLE.match(str(alias)):
        raise thrown(f"Invalid alias format: {alias}. Alias must be a simple identifier.")
    query.strict = True
    sql, kind, plain = _expression(query, entry)
    query.strict = False
    name = str(alias or plain)
    query.kinds[name] = kind
    return sql, name


def _expression(query: Query, entry: dict[str, Any]) -> tuple[str, str, str]:
    """SQL, field type and the text that names it where the client gives no name."""
    ((what, given),) = ((key, value) for key, value in entry.items() if key.lower() != "as")
    if what in _OPERATORS:
        if not isinstance(given, list) or len(given) != 2:
            raise thrown(f"Operator {what} requires exactly 2 arguments (left and right operands)")
        left, right = (_argument(query, part, what) for part in given)
        return f"({left[0]} {_OPERATORS[what]} {right[0]})", "Float", f"{left[2]}{_OPERATORS[what]}{right[2]}"
    if isinstance(given, dict):
        raise thrown(
            "Invalid function argument type: dict. Only strings, numbers, lists, and None are allowed."
        )
    parts = [_argument(query, part, what) for part in (given if isinstance(given, list) else [given])]
    kind = {"COUNT": "Int", "SUM": "Currency", "AVG": "Currency"}.get(what, parts[0][1])
    sql = f"{what}({', '.join(part[0] for part in parts)})"
    return sql, kind, f"{what}({','.join(part[2] for part in parts)})"


def _argument(query: Query, given: Any, what: str) -> tuple[str, str, str]:
    if isinstance(given, dict):
        return _expression(query, given)
    if isinstance(given, int | float):
        return repr(given), "Float", repr(given)
    text = str(given).strip()
    if text == "*":
        if what != "COUNT":
            raise thrown("'*' is only allowed in COUNT SQL function(s)")
        return "*", "Int", "*"
    if not _SIMPLE.match(text):
        raise _bad_argument(text)
    column = query.column(text)
    return column.sql, column.kind, f"`{column.name}`"


def _bad_argument(text: str) -> SiteError:
    return thrown(
        f"Invalid argument format: {text}. Only quoted string literals or simple field names are allowed."
    )
