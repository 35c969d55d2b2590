"""Royalty statements on the site: private PDF files attached to Journal Entries, looked for and removed.

Attaching them is `statement_files`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from scoopjoy_dagster.erpnext.site import Site

NAME_BEGINS = "royalty-statement-"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A File of ERPNext: `name` is its ID, `file_name` what a person sees."""

    name: str
    file_name: str
    entry: str


def attached_statements(site: Site, entries: Iterable[str]) -> dict[str, list[Attachment]]:
    """Our statements on these Journal Entries, by entry, oldest first."""
    rows = site.client.rows(
        "File",
        ["name", "file_name", "attached_to_name"],
        [
            ["attached_to_doctype", "=", "Journal Entry"],
            ["attached_to_name", "in", list(entries)],
            ["file_name", "like", f"{NAME_BEGINS}%"],
        ],
        order_by="creation asc, name asc",
    )
    found: dict[str, list[Attachment]] = defaultdict(list)
    for row in rows:
        found[str(row["attached_to_name"])].append(
            Attachment(str(row["name"]), str(row["file_name"]), str(row["attached_to_name"]))
        )
    return found


def same_statement(file_name: str, wanted: str) -> bool:
    """Whether a File is the wanted statement: ERPNext may add a few characters before the ending."""
    return file_name.startswith(wanted.removesuffix(".pdf"))


def remove_statements(site: Site, old: Iterable[Attachment]) -> None:
    """Delete superseded statements."""
    for one in old:
        site.client.delete("File", one.name)
