"""Weeks of business: shifts at the outlets, invoices to the franchises, days closed and days left open."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from scoopjoy_dagster.sandbox.seed.facts import (
    Sale,
    add_franchise,
    add_invoice,
    add_shift,
    at,
    cancel_document,
    close_shift,
    end_of,
)
from scoopjoy_dagster.sandbox.seed.masters import FRANCHISES, OUTLETS, WHOLESALE, master_data

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext import Credentials, SandboxERPNext

#: So many days before today stay open; those before them are closed.
OPEN_DAYS = 3
#: The same where a till takes one open shift at a time.
_OPEN_DAYS_OF_ONE = 1
_SEED = 20261122
#: Amounts in INR that make rounding visible.
_AWKWARD = tuple(map(Decimal, ("333.33", "0.10", "1234.57", "99.99", "2718.28", "0.05", "1000.01", "66.67")))
_PRICES = tuple(map(Decimal, ("45", "60", "105", "180", "210", "245.50", "390", "33.33")))
#: Sales of the outlets on an ordinary day, by outlet, shifted from day to day.
_SHIFT_SIZES = (3, 12, 0, 5, 4, 2)
#: Sales of the last full day. The last outlet has a shift of its own kind then (``_late_shift``).
_LAST_DAY_SIZES = (40, 3, 0, 12, 5)
_USD_RATE = Decimal("84.15")


@dataclass(frozen=True)
class SeedSummary:
    """What was made.

    Attributes:
        last_business_day: The day before ``today``: full, and not closed yet.
        closed_until: The last day whose shifts are all closed.
        counts: Documents by DocType.
        robot: The user that the pipeline works as.
        administrator: The user who may do everything.
        negative_franchise: A franchise whose returns exceed its sales on ``negative_day``.
    """

    last_business_day: date
    closed_until: date
    robot: Credentials
    administrator: Credentials
    negative_franchise: str
    negative_day: date
    counts: dict[str, int] = field(default_factory=dict)


def seed(
    world: SandboxERPNext, *, today: date, weeks: int = 4, invoice_type: str = "POS Invoice"
) -> SeedSummary:
    """Fill a world with masters and ``weeks`` weeks of history before ``today``; the same every time.

    ``invoice_type``: What the tills make (``master_data``).
    """
    open_days = _OPEN_DAYS_OF_ONE if world.line.one_open_shift else OPEN_DAYS
    chance = random.Random(_SEED)  # noqa: S311 - repeatable, no secret
    first, last = today - timedelta(days=7 * weeks), today - timedelta(days=1)
    with at(world, datetime.combine(first, time(6))):
        master_data(world, invoice_type=invoice_type)
        for franchise in FRANCHISES:
            add_franchise(world, franchise.name, group=franchise.group)
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    for number, day in enumerate(days):
        with at(world, datetime.combine(day, time(21))):
            _outlets(world, chance, day, number, last)
            _franchises(world, chance, day, number)
        if day < today - timedelta(days=open_days):
            _close(world, day)
    negative_day, negative = last - timedelta(days=1), FRANCHISES[4].name
    with at(world, datetime.combine(negative_day, time(22))):
        add_invoice(world, negative, negative_day, Decimal("90000.10"), is_return=True)
    _oddities(world, last)
    with at(world, datetime.combine(today, time(0, 35))):
        _late_shift(world, last)
    _disable(world)
    return SeedSummary(
        last_business_day=last,
        closed_until=today - timedelta(days=open_days + 1),
        robot=world.robot,
        administrator=world.administrator,
        negative_franchise=negative,
        negative_day=negative_day,
        counts=_counts(world),
    )


def _sales(chance: random.Random, how_many: int) -> list[Sale]:
    sales: list[Sale] = []
    for place in range(how_many):
        amount = chance.choice(_PRICES)
        mode = chance.choice(("Cash", "Cash", "Card", "UPI"))
        tendered = Decimal(500) if mode == "Cash" and chance.random() < 0.4 else None
        sales.append(Sale(amount, mode=mode, tendered=tendered))
        taken_back = place - 1
        if place >= 2 and place % 5 == 2 and sales[taken_back].returns is None:
            before = sales[taken_back]
            sales[place] = Sale(before.amount, mode=before.mode, returns=taken_back)
    return sales


def _outlets(world: SandboxERPNext, chance: random.Random, day: date, number: int, last: date) -> None:
    sizes = [_SHIFT_SIZES[(place + number) % len(_SHIFT_SIZES)] for place in range(len(OUTLETS))]
    # strict=False: on the last day the last outlet opens late.
    for outlet, size in zip(OUTLETS, _LAST_DAY_SIZES if day == last else sizes, strict=False):
        opened = datetime.combine(day, time(9))
        add_shift(world, outlet.profile, outlet.cashier, opened, _sales(chance, size))


def _franchises(world: SandboxERPNext, chance: random.Random, day: date, number: int) -> None:
    for place, franchise in enumerate(FRANCHISES):
        if (place + number) % 7 == 6:
            continue  # buys nothing today
        amount = Decimal(chance.randrange(150_000, 2_500_000)) / 100
        name = add_invoice(world, franchise.name, day, amount)
        if (place + number) % 3 == 0:
            add_invoice(world, franchise.name, day, _AWKWARD[(place + number) % len(_AWKWARD)])
        if (place + number) % 11 == 4:
            back = (amount / 10).quantize(Decimal("0.01"))
            add_invoice(world, franchise.name, day, back, is_return=True, return_against=name)
    add_invoice(
        world, WHOLESALE[number % len(WHOLESALE)], day, Decimal(chance.randrange(100_000, 900_000)) / 100
    )


def _close(world: SandboxERPNext, day: date) -> None:
    closed_at = end_of(day)
    with at(world, closed_at):
        for opening in world.documents("POS Opening Entry", status="Open"):
            close_shift(world, opening["name"], closed_at)


def _oddities(world: SandboxERPNext, last: date) -> None:
    """What must not disturb: foreign currency, drafts, cancelled invoices, tax, of the open days."""
    for back in range(OPEN_DAYS):
        day = last - timedelta(days=back)
        with at(world, datetime.combine(day, time(22, 30))):
            add_invoice(
                world, FRANCHISES[9].name, day, Decimal("123.45"), currency="USD", conversion_rate=_USD_RATE
            )
            add_invoice(world, FRANCHISES[1].name, day, Decimal("777.77"), submit=False)
            add_invoice(world, FRANCHISES[10].name, day, Decimal("1111.11"), taxes=5)
            cancelled = add_invoice(world, FRANCHISES[2].name, day, Decimal("55555.55"))
            cancel_document(world, "Sales Invoice", cancelled)


def _late_shift(world: SandboxERPNext, last: date) -> None:
    """The shift of the last outlet: opened at 18:00, still open, sells until half past midnight where tills may do that."""
    outlet = OUTLETS[-1]
    opened = datetime.combine(last, time(18))
    sales = [
        Sale(Decimal(180), at=opened + timedelta(hours=4)),
        Sale(Decimal(210), at=opened + timedelta(hours=5, minutes=55), mode="UPI"),
        Sale(Decimal(60), at=opened + timedelta(hours=6, minutes=20), tendered=Decimal(100)),
        Sale(Decimal(105), at=opened + timedelta(hours=6, minutes=30), mode="Card"),
    ]
    if world.line.tills_sell_today:
        sales = [sale for sale in sales if sale.at and sale.at.date() == last]
    add_shift(world, outlet.profile, outlet.cashier, opened, sales)


def _disable(world: SandboxERPNext) -> None:
    session = world.session()
    with world.site.transaction():
        for franchise in FRANCHISES:
            if franchise.disabled:
                doc = session.load("Customer", franchise.name)
                session.amend(doc, {"disabled": 1})
                session.save(doc)


def _counts(world: SandboxERPNext) -> dict[str, int]:
    doctypes = (
        "Customer",
        "Sales Invoice",
        "POS Invoice",
        "POS Opening Entry",
        "POS Closing Entry",
        "GL Entry",
        "User",
    )
    with world.site.db.lock:
        found = {name: world.site.db.one(f'SELECT count(*) FROM "tab{name}"') for name in doctypes}
    return {name: int(row[0]) for name, row in found.items() if row}
