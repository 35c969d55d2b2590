"""The hooks of a DocType's controller, in the order in which the engine calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext.document import Doc
    from scoopjoy_dagster.sandbox.erpnext.session import Session


class Controller:
    """Behaviour of a DocType; every hook may be left out."""

    #: Names of document methods that ``run_doc_method`` may call.
    whitelisted: frozenset[str] = frozenset({"submit", "cancel", "save"})

    def autoname(self, session: Session, doc: Doc) -> str | None:
        """The name of a new document, or ``None`` to follow the DocType's naming rule."""

    def before_insert(self, session: Session, doc: Doc) -> None:
        """Before links are checked and the name is given."""

    def validate(self, session: Session, doc: Doc) -> None:
        """On insert, save of a draft and submit; before mandatory fields are checked."""

    def before_submit(self, session: Session, doc: Doc) -> None:
        """After ``validate``, only when the document is being submitted."""

    def before_cancel(self, session: Session, doc: Doc) -> None:
        """Before a submitted document is stored as cancelled."""

    def after_insert(self, session: Session, doc: Doc) -> None:
        """Once the new document is stored."""

    def on_update(self, session: Session, doc: Doc) -> None:
        """Once the document is stored, on insert, save and submit."""

    def on_submit(self, session: Session, doc: Doc) -> None:
        """Once the submitted document is stored."""

    def on_cancel(self, session: Session, doc: Doc) -> None:
        """Once the cancelled document is stored."""

    def on_trash(self, session: Session, doc: Doc) -> None:
        """Before a document is deleted."""

    def after_delete(self, session: Session, doc: Doc) -> None:
        """Once a document and its rows are deleted."""

    def call(self, session: Session, doc: Doc, method: str, args: dict[str, Any]) -> Any:
        """Run a whitelisted method of the document."""
        del args
        return getattr(session, method)(doc)
