"""Royalty statements on the site: private PDF files attached to Journal Entries, replaced when they change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from scoopjoy_dagster.erpnext.errors import Ambiguous
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


def replace_statement(
    site: Site, entry: str, file_name: str, content: bytes, old: Iterable[Attachment]
) -> None:
    """Attach a statement and then remove the ones before it, so that the entry is never without one."""
    try:
        _upload(site, entry, file_name, content)
    except Ambiguous:
        # The upload may have been stored: look, and attach again only when it was not.
        stored = attached_statements(site, [entry]).get(entry, [])
        if not any(same_statement(one.file_name, file_name) for one in stored):
            _upload(site, entry, file_name, content)
    remove_statements(site, old)


def remove_statements(site: Site, old: Iterable[Attachment]) -> None:
    """Delete superseded statements."""
    for one in old:
        site.client.delete("File", one.name)


def _upload(site: Site, entry: str, file_name: str, content: bytes) -> None:
    site.client.session.request(
        "POST",
        "/api/method/upload_file",
        doing=f"attach {file_name} to {entry}",
        kind="write",
        files={"file": (file_name, content, "application/pdf")},
        form={"is_private": "1", "doctype": "Journal Entry", "docname": entry, "folder": "Home/Attachments"},
    )
