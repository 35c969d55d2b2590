"""Small helpers that add one fact to a world: a franchise, an invoice, a shift, its closing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Any

from scoopjoy_dagster.sandbox.erpnext import takings
from scoopjoy_dagster.sandbox.erpnext.values import as_datetime
from scoopjoy_dagster.sandbox.seed.masters import COMPANY, WALK_IN, member_group

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext

ACCOUNTANT = "accountant@scoopjoy.example"
MANAGER = "robot@scoopjoy.example"
_EVER = as_datetime("9999-12-31")


@contextmanager
def at(world: SandboxERPNext, moment: datetime) -> Iterator[None]:
    """Let the block happen at another time of the site's clock."""
    clock, world.site.clock = world.site.clock, lambda: moment
    try:
        yield
    finally:
        world.site.clock = clock


def add_franchise(
    world: SandboxERPNext, name: str, *, group: str = "Owned Outlets", rate: Decimal | float | None = None
) -> str:
    """A franchise customer; ``rate`` (percent) is set if the royalty field exists. Returns its name."""
    session = world.session()
    values: dict[str, Any] = {
        "customer_name": name,
        "customer_group": member_group(world, group),
        "territory": "India",
    }
    if rate is not None:
        values["custom_royalty_percentage"] = float(rate)
    with world.site.transaction():
        return session.insert(session.new("Customer", values)).name


def add_invoice(
    world: SandboxERPNext,
    customer: str,
    day: date,
    amount: Decimal | float | str,
    *,
    is_return: bool = False,
    currency: str | None = None,
    conversion_rate: Decimal | float | None = None,
    return_against: str | None = None,
    submit: bool = True,
    taxes: Decimal | float | str | None = None,
    at: time = time(18),
) -> str:
    """A Sales Invoice over ``amount`` (in its currency); a return books it negative. Returns its name.

    ``taxes`` is a GST rate in percent on top of the amount.
    """
    values: dict[str, Any] = {
        "customer": customer,
        "company": COMPANY,
        "set_posting_time": 1,
        "posting_date": day.isoformat(),
        "posting_time": at.isoformat(),
        "due_date": (day + timedelta(days=30)).isoformat(),
        "is_return": int(is_return),
        "return_against": return_against,
        "items": [
            {"item_code": "SJ-SUPPLY", "qty": -1 if is_return else 1, "rate": float(Decimal(str(amount)))}
        ],
        "docstatus": int(submit),
    }
    if currency:
        values["currency"] = currency
    if conversion_rate is not None:
        values["conversion_rate"] = float(conversion_rate)
    if taxes is not None:
        values["taxes"] = [_gst(taxes)]
    session = world.session(ACCOUNTANT)
    with world.site.transaction():
        return session.insert(session.new("Sales Invoice", values)).name


def _gst(rate: Decimal | float | str) -> dict[str, Any]:
    return {
        "charge_type": "On Net Total",
        "account_head": "GST Output - SJ",
        "description": f"GST {rate}%",
        "rate": float(Decimal(str(rate))),
    }


def cancel_document(world: SandboxERPNext, doctype: str, name: str) -> None:
    """Cancel a submitted document."""
    session = world.session(ACCOUNTANT)
    with world.site.transaction():
        session.cancel(session.load(doctype, name))


@dataclass(frozen=True, slots=True)
class Sale:
    """One POS Invoice.

    Attributes:
        amount: Net price in INR, positive for returns as well; 5 % GST comes on top where ``gst``.
        at: When; a quarter of an hour after the one before by default.
        mode: Mode of payment.
        tendered: Cash handed over, where it is more than due: the site makes the rest ``change_amount``.
        returns: What this one takes back: the index of a sale of the same shift, or the name of any till's invoice.
    """

    amount: Decimal
    at: datetime | None = None
    mode: str = "Cash"
    tendered: Decimal | None = None
    returns: int | str | None = None
    customer: str = WALK_IN
    gst: bool = True


@dataclass(frozen=True, slots=True)
class Shift:
    """A shift as it was made; its invoices are POS Invoices, or Sales Invoices where the tills make those."""

    opening: str
    profile: str
    cashier: str
    opened_at: datetime
    invoices: list[str] = field(default_factory=list)


def add_shift(
    world: SandboxERPNext,
    profile: str,
    cashier: str,
    opened_at: datetime,
    invoices: Iterable[Sale | Decimal | float | str] = (),
    *,
    opening_cash: Decimal | float = 2000,
) -> Shift:
    """Open a shift (by a manager, for the cashier) and ring up its invoices (by the cashier).

    From v16 on a till sells only on the day on which it was opened, by the site's clock: that is set for each sale.
    """
    manager, counter = world.session(MANAGER), world.session(cashier)
    doctype = takings.invoice_type(counter)
    names: list[str] = []
    with world.site.transaction():
        opening = manager.insert(
            manager.new(
                "POS Opening Entry",
                {
                    "period_start_date": str(opened_at),
                    "posting_date": opened_at.date().isoformat(),
                    "company": COMPANY,
                    "pos_profile": profile,
                    "user": cashier,
                    "balance_details": [
                        {
                            "mode_of_payment": mode,
                            "opening_amount": float(opening_cash) if mode == "Cash" else 0,
                        }
                        for mode in ("Cash", "Card", "UPI")
                    ],
                    "docstatus": 1,
                },
            )
        )
        moment = opened_at
        for entry in invoices:
            sale = entry if isinstance(entry, Sale) else Sale(Decimal(str(entry)))
            moment = sale.at or moment + timedelta(minutes=15)
            values = _pos_invoice(profile, sale, moment, names)
            if doctype == takings.SALES_INVOICE:
                values["is_created_using_pos"] = 1
            with at(world, moment) if world.line.tills_sell_today else nullcontext():
                names.append(counter.submit(counter.insert(counter.new(doctype, values))).name)
    return Shift(opening.name, profile, cashier, opened_at, names)


def _pos_invoice(profile: str, sale: Sale, moment: datetime, made: list[str]) -> dict[str, Any]:
    cent = Decimal("0.01")
    tax = (sale.amount * 5 / 100).quantize(cent, ROUND_HALF_EVEN) if sale.gst else Decimal(0)
    due = (sale.amount + tax).quantize(Decimal(1), ROUND_HALF_EVEN)
    sign = -1 if sale.returns is not None else 1
    paid = sale.tendered if sale.tendered is not None else due
    # The insert of a return breaks without the paid amount; that of a sale needs none.
    sent = {} if sale.returns is None else {"paid_amount": float(sign * paid)}
    return {
        "customer": sale.customer,
        "company": COMPANY,
        "is_pos": 1,
        "pos_profile": profile,
        "set_posting_time": 1,
        "posting_date": moment.date().isoformat(),
        "posting_time": moment.time().isoformat(),
        "is_return": int(sign < 0),
        "return_against": made[sale.returns] if isinstance(sale.returns, int) else sale.returns,
        "items": [{"item_code": "SJ-VAN-500", "qty": sign, "rate": float(sale.amount)}],
        "taxes": [_gst(5)] if sale.gst else [],
        "payments": [{"mode_of_payment": sale.mode, "amount": float(sign * paid)}],
        **sent,
    }


def close_shift(world: SandboxERPNext, opening: str, closed_at: datetime | None = None) -> str:
    """Close a shift as a careful manager does, background work included. Returns the closing's name."""
    session = world.session(MANAGER)
    with world.site.transaction():
        doc = session.load("POS Opening Entry", opening)
        start = as_datetime(doc["period_start_date"])
        found = takings.of_shift(session, doc["user"], doc["pos_profile"], start, _EVER)
        invoices = [invoice for _, invoice in found]
        values = _closing(world, doc, invoices, closed_at or world.site.clock())
        name = session.submit(session.insert(session.new("POS Closing Entry", values))).name
    world.run_background_jobs()
    return name


def _closing(
    world: SandboxERPNext, opening: dict[str, Any], invoices: list[Any], closed_at: datetime
) -> dict[str, Any]:
    money = {
        row["mode_of_payment"]: Decimal(str(row["opening_amount"])) for row in opening["balance_details"]
    }
    start = dict(money)
    taxes: dict[tuple[str, float], Decimal] = {}
    for doc in invoices:
        for row in doc["payments"]:
            mode = row["mode_of_payment"]
            money[mode] = money.get(mode, Decimal(0)) + Decimal(str(row["amount"]))
        money["Cash"] -= Decimal(str(doc["change_amount"]))
        for row in doc["taxes"]:
            key = (row["account_head"], row["rate"])
            taxes[key] = taxes.get(key, Decimal(0)) + Decimal(str(row["tax_amount"]))

    def total(key: str) -> float:
        return float(sum((Decimal(str(doc[key])) for doc in invoices), Decimal(0)))

    def names(doctype: str, key: str) -> list[dict[str, Any]]:
        return [
            {key: doc["name"], "posting_date": doc["posting_date"]}
            for doc in invoices
            if doc.doctype == doctype
        ]

    return {
        "pos_opening_entry": opening["name"],
        "company": COMPANY,
        "period_end_date": str(closed_at.replace(microsecond=0)),
        "posting_date": closed_at.date().isoformat(),
        "posting_time": closed_at.time().replace(microsecond=0).isoformat(),
        "grand_total": total("grand_total"),
        "net_total": total("net_total"),
        "total_quantity": total("total_qty"),
        "total_taxes_and_charges": total("total_taxes_and_charges"),
        world.line.closing_rows: names(takings.POS_INVOICE, "pos_invoice"),
        "sales_invoices": names(takings.SALES_INVOICE, "sales_invoice"),
        "payment_reconciliation": [
            {
                "mode_of_payment": mode,
                "opening_amount": float(start.get(mode, Decimal(0))),
                "expected_amount": float(amount),
                "closing_amount": float(amount),
                "difference": 0,
            }
            for mode, amount in money.items()
        ],
        "taxes": [
            {"account_head": head, "rate": rate, "amount": float(amount)}
            for (head, rate), amount in taxes.items()
        ],
    }


def end_of(day: date) -> datetime:
    """The last second of a day."""
    return datetime.combine(day, time(23, 59, 59))
