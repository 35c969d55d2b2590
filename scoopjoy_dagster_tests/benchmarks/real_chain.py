"""A franchise chain on a real ERPNext, made and cleared away through its REST API. For test sites.

It makes, under a prefix of its own for each run: a Customer Group below the root, so many Customers in it, one
non-stock Item, and submitted Sales Invoices. The program then closes those days for that group alone. Afterwards the
royalty entries and invoices are cancelled and the customers disabled; ERPNext lets nobody delete them, so they stay, as
do the day's records of reports and headquarters. Days that already have royalty entries of ours are refused: their
franchises would look like former ones.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from scoopjoy_dagster.accounting.keys import key_range
from scoopjoy_dagster.erpnext.client import KEY_FIELD, Client, Row
from scoopjoy_dagster.erpnext.errors import Rejected
from scoopjoy_dagster.erpnext.session import Session
from scoopjoy_dagster_tests.benchmarks.chain_of import RATES, Chain, amount_of

AT_ONCE = 50
"""Documents of a request; a Sales Invoice takes ERPNext 80 to 150 ms."""


@contextmanager
def built(site: Mapping[str, str], chain: Chain) -> Iterator[dict[str, str]]:
    """The chain on the site, for the length of the block. Yields the settings of a close of it."""
    keys = (site["ERPNEXT_API_KEY"], site["ERPNEXT_API_SECRET"])
    with Session(site["ERPNEXT_URL"], *keys, read_timeout_s=300) as session:
        client = Client(session)
        company = client.rows("Company", ["name", "abbr"], [])[0]
        _refuse_used_days(client, str(company["name"]), chain)
        prefix = f"Benchmark {uuid.uuid4().hex[:8]}"
        customers, group = _masters(client, prefix, chain)
        try:
            _invoices(client, str(company["name"]), prefix, customers, chain)
            yield {
                "SCOOPJOY_COMPANY": str(company["name"]),
                "BENCHMARK_ABBR": str(company["abbr"]),
                "SCOOPJOY_FRANCHISE_GROUP": group,
            }
        finally:
            _clear(client, customers)


def _refuse_used_days(client: Client, company: str, chain: Chain) -> None:
    lowest, after = key_range("royalty", company, chain.first, chain.last)
    if client.rows("Journal Entry", ["name"], [[KEY_FIELD, ">=", lowest], [KEY_FIELD, "<", after]]):
        message = f"some day from {chain.first} to {chain.last} has royalty entries; give an earlier --day"
        raise RuntimeError(message)


def _masters(client: Client, prefix: str, chain: Chain) -> tuple[list[str], str]:
    root = client.rows("Customer Group", ["name"], [["is_group", "=", 1]], order_by="lft asc")[0]["name"]
    territory = client.rows("Territory", ["name"], [["is_group", "=", 1]], order_by="lft asc")[0]["name"]
    items = client.rows("Item Group", ["name"], [["is_group", "=", 0]])[0]["name"]
    group = str(
        client.insert("Customer Group", {"customer_group_name": prefix, "parent_customer_group": root})[
            "name"
        ]
    )
    client.insert(
        "Item",
        {
            "item_code": prefix,
            "item_name": prefix,
            "item_group": items,
            "is_stock_item": 0,
            "stock_uom": "Nos",
        },
    )
    customers = _insert_many(
        client,
        [
            {
                "doctype": "Customer",
                "customer_name": f"{prefix} {place:04}",
                "customer_group": group,
                "territory": territory,
                "custom_royalty_percentage": RATES[place % len(RATES)],
            }
            for place in range(chain.franchises)
        ],
    )
    return customers, group


def _invoices(client: Client, company: str, item: str, customers: Sequence[str], chain: Chain) -> None:
    _insert_many(
        client,
        [
            {
                "doctype": "Sales Invoice",
                "company": company,
                "customer": customer,
                "set_posting_time": 1,
                "posting_date": day.isoformat(),
                "due_date": day.isoformat(),
                "items": [{"item_code": item, "qty": 1, "rate": amount_of(day, place, number)}],
                "docstatus": 1,
            }
            for day in chain.days
            for place, customer in enumerate(customers)
            for number in range(chain.invoices)
        ],
    )


def _insert_many(client: Client, docs: Sequence[Row]) -> list[str]:
    names: list[str] = []
    for first in range(0, len(docs), AT_ONCE):
        batch: dict[str, Any] = {"docs": list(docs[first : first + AT_ONCE])}
        names += client.call(
            "frappe.client.insert_many", batch, doing="insert the benchmark's documents", kind="write"
        )
    return names


def _clear(client: Client, customers: Sequence[str]) -> None:
    """Cancel what was posted for these customers, newest first, and disable them."""
    entries = {
        str(row["voucher_no"])
        for row in client.rows(
            "GL Entry",
            ["name", "voucher_no"],
            [
                ["voucher_type", "=", "Journal Entry"],
                ["party", "in", list(customers)],
                ["is_cancelled", "=", 0],
            ],
        )
    }
    invoices = [
        str(row["name"])
        for row in client.rows(
            "Sales Invoice", ["name"], [["customer", "in", list(customers)], ["docstatus", "=", 1]]
        )
    ]
    # The invoices link to the entries, so they go first.
    for doctype, names in (("Sales Invoice", invoices), ("Journal Entry", sorted(entries))):
        for name in names:
            try:
                client.call(
                    "frappe.client.cancel",
                    {"doctype": doctype, "name": name},
                    doing=f"cancel {name}",
                    kind="write",
                )
            except Rejected as problem:
                raise RuntimeError(f"the benchmark could not clear {name} away: {problem}") from None
    for customer in customers:
        client.update("Customer", customer, {"disabled": 1})
