"""What belongs to a shift: the invoices of its cashier at its till that no closing has taken yet.

Belongs here: the two functions of POS Closing Entry that tell it, one of each line. Does not belong here: closings.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from scoopjoy_dagster.sandbox.erpnext.database import table
from scoopjoy_dagster.sandbox.erpnext.document import Doc
from scoopjoy_dagster.sandbox.erpnext.errors import SiteError
from scoopjoy_dagster.sandbox.erpnext.session import Session
from scoopjoy_dagster.sandbox.erpnext.values import as_datetime, as_time, number, stamp

MODULE = "erpnext.accounts.doctype.pos_closing_entry.pos_closing_entry"
FUNCTIONS = ("get_pos_invoices", "get_invoices")

POS_INVOICE, SALES_INVOICE = "POS Invoice", "Sales Invoice"
_OPEN = {
    POS_INVOICE: "coalesce(consolidated_invoice, '') = ''",
    SALES_INVOICE: "is_pos = 1 AND is_created_using_pos = 1 AND coalesce(pos_closing_entry, '') = ''",
}
_SHOWN = (
    "name", "customer", "posting_date", "grand_total", "net_total", "total_qty", "total_taxes_and_charges",
    "change_amount", "account_for_change_amount", "is_return", "return_against",
)  # fmt: skip


def invoice_type(session: Session) -> str:
    """Which DocType the tills of the site sell with."""
    if not session.site.line.invoice_modes:
        return POS_INVOICE
    return str(session.value("POS Settings", "POS Settings", "invoice_type"))


def within(
    session: Session, doctype: str, user: Any, profile: Any, start: datetime, end: datetime
) -> Iterator[tuple[datetime, Doc]]:
    """The invoices of one DocType with their moments, in no order."""
    rows = session.site.db.rows(
        f"SELECT name, posting_date, posting_time FROM {table(doctype)} WHERE owner = ? AND docstatus = 1"
        f" AND pos_profile = ? AND {_OPEN[doctype]}",
        (user, profile),
    )
    for name, day, clock in rows:
        at = as_time(clock)
        moment = as_datetime(day).replace(
            hour=at.hour, minute=at.minute, second=at.second, microsecond=at.microsecond
        )
        if start <= moment <= end:
            yield moment, session.load(doctype, name)


def of_shift(
    session: Session, user: Any, profile: Any, start: datetime, end: datetime
) -> list[tuple[datetime, Doc]]:
    """The invoices of either DocType, in order of their moments and names."""
    doctypes = {invoice_type(session)} | ({SALES_INVOICE} if session.site.line.invoice_modes else set())
    found = [pair for doctype in doctypes for pair in within(session, doctype, user, profile, start, end)]
    return sorted(found, key=lambda pair: (pair[0], pair[1].name))


def get_pos_invoices(session: Session, args: dict[str, Any]) -> list[dict[str, Any]]:
    """v15: whole POS Invoices."""
    start, end = as_datetime(args.get("start")), as_datetime(args.get("end"))
    found = within(session, POS_INVOICE, args.get("user"), args.get("pos_profile"), start, end)
    return [doc.shown() for _, doc in found]


def get_invoices(session: Session, args: dict[str, Any]) -> dict[str, Any]:
    """v16: a few fields of each invoice, and the sums of payments and taxes that a closing needs."""
    missing = [name for name in ("start", "end", "pos_profile", "user") if name not in args]
    if missing:
        names = " and ".join(f"'{name}'" for name in missing)
        plural = "s" if len(missing) > 1 else ""
        raise SiteError(
            "TypeError",
            f"get_invoices() missing {len(missing)} required positional argument{plural}: {names}",
        )
    start, end = as_datetime(args["start"]), as_datetime(args["end"])
    found = of_shift(session, args["user"], args["pos_profile"], start, end)
    docs = [doc for _, doc in found]
    rows = [
        {name: doc.get(name) for name in _SHOWN} | {"timestamp": stamp(moment), "doctype": doc.doctype}
        for moment, doc in found
    ]
    return {"invoices": rows, "payments": _payments(docs), "taxes": _taxes(docs)}


def _payments(docs: list[Doc]) -> list[dict[str, Any]]:
    """By mode of payment; change is taken from every mode whose account it is paid out of."""
    sums: dict[str, dict[str, Any]] = {}
    change: dict[str, Decimal] = {}
    for doc in docs:
        account = str(doc.get("account_for_change_amount"))
        change[account] = change.get(account, Decimal(0)) + number(doc.get("change_amount"))
        for row in doc.rows("payments"):
            mode = str(row["mode_of_payment"])
            found = sums.setdefault(
                mode, {"mode_of_payment": mode, "account": row.get("account"), "amount": Decimal(0)}
            )
            found["amount"] += number(row["amount"])
    for found in sums.values():
        found["amount"] = float(found["amount"] - change.get(str(found["account"]), Decimal(0)))
    return list(sums.values())


def _taxes(docs: list[Doc]) -> list[dict[str, Any]]:
    sums: dict[str, Decimal] = {}
    for doc in docs:
        for row in doc.rows("taxes"):
            head = str(row["account_head"])
            sums[head] = sums.get(head, Decimal(0)) + number(row["tax_amount_after_discount_amount"])
    return [{"account_head": head, "tax_amount": float(amount)} for head, amount in sums.items()]
