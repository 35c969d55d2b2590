"""A close on an instance of its own, and a free port for its mail server."""

from __future__ import annotations

import io
import logging
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from scoopjoy_dagster.automation import watchdog
from scoopjoy_dagster_tests.automation.receiver import Receiver
from scoopjoy_dagster_tests.automation.world import Close, Inbox, local_instance


@pytest.fixture(scope="session", autouse=True)
def _sqlite_without_disk_flushes() -> Iterator[None]:
    def relax(connection: object, _: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous=OFF")

    event.listen(Engine, "connect", relax)
    yield
    event.remove(Engine, "connect", relax)


@pytest.fixture(scope="session")
def empty_instance(tmp_path_factory: pytest.TempPathFactory, _sqlite_without_disk_flushes: None) -> Path:
    """The databases of an instance that nothing has run on: a copy is quicker than creating their tables."""
    directory = tmp_path_factory.mktemp("instance")
    with local_instance(directory) as instance:
        instance.get_run_records(limit=1)
    return directory


@pytest.fixture
def close(tmp_path: Path, empty_instance: Path) -> Iterator[Close]:
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    shutil.copytree(empty_instance, tmp_path, dirs_exist_ok=True)
    with local_instance(tmp_path) as instance:
        yield Close(instance)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def whole_log() -> Iterator[io.StringIO]:
    """What a process that logs everything writes."""
    log = io.StringIO()
    everything = logging.StreamHandler(log)
    root = logging.getLogger()
    level = root.level
    root.addHandler(everything)
    root.setLevel(logging.DEBUG)
    yield log
    root.setLevel(level)
    root.removeHandler(everything)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def http_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(autouse=True)
def nothing_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests keep runs in SQLite, which the watchdog would report."""
    monkeypatch.setattr(watchdog, "shortcomings", lambda _: [])
