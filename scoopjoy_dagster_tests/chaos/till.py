"""Judges the till: every shift closed once, every POS Invoice booked once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from scoopjoy_dagster_tests.chaos.truth import Tables, paise, rupees, shifts
from scoopjoy_dagster_tests.chaos.verdict import Verdict

if TYPE_CHECKING:
    from datetime import date


def judge_till(tables: Tables, day: date) -> list[Verdict]:
    """Everything that is not right about the shifts of a settled day and what they book."""
    found: list[Verdict] = []
    for shift in shifts(tables, day):
        closings = tables.rows(
            'SELECT name, docstatus, status, grand_total FROM "tabPOS Closing Entry" WHERE pos_opening_entry = ?',
            shift.opening,
        )
        submitted = [one for one in closings if one["docstatus"] == 1]
        if not submitted:
            found.append(Verdict("lost", f"{shift.opening} of {day} has no submitted closing"))
        found += [
            Verdict("duplicate", f"{one['name']} closes {shift.opening} again") for one in submitted[1:]
        ]
        found += [
            Verdict("duplicate", f"the draft {one['name']} of {shift.opening} is left")
            for one in closings
            if one["docstatus"] == 0
        ]
        for one in submitted[:1]:
            due = shift.due
            if one["status"] != "Submitted":
                found.append(Verdict("wrong", f"{one['name']} is {one['status']}"))
            if paise(one["grand_total"]) != due:
                short = abs(paise(one["grand_total"]) - due)
                found.append(Verdict("difference", f"the sales of {one['name']} are {rupees(due)}", short))
        for invoice, amount in shift.invoices.items():
            found += _consolidated(tables, invoice, amount)
        for invoice, amount in shift.booked.items():
            found += _marked(tables, invoice, amount, [one["name"] for one in submitted])
    return [*found, *_consolidations(tables)]


def _consolidated(tables: Tables, invoice: str, amount: int) -> list[Verdict]:
    """A POS Invoice is in one submitted closing, in one merge log, and booked by one submitted Sales Invoice."""
    booked = tables.names(
        'SELECT s.name FROM "tabPOS Invoice" p JOIN "tabSales Invoice" s ON s.name = p.consolidated_invoice'
        " WHERE p.name = ? AND s.docstatus = 1",
        invoice,
    )
    found = [] if booked else [Verdict("lost", f"{invoice} is not consolidated", abs(amount))]
    for parent in ("POS Closing Entry", "POS Invoice Merge Log"):
        places = tables.names(
            'SELECT parent FROM "tabPOS Invoice Reference" WHERE parenttype = ? AND pos_invoice = ? AND docstatus = 1',
            parent,
            invoice,
        )
        if not places:
            found.append(Verdict("lost", f"{invoice} is in no submitted {parent}", abs(amount)))
        if len(places) > 1:
            found.append(Verdict("duplicate", f"{invoice} is in {', '.join(sorted(places))}", abs(amount)))
    return found


def _marked(tables: Tables, invoice: str, amount: int, closings: list[str]) -> list[Verdict]:
    """A Sales Invoice of a till is in one submitted closing, that of its shift, and says so."""
    places = tables.names(
        "SELECT parent FROM \"tabSales Invoice Reference\" WHERE parenttype = 'POS Closing Entry'"
        " AND sales_invoice = ? AND docstatus = 1",
        invoice,
    )
    said = tables.names('SELECT pos_closing_entry FROM "tabSales Invoice" WHERE name = ?', invoice)
    if places == closings == said:
        return []
    what = f"{invoice} is in {', '.join(places) or 'no closing'} and says {said[0]}, its shift has {', '.join(closings)}"
    return [Verdict("duplicate" if len(places) > 1 else "lost", what, abs(amount))]


def _consolidations(tables: Tables) -> list[Verdict]:
    """What a consolidated Sales Invoice books is the sum of its POS Invoices."""
    rows = tables.rows(
        'SELECT s.name, s.base_grand_total AS booked, p.base_grand_total AS sold FROM "tabSales Invoice" s'
        ' JOIN "tabPOS Invoice" p ON p.consolidated_invoice = s.name WHERE s.docstatus = 1'
    )
    sold: Counter[str] = Counter()
    booked: dict[str, int] = {}
    for row in rows:
        sold[row["name"]] += paise(row["sold"])
        booked[row["name"]] = paise(row["booked"])
    found = [
        Verdict(
            "difference",
            f"{name} books {rupees(amount)} for sales of {rupees(sold[name])}",
            abs(amount - sold[name]),
        )
        for name, amount in sorted(booked.items())
        if amount != sold[name]
    ]
    empty = tables.names(
        'SELECT name FROM "tabSales Invoice" s WHERE is_consolidated = 1 AND docstatus = 1'
        ' AND NOT EXISTS (SELECT 1 FROM "tabPOS Invoice" p WHERE p.consolidated_invoice = s.name)'
    )
    return [*found, *(Verdict("duplicate", f"{name} consolidates nothing") for name in empty)]
