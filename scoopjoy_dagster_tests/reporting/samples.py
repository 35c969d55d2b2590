"""Business days to render: made of the same columns that the assets fill, with what makes a rendering fail."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pandas as pd

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.past import FranchiseDay, OutletDay, Past
from scoopjoy_dagster.reporting.model import (
    FRAMES,
    DayReport,
    RoyaltyStatement,
    StatementEntry,
    StatementLine,
    empty_frame,
)

DAY = date(2026, 11, 22)
POLICY = "default-5pct v1: 5 % of base_grand_total, rounded half up per franchise and day"
PLACES = [
    "Koramangala", "Indiranagar 100 Feet Road", "Jayanagar 4th Block", "Whitefield", "HSR Layout", "MG Road",
    "Malleshwaram", "Electronic City", "Hebbal", "Banashankari",
]  # fmt: skip


def frame(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """A frame as a client builds it: object columns, None where nothing is known."""
    return pd.DataFrame(rows, columns=list(FRAMES[name]), dtype=object) if rows else empty_frame(name)


def royalty_of(base: Decimal, rate: Decimal = Decimal(5)) -> Decimal:
    return (base * rate / 100).quantize(Decimal("0.01"), ROUND_HALF_UP)


def outlet_row(number: int, name: str, base: Decimal, **more: Any) -> dict[str, Any]:
    return {
        "customer": f"CUST-{number:04d}",
        "customer_name": name,
        "invoices": 20 + number,
        "base": base,
        "rate": Decimal(5),
        "royalty": royalty_of(base),
        "journal_entries": f"SJ-ROY-2026-{number:05d}",
        "note": "",
    } | more


def shift_row(number: int, profile: str, sales: Decimal) -> dict[str, Any]:
    return {
        "opening": f"POS-OPE-2026-{number:05d}",
        "pos_profile": profile,
        "cashier": f"cashier{number}@scoopjoy.example",
        "closing": f"POS-CLO-2026-{number:05d}",
        "invoices": 20 + number,
        "returns": number % 3,
        "sales": sales,
    }


def payment_rows(number: int, profile: str, sales: Decimal) -> list[dict[str, Any]]:
    """Cash, UPI and card of one shift: every third shift was closed without a count, every fourth is short in cash."""
    rows = []
    for mode, part in (("Cash", Decimal("0.25")), ("UPI", Decimal("0.55")), ("Credit Card", Decimal("0.20"))):
        opening = Decimal("2000.00") if mode == "Cash" else Decimal("0.00")
        expected = (sales * part).quantize(Decimal("0.01")) + opening
        short = Decimal("-120.50") if number % 4 == 0 and mode == "Cash" else Decimal("0.00")
        counted = None if number % 3 == 2 else expected + short
        rows.append(
            {
                "pos_profile": profile,
                "opening": f"POS-OPE-2026-{number:05d}",
                "mode_of_payment": mode,
                "opening_amount": opening,
                "expected": expected,
                "counted": counted,
                "difference": None if counted is None else short,
            }
        )
    return rows


def invoice_row(number: int, outlet: dict[str, Any], base: Decimal) -> dict[str, Any]:
    return {
        "invoice": f"ACC-SINV-2026-{number:05d}",
        "customer": outlet["customer"],
        "customer_name": outlet["customer_name"],
        "posting_date": DAY,
        "is_return": base < 0,
        "currency": "INR",
        "base": base,
        "rate": outlet["rate"],
        "royalty": royalty_of(base, outlet["rate"]),
    }


def day_report(
    names: list[str] | None = None, *, findings: tuple[Finding, ...] = (), **more: Any
) -> DayReport:
    """A day of as many outlets as there are `names` (ten by default), with shifts, payments, invoices and a fortnight before."""
    names = [f"ScoopJoy {place}" for place in PLACES] if names is None else names
    bases = [
        Decimal(f"{184_350 - 9_731 * (number % 17)}.{number * 7 % 100:02d}") for number in range(len(names))
    ]
    outlets = [outlet_row(number, name, bases[number]) for number, name in enumerate(names)]
    shifts = [shift_row(number, f"{name} Till 1", bases[number] - 1000) for number, name in enumerate(names)]
    payments = [
        row
        for number, shift in enumerate(shifts)
        for row in payment_rows(number, shift["pos_profile"], shift["sales"])
    ]
    invoices = [
        row
        for number, outlet in enumerate(outlets)
        for row in (
            invoice_row(3 * number, outlet, outlet["base"] + 500),
            invoice_row(3 * number + 1, outlet, Decimal("-500.00")),
        )
    ]
    royalty = sum((row["royalty"] for row in outlets), Decimal(0))
    history = [
        {
            "day": DAY - timedelta(days=back),
            "sales": royalty * 20,
            "royalty": (royalty * factor).quantize(Decimal("0.01")),
        }
        for back, factor in ((back, Decimal(100 - 9 * (back % 5)) / 100) for back in range(13, -1, -1))
    ]
    fields: dict[str, Any] = {
        "company": "ScoopJoy",
        "business_day": DAY,
        "currency": "INR",
        "revision": 0,
        "policy": POLICY,
        "policy_version": "standard-c2757abb",
        "outlets": frame("outlets", outlets),
        "shifts": frame("shifts", shifts),
        "payments": frame("payments", payments),
        "invoices": frame("invoices", invoices),
        "history": frame("history", history),
        "findings": findings,
        "totals": {
            "sales": sum(bases, Decimal(0)),
            "royalty": royalty,
            "pos_sales": sum((row["sales"] for row in shifts), Decimal(0)),
            "invoices": Decimal(sum(row["invoices"] for row in outlets)),
        },
        "newest_invoices": {
            row["customer"]: f"{DAY} 22:{number % 60:02d}:07.123456" for number, row in enumerate(outlets)
        },
    }
    return DayReport(**fields | more)


def past_of(report: DayReport, days: int = 62) -> Past:
    """The days before a sample: on each the outlets sold a little more or less, and on the day what the frames say."""
    last = report.business_day
    franchises, outlets = [], []
    for back in range(days):
        day = last - timedelta(days=back)
        # The same weekday a week before sold 10 % less; a day before, up to a third more or less.
        factor = Decimal(100 - 10 * (back // 7) + (7 * back) % 31 - (3 * back) % 17 if back else 100) / 100
        for row in report.outlets.to_dict("records"):
            sales, royalty = ((row[key] * factor).quantize(Decimal("0.01")) for key in ("base", "royalty"))
            franchises.append(
                FranchiseDay(day, row["customer"], row["customer_name"], row["invoices"], sales, royalty)
            )
        for row in report.shifts.to_dict("records"):
            sales = (row["sales"] * factor).quantize(Decimal("0.01"))
            returned = Decimal("-120.00") * row["returns"]
            outlets.append(
                OutletDay(day, row["pos_profile"], 1, row["invoices"], row["returns"], sales, returned)
            )
    return Past(tuple(franchises), tuple(outlets))


def with_past(report: DayReport) -> DayReport:
    """The sample with the days before it."""
    return replace(report, past=past_of(report))


def empty_report(**more: Any) -> DayReport:
    """A day on which every outlet was shut: frames without rows, all totals zero."""
    zero = {"sales": Decimal(0), "royalty": Decimal(0), "pos_sales": Decimal(0), "invoices": Decimal(0)}
    fields: dict[str, Any] = {"totals": zero, "history": empty_frame("history")}
    return day_report([], **fields | more)


FINDINGS = (
    Finding(
        "warning",
        "Default rate used",
        "CUST-0004 ScoopJoy HSR Layout",
        "custom_royalty_percentage is 0 or empty; the default of 5 % was used.",
        "Set the rate on the Customer, or tick Royalty Exempt if the franchise pays nothing.",
    ),
    Finding(
        "error",
        "POS closing failed",
        "POS-OPE-2026-00007 ScoopJoy Electronic City Till 1",
        "Row #3: Item <b>Mango Kulfi</b> has no default warehouse & cannot be consolidated.",
        "Set the warehouse on the POS Profile, then run the day again.",
    ),
    Finding(
        "warning",
        "Payments not counted",
        "POS-OPE-2026-00002 ScoopJoy Jayanagar 4th Block Till 1",
        "The shift was closed by the nightly close; nobody counted the drawer.",
        "Count the drawer and record the difference.",
    ),
)


def statement(**more: Any) -> RoyaltyStatement:
    lines = tuple(
        StatementLine(f"ACC-SINV-2026-{number:05d}", DAY, number % 9 == 8, base, royalty_of(base))
        for number, base in enumerate(
            Decimal(f"{'-' if number % 9 == 8 else ''}{(number * 317) % 900 + 180}.{number % 4 * 25:02d}")
            for number in range(24)
        )
    )
    base = sum((line.base for line in lines), Decimal(0))
    royalty = sum((line.share for line in lines), Decimal(0))
    fields: dict[str, Any] = {
        "company": "ScoopJoy",
        "customer": "CUST-0001",
        "customer_name": "ScoopJoy Koramangala",
        "business_day": DAY,
        "currency": "INR",
        "policy": POLICY,
        "policy_version": "v1",
        "rate": Decimal("5.0"),
        "base": base,
        "royalty": royalty,
        "lines": lines,
        "invoices": len(lines),
        "newest_invoice": f"{DAY} 22:41:07.123456",
        "entries": (
            StatementEntry("ACC-JV-2026-00012", DAY, 0, royalty + Decimal("12.50"), ""),
            StatementEntry(
                "ACC-JV-2026-00031",
                DAY + timedelta(days=2),
                1,
                Decimal("-12.50"),
                "ACC-SINV-2026-00017 was returned",
            ),
        ),
        "month_to_date_base": base * 21,
        "month_to_date_royalty": royalty * 21,
    }
    return RoyaltyStatement(**fields | more)
