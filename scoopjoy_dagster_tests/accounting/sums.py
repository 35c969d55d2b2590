"""Invoices as the server adds them up: one for each customer and currency, without a name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from scoopjoy_dagster.accounting.royalties import BaseInvoice


def added_up(rows: Iterable[BaseInvoice]) -> list[BaseInvoice]:
    """The same invoices as a day is read."""
    groups: dict[tuple[str, str], list[BaseInvoice]] = defaultdict(list)
    for one in rows:
        groups[one.customer, one.currency].append(one)
    return [
        BaseInvoice(
            "",
            customer,
            sum((one.base for one in own), Decimal(0)),
            currency=currency,
            sales=sum((one.sales for one in own), Decimal(0)),
            count=sum(one.count for one in own),
            newest=max(one.newest for one in own),
        )
        for (customer, currency), own in groups.items()
    ]
