"""DocType meta data: fields, naming, permissions; and the small notation in which we write them.

Belongs here: the shape of documents. Does not belong here: storage, validation, behaviour.

The notation: ``# Name | autoname | flags | Role:rights, ...`` opens a DocType (flags: submittable, child,
single; rights: r w c d s x for read, write, create, delete, submit, cancel and l for list only). A line
``field: Type(options) marks <- link.field = default "Label"`` is a field; marks are ``*`` required,
``!`` allowed on submit, ``U`` unique, ``N`` no copy, ``O`` set only once. ``<~`` fetches only where the client sent nothing.
``@Type a b c`` declares several plain fields.

Changes to DocTypes that are there already: ``+ Name`` and fields that it has besides, ``- Name: a b`` fields that it has not,
``= Name | Role:rights, ...`` its rights.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

STANDARD = ("name", "owner", "creation", "modified", "modified_by", "docstatus", "idx")
CHILD = ("parent", "parentfield", "parenttype")
INTEGERS = frozenset({"Check", "Int", "Duration"})
DECIMALS = frozenset({"Currency", "Float", "Percent", "Rating"})
TABLES = frozenset({"Table", "Table MultiSelect"})
LAYOUT = frozenset({"Section Break", "Column Break", "Tab Break", "HTML", "Button", "Heading", "Fold"})
#: Stored in a varchar of 140 characters unless the field says otherwise.
SHORT_TEXT = frozenset(
    {"Data", "Link", "Dynamic Link", "Select", "Read Only", "Password", "Color", "Phone", "Autocomplete"}
)

RIGHTS = {
    "r": "read",
    "w": "write",
    "c": "create",
    "d": "delete",
    "s": "submit",
    "x": "cancel",
    "l": "select",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a DocType."""

    fieldname: str
    fieldtype: str
    options: str = ""
    label: str = ""
    reqd: bool = False
    unique: bool = False
    allow_on_submit: bool = False
    no_copy: bool = False
    default: str = ""
    fetch_from: str = ""
    fetch_if_empty: bool = False
    length: int = 0
    permlevel: int = 0
    set_only_once: bool = False
    is_virtual: bool = False
    search_index: bool = False

    @property
    def choices(self) -> list[str]:
        """The options of a Select."""
        return self.options.split("\n")


@dataclass(slots=False)
class Meta:
    """One DocType.

    Attributes:
        permissions: Role -> its rights (read, write, ...) on documents.
        own_permissions: Role -> its rights on documents of its own (``if_owner``).
        level_permissions: Permission level above 0 -> role -> its rights (read, write) on fields of that level.
    """

    name: str
    autoname: str = ""
    is_submittable: bool = False
    istable: bool = False
    issingle: bool = False
    custom: bool = False
    module: str = "Core"
    fields: list[Field] = field(default_factory=list)
    permissions: dict[str, set[str]] = field(default_factory=dict)
    own_permissions: dict[str, set[str]] = field(default_factory=dict)
    level_permissions: dict[int, dict[str, set[str]]] = field(default_factory=dict)

    def with_field(self, added: Field) -> Meta:
        """A copy that has one more field, or another version of an existing one."""
        kept = [f for f in self.fields if f.fieldname != added.fieldname]
        return replace(self, fields=[*kept, added])

    def with_property(self, fieldname: str, name: str, value: str) -> Meta:
        """A copy whose field, in its place, has another value for one of its properties."""
        changed: dict[str, Any] = {name: value}
        return replace(
            self, fields=[replace(f, **changed) if f.fieldname == fieldname else f for f in self.fields]
        )

    def without_field(self, fieldname: str) -> Meta:
        return replace(self, fields=[f for f in self.fields if f.fieldname != fieldname])

    @cached_property
    def by_name(self) -> dict[str, Field]:
        return {f.fieldname: f for f in self.fields}

    @cached_property
    def stored(self) -> list[Field]:
        """Fields that have a column."""
        return [f for f in self.fields if not f.is_virtual and f.fieldtype not in TABLES | LAYOUT]

    @cached_property
    def virtual(self) -> list[Field]:
        return [f for f in self.fields if f.is_virtual]

    @cached_property
    def tables(self) -> list[Field]:
        return [f for f in self.fields if f.fieldtype in TABLES]

    @cached_property
    def links(self) -> list[Field]:
        """Link and Dynamic Link fields, in that order."""
        return [f for f in self.fields if f.fieldtype == "Link"] + [
            f for f in self.fields if f.fieldtype == "Dynamic Link"
        ]

    @cached_property
    def guarded(self) -> list[Field]:
        """Fields of a permission level above 0."""
        return [f for f in self.fields if f.permlevel]

    @cached_property
    def constants(self) -> list[Field]:
        """Fields that keep the value with which a document was made."""
        return [f for f in self.fields if f.set_only_once]

    @cached_property
    def fetched(self) -> dict[str, list[Field]]:
        """Link fieldname -> the fields that are fetched through it."""
        found: dict[str, list[Field]] = {}
        for f in self.fields:
            if f.fetch_from:
                found.setdefault(f.fetch_from.split(".")[0], []).append(f)
        return found

    @cached_property
    def columns(self) -> list[str]:
        """Column names in the order in which documents show them."""
        names = [*STANDARD, *(f.fieldname for f in self.stored)]
        return [*names, *CHILD] if self.istable else names

    def has_column(self, fieldname: str) -> bool:
        return fieldname in self._column_set

    @cached_property
    def _column_set(self) -> frozenset[str]:
        return frozenset(self.columns)


_FIELD = re.compile(
    r"^(?P<name>\w+):\s*(?P<type>[A-Za-z ]+?)\s*(?:\((?P<options>[^)]*)\))?"
    r"(?P<marks>\s+[*!UNO]+)?(?:\s*<(?P<how>[-~])\s*(?P<fetch>\S+))?(?:\s*=\s*(?P<default>[^\"]*?))?"
    r"(?:\s*\"(?P<label>.*)\")?$"
)


def _title(fieldname: str) -> str:
    return " ".join(word.capitalize() for word in fieldname.split("_"))


def _field(line: str) -> Field:
    found = _FIELD.match(line)
    if found is None:
        raise ValueError(f"not a field: {line!r}")
    marks = found["marks"] or ""
    options = found["options"] or ""
    return Field(
        fieldname=found["name"],
        fieldtype=found["type"].strip(),
        options=options.replace("|", "\n"),
        label=found["label"] or _title(found["name"]),
        reqd="*" in marks,
        unique="U" in marks,
        allow_on_submit="!" in marks,
        no_copy="N" in marks,
        set_only_once="O" in marks,
        default=(found["default"] or "").strip(),
        fetch_from=found["fetch"] or "",
        fetch_if_empty=found["how"] == "~",
    )


def _permissions(rights: str) -> dict[str, set[str]]:
    permissions: dict[str, set[str]] = {}
    for grant in filter(None, (part.strip() for part in rights.split(","))):
        role, letters = grant.rsplit(":", 1)
        permissions[role] = {RIGHTS[letter] for letter in letters}
    return permissions


def _header(line: str, module: str) -> Meta:
    name, autoname, flags, rights = (part.strip() for part in line[1:].split("|"))
    return Meta(
        name,
        autoname,
        is_submittable="submittable" in flags,
        istable="child" in flags,
        issingle="single" in flags,
        module=module,
        permissions=_permissions(rights),
    )


def parse(text: str, module: str, known: dict[str, Meta] | None = None) -> list[Meta]:
    """Read DocTypes written in the notation of this module; changes go to those that are ``known``."""
    metas: list[Meta] = []
    for raw in text.splitlines():
        line = raw.strip()
        if not line:
            continue
        if line.startswith("#"):
            metas.append(_header(line, module))
        elif known is not None and line[0] in "+-=":
            metas.append(_changed(line, known))
        elif line.startswith("@"):
            fieldtype, _, names = line[1:].partition(" ")
            metas[-1].fields += [Field(n, fieldtype, label=_title(n)) for n in names.split()]
        else:
            metas[-1].fields.append(_field(line))
    return metas


def _changed(line: str, known: dict[str, Meta]) -> Meta:
    """The known DocType that a line of changes begins, with fields taken out or other rights."""
    name, _, rest = line[1:].partition({"+": "\n", "-": ":", "=": "|"}[line[0]])
    meta = known[name.strip()]
    if line[0] == "-":
        meta.fields = [field for field in meta.fields if field.fieldname not in rest.split()]
    if line[0] == "=":
        meta.permissions = _permissions(rest)
    return meta
