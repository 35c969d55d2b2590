"""Many royalty statements attached in few requests, each of them there afterwards whatever the network does.

`frappe.client.insert_many` takes Files with their content and makes what `upload_file` makes, all of a request or none
(observed on v15). ERPNext puts no unique index on a File: an answer that was lost is followed by a look for the names.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from scoopjoy_dagster.erpnext.client import INSERT_ATTEMPTS
from scoopjoy_dagster.erpnext.errors import Ambiguous, ERPNextError, LoginFailed, Rejected, Unreachable
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.erpnext.statements import attached_statements, same_statement

MOST_FILES = 50
"""Files in a request; more did not make it faster (docs/performance.md)."""

MOST_BYTES = 6_000_000
"""Bytes of content in a request: a third more on the wire, of the 25 MB that Frappe takes."""


@dataclass(frozen=True, slots=True)
class StatementFile:
    """A statement for a Journal Entry: the name that people see, and the PDF."""

    entry: str
    file_name: str
    content: bytes


def attach_all(
    site: Site, files: Iterable[StatementFile]
) -> Iterator[tuple[StatementFile, ERPNextError | None]]:
    """Attach statements, private, a batch at a time; only the batch that is on its way is held in memory.

    A batch that ERPNext refuses is halved until the bad file is alone. In the one case that ERPNext stores a request
    after we have looked for its files in vain, a file is attached twice; the next run removes the second.

    Yields:
        Each file once its batch is done, with ERPNext's error when it is not attached.

    Raises:
        LoginFailed, Unreachable: after the files of the batches before.
    """
    for batch in _batches(files):
        yield from _attach(site, batch)


def _batches(files: Iterable[StatementFile]) -> Iterator[list[StatementFile]]:
    batch: list[StatementFile] = []
    size = 0
    for file in files:
        if batch and (len(batch) == MOST_FILES or size + len(file.content) > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += len(file.content)
    if batch:
        yield batch


def _attach(
    site: Site, batch: Sequence[StatementFile]
) -> Iterator[tuple[StatementFile, ERPNextError | None]]:
    missing, problem = _store(site, batch)
    yield from ((file, None) for file in batch if file not in missing)
    if problem is not None and isinstance(problem, Rejected) and len(missing) > 1:
        middle = len(missing) // 2
        yield from _attach(site, missing[:middle])
        yield from _attach(site, missing[middle:])
    else:
        yield from ((file, problem) for file in missing)


def _store(site: Site, batch: Sequence[StatementFile]) -> tuple[Sequence[StatementFile], ERPNextError | None]:
    """Attach a batch, or find it attached. Returns what is not attached, and why."""
    missing: Sequence[StatementFile] = batch
    problem: ERPNextError | None = None
    for _ in range(INSERT_ATTEMPTS):
        try:
            _send(site, missing)
        except (LoginFailed, Unreachable):
            raise
        except Ambiguous as raised:
            problem = raised
        except ERPNextError as raised:
            return missing, raised
        else:
            return [], None
        try:
            there = attached_statements(site, [file.entry for file in missing])
        except (LoginFailed, Unreachable):
            raise
        except ERPNextError as raised:
            return missing, raised
        missing = [
            file
            for file in missing
            if not any(same_statement(one.file_name, file.file_name) for one in there.get(file.entry, ()))
        ]
        if not missing:
            return [], None
    return missing, problem


def _send(site: Site, batch: Sequence[StatementFile]) -> None:
    first = batch[0]
    doing = (
        f"attach {first.file_name} to {first.entry}" if len(batch) == 1 else f"attach {len(batch)} statements"
    )
    documents = [_document(file) for file in batch]
    site.client.call("frappe.client.insert_many", {"docs": documents}, doing=doing, kind="write")


def _document(file: StatementFile) -> dict[str, object]:
    return {
        "doctype": "File",
        "file_name": file.file_name,
        "is_private": 1,
        "folder": "Home/Attachments",
        "attached_to_doctype": "Journal Entry",
        "attached_to_name": file.entry,
        "content": base64.b64encode(file.content).decode(),
        "decode": 1,
    }
