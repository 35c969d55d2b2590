"""Whom an alert goes to: ERPNext's System Managers, remembered for when ERPNext is down."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from scoopjoy_dagster.automation.recipients import alert_recipients, fallback
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.mail import MailResource
from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
from scoopjoy_dagster.sandbox.seed import master_data
from scoopjoy_dagster_tests.automation.test_alerts import outbox_tick
from scoopjoy_dagster_tests.automation.world import Close, mail_at

NOW = datetime(2026, 3, 2, 1, 5, tzinfo=UTC)
MAIL = MailResource()


@pytest.fixture
def site() -> Iterator[SandboxERPNext]:
    site = SandboxERPNext(":memory:")
    try:
        master_data(site)
        site.start()
        yield site
    finally:
        site.close()


def test_the_system_managers_are_asked_for_and_remembered(close: Close, site: SandboxERPNext) -> None:
    owner = site.administrator
    erpnext = ERPNextResource(url=site.url, api_key=owner.api_key, api_secret=owner.api_secret)
    managers = alert_recipients(close.instance, MAIL, erpnext, NOW)
    assert managers
    assert all("@" in manager for manager in managers)
    down = ERPNextResource(url="http://127.0.0.1:9", api_key="k", api_secret="s")
    assert alert_recipients(close.instance, MAIL, down, NOW + timedelta(days=40)) == managers


def test_nobody_is_known_before_erpnext_has_answered_once(close: Close) -> None:
    down = ERPNextResource(url="http://127.0.0.1:9", api_key="k", api_secret="s")
    assert alert_recipients(close.instance, MAIL, down, NOW) == []


def test_a_key_that_erpnext_refuses_is_no_reason_to_raise(close: Close, site: SandboxERPNext) -> None:
    wrong = ERPNextResource(url=site.url, api_key="wrong", api_secret="wrong")
    assert alert_recipients(close.instance, MAIL, wrong, NOW) == []


def test_a_list_that_is_old_because_erpnext_does_not_answer_is_said_at_every_tick(
    close: Close, site: SandboxERPNext
) -> None:
    mail = mail_at(9, to=())
    fresh = timedelta(hours=6)
    down = ERPNextResource(url="http://127.0.0.1:9", api_key="k", api_secret="s")
    assert alert_recipients(close.instance, mail, down, NOW, fresh) == []
    assert "no recipient is known" in fallback(close.instance, mail, NOW, fresh)
    owner = site.administrator
    erpnext = ERPNextResource(url=site.url, api_key=owner.api_key, api_secret=owner.api_secret)
    assert alert_recipients(close.instance, mail, erpnext, NOW, fresh)
    assert fallback(close.instance, mail, NOW, fresh) == ""
    later = NOW + timedelta(hours=7)
    assert alert_recipients(close.instance, mail, down, later, fresh)
    assert fallback(close.instance, mail, later, fresh) == (
        "alerts go to the System Managers of 2026-03-02 01:05 UTC: ERPNext has not named any since"
    )


def test_a_fixed_list_and_channels_alone_need_no_system_managers(close: Close) -> None:
    assert fallback(close.instance, mail_at(9), NOW, timedelta(0)) == ""
    assert fallback(close.instance, MAIL, NOW, timedelta(0)) == ""


def test_the_tick_says_that_nobody_is_known(close: Close) -> None:
    close.mail = mail_at(9, to=())
    assert "no recipient is known" in outbox_tick(close)
