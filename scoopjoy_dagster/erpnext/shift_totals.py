"""Closed shifts of a day as reports and control totals show them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from scoopjoy_dagster.accounting.money import ZERO, exact
from scoopjoy_dagster.accounting.past import OutletDay
from scoopjoy_dagster.accounting.shifts import SUBMITTED, Opening
from scoopjoy_dagster.erpnext import pos
from scoopjoy_dagster.erpnext.dialect import UNCOUNTED_FIELD
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


def closed_shifts(site: Site, day: date) -> tuple[list[ClosedShift], list[ClosedPayment], list[Opening]]:
    """The closed shifts of `day`, their payments, and the shifts that are not closed yet."""
    openings = pos.of_day(pos.openings(site, day, day), day)
    by_name = {one.name: one for one in openings}
    rows = site.client.rows(
        "POS Closing Entry",
        ["name", "pos_opening_entry", "grand_total"],
        [
            ["pos_opening_entry", "in", list(by_name)],
            ["docstatus", "=", SUBMITTED],
            ["status", "=", "Submitted"],
        ],
    )
    of_closing = {str(row["name"]): by_name[str(row["pos_opening_entry"])] for row in rows}
    counts = _invoice_counts(site, list(of_closing))
    shifts = [
        ClosedShift(
            of_closing[str(row["name"])],
            str(row["name"]),
            *counts.get(str(row["name"]), (0, 0)),
            exact(row["grand_total"]),
        )
        for row in rows
    ]
    shifts.sort(key=lambda one: (one.opening.pos_profile, one.opening.period_start, one.closing))
    closed = {one.opening.name for one in shifts}
    return shifts, _payments(site, of_closing), [one for one in openings if one.name not in closed]


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
            ["period_start_date", ">=", f"{first} 00:00:00"],
            ["period_start_date", "<", f"{last + timedelta(days=1)} 00:00:00"],
        ],
    )
    names = [str(row["name"]) for row in rows]
    counts, returned = _invoice_counts(site, names), _returned(site, names)
    found: dict[tuple[date, str], list[OutletDay]] = defaultdict(list)
    for row in rows:
        day = datetime.fromisoformat(str(row["period_start_date"])).date()
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
    rows = site.client.rows(
        site.dialect.closing_rows_doctype,
        ["parent", site.dialect.total("grand_total", "returned")],
        [["parent", "in", list(closings)], ["parenttype", "=", "POS Closing Entry"], ["is_return", "=", 1]],
        group_by="parent",
        order_by="parent asc",
        parent="POS Closing Entry",
    )
    return {str(row["parent"]): exact(row["returned"]) for row in rows}


def _invoice_counts(site: Site, closings: Sequence[str]) -> dict[str, tuple[int, int]]:
    rows = site.client.rows(
        site.dialect.closing_rows_doctype,
        ["parent", site.dialect.count("invoices"), site.dialect.total("is_return", "returns")],
        [["parent", "in", list(closings)], ["parenttype", "=", "POS Closing Entry"]],
        group_by="parent",
        order_by="parent asc",
        parent="POS Closing Entry",
    )
    return {str(row["parent"]): (int(row["invoices"]), int(row["returns"] or 0)) for row in rows}


def _payments(site: Site, of_closing: dict[str, Opening]) -> list[ClosedPayment]:
    rows = site.client.rows(
        "POS Closing Entry Detail",
        ["parent", "mode_of_payment", "opening_amount", "expected_amount", "closing_amount", UNCOUNTED_FIELD],
        [["parent", "in", list(of_closing)], ["parenttype", "=", "POS Closing Entry"]],
        order_by="parent asc, idx asc",
        parent="POS Closing Entry",
    )
    payments = [
        ClosedPayment(
            of_closing[str(row["parent"])],
            str(row["mode_of_payment"]),
            exact(row["opening_amount"]),
            exact(row["expected_amount"]),
            None if row[UNCOUNTED_FIELD] else exact(row["closing_amount"]),
        )
        for row in rows
    ]
    return sorted(payments, key=lambda one: (one.opening.pos_profile, one.opening.name, one.mode))
