"""What `scoopjoy check` says of alerting: who is alerted, by which ways, and which of them are wrong. Sends nothing."""

from __future__ import annotations

from collections.abc import Iterator

from scoopjoy_dagster.automation.channels import usable
from scoopjoy_dagster.automation.recipients import ROLE
from scoopjoy_dagster.erpnext.preflight import Check
from scoopjoy_dagster.settings import Settings

NAME = "alerts"


def alert_checks(settings: Settings) -> Iterator[Check]:
    """One line for the ways that alerts go, and one for each channel that is wrong."""
    right, wrong = usable(settings.alert_channels.get_secret_value())
    for sentence in wrong:
        yield Check("error", NAME, sentence, "Correct SCOOPJOY_ALERT_CHANNELS.")
    ways = []
    if settings.smtp_host:
        fixed = len(settings.alert_recipients)
        ways.append(
            f"mail to SCOOPJOY_ALERT_RECIPIENTS ({fixed})" if fixed else f"mail to every {ROLE} of ERPNext"
        )
    if right:
        ways.append(f"channels: {len(right)} ({', '.join(channel.scheme for channel in right)})")
    if not ways:
        yield Check(
            "warning",
            NAME,
            "nobody is alerted when a night fails: SMTP_HOST is empty, and SCOOPJOY_ALERT_CHANNELS has no usable channel",
            "Set one of them.",
        )
    else:
        heartbeat = "heartbeat on" if settings.heartbeat_url.get_secret_value() else "no heartbeat"
        yield Check("ok", NAME, f"{'; '.join(ways)}; {heartbeat}")
