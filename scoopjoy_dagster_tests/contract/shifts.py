"""A counter with a POS Profile, the cashier's shifts on it, and the closing of a shift the way that ERPNext's own page does it.

The closing recipe here is a statement about ERPNext (POS Closing Entry computes and checks no totals, so the client
must), independent of the one in scoopjoy_dagster.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .books import RATE, TAX_PERCENT
from .lines import V15, V16
from .site import patiently

if TYPE_CHECKING:
    from .books import Books
    from .site import Answer, Caller, Site

_MODULE = "erpnext.accounts.doctype.pos_closing_entry.pos_closing_entry"
GET_POS_INVOICES = f"{_MODULE}.get_pos_invoices"
GET_INVOICES = f"{_MODULE}.get_invoices"
TAKINGS = {V15: GET_POS_INVOICES, V16: GET_INVOICES}
ROWS = {V15: "pos_transactions", V16: "pos_invoices"}  # of a closing, with its POS Invoices
CLOSING = "POS Closing Entry"
OPENING = "POS Opening Entry"
OPENING_CASH = 500
BACKGROUND_DEADLINE_SECONDS = 180


@dataclass
class Counter:
    """One POS Profile and the cashier who works there."""

    books: Books
    line: str
    robot: Caller
    cashier: Caller
    profile: str
    walk_in: str

    def opening(self, **fields: Any) -> dict[str, Any]:
        """A POS Opening Entry of the whole of today."""
        return {
            "period_start_date": f"{self.books.day} 00:00:00",
            "posting_date": self.books.day,
            "company": self.books.company,
            "pos_profile": self.profile,
            "user": self.cashier.user,
            "balance_details": [{"mode_of_payment": self.books.mode, "opening_amount": OPENING_CASH}],
            "docstatus": 1,
            **fields,
        }

    def open_shift(self, **fields: Any) -> Shift:
        made = patiently(lambda: self.robot.insert(OPENING, **self.opening(**fields)))
        return Shift(self, made.value["name"])

    def sweep(self) -> None:
        """Close what closings of v16 left out: sales that no closing has stand in the way of everything there."""
        if self.line == V16 and Shift(self, "").told():
            self.open_shift().abandon()


def open_counter(site: Site, books: Books, cashier: Caller, label: str, **fields: Any) -> Counter:
    walk_in = books.customer(site.robot, f"Walk-in {label}", books.south)
    profile = site.robot.insert(
        "POS Profile",
        name=f"{books.prefix} {label}",
        __newname=f"{books.prefix} {label}",
        company=books.company,
        customer=walk_in,
        warehouse=books.warehouse,
        currency=books.currency,
        selling_price_list=books.price_list,
        write_off_account=books.write_off,
        write_off_cost_center=books.cost_center,
        write_off_limit=1,
        income_account=books.income,
        expense_account=books.write_off,
        cost_center=books.cost_center,
        account_for_change_amount=books.cash,
        disable_rounded_total=1,
        update_stock=0,
        payments=[{"mode_of_payment": books.mode, "default": 1}],
        applicable_for_users=[{"user": cashier.user, "default": 1}],
        **fields,
    ).value["name"]
    return Counter(books, site.line, site.robot, cashier, profile, walk_in)


@dataclass
class Shift:
    """One POS Opening Entry."""

    counter: Counter
    opening: str

    @property
    def books(self) -> Books:
        return self.counter.books

    @property
    def robot(self) -> Caller:
        return self.counter.robot

    @property
    def rows_field(self) -> str:
        return ROWS[self.counter.line]

    @property
    def sale_time(self) -> str:
        """On v16 a credit note is dated when it is made, and no sale may be later: so they are made at night."""
        return "10:00:00" if self.counter.line == V15 else "00:00:01"

    def bill(self, qty: int = 1, paid: float | None = None, **fields: Any) -> dict[str, Any]:
        """A POS Invoice over qty x 100 plus 5 % tax, paid in cash; a negative qty is a return."""
        total = qty * RATE * (100 + TAX_PERCENT) / 100
        return {
            "customer": self.counter.walk_in,
            "company": self.books.company,
            "is_pos": 1,
            "pos_profile": self.counter.profile,
            "currency": self.books.currency,
            "selling_price_list": self.books.price_list,
            "set_posting_time": 1,
            "posting_date": self.books.day,
            "posting_time": self.sale_time,
            "items": self.books.items(qty),
            "taxes": self.books.taxes(),
            "payments": [{"mode_of_payment": self.books.mode, "amount": total if paid is None else paid}],
            **fields,
        }

    def sell(
        self, qty: int = 1, paid: float | None = None, *, by: Caller | None = None, **fields: Any
    ) -> str:
        """Insert as the cashier, then submit: in one request ERPNext would book no payment."""
        caller = by or self.counter.cashier
        body = self.bill(qty, paid, **fields)
        name = str(patiently(lambda: caller.insert("POS Invoice", **body)).value["name"])
        assert patiently(lambda: caller.submit("POS Invoice", name)).value["docstatus"] == 1
        return name

    def give_back(self, original: str, qty: int = 1) -> str:
        paid = -qty * RATE * (100 + TAX_PERCENT) / 100
        return self.sell(-qty, paid, is_return=1, return_against=original, paid_amount=paid)

    def period(self, **fields: Any) -> dict[str, Any]:
        """What the takings are asked for with."""
        return {
            "start": f"{self.books.day} 00:00:00",
            "end": f"{self.books.day} 23:59:59",
            "pos_profile": self.counter.profile,
            "user": self.counter.cashier.user,
            **fields,
        }

    def told(self, caller: Caller | None = None, **fields: Any) -> set[str]:
        """Names of the takings, as anybody is told them."""
        found = (caller or self.robot).rpc(TAKINGS[self.counter.line], **self.period(**fields)).value
        return {row["name"] for row in (found if self.counter.line == V15 else found["invoices"])}

    def takings(self, **fields: Any) -> list[dict[str, Any]]:
        """The invoices that no closing has taken: v16 tells a few fields of each, so they are read one by one."""
        found: list[dict[str, Any]]
        if self.counter.line == V15:
            found = self.robot.rpc(GET_POS_INVOICES, **self.period(**fields)).value
        else:
            found = [self.invoice(name) for name in sorted(self.told(**fields))]
        return found

    def closing(self, invoices: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
        """The full POS Closing Entry: expected = opening + payments - change, taxes by account (v15: and rate)."""
        expected = OPENING_CASH + sum(
            payment["amount"] for invoice in invoices for payment in invoice["payments"]
        )
        expected -= sum(invoice.get("change_amount") or 0 for invoice in invoices)
        tax = sum(row["tax_amount"] for invoice in invoices for row in invoice["taxes"])
        line = self.counter.line
        rate = {"rate": TAX_PERCENT} if line == V15 else {}
        total = {} if line == V15 else {"total_taxes_and_charges": tax}
        return {
            "pos_opening_entry": self.opening,
            "company": self.books.company,
            "pos_profile": self.counter.profile,
            "user": self.counter.cashier.user,
            "period_start_date": f"{self.books.day} 00:00:00",
            "period_end_date": f"{self.books.day} 23:59:59",
            "posting_date": self.books.day,
            "posting_time": "23:59:00",
            "grand_total": sum(invoice["grand_total"] for invoice in invoices),
            "net_total": sum(invoice["net_total"] for invoice in invoices),
            "total_quantity": sum(invoice["total_qty"] for invoice in invoices),
            **total,
            self.rows_field: [
                {
                    "pos_invoice": invoice["name"],
                    "posting_date": invoice["posting_date"],
                    "grand_total": invoice["grand_total"],
                    "customer": invoice["customer"],
                }
                for invoice in invoices
            ],
            "payment_reconciliation": [
                {
                    "mode_of_payment": self.books.mode,
                    "opening_amount": OPENING_CASH,
                    "expected_amount": expected,
                    "closing_amount": expected,
                    "difference": 0,
                }
            ],
            "taxes": [{"account_head": self.books.tax, "amount": tax, **rate}] if invoices else [],
            **fields,
        }

    def only(self, *names: str) -> list[dict[str, Any]]:
        """Those of the takings, in this order."""
        by_name = {invoice["name"]: invoice for invoice in (self.takings() if names else [])}
        return [by_name[name] for name in names]

    def draft(self, *names: str, **fields: Any) -> str:
        body = self.closing(self.only(*names), **fields)
        return str(patiently(lambda: self.robot.insert(CLOSING, **body)).value["name"])

    def submit(self, closing: str) -> Answer:
        return self.robot.submit(CLOSING, closing)

    def close(self, *names: str) -> str:
        """Draft and submit a closing with these invoices, and wait until it is booked."""
        closing = self.draft(*names)
        assert patiently(lambda: self.submit(closing)).value["docstatus"] == 1
        booked = self.undisturbed(closing)
        assert booked["status"] == "Submitted", booked["error_message"]
        return closing

    def undisturbed(self, closing: str) -> dict[str, Any]:
        """The closing once it has left the queue, tried again as often as it only lost against other writers."""
        booked = self.settled(closing)
        for _ in range(5):
            if not str(booked.get("error_message")).startswith("(1020"):
                break
            self.retry(closing).accepted()
            booked = self.settled(closing)
        return booked

    def settled(self, closing: str, unless: str = "Queued") -> dict[str, Any]:
        """The closing once it has left the queue."""
        deadline = time.monotonic() + BACKGROUND_DEADLINE_SECONDS
        while True:
            document: dict[str, Any] = self.robot.get(CLOSING, closing).value
            if document["status"] != unless:
                return document
            assert time.monotonic() < deadline, (
                f"{closing} is still {unless}: is a background worker running?"
            )
            time.sleep(0.2)

    def status(self) -> str:
        return str(self.robot.get(OPENING, self.opening).value["status"])

    def invoice(self, name: str) -> dict[str, Any]:
        document: dict[str, Any] = self.robot.get("POS Invoice", name).value
        return document

    def retry(self, closing: str) -> Answer:
        return self.robot.rpc("run_doc_method", dt=CLOSING, dn=closing, method="retry")

    def abandon(self) -> None:
        """End the shift if the test left it open.

        v15 cancels it, and a failed closing that links to it goes first; v16 cancels no shift with sales, so that it
        is closed with all of them.
        """
        if self.status() != "Open":
            return
        if self.counter.line == V16 and (left := self.told()):
            self.close(*left)
            return
        linked = [["pos_opening_entry", "=", self.opening], ["docstatus", "=", 1]]
        for row in self.robot.rows(CLOSING, ["name"], linked):
            assert self.robot.cancel(CLOSING, row["name"]).value["docstatus"] == 2
        assert self.robot.cancel(OPENING, self.opening).value["docstatus"] == 2
