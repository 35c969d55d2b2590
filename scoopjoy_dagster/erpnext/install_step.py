"""One thing that setup does to a site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

_VERBS = {
    "create": "create",
    "change": "change",
    "refuse": "cannot install",
    "leave": "leave out",
}


@dataclass(frozen=True, slots=True)
class InstallStep:
    """One thing that a site needs: to be created or changed, in the way (`refuse`), or not to be had here and not
    necessary (`leave`).

    `optional`: the site may refuse it, and setup goes on.
    """

    kind: Literal["create", "change", "refuse", "leave"]
    doctype: str
    name: str
    reason: str
    body: Mapping[str, Any]
    optional: bool = False

    @property
    def sentence(self) -> str:
        """The step in words."""
        return f"{_VERBS[self.kind]} {self.doctype} {self.name}: {self.reason}"
