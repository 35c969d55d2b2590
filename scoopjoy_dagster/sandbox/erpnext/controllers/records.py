"""Comments, shares and files: records that hang on other documents."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scoopjoy_dagster.sandbox.erpnext.controllers.base import Controller
from scoopjoy_dagster.sandbox.erpnext.errors import unknown_to_the_sandbox

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext.document import Doc
    from scoopjoy_dagster.sandbox.erpnext.session import Session

_SCRIPT = re.compile(r"<(/?script[^>]*)>", re.IGNORECASE)


class Comment(Controller):
    """Text under a document; scripts in it are made harmless (05-11)."""

    def validate(self, session: Session, doc: Doc) -> None:
        doc["comment_email"] = doc.get("comment_email") or session.user
        doc["comment_by"] = doc.get("comment_by") or session.value("User", session.user, "full_name")
        if doc.get("content"):
            doc["content"] = _SCRIPT.sub(r"&lt;\1&gt;", doc["content"])


class DocShare(Controller):
    """A document that a user is let to read whatever his roles are."""

    def validate(self, session: Session, doc: Doc) -> None:
        del session
        more = any(doc.get(right) for right in ("write", "share", "submit", "everyone"))
        if more or not (doc.get("user") and doc.get("read")):
            raise unknown_to_the_sandbox("a share that is not for one user to read")


class File(Controller):
    """An attachment; its content goes with the last row that shows it."""

    def on_trash(self, session: Session, doc: Doc) -> None:
        others = session.site.db.one(
            'SELECT 1 FROM "tabFile" WHERE file_url = ? AND name <> ?', (doc.get("file_url"), doc.name)
        )
        if others is None:
            session.site.db.run("DELETE FROM content WHERE url = ?", (doc.get("file_url"),))


CONTROLLERS: dict[str, Controller] = {"Comment": Comment(), "DocShare": DocShare(), "File": File()}
