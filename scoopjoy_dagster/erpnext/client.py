"""Documents and lists of an ERPNext site, with the traps of its API taken care of.

Lists: ERPNext sends 20 rows in no order unless it is told otherwise, and drops fields that the user may not read
in silence. Here every list is complete, ordered, and checked for the fields that were asked for.
Writes: a document of ours is inserted *once*, by its unique key, whatever happens on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from scoopjoy_dagster.accounting.keys import normalised
from scoopjoy_dagster.clean_text import released
from scoopjoy_dagster.erpnext.errors import (
    Ambiguous,
    Duplicate,
    ERPNextError,
    Forbidden,
    NameTaken,
    NotFound,
    Rejected,
)
from scoopjoy_dagster.erpnext.remembered import Remembered
from scoopjoy_dagster.erpnext.session import Kind, Session, encode

KEY_FIELD = "custom_scoopjoy_key"
DIGEST_FIELD = "custom_scoopjoy_digest"
RUN_FIELD = "custom_scoopjoy_run"
POLICY_FIELD = "custom_royalty_policy"

Filter = Sequence[Any]
Field = str | Mapping[str, str]
"""A field, or an aggregate as the site's dialect writes it."""
Row = dict[str, Any]

RECORDS = frozenset({"ScoopJoy Delivery"})
"""Our own DocTypes from whose documents nothing else in ERPNext follows."""

INSERT_ATTEMPTS = 4

PAGE = 2000
"""Rows that a paged list asks for at once: about a megabyte, and some 90 ms of ERPNext's time."""


class KeyTaken(Rejected):
    """Our key is on a document with another payload, or on a cancelled one: nothing is overwritten."""


@dataclass(frozen=True, slots=True)
class Written:
    """A document of ours: its name, and whether this call made it (False: it was there and was adopted)."""

    name: str
    created: bool


class Client:
    """The site's documents, over one `Session`.

    `stamp` holds what every document of ours says beside its key: the run that made it and the policy in force.
    `remembered`: lists that were read already; clients of one session may share it.
    """

    def __init__(
        self,
        session: Session,
        stamp: Mapping[str, str] | None = None,
        remembered: Remembered | None = None,
    ) -> None:
        self.session = session
        self.stamp = dict(stamp or {})
        self.remembered = Remembered() if remembered is None else remembered

    # -- reading ----------------------------------------------------------------------------------------------

    def rows(
        self,
        doctype: str,
        fields: Sequence[Field],
        filters: Sequence[Filter],
        *,
        order_by: str = "name asc",
        group_by: str | None = None,
        parent: str | None = None,
        or_filters: Sequence[Filter] = (),
        limit: int = 0,
        remember: bool = False,
    ) -> list[Row]:
        """All rows that match, in order, in one request.

        Args:
            doctype: DocType to list.
            fields: fields, and aggregates as the dialect writes them.
            filters: `[field, operator, value]`, or with the DocType in front; an `in` filter may be long: the request is a POST.
            order_by: explicit, because ERPNext sends rows in no order otherwise.
            group_by: columns, comma separated.
            parent: DocType of the parent, needed to list child rows.
            or_filters: of these at least one must hold, too.
            limit: the first rows only; 0 means all.
            remember: the very same list may be answered by what was read before, as long as this session has written
                nothing since that it may show. For the figures of days that several assets look at; never for what ERPNext works on.

        Raises:
            Forbidden: also when a requested field did not come back: permission levels drop fields in silence.
        """
        if any(one[-2] == "in" and not one[-1] for one in filters):
            return []
        doing = f"list {doctype}"
        arguments: dict[str, Any] = {
            "doctype": doctype,
            "fields": list(fields),
            "filters": [list(one) for one in filters],
            "order_by": order_by,
            "limit_page_length": limit,
        }
        if or_filters:
            arguments["or_filters"] = [list(one) for one in or_filters]
        if group_by:
            arguments["group_by"] = group_by
        if parent:
            arguments["parent"] = parent
        if remember:
            of_records = doctype in RECORDS
            traffic = self.session.traffic
            return self.remembered.or_read(
                encode(arguments),
                traffic.writes - (0 if of_records else traffic.records),
                lambda: self._listed(arguments, fields, doing),
                of_records=of_records,
            )
        return self._listed(arguments, fields, doing)

    def _listed(self, arguments: Mapping[str, Any], fields: Sequence[Field], doing: str) -> list[Row]:
        rows: list[Row] = self.call("frappe.client.get_list", arguments, doing=doing) or []
        if rows:
            asked = {_alias(field) for field in fields}
            missing = sorted(asked - rows[0].keys())
            if missing:
                raise Forbidden(
                    doing, f"ERPNext left out {', '.join(missing)}: the user may not read these fields"
                )
        return rows

    def pages(
        self,
        doctype: str,
        fields: Sequence[Field],
        filters: Sequence[Filter],
        *,
        or_filters: Sequence[Filter] = (),
        size: int = PAGE,
    ) -> Iterator[list[Row]]:
        """All rows that match in order of name, a page at a time, so that memory stays flat however many they are.

        The pages follow each other by the last name that was read, not by counting: a document that is inserted or
        deleted meanwhile shifts none of the others. `fields` must have `name` among them.
        """
        after: list[Filter] = []
        while True:
            page = self.rows(doctype, fields, [*filters, *after], or_filters=or_filters, limit=size)
            if page:
                yield page
            if len(page) < size:
                return
            after = [["name", ">", page[-1]["name"]]]

    def get(self, doctype: str, name: str) -> Row:
        """One document with its child rows. Fields that are null are absent."""
        answer = self.session.request(
            "GET", _path(doctype, name), doing=f"read {doctype} {name}", kind="read"
        )
        return dict(answer["data"])

    def exists(self, doctype: str, name: str) -> bool:
        """Whether there is such a document."""
        return bool(self.rows(doctype, ["name"], [["name", "=", name]]))

    def call(
        self, method: str, arguments: Mapping[str, Any] | None = None, *, doing: str, kind: Kind = "read"
    ) -> Any:
        """Call a whitelisted method by POST; returns its `message` (None when it has none)."""
        return self.session.request(
            "POST", f"/api/method/{method}", doing=doing, kind=kind, body=dict(arguments or {})
        ).get("message")

    # -- writing ----------------------------------------------------------------------------------------------

    def insert(self, doctype: str, document: Mapping[str, Any]) -> Row:
        """Insert a document; with `docstatus: 1` it is inserted and submitted in one transaction.

        Raises:
            Ambiguous: it may have been stored. Use `insert_once` for a document that carries our key.
        """
        answer = self.session.request(
            "POST", _path(doctype), doing=f"insert {doctype}", kind="write", body=document
        )
        return dict(answer["data"])

    def insert_once(self, doctype: str, document: Mapping[str, Any], *, label: str) -> Written:
        """Insert a document that carries our unique key, exactly once whatever the network does.

        An answer that never came, or a key that is taken, is followed by a look for the key: with the same digest
        the document is adopted; otherwise nothing is written. ERPNext may still be committing the request whose
        answer was lost, so a key that is not there yet is inserted again: the unique index decides.

        Args:
            doctype: DocType with the custom fields `custom_scoopjoy_key` and `custom_scoopjoy_digest`.
            document: the document, with both fields set.
            label: whose document it is, for messages.

        Raises:
            KeyTaken: the key is on another payload or on a cancelled document.
            NameTaken: the counter of the document's naming series is behind.
            ERPNextError: ERPNext refused it, or never answered.
        """
        key, digest = str(document[KEY_FIELD]), str(document[DIGEST_FIELD])
        document = {**self.stamp, **document}
        doing = f"insert {doctype} for {label}"
        problem: ERPNextError | None = None
        lost = False  # whether an answer of ours was lost: then what is found is most likely our own
        for _ in range(INSERT_ATTEMPTS):
            try:
                answer = self.session.request(
                    "POST",
                    _path(doctype),
                    doing=doing,
                    kind="record" if doctype in RECORDS else "write",
                    body=document,
                )
                return Written(str(answer["data"]["name"]), created=True)
            except (Duplicate, Ambiguous) as raised:
                problem = raised
                lost = lost or isinstance(raised, Ambiguous)
            found = self.find_by_key(doctype, key)
            if found is not None:
                return adopt(found, digest, doing, ours=lost)
            if isinstance(problem, NameTaken):
                raise NameTaken(
                    doing,
                    "it is not stored: the counter of its naming series is behind the names that exist "
                    f"({problem.said}); set it in ERPNext's Document Naming Settings",
                    status=problem.status,
                    exc_type=problem.exc_type,
                    cause=problem.cause,
                )
            if isinstance(problem, Duplicate):
                raise problem  # some other unique field of the document
        raise problem or AssertionError

    def find_by_key(self, doctype: str, key: str) -> Row | None:
        """The document that carries our key, drafts and cancelled ones included."""
        rows = self.rows(doctype, ["name", "docstatus", KEY_FIELD, DIGEST_FIELD], [[KEY_FIELD, "=", key]])
        return next((row for row in rows if normalised(row[KEY_FIELD] or "") == normalised(key)), None)

    def update(self, doctype: str, name: str, values: Mapping[str, Any], *, label: str = "") -> Row:
        """Set fields of a document to values: repeatable, so it is repeated after a lost answer."""
        doing = f"update {doctype} {name}" + (f" ({label})" if label else "")
        answer = self.session.request(
            "PUT",
            _path(doctype, name),
            doing=doing,
            kind="repeatable record" if doctype in RECORDS else "repeatable write",
            body=values,
        )
        return dict(answer["data"])

    def delete(self, doctype: str, name: str) -> None:
        """Delete a document; one that is gone already is fine."""
        try:
            self.session.request(
                "DELETE", _path(doctype, name), doing=f"delete {doctype} {name}", kind="repeatable write"
            )
        except NotFound:
            return


def adopt(found: Row, digest: str, doing: str, *, ours: bool) -> Written:
    """What `found`, a document that carries our key, means for one of this digest. `ours`: an answer of ours was lost.

    Raises:
        KeyTaken: it is cancelled, or of another digest.
    """
    name = str(found["name"])
    if int(found["docstatus"]) == 2:
        raise KeyTaken(doing, f"{name} has the key {found[KEY_FIELD]} and was cancelled by a person")
    if str(found[DIGEST_FIELD] or "") != digest:
        raise KeyTaken(
            doing,
            f"{name} has the key {found[KEY_FIELD]} with other amounts: another run wrote it; run the day again",
        )
    return Written(name, created=ours)


def _path(doctype: str, name: str | None = None) -> str:
    path = "/api/resource/" + quote(doctype, safe="")
    return path if name is None else f"{path}/{quote(released(name), safe='')}"


def _alias(field: Field) -> str:
    """The key under which a field comes back."""
    if not isinstance(field, str):
        return field["as"]
    return field.rpartition(" as ")[2].strip() if " as " in field else field.rpartition(".")[2].strip("` ")
