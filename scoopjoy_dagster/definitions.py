"""Everything wired in one place: assets, checks, jobs, schedules, sensors and resources.

Here and nowhere else the environment becomes configuration. No network, no file and no secret is touched on import:
secrets are `EnvVar`s, resolved when a step opens its resource.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg

from scoopjoy_dagster import executors
from scoopjoy_dagster.assets import closed_shifts, hq_sync, invoices, reports, royalties
from scoopjoy_dagster.automation import wiring
from scoopjoy_dagster.checks import control_totals
from scoopjoy_dagster.instance import REMEDY, home_problem
from scoopjoy_dagster.partitions import business_days
from scoopjoy_dagster.resources.alerts import AlertsResource
from scoopjoy_dagster.resources.clock import ClockResource
from scoopjoy_dagster.resources.close import CloseResource
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.headquarters import HeadquartersResource
from scoopjoy_dagster.resources.launchpad import bound, console
from scoopjoy_dagster.resources.mail import MailResource
from scoopjoy_dagster.resources.policy import RoyaltyPolicyResource
from scoopjoy_dagster.settings import Settings, load_settings
from scoopjoy_dagster.steps import STEPS

JOB = "nightly_close"
ASSETS = (closed_shifts, royalties, invoices, reports, hq_sync)
"""The modules of the five assets, in order of the close."""
OVERRIDABLE = {
    "close": ("dry_run", "resend", "re_rate", "lock_wait_s"),
    "royalty_policy": ("base", "rounding", "negative_days", "locked_days"),
}
"""All that a run may set otherwise than the settings, by resource; docs/dagster-ui.md explains each."""
_OF_DAGSTER = {"io_manager": dg.FilesystemIOManager()}
"""What every job has by itself: bound here too, as a run could else choose its directory, by a variable even."""


def build_defs(settings: Settings, *, resources: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Fresh definitions; `resources` replace those of the settings (tests, the embedded world)."""
    with warnings.catch_warnings():
        # Partitioned checks are a preview of Dagster, and backfill policies a beta. The version is pinned, and tests hold
        # what is relied on; a warning for each definition would bury the messages that people must read.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        warnings.simplefilter("ignore", dg.BetaWarning)
        return _build(settings, resources or {})


def _build(settings: Settings, resources: Mapping[str, Any]) -> dg.Definitions:
    days = business_days(settings.go_live, settings.day_ends_at)
    checks = control_totals.build(days)
    job = dg.define_asset_job(
        JOB,
        selection=[step.asset for step in STEPS],
        description="Close one business day: shifts, royalties, invoices, reports, headquarters. Choose the day, and launch; "
        "it is safe at any time, as what is right already is left as it is.",
        tags={"dagster/priority": "10"},
    )
    automation = wiring.build(days, job, settings)
    return dg.Definitions(
        assets=[*(module.build(days) for module in ASSETS), *automation.assets],
        asset_checks=[*checks, *automation.asset_checks],
        jobs=[job, *automation.jobs],
        schedules=automation.schedules,
        sensors=automation.sensors,
        # On Definitions, not on the job: backfills and "Materialize" run the implicit asset job, which has no other.
        executor=executors.chosen(settings, [step.asset for step in STEPS]),
        resources={
            name: bound(one, OVERRIDABLE.get(name, ()))
            for name, one in {**site_resources(settings), **_OF_DAGSTER, **resources}.items()
        },
        loggers={"console": console},
    )


def site_resources(settings: Settings) -> dict[str, Any]:
    """Resources by the settings; secrets stay in the environment until a step needs them."""
    return {
        "erpnext": ERPNextResource(
            url=settings.erpnext_url,
            api_key=dg.EnvVar("ERPNEXT_API_KEY"),
            api_secret=dg.EnvVar("ERPNEXT_API_SECRET"),
            company=settings.company,
            receivable_account=settings.receivable_account,
            income_account=settings.income_account,
            cost_center=settings.cost_center,
            franchise_group=settings.franchise_group,
            royalty_series=list(settings.royalty_series),
            royalty_batch=settings.royalty_batch,
            entry_fields=settings.entry_fields,
            day_ends_at=f"{settings.day_ends_at:%H:%M}",
            connect_timeout_s=settings.erpnext_connect_timeout_s,
            read_timeout_s=settings.erpnext_read_timeout_s,
            ca_bundle=settings.erpnext_ca_bundle,
            attempts=settings.erpnext_attempts,
            closing_deadline_s=settings.closing_deadline_s,
            last_sale_minutes=settings.last_sale_minutes,
            selling_deadline_minutes=settings.selling_deadline_minutes,
        ),
        "royalty_policy": RoyaltyPolicyResource(
            name=settings.policy_name,
            default_rate=str(settings.default_rate),
            base=settings.royalty_base.value,
            rounding=settings.rounding.value,
            negative_days=settings.negative_days.value,
            locked_days=settings.locked_days.value,
        ),
        "headquarters": HeadquartersResource(
            url=settings.hq_url,
            secret=_secret("SCOOPJOY_HQ_SECRET", settings.hq_url),
            previous_secret=_secret(
                "SCOOPJOY_HQ_PREVIOUS_SECRET", settings.hq_previous_secret.get_secret_value()
            ),
        ),
        "mail": MailResource(
            host=settings.smtp_host,
            port=settings.smtp_port,
            security=settings.smtp_security,
            username=settings.smtp_username,
            password=_secret("SMTP_PASSWORD", settings.smtp_password.get_secret_value()),
            sender=settings.smtp_sender,
            ehlo_name=settings.smtp_ehlo_name,
            report_role=settings.report_role,
            report_recipients=list(settings.report_recipients),
            report_outlets=list(settings.report_outlets),
            alert_recipients=list(settings.alert_recipients),
            ui_url=settings.ui_url,
        ),
        "alerts": AlertsResource(
            channels=_secret("SCOOPJOY_ALERT_CHANNELS", settings.alert_channels.get_secret_value()),
            heartbeat_url=_secret("SCOOPJOY_HEARTBEAT_URL", settings.heartbeat_url.get_secret_value()),
            runbook_url=settings.runbook_url,
        ),
        "clock": ClockResource(),
        "close": CloseResource(
            postgres_url=_secret("SCOOPJOY_POSTGRES_URL", os.environ.get("SCOOPJOY_POSTGRES_URL", "")),
            one_process=settings.executor == "in_process",
        ),
    }


def _secret(variable: str, needed: str) -> Any:
    """An optional secret: named by its variable when there is one, so that its value is in no definition."""
    return dg.EnvVar(variable) if needed else ""


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads. A missing or wrong setting ends here, with one sentence each."""
    problem = home_problem(os.environ)
    if problem:
        dg.get_dagster_logger("scoopjoy").error("%s %s", problem, REMEDY)
    return build_defs(load_settings())
