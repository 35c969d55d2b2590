"""Closed shifts of a day as reports and control totals show them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from scoopjoy_dagster.accounting.money import ZERO, exact
from scoopjoy_dagster.accounting.past import OutletDay
from scoopjoy_dagster.accounting.shifts import SUBMITTED, Opening
from scoopjoy_dagster.erpnext import pos
from scoopjoy_dagster.erpnext.site import Site


@dataclass(frozen=True, slots=True)
class ClosedShift:
    """A submitted POS Closing Entry: number of invoices (returns among them) and sales in INR."""

    opening: Opening
    closing: str
    invoices: int
    returns: int
    sales: Decimal


@dataclass(frozen=True, slots=True)
class ClosedPayment:
    """One mode of payment of a closed shift, in INR; `counted` is None where nobody counted."""

    opening: Opening
    mode: str
    opening_amount: Decimal
    expected: Decimal
    counted: Decimal | None

    @property
    def difference(self) -> Decimal | None:
        """Counted minus expected; negative is a shortage."""
        return None if self.counted is None else self.counted - self.expected


@dataclass(frozen=True, slots=True)
class DayShifts:
    """The shifts of one business day: those that are closed with their payments, and those that are not."""

    closed: tuple[ClosedShift, ...] = ()
    payments: tuple[ClosedPayment, ...] = ()
    not_closed: tuple[Opening, ...] = ()


def shifts_of_days(site: Site, first: date, last: date) -> dict[date, DayShifts]:
    """The shifts that began on the days from `first` to `last`, by business day; three list calls, on v16+ four."""
    day_of = site.day_end.day_of
    openings = {
        one.name: one for one in pos.openings(site, first, last) if first <= day_of(one.period_start) <= last
    }
    found: dict[str, pos.ClosingRow] = {
        row.name: row for row in pos.closing_rows(site, openings.values()) if row.done
    }
    counts = _invoice_counts(site, sorted(found))
    closed: dict[date, list[ClosedShift]] = defaultdict(list)
    payments: dict[date, list[ClosedPayment]] = defaultdict(list)
    for row in found.values():
        opening = openings[row.opening]
        day = day_of(opening.period_start)
        closed[day].append(
            ClosedShift(opening, row.name, *counts.get(row.name, (0, 0)), exact(row.row["grand_total"]))
        )
        payments[day] += [
            ClosedPayment(opening, one.mode, one.opening_amount, one.expected, one.counted)
            for one in row.payments
        ]
    done = {row.opening for row in found.values()}
    waiting: dict[date, list[Opening]] = defaultdict(list)
    for one in openings.values():
        if one.name not in done:
            waiting[day_of(one.period_start)].append(one)
    return {
        day: DayShifts(
            tuple(
                sorted(
                    closed[day],
                    key=lambda one: (one.opening.pos_profile, one.opening.period_start, one.closing),
                )
            ),
            tuple(
                sorted(payments[day], key=lambda one: (one.opening.pos_profile, one.opening.name, one.mode))
            ),
            tuple(waiting[day]),
        )
        for day in closed.keys() | waiting.keys()
    }


def outlets(site: Site) -> list[str]:
    """The outlets of the company: the names of its POS Profiles, disabled ones included, in order."""
    rows = site.client.rows("POS Profile", ["name"], [["company", "=", site.company["name"]]])
    return [str(row["name"]) for row in rows]


def outlet_days(site: Site, first: date, last: date) -> list[OutletDay]:
    """The closed shifts of every outlet and business day from `first` to `last`, in order; three list calls.

    The business day is that on which the shift was opened, whenever it was closed.
    """
    rows = site.client.rows(
        "POS Closing Entry",
        ["name", "pos_profile", "period_start_date", "grand_total"],
        [
            ["company", "=", site.company["name"]],
            ["docstatus", "=", SUBMITTED],
            ["status", "=", "Submitted"],
            *pos.began(site, first, last),
        ],
    )
    names = [str(row["name"]) for row in rows]
    counts, returned = _invoice_counts(site, names), _returned(site, names)
    found: dict[tuple[date, str], list[OutletDay]] = defaultdict(list)
    for row in rows:
        day = pos.day_of(site, row)
        name, profile = str(row["name"]), str(row["pos_profile"])
        sales = exact(row["grand_total"])
        shift = OutletDay(day, profile, 1, *counts.get(name, (0, 0)), sales, returned.get(name, ZERO))
        found[day, profile].append(shift)
    return [
        OutletDay(
            *key,
            len(shifts),
            sum(one.invoices for one in shifts),
            sum(one.returns for one in shifts),
            sum((one.sales for one in shifts), ZERO),
            sum((one.returned for one in shifts), ZERO),
        )
        for key, shifts in sorted(found.items())
    ]


def _returned(site: Site, closings: Sequence[str]) -> dict[str, Decimal]:
    """The sum of the returns of each closing that has some, in INR: negative."""
    found: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for kind in site.dialect.till_documents:
        for row in site.client.rows(
            kind.rows,
            ["parent", site.dialect.total("grand_total", "returned")],
            [
                ["parent", "in", list(closings)],
                ["parenttype", "=", "POS Closing Entry"],
                ["is_return", "=", 1],
            ],
            group_by="parent",
            order_by="parent asc",
            parent="POS Closing Entry",
        ):
            found[str(row["parent"])] += exact(row["returned"])
    return found


def _invoice_counts(site: Site, closings: Sequence[str]) -> dict[str, tuple[int, int]]:
    """How many sales each closing holds, and how many of them are returns."""
    found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for kind in site.dialect.till_documents:
        for row in site.client.rows(
            kind.rows,
            ["parent", site.dialect.count("invoices"), site.dialect.total("is_return", "returns")],
            [["parent", "in", list(closings)], ["parenttype", "=", "POS Closing Entry"]],
            group_by="parent",
            order_by="parent asc",
            parent="POS Closing Entry",
            remember=True,
        ):
            invoices, returns = found[str(row["parent"])]
            found[str(row["parent"])] = (
                invoices + int(row["invoices"]),
                returns + int(row["returns"] or 0),
            )
    return found
