"""Royalty entries that this program did not post: those of a pipeline that was there before it, or of a person. Reads only.

They carry no key of ours, so the close neither adopts nor counts them: a day that both post is charged twice. They are known
by what they book: the royalty income account, or a remark as a royalty's, and a franchise as party on another account.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import date
from decimal import Decimal

from scoopjoy_dagster.accounting.day_record import OtherRoyalty
from scoopjoy_dagster.accounting.money import ZERO, exact
from scoopjoy_dagster.accounting.royalties import CANCELLED
from scoopjoy_dagster.erpnext.client import KEY_FIELD, Client, Filter, Row
from scoopjoy_dagster.erpnext.site import Books, Site

REMARK = "Royalty for %"
ROWS = "Journal Entry Account"

NO_KEY: Filter = [KEY_FIELD, "is", "not set"]


def read_other_royalties(
    site: Site,
    books: Books,
    customers: Collection[str],
    first: date,
    last: date | None = None,
    *,
    no_key: Sequence[Filter] = (NO_KEY,),
) -> list[OtherRoyalty]:
    """Those of these customers that are posted from `first` to `last` (None: or later), oldest first.

    One list call where there is none, and one for their rows. An entry that a person amended from one of ours is ours.

    Args:
        site: the open site.
        books: the company, and the royalty income account.
        customers: the franchises.
        first: first posting date.
        last: last posting date.
        no_key: what tells that an entry is not ours; nothing before `scoopjoy setup`, when there is no such field.

    Raises:
        ERPNextError: the Journal Entries cannot be listed.
    """
    until: list[Filter] = [["posting_date", "<=", last.isoformat()]] if last else []
    heads = site.client.rows(
        "Journal Entry",
        ["name", "posting_date", "amended_from"],
        [
            ["docstatus", "=", 1],
            ["company", "=", books.company],
            ["posting_date", ">=", first.isoformat()],
            *until,
            *no_key,
        ],
        or_filters=[
            [ROWS, "account", "=", books.income_account],
            ["Journal Entry", "user_remark", "like", REMARK],
        ],
        order_by="posting_date asc, name asc",
    )
    amended = _amended_from_ours(site.client, heads) if no_key else set()
    days = {str(row["name"]): date.fromisoformat(str(row["posting_date"])) for row in heads}
    amounts: dict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)
    for row in site.client.rows(
        ROWS,
        ["parent", "party", "debit", "credit"],
        [
            ["parent", "in", [name for name in days if name not in amended]],
            ["parenttype", "=", "Journal Entry"],
            ["party_type", "=", "Customer"],
            ["party", "in", sorted(customers)],
            ["account", "!=", books.income_account],
        ],
        order_by="parent asc, idx asc",
        parent="Journal Entry",
    ):
        amounts[str(row["parent"]), str(row["party"])] += exact(row["debit"]) - exact(row["credit"])
    found = [
        OtherRoyalty(name, days[name], customer, amount)
        for (name, customer), amount in amounts.items()
        if amount
    ]
    return sorted(found, key=lambda one: (one.day, one.name, one.customer))


def read_royalty_invoices(
    site: Site, books: Books, customers: Collection[str], first: date
) -> dict[str, date]:
    """Sales Invoices to these customers, from `first` on, that book the royalty income account, by name.

    They bill the royalty itself: some pipelines do, where ours posts entries. They carry no remark, so the ledger of the account is
    looked at; two list calls.

    Raises:
        ERPNextError: the ledger or the invoices cannot be listed.
    """
    booked = site.client.rows(
        "GL Entry",
        ["voucher_no"],
        [
            ["account", "=", books.income_account],
            ["posting_date", ">=", first.isoformat()],
            ["voucher_type", "=", "Sales Invoice"],
            ["is_cancelled", "=", 0],
        ],
        group_by="voucher_no",
        order_by="voucher_no asc",
    )
    invoices = site.client.rows(
        "Sales Invoice",
        ["name", "posting_date"],
        [
            ["name", "in", [str(row["voucher_no"]) for row in booked]],
            ["customer", "in", sorted(customers)],
        ],
    )
    return {str(row["name"]): date.fromisoformat(str(row["posting_date"])) for row in invoices}


def _amended_from_ours(client: Client, heads: Sequence[Row]) -> set[str]:
    """Those that a person amended from an entry of ours: ERPNext leaves our key on the entry that was amended."""
    before = {str(row["name"]): str(row["amended_from"]) for row in heads if row["amended_from"]}
    ours: set[str] = set()
    while before:
        rows = client.rows(
            "Journal Entry",
            ["name", KEY_FIELD, "amended_from"],
            # v15 lets a client amend an entry that is not cancelled: that one is in the ledger besides ours.
            [["name", "in", sorted(set(before.values()))], ["docstatus", "=", CANCELLED]],
        )
        parents = {str(row["name"]): row for row in rows}
        ours |= {name for name, parent in before.items() if parents.get(parent, {}).get(KEY_FIELD)}
        before = {
            name: str(parents[parent]["amended_from"])
            for name, parent in before.items()
            if name not in ours and parents.get(parent, {}).get("amended_from")
        }
    return ours
