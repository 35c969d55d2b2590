"""The plan of one day, as the tests of royalties ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import (
    BaseInvoice,
    FormerFranchise,
    Franchise,
    PostedEntry,
    RoyaltyPlan,
    plan_royalties,
)

COMPANY = "ScoopJoy"
DAY = date(2026, 11, 22)
POLICY = RoyaltyPolicy()


def plan_of_day(
    *invoices: BaseInvoice,
    franchises: Sequence[Franchise],
    posted: Sequence[PostedEntry] = (),
    former: Sequence[FormerFranchise] = (),
    policy: RoyaltyPolicy = POLICY,
    company_currency: str = "INR",
    re_rate: bool = False,
) -> RoyaltyPlan:
    """What `plan_royalties` plans for DAY of COMPANY."""
    return plan_royalties(
        company=COMPANY,
        day=DAY,
        policy=policy,
        franchises=franchises,
        invoices=invoices,
        posted=posted,
        former=former,
        company_currency=company_currency,
        re_rate=re_rate,
    )
