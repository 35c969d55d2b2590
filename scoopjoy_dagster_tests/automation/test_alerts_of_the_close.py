"""The whole way: the program's own definitions, ERPNext, headquarters, mail server and channel, all over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import serialize_value
from dagster._core.snap import JobSnap

from scoopjoy_dagster.automation.alert_checks import alert_checks
from scoopjoy_dagster.automation.alerts import OUTBOX
from scoopjoy_dagster.automation.jobs import WATCH_JOB
from scoopjoy_dagster.definitions import JOB, build_defs
from scoopjoy_dagster.erpnext.preflight import Check
from scoopjoy_dagster.resources.clock import ClockResource
from scoopjoy_dagster.resources.headquarters import HeadquartersResource
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster.sandbox.hq import SandboxHQ
from scoopjoy_dagster.sandbox.mail import MailSink
from scoopjoy_dagster.settings import SettingsError, load_settings
from scoopjoy_dagster_tests.automation.receiver import Receiver
from scoopjoy_dagster_tests.automation.world import local_instance
from scoopjoy_dagster_tests.world import DAY, NOW, World

SECRET = "TOKXY77"
NEEDED = {
    "ERPNEXT_URL": "https://erp.example.com",
    "ERPNEXT_API_KEY": "key",
    "ERPNEXT_API_SECRET": "secret",
    "SCOOPJOY_GO_LIVE": "2026-11-01",
}


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with local_instance(tmp_path) as made:
        yield made


def definitions(environment: dict[str, str]) -> dg.Definitions:
    return build_defs(
        load_settings(environment),
        resources={
            "clock": ClockResource(fixed=f"{NOW.isoformat()}+05:30"),
            "headquarters": HeadquartersResource(
                url=environment["SCOOPJOY_HQ_URL"], secret=dg.EnvVar("SCOOPJOY_HQ_SECRET"), backoff_s=[0.0]
            ),
        },
    )


def test_a_step_that_fails_and_is_made_good_is_told_by_mail_and_channel_and_then_the_heart_beats(
    instance: dg.DagsterInstance,
    chain_site: SandboxERPNext,
    headquarters: SandboxHQ,
    mail_sink: MailSink,
    receiver: Receiver,
    http_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    World(chain_site, instance, headquarters, mail_sink).a_day()
    mail_sink.wants_names = True
    robot = chain_site.robot
    with receiver.at(http_port) as url:
        environment = {
            "ERPNEXT_URL": chain_site.url,
            "ERPNEXT_API_KEY": robot.api_key,
            "ERPNEXT_API_SECRET": robot.api_secret,
            "SCOOPJOY_GO_LIVE": DAY.isoformat(),
            "SCOOPJOY_HQ_URL": headquarters.url,
            "SCOOPJOY_HQ_SECRET": headquarters.secret,
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(mail_sink.smtp_port),
            "SMTP_SECURITY": "none",
            "SMTP_SENDER": "close@scoopjoy.example",
            "SMTP_EHLO_NAME": "relay-7.scoopjoy.example",
            "SCOOPJOY_REPORT_RECIPIENTS": "reports@scoopjoy.example",
            "SCOOPJOY_ALERT_CHANNELS": url,
            "SCOOPJOY_HEARTBEAT_URL": f"http://127.0.0.1:{http_port}/ping/{SECRET}",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        defs = definitions(environment)
        repository = defs.get_repository_def()

        def close(*only: str) -> dg.ExecuteInProcessResult:
            return defs.resolve_job_def(JOB).execute_in_process(
                instance=instance,
                partition_key=DAY.isoformat(),
                asset_selection=[dg.AssetKey(name) for name in only] or None,
                raise_on_error=False,
            )

        def tick() -> str:
            context = dg.build_sensor_context(instance=instance, resources=defs.resources)
            with context:
                return str(repository.get_sensor_def(OUTBOX).evaluate_tick(context).skip_message)

        headquarters.fail_next(20, 503)
        failed = close()
        assert not failed.success
        assert "heartbeat" not in tick()
        headquarters.heal()
        close("hq_sync")
        assert "heartbeat delivered" in tick()
        assert tick() == "no alert is waiting"
    failure = "[WARNING] Batch step failed: Sync to HQ (22 Nov: headquarters not told)"
    recovery = "[RECOVERED] Business day closed: 22 Nov"
    alerts = [title for title in receiver.titles() if "Control totals" not in title]
    assert alerts == [failure, recovery]
    mails = [mail for mail in mail_sink.messages if mail.recipient != "reports@scoopjoy.example"]
    told = {mail.recipient for mail in mails}
    assert told
    assert set(mail_sink.names) == {"relay-7.scoopjoy.example"}
    for subject in (failure, recovery):
        assert {mail.recipient for mail in mails if mail.subject == subject} == told
        assert len([mail for mail in mails if mail.subject == subject]) == len(told)
    said = receiver.messages[0]["message"]
    assert f"scoopjoy close --date {DAY} --only hq_sync" in said
    assert "Still done: Close POS Shifts, Calculate Royalties, Generate Invoices, Send Reports" in said
    assert receiver.beats == [f"/ping/{SECRET}"]


# -- settings and `scoopjoy check` ------------------------------------------------------------------------------------


def test_no_channel_and_no_heartbeat_address_is_in_the_definitions_or_in_the_text_of_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environment = {
        **NEEDED,
        "SCOOPJOY_ALERT_CHANNELS": f"json://127.0.0.1/{SECRET}\njson://localhost/{SECRET}",
        "SCOOPJOY_HEARTBEAT_URL": f"https://hc.example.com/{SECRET}",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(environment)
    assert SECRET not in repr(settings) + settings.model_dump_json()
    defs = build_defs(settings)
    resources = defs.resources or {}
    jobs = (defs.resolve_job_def(name) for name in (JOB, WATCH_JOB))
    assert all(SECRET not in serialize_value(JobSnap.from_job_def(job)) for job in jobs)
    assert SECRET not in repr(resources["alerts"])
    with dg.build_resources({"alerts": resources["alerts"]}) as opened:
        assert opened.alerts.channels == environment["SCOOPJOY_ALERT_CHANNELS"]
        assert SECRET not in repr(opened.alerts)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SCOOPJOY_ALERT_CHANNELS", f"json://a.example/{SECRET} {SECRET}", "its part 2 is no URL"),
        ("SCOOPJOY_HEARTBEAT_URL", f"{SECRET}.example.com", "http:// or https://"),
        ("SCOOPJOY_RUNBOOK_URL", "wiki.example.com", "http:// or https://"),
    ],
)
def test_a_wrong_address_is_a_sentence_without_its_value(name: str, value: str, says: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({**NEEDED, name: value})
    assert str(refused.value).startswith(f"{name} is wrong: ")
    assert says in str(refused.value)
    assert SECRET not in str(refused.value)


def checks(**settings: str) -> list[Check]:
    found = list(alert_checks(load_settings({**NEEDED, **settings})))
    assert not any(SECRET in f"{one}" for one in found)
    return found


def test_the_check_says_how_many_channels_there_are_and_names_a_wrong_one() -> None:
    channels = f"json://a.example/{SECRET} slack://{SECRET} syslog:// jsons://b.example/{SECRET}"
    wrong, local, ways = checks(SCOOPJOY_ALERT_CHANNELS=channels)
    assert (wrong.level, local.level, ways.level) == ("error", "error", "ok")
    assert "Channel 2 of SCOOPJOY_ALERT_CHANNELS (slack)" in wrong.message
    assert "Channel 3 of SCOOPJOY_ALERT_CHANNELS (syslog)" in local.message
    assert ways.message == "channels: 2 (json, jsons); no heartbeat"


def test_the_check_says_who_gets_mail() -> None:
    mail = {"SMTP_HOST": "mail.example", "SMTP_SENDER": "close@scoopjoy.example"}
    (ways,) = checks(**mail)
    assert ways.message == "mail to every System Manager of ERPNext; no heartbeat"
    (ways,) = checks(
        **mail,
        SCOOPJOY_ALERT_RECIPIENTS="a@x.example,b@x.example",
        SCOOPJOY_HEARTBEAT_URL=f"https://hc.example.com/{SECRET}",
    )
    assert ways.message == "mail to SCOOPJOY_ALERT_RECIPIENTS (2); heartbeat on"


def test_the_check_warns_when_nobody_is_told() -> None:
    (nobody,) = checks()
    assert nobody.level == "warning"
    assert "nobody is alerted" in nobody.message
