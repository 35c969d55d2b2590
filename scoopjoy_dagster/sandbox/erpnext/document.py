"""A document in memory: fields, rows of its tables, and how it is shown on the wire.

Belongs here: shape. Does not belong here: validation and storage (``session``, ``validation``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scoopjoy_dagster.sandbox.erpnext import virtual
from scoopjoy_dagster.sandbox.erpnext.errors import SiteError
from scoopjoy_dagster.sandbox.erpnext.meta import CHILD, STANDARD, TABLES, Meta
from scoopjoy_dagster.sandbox.erpnext.values import cast

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext.site import Site

#: Keys of a request body that never change a field by themselves. Owner and creation are none of them: an insert takes no heed of
#: them, and a later save that changes them is refused (``validation.check_constants``).
_GUARDED = frozenset({"doctype", "modified_by", "name", "__newname", "flags", *CHILD})


class Doc(dict[str, Any]):
    """One document or one row of a table. Tables are lists of ``Doc``.

    Attributes:
        meta: Its DocType.
        is_new: Not yet in the database.
        loaded_modified: The ``modified`` that the writer has seen; compared with the stored one.
        before: The stored version, while it is being saved.
        sent: Keys that the client sent for a new document.
        site: Where its virtual fields are looked up; rows have none.
    """

    def __init__(self, meta: Meta, values: dict[str, Any] | None = None, *, is_new: bool = True) -> None:
        super().__init__(values or {})
        self.meta = meta
        self.is_new = is_new
        self.loaded_modified: str | None = None
        self.before: Doc | None = None
        self.sent: frozenset[str] = frozenset()
        self.site: Site | None = None

    @property
    def doctype(self) -> str:
        return self.meta.name

    @property
    def name(self) -> str:
        return str(self.get("name") or "")

    @property
    def docstatus(self) -> int:
        return int(self.get("docstatus") or 0)

    def rows(self, fieldname: str) -> list[Doc]:
        """The rows of a table field; empty if there are none."""
        found: list[Doc] | None = self.get(fieldname)
        return found or []

    def all_rows(self) -> list[Doc]:
        """Rows of all tables, table after table."""
        return [row for field in self.meta.tables for row in self.rows(field.fieldname)]

    def amend(self, data: dict[str, Any], children: dict[str, Meta]) -> None:
        """Take over what the client sent; unknown keys are ignored, tables are replaced as a whole."""
        for key, value in data.items():
            field = self.meta.by_name.get(key)
            if field is not None and field.fieldtype in TABLES:
                self[key] = self._new_rows(key, value, children[key])
            elif field is not None:
                self[key] = cast(field, value)
            elif key == "docstatus":
                self["docstatus"] = int(value or 0)
            elif key == "modified" and value:
                self.loaded_modified = str(value)
            elif (key in CHILD and self.meta.istable) or (key not in _GUARDED and key in STANDARD):
                self[key] = value

    def _new_rows(self, table: str, value: Any, meta: Meta) -> list[Doc]:
        if value in (None, ""):
            return []
        if not isinstance(value, list):
            raise SiteError("TypeError", f"'{type(value).__name__}' object does not support item assignment")
        known = {row.name: row for row in self.rows(table)}
        rows = []
        for sent in value:
            if not isinstance(sent, dict):
                raise SiteError(
                    "TypeError", f"'{type(sent).__name__}' object does not support item assignment"
                )
            old = known.get(str(sent.get("name") or ""))
            row = Doc(meta, is_new=old is None)
            if old is not None:
                row |= {key: old[key] for key in ("name", "owner", "creation")}
            row.amend({key: item for key, item in sent.items() if key not in CHILD}, {})
            rows.append(row)
        return rows

    def shown(self, *, nulls: bool = True) -> dict[str, Any]:
        """As JSON: every field in order, then the tables; without nulls on ``/api/resource``."""
        answer = {key: self.get(key) for key in self.meta.columns if key not in CHILD}
        if self.meta.istable:
            answer |= {key: self.get(key) for key in CHILD}
        answer["doctype"] = self.doctype
        if not nulls:
            answer = {key: value for key, value in answer.items() if value is not None}
        if self.site is not None and self.meta.virtual:
            answer |= virtual.values(self.site, self)
        if self.meta.istable and self.is_new:
            answer["__unsaved"] = 1
        for field in self.meta.tables:
            answer[field.fieldname] = [row.shown(nulls=nulls) for row in self.rows(field.fieldname)]
        return answer
