"""How long a real ERPNext takes for a request: one table, each line with its source, and which line a request is on.

All figures are of one ERPNext v15 with everything on one machine of two cores (MariaDB, application server, one
background worker, client). Other machines differ in the figures, hardly in the ratios between them, so what was
measured elsewhere at another speed is taken over as a ratio and says so.

Three things make up the time of a request:

* what it costs once, and what each of its documents or rows costs beside that;
* the row of ``tabSeries``: a request that names documents by a naming series holds that series from its first document
  until its commit, so two requests with one series go one after the other, and two with a series each side by side;
* two cores: requests that are in work at a time share them (``READERS``, ``WRITERS``).

So one Journal Entry takes 15 + 30 + 26 = 71 ms, of which 56 under the lock of its series (hence 14 to 18 a second
however many clients); 200 in one request 15 + 30 + 200 x 26 ms = 5.2 s; and 200 in two requests with a series each
2,645 ms / (1.68 / 2) = 3.1 s, 0.6 of one series, where 4.9 to 5.5 s against 7.7 to 9.8 s were measured.

Belongs here: costs. Does not belong here: how the time is spent (``pace``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scoopjoy_dagster.sandbox.erpnext import takings
from scoopjoy_dagster.sandbox.erpnext.controllers import pos_closing
from scoopjoy_dagster.sandbox.erpnext.errors import SiteError
from scoopjoy_dagster.sandbox.erpnext.wire import Call, Reply, parsed

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext.site import Site


@dataclass(frozen=True, slots=True)
class Cost:
    """What one operation costs; all times in milliseconds.

    Attributes:
        source: Where the figures are from.
        once: Per request, without a lock.
        commit: Per request, before its commit is done: under the lock of the naming series, if it uses one.
        each: Per document or row, likewise.
        row: Per row that a document has in a table which the site's owner added, likewise.
    """

    source: str
    once: float
    commit: float = 0.0
    each: float = 0.0
    row: float = 0.0

    def locked_s(self, units: int, rows: int = 0) -> float:
        """Seconds until the commit of a request with so many documents or rows."""
        return (self.commit + self.each * units + self.row * rows) / 1000

    def total_s(self, units: int, rows: int = 0) -> float:
        """Seconds of the whole request."""
        return self.once / 1000 + self.locked_s(units, rows)


#: ERPNext v15 by operation. "Measured": median of 20 to 80 requests of one client, on the site of the module's docstring.
ERPNEXT_V15: Mapping[str, Cost] = {
    "other": Cost("measured: ping 10.6 ms. Login check, versions, settings", 10.6),
    "read": Cost("measured: GET of one document 25 ms", 25),
    "list": Cost("measured: 500 rows of 8 fields 21 ms; a list of one row is 0.56 of that", 12, each=0.018),
    "grouped list": Cost("measured: sum over a day by customer 16 ms; rows as in a list", 16, each=0.018),
    "insert many": Cost(
        "measured: 200 submitted Journal Entries in one request 5.3 s, 26 ms each; one of them 71 ms. Ratio: a row in a table"
        " more takes 0.012 of an entry: with 0, 2, 10 and 50 rows, 40 in one request, 33.8, 35.3, 38.8 and 53.8 ms each on a"
        " slower machine; on a third 50.1, 51.7, 51.5 and 78.2, with 500 rows 320",
        15,
        30,
        26,
        row=0.3,
    ),
    "draft": Cost(
        "ratio: insert and then submit takes 1.83 times of both in one request; one half each", 15, 50
    ),
    "change": Cost("measured: PUT of a submitted Sales Invoice 113 ms", 113),
    "submit": Cost("ratio: the other half of `draft`", 65),
    "set value": Cost("measured: frappe.client.set_value on a submitted Sales Invoice 84 ms", 84),
    "small document": Cost("measured: POST of a Comment 24 ms, which has no naming series", 24),
    "upload": Cost(
        "ratio: a file of 12 kB takes 1.3 times of a Comment, half of one submitted Journal Entry", 33
    ),
    "insert many small": Cost(
        "ratio: a file more in one request takes 0.38 of a Journal Entry more; one alone as much as `upload`",
        15,
        8,
        10,
    ),
    "closing draft": Cost("measured: draft with 9, 10 and 50 invoices 83, 92 and 180 ms", 15, 47, 2.4),
    "closing at once": Cost("measured: 9 invoices 1.3 s; for each as in the background", 15, 655, 70),
    "closing queued": Cost(
        "measured: the answer to the submit of 10 and 50 invoices 122 and 204 ms", 102, each=2.05
    ),
    "closing in background": Cost(
        "measured: until Submitted with 10 and 50 invoices 3.0 and 5.8 s, by the one worker", 2300, each=70
    ),
}

MODELS: Mapping[str, Mapping[str, Cost]] = {"erpnext-v15": ERPNEXT_V15}
"""The tables by the name that the command line knows."""

READERS = (1.0, 1.6, 1.8, 2.0)
"""Requests per time with 1, 2, 3, 4 and more at a time, as multiples of one at a time.

Measured: a grouped sum 19.4, 24.4, 38.2 and 73.3 ms with 1, 2, 4 and 8 clients, which is 1, 1.6, 2.0 and 2.1.
"""
WRITERS = (1.0, 1.68, 1.48, 1.28)
"""The same for requests that write, each with a naming series of its own.

Measured: 200 Journal Entries in 7.7 to 9.8 s with one series, 4.9 to 5.5 s with two, 6.6 to 7.1 s with four.
"""

_READS = frozenset({"other", "read", "list", "grouped list"})
_METHODS = {
    "ping": "other",
    "run_doc_method": "other",
    "frappe.client.get": "read",
    "frappe.client.get_value": "read",
    "frappe.client.get_list": "list",
    "frappe.client.get_count": "list",
    **{f"{takings.MODULE}.{function}": "list" for function in takings.FUNCTIONS},
    "frappe.client.insert": "insert",
    "frappe.client.insert_many": "insert many",
    "frappe.client.save": "change",
    "frappe.client.submit": "submit",
    "frappe.client.cancel": "submit",
    "frappe.client.set_value": "set value",
    "frappe.client.attach_file": "upload",
    "upload_file": "upload",
}
_CLOSING = "POS Closing Entry"
_AGGREGATES = ("sum(", "count(", "max(", "min(", "avg(")


@dataclass(frozen=True, slots=True)
class Task:
    """What a request asks for, as the model sees it.

    Attributes:
        operation: A key of the table.
        units: Documents; of lists the rows, known from the answer only.
        series: Naming series that it holds until its commit, in order.
        rows: Of its documents, in tables that the site's owner added.
    """

    operation: str
    units: int = 0
    series: tuple[str, ...] = ()
    rows: int = 0

    @property
    def shares_well(self) -> bool:
        return self.operation in _READS

    def answered(self, reply: Reply) -> int:
        """How many documents or rows it came to."""
        if self.operation not in {"list", "grouped list"}:
            return self.units
        # A row is a JSON object in a list of them; texts with braces in them do no harm to an estimate.
        return max(reply.body.count(b"{") - 1, 0)


def task_of(site: Site, call: Call) -> Task:
    """The task that a request is. Reads the site's meta data and, of a closing, its number of invoices."""
    try:
        return _task(site, call)
    except (SiteError, ValueError, TypeError, KeyError, AttributeError):
        return Task("other")  # the site will refuse it in its own words


def _task(site: Site, call: Call) -> Task:
    kind, _, rest = call.path.removeprefix("/api/").removeprefix("v1/").partition("/")
    if kind == "method":
        operation = _METHODS.get(rest, "other")
        args = call.arguments() if operation != "other" else {}
        if operation == "list":
            return Task(_list(args))
        if operation == "insert":
            return _insert(site, _document(args.get("doc")))
        if operation == "insert many":
            docs = [_document(one) for one in parsed(args.get("docs"))]
            if not all(site.meta(one["doctype"]).is_submittable for one in docs):
                operation = "insert many small"
            # A series is held from the document that takes it: one that only the last takes is held for no time.
            held = _series(site, docs) if _series(site, docs[:1]) else ()
            return Task(operation, len(docs), held, sum(_added_rows(site, one) for one in docs))
        return Task(operation, 1)
    doctype, _, name = rest.partition("/")
    if kind != "resource":
        return Task("other")
    if call.method == "GET":
        return Task("read") if name else Task(_list(call.arguments()))
    if not name:
        return _insert(site, {**call.document(), "doctype": doctype})
    sent = call.document() if call.method == "PUT" else {}
    if doctype == _CLOSING and sent.get("docstatus") == 1:
        return _closing(site, rows_of_closing(site, name))
    return Task("submit" if sent.get("docstatus") else "change", 1)


def _document(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = parsed(value)
    return found


def _list(args: dict[str, Any]) -> str:
    fields = str(args.get("fields") or "").lower()
    grouped = bool(args.get("group_by")) or any(word in fields for word in _AGGREGATES)
    return "grouped list" if grouped else "list"


def _insert(site: Site, doc: dict[str, Any]) -> Task:
    series = _series(site, [doc])
    if doc["doctype"] == _CLOSING:
        return Task("closing draft", len(doc.get(site.line.closing_rows) or ()), series)
    if not site.meta(doc["doctype"]).is_submittable:
        return Task("small document", 1, series)
    return Task("insert many" if doc.get("docstatus") == 1 else "draft", 1, series, _added_rows(site, doc))


def _added_rows(site: Site, doc: dict[str, Any]) -> int:
    tables = [field for field in site.meta(doc["doctype"]).tables if site.meta(field.options).custom]
    return sum(len(doc.get(field.fieldname) or ()) for field in tables)


def _closing(site: Site, invoices: int) -> Task:
    if invoices >= pos_closing.IN_BACKGROUND:
        return Task("closing queued", invoices)
    # Closings of a few invoices do not go side by side: their consolidated invoices share a series.
    return Task("closing at once", invoices, _series(site, [{"doctype": "Sales Invoice"}]))


def rows_of_closing(site: Site, closing: str) -> int:
    """How many POS Invoices a POS Closing Entry has."""
    with site.db.lock:
        found = site.db.one('SELECT count(*) FROM "tabPOS Invoice Reference" WHERE parent = ?', (closing,))
    return int(found[0]) if found else 0


def _series(site: Site, docs: list[dict[str, Any]]) -> tuple[str, ...]:
    """The naming series of these documents, each once and in order, so that two requests never wait for each other."""
    found: set[str] = set()
    for doc in docs:
        meta = site.meta(doc["doctype"])
        if meta.autoname.startswith("naming_series:"):
            field = meta.by_name.get("naming_series")
            usual = (field.default or field.options.partition("\n")[0]) if field else ""
            found.add(str(doc.get("naming_series") or usual))
        elif "#" in meta.autoname:
            found.add(meta.autoname)
    return tuple(sorted(found))
