"""The royalty policy as a resource: visible in the UI, the same for every asset of a run."""

from decimal import Decimal
from typing import Literal

import dagster as dg
from pydantic import Field

from scoopjoy_dagster.accounting.money import Rounding
from scoopjoy_dagster.accounting.policy import Base, LockedDays, NegativeDays, RoyaltyPolicy


class RoyaltyPolicyResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The rule by which a day's royalty follows from a day's invoices.

    What the launchpad changes here holds for that run only. What it books stays booked: a posted day keeps its terms. A day that
    is posted already follows another rule only with `re_rate`. The run says so in its log and in its exception tables.
    """

    name: str = Field(default="standard", description="What finance calls the policy; part of its version.")
    default_rate: str = Field(
        default="5", description="Percent from 0 to 100, for a franchise without a rate of its own, like 7.5."
    )
    base: Literal["grand_total", "net_total"] = Field(
        default="grand_total", description="The total of an invoice that counts: with tax, or without."
    )
    rounding: Literal["half_up", "half_even", "down"] = Field(
        default="half_up", description="How the royalty of a franchise and day becomes whole paise."
    )
    negative_days: Literal["skip", "reverse"] = Field(
        default="skip",
        description="A day whose returns exceed its sales: books nothing, or an entry with the sides swapped.",
    )
    locked_days: Literal["exception", "next_open_day"] = Field(
        default="exception",
        description="A difference of a day that is locked in the books: waits as an exception, or is booked on the next open day.",
    )

    @property
    def policy(self) -> RoyaltyPolicy:
        """The policy as a value."""
        return RoyaltyPolicy(
            self.name,
            Decimal(self.default_rate),
            Base(self.base),
            Rounding(self.rounding),
            NegativeDays(self.negative_days),
            LockedDays(self.locked_days),
        )
