"""What a day's royalties were computed from, as one short value: equal as long as nothing that counts has changed.

It is kept with every materialization of `royalties`. A day whose value is another one now was touched after its
close: an invoice added, cancelled, returned or back-dated into it, a rate, an exemption, a franchise that came or
went, or the policy. It covers names and amounts, so it also sees what a `modified` timestamp cannot.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from scoopjoy_dagster.accounting.keys import digest
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import BaseInvoice, Franchise


@dataclass(frozen=True, slots=True)
class DayInputs:
    """Number and base (INR) of the invoices that bear royalty, and the digest of all that decides about it."""

    invoices: int
    base: Decimal
    digest: str


def day_inputs(
    policy: RoyaltyPolicy, franchises: Iterable[Franchise], invoices: Iterable[BaseInvoice]
) -> DayInputs:
    """The inputs of one day. `invoices` of customers that are no franchise do not count.

    A franchise without invoices on the day does not count either: its rate decides about nothing.
    """
    terms = {one.customer: one for one in franchises}
    own: dict[str, list[BaseInvoice]] = defaultdict(list)
    for invoice in invoices:
        if invoice.customer in terms:
            own[invoice.customer].append(invoice)
    counted = [invoice for mine in own.values() for invoice in mine]
    content = {
        customer: {
            "rate": terms[customer].rate,
            "exempt": terms[customer].exempt,
            "invoices": {one.name: [one.base, one.sales] for one in sorted(mine, key=lambda one: one.name)},
        }
        for customer, mine in sorted(own.items())
    }
    return DayInputs(
        len(counted),
        sum((one.base for one in counted), ZERO),
        digest({"policy": policy.version, "franchises": content}),
    )
