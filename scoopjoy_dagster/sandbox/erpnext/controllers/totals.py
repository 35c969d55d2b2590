"""Arithmetic of Sales Invoice and POS Invoice: rows, taxes, totals, payments.

Belongs here: numbers. Does not belong here: status, ledger, what may be submitted.
"""

from __future__ import annotations

import json
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from scoopjoy_dagster.sandbox.erpnext.errors import SiteError, thrown, unknown_to_the_sandbox
from scoopjoy_dagster.sandbox.erpnext.values import money, number

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext.document import Doc
    from scoopjoy_dagster.sandbox.erpnext.session import Session

_ONE = Decimal(1)


def fill_items(session: Session, doc: Doc) -> None:
    """Item rows: names, units, accounts and amounts."""
    company = doc["company"]
    defaults = session.values(
        "Company", company, ["default_income_account", "default_expense_account", "cost_center"]
    )
    rate_of_exchange = number(doc["conversion_rate"]) or _ONE
    for row in doc.rows("items"):
        fields = ["item_name", "description", "item_group", "stock_uom", "grant_commission"]
        if row.get("item_code"):
            known = session.values("Item", row["item_code"], fields)
            for key, value in zip(fields, known, strict=True):
                if row.get(key) in (None, "", 0):
                    row[key] = value
        row["uom"] = row.get("uom") or row.get("stock_uom")
        row["conversion_factor"] = row.get("conversion_factor") or 1.0
        row["income_account"] = row.get("income_account") or defaults[0]
        row["expense_account"] = row.get("expense_account") or defaults[1]
        if row.get("cost_center") is None:
            row["cost_center"] = defaults[2]
        quantity = number(row.get("qty"))
        if quantity == 0:
            item = f"<strong>{row.get('item_code')}</strong>"
            raise thrown(
                f"Row #{row['idx']}: Quantity for Item {item} cannot be zero."
                if session.site.line.new_words
                else f"Row #{row['idx']}: Item quantity cannot be zero",
                "InvalidQtyError",
                title="Invalid Quantity",
            )
        if doc.get("is_return") and quantity > 0:
            raise thrown(f"Row # {row['idx']}: Quantity must be negative number")
        rate = money(row.get("rate"))
        amount = money(rate * quantity)
        row["stock_qty"] = float(quantity * number(row["conversion_factor"]))
        for key, value in {
            "rate": rate,
            "net_rate": rate,
            "amount": amount,
            "net_amount": amount,
            "base_rate": money(rate * rate_of_exchange),
            "base_net_rate": money(rate * rate_of_exchange),
            "base_amount": money(amount * rate_of_exchange),
            "base_net_amount": money(amount * rate_of_exchange),
        }.items():
            row[key] = float(value)


def _tax(doc: Doc, row: Doc) -> Decimal:
    if row.get("included_in_print_rate"):
        raise unknown_to_the_sandbox("taxes that are included in the print rate")
    if row["charge_type"] == "Actual":
        return money(row.get("tax_amount"))
    if row["charge_type"] != "On Net Total":
        raise unknown_to_the_sandbox(f"taxes with charge_type {row['charge_type']!r}")
    details: dict[str, list[float]] = {}
    total = Decimal(0)
    rate = number(row.get("rate"))
    for item in doc.rows("items"):
        part = number(item["net_amount"]) * rate / 100
        total += part
        code = str(item.get("item_code") or item.get("item_name"))
        before = details.get(code, [0.0, 0.0])[1]
        details[code] = [float(rate), float(money(number(before) + part))]
    row["item_wise_tax_detail"] = json.dumps(details, separators=(",", ":"))
    return money(total)


def fill_totals(session: Session, doc: Doc) -> None:
    """Net total, taxes, grand total and rounded total, in the invoice's and in the company's currency."""
    rate = number(doc["conversion_rate"]) or _ONE
    items = doc.rows("items")
    net = sum((number(row["net_amount"]) for row in items), Decimal(0))
    base_net = sum((number(row["base_net_amount"]) for row in items), Decimal(0))
    running, taxes = net, Decimal(0)
    for row in doc.rows("taxes"):
        if row.get("cost_center") is None:
            row["cost_center"] = session.value("Company", doc["company"], "cost_center")
        row["description"] = row.get("description") or row.get("account_head")
        amount = _tax(doc, row)
        running += amount
        taxes += amount
        for key, value in {
            "tax_amount": amount,
            "total": running,
            "tax_amount_after_discount_amount": amount,
        }.items():
            row[key] = float(value)
            row[f"base_{key}"] = float(money(value * rate))
    grand = money(net + taxes)
    base_grand = money(base_net + money(taxes * rate))
    rounded = base_rounded = adjustment = base_adjustment = Decimal(0)
    if doc.get("is_consolidated"):
        # The rounded totals of the merged POS Invoices are added up, not rounded anew (03-26).
        rounded, base_rounded = number(doc["rounded_total"]), number(doc["base_rounded_total"])
        adjustment, base_adjustment = rounded - grand, base_rounded - base_grand
    elif not _unrounded(session, doc):
        rounded = grand.quantize(_ONE, ROUND_HALF_EVEN)
        adjustment = rounded - grand
        base_adjustment = money(adjustment * rate)
        base_rounded = base_grand + base_adjustment
    quantities = sum((number(row["qty"]) for row in items), Decimal(0))
    values = {
        "total_qty": quantities,
        "total": net,
        "net_total": net,
        "base_total": base_net,
        "base_net_total": base_net,
        "total_taxes_and_charges": taxes,
        "base_total_taxes_and_charges": money(taxes * rate),
        "grand_total": grand,
        "base_grand_total": base_grand,
        "rounding_adjustment": adjustment,
        "base_rounding_adjustment": base_adjustment,
        "rounded_total": rounded,
        "base_rounded_total": base_rounded,
    }
    doc |= {key: float(value) for key, value in values.items()}


def _unrounded(session: Session, doc: Doc) -> bool:
    if doc.get("disable_rounded_total"):
        return True
    return bool(session.value("Global Defaults", "Global Defaults", "disable_rounded_total"))


def payable(doc: Doc) -> Decimal:
    """What the customer owes for the document: the rounded total, or the grand total where none is kept."""
    return number(doc.get("rounded_total")) or number(doc["grand_total"])


def fill_change(doc: Doc) -> None:
    """The change of a POS Invoice, by the paid amount that was sent or stored before this save.

    The payments are added up only after this step, so the insert of an overpaid draft shows no change unless the
    client sent ``paid_amount``; the next save does. A change that is there already is kept
    (erpnext/accounts/doctype/pos_invoice/pos_invoice.py, ``validate_change_amount``; 10-06).
    """
    paid, due = number(doc.get("paid_amount")), payable(doc)
    if doc.get("is_return") or number(doc.get("change_amount")) or paid <= due:
        return
    base_due = number(doc.get("base_rounded_total")) or number(doc["base_grand_total"])
    doc["change_amount"] = float(money(paid - due + number(doc.get("write_off_amount"))))
    doc["base_change_amount"] = float(
        money(number(doc.get("base_paid_amount")) - base_due + number(doc.get("base_write_off_amount")))
    )


def fill_payments(session: Session, doc: Doc) -> None:
    """Accounts of the payment rows, paid amount and change.

    Runs only for drafts: an invoice that is inserted as submitted keeps ``paid_amount`` 0 and no accounts.
    """
    if doc.docstatus != 0:
        return
    rate = number(doc["conversion_rate"]) or _ONE
    paid = Decimal(0)
    for row in doc.rows("payments"):
        row["account"] = row.get("account") or payment_account(
            session, row.get("mode_of_payment"), doc["company"]
        )
        row["amount"] = float(money(row.get("amount")))
        row["base_amount"] = float(money(number(row["amount"]) * rate))
        paid += number(row["amount"])
    doc |= {"paid_amount": float(paid), "base_paid_amount": float(money(paid * rate))}
    if doc.doctype == "Sales Invoice":
        due = payable(doc)
        change = max(paid - due, Decimal(0)) if paid > 0 else Decimal(0)
        if not any(row.get("type") == "Cash" for row in doc.rows("payments")):
            change = Decimal(0)
        doc |= {"change_amount": float(change), "base_change_amount": float(money(change * rate))}
    doc["account_for_change_amount"] = doc.get("account_for_change_amount") or session.value(
        "Company", doc["company"], "default_cash_account"
    )


def payment_account(session: Session, mode: str | None, company: str) -> str | None:
    """The account of a mode of payment in a company."""
    if not session.exists("Mode of Payment", mode):
        return None
    found = session.site.db.one(
        'SELECT default_account FROM "tabMode of Payment Account" WHERE parent = ? AND company = ?',
        (mode, company),
    )
    if found and found[0]:
        return str(found[0])
    raise thrown(
        f"Please set default Cash or Bank account in Mode of Payment {mode}", title="Missing Account"
    )


def set_exchange_rate(session: Session, doc: Doc) -> None:
    """Currency of the company unless sent; a foreign one needs a rate, sent or on record."""
    home = session.value("Company", doc["company"], "default_currency")
    doc["currency"] = doc.get("currency") or home
    if doc["currency"] == home:
        doc["conversion_rate"] = 1.0
    if number(doc.get("conversion_rate")) > 0:
        return
    rates = session.site.db.rows(
        'SELECT exchange_rate FROM "tabCurrency Exchange" WHERE from_currency = ? AND to_currency = ?'
        ' AND "date" <= ? ORDER BY "date" DESC LIMIT 1',
        (doc["currency"], home, str(doc["posting_date"])),
    )
    if not rates:
        raise thrown(
            f"Unable to find exchange rate for {doc['currency']} to {home} for key date {doc['posting_date']}."
            " Please create a Currency Exchange record manually"
        )
    doc["conversion_rate"] = float(rates[0][0])


def require_items(doc: Doc) -> None:
    """The arithmetic of a document with neither customer nor items breaks on the site as well (02-49)."""
    if not doc.get("customer") and not doc.rows("items"):
        raise SiteError("TypeError", "unsupported operand type(s) for -: 'NoneType' and 'float'")
