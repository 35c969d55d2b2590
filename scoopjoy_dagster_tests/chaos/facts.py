"""Facts of a seeded world, and their changes, as people make them at ERPNext's desk and at the till.

Here: who sells what, and what changes afterwards. Not here: faults (``faults``), what becomes of it (``schedule``).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from scoopjoy_dagster.sandbox import seed
from scoopjoy_dagster.sandbox.erpnext.takings import POS_INVOICE, SALES_INVOICE, invoice_type
from scoopjoy_dagster.sandbox.seed.masters import WALK_IN, member_group
from scoopjoy_dagster_tests.chaos.truth import Tables
from scoopjoy_dagster_tests.world import (
    BANJARA,
    GELATO,
    INDIRANAGAR,
    KORAMANGALA,
    THANE,
    change,
    merge,
    rename,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext

SELLERS = (KORAMANGALA, INDIRANAGAR, THANE, BANJARA, GELATO)
GROUPS = {
    KORAMANGALA: "Owned Outlets",
    INDIRANAGAR: "Owned Outlets",
    THANE: "Partner Outlets",
    BANJARA: "Metro Partners",
    GELATO: "Metro Partners",
}
OUTSIDE = "Commercial"
AMOUNTS = ("12345.67", "333.33", "1000.01", "2718.28", "99.99", "66.67", "0.10", "5000", "8191.91", "14.29")
RATES = (0.0, 2.25, 3.333, 4.5, 5.0, 7.125, 8.0, 12.5)
TILLS = (
    ("POS Bandra", "cashier.bandra@scoopjoy.example"),
    ("POS T Nagar", "cashier.tnagar@scoopjoy.example"),
    ("POS Salt Lake", "cashier.saltlake@scoopjoy.example"),
)
KINDS = (
    *("added", "added", "cancelled", "replaced", "returned", "more returned than sold"),
    *("rate", "exempt", "moved", "disabled"),
    *("mode switched", "closing cancelled", "renamed", "merged"),
)
MANY = 11
"""Sales of a long shift: ERPNext consolidates ten and more in the background."""


@dataclass(frozen=True, slots=True)
class Closing:
    """A submitted POS Closing Entry: how many sales it holds, and whether they are POS Invoices."""

    name: str
    rows: int
    holds_pos_invoices: bool

    @classmethod
    def of(cls, erpnext: SandboxERPNext, name: str) -> Closing:
        (document,) = erpnext.documents("POS Closing Entry", name=name)
        pos, booked = document[erpnext.line.closing_rows], document.get("sales_invoices") or []
        return cls(name, len(pos) + len(booked), bool(pos) or not booked)


@dataclass(slots=True)
class Facts:
    """The world of one schedule.

    Attributes:
        days: its business days, oldest first.
        sellers: the franchises that sell.
        changed: what was changed later, by kind.
        disabled: franchises that are disabled for a while: ERPNext takes no entry for them meanwhile.
        groups: the customer group of each franchise, by its name of today.
        on_renamed, on_merged: called with the old and the new name of a franchise.
    """

    erpnext: SandboxERPNext
    days: Sequence[date]
    sellers: Sequence[str] = ()
    changed: list[str] = field(default_factory=list)
    disabled: list[str] = field(default_factory=list)
    groups: dict[str, str] = field(default_factory=lambda: dict(GROUPS))
    on_renamed: Callable[[str, str], None] = lambda _old, _new: None
    on_merged: Callable[[str, str], None] = lambda _old, _new: None

    @classmethod
    def seeded(cls, erpnext: SandboxERPNext, chance: random.Random, days: Sequence[date]) -> Facts:
        """These days with a few invoices and shifts."""
        facts = cls(erpnext, days, chance.sample(SELLERS, chance.randint(2, 4)))
        left = list(TILLS)
        for day in days:
            facts._sell(chance, day)
            tills = chance.sample(left, chance.choice((0, 1, 1, 2, 3) if len(days) == 1 else (0, 1, 1)))
            sold: tuple[str, seed.Sale] | None = None
            for place, (profile, cashier) in enumerate(tills):
                many = place == 0 and chance.random() < 0.3
                amounts = chance.choices(
                    ("60", "105", "245.50", "33.33"), k=MANY if many else chance.randint(0, 3)
                )
                buyers = chance.choices((WALK_IN, WALK_IN, *facts.sellers), k=len(amounts))
                sales = [
                    seed.Sale(Decimal(amount), customer=buyer)
                    for amount, buyer in zip(amounts, buyers, strict=True)
                ]
                opened = datetime.combine(day, time(10))
                sells_until = chance.random()
                if sold and facts.mode == POS_INVOICE and chance.random() < 0.5:
                    # Taken back at the till whose shift is closed before that of the sale: ERPNext refuses it until then.
                    opened = datetime.combine(day, time(9))
                    invoice, sale = sold
                    sales.append(replace(sale, returns=invoice, at=datetime.combine(day, time(20))))
                if sells_until < 0.2 and not erpnext.line.tills_sell_today:
                    after_midnight = datetime.combine(day + timedelta(days=1), time(0, 20))
                    sales.append(seed.Sale(Decimal("33.33"), at=after_midnight))
                made = seed.add_shift(erpnext, profile, cashier, opened, sales)
                if made.invoices and not sold:
                    sold = made.invoices[0], sales[0]
            if erpnext.line.one_open_shift:
                left = [one for one in left if one not in tills]
        return facts

    def _sell(self, chance: random.Random, day: date) -> None:
        for customer in self.sellers:
            names = [
                seed.add_invoice(self.erpnext, customer, day, chance.choice(AMOUNTS))
                for _ in range(chance.choice((0, 1, 1, 2, 3)))
            ]
            if names and chance.random() < 0.3:
                seed.add_invoice(
                    self.erpnext, customer, day, "50.05", is_return=True, return_against=names[0]
                )

    def change(self, chance: random.Random) -> str:
        """Change one fact of a day that may be closed already. Returns the kind of change."""
        kind = chance.choice(KINDS)
        customer, day = chance.choice(list(self.sellers)), chance.choice(list(self.days))
        # Drawn whatever the change is, so that the rest of the schedule is the same for every course of events.
        amount, rate, place = chance.choice(AMOUNTS), chance.choice(RATES), chance.random()
        sold = self.invoices(customer, day)
        if customer in self.disabled:
            kind = "rate"  # of a disabled one ERPNext takes no documents
        match kind:
            case "cancelled" | "replaced" if sold:
                self.cancel_invoice(sold[int(place * len(sold))], again=kind == "replaced")
            case "returned" if sold:
                against = sold[int(place * len(sold))]
                seed.add_invoice(self.erpnext, customer, day, "7.77", is_return=True, return_against=against)
            case "more returned than sold":
                seed.add_invoice(self.erpnext, customer, day, Decimal(99999), is_return=True)
            case "rate":
                change(self.erpnext, "Customer", customer, custom_royalty_percentage=rate)
            case "exempt":
                now = self.erpnext.documents("Customer", name=customer)[0]["custom_royalty_exempt"]
                change(self.erpnext, "Customer", customer, custom_royalty_exempt=int(not now))
            case "moved":
                now = self.erpnext.documents("Customer", name=customer)[0]["customer_group"]
                group = member_group(self.erpnext, self.groups[customer]) if now == OUTSIDE else OUTSIDE
                change(self.erpnext, "Customer", customer, customer_group=group)
            case "disabled":
                change(self.erpnext, "Customer", customer, disabled=1)
                self.disabled.append(customer)
            case "renamed":
                self._rename(customer)
            case "merged" if self._merge(customer, place):
                pass
            case "mode switched" | "closing cancelled" if self._at_the_till(kind, place):
                pass
            case _:
                kind = "added"
                seed.add_invoice(self.erpnext, customer, day, amount)
        self.changed.append(kind)
        return kind

    def cancel_invoice(self, name: str, *, again: bool) -> None:
        """Cancel an invoice; `again` submits another one like it in its place, as people do after ERPNext's Amend."""
        (old,) = self.erpnext.documents("Sales Invoice", name=name)
        seed.cancel_document(self.erpnext, "Sales Invoice", name)
        if again:
            day = date.fromisoformat(old["posting_date"])
            seed.add_invoice(self.erpnext, old["customer"], day, str(old["base_grand_total"]))

    def _rename(self, customer: str) -> None:
        name = f"{customer} {len(self.changed)}"
        rename(self.erpnext, customer, name)
        self.sellers = [name if one == customer else one for one in self.sellers]
        self.groups[name] = self.groups.pop(customer)
        self.on_renamed(customer, name)

    def _merge(self, customer: str, place: float) -> bool:
        """Merge a franchise into another one that sells. False where there is none left to sell beside it."""
        others = [one for one in self.sellers if one != customer and one not in self.disabled]
        if len(others) < 2:
            return False
        other = others[int(place * len(others))]
        merge(self.erpnext, customer, other)
        self.sellers = [one for one in self.sellers if one != customer]
        self.on_merged(customer, other)
        return True

    def _at_the_till(self, kind: str, place: float) -> bool:
        """Switch what tills make, or cancel a closing. False where that cannot be done now."""
        if self._open_shifts():
            return False
        if kind == "mode switched":
            if self.erpnext.line.invoice_modes:
                self._switch(SALES_INVOICE if self.mode == POS_INVOICE else POS_INVOICE)
            return self.erpnext.line.invoice_modes
        closing = self._cancellable(place)
        if closing is None:
            return False
        # In the other mode ERPNext would take the shift's sales in no closing any more.
        if self.erpnext.line.invoice_modes:
            self._switch(POS_INVOICE if closing.holds_pos_invoices else SALES_INVOICE)
        session = self.erpnext.session()
        with self.erpnext.site.transaction():
            session.cancel(session.load("POS Closing Entry", closing.name))
        return True

    @property
    def mode(self) -> str:
        """What the tills make now."""
        return invoice_type(self.erpnext.session())

    def _switch(self, mode: str) -> None:
        change(self.erpnext, "POS Settings", "POS Settings", invoice_type=mode)

    def _open_shifts(self) -> list[str]:
        return Tables(self.erpnext).names(
            "SELECT name FROM \"tabPOS Opening Entry\" WHERE docstatus = 1 AND status = 'Open'"
        )

    def _cancellable(self, place: float) -> Closing | None:
        """A closing that a person can take back: of fewer rows than ERPNext consolidates in the background."""
        found = [
            closing
            for name in Tables(self.erpnext).names(
                'SELECT name FROM "tabPOS Closing Entry" WHERE docstatus = 1 ORDER BY name'
            )
            if (closing := Closing.of(self.erpnext, name)).rows < MANY - 1
        ]
        return found[int(place * len(found))] if found else None

    def enable(self) -> bool:
        """Enable the disabled franchises again. False if there are none."""
        again, self.disabled[:] = list(self.disabled), []
        for customer in again:
            change(self.erpnext, "Customer", customer, disabled=0)
        return bool(again)

    def invoices(self, customer: str, day: date) -> list[str]:
        """Invoices that can still be cancelled or returned: no returns, none with a return against them, none of a till."""
        return Tables(self.erpnext).names(
            'SELECT name FROM "tabSales Invoice" s WHERE customer = ? AND posting_date = ? AND docstatus = 1'
            " AND coalesce(is_return, 0) = 0 AND coalesce(is_pos, 0) = 0 AND NOT EXISTS"
            ' (SELECT 1 FROM "tabSales Invoice" r WHERE r.return_against = s.name AND r.docstatus = 1) ORDER BY name',
            customer,
            day.isoformat(),
        )
