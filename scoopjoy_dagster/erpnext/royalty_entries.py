"""Royalties on the site: franchises, the invoices they are due on, and their Journal Entries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal

from scoopjoy_dagster.accounting.keys import day_prefix, normalised
from scoopjoy_dagster.accounting.money import ZERO, exact
from scoopjoy_dagster.accounting.policy import Base, RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import CANCELLED, Action, BaseInvoice, Franchise, PostedEntry
from scoopjoy_dagster.erpnext.client import DIGEST_FIELD, KEY_FIELD, Row, Written
from scoopjoy_dagster.erpnext.site import Books, Site

RATE_FIELD = "custom_royalty_percentage"
EXEMPT_FIELD = "custom_royalty_exempt"
ENTRY_BASE_FIELD = "custom_royalty_base"
ENTRY_RATE_FIELD = "custom_royalty_rate"
ENTRY_POLICY_FIELD = "custom_royalty_policy"
ENTRY_ADJUSTS_FIELD = "custom_scoopjoy_adjusts"


def franchises(site: Site, group: str) -> list[Franchise]:
    """Enabled Customers in the franchise group or in any group below it, in order of name."""
    rows = site.client.rows(
        "Customer",
        ["name", "customer_name", RATE_FIELD, EXEMPT_FIELD],
        [["customer_group", "descendants of (inclusive)", group], ["disabled", "=", 0]],
    )
    return [
        Franchise(
            str(row["name"]), str(row["customer_name"]), exact(row[RATE_FIELD]), bool(row[EXEMPT_FIELD])
        )
        for row in rows
    ]


def base_invoices(
    site: Site, books: Books, policy: RoyaltyPolicy, customers: Iterable[Franchise], day: date
) -> list[BaseInvoice]:
    """Submitted Sales Invoices of `day` to these franchises, returns included with their sign."""
    rows = site.client.rows(
        "Sales Invoice",
        ["name", "customer", *sorted({policy.base.field, Base.GRAND_TOTAL.field}), "is_return", "currency"],
        [
            ["docstatus", "=", 1],
            ["company", "=", books.company],
            ["posting_date", "=", day.isoformat()],
            ["customer", "in", [one.customer for one in customers]],
        ],
    )
    return [
        BaseInvoice(
            str(row["name"]),
            str(row["customer"]),
            exact(row[policy.base.field]),
            bool(row["is_return"]),
            str(row["currency"]),
            exact(row[Base.GRAND_TOTAL.field]),
        )
        for row in rows
    ]


def posted_entries(site: Site, books: Books, day: date) -> list[PostedEntry]:
    """Our royalty entries of `day` with what the ledger holds of them, cancelled ones included.

    A cancelled entry that a person amended counts as its amendment: ERPNext leaves our key on the cancelled one.
    """
    prefix = day_prefix("royalty", books.company, day)
    rows = [
        row
        for row in site.client.rows(
            "Journal Entry",
            ["name", "docstatus", KEY_FIELD, DIGEST_FIELD],
            [[KEY_FIELD, "like", f"{prefix}%"]],
        )
        if normalised(str(row[KEY_FIELD])).startswith(normalised(prefix))
    ]
    heirs = _amendments(site, [str(row["name"]) for row in rows if int(row["docstatus"]) == CANCELLED])
    current = {str(row["name"]): heirs.get(str(row["name"]), row) for row in rows}
    amounts = _ledger_amounts(site, [str(row["name"]) for row in current.values()])
    return [
        PostedEntry(
            name=str(current[str(row["name"])]["name"]),
            key=str(row[KEY_FIELD]),
            docstatus=int(current[str(row["name"])]["docstatus"]),
            amount=amounts.get(str(current[str(row["name"])]["name"]), ZERO),
            digest=str(row[DIGEST_FIELD] or ""),
        )
        for row in rows
    ]


def _amendments(site: Site, cancelled: Sequence[str]) -> dict[str, Row]:
    """For each cancelled entry that was amended: the last amendment of the chain."""
    heirs: dict[str, Row] = {}
    origin = {name: name for name in cancelled}
    while origin:
        rows = site.client.rows(
            "Journal Entry", ["name", "docstatus", "amended_from"], [["amended_from", "in", sorted(origin)]]
        )
        found: dict[str, str] = {}
        for row in rows:
            first = origin[str(row["amended_from"])]
            heirs[first] = row
            if int(row["docstatus"]) == CANCELLED:
                found[str(row["name"])] = first
        origin = found
    return heirs


def _ledger_amounts(site: Site, entries: Sequence[str]) -> dict[str, Decimal]:
    """What the general ledger says that customers owe by each Journal Entry: debit minus credit, in INR."""
    rows = site.client.rows(
        "GL Entry",
        ["name", "voucher_no", "debit", "credit"],
        [
            ["voucher_type", "=", "Journal Entry"],
            ["voucher_no", "in", list(entries)],
            ["party_type", "=", "Customer"],
            ["is_cancelled", "=", 0],
        ],
    )
    amounts: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for row in rows:
        amounts[str(row["voucher_no"])] += exact(row["debit"]) - exact(row["credit"])
    return amounts


def entry_document(site: Site, books: Books, action: Action, day: date) -> Row:
    """The Journal Entry of an action: the party on the receivable row only, the cost center sent, submitted at once.

    A negative amount swaps the sides; ERPNext would take a negative debit silently.
    """
    royalty = action.royalty
    remark = f"Royalty for {royalty.customer_name} on {day.isoformat()}"
    if action.adjusts:
        remark += f" (adjustment of {action.adjusts}: {action.reason})"
    owes = action.amount > 0
    side, other = ("debit", "credit") if owes else ("credit", "debit")
    amount = abs(action.amount)
    document: Row = {
        "voucher_type": "Journal Entry",
        "company": books.company,
        "posting_date": day.isoformat(),
        "docstatus": 1,
        KEY_FIELD: action.key,
        DIGEST_FIELD: action.digest,
        ENTRY_BASE_FIELD: royalty.base,
        ENTRY_RATE_FIELD: royalty.rate,
        ENTRY_POLICY_FIELD: royalty.policy_version,
        **site.dialect.remark(remark),
        "accounts": [
            {
                "account": books.receivable_account,
                "party_type": "Customer",
                "party": royalty.customer,
                "cost_center": books.cost_center,
                f"{side}_in_account_currency": amount,
            },
            {
                "account": books.income_account,
                "cost_center": books.cost_center,
                f"{other}_in_account_currency": amount,
            },
        ],
    }
    if action.adjusts:
        document[ENTRY_ADJUSTS_FIELD] = action.adjusts
    if books.naming_series:
        document["naming_series"] = books.naming_series
    return document


def post_entry(site: Site, books: Books, action: Action, day: date) -> Written:
    """Insert and submit the entry of an action, exactly once."""
    return site.client.insert_once(
        "Journal Entry", entry_document(site, books, action, day), label=action.royalty.customer_name
    )


def royalties_by_day(site: Site, books: Books, start: date, end: date) -> dict[date, Decimal]:
    """Royalties in the ledger for each business day in [start, end], adjustments included, in INR."""
    rows = site.client.rows(
        "Journal Entry",
        ["name", "posting_date"],
        [
            ["docstatus", "=", 1],
            ["posting_date", "between", [start.isoformat(), end.isoformat()]],
            ["company", "=", books.company],
            [KEY_FIELD, "like", "royalty:%"],
        ],
    )
    amounts = _ledger_amounts(site, [str(row["name"]) for row in rows])
    days: dict[date, Decimal] = defaultdict(lambda: ZERO)
    for row in rows:
        days[date.fromisoformat(str(row["posting_date"]))] += amounts.get(str(row["name"]), ZERO)
    return days


def sales_by_day(
    site: Site, books: Books, policy: RoyaltyPolicy, customers: Iterable[Franchise], start: date, end: date
) -> dict[date, Decimal]:
    """Base of all franchises for each business day in [start, end], in INR; one grouped list call."""
    rows = site.client.rows(
        "Sales Invoice",
        ["posting_date", site.dialect.total(policy.base.field, "base")],
        [
            ["docstatus", "=", 1],
            ["company", "=", books.company],
            ["posting_date", "between", [start.isoformat(), end.isoformat()]],
            ["customer", "in", [one.customer for one in customers]],
        ],
        group_by="posting_date",
        order_by="posting_date asc",
    )
    return {date.fromisoformat(str(row["posting_date"])): exact(row["base"]) for row in rows}
