"""The two sensors that send alerts: one at once, one for whatever the first has missed.

Dagster's failure sensor alone loses alerts: its cursor moves on when its function raises, and its first tick only sets
the cursor. So it is the fast way, and the outbox sensor, which looks at the state of the runs, is the sure one. Both send
all that waits: failures, warnings, recoveries. The outbox sends the heartbeat, too.
"""

import os
import shlex
import sys
from datetime import UTC, datetime, timedelta
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from scoopjoy_dagster.automation.alert import Links
from scoopjoy_dagster.resources.alerts import AlertsResource
from scoopjoy_dagster.resources.clock import ClockResource
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.mail import MailResource

if TYPE_CHECKING:
    from scoopjoy_dagster.automation.delivery import Delivery

AT_ONCE = "alert_on_failure"
OUTBOX = "alert_outbox"
REMEMBER = timedelta(hours=6)
"""How often the recipients are read from ERPNext without an alert, so that they are known when ERPNext is down."""


SETTINGS = Path("/etc/scoopjoy/env")
"""Where docs/deployment.md keeps the settings of the service, readable by its user alone."""


def links_of(mail: MailResource, erpnext: ERPNextResource, alerts: AlertsResource) -> Links:
    """What alerts lead to."""
    return Links(mail.ui_url, erpnext.url.rstrip("/"), alerts.runbook_url, program(SETTINGS))


def program(settings: Path) -> str:
    """How the program is called by hand on this machine, with the settings of the service where they are in this file."""
    script = Path(sys.executable).with_name("scoopjoy")
    name = shlex.quote(str(script)) if script.exists() else "scoopjoy"
    return f"sudo -u {getuser()} {name} --env-file {settings}" if os.access(settings, os.R_OK) else name


def deliver(
    instance: dg.DagsterInstance,
    mail: MailResource,
    erpnext: ERPNextResource,
    alerts: AlertsResource,
    now: datetime,
    *,
    days: dg.DailyPartitionsDefinition | None = None,
    location: str | None = None,
) -> "Delivery":
    """Send whatever waits, as these resources say; see `delivery.deliver_pending`."""
    from scoopjoy_dagster.automation.delivery import deliver_pending
    from scoopjoy_dagster.automation.recipients import alert_recipients

    return deliver_pending(
        instance,
        mail,
        lambda: alert_recipients(instance, mail, erpnext, now),
        now,
        channels=alerts.channels,
        links=links_of(mail, erpnext, alerts),
        days=days,
        location=location,
    )


def build(days: dg.DailyPartitionsDefinition, status: dg.DefaultSensorStatus) -> list[dg.SensorDefinition]:
    """The sensors, on these business days; `status` says whether they are on before anybody has touched them."""

    @dg.run_failure_sensor(
        name=AT_ONCE,
        minimum_interval_seconds=30,
        default_status=status,
        tags={"scoopjoy/purpose": "alerts"},
        description="Sends the alert of a run that has failed. What it cannot deliver, alert_outbox does.",
    )
    def alert_on_failure(
        context: dg.RunFailureSensorContext,
        mail: MailResource,
        erpnext: ERPNextResource,
        alerts: AlertsResource,
    ) -> None:
        origin = context.dagster_run.remote_job_origin
        location = origin.location_name if origin else None
        now = datetime.now(UTC)
        delivery = deliver(context.instance, mail, erpnext, alerts, now, days=days, location=location)
        # Not as a skip reason: Dagster takes none beside another run's success, and the tick would fail.
        context.log.info(delivery.sentence)

    @dg.sensor(
        name=OUTBOX,
        minimum_interval_seconds=120,
        default_status=status,
        tags={"scoopjoy/purpose": "alerts"},
        description="Sends what nobody has heard of: alerts of failed runs, digests of backfills, warnings of "
        "control totals, days that are closed after an alert; and the heartbeat.",
    )
    def alert_outbox(
        context: dg.SensorEvaluationContext,
        mail: MailResource,
        erpnext: ERPNextResource,
        alerts: AlertsResource,
        clock: ClockResource,
    ) -> dg.SkipReason:
        from scoopjoy_dagster.automation.heartbeat import beat
        from scoopjoy_dagster.automation.recipients import alert_recipients, fallback

        now = datetime.now(UTC)
        if mail.configured:
            alert_recipients(context.instance, mail, erpnext, now, fresh=REMEMBER)
        origin = context.code_location_origin
        location = origin.location_name if origin else None
        delivery = deliver(context.instance, mail, erpnext, alerts, now, days=days, location=location)
        ended = list(days.get_partition_keys(current_time=clock.now()))
        heard = beat(context.instance, alerts.heartbeat_url, days, ended)
        if heard:
            context.log.info(heard)
        aged = fallback(context.instance, mail, now, REMEMBER)
        return dg.SkipReason("; ".join(part for part in (delivery.sentence, aged, heard) if part))

    return [alert_on_failure, alert_outbox]
