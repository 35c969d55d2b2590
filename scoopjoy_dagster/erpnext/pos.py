"""POS shifts on the site: openings, closings and their invoices, read into and written from `accounting.shifts`."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from scoopjoy_dagster.accounting.money import exact
from scoopjoy_dagster.accounting.past import WEEK
from scoopjoy_dagster.accounting.shifts import (
    DRAFT,
    SUBMITTED,
    Closing,
    ClosingDraft,
    LooseInvoice,
    Opening,
    ShiftInvoice,
)
from scoopjoy_dagster.erpnext.client import KEY_FIELD, Row, Written
from scoopjoy_dagster.erpnext.dialects.closings import LOOSE_FIELDS, loose_invoice
from scoopjoy_dagster.erpnext.dialects.interface import UNCOUNTED_FIELD
from scoopjoy_dagster.erpnext.errors import Ambiguous, Rejected, Transient
from scoopjoy_dagster.erpnext.sales_totals import till_totals
from scoopjoy_dagster.erpnext.site import Site

OPENING_FIELDS = ["name", "company", "pos_profile", "user", "period_start_date", "status"]
CLOSING_FIELDS = [
    "name",
    "pos_opening_entry",
    "docstatus",
    "status",
    "error_message",
    "grand_total",
    "period_end_date",
    KEY_FIELD,
]


LOOK_AHEAD = timedelta(days=31)
"""How far after a day the next shift of the same cashier is looked for; it bounds the shift before."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a closing that ERPNext consolidates in the background is waited for. Times in seconds."""

    deadline_s: float = 300.0
    interval_s: float = 1.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


CONFLICTS = ("(1020,", "(1213,")
"""How MariaDB's errors begin when a transaction lost against another one: a record that changed since it was read (with
snapshot isolation, on by default from 11.6.2 on), and a deadlock. Nothing was stored; the next try may go through."""

MOST_RESTARTS = 5
"""Restarts of a consolidation that lost against other writers, at most; of one that failed for another reason: one."""


class BackgroundFailure(Rejected):
    """ERPNext's background consolidation ended in Failed; the text is ERPNext's own."""

    @property
    def lost_a_conflict(self) -> bool:
        """Whether it only lost against another writer."""
        return self.said.lstrip().startswith(CONFLICTS)


class StillQueued(Rejected):
    """The background consolidation did not end before the deadline."""


def openings(site: Site, start: date, end: date, *, remember: bool = True) -> list[Opening]:
    """Submitted POS Opening Entries that began on the days from `start` to `end`, and those before that are still open; one list call.

    Openings after `end` are read too as far as they bound a shift: the next one of the same cashier and profile.
    """
    return [
        one
        for one in with_week_before(site, start, end, remember=remember)
        if one.period_start.date() >= start or one.status == "Open"
    ]


def with_week_before(site: Site, start: date, end: date, *, remember: bool = True) -> list[Opening]:
    """As `openings`, and where everything is read once those of the week before `start`, too; one list call."""
    first = start - timedelta(days=WEEK) if site.reads_once else start
    rows = site.client.rows(
        "POS Opening Entry",
        OPENING_FIELDS,
        [
            ["docstatus", "=", 1],
            ["company", "=", site.company["name"]],
            ["period_start_date", "<", f"{end + LOOK_AHEAD} 00:00:00"],
        ],
        or_filters=[["period_start_date", ">=", f"{first} 00:00:00"], ["status", "=", "Open"]],
        remember=remember,
    )
    return sorted((_opening(row) for row in rows), key=lambda one: (one.period_start, one.name))


def with_balances(site: Site, openings: Sequence[Opening]) -> list[Opening]:
    """The openings with their opening amounts by mode of payment (they stand in child rows); one list call."""
    rows = site.client.rows(
        "POS Opening Entry Detail",
        ["parent", "mode_of_payment", "opening_amount"],
        [["parent", "in", [one.name for one in openings]], ["parenttype", "=", "POS Opening Entry"]],
        order_by="parent asc, idx asc",
        parent="POS Opening Entry",
    )
    balances: dict[str, dict[str, Decimal]] = defaultdict(dict)
    for row in rows:
        balances[str(row["parent"])][str(row["mode_of_payment"])] = exact(row["opening_amount"])
    return [replace(one, balances=balances[one.name]) for one in openings]


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """One mode of payment of a POS Closing Entry, in INR; `counted` is None where nobody counted."""

    mode: str
    opening_amount: Decimal
    expected: Decimal
    counted: Decimal | None


@dataclass(frozen=True, slots=True)
class ClosingRow:
    """A POS Closing Entry, whatever its state: how many invoices it holds (returns among them), and its modes of payment."""

    row: Row
    invoices: int
    returns: int
    payments: tuple[PaymentRow, ...]

    @property
    def name(self) -> str:
        """Its name in ERPNext."""
        return str(self.row["name"])

    @property
    def opening(self) -> str:
        """Name of its POS Opening Entry."""
        return str(self.row["pos_opening_entry"])

    @property
    def done(self) -> bool:
        """Whether it is submitted and consolidated."""
        return int(self.row["docstatus"]) == SUBMITTED and str(self.row["status"]) == "Submitted"


def closing_rows(site: Site, of: Iterable[Opening], *, remember: bool = True) -> list[ClosingRow]:
    """All POS Closing Entries of these openings, in order of name; one list call."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in site.dialect.closings_with_payments(
        site.client, CLOSING_FIELDS, [one.name for one in of], remember=remember
    ):
        found[str(row["name"])].append(row)
    return [
        ClosingRow(
            rows[0],
            int(rows[0]["invoices"]),
            int(rows[0]["returns"] or 0),
            tuple(
                PaymentRow(
                    str(row["mode_of_payment"]),
                    exact(row["opening_amount"]),
                    exact(row["expected_amount"]),
                    None if row[UNCOUNTED_FIELD] else exact(row["closing_amount"]),
                )
                for row in rows
                if row["payment_row"]
            ),
        )
        for rows in found.values()
    ]


def closings(site: Site, of: Iterable[Opening]) -> dict[str, list[Closing]]:
    """All POS Closing Entries of these openings, cancelled ones included, by opening; drafts with their rows."""
    found: dict[str, list[Closing]] = defaultdict(list)
    for one in closing_rows(site, of):
        is_draft = int(one.row["docstatus"]) == DRAFT
        document = site.client.get("POS Closing Entry", one.name) if is_draft else {}
        found[one.opening].append(_closing(site, one.row, document))
    return found


def loose_invoices(site: Site, first: date, last: date, *, remember: bool = True) -> list[LooseInvoice]:
    """Submitted invoices of the till of the days from `first` to `last` that no closing has taken.

    Most days have no such POS Invoice, and say so in the sums that the royalties follow from, too: one list call, or two; where
    the till may make Sales Invoices, one more.
    """
    company = str(site.company["name"])
    found = site.dialect.loose_sales_invoices(site.client, company, first, last, remember=remember)
    if all(row["consolidated_invoice"] for row in till_totals(site, first, last, remember=remember)):
        return found
    rows = site.client.rows(
        "POS Invoice",
        LOOSE_FIELDS,
        [
            ["docstatus", "=", 1],
            ["company", "=", company],
            ["posting_date", "between", [first.isoformat(), last.isoformat()]],
            ["consolidated_invoice", "is", "not set"],
        ],
        remember=remember,
    )
    return found + [loose_invoice(row) for row in rows]


def left_out(site: Site, closing: str, invoices: Sequence[ShiftInvoice]) -> tuple[list[str], list[str]]:
    """Of the invoices that a submitted closing was sent: those that its rows do not name, and those that it has not closed.

    ERPNext closes a shift whatever the rows say, and ignores rows under a name that it does not know.
    """
    if not invoices:
        return [], []
    named = set(site.dialect.closing_invoices(site.client.get("POS Closing Entry", closing)))
    missing = [one.name for one in invoices if one.name not in named]
    return missing, site.dialect.not_closed(site.client, invoices)


def insert_closing(site: Site, draft: ClosingDraft) -> Written:
    """Insert the closing as a draft, once. It is submitted apart: only so does ERPNext show the real error."""
    return site.client.insert_once(
        "POS Closing Entry", site.dialect.closing_document(draft), label=draft.opening.label
    )


def refill_closing(site: Site, name: str, draft: ClosingDraft) -> None:
    """Bring an existing draft to what the shift holds: rows, totals, and the posting date of the business day."""
    document = {**site.client.stamp, **site.dialect.closing_document(draft)}
    site.client.update("POS Closing Entry", name, document, label=draft.opening.label)


def submit_closing(site: Site, name: str, label: str, patience: Patience) -> str:
    """Submit a draft closing and wait until it is consolidated. Returns its status, `Submitted`.

    Raises:
        Rejected: ERPNext refused it, with its message; the draft stays and the shift is open.
        BackgroundFailure, StillQueued: the background job failed, or did not end in time.
    """
    try:
        answer = site.client.update("POS Closing Entry", name, {"docstatus": 1}, label=label)
    except Rejected:
        # Two runs of one day may submit the same draft: one wins, the other is refused. What counts is the closing.
        if int(_status(site, name)["docstatus"]) != SUBMITTED:
            raise
        return await_closing(site, name, label, patience)
    if str(answer.get("status")) == "Submitted" and not str(answer.get("error_message") or ""):
        return "Submitted"
    return await_closing(site, name, label, patience)


def retry_closing(site: Site, name: str, label: str, patience: Patience) -> str:
    """Restart a failed background consolidation, and wait for it; again where it lost against other writers, else once.

    Only for a closing that is Failed while its shift is Open: a retry of a finished one flips it to Failed.
    """
    for left in reversed(range(MOST_RESTARTS)):
        try:
            return _restart(site, name, label, patience)
        except BackgroundFailure as problem:
            if not (left and problem.lost_a_conflict):
                raise
            patience.sleep(patience.interval_s)
    raise AssertionError


def _restart(site: Site, name: str, label: str, patience: Patience) -> str:
    """A lost answer is not repeated but looked at: the status tells whether the job was started."""
    try:
        site.client.call(
            "run_doc_method",
            {"dt": "POS Closing Entry", "dn": name, "method": "retry"},
            doing=f"retry POS Closing Entry {name} ({label})",
            kind="write",
        )
    except (Ambiguous, Transient):
        if str(site.client.get("POS Closing Entry", name).get("status")) == "Failed":
            raise
    return await_closing(site, name, label, patience)


def await_closing(site: Site, name: str, label: str, patience: Patience) -> str:
    """Poll a closing until it is Submitted.

    Raises:
        BackgroundFailure: it ended in Failed.
        StillQueued: it is queued at the deadline.
    """
    doing = f"consolidate POS Closing Entry {name} ({label})"
    started = patience.clock()
    while True:
        row = _status(site, name)
        status = str(row["status"])
        if status == "Submitted":
            return status
        if status == "Failed":
            raise BackgroundFailure(
                doing, str(row["error_message"] or "ERPNext gave no message"), exc_type="Failed"
            )
        if int(row["docstatus"]) == 2:
            raise Rejected(doing, "it was cancelled by a person meanwhile")
        if patience.clock() - started >= patience.deadline_s:
            raise StillQueued(
                doing,
                f"still {status} after {patience.deadline_s:g} s; is ERPNext's background worker (queue long) running?",
            )
        patience.sleep(patience.interval_s)


def _status(site: Site, name: str) -> Row:
    rows = site.client.rows(
        "POS Closing Entry", ["name", "docstatus", "status", "error_message"], [["name", "=", name]]
    )
    if not rows:
        raise Rejected(f"read POS Closing Entry {name}", "it was deleted meanwhile")
    return rows[0]


def _opening(row: Row) -> Opening:
    return Opening(
        name=str(row["name"]),
        company=str(row["company"]),
        pos_profile=str(row["pos_profile"]),
        user=str(row["user"]),
        period_start=datetime.fromisoformat(str(row["period_start_date"])),
        status=str(row["status"]),
    )


def _closing(site: Site, row: Row, document: Row) -> Closing:
    counted = {
        str(line["mode_of_payment"]): exact(line.get("closing_amount"))
        for line in document.get("payment_reconciliation", [])
        # A row that we flagged repeats what was expected, unless a person has entered a count since.
        if not line.get(UNCOUNTED_FIELD)
        or exact(line.get("closing_amount")) != exact(line.get("expected_amount"))
    }
    return Closing(
        name=str(row["name"]),
        opening=str(row["pos_opening_entry"]),
        docstatus=int(row["docstatus"]),
        status=str(row["status"]),
        key=str(row[KEY_FIELD] or ""),
        error_message=str(row["error_message"] or ""),
        grand_total=exact(row["grand_total"]),
        invoices=site.dialect.closing_invoices(document),
        # A draft that a person saved without counting anything has zeros everywhere: that is not a count.
        counted=counted if any(counted.values()) else {},
    )


def of_day(found: Iterable[Opening], day: date) -> list[Opening]:
    """The openings that belong to a business day: by the day on which the shift began."""
    start = datetime.combine(day, datetime.min.time())
    return [one for one in found if start <= one.period_start < start + timedelta(days=1)]
