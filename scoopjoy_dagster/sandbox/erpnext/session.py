"""Documents of one user in one request: load, insert, save, submit, cancel, delete.

Belongs here: the life of a document. Does not belong here: HTTP, lists (``lists``), what single DocTypes do
(``controllers``).
"""

from __future__ import annotations

import re
import sqlite3
from typing import Any

from scoopjoy_dagster.sandbox.erpnext import permissions, validation, workflows
from scoopjoy_dagster.sandbox.erpnext.controllers import controller
from scoopjoy_dagster.sandbox.erpnext.database import column, table
from scoopjoy_dagster.sandbox.erpnext.document import Doc
from scoopjoy_dagster.sandbox.erpnext.errors import SiteError, not_found, thrown, unknown_to_the_sandbox
from scoopjoy_dagster.sandbox.erpnext.meta import CHILD, Field, Meta
from scoopjoy_dagster.sandbox.erpnext.site import MASTERS, Site
from scoopjoy_dagster.sandbox.erpnext.statements import statements
from scoopjoy_dagster.sandbox.erpnext.values import shown_time, stamp, stored

_DOCSTATUS = {0: "Draft", 1: "Submitted", 2: "Cancelled"}


class Session:
    """A user at work. ``messages`` collects what the answer shows in ``_server_messages``."""

    def __init__(self, site: Site, user: str, *, ignore_permissions: bool = False) -> None:
        self.site = site
        self.user = user
        self.ignore_permissions = ignore_permissions
        self.messages: list[dict[str, Any]] = []
        #: Documents that this session is in the middle of saving; ``set_fields`` leaves their timestamp.
        self.saving: set[tuple[str, str]] = set()
        self._roles: frozenset[str] | None = None

    @property
    def roles(self) -> frozenset[str]:
        """Roles of the user, with the automatic ones."""
        if self._roles is None:
            found = self.site.db.rows(
                f"SELECT role FROM {table('Has Role')} WHERE parent = ? AND parenttype = 'User'", (self.user,)
            )
            automatic = {"Guest"} if self.user == "Guest" else {"Guest", "All", "Desk User"}
            if self.site.line.system_users_see_tracebacks and not self.is_system_user:
                automatic.discard("Desk User")
            self._roles = frozenset({row[0] for row in found} | automatic)
        return self._roles

    @property
    def is_system_user(self) -> bool:
        """Whether the user may use the desk."""
        return bool(self.value("User", self.user, "user_type") == "System User")

    def say(self, message: str, **extra: Any) -> None:
        """``frappe.msgprint``: a message that travels with a successful answer too."""
        self.messages.append({"message": message, "title": "Message", **extra})

    def require(self, doctype: str, right: str, name: str = "") -> None:
        if not self.ignore_permissions:
            permissions.require(self, doctype, right, name)

    # -- reading ------------------------------------------------------------------------------------

    def exists(self, doctype: str, name: str | None) -> bool:
        return bool(name) and self.site.real_name(doctype, str(name)) is not None

    def values(self, doctype: str, name: str | None, fields: list[str]) -> list[Any]:
        """Field values of a stored document; ``None`` for each if it does not exist."""
        if doctype in MASTERS:
            row = self.site.master(doctype, str(name))
            return [row.get(field) for field in fields]
        wanted = ", ".join(column(f) for f in fields)
        found = self.site.db.one(f"SELECT {wanted} FROM {table(doctype)} WHERE name = ?", (name,))
        return list(found) if found else [None] * len(fields)

    def value(self, doctype: str, name: str | None, field: str) -> Any:
        return self.values(doctype, name, [field])[0]

    def load(self, doctype: str, name: str) -> Doc:
        """A stored document with its rows; 404 if there is none, 500 if the DocType is unknown."""
        if doctype not in self.site.metas:
            module = doctype.lower().replace(" ", "_")
            raise SiteError("ImportError", f"No module named 'frappe.core.doctype.{module}'")
        meta = self.site.meta(doctype)
        found = self._read(meta, "name = ?", (str(name),))
        if not found:
            raise not_found(doctype, name)
        doc = found[0]
        for field in meta.tables:
            doc[field.fieldname] = self._read(
                self.site.meta(field.options),
                "parent = ? AND parenttype = ? AND parentfield = ? ORDER BY idx",
                (doc.name, doctype, field.fieldname),
            )
        return doc

    def _read(self, meta: Meta, where: str, params: tuple[Any, ...]) -> list[Doc]:
        sql = statements(meta)
        docs = []
        for row in self.site.db.rows(sql.select + where, params):
            doc = Doc(meta, dict(zip(meta.columns, row, strict=True)), is_new=False)
            for name in sql.times:
                if doc[name] is not None:
                    doc[name] = shown_time(doc[name])
            doc.loaded_modified = doc["modified"]
            doc.site = self.site
            docs.append(doc)
        return docs

    # -- making -------------------------------------------------------------------------------------

    def new(self, doctype: str, data: dict[str, Any]) -> Doc:
        """A document in memory with the client's values; defaults come at insert."""
        doc = Doc(self.site.meta(doctype))
        doc.site = self.site
        doc["docstatus"] = 0
        doc.sent = frozenset(data)
        self.amend(doc, data)
        for key in ("owner", "creation", "__newname", "name", *CHILD):
            if data.get(key):
                doc[key] = data[key]
        return doc

    def amend(self, doc: Doc, data: dict[str, Any]) -> None:
        """Take the client's values over into a document."""
        doc.amend(data, {f.fieldname: self.site.meta(f.options) for f in doc.meta.tables})

    def _default(self, field: Field) -> Any:
        if field.default == "Today":
            return self.site.now().date().isoformat()
        if field.default == "Now":
            moment = self.site.now()
            return str(moment.time()) if field.fieldtype == "Time" else stamp(moment)
        company = self.value("Global Defaults", "Global Defaults", "default_company")
        return company if field.fieldname == "company" else self.value("Company", company, "cost_center")

    def _set_defaults(self, doc: Doc) -> None:
        made = statements(doc.meta)
        for name, value in made.fixed.items():
            if doc.get(name) is None:
                doc[name] = value
        for field in made.computed:
            if doc.get(field.fieldname) is None:
                doc[field.fieldname] = self._default(field)

    # -- saving -------------------------------------------------------------------------------------

    def insert(self, doc: Doc) -> Doc:
        """Store a new document; with ``docstatus`` 1 it is submitted in the same breath."""
        self.require(doc.doctype, "create")
        submitting = doc.docstatus == 1
        if doc.docstatus > 1:
            raise SiteError(
                "DocstatusTransitionError", "Cannot change docstatus from 0 (Draft) to 2 (Cancelled)"
            )
        permissions.reset_guarded(self, doc)
        self._set_defaults(doc)
        hooks = controller(doc.doctype)
        self._stamp(doc)
        if submitting:
            self.require(doc.doctype, "submit")
        hooks.before_insert(self, doc)
        for row in doc.all_rows():
            row.is_new = True
            self._set_defaults(row)
        self._number_rows(doc)
        validation.check_links(self, doc)
        doc["name"] = self._name(doc)
        self._adopt_rows(doc)
        self.saving.add((doc.doctype, doc.name))
        try:
            hooks.validate(self, doc)
            if submitting:
                hooks.before_submit(self, doc)
            workflows.set_state(self, doc)
            self._number_rows(doc)
            self._adopt_rows(doc)
            validation.check_values(self, doc)
            self._write(doc, insert=True)
            hooks.after_insert(self, doc)
            hooks.on_update(self, doc)
            if submitting:
                hooks.on_submit(self, doc)
        finally:
            self.saving.discard((doc.doctype, doc.name))
        doc.is_new = False
        doc.loaded_modified = doc["modified"]
        return doc

    def insert_unasked(self, doctype: str, values: dict[str, Any]) -> Doc:
        """Store a new document that the site makes by itself: nobody's permission is asked."""
        before, self.ignore_permissions = self.ignore_permissions, True
        try:
            return self.insert(self.new(doctype, values))
        finally:
            self.ignore_permissions = before

    def save(self, doc: Doc) -> Doc:
        """Store a changed document; its ``docstatus`` tells whether this submits or cancels it."""
        if doc.is_new:
            return self.insert(doc)
        held = (str(doc["parenttype"]), str(doc["parent"])) if doc.meta.istable else (doc.doctype, doc.name)
        self.require(held[0], "write", held[1])
        self.site.snapshots.change(doc.doctype, doc.name)
        doc.before = self.load(doc.doctype, doc.name)
        previous, seen = doc.before.docstatus, doc.loaded_modified
        self._stamp(doc)
        if str(doc.before["modified"]) != str(seen):
            what = f"{doc.name} ({doc.doctype})" if self.site.line.new_words else "Document"
            raise thrown(
                f"Error: {what} has been modified after you have opened it"
                f" ({doc.before['modified']}, {doc['modified']}). Please refresh to get the latest document.",
                "TimestampMismatchError",
            )
        action = self._action(doc, previous)
        permissions.reset_guarded(self, doc)
        for row in doc.all_rows():
            if row.is_new:
                self._set_defaults(row)
        self._number_rows(doc)
        if action != "cancel":
            validation.check_links(self, doc)
        validation.check_constants(doc)
        self._adopt_rows(doc)
        self.saving.add((doc.doctype, doc.name))
        try:
            self._run(action, doc)
        finally:
            self.saving.discard((doc.doctype, doc.name))
        doc.loaded_modified = doc["modified"]
        doc.before = None
        return doc

    def _run(self, action: str, doc: Doc) -> None:
        hooks = controller(doc.doctype)
        if action in {"save", "submit"}:
            hooks.validate(self, doc)
        if action == "submit":
            hooks.before_submit(self, doc)
        if action == "cancel":
            hooks.before_cancel(self, doc)
        else:
            self._number_rows(doc)
            self._adopt_rows(doc)
            validation.check_values(self, doc)
        if action == "update":
            validation.check_after_submit(doc)
        self._write(doc, insert=False)
        if action in {"save", "submit"}:
            hooks.on_update(self, doc)
        if action == "submit":
            hooks.on_submit(self, doc)
        if action == "cancel":
            hooks.on_cancel(self, doc)

    def _action(self, doc: Doc, previous: int) -> str:
        step = (previous, doc.docstatus)
        if previous == 2:
            raise SiteError("ValidationError", "Cannot edit cancelled document")
        if step == (0, 0):
            return "save"
        if step == (0, 1) and doc.meta.is_submittable:
            self.require(doc.doctype, "submit", doc.name)
            return "submit"
        if step == (1, 1):
            self.require(doc.doctype, "submit", doc.name)
            return "update"
        if step == (1, 2):
            self.require(doc.doctype, "cancel", doc.name)
            return "cancel"
        old, new = (f"{s} ({_DOCSTATUS.get(s, '?')})" for s in step)
        raise SiteError("DocstatusTransitionError", f"Cannot change docstatus from {old} to {new}")

    def submit(self, doc: Doc) -> Doc:
        doc["docstatus"] = 1
        return self.save(doc)

    def cancel(self, doc: Doc) -> Doc:
        doc["docstatus"] = 2
        return self.save(doc)

    def set_fields(self, doc: Doc, values: dict[str, Any], *, touch: bool = True) -> None:
        """``db_set``: write fields past all checks; touches ``modified`` unless the document is being saved."""
        self.site.snapshots.change(doc.doctype, doc.name)
        doc |= values
        written = {key: stored(doc.meta.by_name[key], value) for key, value in values.items()}
        if touch and (doc.doctype, doc.name) not in self.saving:
            doc["modified"] = doc.loaded_modified = written["modified"] = stamp(self.site.now())
            doc["modified_by"] = written["modified_by"] = self.user
        pairs = ", ".join(f"{column(key)} = ?" for key in written)
        self.site.db.run(
            f"UPDATE {table(doc.doctype)} SET {pairs} WHERE name = ?", (*written.values(), doc.name)
        )
        self.site.forget_master(doc.doctype)

    def delete(self, doctype: str, name: str) -> None:
        """Delete a draft or cancelled document to which nothing links."""
        if doctype not in self.site.metas:
            raise SiteError("DoesNotExistError")
        if self.site.real_name(doctype, name) is None:
            raise SiteError("DoesNotExistError", doctype=doctype)
        doc = self.load(doctype, name)
        self.require(doctype, "delete", doc.name)
        if doc.docstatus == 1:
            raise thrown(
                f"{doctype} {doc.name}: Submitted Record cannot be deleted. You must"
                " <a href='https://docs.erpnext.com//docs/user/manual/en/setting-up/articles/"
                "delete-submitted-document' target='_blank'> Cancel </a> it first."
            )
        hooks = controller(doctype)
        hooks.on_trash(self, doc)
        if doctype != "DocType":  # whatever links to a DocType does not keep it
            validation.check_unlinked(self, doc)
        for field in doc.meta.tables:
            self.site.db.run(
                f"DELETE FROM {table(field.options)} WHERE parent = ? AND parenttype = ?", (doc.name, doctype)
            )
        self.site.db.run(f"DELETE FROM {table(doctype)} WHERE name = ?", (doc.name,))
        self.site.forget(doctype)
        self.site.give_back(doc.name)
        hooks.after_delete(self, doc)

    # -- pieces -------------------------------------------------------------------------------------

    def _stamp(self, doc: Doc) -> None:
        doc["modified"] = stamp(self.site.now())
        doc["modified_by"] = self.user
        if doc.is_new:  # whatever the client says (frappe/model/document.py, ``set_user_and_timestamp``)
            doc["creation"], doc["owner"] = doc["modified"], self.user
        doc["idx"] = doc.get("idx") or 0

    def _number_rows(self, doc: Doc) -> None:
        for field in doc.meta.tables:
            for idx, row in enumerate(doc.rows(field.fieldname), 1):
                row["idx"] = row.get("idx") or idx

    def _adopt_rows(self, doc: Doc) -> None:
        for field in doc.meta.tables:
            for row in doc.rows(field.fieldname):
                if row.is_new and (not row.get("name") or doc.is_new):
                    row["name"] = self.site.hash_name()
                row |= {"parent": doc.name, "parentfield": field.fieldname, "parenttype": doc.doctype}
                row |= {
                    "modified": doc["modified"],
                    "modified_by": doc["modified_by"],
                    "docstatus": doc.docstatus,
                }
                row["owner"] = row.get("owner") or self.user
                row["creation"] = row.get("creation") or doc["modified"]

    def _name(self, doc: Doc) -> str:
        given = controller(doc.doctype).autoname(self, doc)
        name = given or (doc.doctype if doc.meta.issingle else self._name_by_rule(doc, doc.meta.autoname))
        doc.pop("__newname", None)
        return name

    def _name_by_rule(self, doc: Doc, rule: str) -> str:
        if rule.startswith("naming_series:"):
            return self.site.next_in_series(str(doc.get("naming_series") or f"{doc.doctype}-.#####"))
        if rule.startswith("field:"):
            name = str(doc.get(rule[6:]) or "").strip()
            if not name:
                raise thrown(f"{doc.meta.by_name[rule[6:]].label} is required")
            return name
        if rule.startswith("format:"):
            return self._formatted_name(doc, rule[7:])
        if rule.lower() == "prompt":
            name = str(doc.get("__newname") or doc.get("name") or "")
            if not name:
                raise thrown("Please set the document name")
            return name
        if rule in {"", "hash"}:
            return self.site.hash_name()
        if "#" in rule:
            return self.site.next_in_series(rule)
        raise unknown_to_the_sandbox(f"autoname {rule!r}")

    def _formatted_name(self, doc: Doc, rule: str) -> str:
        """The name by a rule such as ``{batch_run} {action} {attempt}``; a field that was left out adds nothing. The number of a
        rule such as ``LOG-{YYYY}-{#####}`` is counted for all of them together.
        """

        def value(found: re.Match[str]) -> str:
            field = found[1]
            if field in {"YYYY", "MM"}:
                return f"{self.site.clock():{'%Y' if field == 'YYYY' else '%m'}}"
            if field == "#####":
                return self.site.next_in_series(field)
            if field not in doc.meta.by_name:
                raise unknown_to_the_sandbox(f"autoname {rule!r}")
            # A number that the client left out is 0 in the document, and not in the name.
            sent = doc.get(field) if doc.get(field) or field in doc.sent else None
            return "" if sent is None else str(sent)

        name = re.sub(r"\{([\w |#]+)\}", value, rule).strip()
        if "<" in name or ">" in name:
            raise thrown("Name cannot contain special characters like '<', '>'", "NameError")
        return name

    def _write(self, doc: Doc, *, insert: bool) -> None:
        self._write_row(doc, insert=insert)
        for field in doc.meta.tables:
            meta, rows = self.site.meta(field.options), doc.rows(field.fieldname)
            if not insert:
                self.site.db.run(statements(meta).delete_rows, (doc.name, doc.doctype, field.fieldname))
            if rows:
                self._insert_rows(meta, rows)

    def _insert_rows(self, meta: Meta, rows: list[Doc]) -> None:
        sql = statements(meta)
        try:
            self.site.db.run_many(sql.insert, [sql.parameters(row) for row in rows])
        except sqlite3.IntegrityError as error:
            raise validation.unique_violation(rows[0], _violated(error), rows[0].name) from None

    def _write_row(self, doc: Doc, *, insert: bool) -> None:
        sql = statements(doc.meta)
        try:
            if insert:
                self.site.db.run(sql.insert, sql.parameters(doc))
            else:
                self.site.db.run(sql.update, [*sql.parameters(doc), doc.name])
        except sqlite3.IntegrityError as error:
            taken = insert and self.site.db.one(
                f"SELECT 1 FROM {table(doc.doctype)} WHERE name = ?", (doc.name,)
            )
            raise validation.unique_violation(doc, "name" if taken else _violated(error), doc.name) from None
        self.site.forget_master(doc.doctype)


def _violated(error: sqlite3.IntegrityError) -> str:
    """The column of a violated unique index."""
    return str(error).rsplit(".", 1)[-1]
