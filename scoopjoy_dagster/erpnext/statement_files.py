"""Many royalty statements attached in few requests, each of them there afterwards whatever the network does.

`frappe.client.insert_many` takes Files with their content and makes what `upload_file` makes, all of a request or none
(observed on v15). ERPNext puts no unique index on a File, so a request that is stored late, after its answer was given
up, would attach all its files a second time. Each request therefore carries one document more, which has our unique
key: a ScoopJoy Delivery that says which statements go along. Of two equal requests ERPNext stores one.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

from scoopjoy_dagster.accounting.keys import delivery_key, digest
from scoopjoy_dagster.erpnext import deliveries
from scoopjoy_dagster.erpnext.client import DIGEST_FIELD, INSERT_ATTEMPTS, KEY_FIELD
from scoopjoy_dagster.erpnext.errors import (
    Ambiguous,
    Duplicate,
    ERPNextError,
    LoginFailed,
    Rejected,
    Unreachable,
)
from scoopjoy_dagster.erpnext.site import Site
from scoopjoy_dagster.erpnext.statements import attached_statements, same_statement

MOST_FILES = 25
"""Files in a request; more did not make it faster (docs/performance.md), and the first of them waits for the last one's PDF."""

PARALLEL = 2
"""Batches on their way at a time; four are no faster (docs/performance.md)."""

MOST_BYTES = 6_000_000
"""Bytes of content in a request: a third more on the wire, of the 25 MB that Frappe takes."""


@dataclass(frozen=True, slots=True)
class StatementFile:
    """A statement for a Journal Entry: the name that people see, and the PDF."""

    entry: str
    file_name: str
    content: bytes


_Results = list[tuple[StatementFile, ERPNextError | None]]


def attach_all(
    site: Site, files: Iterable[StatementFile], *, company: str, day: date
) -> Iterator[tuple[StatementFile, ERPNextError | None]]:
    """Attach the statements of a day, private, in batches; only those on their way are held in memory.

    A batch that ERPNext refuses is halved until the bad file is alone.

    Args:
        site: on which the entries are.
        files: none of them attached.
        company: whose royalties they state.
        day: business day that they are about.

    Yields:
        Each file once its batch is done, with ERPNext's error when it is not attached.

    Raises:
        LoginFailed, Unreachable: after the files of the batches before.
    """
    sending = _Sending(site, company, day)
    parallel = min(
        PARALLEL, site.dialect.writers_in_a_series
    )  # the records of all requests are of one series
    with ThreadPoolExecutor(parallel, thread_name_prefix="statements") as pool:
        on_their_way: deque[Future[_Results]] = deque()
        for batch in _batches(files):
            on_their_way.append(pool.submit(_attach, sending, batch))
            if len(on_their_way) == parallel:
                yield from on_their_way.popleft().result()
        while on_their_way:
            yield from on_their_way.popleft().result()


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


def _attach(sending: _Sending, batch: Sequence[StatementFile]) -> _Results:
    missing, problem = sending.store(batch)
    attached: _Results = [(file, None) for file in batch if file not in missing]
    if isinstance(problem, Rejected) and not isinstance(problem, Duplicate) and len(missing) > 1:
        middle = len(missing) // 2
        return [*attached, *_attach(sending, missing[:middle]), *_attach(sending, missing[middle:])]
    return [*attached, *((file, problem) for file in missing)]


@dataclass(frozen=True, slots=True)
class _Sending:
    """How batches of a day are sent."""

    site: Site
    company: str
    day: date

    def store(self, batch: Sequence[StatementFile]) -> tuple[Sequence[StatementFile], ERPNextError | None]:
        """Attach a batch, or find it attached. Returns what is not attached, and why."""
        missing: Sequence[StatementFile] = batch
        problem: ERPNextError | None = None
        for _ in range(INSERT_ATTEMPTS):
            try:
                # A key that is taken belongs to the same files, attached and removed by somebody since.
                before = self._times_attached(missing) if isinstance(problem, Duplicate) else 0
                self._send(missing, before)
            except (LoginFailed, Unreachable):
                raise
            except (Ambiguous, Duplicate) as raised:
                problem = raised
            except ERPNextError as raised:
                return missing, raised
            else:
                return [], None
            try:
                there = attached_statements(self.site, [file.entry for file in missing])
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

    def _send(self, batch: Sequence[StatementFile], before: int) -> None:
        first = batch[0]
        doing = (
            f"attach {first.file_name} to {first.entry}"
            if len(batch) == 1
            else f"attach {len(batch)} statements"
        )
        # The record comes last: it locks its naming series, for which the other batch on its way would wait.
        documents = [*(_document(file) for file in batch), self._record(batch, before)]
        self.site.client.call("frappe.client.insert_many", {"docs": documents}, doing=doing, kind="write")

    def _record(self, batch: Sequence[StatementFile], before: int) -> dict[str, object]:
        """What makes a request unique: the record that these files were attached, for the `before` + 1st time."""
        which = _which(batch)
        return {
            **self.site.client.stamp,
            "doctype": deliveries.DOCTYPE,
            "channel": deliveries.STATEMENTS,
            "business_day": self.day.isoformat(),
            "recipient": batch[0].entry if len(batch) == 1 else f"{batch[0].entry} and {len(batch) - 1} more",
            "revision": before,
            KEY_FIELD: delivery_key(deliveries.STATEMENTS, self.company, self.day, which, before),
            DIGEST_FIELD: which,
        }

    def _times_attached(self, batch: Sequence[StatementFile]) -> int:
        """How many times exactly these files were attached together."""
        rows = self.site.client.rows(
            deliveries.DOCTYPE,
            ["name"],
            [["channel", "=", deliveries.STATEMENTS], [DIGEST_FIELD, "=", _which(batch)]],
        )
        return len(rows)


def _which(batch: Sequence[StatementFile]) -> str:
    """The files of a batch in one word: a file's name says the day, the entry and what it states."""
    return digest({file.entry: file.file_name for file in batch})


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
