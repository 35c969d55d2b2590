"""The shares of royalties, read row by row from the entries that carry them, against the sales that they fall on.

Here: what each entry's rows must say, and what a sale shows of them. Not here: the amounts of the entries (``oracle``).
"""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from scoopjoy_dagster_tests.chaos.truth import Owed, Sales, Tables, paise, rupees
from scoopjoy_dagster_tests.chaos.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext


def rows_of(tables: Tables, entry: str) -> list[dict[str, Any]]:
    """The rows of an entry: `sale` (DocType and name), `base` and `share` in paise, `business_day`, `franchise`."""
    rows = tables.rows(
        "SELECT document_type, document, business_day, franchise, docstatus, royalty_base, royalty_share"
        " FROM \"tabRoyalty Share\" WHERE parent = ? AND parenttype = 'Journal Entry' ORDER BY idx",
        entry,
    )
    return [
        {
            **row,
            "sale": (row["document_type"], row["document"]),
            "base": paise(row["royalty_base"]),
            "share": paise(row["royalty_share"]),
        }
        for row in rows
    ]


def bases_of(rows: Sequence[dict[str, Any]]) -> Sales:
    """The base that these rows carry for each sale, in paise, without those that cancel out."""
    return _added(rows, "base")


def _added(rows: Sequence[dict[str, Any]], what: str) -> Sales:
    found: Sales = defaultdict(int)
    for row in rows:
        found[row["sale"]] += row[what]
    return {sale: amount for sale, amount in found.items() if amount}


def judge_rows(
    tables: Tables, day: date, customer: str, mine: Sequence[dict[str, Any]], amounts: Sequence[int]
) -> list[Verdict]:
    """Each entry's rows are of its franchise and day, and add up to what the ledger says of it.

    Args:
        tables: the site's database.
        day: the business day.
        customer: whose entries these are.
        mine: the entries, oldest first.
        amounts: what the ledger says of each, in paise.
    """
    found: list[Verdict] = []
    for entry, amount in zip(mine, amounts, strict=True):
        rows = rows_of(tables, entry["name"])
        carried = sum(row["share"] for row in rows)
        if carried != amount:
            what = f"the shares in {entry['name']} add up to {rupees(carried)}, not {rupees(amount)}"
            found.append(Verdict("difference", what, abs(carried - amount)))
        found += [
            Verdict("wrong", f"{entry['name']} has a row of {row['franchise']} on {row['business_day']}")
            for row in rows
            if (row["franchise"], row["business_day"], row["docstatus"]) != (customer, day.isoformat(), 1)
        ]
        if not amount and not any(row["share"] for row in rows):
            found.append(Verdict("duplicate", f"{entry['name']} moves nothing"))
    return found


def judge_sales(tables: Tables, customer: str, one: Owed, mine: Sequence[dict[str, Any]]) -> list[Verdict]:
    """Over all entries each sale has its base and its share, to the paisa, and what was cancelled has none."""
    rows = [row for entry in mine for row in rows_of(tables, entry["name"])]
    bases, shares = bases_of(rows), _added(rows, "share")
    if not mine or (one.kept and sum(bases.values()) != one.base):
        return []
    found: list[Verdict] = []
    for sale in sorted(one.invoices.keys() | bases.keys() | shares.keys()):
        base, carried, share = one.invoices.get(sale, 0), bases.get(sale, 0), shares.get(sale, 0)
        # What bears no paisa of royalty waits for the next entry.
        if abs(one.share(base - carried)) >= 1:
            what = (
                f"the base of {sale[1]} in the entries of {customer} is {rupees(carried)}, not {rupees(base)}"
            )
            found.append(Verdict("wrong", what))
        due = one.share(carried)
        if not one.merged and abs(share - due) >= 1:  # of merged ones, entries are at different rates
            what = f"the share of {sale[1]} is {rupees(share)}, due are {float(due) / 100:.4f}"
            found.append(Verdict("wrong", what))
    return found


def judge_shown(
    erpnext: SandboxERPNext, customer: str, one: Owed, mine: Sequence[dict[str, Any]]
) -> list[Verdict]:
    """What each sale shows of its royalty, as a person opens it: rate, share and entries."""
    tables, found = Tables(erpnext), list[Verdict]()
    rows = [{**row, "entry": entry["name"]} for entry in mine for row in rows_of(tables, entry["name"])]
    session = erpnext.session()
    for sale in one.invoices:
        own = [row for row in rows if row["sale"] == sale]
        with erpnext.site.db.lock:  # a killed run's last request may still be at work
            shown = session.load(*sale).shown()
        entries = ", ".join(sorted({row["entry"] for row in own}))
        share = sum(row["share"] for row in own)
        says = (paise(shown["custom_sale_royalty_share"]), shown["custom_sale_royalty_entry"])
        if says != (share, entries):
            what = f"{sale[1]} of {customer} shows {rupees(says[0])} by {says[1]}, not {rupees(share)} by {entries}"
            found.append(Verdict("wrong", what))
        rate = Fraction(str(shown["custom_sale_royalty_rate"]))
        if own and not one.merged and rate != one.rate:
            found.append(Verdict("wrong", f"{sale[1]} shows {float(rate)} %, not {float(one.rate)} %"))
    return found


def touched(tables: Tables) -> dict[tuple[str, str], str]:
    """When each sale was changed last that no close has to do with any more: none of a till, or consolidated ones."""
    return {
        (kind, row["name"]): str(row["modified"])
        for kind, only in (
            ("Sales Invoice", "coalesce(is_pos, 0) = 0 AND coalesce(is_consolidated, 0) = 0"),
            ("POS Invoice", "coalesce(consolidated_invoice, '') != ''"),
        )
        for row in tables.rows(f'SELECT name, modified FROM "tab{kind}" WHERE docstatus = 1 AND {only}')
    }
