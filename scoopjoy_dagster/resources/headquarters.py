"""Headquarters as a resource of `hq_sync`."""

import dagster as dg
from pydantic import Field

from scoopjoy_dagster.hq.delivery import BACKOFF_S, HQClient


class HeadquartersResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where the day's totals go. The secrets are always given as `EnvVar` and never shown."""

    url: str = Field(default="", description="Address that takes the totals; empty: no headquarters.")
    secret: str = Field(default="", repr=False, description="Secret of the signature.")
    previous_secret: str = Field(
        default="", repr=False, description="The one before it, while it is being replaced; empty: none."
    )
    timeout_s: float = Field(default=30.0, description="Seconds to wait for an answer.")
    backoff_s: list[float] = Field(default=list(BACKOFF_S), description="Seconds between two tries.")

    @property
    def configured(self) -> bool:
        """Whether there is a headquarters to tell."""
        return bool(self.url)

    def client(self) -> HQClient:
        """A client for one step."""
        return HQClient(
            self.url,
            self.secret,
            previous_secret=self.previous_secret,
            timeout_s=self.timeout_s,
            backoff_s=tuple(self.backoff_s),
        )
