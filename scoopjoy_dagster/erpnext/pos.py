"""POS shifts on the site: openings, closings and their invoices, read into and written from `accounting.shifts`."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from scoopjoy_dagster.accounting.money import exact, rounded
from scoopjoy_dagster.accounting.shifts import (
    DRAFT,
    SUBMITTED,
    Closing,
    ClosingDraft,
    Opening,
    Payment,
    PaymentLine,
    TaxAmount,
    TillSale,
    named,
)
from scoopjoy_dagster.erpnext.client import KEY_FIELD, Filter, Row, Written
from scoopjoy_dagster.erpnext.dialects.closings import stamp
from scoopjoy_dagster.erpnext.dialects.interface import UNCOUNTED_FIELD, TillDocument
from scoopjoy_dagster.erpnext.errors import Ambiguous, Cause, Rejected, Transient
from scoopjoy_dagster.erpnext.sale_documents import moment
from scoopjoy_dagster.erpnext.site import Site

OPENING_FIELDS = ["name", "company", "pos_profile", "user", "period_start_date", "status"]
PAYMENT_FIELDS = (
    "idx",
    "mode_of_payment",
    "opening_amount",
    "expected_amount",
    "closing_amount",
    UNCOUNTED_FIELD,
)
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

LOOK_BACK = timedelta(days=45)
"""How far before a day till sales that are in no closing are looked for: a till that was offline sends them late."""

SALE_FIELDS = [
    "name",
    "pos_profile",
    "owner",
    "posting_date",
    "posting_time",
    "base_grand_total",
    "base_net_total",
    "total_qty",
    "customer",
    "is_return",
    "docstatus",
    "change_amount",
    "account_for_change_amount",
    "currency",
    "conversion_rate",
]

NAMES_IN_A_LIST = 2000
"""Documents whose child rows are asked for in one request."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long things are waited for. Times in seconds.

    Attributes:
        deadline_s: for a closing that ERPNext consolidates in the background, and for other writers to let us through.
        interval_s: between two looks.
        quiet: for how long a till must have sold nothing before its shift is closed.
        selling_deadline_s: for shifts that still sell.
    """

    deadline_s: float = 300.0
    interval_s: float = 1.0
    quiet: timedelta = timedelta(minutes=15)
    selling_deadline_s: float = 1800.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


CONFLICTS = ("(1020,", "(1213,")
"""How MariaDB's errors begin when a transaction lost against another one: a record that changed since it was read (with
snapshot isolation, on by default from 11.6.2 on), and a deadlock. Nothing was stored; the next try may go through."""


class BackgroundFailure(Rejected):
    """ERPNext's background consolidation ended in Failed; the text is ERPNext's own. It may only have lost against another writer."""

    def __init__(self, doing: str, said: str) -> None:
        conflict = said.lstrip().startswith(CONFLICTS)
        super().__init__(doing, said, exc_type="Failed", cause=Cause.CONFLICT if conflict else Cause.REFUSED)


class StillQueued(Rejected):
    """The background consolidation did not end before the deadline."""


def openings(site: Site, start: date, end: date, *, remember: bool = True) -> list[Opening]:
    """Submitted POS Opening Entries that began on the days from `start` to `end`, and those before that are still open; one list call.

    Openings after `end` are read too as far as they bound a shift: the next one of the same cashier and profile.
    """
    rows = site.client.rows(
        "POS Opening Entry",
        OPENING_FIELDS,
        [
            ["docstatus", "=", 1],
            ["company", "=", site.company["name"]],
            ["period_start_date", "<", stamp(site.day_end.start_of(end + LOOK_AHEAD))],
        ],
        or_filters=[
            ["period_start_date", ">=", stamp(site.day_end.start_of(start))],
            ["status", "=", "Open"],
        ],
        remember=remember,
    )
    return sorted((_opening(row) for row in rows), key=lambda one: (one.period_start, one.name))


def began(site: Site, first: date, last: date) -> list[Filter]:
    """Filters of a list of shifts: those that began on the business days from `first` to `last`."""
    end = site.day_end
    return [
        ["period_start_date", ">=", stamp(end.start_of(first))],
        ["period_start_date", "<", stamp(end.start_of(last + timedelta(days=1)))],
    ]


def day_of(site: Site, row: Row) -> date:
    """The business day of a shift, by the row of its POS Opening Entry: that on which it began."""
    return site.day_end.day_of(datetime.fromisoformat(str(row["period_start_date"])))


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
class ClosingRow:
    """A POS Closing Entry, whatever its state, with its modes of payment."""

    row: Row
    payments: tuple[PaymentLine, ...]

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


def closing_rows(site: Site, of: Iterable[Opening]) -> list[ClosingRow]:
    """All POS Closing Entries of these openings, in order of name; one list call."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in site.client.rows(
        "POS Closing Entry",
        [*CLOSING_FIELDS, *(f"payment_reconciliation.{name}" for name in PAYMENT_FIELDS)],
        [["pos_opening_entry", "in", [one.name for one in of]]],
        remember=True,
    ):
        found[str(row["name"])].append(row)
    return [
        ClosingRow(
            rows[0],
            tuple(
                PaymentLine(
                    str(row["mode_of_payment"]),
                    exact(row["opening_amount"]),
                    exact(row["expected_amount"]),
                    None if row[UNCOUNTED_FIELD] else exact(row["closing_amount"]),
                )
                for row in sorted(rows, key=lambda row: int(row["idx"] or 0))
                if row["mode_of_payment"]
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
        found[one.opening].append(_closing(site, one, document))
    return found


def till_sales(site: Site, first: date, last: date, *, remember: bool = True) -> list[TillSale]:
    """What tills have sold up to the day `last` and no closing has taken, drafts among it; a list call for each kind of document.

    Of all documents that a till of this line may make, and from `LOOK_BACK` before `first` on.
    """
    until = site.day_end.last_date(last)
    found = [
        _till_sale(kind, row)
        for kind in site.dialect.till_documents
        for row in site.client.rows(
            kind.doctype,
            SALE_FIELDS,
            [
                ["docstatus", "<", 2],
                ["company", "=", site.company["name"]],
                ["posting_date", "between", [(first - LOOK_BACK).isoformat(), until.isoformat()]],
                *kind.only,
                [kind.closed_by, "is", "not set"],
            ],
            remember=remember,
        )
    ]
    return [one for one in found if site.day_end.day_of(one.posted_at) <= last]


def with_payments(site: Site, sales: Sequence[TillSale]) -> list[TillSale]:
    """The sales with their payments and taxes; two list calls for each kind of document and `NAMES_IN_A_LIST` of them."""
    # ERPNext leaves base amounts of payments and change empty or wrong where a document was submitted in one request.
    rates = {one.name: one.exchange_rate for one in sales}
    payments: dict[str, list[Payment]] = defaultdict(list)
    taxes: dict[str, list[TaxAmount]] = defaultdict(list)
    for kind in site.dialect.till_documents:
        names = [one.name for one in sales if one.doctype == kind.doctype]
        for row in _child_rows(
            site, kind, names, "Sales Invoice Payment", "mode_of_payment", "amount", "account"
        ):
            payments[str(row["parent"])].append(
                Payment(
                    str(row["mode_of_payment"]),
                    _in_company_currency(row["amount"], rates[str(row["parent"])]),
                    str(row["account"] or ""),
                )
            )
        for row in _child_rows(
            site,
            kind,
            names,
            "Sales Taxes and Charges",
            "account_head",
            "rate",
            "base_tax_amount_after_discount_amount",
        ):
            taxes[str(row["parent"])].append(
                TaxAmount(
                    str(row["account_head"]),
                    exact(row["rate"]),
                    exact(row["base_tax_amount_after_discount_amount"]),
                )
            )
    return [replace(one, payments=tuple(payments[one.name]), taxes=tuple(taxes[one.name])) for one in sales]


def _child_rows(
    site: Site, kind: TillDocument, names: Sequence[str], child: str, *fields: str
) -> Iterator[Row]:
    for start in range(0, len(names), NAMES_IN_A_LIST):
        yield from site.client.rows(
            child,
            ["parent", *fields],
            [
                ["parent", "in", list(names[start : start + NAMES_IN_A_LIST])],
                ["parenttype", "=", kind.doctype],
            ],
            order_by="parent asc, idx asc",
            parent=kind.doctype,
        )


def accounts_of_modes(site: Site) -> dict[str, str]:
    """The account that the company books each mode of payment on; one list call."""
    rows = site.client.rows(
        "Mode of Payment Account",
        ["parent", "default_account"],
        [["company", "=", site.company["name"]], ["parenttype", "=", "Mode of Payment"]],
        order_by="parent asc",
        parent="Mode of Payment",
    )
    return {str(row["parent"]): str(row["default_account"] or "") for row in rows}


def _till_sale(kind: TillDocument, row: Row) -> TillSale:
    return TillSale(
        name=str(row["name"]),
        pos_profile=str(row["pos_profile"] or ""),
        cashier=str(row["owner"]),
        posted_at=moment(row["posting_date"], row["posting_time"]),
        grand_total=exact(row["base_grand_total"]),
        net_total=exact(row["base_net_total"]),
        quantity=exact(row["total_qty"]),
        customer=str(row["customer"] or ""),
        is_return=bool(row["is_return"]),
        is_draft=int(row["docstatus"]) == DRAFT,
        change_amount=_in_company_currency(row["change_amount"], exact(row["conversion_rate"])),
        change_account=str(row["account_for_change_amount"] or ""),
        doctype=kind.doctype,
        currency=str(row["currency"] or ""),
        exchange_rate=exact(row["conversion_rate"]),
    )


def _in_company_currency(amount: object, exchange_rate: Decimal) -> Decimal:
    return rounded(exact(amount) * exchange_rate, 2)


def see_closed(site: Site, closing: str, sent: Sequence[TillSale] = ()) -> None:
    """See that a submitted closing names all that it was sent, and that all that it names is booked.

    ERPNext closes a shift whatever the rows say, and ignores rows under a name that it does not know.

    Raises:
        Rejected: the closing is submitted, and a sale is missing in it or was not booked.
    """
    document = site.client.get("POS Closing Entry", closing)
    listed = {
        (kind.doctype, str(row[kind.named_in]))
        for kind in site.dialect.till_documents
        for row in document.get(kind.table, [])
    }
    missing = {one.name for one in sent} - {name for _, name in listed}
    left = {
        str(row["name"])
        for kind in site.dialect.till_documents
        for row in site.client.rows(
            kind.doctype,
            ["name"],
            [
                ["name", "in", sorted(name for doctype, name in listed if doctype == kind.doctype)],
                [kind.closed_by, "is", "not set"],
            ],
        )
    }
    for names, what in ((missing, "not in its rows"), (left, "in its rows and not booked")):
        if names:
            raise Rejected(
                f"verify POS Closing Entry {closing}",
                f"it is submitted, but {len(names)} of its sales are {what}: {named(names)}",
            )


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
    """Restart the consolidation of a submitted closing, and wait for it.

    Only while its shift is Open: a retry of a finished closing flips it to Failed. A lost answer is not repeated but looked at:
    the status tells whether the job was started.
    """
    if not _is_open(site, name):
        return await_closing(site, name, label, patience)
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
            raise BackgroundFailure(doing, str(row["error_message"] or "ERPNext gave no message"))
        if int(row["docstatus"]) == 2:
            raise Rejected(doing, "it was cancelled by a person meanwhile")
        if patience.clock() - started >= patience.deadline_s:
            raise StillQueued(
                doing,
                f"still {status} after {patience.deadline_s:g} s",
                cause=Cause.IN_BACKGROUND,
            )
        patience.sleep(patience.interval_s)


def _is_open(site: Site, closing: str) -> bool:
    """Whether the shift of a closing is Open at this moment."""
    opening = str(site.client.get("POS Closing Entry", closing)["pos_opening_entry"])
    rows = site.client.rows("POS Opening Entry", ["name", "status"], [["name", "=", opening]])
    return any(row["status"] == "Open" for row in rows)


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


def _closing(site: Site, found: ClosingRow, document: Row) -> Closing:
    row = found.row
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
        invoices=tuple(
            str(row[kind.named_in])
            for kind in site.dialect.till_documents
            for row in document.get(kind.table, [])
        ),
        # A draft that a person saved without counting anything has zeros everywhere: that is not a count.
        counted=counted if any(counted.values()) else {},
        payments=found.payments,
    )


def of_day(site: Site, found: Iterable[Opening], day: date) -> list[Opening]:
    """The openings that belong to a business day: by the day on which the shift began."""
    return [one for one in found if site.day_end.day_of(one.period_start) == day]
