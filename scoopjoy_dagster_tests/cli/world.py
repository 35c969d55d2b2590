"""The servers that a command speaks to: an ERPNext with a week of business, headquarters and a mail server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from scoopjoy_dagster.erpnext.client import Client
from scoopjoy_dagster.erpnext.installation import install, read_installation
from scoopjoy_dagster.erpnext.report_role import REPORT_ROLE
from scoopjoy_dagster.erpnext.session import Session
from scoopjoy_dagster.partitions import ZONE, last_ended_day
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster.sandbox.hq import SandboxHQ
from scoopjoy_dagster.sandbox.mail import MailSink
from scoopjoy_dagster.sandbox.seed import give_report_role, seed, set_royalty_terms

OPEN_DAYS = 3
"""So many days at the end of the week are not closed yet; the first of them is go-live."""


@dataclass(frozen=True, slots=True)
class Templates:
    """Databases that worlds start from: business up to `last_day`, without and with our custom fields."""

    bare: Path
    installed: Path
    last_day: date


def make_templates(directory: Path) -> Templates:
    """The example data once; a copy costs nothing."""
    last_day = last_ended_day(datetime.now(ZONE))
    made = Templates(directory / "bare.db", directory / "installed.db", last_day)
    with SandboxERPNext(":memory:") as erpnext:
        seed(erpnext, today=last_day + timedelta(days=1), weeks=1)
        erpnext.snapshot(made.bare)
        robot = erpnext.robot
        with Session(erpnext.url, robot.api_key, robot.api_secret) as session:
            client = Client(session)
            install(client, read_installation(client), lambda _step: None)
        set_royalty_terms(erpnext)
        give_report_role(erpnext, REPORT_ROLE)
        erpnext.snapshot(made.installed)
    return made


@dataclass(frozen=True, slots=True)
class World:
    """The servers, running."""

    erpnext: SandboxERPNext
    headquarters: SandboxHQ
    mail: MailSink
    last_day: date

    @property
    def open_days(self) -> list[date]:
        """The days that are not closed yet, oldest first."""
        return [self.last_day - timedelta(days=back) for back in reversed(range(OPEN_DAYS))]

    @property
    def go_live(self) -> date:
        return self.open_days[0]

    @property
    def settings(self) -> dict[str, str]:
        """What points a command at these servers."""
        return {
            "ERPNEXT_URL": self.erpnext.url,
            "ERPNEXT_API_KEY": self.erpnext.robot.api_key,
            "ERPNEXT_API_SECRET": self.erpnext.robot.api_secret,
            "ERPNEXT_ATTEMPTS": "2",
            "SCOOPJOY_GO_LIVE": self.go_live.isoformat(),
            "SCOOPJOY_HQ_URL": self.headquarters.url,
            "SCOOPJOY_HQ_SECRET": self.headquarters.secret,
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.mail.smtp_port),
            "SMTP_SECURITY": "none",
            "SMTP_SENDER": "ScoopJoy <close@scoopjoy.example>",
        }

    @property
    def writes(self) -> int:
        """How many transactions have changed the books so far."""
        return self.erpnext.requests.writes

    def recipients(self) -> list[str]:
        """Who has got mail, in the order of arrival."""
        return [mail.recipient for mail in self.mail.messages]


@contextmanager
def running_world(database: Path, last_day: date, *, secret: str | None = None) -> Iterator[World]:
    """Start the servers, ERPNext from a copy of the database; `secret` is headquarters', one is made up by default."""
    with ExitStack() as stack:
        erpnext = stack.enter_context(SandboxERPNext(":memory:", template=database))
        headquarters = SandboxHQ(secret)
        headquarters.start()
        stack.callback(headquarters.close)
        mail = MailSink()
        mail.start()
        stack.callback(mail.stop)
        erpnext.requests.reset()
        yield World(erpnext, headquarters, mail, last_day)


def without(settings: Mapping[str, str], *names: str) -> dict[str, str]:
    """The settings, some of them not set."""
    return {name: value for name, value in settings.items() if name not in names}
