"""What locks days of the books on the site, read into `accounting.locks`."""

from __future__ import annotations

from datetime import date

from scoopjoy_dagster.accounting.locks import Locks, Span
from scoopjoy_dagster.erpnext.errors import NotFound
from scoopjoy_dagster.erpnext.site import Site


def read_locks(site: Site) -> Locks:
    """The locks of the company's books.

    Raises:
        ERPNextError: something of it may not be read (the role Accounts Manager may read all).
    """
    company = str(site.company["name"])
    periods = site.client.rows(
        "Accounting Period",
        ["name", "start_date", "end_date"],
        [
            ["company", "=", company],
            ["Closed Document", "document_type", "=", "Journal Entry"],
            ["Closed Document", "closed", "=", 1],
        ],
    )
    years = site.client.rows(
        "Fiscal Year", ["name", "year_start_date", "year_end_date"], [["disabled", "=", 0]]
    )
    return Locks(
        frozen_upto=site.dialect.books_frozen_until(site.client, company),
        closed_upto=_closed_upto(site, company),
        closed_periods=tuple(_span(row, "start_date", "end_date") for row in periods),
        years=tuple(_span(row, "year_start_date", "year_end_date") for row in years),
    )


def _closed_upto(site: Site, company: str) -> date | None:
    """The end of the last Period Closing Voucher. Its field was called `posting_date` in earlier releases of v15."""
    doctype = "Period Closing Voucher"
    try:
        found = site.client.rows(doctype, ["name"], [["company", "=", company], ["docstatus", "=", 1]])
    except NotFound:
        return None
    documents = [site.client.get(doctype, str(row["name"])) for row in found]
    ends = [one.get("period_end_date") or one.get("posting_date") for one in documents]
    return max((date.fromisoformat(str(end)) for end in ends if end), default=None)


def _span(row: dict[str, object], first: str, last: str) -> Span:
    return Span(str(row["name"]), date.fromisoformat(str(row[first])), date.fromisoformat(str(row[last])))
