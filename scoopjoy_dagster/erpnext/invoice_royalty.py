"""Sales Invoices and POS Invoices that carry their royalty: rate, share and Journal Entry, written after submit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from scoopjoy_dagster.accounting.money import exact
from scoopjoy_dagster.accounting.policy import Base, RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import CANCELLED, BaseInvoice
from scoopjoy_dagster.erpnext import annotation_script
from scoopjoy_dagster.erpnext.batches import cut
from scoopjoy_dagster.erpnext.client import PAGE, Row
from scoopjoy_dagster.erpnext.errors import Rejected
from scoopjoy_dagster.erpnext.sale_documents import SALE_DOCUMENTS, SALES_INVOICE, pages_by_day, rows_by_day
from scoopjoy_dagster.erpnext.site import Books, Site

RATE = "custom_royalty_rate"
SHARE = "custom_royalty_share"
ENTRY = "custom_royalty_journal_entry"

BATCH = 50
"""Documents per `bulk_update`: at about 43 ms each a batch stays far below a proxy's timeout."""

PARALLEL = 4
"""Batches on their way at a time: no naming series is in the way, and ERPNext needs half the time (docs/performance.md)."""


SCRIPT_BATCH = 200
"""Documents per call of the Server Script: about a second of ERPNext's time, in which nobody else can save them."""

SCRIPT_PARALLEL = 2
"""Calls on their way at a time: ERPNext does nothing but reckon, so as many as a small server has cores."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """What an invoice says of its royalty: rate in percent, share in INR, name of the Journal Entry."""

    invoice: str
    rate: Decimal
    share: Decimal
    journal_entry: str
    doctype: str = SALES_INVOICE.doctype


@dataclass(frozen=True, slots=True)
class InvoiceRow:
    """A submitted Sales Invoice or POS Invoice, what it says of its royalty, and when it was last touched, in site time."""

    invoice: BaseInvoice
    annotation: Annotation
    modified: str


def invoice_rows(
    site: Site, books: Books, policy: RoyaltyPolicy, day: date, counts: Mapping[str, int]
) -> Iterator[dict[str, list[InvoiceRow]]]:
    """The sales of `day` to some customers, some customers at a time (see `sale_documents`).

    A part holds about a page of rows, so memory stays flat however many invoices the day has.

    Args:
        site: the open site.
        books: the company.
        policy: says which total of an invoice is the base.
        day: the business day.
        counts: the customers, and about how many invoices each has.
    """
    amounts = sorted({policy.base.field, Base.GRAND_TOTAL.field})
    for customers in _parts(counts):
        found: dict[str, list[InvoiceRow]] = {customer: [] for customer in customers}
        for sale in SALE_DOCUMENTS:
            for page in pages_by_day(
                site,
                sale.doctype,
                [
                    *("name", "customer", *amounts, "is_return", "currency", "creation", "modified"),
                    *(RATE, SHARE, ENTRY),
                ],
                [
                    ["docstatus", "=", 1],
                    *sale.only(site),
                    ["company", "=", books.company],
                    ["posting_date", "=", day.isoformat()],
                    ["customer", "in", customers],
                ],
            ):
                for row in page:
                    found.setdefault(str(row["customer"]), []).append(_invoice_row(sale.doctype, row, policy))
        yield found


def _invoice_row(doctype: str, row: Row, policy: RoyaltyPolicy) -> InvoiceRow:
    name = str(row["name"])
    return InvoiceRow(
        BaseInvoice(
            name,
            str(row["customer"]),
            exact(row[policy.base.field]),
            bool(row["is_return"]),
            str(row["currency"]),
            exact(row[Base.GRAND_TOTAL.field]),
            newest=str(row["creation"]),
        ),
        Annotation(name, exact(row[RATE]), exact(row[SHARE]), str(row[ENTRY] or ""), doctype),
        str(row["modified"]),
    )


def _parts(counts: Mapping[str, int]) -> Iterator[list[str]]:
    """Customers in order, as many together as have about a page of invoices."""
    part: list[str] = []
    rows = 0
    for customer in sorted(counts):
        if part and rows + counts[customer] > PAGE:
            yield part
            part, rows = [], 0
        part.append(customer)
        rows += counts[customer]
    if part:
        yield part


def cancelled_since(site: Site, books: Books, day: date, since: Mapping[str, str]) -> dict[str, list[str]]:
    """The cancelled sales of `day` that say they bore royalty and were cancelled after a moment (site time), both by customer."""
    found: dict[str, list[str]] = defaultdict(list)
    for sale in SALE_DOCUMENTS:
        for row in rows_by_day(
            site,
            sale.doctype,
            ["name", "customer", "modified"],
            [
                ["docstatus", "=", CANCELLED],
                ["company", "=", books.company],
                ["posting_date", "=", day.isoformat()],
                ["customer", "in", sorted(since)],
                [ENTRY, "is", "set"],
                ["modified", ">", min(since.values())],
            ],
        ):
            if str(row["modified"]) > since[str(row["customer"])]:
                found[str(row["customer"])].append(str(row["name"]))
    return found


@dataclass(frozen=True, slots=True)
class AnnotationsWritten:
    """How writing annotations went.

    Attributes:
        failed: ERPNext's message for each invoice that could not be written.
        script_problem: why the site's Server Script did not write them although it should; empty otherwise.
    """

    failed: Mapping[str, str]
    script_problem: str = ""


def write_annotations(site: Site, annotations: Sequence[Annotation]) -> AnnotationsWritten:
    """Write them in batches: by the site's Server Script where the settings say so, and it can; else as documents.

    Raises:
        ERPNextError: of a batch, after those that were on their way have ended.
    """
    documents = [
        {
            "doctype": one.doctype,
            "docname": one.invoice,
            RATE: one.rate,
            SHARE: one.share,
            ENTRY: one.journal_entry,
        }
        for one in annotations
    ]
    if not site.settings.annotation_script:
        return AnnotationsWritten(
            _together(site.client.bulk_update, _cut(documents, BATCH, PARALLEL), PARALLEL)
        )
    problems: list[str] = []

    def by_script(batch: Sequence[Mapping[str, object]]) -> dict[str, str]:
        try:
            return annotation_script.annotate(site.client, batch)
        except Rejected as problem:  # nothing of the batch is stored
            problems.append(str(problem))
            refused: dict[str, str] = {}
            for part in _cut(batch, BATCH, 1):
                refused |= site.client.bulk_update(part)
            return refused

    failed = _together(by_script, _cut(documents, SCRIPT_BATCH, SCRIPT_PARALLEL), SCRIPT_PARALLEL)
    return AnnotationsWritten(failed, problems[0] if problems else "")


def _cut(
    documents: Sequence[Mapping[str, object]], most: int, parallel: int
) -> list[list[Mapping[str, object]]]:
    return [[documents[place] for place in batch] for batch in cut(len(documents), most, parallel)]


def _together(
    write: Callable[[Sequence[Mapping[str, object]]], dict[str, str]],
    batches: Sequence[Sequence[Mapping[str, object]]],
    parallel: int,
) -> dict[str, str]:
    """Write the batches, so many at a time; what was refused of all of them."""
    if len(batches) <= 1:
        return write(batches[0]) if batches else {}
    failed: dict[str, str] = {}
    with ThreadPoolExecutor(parallel, thread_name_prefix="annotation") as pool:
        try:
            for refused in pool.map(write, batches):
                failed |= refused
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return failed
