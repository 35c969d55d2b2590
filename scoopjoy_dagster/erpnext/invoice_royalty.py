"""Sales Invoices that carry their royalty: rate, share and Journal Entry, written after submit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from scoopjoy_dagster.accounting.money import exact
from scoopjoy_dagster.erpnext.site import Site

RATE = "custom_royalty_rate"
SHARE = "custom_royalty_share"
ENTRY = "custom_royalty_journal_entry"

BATCH = 50
"""Documents per `bulk_update`: at about 43 ms each a batch stays far below a proxy's timeout."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a Sales Invoice says of its royalty: rate in percent, share in INR, name of the Journal Entry."""

    invoice: str
    rate: Decimal
    share: Decimal
    journal_entry: str


def read_annotations(site: Site, company: str, day: date) -> dict[str, Annotation]:
    """What the submitted Sales Invoices of `day` carry, by invoice. One without a Journal Entry carries nothing."""
    rows = site.client.rows(
        "Sales Invoice",
        ["name", RATE, SHARE, ENTRY],
        [
            ["docstatus", "=", 1],
            ["company", "=", company],
            ["posting_date", "=", day.isoformat()],
            [ENTRY, "is", "set"],
        ],
    )
    return {
        str(row["name"]): Annotation(
            str(row["name"]), exact(row[RATE]), exact(row[SHARE]), str(row[ENTRY] or "")
        )
        for row in rows
    }


def annotated_invoices(site: Site, entries: Sequence[str]) -> dict[str, list[str]]:
    """The invoices, cancelled ones included, that say they bore the royalty of these Journal Entries, by entry."""
    rows = site.client.rows(
        "Sales Invoice", ["name", ENTRY], [[ENTRY, "in", list(entries)], ["docstatus", "in", [1, 2]]]
    )
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        found[str(row[ENTRY])].append(str(row["name"]))
    return found


def write_annotations(site: Site, annotations: Sequence[Annotation]) -> dict[str, str]:
    """Write them, in batches. Returns ERPNext's message for each invoice that could not be saved."""
    failed: dict[str, str] = {}
    for start in range(0, len(annotations), BATCH):
        failed |= site.client.bulk_update(
            [
                {
                    "doctype": "Sales Invoice",
                    "docname": one.invoice,
                    RATE: one.rate,
                    SHARE: one.share,
                    ENTRY: one.journal_entry,
                }
                for one in annotations[start : start + BATCH]
            ]
        )
    return failed
