"""The royalty policy as a resource: visible in the UI, the same for every asset of a run."""

from decimal import Decimal

import dagster as dg
from pydantic import Field

from scoopjoy_dagster.accounting.money import Rounding
from scoopjoy_dagster.accounting.policy import Base, FormerFranchises, LockedDays, NegativeDays, RoyaltyPolicy


class RoyaltyPolicyResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The rule by which a day's royalty follows from a day's invoices."""

    name: str = Field(default="standard", description="What finance calls the policy.")
    default_rate: str = Field(default="5", description="Percent, for a franchise without a rate of its own.")
    base: str = Field(default="grand_total", description="`grand_total` or `net_total`.")
    rounding: str = Field(default="half_up", description="`half_up`, `half_even` or `down`.")
    negative_days: str = Field(default="skip", description="`skip` or `reverse`.")
    former_franchises: str = Field(default="reverse", description="`reverse` or `keep`.")
    locked_days: str = Field(default="exception", description="`exception` or `next_open_day`.")

    @property
    def policy(self) -> RoyaltyPolicy:
        """The policy as a value."""
        return RoyaltyPolicy(
            self.name,
            Decimal(self.default_rate),
            Base(self.base),
            Rounding(self.rounding),
            NegativeDays(self.negative_days),
            FormerFranchises(self.former_franchises),
            LockedDays(self.locked_days),
        )
