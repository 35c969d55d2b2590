"""Many closed days on the embedded ERPNext, written straight into its database: a year takes seconds, not hours.

The rows are those that a close leaves behind: royalty entries with their shares and ledger rows, statements, and
headquarters' acknowledgements; and the invoices. They follow from the program's own rule, so a verification finds them
right; that the rule itself is right is the business of other tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from scoopjoy_dagster.accounting.keys import delivery_key
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import (
    Action,
    BaseInvoice,
    Franchise,
    plan_royalties,
    with_shares,
)
from scoopjoy_dagster.erpnext.client import DIGEST_FIELD, KEY_FIELD, POLICY_FIELD, Client
from scoopjoy_dagster.erpnext.installation import install, read_installation
from scoopjoy_dagster.erpnext.royalty_entries import ENTRY_BASE_FIELD, ENTRY_RATE_FIELD
from scoopjoy_dagster.erpnext.royalty_shares import DOCTYPE, TABLE, table_rows
from scoopjoy_dagster.erpnext.session import Session
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster.sandbox.erpnext.database import column, table

COMPANY = "ScoopJoy"
RATES = tuple(Decimal(text) for text in ("4.5", "5", "6.25", "7.5", "8"))


@dataclass(frozen=True, slots=True)
class ClosedDays:
    """How much there is of everything."""

    first: date
    days: int
    franchises: int
    invoices: int
    """Sales Invoices of each franchise and day."""

    @property
    def last(self) -> date:
        return self.first + timedelta(days=self.days - 1)


@contextmanager
def site_with(closed: ClosedDays) -> Iterator[SandboxERPNext]:
    """An embedded ERPNext, serving, with these days closed."""
    now = datetime.combine(closed.last + timedelta(days=1), datetime.min.time()) + timedelta(hours=1)
    with SandboxERPNext(":memory:", clock=lambda: now) as erpnext:
        seed.master_data(erpnext)
        robot = erpnext.robot
        with Session(erpnext.url, robot.api_key, robot.api_secret) as session:
            client = Client(session)
            install(client, read_installation(client), lambda _step: None)
        chain = []
        for number in range(closed.franchises):
            name, rate = f"Outlet {number:04}", RATES[number % len(RATES)]
            seed.add_franchise(erpnext, name, rate=rate)
            chain.append(Franchise(name, name, rate))
        with erpnext.site.transaction():
            for offset in range(closed.days):
                _close(erpnext, closed.first + timedelta(days=offset), chain, closed.invoices)
        erpnext.requests.reset()
        yield erpnext


def _close(erpnext: SandboxERPNext, day: date, chain: Sequence[Franchise], each: int) -> None:
    invoices = [
        BaseInvoice(f"SI-{day}-{one.customer}-{number}", one.customer, _amount(day, place, number))
        for place, one in enumerate(chain)
        for number in range(each)
    ]
    plan = plan_royalties(
        company=COMPANY,
        day=day,
        policy=RoyaltyPolicy(),
        franchises=chain,
        invoices=invoices,
        posted=[],
    )
    posted = [with_shares(one, [], 2) for one in plan.writes()]
    _store(erpnext, "Sales Invoice", [row for action in posted for row in _invoice_rows(day, action)])
    _store(erpnext, "Journal Entry", [_entry_row(day, action) for action in posted])
    _store(erpnext, DOCTYPE, [row for action in posted for row in _share_rows(day, action)])
    _store(erpnext, "GL Entry", [row for action in posted for row in _ledger_rows(day, action)])
    _store(erpnext, "File", [_statement_row(day, action) for action in posted])
    told = {
        "name": f"DLV-{day}",
        "channel": "hq",
        "business_day": day.isoformat(),
        "recipient": "headquarters",
        "revision": 0,
        "reference": f"HQ-{day}",
        KEY_FIELD: delivery_key("hq", COMPANY, day, "headquarters", 0),
    }
    _store(erpnext, "ScoopJoy Delivery", [told])


def _amount(day: date, place: int, number: int) -> Decimal:
    """Something between 100.00 and 10,099.99 that looks like sales; the same in every run."""
    return (
        Decimal(10_000 + (day.toordinal() * 7_919 + place * 104_729 + number * 1_299_709) % 1_000_000) / 100
    )


def _name(day: date, action: Action) -> str:
    return f"JV-{day}-{action.royalty.customer}"


def _invoice_rows(day: date, action: Action) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "docstatus": 1,
            "company": COMPANY,
            "customer": one.customer,
            "posting_date": day.isoformat(),
            "posting_time": "18:00:00",
            "currency": "INR",
            "base_grand_total": float(one.base),
            "base_net_total": float(one.base),
        }
        for one in action.royalty.invoices
    ]


def _entry_row(day: date, action: Action) -> dict[str, Any]:
    return {
        "name": _name(day, action),
        "docstatus": 1,
        "company": COMPANY,
        "voucher_type": "Journal Entry",
        "posting_date": day.isoformat(),
        "total_debit": float(action.amount),
        "total_credit": float(action.amount),
        KEY_FIELD: action.key,
        DIGEST_FIELD: action.digest,
        POLICY_FIELD: action.royalty.policy_version,
        ENTRY_BASE_FIELD: float(action.royalty.base),
        ENTRY_RATE_FIELD: float(action.royalty.rate),
    }


def _share_rows(day: date, action: Action) -> list[dict[str, Any]]:
    name = _name(day, action)
    return [
        {
            **row,
            "name": f"{name}-{number}",
            "docstatus": 1,
            "parent": name,
            "parenttype": "Journal Entry",
            "parentfield": TABLE,
            "idx": number,
            "royalty_base": float(row["royalty_base"]),
            "royalty_share": float(row["royalty_share"]),
        }
        for number, row in enumerate(table_rows(action.shares, day, action.royalty.customer), start=1)
    ]


def _ledger_rows(day: date, action: Action) -> list[dict[str, Any]]:
    name = _name(day, action)
    shared = {
        "docstatus": 1,
        "company": COMPANY,
        "posting_date": day.isoformat(),
        "voucher_type": "Journal Entry",
        "voucher_no": name,
        "is_cancelled": 0,
    }
    return [
        {
            **shared,
            "name": f"{name}-d",
            "account": "Debtors - SJ",
            "party_type": "Customer",
            "party": action.royalty.customer,
            "debit": float(action.amount),
            "credit": 0.0,
        },
        {
            **shared,
            "name": f"{name}-c",
            "account": "Royalty Income - SJ",
            "party_type": None,
            "party": None,
            "debit": 0.0,
            "credit": float(action.amount),
        },
    ]


def _statement_row(day: date, action: Action) -> dict[str, Any]:
    name = _name(day, action)
    return {
        "name": f"file-{name}",
        "file_name": f"royalty-statement-{day}-{name}-00000000.pdf",
        "attached_to_doctype": "Journal Entry",
        "attached_to_name": name,
        "is_private": 1,
    }


def _store(erpnext: SandboxERPNext, doctype: str, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    moment = erpnext.site.clock().isoformat(sep=" ")
    standard = {"owner": "robot@scoopjoy.example", "creation": moment, "modified": moment}
    names = [*standard, *rows[0]]
    erpnext.site.db.run_many(
        f"INSERT INTO {table(doctype)} ({', '.join(map(column, names))}) VALUES ({', '.join('?' * len(names))})",
        [[*standard.values(), *row.values()] for row in rows],
    )
