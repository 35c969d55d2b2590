"""One list query in the making: resolved columns, joins, parameters.

Belongs here: names of fields and what SQL they become. Does not belong here: filters (``filters``), paging.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from scoopjoy_dagster.sandbox.erpnext import permissions
from scoopjoy_dagster.sandbox.erpnext.database import column, table
from scoopjoy_dagster.sandbox.erpnext.errors import SiteError, thrown, unknown_to_the_sandbox
from scoopjoy_dagster.sandbox.erpnext.meta import Field, Meta
from scoopjoy_dagster.sandbox.erpnext.session import Session

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_ALIAS = re.compile(rf"^(?P<what>.+?)\s+as\s+[`'\"]?(?P<alias>{_NAME})[`'\"]?$", re.IGNORECASE)
CALL = re.compile(r"^(?P<function>sum|count|min|max|avg)\s*\((?P<inner>.*)\)$", re.IGNORECASE)
_IF = re.compile(
    r"^if\s*\(\s*(?P<test>[^,]+?)\s*,\s*(?P<yes>[^,]+?)\s*,\s*(?P<no>[^,]+?)\s*\)$", re.IGNORECASE
)
_TEST = re.compile(rf"^(?P<name>{_NAME})\s*(?P<op>=|!=|<>|<=|>=|<|>)\s*(?P<value>-?\d+(\.\d+)?|'[^']*')$")
_NUMBER = re.compile(r"^-?\d+(\.\d+)?$")
_QUALIFIED = re.compile(rf"^`?tab(?P<doctype>[^`.]+)`?\.`?(?P<name>{_NAME}|\*)`?$")
_DOTTED = re.compile(rf"^(?P<via>{_NAME})\.(?P<name>{_NAME})$")
_PLAIN = re.compile(rf"^`?(?P<name>{_NAME})`?$")
#: Names of fields that are words of SQL as well: in a sum the parser of v15 finds no column, unless they stand in backticks.
_WORDS = frozenset({"share"})
_STANDARD_KINDS = {"docstatus": "Int", "idx": "Int", "creation": "Datetime", "modified": "Datetime"}


@dataclass(slots=True)
class Column:
    """A resolved column: its SQL, its name and its field type."""

    sql: str
    name: str
    kind: str


def not_permitted(what: str) -> SiteError:
    return thrown(f"Field not permitted in query: {what}", "DataError")


def no_access(meta: Meta, name: str) -> SiteError:
    """The 403 of a field that the user may not read and asks for in a filter or a sum."""
    what = "child table field" if meta.istable else "field"
    return thrown(
        f"You do not have permission to access {what}: <strong>{meta.name}.{name}</strong>", "PermissionError"
    )


@dataclass
class Query:
    """A list query of one session on one DocType.

    Attributes:
        parent: The DocType whose rows are listed, if it is a table that is listed.
        kinds: Names of the answer -> field types.
        unreadable: Whether a column has been resolved that the user may not read.
        selecting: Whether a column is being resolved that is merely shown.
        strict: Whether such a column is refused: on later lines, wherever it is not merely shown.
    """

    session: Session
    meta: Meta
    parent: str = ""
    joins: dict[str, str] = field(default_factory=dict)
    params: list[Any] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    unreadable: bool = False
    selecting: bool = False
    strict: bool = False

    # -- columns ------------------------------------------------------------------------------------

    def column(self, text: str) -> Column:
        """Resolve ``name``, ``link.name``, ``table.name`` or ```tabDocType`.name``."""
        text = text.strip()
        if found := _QUALIFIED.match(text):
            return self.of(found["doctype"], found["name"])
        if found := _DOTTED.match(text):
            return self._dotted(found["via"], found["name"])
        if found := _PLAIN.match(text):
            return self.of(self.meta.name, found["name"])
        raise not_permitted(text)

    def of(self, doctype: str, name: str) -> Column:
        """A column of the listed DocType or of one of its tables."""
        if doctype == self.meta.name:
            return self._made(self.meta, table(doctype), name)
        child = next((f for f in self.meta.tables if f.options == doctype), None)
        if child is None:
            raise not_permitted(f"tab{doctype}.{name}")
        return self._made(self.session.site.meta(doctype), self._join_table(child), name)

    def _made(self, meta: Meta, owner: str, name: str) -> Column:
        known = meta.by_name.get(name)
        if known is not None and known.is_virtual:
            if not self.selecting:
                raise unknown_to_the_sandbox(f"a list by the virtual field {name}")
            self.unreadable = True
        elif not meta.has_column(name):
            raise not_permitted(name)
        elif known is not None and not self._may_read(meta, known):
            if self.strict:
                raise no_access(meta, name)
            self.unreadable = True
        kind = known.fieldtype if known else _STANDARD_KINDS.get(name, "Data")
        return Column(f"{owner}.{column(name)}", name, kind)

    def _may_read(self, meta: Meta, field: Field) -> bool:
        """Whether the user may see a field. Later lines show no rows of tables to whoever may only pick the document."""
        holder = self._holder(meta)
        # The rows of Has Role are shown to whoever lists them by themselves: it is one of the framework's own.
        listed = meta is self.meta and meta.name == "Has Role"
        of_another = (
            self.session.site.line.sums_as_dicts and meta.istable and holder != meta.name and not listed
        )
        if of_another and not permissions.may(self.session, holder, "read"):
            return False
        return permissions.may_field(self.session, holder, field, "read")

    def _holder(self, meta: Meta) -> str:
        """The DocType whose permissions hold for a column: a table has those of its parent."""
        return (self.parent or self.meta.name) if meta.istable else meta.name

    def _dotted(self, via: str, name: str) -> Column:
        through = self.meta.by_name.get(via)
        if through is None:
            raise not_permitted(f"{via}.{name}")
        target = self.session.site.meta(through.options)
        if through.fieldtype == "Table":
            return self._made(target, self._join_table(through), name)
        if through.fieldtype != "Link":
            raise not_permitted(f"{via}.{name}")
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
        """One entry of ``fields`` as (SQL, name in the answer); nothing, in silence, if the user may not read it."""
        text = text.strip()
        if text in {"*", f"`tab{self.meta.name}`.*"}:
            return [pair for name in self.meta.columns for pair in self.select(name)]
        self.unreadable, self.selecting = False, True
        selected = self._selected(text)
        self.selecting = False
        return [] if self.unreadable else [selected]

    def _selected(self, text: str) -> tuple[str, str]:
        alias = None
        if found := _ALIAS.match(text):
            text, alias = found["what"].strip(), found["alias"]
        if found := CALL.match(text):
            if alias is None:
                raise unknown_to_the_sandbox(f"aggregate without 'as': {text}")
            return self.aggregate(found["function"].lower(), found["inner"].strip(), alias)
        if text.lower().startswith("distinct "):
            sql, name = self._selected(text[9:].strip())
            return f"DISTINCT {sql}", alias or name
        if "(" in text:
            # Expressions and sub-selects break in the site's parser (02-19).
            raise SiteError("IndexError", "list index out of range")
        resolved = self.column(text)
        self.kinds[alias or resolved.name] = resolved.kind
        return resolved.sql, alias or resolved.name

    def aggregate(self, function: str, inner: str, alias: str) -> tuple[str, str]:
        if inner == "*":
            raise not_permitted("*")
        if inner.lower() in _WORDS:
            raise SiteError("IndexError", "list index out of range")
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
