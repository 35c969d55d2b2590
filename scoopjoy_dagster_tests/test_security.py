"""No secret in anything that is kept or shown, and no name from ERPNext that becomes markup, a link or a formula."""

from __future__ import annotations

import io
import json
import re
import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import dagster as dg
import openpyxl
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from aiosmtpd.smtp import Session as SMTPSession
from dagster import serialize_value
from dagster._core.snap import JobSnap
from pypdf import PdfReader

from scoopjoy_dagster.assets import royalties
from scoopjoy_dagster.cli.report import _file_name
from scoopjoy_dagster.definitions import JOB, build_defs, site_resources
from scoopjoy_dagster.local.processes import Child, ChildProcesses, ProcessError
from scoopjoy_dagster.local.services import running_dagster
from scoopjoy_dagster.reporting.digest import statement_file_name
from scoopjoy_dagster.resources.clock import ClockResource
from scoopjoy_dagster.resources.headquarters import HeadquartersResource
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster.sandbox.hq import SandboxHQ
from scoopjoy_dagster.settings import load_settings
from scoopjoy_dagster_tests.world import DAY, MANAGERS, NOW, THANE, World, started_site

API_KEY = "sentinel-api-key"
SECRETS = {
    "ERPNEXT_API_SECRET": "sentinel-Zk3v-erpnext",
    "SMTP_PASSWORD": "sentinel-Qw8r-smtp",
    "SCOOPJOY_HQ_SECRET": "sentinel-Hj5m-headquarters",
    "SCOOPJOY_HQ_PREVIOUS_SECRET": "sentinel-Pv2t-before",
}
ROBOT = "robot@scoopjoy.example"


class Inbox:
    """A mail server that wants a login, and tells everybody what password it was given when it refuses one."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.passwords: list[str] = []
        self.takes_login = True
        self.takes_recipients = True

    def authenticate(
        self, _server: SMTP, _session: SMTPSession, _envelope: Envelope, _mechanism: str, data: LoginPassword
    ) -> AuthResult:
        self.passwords.append(data.password.decode())
        if self.takes_login:
            return AuthResult(success=True)
        return AuthResult(
            success=False, handled=False, message=f"535 5.7.8 {data.password.decode()} is not the password"
        )

    async def handle_RCPT(
        self, _server: SMTP, _session: SMTPSession, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if not self.takes_recipients:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: SMTPSession, envelope: Envelope) -> str:
        import email
        import email.policy

        content = envelope.original_content or b""
        self.mails.append(email.message_from_bytes(content, policy=email.policy.default))
        return "250 OK"


@dataclass
class Site:
    """The embedded world, reached with the secrets above through definitions made of settings, as in production."""

    erpnext: SandboxERPNext
    headquarters: SandboxHQ
    inbox: Inbox
    smtp_port: int
    instance: dg.DagsterInstance
    directory: Path

    @property
    def settings(self) -> dict[str, str]:
        return {
            "ERPNEXT_URL": self.erpnext.url,
            "ERPNEXT_API_KEY": API_KEY,
            "ERPNEXT_ATTEMPTS": "2",
            "SCOOPJOY_GO_LIVE": "2026-11-01",
            "SCOOPJOY_HQ_URL": self.headquarters.url,
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.smtp_port),
            "SMTP_SECURITY": "none",
            "SMTP_USERNAME": "robot",
            "SMTP_SENDER": "ScoopJoy <close@scoopjoy.example>",
            "SCOOPJOY_REPORT_RECIPIENTS": ",".join(MANAGERS),
            **SECRETS,
        }

    def definitions(self) -> dg.Definitions:
        return build_defs(
            load_settings(self.settings),
            resources={
                "headquarters": HeadquartersResource(
                    url=self.headquarters.url,
                    secret=dg.EnvVar("SCOOPJOY_HQ_SECRET"),
                    previous_secret=dg.EnvVar("SCOOPJOY_HQ_PREVIOUS_SECRET"),
                    backoff_s=[0.0],
                ),
                "clock": ClockResource(fixed=f"{NOW.isoformat()}+05:30"),
            },
        )

    def close(self) -> dg.ExecuteInProcessResult:
        return (
            self.definitions()
            .resolve_job_def(JOB)
            .execute_in_process(instance=self.instance, partition_key=DAY.isoformat(), raise_on_error=False)
        )


@contextmanager
def smtp_server(inbox: Inbox) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    controller = Controller(
        inbox,
        hostname="127.0.0.1",
        port=port,
        server_hostname="localhost",
        authenticator=inbox.authenticate,
        auth_required=True,
        auth_require_tls=False,
    )
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


@pytest.fixture
def site(
    chain_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> Iterator[Site]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with ExitStack() as stack:
        erpnext = stack.enter_context(started_site(chain_template))
        _issue(erpnext, SECRETS["ERPNEXT_API_SECRET"])
        headquarters = SandboxHQ(SECRETS["SCOOPJOY_HQ_SECRET"])
        headquarters.start()
        stack.callback(headquarters.close)
        inbox = Inbox()
        port = stack.enter_context(smtp_server(inbox))
        directory = tmp_path / "dagster"
        directory.mkdir()
        instance = stack.enter_context(dg.DagsterInstance.local_temp(str(directory)))
        made = Site(erpnext, headquarters, inbox, port, instance, directory)
        for name, value in made.settings.items():
            monkeypatch.setenv(name, value)
        World(erpnext, instance).a_day()
        World(erpnext, instance).shift(2)
        yield made


def _issue(erpnext: SandboxERPNext, secret: str) -> None:
    """Let the robot log in with the sentinel key and this secret."""
    with erpnext.site.transaction():
        erpnext.site.db.run("DELETE FROM auth WHERE api_key = ?", (API_KEY,))
        erpnext.site.db.run("INSERT INTO auth VALUES (?, ?, ?)", (API_KEY, secret, ROBOT))
        erpnext.site.forget_master("User")


def nothing(_site: Site, _monkeypatch: pytest.MonkeyPatch) -> None:
    """All is well."""


def wrong_key(site: Site, _monkeypatch: pytest.MonkeyPatch) -> None:
    _issue(site.erpnext, "rotated")


def a_line_break_in_the_secret(_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a file with a secret often ends: no header can carry it, and the HTTP library quotes it when it says so."""
    monkeypatch.setenv("ERPNEXT_API_SECRET", SECRETS["ERPNEXT_API_SECRET"] + "\n")


def erpnext_says_417(site: Site, _monkeypatch: pytest.MonkeyPatch) -> None:
    site.erpnext.settings.frozen_upto = DAY


def erpnext_says_500(site: Site, _monkeypatch: pytest.MonkeyPatch) -> None:
    site.erpnext.faults.add("html_500", path="get_list", doctype="Customer", times=None)


def erpnext_resets(site: Site, _monkeypatch: pytest.MonkeyPatch) -> None:
    site.erpnext.faults.add("refused_before_commit", path="get_list", doctype="Customer", times=None)


def headquarters_says_500(site: Site, _monkeypatch: pytest.MonkeyPatch) -> None:
    site.headquarters.fail_next(500, times=5)


def headquarters_says_401(site: Site, _monkeypatch: pytest.MonkeyPatch) -> None:
    site.headquarters.secret = "another secret"


def smtp_refuses_the_login(site: Site, _monkeypatch: pytest.MonkeyPatch) -> None:
    site.inbox.takes_login = False


def smtp_refuses_the_recipients(site: Site, _monkeypatch: pytest.MonkeyPatch) -> None:
    site.inbox.takes_recipients = False


def an_unforeseen_error_that_shows_its_arguments(_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        session = args[0].client.session
        raise RuntimeError(f"unforeseen: {args!r} {kwargs!r} {session!r} {vars(args[0].client)!r}")

    monkeypatch.setattr(royalties, "post_royalties", broken)


FAULTS: Mapping[Callable[[Site, pytest.MonkeyPatch], None], set[str]] = {
    nothing: set(),
    wrong_key: {"closed_shifts"},
    a_line_break_in_the_secret: {"closed_shifts"},
    erpnext_says_417: {"closed_shifts"},
    erpnext_says_500: {"royalties"},
    erpnext_resets: {"royalties"},
    headquarters_says_500: {"hq_sync"},
    headquarters_says_401: {"hq_sync"},
    smtp_refuses_the_login: {"reports"},
    smtp_refuses_the_recipients: {"reports"},
    an_unforeseen_error_that_shows_its_arguments: {"royalties"},
}
"""What goes wrong, and the assets that fail of it."""


@pytest.mark.parametrize(("fault", "failing"), FAULTS.items(), ids=[fault.__name__ for fault in FAULTS])
def test_no_secret_is_kept_or_shown_whatever_goes_wrong(
    site: Site,
    fault: Callable[[Site, pytest.MonkeyPatch], None],
    failing: set[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    fault(site, monkeypatch)
    result = site.close()
    # The fault did strike, and the secrets were in use: without that, nothing could have leaked.
    assert {event.step_key for event in result.get_step_failure_events()} == failing
    assert "closed_shifts" in failing or site.erpnext.documents("POS Closing Entry")
    if not failing:
        assert site.inbox.passwords == [SECRETS["SMTP_PASSWORD"]]
        assert len(site.inbox.mails) == len(MANAGERS)
        assert len(site.headquarters.deliveries) == 1
    if fault is smtp_refuses_the_login:
        assert SECRETS["SMTP_PASSWORD"] in site.inbox.passwords

    run = site.instance.get_run_by_id(result.run_id)
    assert run
    printed = capfd.readouterr()
    kept: dict[str, str] = {
        "event log": "\n".join(serialize_value(entry) for entry in site.instance.all_logs(result.run_id)),
        "messages": "\n".join(str(entry) for entry in site.instance.all_logs(result.run_id)),
        "run": serialize_value(run) + repr(run),
        "standard output": printed.out,
        "standard error": printed.err,
        "python log": caplog.text,
        "mails": "\n".join(_decoded(mail) for mail in site.inbox.mails),
        "deliveries": json.dumps([one.payload for one in site.headquarters.deliveries]),
        "delivery records": json.dumps(site.erpnext.documents("ScoopJoy Delivery"), default=str),
        "entries": json.dumps(site.erpnext.documents("Journal Entry"), default=str),
        "files of the instance": _all_bytes(site.directory),
    }
    assert len(kept["event log"]) > 1000
    for where, text in kept.items():
        for name, secret in SECRETS.items():
            assert secret not in text, f"{name} is in the {where}"


def _decoded(message: EmailMessage) -> str:
    parts = [part for part in message.walk() if not part.is_multipart()]
    payloads = [part.get_payload(decode=True) for part in parts]
    return message.as_string() + "\n".join(
        payload.decode("latin-1") for payload in payloads if isinstance(payload, bytes)
    )


def _all_bytes(directory: Path) -> str:
    return "\n".join(path.read_bytes().decode("latin-1") for path in directory.rglob("*") if path.is_file())


def test_no_secret_is_in_a_definition_a_snapshot_or_the_text_of_a_resource(site: Site) -> None:
    settings = load_settings(site.settings)
    definitions = build_defs(settings)
    resources = site_resources(settings)
    job = definitions.resolve_job_def(JOB)
    shown = {
        "settings": repr(settings) + str(settings) + settings.model_dump_json(),
        "resources": repr(resources) + str(resources),
        "definitions": repr(definitions),
        "job snapshot": serialize_value(JobSnap.from_job_def(job)),
    }
    # Opened, they hold the secrets, and must not show them either.
    with dg.build_resources(resources) as opened:
        assert opened.erpnext.api_secret == SECRETS["ERPNEXT_API_SECRET"]
        assert opened.mail.password == SECRETS["SMTP_PASSWORD"]
        assert opened.headquarters.secret == SECRETS["SCOOPJOY_HQ_SECRET"]
        assert opened.headquarters.previous_secret == SECRETS["SCOOPJOY_HQ_PREVIOUS_SECRET"]
        shown["opened resources"] = repr(opened) + "".join(
            repr(one) + str(one) for one in (opened.erpnext, opened.mail, opened.headquarters)
        )
        shown["clients"] = repr(opened.headquarters.client()) + repr(opened.mail.mailer())
        with opened.erpnext.open() as erpnext:
            shown["clients"] += repr(erpnext) + repr(erpnext.client) + repr(erpnext.client.session)
    for where, text in shown.items():
        for name, secret in SECRETS.items():
            assert secret not in text, f"{name} is in the {where}"


def test_the_run_configuration_and_snapshot_of_a_run_hold_no_secret(
    site: Site,
) -> None:
    result = site.close()
    assert result.success
    run = site.instance.get_run_by_id(result.run_id)
    assert run
    assert run.job_snapshot_id
    assert run.execution_plan_snapshot_id
    snapshot = serialize_value(site.instance.get_historical_job(run.job_snapshot_id).job_snapshot)
    plan = serialize_value(site.instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id))
    everything = json.dumps(run.run_config) + snapshot + plan
    assert "lock_wait_s" in everything, "the configuration of the resources is looked at"
    for secret in SECRETS.values():
        assert secret not in everything


# -- names that would be markup ---------------------------------------------------------------------------------

MARKUP = "<img src=x onerror=alert(1)> | [x](http://evil)"
FORMULA = '=HYPERLINK("http://evil","x")'
INJECTION = "{{ 6 * 7 }}{% raise %} '); DROP TABLE `tabCustomer`; -- ../../../tmp/evil"
LINES = "Thane\r\nBcc: evil@scoopjoy.example\r\n\r\n| x | evil"


@pytest.mark.parametrize("name", [MARKUP, FORMULA, INJECTION], ids=["markup", "formula", "injection"])
def test_a_customers_name_stays_text_in_mail_metadata_pdf_and_workbook(site: Site, name: str) -> None:
    result = _close_with(site, name)
    assert result.success, [event.message for event in result.get_step_failure_events()]

    metadata = {
        event.materialization.asset_key.to_user_string(): event.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    table = str(metadata["royalties"]["documents"].value)
    assert len({row.count("|") for row in table.splitlines() if row.startswith("|")}) == 1
    for entries in metadata.values():
        for value in entries.values():
            if isinstance(value, dg.MarkdownMetadataValue):
                assert "<img" not in value.value
                assert "](http://evil" not in value.value

    mail = site.inbox.mails[0]
    html = _page(mail)
    assert "<img src=x" not in html
    assert ("{{ 6 * 7 }}" in html) == (name == INJECTION), "a template only shows it"
    assert 'href="http://evil' not in html
    assert ("&lt;img src=x onerror=alert(1)&gt;" in html) == (name == MARKUP)

    attached = {
        str(part.get_filename()).rpartition(".")[2]: part.get_content() for part in mail.iter_attachments()
    }
    _holds_as_text(attached["pdf"], name)
    book = openpyxl.load_workbook(io.BytesIO(attached["xlsx"]))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    named = [cell for cell in cells if cell.value == name]
    assert named
    assert {cell.data_type for cell in named} == {"s"}
    assert [cell for cell in cells if cell.hyperlink and "evil" in str(cell.hyperlink.target)] == []
    assert [
        cell.coordinate for cell in cells if cell.data_type == "f" and "HYPERLINK" in str(cell.value)
    ] == []

    statements = [
        file for file in site.erpnext.documents("File") if file["attached_to_doctype"] == "Journal Entry"
    ]
    with (
        dg.build_resources(site_resources(load_settings(site.settings))) as opened,
        opened.erpnext.open() as erpnext,
    ):
        session = erpnext.client.session
        pages = [session.download(file["file_url"], doing="read a statement") for file in statements]
    mine = [page for page in pages if _squeezed(name) in _squeezed(_text(page))]
    assert len(mine) == 1
    _holds_as_text(mine[0], name)


def test_line_breaks_in_a_customers_name_add_no_header_no_recipient_and_no_line(site: Site) -> None:
    result = _close_with(site, LINES)
    assert result.success, [event.message for event in result.get_step_failure_events()]
    documents = next(
        str(event.materialization.metadata["documents"].value)
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey("royalties")
    )
    assert "evil" in documents, "the name is there"
    assert len({row.count("|") - row.count(r"\|") for row in documents.splitlines() if "|" in row}) == 1
    assert len(site.inbox.mails) == len(MANAGERS)
    for mail in site.inbox.mails:
        assert mail["Bcc"] is None
        assert mail["To"] in MANAGERS
        assert "evil" in _page(mail)
        plain = mail.get_body(("plain",))
        assert plain is not None
        lines = [line for line in plain.get_content().splitlines() if "evil" in line]
        assert lines
        assert all("Thane Bcc: evil@scoopjoy.example | x | evil" in line for line in lines), lines
    attached = {str(part.get_content_type()): part.get_content() for part in mail.iter_attachments()}
    assert "evil" in _text(attached["application/pdf"])
    book = openpyxl.load_workbook(io.BytesIO(attached.popitem()[1]))
    cells = [str(cell.value) for sheet in book for row in sheet.iter_rows() for cell in row if cell.value]
    assert any("evil" in text for text in cells)


def _close_with(site: Site, name: str) -> dg.ExecuteInProcessResult:
    """Close the day of a chain with a customer of this name."""
    # Straight into the database, as an import or an old release may have left it: ERPNext's form refuses some of it.
    with site.erpnext.site.transaction():
        site.erpnext.site.db.run('UPDATE "tabCustomer" SET customer_name = ? WHERE name = ?', (name, THANE))
        site.erpnext.site.forget_master("Customer")
    return site.close()


def _page(mail: EmailMessage) -> str:
    page = mail.get_body(("html",))
    assert page is not None
    return str(page.get_content())


@pytest.mark.parametrize("name", ["../../../tmp/evil", "/etc/passwd", "..", "a\0b", "a/../../b", ""])
def test_no_name_from_erpnext_becomes_a_path(name: str) -> None:
    for file in (statement_file_name(DAY, name, "digest"), _file_name(name)):
        assert re.fullmatch(r"[\w-][\w.-]*", file), file


def _text(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _holds_as_text(pdf: bytes, name: str) -> None:
    """The name is text in the document, however its lines are broken, and nothing in it leads anywhere."""
    assert _squeezed(name) in _squeezed(_text(pdf))
    annotations = [
        annotation.get_object()
        for page in PdfReader(io.BytesIO(pdf)).pages
        for annotation in page.get("/Annots", [])
    ]
    assert [one for one in annotations if "evil" in str(one)] == []


# -- what listens ------------------------------------------------------------------------------------------------


class Recorder(ChildProcesses):
    """Notes the commands instead of running them, and the mode of the directory that the code server's socket is in."""

    def __init__(self, logs: Path) -> None:
        super().__init__(logs)
        self.commands: dict[str, list[str]] = {}
        self.mode = 0

    def start(self, name: str, command: Any, **_options: Any) -> Child:
        self.commands[name] = list(command)
        return Child(name, None, self.logs / name)  # type: ignore[arg-type]  # no process is looked at

    def wait_for_http(self, child: Child, url: str, deadline_s: float = 0) -> None:
        assert url.startswith("http://127.0.0.1:4321/")
        words = self.commands["code-server"]
        self.mode = stat.S_IMODE(Path(words[words.index("--socket") + 1]).parent.stat().st_mode)
        raise ProcessError("enough was seen")


def test_the_webserver_binds_to_loopback_and_the_code_server_to_a_socket_of_our_user_alone(
    tmp_path: Path,
) -> None:
    recorder = Recorder(tmp_path)
    with pytest.raises(ProcessError, match="enough was seen"):
        running_dagster(recorder, {}, port=4321, directory=tmp_path).__enter__()
    webserver = recorder.commands["webserver"]
    assert webserver[webserver.index("--host") + 1] == "127.0.0.1"
    assert webserver[webserver.index("--port") + 1] == "4321"
    assert recorder.mode == 0o700
    for name, words in recorder.commands.items():
        assert "0.0.0.0" not in words
        assert name == "webserver" or not {"--host", "-h", "--port", "-p"} & set(words)
