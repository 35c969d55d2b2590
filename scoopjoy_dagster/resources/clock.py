"""The time, as a resource: assets are given the present moment and never ask for it themselves."""

from datetime import datetime

import dagster as dg
from pydantic import Field

from scoopjoy_dagster.partitions import ZONE, site_time


class ClockResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The present moment. `fixed` (ISO, with offset) stops the clock, for rehearsals and tests."""

    fixed: str = Field(
        default="", description="Empty: the real time. Otherwise an ISO moment with its offset."
    )

    def now(self) -> datetime:
        """The present moment in the business day's time zone."""
        return datetime.fromisoformat(self.fixed).astimezone(ZONE) if self.fixed else datetime.now(ZONE)

    def site_now(self) -> datetime:
        """The present moment as ERPNext writes it: naive, in site time."""
        return site_time(self.now())
