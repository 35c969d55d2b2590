"""POS Invoice Merge Log: turns the POS Invoices of one customer into one Sales Invoice and one credit note."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from scoopjoy_dagster.sandbox.erpnext.controllers import pos_invoice
from scoopjoy_dagster.sandbox.erpnext.controllers.base import Controller
from scoopjoy_dagster.sandbox.erpnext.errors import thrown, unknown_to_the_sandbox
from scoopjoy_dagster.sandbox.erpnext.values import number

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext.document import Doc
    from scoopjoy_dagster.sandbox.erpnext.session import Session

_HEAD = ("company", "currency", "conversion_rate", "pos_profile", "set_warehouse", "account_for_change_amount",
         "debit_to", "selling_price_list")  # fmt: skip
_ITEM = ("item_code", "item_name", "description", "item_group", "stock_uom", "uom", "conversion_factor", "rate",
         "income_account", "expense_account", "cost_center", "warehouse", "is_free_item")  # fmt: skip
_SAME_ITEM = ("item_code", "uom", "net_rate", "warehouse")
_ROUNDED = ("rounding_adjustment", "base_rounding_adjustment", "rounded_total", "base_rounded_total")


def _added(row: dict[str, Any], amounts: dict[str, Any]) -> None:
    for key, value in amounts.items():
        row[key] = float(number(row.get(key)) + number(value))


def _items(docs: list[Doc]) -> list[dict[str, Any]]:
    """A row for each row that was sold, with the invoice that it is from."""
    return [
        {key: item.get(key) for key in _ITEM}
        | {"rate": item["net_rate"], "qty": item["qty"], "pos_invoice": doc.name}
        for doc in docs
        for item in doc.rows("items")
    ]


def _merged_items(docs: list[Doc]) -> list[dict[str, Any]]:
    merged: dict[tuple[Any, ...], dict[str, Any]] = {}
    for doc in docs:
        for item in doc.rows("items"):
            row = merged.setdefault(
                tuple(item.get(key) for key in _SAME_ITEM), {key: item.get(key) for key in _ITEM}
            )
            row["rate"] = item["net_rate"]
            _added(row, {"qty": item["qty"]})
    return list(merged.values())


def _merged_taxes(docs: list[Doc]) -> list[dict[str, Any]]:
    merged: dict[tuple[Any, ...], dict[str, Any]] = {}
    for doc in docs:
        for tax in doc.rows("taxes"):
            row = merged.setdefault(
                (tax["account_head"], tax.get("cost_center")),
                {
                    "charge_type": "Actual",
                    "account_head": tax["account_head"],
                    "description": tax["description"],
                    "cost_center": tax.get("cost_center"),
                    "item_wise_tax_detail": "{}",
                },
            )
            _added(row, {"tax_amount": tax["tax_amount_after_discount_amount"]})
            details = json.loads(row["item_wise_tax_detail"])
            for code, (rate, amount) in json.loads(tax.get("item_wise_tax_detail") or "{}").items():
                before = details.get(code, [rate, 0.0])
                details[code] = [before[0], float(number(before[1]) + number(amount))]
            row["item_wise_tax_detail"] = json.dumps(details, separators=(",", ":"))
    return list(merged.values())


def _merged_payments(docs: list[Doc]) -> list[dict[str, Any]]:
    merged: dict[tuple[Any, ...], dict[str, Any]] = {}
    for doc in docs:
        for payment in doc.rows("payments"):
            row = merged.setdefault(
                (payment.get("account"), payment["mode_of_payment"]),
                {key: payment.get(key) for key in ("mode_of_payment", "account", "type")},
            )
            _added(row, {"amount": payment["amount"], "base_amount": payment["base_amount"]})
    return list(merged.values())


class POSInvoiceMergeLog(Controller):
    """Made by a closing, one for each customer."""

    def validate(self, session: Session, doc: Doc) -> None:
        invoices = [row["pos_invoice"] for row in doc.rows("pos_invoices")]
        for row in doc.rows("pos_invoices"):
            self._check(session, row, invoices)

    @staticmethod
    def _check(session: Session, row: Doc, together: list[str]) -> None:
        name = f"<strong>{row['pos_invoice']}</strong>"
        status, docstatus, is_return, against = session.values(
            "POS Invoice", row["pos_invoice"], ["status", "docstatus", "is_return", "return_against"]
        )
        if docstatus != 1:
            raise thrown(f"Row #{row['idx']}: POS Invoice {name} is not submitted yet")
        if status == "Consolidated":
            raise thrown(f"Row #{row['idx']}: POS Invoice {name} has been <strong>{status}</strong>")
        if not is_return or not against or against in together:
            return
        if session.value("POS Invoice", against, "status") != "Consolidated":
            original = f"<strong>{against}</strong>"
            raise thrown(
                f"Row #{row['idx']}: The original Invoice {original} of return invoice {name} is not consolidated."
                " The original invoice should be consolidated before or along with the return invoice.<br><br>"
                f"You can add the original invoice {original} manually to proceed."
            )

    def on_submit(self, session: Session, doc: Doc) -> None:
        invoices = [session.load("POS Invoice", row["pos_invoice"]) for row in doc.rows("pos_invoices")]
        returns = [invoice for invoice in invoices if invoice["is_return"]]
        sales = [invoice for invoice in invoices if not invoice["is_return"]]
        together = _sale_and_notes if session.site.line.merged_as_sold else _note_and_sale
        made, into = together(session, doc, sales, returns)
        session.set_fields(doc, made)
        for invoice in invoices:
            self._mark(session, invoice, into[invoice.name])

    @staticmethod
    def _mark(session: Session, invoice: Doc, into: str | None) -> None:
        session.require("POS Invoice", "submit", invoice.name)
        invoice["consolidated_invoice"] = into
        session.set_fields(invoice, {"consolidated_invoice": into, "status": pos_invoice.status_of(invoice)})

    def on_cancel(self, session: Session, doc: Doc) -> None:
        for row in doc.rows("pos_invoices"):
            self._mark(session, session.load("POS Invoice", row["pos_invoice"]), None)
        for key in ("consolidated_invoice", "consolidated_credit_note"):
            if doc.get(key):
                session.cancel(session.load("Sales Invoice", doc[key]))


Merged = tuple[dict[str, str | None], dict[str, str]]
"""What the log names as made, and the Sales Invoice of each POS Invoice."""


def _note_and_sale(session: Session, log: Doc, sales: list[Doc], returns: list[Doc]) -> Merged:
    """v15: one credit note for all returns, one invoice for all sales, both dated as the closing says."""
    made: dict[str, str | None] = {"consolidated_credit_note": None, "consolidated_invoice": None}
    into: dict[str, str] = {}
    for key, invoices in (("consolidated_credit_note", returns), ("consolidated_invoice", sales)):
        if invoices:
            name = _consolidate(session, log, invoices, {"is_return": int(invoices is returns)})
            made[key] = name
            into |= {invoice.name: name for invoice in invoices}
    return made, into


def _sale_and_notes(session: Session, log: Doc, sales: list[Doc], returns: list[Doc]) -> Merged:
    """v16: one invoice dated by its last sale, then a credit note against the invoice of each return's original."""
    made: dict[str, str | None] = {"consolidated_credit_note": None, "consolidated_invoice": None}
    into: dict[str, str] = {}
    if sales:
        last = {key: sales[-1][key] for key in ("posting_date", "posting_time")}
        name = made["consolidated_invoice"] = _consolidate(session, log, sales, {"is_return": 0} | last)
        into |= {invoice.name: name for invoice in sales}
    by_original: dict[str | None, list[Doc]] = {}
    for invoice in returns:
        kept = session.value("POS Invoice", invoice.get("return_against"), "consolidated_invoice")
        by_original.setdefault(kept or made["consolidated_invoice"], []).append(invoice)
    for original, invoices in by_original.items():
        name = _consolidate(session, log, invoices, {"is_return": 1, "return_against": original})
        made["consolidated_credit_note"] = name
        into |= {invoice.name: name for invoice in invoices}
    return made, into


def _check_currencies(session: Session, invoices: list[Doc]) -> None:
    """Sales in several currencies: v16 refuses them where they have taxes; v15 books the one as if it were the other."""
    if len({(one["currency"], one["conversion_rate"]) for one in invoices}) == 1:
        return
    if session.site.line.merged_as_sold and any(one.rows("taxes") for one in invoices):
        raise thrown(
            "Item Wise Tax Details do not match with Taxes and Charges at the following rows:<br>Row 1"
        )
    raise unknown_to_the_sandbox("consolidating sales in several currencies")


def _consolidate(session: Session, log: Doc, invoices: list[Doc], more: dict[str, Any]) -> str:
    _check_currencies(session, invoices)
    sums = {key: sum((number(doc[key]) for doc in invoices), Decimal(0)) for key in _ROUNDED}
    head = {key: invoices[-1].get(key) for key in _HEAD}
    items = _items if session.site.line.merged_as_sold else _merged_items
    merged = session.new(
        "Sales Invoice",
        head
        | {key: float(value) for key, value in sums.items()}
        | {
            "customer": log["customer"],
            "is_pos": 1,
            "is_consolidated": 1,
            "set_posting_time": 1,
            "ignore_pricing_rule": 1,
            "posting_date": log["posting_date"],
            "posting_time": log["posting_time"],
            "cost_center": session.value("POS Profile", head["pos_profile"], "cost_center"),
            "items": items(invoices),
            "taxes": _merged_taxes(invoices),
            "payments": _merged_payments(invoices),
        }
        | more,
    )
    session.insert(merged)
    return session.submit(merged).name


CONTROLLERS = {"POS Invoice Merge Log": POSInvoiceMergeLog()}
