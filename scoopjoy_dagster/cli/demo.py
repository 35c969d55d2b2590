"""The embedded world: an ERPNext with example data, headquarters, a mail sink and PostgreSQL, on loopback.

Only here (and in tests) the sandbox is started. Everything else is the real thing: the same settings, the same
definitions, the same Dagster processes as against a real site.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import click
from rich.console import Console, Group
from rich.table import Table

from scoopjoy_dagster.cli.closing import EXIT_CODES, DayResult, close_day
from scoopjoy_dagster.cli.desk_mirror import desk_mirror
from scoopjoy_dagster.cli.show import print_day, step_progress
from scoopjoy_dagster.cli.workplace import Workplace, local_directory, usable_port, workplace
from scoopjoy_dagster.erpnext.client import Client
from scoopjoy_dagster.erpnext.installation import install, read_installation
from scoopjoy_dagster.erpnext.report_role import REPORT_ROLE
from scoopjoy_dagster.erpnext.session import Session
from scoopjoy_dagster.local.processes import ChildProcesses
from scoopjoy_dagster.local.services import running_dagster
from scoopjoy_dagster.partitions import ZONE, last_ended_day
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster.sandbox.erpnext.latency import MODELS
from scoopjoy_dagster.sandbox.hq import SandboxHQ
from scoopjoy_dagster.sandbox.mail import MailSink
from scoopjoy_dagster.sandbox.seed import give_report_role, seed, set_royalty_terms

OPEN_DAYS = 3
"""Days at the end of the example data whose shifts are still open."""


@dataclass(frozen=True, slots=True)
class World:
    """The embedded servers, running."""

    erpnext: SandboxERPNext
    headquarters: SandboxHQ
    mail: MailSink
    last_day: date

    def environment(self, ui_url: str) -> dict[str, str]:
        """The settings that point at them."""
        return {
            "ERPNEXT_URL": self.erpnext.url,
            "ERPNEXT_API_KEY": self.erpnext.robot.api_key,
            "ERPNEXT_API_SECRET": self.erpnext.robot.api_secret,
            "SCOOPJOY_GO_LIVE": (self.last_day - timedelta(days=OPEN_DAYS - 1)).isoformat(),
            # The example days are dates, and the text at the end says when the night comes.
            "SCOOPJOY_DAY_ENDS_AT": "00:00",
            "SCOOPJOY_CLOSE_AT": "01:00",
            "SCOOPJOY_HQ_URL": self.headquarters.url,
            "SCOOPJOY_HQ_SECRET": self.headquarters.secret,
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.mail.smtp_port),
            "SMTP_SECURITY": "none",
            "SMTP_SENDER": "ScoopJoy Nightly Close <close@scoopjoy.example>",
            "SCOOPJOY_UI_URL": ui_url,
        }


@contextmanager
def embedded_world(
    now: datetime, *, erpnext_port: int = 0, latency: str | None = None, line: str = "v15"
) -> Iterator[World]:
    """Start the embedded servers with example data up to the last business day, our custom fields installed.

    `latency`: a name of `sandbox.erpnext.latency.MODELS`; none: ERPNext answers as fast as it can.
    `line`: a name of `sandbox.erpnext.lines.LINES`: which ERPNext it is.
    """
    last_day = last_ended_day(now)
    with ExitStack() as stack:
        erpnext = SandboxERPNext(":memory:", latency=MODELS[latency] if latency else None, line=line)
        seed(erpnext, today=last_day + timedelta(days=1))
        erpnext.start(erpnext_port)
        stack.callback(erpnext.close)
        with Session(erpnext.url, erpnext.robot.api_key, erpnext.robot.api_secret) as session:
            client = Client(session)
            install(client, read_installation(client), lambda _step: None)
        set_royalty_terms(erpnext)
        give_report_role(erpnext, REPORT_ROLE)
        headquarters = SandboxHQ()
        headquarters.start()
        stack.callback(headquarters.stop)
        mail = MailSink()
        mail.start()
        stack.callback(mail.stop)
        yield World(erpnext, headquarters, mail, last_day)


def run_demo(
    out: Console, progress: Console, *, once: bool, as_json: bool, port: int, now: datetime, line: str
) -> int:
    """Close the last business day of the embedded world; then serve the UI until Ctrl-C, unless `once`.

    `line`: a name of `sandbox.erpnext.lines.LINES`: which ERPNext it is.
    """
    # A fresh world each time: its data are made for today, and so is Dagster's record of it.
    directory = local_directory() / "demo"
    shutil.rmtree(directory, ignore_errors=True)
    port = 0 if once else usable_port(port)
    ui_url = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        progress.print("Starting the embedded ERPNext, headquarters and mail server ...", highlight=False)
        world = stack.enter_context(embedded_world(now, line=line))
        os.environ.update(world.environment(ui_url))
        # The demo always has a PostgreSQL of its own, whatever the environment says.
        os.environ.pop("SCOOPJOY_POSTGRES_URL", None)
        progress.print("Starting PostgreSQL ...", highlight=False)
        place = stack.enter_context(workplace(directory))
        if not once:
            progress.print("Starting Dagster ...", highlight=False)
            place.prepare_storage()
            children = ChildProcesses(place.directory / "logs")
            running = stack.enter_context(
                running_dagster(children, place.environment, port=port, directory=place.directory)
            )
        waiting = tills_that_wait(world)
        if waiting:
            progress.print(
                f"{waiting} tills were left open over midnight: ERPNext {line} lets them sell nothing until their shifts are closed.",
                highlight=False,
            )
        result = _close(place, world.last_day, progress)
        _tell(out, result, as_json=as_json)
        if waiting:
            progress.print(
                f"\nAfter the night run {waiting - tills_that_wait(world)} of these {waiting} tills may open again.",
                highlight=False,
            )
        if once:
            return EXIT_CODES[result.status]
        print_where_to_click(progress, world, running.address)
        children.watch()
    return 0


def tills_that_wait(world: World) -> int:
    """Shifts of days that have ended and are open, where a till sells nothing before such a shift is closed."""
    if not world.erpnext.line.tills_sell_today:
        return 0
    ended = f"{world.last_day + timedelta(days=1)}"
    opened = world.erpnext.documents("POS Opening Entry", status="Open", docstatus=1)
    return sum(str(one["period_start_date"]) < ended for one in opened)


def print_where_to_click(out: Console, world: World, ui: str) -> None:
    """What is open now: each address, what to click there, and what one will see. `ui`: the UI's, with its token."""
    days = [world.last_day - timedelta(days=back) for back in reversed(range(OPEN_DAYS))]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Open", no_wrap=True, overflow="fold")  # an address that is cut cannot be opened
    table.add_column("Click")
    table.add_column("See")
    for opened, click_there, see in (
        (
            "Dagster UI",
            f"Catalog, royalties, Partitions, {days[-1]}",
            "every royalty with its base and rate, the exception rows, links into ERPNext",
        ),
        (
            "",
            f"Lineage, Materialize all, {days[0]} to {days[-2]}",
            "the days that are not closed yet turn green: shifts closed, royalties posted, headquarters told",
        ),
        (
            "",
            "Automation",
            "nightly_close_schedule, which closes the day at 01:00, and late_changes, which looks for invoices changed since",
        ),
        (f"Mails        {world.mail.url}", "a mail", "the report as managers get it, with PDF and workbook"),
        (
            f"Headquarters {world.headquarters.page_url}",
            "(one page)",
            "the day's totals as headquarters has acknowledged them",
        ),
        (
            f"ERPNext API  {world.erpnext.url}",
            "(no desk)",
            "Batch Run, with its buttons, is to be seen in a real ERPNext only: scoopjoy setup installs it there",
        ),
    ):
        table.add_row(opened, click_there, see)
    end = (
        f"\n{days[0]} to {days[-2]} are not closed yet: backfill them in the UI. Your own ERPNext: scoopjoy init. "
        "Ctrl-C ends everything."
    )
    # By itself: with its token the address would take the table's whole width, and a wrapped one cannot be opened.
    out.print(f"\nDagster UI: {ui}", highlight=False, soft_wrap=True)
    out.print(Group("", table, end), highlight=False)


def _close(place: Workplace, day: date, progress: Console) -> DayResult:
    from scoopjoy_dagster.definitions import build_defs

    with place.instance() as instance, step_progress(progress, day, []) as tell:
        return close_day(
            build_defs(place.settings),
            instance,
            day,
            tell=tell,
            mirror=desk_mirror(place.settings, instance),
        )


def _tell(out: Console, result: DayResult, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(result.as_dict(), ensure_ascii=False, indent=2))
    else:
        print_day(out, result)


def serve_sandbox(out: Console, port: int, latency: str | None, line: str) -> None:
    """Serve the embedded servers and print the settings that point at them, until Ctrl-C."""
    now, port = datetime.now(ZONE), usable_port(port)
    with embedded_world(now, erpnext_port=port, latency=latency, line=line) as world:
        for name, value in world.environment("http://127.0.0.1:3000").items():
            out.print(f"export {name}='{value}'", highlight=False, markup=False, soft_wrap=True)
        out.print(
            f"# mails: {world.mail.url}  headquarters: {world.headquarters.page_url}  (Ctrl-C ends it)",
            highlight=False,
        )
        threading.Event().wait()
