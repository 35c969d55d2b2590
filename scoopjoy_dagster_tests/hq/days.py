"""Days to deliver."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from scoopjoy_dagster.hq.payload import FranchiseDay, PosDay, daily_totals

SECRET = "shared with headquarters alone"

MUMBAI = FranchiseDay(
    customer="CUST-0002",
    customer_name="ScoopJoy Mumbai",
    invoices=2,
    base=Decimal("1500.10"),
    rate=Decimal("5.0"),
    royalty=Decimal("75.01"),
    journal_entries=("ACC-JV-2026-00002", "ACC-JV-2026-00001"),
)
PUNE = FranchiseDay(
    customer="CUST-0001",
    customer_name="आइसक्रीम Pune",
    invoices=1,
    base=Decimal(200),
    rate=Decimal("7.50"),
    royalty=Decimal(15),
    journal_entries=("ACC-JV-2026-00003",),
)


def a_day(**changes: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "company": "ScoopJoy",
        "business_day": date(2026, 11, 22),
        "revision": 0,
        "currency": "INR",
        "policy_name": "standard",
        "policy_version": 1,
        "sales": Decimal("1700.10"),
        "pos": PosDay(shifts=2, invoices=31, sales=Decimal("4321.5")),
        "franchises": [MUMBAI, PUNE],
    }
    return daily_totals(**{**facts, **changes})
