"""One thing that taking the program off a site does to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RemovalStep:
    """One thing that a site loses: the documents of a DocType (`documents` names them), the one document `name`, or a
    part of that document (`values` are what its fields have afterwards, `said` is this in words). `optional`: the site may
    refuse it, and the removal goes on.
    """

    doctype: str
    name: str = ""
    documents: tuple[str, ...] = ()
    values: Mapping[str, Any] | None = None
    said: str = ""
    optional: bool = False

    @property
    def sentence(self) -> str:
        """The step in words."""
        if self.said:
            return self.said
        if self.documents:
            noun = "document" if len(self.documents) == 1 else "documents"
            return f"delete {len(self.documents)} {noun} of {self.doctype}"
        return f"delete {self.doctype} {self.name}"
