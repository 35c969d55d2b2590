"""Many documents that carry our unique key, each stored exactly once, in batches and in parallel.

Belongs here: how batches are cut, sent, split and looked up. Does not belong here: what the documents are.

`frappe.client.insert_many` stores all documents of a request or none, and takes at most 200. A refused batch is
halved until the bad document is alone; what became of a batch whose answer was lost is asked for in one list call.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

from scoopjoy_dagster.accounting.keys import normalised
from scoopjoy_dagster.erpnext.client import (
    DIGEST_FIELD,
    INSERT_ATTEMPTS,
    KEY_FIELD,
    Client,
    KeyTaken,
    Row,
    Written,
    adopt,
)
from scoopjoy_dagster.erpnext.errors import (
    Ambiguous,
    Duplicate,
    ERPNextError,
    LoginFailed,
    NameTaken,
    Rejected,
    Unreachable,
)

WORTH_A_LANE = 10
"""Documents that are worth a parallel request of their own: a handful is stored in the time of one request anyway."""

Refused = Callable[[ERPNextError, int, int], ERPNextError | None]
"""Asked with what ERPNext said of a batch, how many documents that batch has, and how many were stored before.

An error that it gives ends everything, and is everyone's who waits.
"""

Indices = Sequence[int]


@dataclass(slots=True, eq=False)
class Lane:
    """Sends one batch at a time, so a naming series of its own is never waited for.

    Attributes:
        fields: what it adds to its documents.
        name_taken: why it sends nothing any more: the counter of its naming series is behind. What it could not store
            goes to the other lanes.
    """

    fields: Mapping[str, Any]
    name_taken: NameTaken | None = None


def insert_all_once(
    client: Client,
    doctype: str,
    documents: Sequence[Mapping[str, Any]],
    *,
    labels: Sequence[str],
    lanes: Sequence[Lane] | None = None,
    batch_size: int = 100,
    refused: Refused | None = None,
) -> Iterator[tuple[int, Written | ERPNextError]]:
    """Insert documents that carry our unique key, each exactly once; see `Client.insert_once` for what that means.

    Nothing is sent before the first result is asked for; then everything is, and the results come in the order of the
    documents. When the site cannot be worked with any more, the results that are known come first and the error after
    them: what was stored is never lost for the caller. A document without a result was not sent, or its answer was
    lost; the next run finds out by its key.

    Args:
        client: of the site; its `stamp` is added to each document.
        doctype: DocType with the custom fields `custom_scoopjoy_key` and `custom_scoopjoy_digest`.
        documents: each with both fields set.
        labels: whose each document is, for messages.
        lanes: one for each parallel request; None means one that adds nothing. With one lane, no thread is started.
        batch_size: documents per request at most, from 1 to 200.
        refused: asked by one thread at a time, whenever ERPNext does not take a batch; see `Refused`.

    Yields:
        The index of a document, and what became of it: `Written`, or ERPNext's error; `KeyTaken` when its key is on
        another payload or on a cancelled document; `NameTaken` when the counters of all lanes are behind.

    Raises:
        LoginFailed, Unreachable: after the results that are known.
    """
    work = _Work(client, doctype, documents, labels, refused)
    lanes = lanes or [Lane({})]
    work.carry_out(cut(len(documents), batch_size, len(lanes)), lanes)
    for index, result in enumerate(work.results):
        if result is not None:
            yield index, result
    if work.ended_by is not None:
        raise work.ended_by


def cut(count: int, batch_size: int, lanes: int) -> list[Indices]:
    """Batches of `count` documents, in order and of even size: a multiple of the lanes as soon as one is not enough.

    Args:
        count: of documents.
        batch_size: documents per batch at most.
        lanes: batches that are sent at the same time.
    """
    needed = max(-(-count // batch_size), min(lanes, count // WORTH_A_LANE), 1)
    batches = needed if needed <= lanes else -(-needed // lanes) * lanes
    edges = [count * number // batches for number in range(batches + 1)]
    return [range(start, end) for start, end in pairwise(edges) if start < end]


class _Work:
    """One call of `insert_all_once`: what is to be sent, what became of it, and why it ended early."""

    def __init__(
        self,
        client: Client,
        doctype: str,
        documents: Sequence[Mapping[str, Any]],
        labels: Sequence[str],
        refused: Refused | None,
    ) -> None:
        self.client, self.doctype, self.documents, self.labels = client, doctype, documents, labels
        self.results: list[Written | ERPNextError | None] = [None] * len(documents)
        """By document; None as long as nothing is known. Several threads write to it, each to its own places."""
        self.ended_by: BaseException | None = None
        self._refused = refused
        self._stopped_by: ERPNextError | None = None
        self._waiting: deque[Indices] = deque()
        self._lock = threading.Lock()

    def carry_out(self, batches: Sequence[Indices], lanes: Sequence[Lane]) -> None:
        """Send the batches, one at a time in each lane."""
        self._waiting.extend(batches)
        if len(lanes) > 1 and len(batches) > 1:
            with ThreadPoolExecutor(len(lanes), thread_name_prefix="lane") as pool:
                try:
                    list(pool.map(self._drive, lanes))
                except BaseException as problem:  # noqa: BLE001 - an interruption: the lanes end with what is on its way
                    self._end(problem)
        for lane in lanes:  # also what a lane has given back after the others had ended
            self._drive(lane)
        if self.ended_by is None:
            for index in chain.from_iterable(self._waiting):
                self.results[index] = lanes[-1].name_taken

    def _drive(self, lane: Lane) -> None:
        """Send what waits until nothing does, or until something ends the lane or everything."""
        try:
            while lane.name_taken is None and (batch := self._next()) is not None:
                self._store(batch, lane)
        except BaseException as problem:  # noqa: BLE001 - raised by insert_all_once, after the results
            self._end(problem)

    def _next(self) -> Indices | None:
        with self._lock:
            return self._waiting.popleft() if self._waiting and self.ended_by is None else None

    def _end(self, problem: BaseException) -> None:
        with self._lock:
            self.ended_by = self.ended_by or problem

    def _store(self, batch: Indices, lane: Lane) -> None:
        """Store a batch, or find out what became of it. A batch of several that is refused waits again as halves."""
        lost = False  # whether an answer of ours was lost: then what is found is most likely our own
        problem: ERPNextError | None = None
        for _ in range(INSERT_ATTEMPTS):
            problem = self._send(batch, lane)
            if problem is None:
                return
            if not isinstance(problem, (Duplicate, Ambiguous)):
                break
            lost = lost or isinstance(problem, Ambiguous)
            try:
                missing = self._look(batch, ours=lost)
            except (LoginFailed, Unreachable):
                raise
            except ERPNextError as unseen:
                self._not_stored(batch, unseen, halve=False)
                return
            if not missing:
                return
            other_field = isinstance(problem, Duplicate) and len(missing) == len(batch)
            batch = missing
            if other_field or self._stopped_by is not None:
                break
        if isinstance(problem, NameTaken) and self._given_back(batch, lane, problem):
            return
        if problem is not None:
            self._not_stored(batch, problem, halve=isinstance(problem, Rejected))

    def _given_back(self, batch: Indices, lane: Lane, problem: NameTaken) -> bool:
        """End a lane whose series gives only names that are taken, and leave its batch to the others."""
        with self._lock:
            if self._stopped_by is None:
                lane.name_taken = problem
                self._waiting.appendleft(batch)
            return lane.name_taken is not None

    def _send(self, batch: Indices, lane: Lane) -> ERPNextError | None:
        """Insert a batch in one request. Returns why that did not happen, or may not have.

        Raises:
            LoginFailed, Unreachable: it never will.
        """
        same = {"doctype": self.doctype, **self.client.stamp}
        try:
            names = self.client.call(
                "frappe.client.insert_many",
                {"docs": [{**same, **self.documents[index], **lane.fields} for index in batch]},
                doing=self._doing(batch),
                kind="write",
            )
        except (LoginFailed, Unreachable):
            raise
        except ERPNextError as problem:
            return problem
        if not isinstance(names, list) or len(names) != len(batch):
            return Ambiguous(self._doing(batch), "the answer does not name the documents")
        for index, name in zip(batch, names, strict=True):
            self.results[index] = Written(str(name), created=True)
        return None

    def _look(self, batch: Indices, *, ours: bool) -> list[int]:
        """Take over what is stored of a batch, by one list call; returns what is not there."""
        keys = [str(self.documents[index][KEY_FIELD]) for index in batch]
        found = find_by_keys(self.client, self.doctype, keys)
        missing = []
        for index, key in zip(batch, keys, strict=True):
            row = found.get(normalised(key))
            if row is None:
                missing.append(index)
                continue
            try:
                self.results[index] = adopt(
                    row, str(self.documents[index][DIGEST_FIELD]), self._doing([index]), ours=ours
                )
            except KeyTaken as taken:
                self.results[index] = taken
        return missing

    def _not_stored(self, batch: Indices, problem: ERPNextError, *, halve: bool) -> None:
        """Halve a batch that was refused; what cannot be halved keeps its error. The caller may end everything."""
        with self._lock:
            if self._stopped_by is None and self._refused is not None:
                stored = sum(isinstance(one, Written) for one in self.results)
                self._stopped_by = self._refused(problem, len(batch), stored)
            if self._stopped_by is None and halve and len(batch) > 1:
                middle = len(batch) // 2
                self._waiting.extendleft((batch[middle:], batch[:middle]))
                return
            ended = [batch]
            if self._stopped_by is not None:
                ended += self._waiting
                self._waiting.clear()
            for index in chain.from_iterable(ended):
                self.results[index] = self._stopped_by or problem

    def _doing(self, batch: Indices) -> str:
        if len(batch) == 1:
            return f"insert {self.doctype} for {self.labels[batch[0]]}"
        return f"insert {len(batch)} documents of {self.doctype}"


def find_by_keys(client: Client, doctype: str, keys: Sequence[str]) -> dict[str, Row]:
    """The documents that carry our keys, drafts and cancelled ones included, by normalised key; one list call."""
    rows = client.rows(
        doctype, ["name", "docstatus", KEY_FIELD, DIGEST_FIELD], [[KEY_FIELD, "in", list(keys)]]
    )
    return {normalised(str(row[KEY_FIELD])): row for row in rows}
