"""A small close for tests of the automation: the five assets by name, whose steps fail as told, on a real instance."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import dagster as dg
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.automation import wiring
from scoopjoy_dagster.resources.alerts import AlertsResource
from scoopjoy_dagster.resources.clock import ClockResource
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.mail import MailResource
from scoopjoy_dagster.resources.policy import RoyaltyPolicyResource
from scoopjoy_dagster.settings import load_settings
from scoopjoy_dagster.steps import STEPS

GO_LIVE = "2026-03-01"
DAYS = dg.DailyPartitionsDefinition(start_date=GO_LIVE, timezone="Asia/Kolkata")
WARNS = "are_the_sales_as_usual"
NAMES = [step.asset for step in STEPS]
MANAGERS = ("asha@scoopjoy.example", "ravi@scoopjoy.example")


@dataclass
class Close:
    """The definitions, the instance and what is to go wrong."""

    instance: dg.DagsterInstance
    boom: dict[str, BaseException] = field(default_factory=dict)
    ledger_ok: bool = True
    ledger_unread: bool = False
    ledger_figures: dict[str, Any] = field(default_factory=lambda: {"difference": "-10.00"})
    now: str = "2026-03-10T06:00:00+05:30"
    defs: dg.Definitions = field(init=False)
    mail: MailResource = field(default_factory=MailResource)
    alerts: AlertsResource = field(default_factory=AlertsResource)
    usual_day_ok: bool = True
    usual_sales: str = "12.00"
    automation_on: bool = True
    lookback: int = 7
    more: dict[str, str] = field(default_factory=dict)
    """Further settings, by their variable."""
    automation: wiring.Automation = field(init=False)

    def __post_init__(self) -> None:
        self.rebuild_quietly()

    def rebuild_quietly(self) -> None:
        with warnings.catch_warnings():
            # Partitioned checks and backfill policies are young in Dagster; the product uses them knowingly.
            warnings.simplefilter("ignore")
            self._rebuild()

    def _rebuild(self) -> None:
        job = dg.define_asset_job("nightly_close", selection=NAMES)
        settings = load_settings(
            {
                "ERPNEXT_URL": "http://127.0.0.1:9",
                "ERPNEXT_API_KEY": "k",
                "ERPNEXT_API_SECRET": "s",
                "SCOOPJOY_GO_LIVE": GO_LIVE,
                "SCOOPJOY_LOOKBACK_DAYS": str(self.lookback),
                "SCOOPJOY_AUTOMATION": "on" if self.automation_on else "off",
                **self.more,
            }
        )
        self.automation = wiring.build(DAYS, job, settings)
        self.defs = dg.Definitions(
            assets=[*[self._asset(step.asset) for step in STEPS], *self.automation.assets],
            asset_checks=[self._ledger(), self._usual_day(), *self.automation.asset_checks],
            jobs=[job, *self.automation.jobs],
            schedules=self.automation.schedules,
            sensors=self.automation.sensors,
            executor=dg.in_process_executor,
            resources=self.resources,
        )

    @property
    def days(self) -> dg.DailyPartitionsDefinition:
        return DAYS

    @property
    def resources(self) -> dict[str, Any]:
        return {
            "mail": self.mail,
            "alerts": self.alerts,
            "erpnext": ERPNextResource(url="http://127.0.0.1:9", api_key="k", api_secret="s"),
            "royalty_policy": RoyaltyPolicyResource(),
            "clock": ClockResource(fixed=self.now),
        }

    def _asset(self, name: str) -> dg.AssetsDefinition:
        needs = {"closed_shifts": [], "royalties": ["closed_shifts"]}.get(name, ["royalties"])

        @dg.asset(
            name=name,
            deps=needs,
            partitions_def=DAYS,
            backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=1),
        )
        def step(context) -> None:  # type: ignore[no-untyped-def]
            boom = self.boom.get(name)
            if (
                isinstance(boom, dg.Failure) and boom.metadata
            ):  # as the assets do: what failed is recorded, too
                context.log_event(
                    dg.AssetObservation(name, partition=context.partition_key, metadata=boom.metadata)
                )
            if boom:
                raise boom

        return step

    def _ledger(self) -> dg.AssetChecksDefinition:
        @dg.asset_check(
            name="does_the_ledger_equal_the_rule", asset="royalties", partitions_def=DAYS, blocking=True
        )
        def ledger() -> dg.AssetCheckResult:
            if self.ledger_unread:
                raise RuntimeError("the check has no answer")
            return dg.AssetCheckResult(
                passed=self.ledger_ok,
                description="The ledger holds 90.00, the rule says 100.00.",
                metadata=self.ledger_figures,
            )

        return ledger

    def _usual_day(self) -> dg.AssetChecksDefinition:
        """A control total that only warns."""

        @dg.asset_check(name=WARNS, asset="royalties", partitions_def=DAYS)
        def usual_day() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(
                passed=self.usual_day_ok,
                severity=dg.AssetCheckSeverity.WARN,
                description=f"The sales of the day are {self.usual_sales}, usual are 4000.00.",
            )

        return usual_day

    def run(
        self,
        day: str | None = None,
        *,
        only: Iterable[str] = (),
        tags: Mapping[str, str] | None = None,
        job: str = "nightly_close",
    ) -> dg.DagsterRun:
        """A real run, to its end."""
        result = self.defs.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=day,
            asset_selection=[dg.AssetKey(name) for name in only] or None,
            tags=dict(tags or {}),
            raise_on_error=False,
        )
        return self.fresh(result.run_id)

    def settle(self, *days: str) -> None:
        """Days that were closed."""
        for day in days:
            for name in NAMES:
                self.instance.report_runless_asset_event(dg.AssetMaterialization(name, partition=day))

    def queue(self, tags: Mapping[str, str]) -> dg.DagsterRun:
        """A run that waits."""
        return self.instance.create_run_for_job(
            self.defs.resolve_job_def("nightly_close"),
            tags=tags,
            status=dg.DagsterRunStatus.QUEUED,
            remote_job_origin=origin(),
        )

    def fresh(self, run_id: str) -> dg.DagsterRun:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run


def origin(location: str = "scoopjoy_dagster", job: str = "nightly_close") -> RemoteJobOrigin:
    """Where a run comes from that Dagster's own services started."""
    server = GrpcServerCodeLocationOrigin(host="127.0.0.1", port=4000, location_name=location)
    return RemoteJobOrigin(RemoteRepositoryOrigin(server, "__repository__"), job)


def refusal(asset: str, day: str, rows: int = 1, who: str = "CUST-0001") -> dg.Failure:
    """The failure as the assets raise it when ERPNext refuses something."""
    return failure(
        asset,
        day,
        *(
            Finding("error", "royalty not posted", f"{who}-{n}", "Account is frozen", "Unfreeze it")
            for n in range(rows)
        ),
    )


def unreachable(asset: str, day: str) -> dg.Failure:
    """The failure as the assets raise it when ERPNext does not answer."""
    what, todo = "ERPNext: connection refused", "Start ERPNext's web server."
    return failure(asset, day, Finding("error", what, day, "connection refused", todo, passes=True))


def failure(asset: str, day: str, *findings: Finding) -> dg.Failure:
    """The failure of a day with these findings."""
    outcome = {"asset": asset, "business_day": day, "exceptions": [one.as_dict() for one in findings]}
    first = findings[0]
    return dg.Failure(
        f"{asset} {day}: {first.what} - {first.who}: {first.message}",
        metadata={"outcome": dg.MetadataValue.json(json.loads(json.dumps(outcome)))},
        allow_retries=False,
    )


class Inbox:
    """What a real SMTP server has taken; it can refuse for good, put off, and go away."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuses: set[str] = set()
        self.puts_off: set[str] = set()
        self.limit: int | None = None

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuses:
            return "550 no such user"
        if address in self.puts_off:
            return "451 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.limit is not None and len(self.mails) >= self.limit:
            return "452 out of storage"
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 taken"

    def subjects(self) -> list[tuple[str, str]]:
        return sorted((str(mail["To"]), str(mail["Subject"])) for mail in self.mails)

    def text(self, index: int = 0) -> str:
        body = self.mails[index].get_body(("plain",))
        assert body is not None
        return str(body.get_content())

    def html(self, index: int = 0) -> str:
        body = self.mails[index].get_body(("html",))
        assert body is not None
        return str(body.get_content())


@contextmanager
def mail_server(inbox: Inbox, port: int) -> Iterator[MailResource]:
    """A mail server on this port of the loopback, as a resource that alerts the managers."""
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield mail_at(port)
    finally:
        controller.stop()


def mail_at(port: int, to: Iterable[str] = MANAGERS) -> MailResource:
    return MailResource(
        host="127.0.0.1",
        port=port,
        security="none",
        sender="ScoopJoy <close@scoopjoy.example>",
        alert_recipients=list(to),
        ui_url="http://dagster.example",
    )


def local_instance(directory: Path) -> dg.DagsterInstance:
    """An instance of its own, with one event log for all runs, as a server has (a file for each run is slow)."""
    log = {
        "module": "dagster._core.storage.event_log",
        "class": "ConsolidatedSqliteEventLogStorage",
        "config": {"base_dir": str(directory)},
    }
    overrides = {
        "event_log_storage": log,
        "compute_logs": {
            "module": "dagster._core.storage.noop_compute_log_manager",
            "class": "NoOpComputeLogManager",
        },
        "telemetry": {"enabled": False},
    }
    return dg.DagsterInstance.local_temp(str(directory), overrides=overrides)
