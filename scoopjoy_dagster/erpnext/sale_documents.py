"""Which documents of ERPNext are sales: each sale once, as the document that was made when it was sold, on its own date.

A sale at the till is a POS Invoice first. The closing of its shift consolidates it: a Sales Invoice of the whole shift takes
it into the ledger, and a credit note takes the returns. When those are dated is ERPNext's affair (on v15 as the closing
says, on v16+ the last sale's date for the one and the day of the closing for the other), and a shift may go on over midnight. So a
consolidation is no sale of ours; what it consolidates is, once it is in the ledger. Where the till makes Sales
Invoices (v16+, *Sales Invoice* mode) there is nothing else.

Its day is the business day, which may end after midnight (`accounting.business_day`). Here and nowhere else the posting date
and time of a sale become its business day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from scoopjoy_dagster.accounting.business_day import DayEnd
from scoopjoy_dagster.erpnext.client import Field, Filter, Row
from scoopjoy_dagster.erpnext.site import Site

NO_OPENING: Filter = ["is_opening", "!=", "Yes"]
"""An opening invoice brings in an old balance: what was sold for it is in the sales of the books before."""


@dataclass(frozen=True, slots=True)
class SaleDocument:
    """A DocType whose documents are sales, and which of its submitted documents are."""

    doctype: str
    once: Filter
    """That a sale is counted once."""
    transfers: bool
    """Whether its documents may be transfers within a company: the customer stands for that company itself."""

    def only(self, site: Site) -> list[Filter]:
        """Which submitted documents of the site's company are sales."""
        found: list[Filter] = [self.once, NO_OPENING]
        return [*found, ["represents_company", "!=", site.company["name"]]] if self.transfers else found


SALES_INVOICE = SaleDocument("Sales Invoice", ["is_consolidated", "=", 0], transfers=True)
POS_INVOICE = SaleDocument("POS Invoice", ["consolidated_invoice", "is", "set"], transfers=False)
SALE_DOCUMENTS = (SALES_INVOICE, POS_INVOICE)


def sale_rows(
    site: Site,
    fields: Sequence[Field],
    filters: Sequence[Filter],
    *,
    order_by: str = "name asc",
    group_by: str | None = None,
) -> list[Row]:
    """The submitted sales that match, with their business days; see `rows_by_day`, for each DocType."""
    return [
        row
        for one in SALE_DOCUMENTS
        for row in rows_by_day(
            site,
            one.doctype,
            fields,
            [["docstatus", "=", 1], *one.only(site), *filters],
            order_by=order_by,
            group_by=group_by,
        )
    ]


def rows_by_day(
    site: Site,
    doctype: str,
    fields: Sequence[Field],
    filters: Sequence[Filter],
    *,
    order_by: str = "name asc",
    group_by: str | None = None,
    remember: bool = False,
) -> list[Row]:
    """A list in which `posting_date` is the business day, in `filters` and in the rows. Arguments as of `Client.rows`.

    One list call. Where the business day ends after midnight, rows that the server groups cost two: one for the hours from
    the end of the day on, and one for those before it, whose rows are of the day before. So one group may come in two rows.
    """
    end = site.day_end
    if end.is_midnight or not any(_is_date(one) for one in filters):
        return site.client.rows(
            doctype, fields, filters, order_by=order_by, group_by=group_by, remember=remember
        )
    if group_by is None:
        wider = _Wider(end, fields, filters)
        found = site.client.rows(
            doctype,
            wider.fields,
            wider.filters,
            or_filters=wider.or_filters,
            order_by=order_by,
            remember=remember,
        )
        return wider.of_the_days(found)
    later = site.client.rows(
        doctype,
        fields,
        [*filters, ["posting_time", ">=", end.clock]],
        order_by=order_by,
        group_by=group_by,
        remember=remember,
    )
    early = site.client.rows(
        doctype,
        fields,
        [*(_next_dates(one) if _is_date(one) else one for one in filters), ["posting_time", "<", end.clock]],
        order_by=order_by,
        group_by=group_by,
        remember=remember,
    )
    return [*later, *({**row, "posting_date": _moved(row["posting_date"], -1)} for row in early)]


def pages_by_day(
    site: Site, doctype: str, fields: Sequence[str], filters: Sequence[Filter]
) -> Iterator[list[Row]]:
    """As `rows_by_day`, a page at a time; see `Client.pages`."""
    if site.day_end.is_midnight:
        yield from site.client.pages(doctype, fields, filters)
        return
    wider = _Wider(site.day_end, fields, filters)
    for page in site.client.pages(doctype, wider.fields, wider.filters, or_filters=wider.or_filters):
        yield wider.of_the_days(page)


class _Wider:
    """A list of single documents that has all of some business days: those of their dates, and the early ones of the next."""

    def __init__(self, end: DayEnd, fields: Sequence[Field], filters: Sequence[Filter]) -> None:
        self._end = end
        self._when = next(one for one in filters if _is_date(one))
        dates = _dates(self._when)
        both = sorted({*dates, *(_moved(day, 1) for day in dates)})
        between = self._when[1] == "between"
        wide = ["posting_date", *(("between", [both[0], both[-1]]) if between else ("in", both))]
        self.fields = list(dict.fromkeys([*fields, "posting_date", "posting_time"]))
        self.filters = [wide if one is self._when else one for one in filters]
        self.or_filters: list[Filter] = [self._when, ["posting_time", "<", end.clock]]

    def of_the_days(self, rows: Iterable[Row]) -> list[Row]:
        """The rows that are of these business days."""
        found = []
        for row in rows:
            day = self._end.day_of(moment(row["posting_date"], row["posting_time"])).isoformat()
            if self._has(day):
                found.append({**row, "posting_date": day})
        return found

    def _has(self, day: str) -> bool:
        dates = _dates(self._when)
        return dates[0] <= day <= dates[-1] if self._when[1] == "between" else day in dates


def _is_date(one: Filter) -> bool:
    return bool(one[0] == "posting_date")


def _dates(when: Filter) -> list[str]:
    return list(when[2]) if isinstance(when[2], list) else [when[2]]


def _next_dates(when: Filter) -> Filter:
    dates = [_moved(day, 1) for day in _dates(when)]
    return [when[0], when[1], dates if isinstance(when[2], list) else dates[0]]


def _moved(day: object, days: int) -> str:
    return (date.fromisoformat(str(day)) + timedelta(days=days)).isoformat()


def moment(day: object, clock_time: object) -> datetime:
    """ERPNext's posting date and time, e.g. `2026-11-22` and `9:05:00` or `9:05:00.123456`, in site time."""
    hours, minutes, seconds = ([*str(clock_time or "0:0:0").split(":"), "0", "0"])[:3]
    return datetime.combine(date.fromisoformat(str(day)), datetime.min.time()) + timedelta(
        hours=int(hours), minutes=int(minutes), seconds=float(seconds)
    )
