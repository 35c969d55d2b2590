"""Custom Field and custom DocType: they change the meta data and the tables of the running site."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scoopjoy_dagster.sandbox.erpnext.controllers.base import Controller
from scoopjoy_dagster.sandbox.erpnext.errors import thrown, unknown_to_the_sandbox
from scoopjoy_dagster.sandbox.erpnext.meta import TABLES, Field
from scoopjoy_dagster.sandbox.erpnext.site import field_of_row

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext.document import Doc
    from scoopjoy_dagster.sandbox.erpnext.session import Session


def _field(doc: Doc) -> Field:
    keys = ("fieldname", "fieldtype", "options", "label", "reqd", "unique", "allow_on_submit", "no_copy", "default",
            "fetch_from", "length", "permlevel")  # fmt: skip
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
        if doc["fieldtype"] in TABLES:
            raise unknown_to_the_sandbox("custom fields of type Table")

    def on_update(self, session: Session, doc: Doc) -> None:
        meta = session.site.meta(doc["dt"])
        session.site.change_meta(meta.with_field(_field(doc)))
        if not doc.get("unique"):
            session.site.db.drop_unique(doc["dt"], doc["fieldname"])

    def on_trash(self, session: Session, doc: Doc) -> None:
        session.site.change_meta(session.site.meta(doc["dt"]).without_field(doc["fieldname"]))


class DocType(Controller):
    """A DocType made over REST; standard ones cannot be changed."""

    def validate(self, session: Session, doc: Doc) -> None:
        if not doc.get("custom"):
            raise thrown("Not in Developer Mode! Set in site_config.json or make 'Custom' DocType.")
        for row in doc.rows("fields"):
            row["label"] = row.get("label") or row.get("fieldname")
            if row["fieldtype"] in {"Table", "Link"} and row.get("options") not in {
                *session.site.metas,
                doc.name,
            }:
                raise thrown(
                    f"{doc.name}: Options must be a valid DocType for field {row['label']} in row {row['idx']}",
                    "WrongOptionsDoctypeLinkError",
                )

    def on_update(self, session: Session, doc: Doc) -> None:
        session.site.change_meta(session.site.read_meta(doc.name))

    def on_trash(self, session: Session, doc: Doc) -> None:
        del session
        if not doc.get("custom"):
            raise thrown("Standard DocType can not be deleted.")

    def after_delete(self, session: Session, doc: Doc) -> None:
        session.site.drop_meta(doc.name)


class PropertySetter(Controller):
    """Would change a standard field."""

    def validate(self, session: Session, doc: Doc) -> None:
        raise unknown_to_the_sandbox(f"Property Setter {doc.name} ({session.user})")


CONTROLLERS: dict[str, Controller] = {
    "Custom Field": CustomField(),
    "DocType": DocType(),
    "Property Setter": PropertySetter(),
}
