"""One asset and day is worked on by one run at a time, and a run that dies gives its day back at that moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from unittest import mock

import dagster as dg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from scoopjoy_dagster.definitions import site_resources
from scoopjoy_dagster.local.postgres import EmbeddedPostgres
from scoopjoy_dagster.resources.close import CloseResource, DayBusy
from scoopjoy_dagster.settings import load_settings
from scoopjoy_dagster_tests.local.system import eventually
from scoopjoy_dagster_tests.world import DAY, MANAGERS, World, entries

SITE = "https://erp.scoopjoy.example"
HOLDER = """
import sys
from datetime import date
from scoopjoy_dagster.resources.close import CloseResource
close = CloseResource(postgres_url=sys.argv[1])
with close.alone(sys.argv[2], sys.argv[3], date.fromisoformat(sys.argv[4])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    # Not pytest's tmp_path: for root the server runs as another user, who may not enter it.
    with tempfile.TemporaryDirectory(prefix="scoopjoy-test-") as name, EmbeddedPostgres(Path(name)) as server:
        yield server


@pytest.fixture
def close(postgres: EmbeddedPostgres) -> CloseResource:
    return CloseResource(postgres_url=postgres.url, lock_wait_s=60)


@contextmanager
def another_process(close: CloseResource) -> Iterator[subprocess.Popen[str]]:
    """Another process that works on the day's reports until its input ends."""
    command = [sys.executable, "-c", HOLDER, close.postgres_url, "reports", SITE, DAY.isoformat()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def waiting(close: CloseResource) -> int:
    """How many sessions wait for an advisory lock, as PostgreSQL says."""
    engine = create_engine(close.postgres_url, poolclass=NullPool)
    with engine.connect() as connection:
        return int(
            connection.execute(
                text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            ).scalar_one()
        )


@contextmanager
def in_the_background(close: CloseResource) -> Iterator[threading.Event]:
    """Somebody in this process who wants the same asset and day; the event tells that he has it."""
    has_it = threading.Event()

    def work() -> None:
        with close.alone("reports", SITE, DAY):
            has_it.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield has_it
    finally:
        thread.join(60)
        assert not thread.is_alive()


def test_the_second_waits_until_the_first_has_ended(close: CloseResource) -> None:
    with another_process(close) as first, in_the_background(close) as has_it:
        assert eventually(lambda: waiting(close) == 1)
        assert not has_it.is_set()
        first.communicate("")
        assert has_it.wait(30)


def test_the_second_has_it_at_once_when_the_first_is_killed(close: CloseResource) -> None:
    with another_process(close) as first, in_the_background(close) as has_it:
        assert eventually(lambda: waiting(close) == 1)
        first.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        assert has_it.wait(30)
        assert time.monotonic() - killed < 10
        first.wait()


def test_the_day_is_free_again_after_an_error(close: CloseResource) -> None:
    with pytest.raises(ZeroDivisionError), close.alone("reports", SITE, DAY):
        raise ZeroDivisionError
    with impatient(close).alone("reports", SITE, DAY):
        pass


def impatient(close: CloseResource, wait_s: float = 0.2) -> CloseResource:
    return CloseResource(postgres_url=close.postgres_url, lock_wait_s=wait_s)


def test_who_has_waited_long_enough_is_told_who_has_it(close: CloseResource) -> None:
    said = f"another run has been working on reports of {DAY} for more than 0.2 s"
    with (
        close.alone("reports", SITE, DAY),
        pytest.raises(DayBusy, match=said),
        impatient(close).alone("reports", SITE, DAY),
    ):
        pass
    with impatient(close).alone("reports", SITE, DAY):
        pass


def test_other_days_assets_and_sites_do_not_wait(close: CloseResource) -> None:
    other = impatient(close)
    with (
        close.alone("reports", SITE, DAY),
        other.alone("reports", SITE, DAY - timedelta(days=1)),
        other.alone("hq_sync", SITE, DAY),
        other.alone("reports", "https://test.scoopjoy.example", DAY),
    ):
        pass


def test_without_postgresql_nobody_waits() -> None:
    alone = CloseResource()
    with alone.alone("reports", SITE, DAY), alone.alone("reports", SITE, DAY):
        pass


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://robot:s3cret-value@127.0.0.1:9/dagster",
        "postgresql+psycopg2://robot:s3cret-value@/x?host=/nowhere",
    ],
)
def test_a_postgresql_that_cannot_be_asked_is_a_busy_day_without_its_password(url: str) -> None:
    close = CloseResource(postgres_url=url)
    assert "s3cret-value" not in repr(close)
    with pytest.raises(DayBusy) as raised, close.alone("reports", SITE, DAY):
        pass
    assert f"could not be asked whether another run is closing {DAY}" in str(raised.value)
    assert "s3cret-value" not in str(raised.value)


def test_the_lock_leaves_no_connection_behind(close: CloseResource) -> None:
    with close.alone("reports", SITE, DAY):
        pass
    engine = create_engine(close.postgres_url, poolclass=NullPool)
    mine = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'scoopjoy reports %'"

    def none() -> bool:
        with engine.connect() as connection:
            return bool(connection.execute(text(mine)).scalar_one() == 0)

    assert eventually(none)


def test_the_definitions_take_it_from_the_environment_and_never_hold_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = load_settings(
        {
            "ERPNEXT_URL": "https://erp.example",
            "ERPNEXT_API_KEY": "key",
            "ERPNEXT_API_SECRET": "secret",
            "SCOOPJOY_GO_LIVE": "2026-11-01",
        }
    )
    monkeypatch.delenv("SCOOPJOY_POSTGRES_URL", raising=False)
    assert dict(site_resources(settings)["close"])["postgres_url"] == ""
    monkeypatch.setenv("SCOOPJOY_POSTGRES_URL", "postgresql://robot:s3cret-value@db.example/dagster")
    close = site_resources(settings)["close"]
    assert dict(close)["postgres_url"] == dg.EnvVar("SCOOPJOY_POSTGRES_URL")
    assert "s3cret-value" not in repr(dict(close))


# -- two runs of one day at once ------------------------------------------------------------------------------------


@pytest.fixture
def locked_chain(full_chain: World, postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> World:
    """The chain with headquarters, mail server and PostgreSQL."""
    monkeypatch.setenv("SCOOPJOY_POSTGRES_URL", postgres.url)
    full_chain.shift(2)
    full_chain.a_day()
    return full_chain


def test_two_runs_of_one_day_at_once_send_each_mail_once_and_attach_one_statement_each(
    locked_chain: World,
) -> None:
    job = locked_chain.job()
    both = threading.Barrier(2)
    results: list[bool] = []

    def run() -> None:
        with dg.DagsterInstance.ephemeral() as instance:
            both.wait(60)
            done = job.execute_in_process(
                instance=instance,
                partition_key=DAY.isoformat(),
                raise_on_error=False,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
            results.append(done.success)

    with mock.patch.dict(os.environ, locked_chain.environment):
        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
    assert results == [True, True]
    assert Counter(mail.recipient for mail in locked_chain.mail.messages) == dict.fromkeys(MANAGERS, 1)
    assert len(locked_chain.headquarters.attempts) == 1
    posted = [entry["name"] for entry in entries(locked_chain.erpnext)]
    assert len(posted) == 5
    attached = Counter(file["attached_to_name"] for file in locked_chain.erpnext.documents("File"))
    assert attached == dict.fromkeys(posted, 1)
    assert locked_chain.owed() == locked_chain.expected()
    assert len(locked_chain.erpnext.documents("POS Closing Entry")) == 1


def test_a_day_that_another_run_works_on_too_long_is_an_exception_row_and_nothing_is_written(
    locked_chain: World, close: CloseResource
) -> None:
    job = locked_chain.job()
    locked_chain.erpnext.requests.reset()
    with (
        close.alone("royalties", locked_chain.erpnext.url, DAY),
        mock.patch.dict(os.environ, locked_chain.environment),
    ):
        done = job.execute_in_process(
            instance=locked_chain.instance,
            partition_key=DAY.isoformat(),
            asset_selection=[dg.AssetKey("royalties")],
            raise_on_error=False,
            run_config={
                "resources": {"close": {"config": {"lock_wait_s": 0.2}}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
        )
    assert not done.success
    (failed,) = [one for one in done.get_step_failure_events() if one.step_key == "royalties"]
    description = failed.step_failure_data.user_failure_data.description
    assert description.startswith(
        f"royalties {DAY}: day in work - {DAY}: another run has been working on royalties"
    )
    assert locked_chain.erpnext.requests.writes == 0
    assert locked_chain.close("royalties").success
