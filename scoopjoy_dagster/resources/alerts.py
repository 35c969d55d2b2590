"""Where alerts go besides mail, and the address of the runbook, as a resource."""

import dagster as dg
from pydantic import Field


class AlertsResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Channels and heartbeat. Both URLs are secrets: always given as `EnvVar` and never shown."""

    channels: str = Field(
        default="", repr=False, description="URLs of channels, separated by spaces or line breaks."
    )
    heartbeat_url: str = Field(default="", repr=False, description="Address that is told of good nights.")
    runbook_url: str = Field(default="", description="Address of the runbook, for links.")
