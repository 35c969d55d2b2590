"""ERPNext and Frappe version 16 and later, as far as they are known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from scoopjoy_dagster.accounting.money import ZERO, exact
from scoopjoy_dagster.accounting.shifts import (
    ClosingDraft,
    LooseInvoice,
    Opening,
    Payment,
    ShiftInvoice,
    TaxAmount,
)
from scoopjoy_dagster.erpnext.client import Client, Field, Row
from scoopjoy_dagster.erpnext.dialects.closings import (
    LOOSE_FIELDS,
    answers,
    closing_head,
    invoice_rows,
    loose_invoice,
    payment_rows,
    stamp,
    unconsolidated,
)
from scoopjoy_dagster.erpnext.dialects.interface import PAYMENT_FIELDS

GET_INVOICES = "erpnext.accounts.doctype.pos_closing_entry.pos_closing_entry.get_invoices"

POS_INVOICE, SALES_INVOICE = "POS Invoice", "Sales Invoice"


class V16:
    """ERPNext and Frappe version 16 and later."""

    line = "v16+"
    implies = (
        "a closing is dated when it is made, and a till sells nothing before its shift of the day before is closed: "
        "close before the outlets open"
    )
    # With MariaDB 11.6.2 and later a second one is refused (1020), and would have to come again with all its files.
    writers_in_a_series = 1
    closing_rows: Sequence[tuple[str, str]] = (
        ("POS Invoice Reference", "pos_invoice"),
        ("Sales Invoice Reference", "sales_invoice"),
    )

    def is_spoken(self, client: Client) -> bool:
        """v15 has no such helper, and fails on aggregates that are no text."""
        return answers(client, GET_INVOICES, self.count("n"))

    def total(self, field: str, alias: str) -> Field:
        """Aggregates as text are refused: ERPNext builds the query itself."""
        return {"SUM": field, "as": alias}

    def count(self, alias: str) -> Field:
        """The name is never null."""
        return {"COUNT": "name", "as": alias}

    def newest(self, field: str, alias: str) -> Field:
        """As the others."""
        return {"MAX": field, "as": alias}

    def shift_invoices(self, client: Client, opening: Opening, until: datetime) -> list[ShiftInvoice]:
        """Heads from the helper of the closing form, POS Invoices or Sales Invoices; their payments and taxes by list.

        The helper adds payments and taxes up for the whole shift; what a closing must say is worked out by our own rule from
        each invoice, on every line.
        """
        answer = (
            client.call(
                GET_INVOICES,
                {
                    "start": stamp(opening.period_start),
                    "end": stamp(until),
                    "pos_profile": opening.pos_profile,
                    "user": opening.user,
                },
                doing=f"read the invoices of {opening.label}",
            )
            or {}
        )
        heads: dict[str, list[Row]] = defaultdict(list)
        for head in answer.get("invoices") or []:
            heads[str(head["doctype"])].append(head)
        found: list[ShiftInvoice] = []
        for doctype, rows in heads.items():
            names = [str(row["name"]) for row in rows]
            payments = _children(
                client, doctype, names, "Sales Invoice Payment", ["mode_of_payment", "amount", "account"]
            )
            taxes = _children(
                client, doctype, names, "Sales Taxes and Charges", ["account_head", "rate", "tax_amount"]
            )
            found += [_shift_invoice(doctype, row, payments, taxes) for row in rows]
        return sorted(found, key=lambda one: (one.posted_at, one.name))

    def closing_document(self, draft: ClosingDraft) -> Row:
        """No posting date: ERPNext puts its own there, on every save. User and POS Profile are taken from the opening."""
        taxes: dict[str, Decimal] = defaultdict(lambda: ZERO)
        for tax in draft.taxes:
            taxes[tax.account_head] += tax.amount
        return {
            **closing_head(draft),
            "total_taxes_and_charges": sum(taxes.values(), ZERO),
            "pos_invoices": invoice_rows(_of(draft.invoices, POS_INVOICE), "pos_invoice"),
            "sales_invoices": invoice_rows(_of(draft.invoices, SALES_INVOICE), "sales_invoice"),
            "payment_reconciliation": payment_rows(draft),
            "taxes": [{"account_head": head, "amount": amount} for head, amount in taxes.items()],
        }

    def closing_invoices(self, document: Row) -> tuple[str, ...]:
        """Two child tables."""
        return (
            *(str(row["pos_invoice"]) for row in document.get("pos_invoices", [])),
            *(str(row["sales_invoice"]) for row in document.get("sales_invoices", [])),
        )

    def closings_with_payments(
        self, client: Client, fields: Sequence[str], openings: Sequence[str], *, remember: bool
    ) -> list[Row]:
        """A list of the entries joined with their modes of payment, and one for each kind of rows that name invoices."""
        rows = client.rows(
            "POS Closing Entry",
            [
                *fields,
                "payment_reconciliation.name as payment_row",
                *(f"payment_reconciliation.{name}" for name in PAYMENT_FIELDS),
            ],
            [["pos_opening_entry", "in", list(openings)]],
            order_by="name asc",
            remember=remember,
        )
        names = sorted({str(row["name"]) for row in rows})
        held: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for doctype, _ in self.closing_rows:
            for row in client.rows(
                doctype,
                ["parent", self.count("invoices"), self.total("is_return", "returns")],
                [["parent", "in", names], ["parenttype", "=", "POS Closing Entry"]],
                group_by="parent",
                order_by="parent asc",
                parent="POS Closing Entry",
                remember=remember,
            ):
                counts = held[str(row["parent"])]
                counts[0] += int(row["invoices"])
                counts[1] += int(row["returns"] or 0)
        return [
            {**row, "invoices": held[str(row["name"])][0], "returns": held[str(row["name"])][1]}
            for row in rows
        ]

    def not_closed(self, client: Client, invoices: Iterable[ShiftInvoice]) -> list[str]:
        """POS Invoices are consolidated; Sales Invoices are in the ledger already, and only say which closing has them."""
        invoices = list(invoices)
        rows = client.rows(
            SALES_INVOICE,
            ["name"],
            [
                ["name", "in", [one.name for one in _of(invoices, SALES_INVOICE)]],
                ["pos_closing_entry", "is", "not set"],
            ],
        )
        return [*unconsolidated(client, _of(invoices, POS_INVOICE)), *(str(row["name"]) for row in rows)]

    def loose_sales_invoices(
        self, client: Client, company: str, first: date, last: date, *, remember: bool
    ) -> list[LooseInvoice]:
        """Those that no closing has stamped."""
        rows = client.rows(
            SALES_INVOICE,
            LOOSE_FIELDS,
            [
                ["docstatus", "=", 1],
                ["company", "=", company],
                ["posting_date", "between", [first.isoformat(), last.isoformat()]],
                ["is_created_using_pos", "=", 1],
                ["pos_closing_entry", "is", "not set"],
            ],
            remember=remember,
        )
        return [loose_invoice(row) for row in rows]

    def pos_mode(self, client: Client) -> str:
        """A setting of the site; a new site makes Sales Invoices."""
        return str(client.get("POS Settings", "POS Settings").get("invoice_type") or SALES_INVOICE)

    def remark(self, text: str) -> dict[str, Any]:
        """`remark` is what reports show, and is kept only where the entry says that it has one of its own."""
        return {"user_remark": text, "custom_remark": 1, "remark": text}

    def books_frozen_until(self, client: Client, company: str) -> date | None:
        """Each company has a date of its own."""
        frozen = client.get("Company", company).get("accounts_frozen_till_date")
        return date.fromisoformat(str(frozen)) if frozen else None


def _of(invoices: Iterable[ShiftInvoice], doctype: str) -> list[ShiftInvoice]:
    return [one for one in invoices if one.doctype == doctype]


def _children(
    client: Client, doctype: str, names: Sequence[str], child: str, fields: Sequence[str]
) -> Mapping[str, Sequence[Row]]:
    """Child rows of documents, by document, in order."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in client.rows(
        child,
        ["parent", *fields],
        [["parent", "in", list(names)], ["parenttype", "=", doctype]],
        order_by="parent asc, idx asc",
        parent=doctype,
    ):
        found[str(row["parent"])].append(row)
    return found


def _shift_invoice(
    doctype: str, head: Row, payments: Mapping[str, Sequence[Row]], taxes: Mapping[str, Sequence[Row]]
) -> ShiftInvoice:
    name = str(head["name"])
    return ShiftInvoice(
        name=name,
        customer=str(head["customer"]),
        posted_at=datetime.fromisoformat(str(head["timestamp"])).replace(microsecond=0),
        grand_total=exact(head["grand_total"]),
        net_total=exact(head["net_total"]),
        quantity=exact(head["total_qty"]),
        is_return=bool(head.get("is_return")),
        payments=tuple(
            Payment(str(row["mode_of_payment"]), exact(row["amount"]), str(row["account"] or ""))
            for row in payments.get(name, ())
        ),
        change_amount=exact(head.get("change_amount")),
        change_account=str(head.get("account_for_change_amount") or ""),
        taxes=tuple(
            TaxAmount(str(row["account_head"]), exact(row["rate"]), exact(row["tax_amount"]))
            for row in taxes.get(name, ())
        ),
        doctype=doctype,
    )
