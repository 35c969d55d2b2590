"""A franchise chain of any size on the embedded ERPNext, written straight into its database: thousands take seconds.

One customer and one invoice are made as a person would; all others are copies of their rows under other names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from scoopjoy_dagster.erpnext.client import Client
from scoopjoy_dagster.erpnext.installation import install, read_installation
from scoopjoy_dagster.erpnext.session import Session
from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster.sandbox.erpnext.database import column, table

RATES = tuple(Decimal(text) for text in ("4.5", "5", "6.25", "7.5", "8"))
MODEL = "Outlet 0000"


@dataclass(frozen=True, slots=True)
class Chain:
    """How much there is of everything. `invoices`: Sales Invoices of each franchise and day."""

    franchises: int
    invoices: int
    first: date
    last: date

    @property
    def days(self) -> list[date]:
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]


def name_of(number: int) -> str:
    return f"Outlet {number:04}"


def amount_of(day: date, place: int, number: int) -> Decimal:
    """Between 100.00 and 10,099.99 INR; the same in every run, another one for each invoice and day."""
    return (
        Decimal(10_000 + (day.toordinal() * 7_919 + place * 104_729 + number * 1_299_709) % 1_000_000) / 100
    )


def prepare(erpnext: SandboxERPNext) -> None:
    """Masters and our custom fields; the site must be serving."""
    seed.master_data(erpnext)
    robot = erpnext.robot
    with Session(erpnext.url, robot.api_key, robot.api_secret) as session:
        client = Client(session)
        install(client, read_installation(client), lambda _step: None)


def build(erpnext: SandboxERPNext, chain: Chain) -> None:
    """Write the franchises and the invoices of all days."""
    seed.add_franchise(erpnext, MODEL, rate=RATES[0])
    invoice = seed.add_invoice(erpnext, MODEL, chain.first, amount_of(chain.first, 0, 0))
    with erpnext.site.transaction():
        _copy(
            erpnext,
            "Customer",
            MODEL,
            [
                {
                    "name": name_of(place),
                    "customer_name": name_of(place),
                    "custom_royalty_percentage": float(RATES[place % len(RATES)]),
                }
                for place in range(1, chain.franchises)
            ],
        )
        changes = [
            _invoice(day, place, number)
            for day in chain.days
            for place in range(chain.franchises)
            for number in range(chain.invoices)
            if (day, place, number) != (chain.first, 0, 0)
        ]
        _copy(erpnext, "Sales Invoice", invoice, changes)
        _copy_rows(erpnext, "Sales Invoice Item", invoice, [one["name"] for one in changes])
        erpnext.site.forget(None)
    erpnext.requests.reset()


_TOTALS = ("grand_total", "net_total", "total", "rounded_total", "outstanding_amount")


def _invoice(day: date, place: int, number: int) -> dict[str, Any]:
    amount = float(amount_of(day, place, number))
    return {
        "name": f"SI-{day:%Y%m%d}-{place:04}-{number}",
        "customer": name_of(place),
        "customer_name": name_of(place),
        "posting_date": day.isoformat(),
        "due_date": (day + timedelta(days=30)).isoformat(),
        **dict.fromkeys(_TOTALS, amount),
        **dict.fromkeys((f"base_{name}" for name in _TOTALS), amount),
    }


def _copy(
    erpnext: SandboxERPNext, doctype: str, name: str, changes: Iterable[Mapping[str, Any]], key: str = "name"
) -> None:
    """Copies of the rows of one document, each with its own values; values that the DocType does not have are left out."""
    names, rows = erpnext.site.db.described(
        f"SELECT * FROM {table(doctype)} WHERE {column(key)} = ?", (name,)
    )
    (row,) = rows
    model = dict(zip(names, row, strict=True))
    _store(erpnext, doctype, names, ([{**model, **own}[one] for one in names] for own in changes))


def _copy_rows(erpnext: SandboxERPNext, doctype: str, parent: str, parents: Sequence[str]) -> None:
    changes = ({"name": f"row-{own}", "parent": own} for own in parents)
    _copy(erpnext, doctype, parent, changes, "parent")


def _store(
    erpnext: SandboxERPNext, doctype: str, names: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    listed = ", ".join(map(column, names))
    marks = ", ".join("?" * len(names))
    erpnext.site.db.run_many(f"INSERT INTO {table(doctype)} ({listed}) VALUES ({marks})", list(rows))
