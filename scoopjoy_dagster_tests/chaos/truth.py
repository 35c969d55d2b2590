"""What must be true for a business day, worked out from the embedded site's tables by arithmetic of its own.

Here: franchises, bases, rates, royalties and shares by the rule, in whole paise, and the till's sums. Not here: what the
program has made of it (``oracle``). Nothing of the program under test is imported, so that a mistake is not made twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext

Sales = dict[tuple[str, str], int]
"""An amount in paise for each sale, by DocType and name."""

DEFAULT_RATE = Fraction(5)
FRANCHISE_GROUP = "Franchise"


def paise(value: object) -> int:
    """An amount of the database in paise.

    Raises:
        ValueError: it has more than two decimals.
    """
    exact = Decimal(str(value or 0)) * 100
    if exact != exact.to_integral_value():
        raise ValueError(f"{value} INR is no whole number of paise")
    return int(exact)


def half_up(amount: Fraction) -> int:
    """Rounded to a whole number, halves away from zero."""
    whole = (abs(amount) + Fraction(1, 2)).__floor__()
    return whole if amount >= 0 else -whole


@dataclass(frozen=True, slots=True)
class Owed:
    """A franchise's day by the rule.

    Attributes:
        rate: percent.
        invoices: base by sale of the day (DocType and name), in paise, returns negative.
        exempt: it pays nothing whatever it sells.
        left: of a customer that is no franchise any more, the base in paise that its royalty was posted on last: it keeps it.
        merged: the first entries of customers that were merged into this one. They stand as they were posted: `stands` over
            `stands_base`, both in paise.
        posted: what is in the ledger for it, in paise.
    """

    rate: Fraction
    invoices: Sales
    exempt: bool = False
    left: int | None = None
    merged: frozenset[str] = frozenset()
    stands: int = 0
    stands_base: int = 0
    posted: int = 0

    @property
    def base(self) -> int:
        """Sum of the invoices, in paise."""
        return sum(self.invoices.values())

    @property
    def royalty(self) -> int:
        """In paise, rounded once; a day whose base is not positive owes nothing."""
        return self._due if self._due >= 0 else self.posted

    @property
    def kept(self) -> bool:
        """Whether it is what is posted, whatever was sold."""
        return self.left is not None or self._due < 0

    @property
    def _due(self) -> int:
        """Negative where more was taken back of what a merged customer had sold than the rate of the other can give back."""
        base = self.base if self.left is None else self.left + self.stands_base
        if self.exempt or base <= 0:
            return 0
        return half_up((base - self.stands_base) * self.rate / 100) + self.stands

    def share(self, base: int) -> Fraction:
        """The exact part of the royalty that falls on so much of the base, in paise."""
        return Fraction(base) * self.rate / 100 if self.royalty else Fraction(0)


@dataclass(frozen=True, slots=True)
class Shift:
    """A POS shift: its opening and the sums of its submitted invoices in paise, by name.

    `invoices` are POS Invoices, `booked` Sales Invoices that the till has made.
    """

    opening: str
    invoices: dict[str, int]
    booked: dict[str, int]

    @property
    def due(self) -> int:
        """What the shift has sold, in paise."""
        return sum(self.invoices.values()) + sum(self.booked.values())


class Tables:
    """The embedded site's database, by SQL."""

    def __init__(self, erpnext: SandboxERPNext) -> None:
        self._db = erpnext.site.db
        self.tills_make_sales_invoices = erpnext.line.invoice_modes

    def rows(self, sql: str, *params: Any) -> list[dict[str, Any]]:
        """Rows by column name."""
        with self._db.lock:
            names, rows = self._db.described(sql, params)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def names(self, sql: str, *params: Any) -> list[str]:
        """The first column."""
        return [str(next(iter(row.values()))) for row in self.rows(sql, *params)]


def franchises(tables: Tables) -> dict[str, dict[str, Any]]:
    """Enabled customers of the franchise group and of every group below it, by name."""
    found = tables.rows(
        """
        WITH RECURSIVE below(name) AS (
            SELECT ? UNION SELECT g.name FROM "tabCustomer Group" g JOIN below ON g.parent_customer_group = below.name
        )
        SELECT c.name, c.custom_royalty_percentage AS rate, c.custom_royalty_exempt AS exempt
        FROM "tabCustomer" c JOIN below ON c.customer_group = below.name
        WHERE coalesce(c.disabled, 0) = 0 ORDER BY c.name
        """,
        FRANCHISE_GROUP,
    )
    return {str(row["name"]): row for row in found}


def sales(tables: Tables, customer: str, day: date) -> Sales:
    """What a customer bought on the day: Sales Invoices that consolidate nothing, and POS Invoices that one of these does.

    An opening balance is not bought, nor is what the company transfers to itself.
    """
    return {
        (kind, row["name"]): paise(row["base"])
        for kind, only in (
            (
                "Sales Invoice",
                "coalesce(is_consolidated, 0) = 0 AND coalesce(represents_company, '') != company",
            ),
            ("POS Invoice", "coalesce(consolidated_invoice, '') != ''"),
        )
        for row in tables.rows(
            f'SELECT name, base_grand_total AS base FROM "tab{kind}" WHERE docstatus = 1 AND {only} AND customer = ?'
            " AND posting_date = ? AND coalesce(is_opening, '') != 'Yes' ORDER BY name",
            customer,
            day.isoformat(),
        )
    }


def posted(tables: Tables, day: date) -> dict[str, list[dict[str, Any]]]:
    """Our submitted royalty entries of the day by the party in the ledger: rate, base, `amount` in paise, and `chain`.

    A chain is a first entry with its adjustments; of merged customers there are several. By revision, then by key.
    """
    rows = tables.rows(
        "SELECT g.party, j.name, j.custom_scoopjoy_key AS key, j.custom_scoopjoy_adjusts AS adjusts,"
        " j.custom_royalty_rate AS rate, j.custom_royalty_base AS base, sum(g.debit) AS debit, sum(g.credit) AS credit"
        ' FROM "tabJournal Entry" j JOIN "tabGL Entry" g ON g.voucher_no = j.name AND g.party_type = \'Customer\''
        " WHERE j.custom_scoopjoy_key LIKE ? AND j.docstatus = 1 AND g.is_cancelled = 0 GROUP BY j.name, g.party",
        f"royalty:%:{day}:%",
    )
    for row in rows:
        row |= {
            "chain": row["adjusts"] or row["name"],
            "revision": int(row["key"].rpartition(":")[2]),
            "amount": paise(row["debit"]) - paise(row["credit"]),
        }
    found: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: (row["revision"], row["key"].casefold())):
        found.setdefault(row["party"], []).append(row)
    return found


def todays_rate(franchise: dict[str, Any]) -> Fraction:
    """The rate in percent that a franchise has now; 0 if it is exempt."""
    if franchise["exempt"]:
        return Fraction(0)
    return Fraction(str(franchise["rate"] or 0)) or DEFAULT_RATE


def owed(tables: Tables, day: date) -> dict[str, Owed]:
    """What every franchise owes for the day: at the rate of its first entry, or of today where it has none.

    A customer that has left the franchises keeps what is posted.
    """
    result: dict[str, Owed] = {}
    entries, now = posted(tables, day), franchises(tables)
    for name in sorted(now.keys() | entries.keys()):
        invoices = sales(tables, name, day)
        mine = entries.get(name)
        if mine:
            result[name] = _of_posted(mine, invoices, is_franchise=name in now)
            continue
        result[name] = Owed(todays_rate(now[name]), invoices, bool(now[name]["exempt"]))
    return result


def _of_posted(mine: list[dict[str, Any]], invoices: Sales, *, is_franchise: bool) -> Owed:
    """By the rate of the first entry; what customers that were merged into this one owed stands."""
    chains: dict[str, list[dict[str, Any]]] = {}
    for row in mine:
        chains.setdefault(row["chain"], []).append(row)
    own = chains.pop(mine[0]["chain"])
    return Owed(
        Fraction(str(mine[0]["rate"])),
        invoices,
        left=None if is_franchise else paise(own[-1]["base"]),
        merged=frozenset(one[0]["name"] for one in chains.values()),
        stands=sum(row["amount"] for one in chains.values() for row in one),
        stands_base=sum(paise(one[-1]["base"]) for one in chains.values()),
        posted=sum(row["amount"] for row in mine),
    )


def shifts(tables: Tables, day: date) -> list[Shift]:
    """The shifts that began on the day, with the submitted invoices of their cashiers from then on.

    A shift ends where the next one of the same cashier and profile begins.
    """
    openings = tables.rows(
        "SELECT name, user, pos_profile, period_start_date AS began,"
        ' (SELECT min(n.period_start_date) FROM "tabPOS Opening Entry" n WHERE n.user = o.user'
        "  AND n.pos_profile = o.pos_profile AND n.docstatus = 1 AND n.period_start_date > o.period_start_date) AS next"
        ' FROM "tabPOS Opening Entry" o WHERE docstatus = 1 AND period_start_date LIKE ? ORDER BY name',
        f"{day.isoformat()}%",
    )

    def sold(one: dict[str, Any], kind: str, only: str) -> dict[str, int]:
        return {
            row["name"]: paise(row["total"])
            for row in tables.rows(
                f'SELECT name, base_grand_total AS total FROM "tab{kind}" WHERE docstatus = 1 AND {only} AND owner = ?'
                " AND pos_profile = ? AND posting_date || ' ' || posting_time >= ?"
                " AND posting_date || ' ' || posting_time < ? ORDER BY name",
                one["user"],
                one["pos_profile"],
                one["began"],
                one["next"] or "9999",
            )
        }

    return [
        Shift(
            one["name"],
            sold(one, "POS Invoice", "1 = 1"),
            sold(one, "Sales Invoice", "is_created_using_pos = 1")
            if tables.tills_make_sales_invoices
            else {},
        )
        for one in openings
    ]


def rupees(amount: int) -> str:
    """Paise as INR for people."""
    return f"{Decimal(amount) / 100:.2f}"


def total(amounts: Iterable[int]) -> int:
    """Sum in paise."""
    return sum(amounts, 0)
