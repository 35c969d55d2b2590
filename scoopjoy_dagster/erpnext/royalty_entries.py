"""Royalties on the site: franchises, the invoices they are due on, and their Journal Entries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from scoopjoy_dagster.accounting.keys import day_of_key, key_range, normalised
from scoopjoy_dagster.accounting.money import ZERO, exact
from scoopjoy_dagster.accounting.royalties import (
    CANCELLED,
    SUBMITTED,
    Action,
    FormerFranchise,
    Franchise,
    PostedEntry,
)
from scoopjoy_dagster.erpnext import royalty_shares
from scoopjoy_dagster.erpnext.client import DIGEST_FIELD, KEY_FIELD, POLICY_FIELD, RUN_FIELD, Filter, Row
from scoopjoy_dagster.erpnext.site import Books, Site

RATE_FIELD = "custom_royalty_percentage"
EXEMPT_FIELD = "custom_royalty_exempt"
ENTRY_BASE_FIELD = "custom_royalty_base"
ENTRY_RATE_FIELD = "custom_royalty_rate"
ENTRY_TERMS_FIELD = "custom_royalty_terms"
ENTRY_ADJUSTS_FIELD = "custom_scoopjoy_adjusts"
ENTRY_REASON_FIELD = "custom_scoopjoy_reason"

PARTY_ACCOUNTS = ("accounts.company", "accounts.account")
"""The rows of a Customer, or of a Customer Group, that name its receivable account in a company."""


def franchises(site: Site, group: str) -> list[Franchise]:
    """Enabled Customers in the franchise group or in any group below it, in order of name."""
    # A row for each account that a customer has of its own.
    rows = {str(row["name"]): row for row in franchise_rows(site, group)}
    return [
        Franchise(name, str(row["customer_name"]), exact(row[RATE_FIELD]), bool(row[EXEMPT_FIELD]))
        for name, row in rows.items()
    ]


def franchise_rows(site: Site, group: str) -> list[Row]:
    """`customer_rows` of the franchises; one list call, answered by what was read before where nothing was written since."""
    return customer_rows(
        site, [["customer_group", "descendants of (inclusive)", group], ["disabled", "=", 0]]
    )


def customer_rows(site: Site, filters: Sequence[Filter]) -> list[Row]:
    """Customers joined with the receivable accounts that they have of their own, of all companies, in order of name."""
    return site.client.rows(
        "Customer",
        ["name", "customer_name", "customer_group", RATE_FIELD, EXEMPT_FIELD, *PARTY_ACCOUNTS],
        filters,
        remember=True,
    )


ENTRY_FIELDS = [
    "name",
    "docstatus",
    "posting_date",
    KEY_FIELD,
    DIGEST_FIELD,
    RUN_FIELD,
    ENTRY_BASE_FIELD,
    ENTRY_RATE_FIELD,
    POLICY_FIELD,
    ENTRY_TERMS_FIELD,
    ENTRY_ADJUSTS_FIELD,
    ENTRY_REASON_FIELD,
    "creation",
]


def entries_between(
    site: Site, books: Books, first: date, last: date, *, since: date | None = None
) -> dict[date, list[PostedEntry]]:
    """Our royalty entries of the business days from `first` to `last` with what the ledger holds, by business day.

    The day is the key's: an entry for a locked day is posted on a later one. A cancelled entry that a person amended
    counts as its amendment: ERPNext leaves our key on the cancelled one. With `since` the list is the one that `entry_rows`
    has read from that day on.
    """
    rows = [one for one in entry_rows(site, books, since or first, last) if one[0] >= first]
    heirs = _amendments(site, [str(row["name"]) for _, row in rows if int(row["docstatus"]) == CANCELLED])
    current = [(day, row, heirs.get(str(row["name"]), row)) for day, row in rows]
    ledger = _ledger(site, [str(now["name"]) for _, _, now in current])
    found: dict[date, list[PostedEntry]] = defaultdict(list)
    for day, row, now in current:
        found[day].append(_posted(row, now, ledger.get(str(now["name"]))))
    return found


def entry_rows(site: Site, books: Books, first: date, last: date) -> list[tuple[date, Row]]:
    """Our royalty entries of the business days from `first` to `last`, each with its day; one list call."""
    lowest, after = key_range("royalty", books.company, first, last)
    found = site.client.rows(
        "Journal Entry",
        ENTRY_FIELDS,
        [["company", "=", books.company], [KEY_FIELD, ">=", lowest], [KEY_FIELD, "<", after]],
        remember=True,
    )
    days = ((day_of_key(str(row[KEY_FIELD]), "royalty", books.company), row) for row in found)
    # The keys of other companies may sort in between.
    return [(day, row) for day, row in days if day is not None and first <= day <= last]


def _posted(row: Row, now: Row, booked: LedgerSide | None) -> PostedEntry:
    """An entry from its own row, its last amendment (or itself), and its side of the ledger."""
    return PostedEntry(
        name=str(now["name"]),
        key=str(row[KEY_FIELD]),
        docstatus=int(now["docstatus"]),
        amount=booked.amount if booked else ZERO,
        digest=str(row[DIGEST_FIELD] or ""),
        customer=booked.customer if booked else "",
        booked=booked is not None,
        base=exact(row[ENTRY_BASE_FIELD]),
        rate=exact(row[ENTRY_RATE_FIELD]),
        policy=str(row[POLICY_FIELD] or ""),
        posting_date=date.fromisoformat(str(now["posting_date"])),
        reason=str(row[ENTRY_REASON_FIELD] or ""),
        run=str(row[RUN_FIELD] or ""),
        terms=str(row[ENTRY_TERMS_FIELD] or ""),
        adjusts=str(row[ENTRY_ADJUSTS_FIELD] or ""),
        created=str(row["creation"]),
        account=booked.account if booked else "",
        amended=row is not now,
    )


def _amendments(site: Site, cancelled: Sequence[str]) -> dict[str, Row]:
    """For each cancelled entry that was amended: the last amendment of the chain."""
    heirs: dict[str, Row] = {}
    origin = {name: name for name in cancelled}
    while origin:
        rows = site.client.rows(
            "Journal Entry",
            ["name", "docstatus", "posting_date", "amended_from"],
            [["amended_from", "in", sorted(origin)]],
            remember=True,
        )
        found: dict[str, str] = {}
        for row in rows:
            first = origin[str(row["amended_from"])]
            heirs[first] = row
            if int(row["docstatus"]) == CANCELLED:
                found[str(row["name"])] = first
        origin = found
    return heirs


@dataclass(frozen=True, slots=True)
class LedgerSide:
    """What the general ledger says of one Journal Entry: its customer, on which account, and what that owes by it, in INR."""

    customer: str
    amount: Decimal
    account: str


def ledger_rows(site: Site, entries: Iterable[str]) -> list[Row]:
    """The rows of these Journal Entries in the general ledger, both sides, those of cancelled entries too; one list call."""
    return site.client.rows(
        "GL Entry",
        ["name", "voucher_no", "account", "party_type", "party", "debit", "credit", "is_cancelled"],
        [["voucher_type", "=", "Journal Entry"], ["voucher_no", "in", sorted(set(entries))]],
        remember=True,
    )


def _ledger(site: Site, entries: Iterable[str]) -> dict[str, LedgerSide]:
    """The customers' side of Journal Entries: debit minus credit. A cancelled one owes nothing but keeps its customer."""
    amounts: dict[str, Decimal] = defaultdict(lambda: ZERO)
    customers: dict[str, tuple[str, str]] = {}
    for row in ledger_rows(site, entries):
        if row["party_type"] != "Customer":
            continue
        voucher = str(row["voucher_no"])
        customers[voucher] = str(row["party"]), str(row["account"])
        amounts[voucher] += ZERO if row["is_cancelled"] else exact(row["debit"]) - exact(row["credit"])
    return {
        voucher: LedgerSide(customer, amounts[voucher], account)
        for voucher, (customer, account) in customers.items()
    }


def former_franchises(
    site: Site, customers: Iterable[Franchise], entries: Iterable[PostedEntry], group: str
) -> list[FormerFranchise]:
    """Customers of submitted entries that are none of the franchises now, each seen for itself.

    A customer is only taken for a former franchise when its own record says why: a list that came back short must
    not make us take a royalty back.
    """
    known = {normalised(one.customer) for one in customers}
    missing = sorted(
        {
            one.customer
            for one in entries
            if one.docstatus == SUBMITTED and one.customer and normalised(one.customer) not in known
        }
    )
    rows = site.client.rows(
        "Customer",
        ["name", "customer_name", "disabled", "customer_group"],
        [["name", "in", missing]],
        remember=True,
    )
    if not rows:
        return []
    groups = {
        str(row["name"])
        for row in site.client.rows(
            "Customer Group", ["name"], [["name", "descendants of (inclusive)", group]], remember=True
        )
    }
    found = []
    for row in rows:
        name, inside = str(row["customer_name"]), str(row["customer_group"]) in groups
        if row["disabled"]:
            found.append(FormerFranchise(str(row["name"]), name, "the customer is disabled"))
        elif not inside:
            why = f"the customer is in the group {row['customer_group']} now"
            found.append(FormerFranchise(str(row["name"]), name, why))
    return found


def entry_document(
    site: Site, books: Books, action: Action, day: date, posting_date: date, locked: str = ""
) -> Row:
    """The Journal Entry of an action with its shares: the party on the receivable row only, the cost center sent, submitted at once.

    `posting_date` is the business day `day`, or a later one because of `locked`, why nothing can be posted on it.
    A negative amount swaps the sides; ERPNext would take a negative debit silently. An adjustment of 0.00 debits and credits the
    franchise with the shares that it moves: ERPNext refuses an entry without amounts.
    """
    royalty = action.royalty
    remark = f"Royalty for {royalty.customer_name} on {day.isoformat()}"
    if action.adjusts:
        remark += f" (adjustment of {action.adjusts}: {action.reason})"
    reason = action.reason
    if posting_date != day:
        late = f"posted on {posting_date.isoformat()} because {locked}"
        remark, reason = f"{remark}, {late}", f"{reason}; {late}"
    side, other = ("credit", "debit") if action.amount < 0 else ("debit", "credit")
    amount = abs(action.amount) or sum((one.share for one in action.shares if one.share > 0), ZERO)
    party: Row = {
        **books.entry_fields.rows,
        # An adjustment clears the account that the first entry is on, whichever is the party's now.
        "account": (action.entries[0].account if action.entries else "")
        or books.receivable(royalty.customer),
        "party_type": "Customer",
        "party": royalty.customer,
        "cost_center": books.cost_center,
    }
    income: Row = {
        **books.entry_fields.rows,
        "account": books.income_account,
        "cost_center": books.cost_center,
    }
    document: Row = {
        **books.entry_fields.entry,
        "voucher_type": "Journal Entry",
        "company": books.company,
        "posting_date": posting_date.isoformat(),
        "docstatus": 1,
        KEY_FIELD: action.key,
        DIGEST_FIELD: action.digest,
        ENTRY_BASE_FIELD: royalty.own_base,
        ENTRY_RATE_FIELD: royalty.rate,
        ENTRY_TERMS_FIELD: royalty.terms,
        POLICY_FIELD: royalty.policy_version,
        ENTRY_REASON_FIELD: reason,
        **site.dialect.remark(remark),
        "accounts": [
            {**party, f"{side}_in_account_currency": amount},
            {**(income if action.amount else party), f"{other}_in_account_currency": amount},
        ],
        royalty_shares.TABLE: royalty_shares.table_rows(action.shares, day, royalty.customer),
    }
    if action.adjusts:
        document[ENTRY_ADJUSTS_FIELD] = action.adjusts
    return document
