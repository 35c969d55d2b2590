"""Figures for the control totals.

They ask ERPNext again, and in another way than the close asks wherever there is one. Here: reads, each of one list call, and the
rows as the comparisons want them. Not here: what must be equal (`accounting.comparisons`). Nothing writes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from scoopjoy_dagster.accounting.comparisons import BookedRow, CustomerSales, ShiftFigures
from scoopjoy_dagster.accounting.money import ZERO, exact
from scoopjoy_dagster.accounting.past import week_before, week_begins, with_compared
from scoopjoy_dagster.accounting.policy import Base, RoyaltyPolicy
from scoopjoy_dagster.accounting.shifts import SUBMITTED, TillSale, unbooked_sales
from scoopjoy_dagster.erpnext import pos
from scoopjoy_dagster.erpnext.client import KEY_FIELD, Row
from scoopjoy_dagster.erpnext.royalty_entries import entry_rows, ledger_rows
from scoopjoy_dagster.erpnext.sale_documents import sale_rows
from scoopjoy_dagster.erpnext.sales_totals import summed
from scoopjoy_dagster.erpnext.site import Books, Site

# -- shifts -------------------------------------------------------------------------------------------------------


def shift_figures(site: Site, day: date) -> ShiftFigures:
    """Of a day: its shifts, their submitted closings, and the till sales that are in none.

    Four list calls, on v16+ five; one or two more where a sale is in no ledger: to say whether a closing has it.
    """
    day_of = site.day_end.day_of
    known = pos.openings(site, day, day)
    openings = [one for one in known if day_of(one.period_start) == day]
    counted = _shifts_counted(site, week_begins(day), day)
    closings = [one for one in pos.closing_rows(site, openings) if int(one.row["docstatus"]) == SUBMITTED]
    of_opening: dict[str, list[str]] = defaultdict(list)
    last = day  # a shift may end after its business day: its last sales are the next day's
    for closing in closings:
        of_opening[closing.opening].append(closing.name)
        end = day_of(datetime.fromisoformat(str(closing.row["period_end_date"])))
        last = min(max(last, end), day + pos.LOOK_AHEAD)
    sales = [one for one in pos.till_sales(site, day, last) if not one.is_draft]
    held = _closing_of(site, [one.name for one in closings], sales)
    free = [one for one in sales if one.name not in held]
    unbooked = unbooked_sales(free, known, site.day_end)
    lost = {one.name for group in unbooked for one in group.sales}
    names = {name for closings_of in of_opening.values() for name in closings_of}
    return ShiftFigures(
        openings,
        counted.get(day, {}),
        {profile for other in week_before(day) for profile in counted.get(other, ())},
        of_opening,
        {invoice: closing for invoice, closing in held.items() if closing in names},
        [one.name for one in free if day_of(one.posted_at) == day and one.name not in lost],
        [one for one in unbooked if one.day == day],
    )


def _closing_of(site: Site, closings: Sequence[str], sales: Sequence[TillSale]) -> dict[str, str]:
    """Which of these closings holds which of these sales: sale -> closing."""
    return {
        str(row[kind.named_in]): str(row["parent"])
        for kind in site.dialect.till_documents
        for row in site.client.rows(
            kind.rows,
            ["parent", kind.named_in],
            [
                ["parent", "in", list(closings)],
                ["parenttype", "=", "POS Closing Entry"],
                [kind.named_in, "in", [one.name for one in sales if one.doctype == kind.doctype]],
            ],
            order_by="parent asc, idx asc",
            parent="POS Closing Entry",
        )
    }


def _shifts_counted(site: Site, first: date, last: date) -> dict[date, Counter[str]]:
    """The shifts of each day by POS Profile, counted by the server."""
    counted: dict[date, Counter[str]] = defaultdict(Counter)
    for row in site.client.rows(
        "POS Opening Entry",
        ["period_start_date", "pos_profile", site.dialect.count("shifts")],
        [["docstatus", "=", 1], ["company", "=", site.company["name"]], *pos.began(site, first, last)],
        group_by="period_start_date, pos_profile",
        order_by="period_start_date asc",
    ):
        counted[pos.day_of(site, row)][str(row["pos_profile"])] += int(row["shifts"])
    return counted


# -- sales --------------------------------------------------------------------------------------------------------


def customer_sales(
    site: Site, books: Books, policy: RoyaltyPolicy, day: date
) -> dict[date, dict[str, CustomerSales]]:
    """The sales of a day and of all that it is compared with, by day and customer; two list calls.

    Counted and summed by the server for each day and customer.
    """
    rows = sale_rows(
        site,
        [
            "posting_date",
            "customer",
            site.dialect.count("invoices"),
            *(site.dialect.total(base.field, summed(base)) for base in Base),
        ],
        [
            ["company", "=", books.company],
            ["posting_date", "in", [one.isoformat() for one in with_compared(day)]],
        ],
        group_by="posting_date, customer",
        order_by="posting_date asc, customer asc",
    )
    found: dict[date, dict[str, CustomerSales]] = defaultdict(dict)
    for row in rows:
        of_day, customer = found[date.fromisoformat(str(row["posting_date"]))], str(row["customer"])
        known = of_day.get(customer, CustomerSales(0, ZERO, ZERO))
        of_day[customer] = CustomerSales(
            known.invoices + int(row["invoices"]),
            known.base + exact(row[summed(policy.base)]),
            known.sales + exact(row[summed(Base.GRAND_TOTAL)]),
        )
    return found


def franchises_among(site: Site, group: str, customers: Iterable[str]) -> dict[str, str]:
    """Those of these customers that are enabled and in the franchise group or below it: customer -> name."""
    rows = site.client.rows(
        "Customer",
        ["name", "customer_name"],
        [
            ["name", "in", sorted(customers)],
            ["customer_group", "descendants of (inclusive)", group],
            ["disabled", "=", 0],
        ],
    )
    return {str(row["name"]): str(row["customer_name"]) for row in rows}


# -- royalty entries ----------------------------------------------------------------------------------------------


def submitted_entries(site: Site, books: Books, first: date, last: date) -> dict[date, dict[str, str]]:
    """The submitted Journal Entries with our key of the business days from `first` to `last`: name -> key, by day."""
    found: dict[date, dict[str, str]] = defaultdict(dict)
    for day, row in entry_rows(site, books, first, last):
        if int(row["docstatus"]) == SUBMITTED:
            found[day][str(row["name"])] = str(row[KEY_FIELD])
    return found


def parties(site: Site, entries: Sequence[str]) -> dict[str, str]:
    """The customer in the rows of each of these Journal Entries."""
    rows = site.client.rows(
        "Journal Entry Account",
        ["parent", "party"],
        [
            ["parent", "in", list(entries)],
            ["parenttype", "=", "Journal Entry"],
            ["party_type", "=", "Customer"],
        ],
        order_by="parent asc, idx asc",
        parent="Journal Entry",
    )
    return {str(row["parent"]): str(row["party"]) for row in rows}


def journal_rows(site: Site, entries: Sequence[str]) -> list[BookedRow]:
    """The rows of these Journal Entries, in company currency; one list call."""
    rows = site.client.rows(
        "Journal Entry Account",
        ["parent", "account", "party", "debit", "credit"],
        [["parent", "in", list(entries)], ["parenttype", "=", "Journal Entry"]],
        order_by="parent asc, idx asc",
        parent="Journal Entry",
    )
    return [_booked(str(row["parent"]), row) for row in rows]


def booked_rows(site: Site, entries: Sequence[str]) -> list[BookedRow]:
    """What the general ledger holds of these Journal Entries, in company currency; cancelled rows left out."""
    return [
        _booked(str(row["voucher_no"]), row) for row in ledger_rows(site, entries) if not row["is_cancelled"]
    ]


def _booked(entry: str, row: Row) -> BookedRow:
    return BookedRow(
        entry, str(row["account"]), str(row["party"] or ""), exact(row["debit"]) - exact(row["credit"])
    )


@dataclass(frozen=True, slots=True)
class AccountKinds:
    """Which accounts are receivable accounts, and which are income accounts."""

    receivable: frozenset[str]
    income: frozenset[str]


def account_kinds(site: Site, books: Books, accounts: Iterable[str]) -> AccountKinds:
    """The kinds of these accounts; a list call only where there are others than those of the settings.

    An entry of a day before the settings were changed, or one that a person amended, may stand on another account:
    it is right if that is of the same kind.
    """
    receivable, income = {books.receivable_account}, {books.income_account}
    others = sorted(set(accounts) - receivable - income)
    rows = site.client.rows("Account", ["name", "account_type", "root_type"], [["name", "in", others]])
    return AccountKinds(
        frozenset(receivable | {str(row["name"]) for row in rows if row["account_type"] == "Receivable"}),
        frozenset(income | {str(row["name"]) for row in rows if row["root_type"] == "Income"}),
    )
