"""The SQL of one DocType, made once: reading, inserting, updating its rows.

Belongs here: statements and the order of their parameters. Does not belong here: running them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from scoopjoy_dagster.sandbox.erpnext.database import column, table
from scoopjoy_dagster.sandbox.erpnext.meta import DECIMALS, INTEGERS, Field, Meta
from scoopjoy_dagster.sandbox.erpnext.values import cast, stored, whole

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext.document import Doc


def _writer(field: Field | None, name: str) -> Callable[[Any], Any]:
    if field is None:
        return (lambda value: int(value or 0)) if name in {"docstatus", "idx"} else (lambda value: value)
    if field.fieldtype in INTEGERS:
        return whole
    if field.fieldtype in DECIMALS:
        return lambda value: round(float(value or 0), 9)
    if field.unique or field.fieldtype in {"Date", "Datetime", "Time", "JSON"}:
        return lambda value: stored(field, value)
    return lambda value: value


class Statements:
    """SQL texts of a DocType and how its values are written."""

    def __init__(self, meta: Meta) -> None:
        name, columns = table(meta.name), [column(key) for key in meta.columns]
        self.select = f"SELECT {', '.join(columns)} FROM {name} WHERE "
        self.insert = f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        self.update = f"UPDATE {name} SET {', '.join(f'{key} = ?' for key in columns)} WHERE name = ?"
        self.delete_rows = f"DELETE FROM {name} WHERE parent = ? AND parenttype = ? AND parentfield = ?"
        self.times = [f.fieldname for f in meta.stored if f.fieldtype == "Time"]
        #: Default of every field that needs no clock and no database; the others by name.
        self.fixed = {f.fieldname: _fixed(f) for f in meta.stored if not is_computed(f)}
        self.computed = [f for f in meta.stored if is_computed(f)]
        self._writers = [(key, _writer(meta.by_name.get(key), key)) for key in meta.columns]

    def parameters(self, doc: Doc) -> list[Any]:
        """The values of a document in the order of the columns."""
        get = doc.get
        return [write(get(key)) for key, write in self._writers]


def is_computed(field: Field) -> bool:
    """Whether the default of a field depends on the clock or on the company."""
    return field.default in {"Today", "Now", ":Company"} or (
        field.fieldname == "company" and field.options == "Company"
    )


def _fixed(field: Field) -> Any:
    if field.default:
        return cast(field, field.default)
    if field.fieldtype == "Select" and field.options:
        return field.choices[0]
    return cast(field, None)


def statements(meta: Meta) -> Statements:
    """The statements of a DocType, kept with its meta data."""
    found: Statements | None = meta.__dict__.get("statements")
    if found is None:
        found = meta.__dict__["statements"] = Statements(meta)
    return found
