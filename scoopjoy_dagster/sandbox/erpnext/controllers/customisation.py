"""Custom Field and custom DocType: they change the meta data and the tables of the running site."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from scoopjoy_dagster.sandbox.erpnext import virtual
from scoopjoy_dagster.sandbox.erpnext.controllers.base import Controller
from scoopjoy_dagster.sandbox.erpnext.errors import noted, thrown, unknown_to_the_sandbox
from scoopjoy_dagster.sandbox.erpnext.meta import TABLES, Field
from scoopjoy_dagster.sandbox.erpnext.site import SETTABLE, field_of_row

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext.document import Doc
    from scoopjoy_dagster.sandbox.erpnext.session import Session


def _field(doc: Doc) -> Field:
    keys = ("fieldname", "fieldtype", "options", "label", "reqd", "unique", "allow_on_submit", "no_copy", "default",
            "fetch_from", "length", "permlevel", "is_virtual", "search_index", "set_only_once")  # fmt: skip
    return field_of_row([doc.get(key) for key in keys])


class CustomField(Controller):
    """A field that is added to an existing DocType."""

    def before_insert(self, session: Session, doc: Doc) -> None:
        del session
        if not doc.get("fieldname"):
            if not doc.get("label"):
                raise thrown("Label is mandatory")
            doc["fieldname"] = "custom_" + re.sub(r"\W", "", str(doc["label"]).replace(" ", "_"))
        doc["fieldname"] = str(doc["fieldname"]).lower()

    def autoname(self, session: Session, doc: Doc) -> str | None:
        del session
        return f"{doc.get('dt')}-{doc.get('fieldname')}"

    def validate(self, session: Session, doc: Doc) -> None:
        meta = session.site.meta(doc["dt"])
        names = [field.fieldname for field in meta.fields]
        if doc.is_new and doc["fieldname"] in names:
            raise thrown(
                f"A field with the name <strong>{doc['fieldname']}</strong> already exists in {doc['dt']}"
            )
        if doc.get("insert_after") in names:
            doc["idx"] = names.index(doc["insert_after"]) + 1
        if doc.before is not None and doc.before["fieldtype"] != doc["fieldtype"]:
            raise thrown(f"Fieldtype cannot be changed from {doc.before['fieldtype']} to {doc['fieldtype']}")
        if doc.before is not None and doc.before["is_virtual"] != doc["is_virtual"]:
            raise unknown_to_the_sandbox("a stored field that becomes virtual, or the other way round")
        table = doc["fieldtype"] in TABLES and session.site.metas.get(str(doc.get("options")))
        if doc["fieldtype"] in TABLES and not (table and table.istable):
            raise unknown_to_the_sandbox(
                "a table of no child DocType: ERPNext takes it, and cannot read its parent any more"
            )
        _check_target(session, doc["dt"], doc)
        if doc.get("is_virtual"):
            virtual.check(session, doc)

    def on_update(self, session: Session, doc: Doc) -> None:
        meta = session.site.meta(doc["dt"])
        session.site.change_meta(meta.with_field(_field(doc)))
        if not doc.get("unique"):
            session.site.db.drop_unique(doc["dt"], doc["fieldname"])

    def on_trash(self, session: Session, doc: Doc) -> None:
        session.site.change_meta(session.site.meta(doc["dt"]).without_field(doc["fieldname"]))


def _check_target(session: Session, doctype: str, field: Doc) -> None:
    """A Link names a DocType, a table one of rows."""
    kind, options = field["fieldtype"], field.get("options")
    if kind not in {"Link", *TABLES}:
        return
    if options not in {*session.site.metas, doctype}:
        raise thrown(
            f"{doctype}: Options must be a valid DocType for field {field.get('label')} in row {field['idx']}",
            "WrongOptionsDoctypeLinkError",
        )
    if kind in TABLES and options != doctype and not session.site.meta(str(options)).istable:
        text = f"Option <strong>{options}</strong> for field <strong>{field['fieldname']}</strong> is not a child table"
        raise thrown(text, title="Invalid Option")


def _check_field(doc: Doc, row: Doc) -> None:
    if row.get("hidden") and row.get("reqd") and not row.get("default"):
        raise thrown(
            f"{doc.name}: Field {row['label']} in row {row['idx']} cannot be hidden and mandatory without default",
            "HiddenAndMandatoryWithoutDefaultError",
        )
    default, options = row.get("default"), str(row.get("options") or "")
    if row["fieldtype"] == "Select" and default and default not in options.split("\n"):
        raise thrown(f"Default value for <strong>{row['fieldname']}</strong> must be in the list of options.")


def _check_permission(doc: Doc, row: Doc) -> None:
    level = row.get("permlevel") or 0
    where = f"For {row['role']} at level {level} in {doc.name} in row {row['idx']}"
    if not any(row.get(right) for right in ("select", "read", "write", "submit", "cancel", "create")):
        raise thrown(f"{where}: No basic permissions set")
    same = [
        other
        for other in doc.rows("permissions")
        if (other["role"], other.get("permlevel") or 0, bool(other.get("if_owner")))
        == (row["role"], level, bool(row.get("if_owner")))
    ]
    if len(same) > 1:
        raise thrown(f"{where}: Only one rule allowed with the same Role, Level and If Owner")


class DocType(Controller):
    """A DocType made over REST; standard ones cannot be changed."""

    def validate(self, session: Session, doc: Doc) -> None:
        if not doc.get("custom"):
            raise thrown("Not in Developer Mode! Set in site_config.json or make 'Custom' DocType.")
        for row in doc.rows("fields"):
            row["label"] = row.get("label") or row.get("fieldname")
            _check_target(session, doc.name, row)
            _check_field(doc, row)
        for row in doc.rows("permissions"):
            _check_permission(doc, row)

    def on_update(self, session: Session, doc: Doc) -> None:
        session.site.change_meta(session.site.read_meta(doc.name))

    def on_trash(self, session: Session, doc: Doc) -> None:
        del session
        if not doc.get("custom"):
            raise thrown("Standard DocType can not be deleted.")

    def after_delete(self, session: Session, doc: Doc) -> None:
        session.site.drop_meta(doc.name)


class PropertySetter(Controller):
    """Another value for a property of a standard field: here the options and the default of a naming series."""

    def before_insert(self, session: Session, doc: Doc) -> None:
        if (doc.get("field_name"), doc.get("property") in SETTABLE) != ("naming_series", True):
            raise unknown_to_the_sandbox(f"Property Setter {doc.get('field_name')} {doc.get('property')}")
        # The one before it gives way (frappe/custom/doctype/property_setter/property_setter.py, ``validate``).
        session.site.db.run(
            'DELETE FROM "tabProperty Setter" WHERE doc_type = ? AND field_name = ? AND property = ?',
            (doc["doc_type"], doc["field_name"], doc["property"]),
        )
        session.site.forget(doc.doctype)

    def autoname(self, session: Session, doc: Doc) -> str | None:
        del session
        return f"{doc['doc_type']}-{doc['field_name']}-{doc['property']}"

    def on_update(self, session: Session, doc: Doc) -> None:
        session.site.set_property(
            doc["doc_type"], doc["field_name"], doc["property"], str(doc.get("value") or "")
        )

    def on_trash(self, session: Session, doc: Doc) -> None:
        session.site.set_property(doc["doc_type"], doc["field_name"], doc["property"], None)


class DocumentNamingSettings(Controller):
    """Counters of naming series, as a System Manager sets them."""

    whitelisted = frozenset({"update_series_start"})

    def call(self, session: Session, doc: Doc, method: str, args: dict[str, Any]) -> Any:
        del method, args
        session.site.set_counter(str(doc["prefix"]), int(doc["current_value"] or 0))


class Workspace(Controller):
    """A page of the desk; a public one is the business of Workspace Managers (but on v15 anybody may delete it)."""

    def before_insert(self, session: Session, doc: Doc) -> None:
        # The desk makes one address of either.
        taken = {name.lower().replace(" ", "-") for name in session.site.metas}
        address = str(doc.get("label") or "").lower().replace(" ", "-")
        if session.site.line.names_of_doctypes_taken and address in taken:
            text = "Name already taken, please set a new name"
            raise noted(text, "NameError", text)

    def validate(self, session: Session, doc: Doc) -> None:
        if doc.get("public") and not _is_workspace_manager(session):
            raise thrown("You need to be Workspace Manager to edit this document")
        try:
            content = json.loads(doc.get("content") or "")
        except ValueError:
            content = None
        if not isinstance(content, list):
            raise thrown("Content data shoud be a list")

    def on_trash(self, session: Session, doc: Doc) -> None:
        guarded = session.site.line.public_workspaces_guarded and doc.get("public")
        if guarded and not _is_workspace_manager(session):
            raise thrown("You need to be Workspace Manager to delete a public workspace.")


def _is_workspace_manager(session: Session) -> bool:
    return session.user == "Administrator" or "Workspace Manager" in session.roles


CONTROLLERS: dict[str, Controller] = {
    "Custom Field": CustomField(),
    "DocType": DocType(),
    "Document Naming Settings": DocumentNamingSettings(),
    "Property Setter": PropertySetter(),
    "Workspace": Workspace(),
}
