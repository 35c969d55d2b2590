"""The sign of life of a run: it is there as long as the process that works on the run is, and no longer."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from scoopjoy_dagster.local.postgres import EmbeddedPostgres
from scoopjoy_dagster.resources import locks
from scoopjoy_dagster.resources.locks import SignOfLife, is_held, lock_number
from scoopjoy_dagster_tests.local.system import eventually

RUN = "3f1c7d2e-0000-4000-8000-000000000001"
NUMBER = lock_number("run", RUN)
GIVER = """
import sys
from scoopjoy_dagster.resources.locks import SignOfLife
SignOfLife(sys.argv[1], sys.argv[2]).begin()
print("begun", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    # Not pytest's tmp_path: for root the server runs as another user, who may not enter it.
    with tempfile.TemporaryDirectory(prefix="scoopjoy-test-") as name, EmbeddedPostgres(Path(name)) as server:
        yield server.url


@contextmanager
def another_process(url: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", GIVER, url, RUN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        yield process


def test_it_is_there_from_beginning_to_end(url: str) -> None:
    assert not is_held(url, NUMBER)
    sign = SignOfLife(url, RUN)
    sign.begin()
    assert is_held(url, NUMBER)
    assert not is_held(url, lock_number("run", "another"))
    sign.end()
    assert not is_held(url, NUMBER)


def test_it_ends_with_a_process_that_is_killed(url: str) -> None:
    with another_process(url) as process:
        assert is_held(url, NUMBER)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert eventually(lambda: not is_held(url, NUMBER), within_s=10)


def test_it_comes_back_when_postgresql_has_cut_the_connection(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "RENEW_S", 0.2)
    sign = SignOfLife(url, RUN)
    sign.begin()
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        ours = f"FROM pg_stat_activity WHERE application_name = 'scoopjoy run {RUN[:8]}'"
        (before,) = connection.execute(text(f"SELECT pid {ours}")).scalars().all()
        # Waits until the session is gone, and with it the lock.
        assert connection.execute(text(f"SELECT pg_terminate_backend({before}, 10000)")).scalar_one()
        holder = text("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid <> :before")
        assert eventually(
            lambda: bool(connection.execute(holder, {"before": before}).scalars().all()), within_s=20
        )
    assert is_held(url, NUMBER)
    sign.end()


def test_it_is_taken_again_when_the_session_before_is_gone_at_last(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that broke on our side only: the server keeps its session, and the lock, for a while."""
    monkeypatch.setattr(locks, "RENEW_S", 0.1)
    before = locks.connected(url, "the session before")
    assert locks.try_lock(before, NUMBER)
    sign = SignOfLife(url, RUN)
    sign.begin()
    before.close()
    assert eventually(lambda: is_held(url, NUMBER), within_s=20)
    sign.end()
    assert not is_held(url, NUMBER)


@pytest.mark.parametrize("name", ["a", "b", "c", "d"])
def test_numbers_on_both_sides_of_zero_are_found(url: str, name: str) -> None:
    """PostgreSQL shows a 64-bit number as two of 32 bits without a sign."""
    number = lock_number(name)
    connection = locks.connected(url, "test")
    assert locks.try_lock(connection, number)
    assert is_held(url, number)
    connection.close()


def test_the_names_above_are_on_both_sides_of_zero() -> None:
    assert {lock_number(name) > 0 for name in "abcd"} == {True, False}
