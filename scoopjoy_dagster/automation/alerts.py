"""The two sensors that send alerts: one at once, one for whatever the first has missed.

Dagster's failure sensor alone loses alerts: its cursor moves on when its function raises, and its first tick only sets
the cursor. So it is the fast way, and the outbox sensor, which looks at the state of the runs, is the sure one.
"""

from datetime import UTC, datetime, timedelta

import dagster as dg

from scoopjoy_dagster.automation.delivery import deliver_pending
from scoopjoy_dagster.automation.outbox import why_not_alone
from scoopjoy_dagster.automation.recipients import alert_recipients
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.mail import MailResource

AT_ONCE = "alert_on_failure"
OUTBOX = "alert_outbox"
REMEMBER = timedelta(hours=6)
"""How often the recipients are read from ERPNext without an alert, so that they are known when ERPNext is down."""


def build(status: dg.DefaultSensorStatus) -> list[dg.SensorDefinition]:
    """The sensors; `status` says whether they are on before anybody has touched them."""

    @dg.run_failure_sensor(
        name=AT_ONCE,
        minimum_interval_seconds=30,
        default_status=status,
        description="Mails an alert for each failed run and step. What it cannot deliver, alert_outbox does.",
    )
    def alert_on_failure(
        context: dg.RunFailureSensorContext, mail: MailResource, erpnext: ERPNextResource
    ) -> dg.SkipReason | None:
        run = context.dagster_run
        reason = why_not_alone(run)
        if reason:
            return dg.SkipReason(f"no alert for run {run.run_id} now: {reason}")
        now = datetime.now(UTC)
        delivery = deliver_pending(
            context.instance,
            mail,
            lambda: alert_recipients(context.instance, mail, erpnext, now),
            now,
            only=run.run_id,
        )
        return None if delivery.sent and not delivery.waiting else dg.SkipReason(delivery.sentence)

    @dg.sensor(
        name=OUTBOX,
        minimum_interval_seconds=120,
        default_status=status,
        description="Mails the alerts of failed runs that nobody has been told of, and the digests of backfills.",
    )
    def alert_outbox(
        context: dg.SensorEvaluationContext, mail: MailResource, erpnext: ERPNextResource
    ) -> dg.SkipReason:
        now = datetime.now(UTC)
        if mail.configured:
            alert_recipients(context.instance, mail, erpnext, now, fresh=REMEMBER)
        origin = context.code_location_origin
        delivery = deliver_pending(
            context.instance,
            mail,
            lambda: alert_recipients(context.instance, mail, erpnext, now),
            now,
            location=origin.location_name if origin else None,
        )
        return dg.SkipReason(delivery.sentence)

    return [alert_on_failure, alert_outbox]
