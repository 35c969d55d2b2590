"""What a day's royalties were computed from, kept short: what was sold, and the terms of the franchises.

Both are kept with every materialization of `royalties`. A day on which something else is sold now was touched after
its close: an invoice was added, cancelled, returned or back-dated into it. The digest covers number, amounts and the newest
invoice of every customer, so it also sees what a `modified` timestamp cannot. Terms are kept apart: ERPNext has no date from which a rate holds, so a
new rate need not be meant for the days before it. The policy is part of neither: its version names it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from scoopjoy_dagster.accounting.keys import digest
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.royalties import BaseInvoice, Franchise

SOLD_FORM = "2:"
"""How the digest of what was sold begins; one of an earlier form says nothing to this version."""


@dataclass(frozen=True, slots=True)
class DayInputs:
    """What the royalties of one day follow from.

    Attributes:
        invoices, base: number and base (INR) of the franchises' invoices.
        sold: of each customer with invoices: how many, their amounts, and when the newest was created; as a digest.
        terms: by customer of every franchise, with and without invoices; who is missing was none.
    """

    invoices: int
    base: Decimal
    sold: str
    terms: Mapping[str, str]


def day_inputs(terms: Mapping[str, str], invoices: Iterable[BaseInvoice]) -> DayInputs:
    """The inputs of one day. `invoices` of customers without `terms` do not count; each or added up, it is the same."""
    by_customer: dict[str, list[BaseInvoice]] = defaultdict(list)
    for one in invoices:
        if one.customer in terms:
            by_customer[one.customer].append(one)
    content = {
        customer: [
            sum(one.count for one in own),
            sum((one.base for one in own), ZERO),
            sum((one.sales for one in own), ZERO),
            max(one.newest for one in own),
        ]
        for customer, own in by_customer.items()
    }
    counted = [one for own in by_customer.values() for one in own]
    return DayInputs(
        sum(one.count for one in counted),
        sum((one.base for one in counted), ZERO),
        SOLD_FORM + digest(content),
        terms,
    )


def terms_of(franchises: Iterable[Franchise]) -> dict[str, str]:
    """For each customer the terms on which it is a franchise, in words: `7.5 %`, `default rate` or `exempt`."""
    return {one.customer: _terms(one) for one in sorted(franchises, key=lambda one: one.customer)}


def _terms(franchise: Franchise) -> str:
    if franchise.exempt:
        return "exempt"
    return f"{franchise.rate.normalize():f} %" if franchise.rate else "default rate"
