"""The embedded PostgreSQL: it is there while somebody uses it, and gone when nobody does."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from scoopjoy_dagster.local.postgres import SOCKET_NAME, EmbeddedPostgres, PostgresError
from scoopjoy_dagster_tests.local.system import eventually, processes_with

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = """
import sys, time
from pathlib import Path
from scoopjoy_dagster.local.postgres import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1])):
    print("started", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_user(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the server until its input ends."""
    command = [sys.executable, "-c", USER, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        yield process


def execute(url: str, statement: str) -> object:
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        result = connection.execute(text(statement))
        return result.scalar() if result.returns_rows else None


def nobody_serves(directory: Path) -> bool:
    return processes_with(str(directory)) == []


def test_what_is_written_is_there_at_the_next_start(directory: Path) -> None:
    with EmbeddedPostgres(directory) as server:
        execute(server.url, "CREATE TABLE shift AS SELECT 42 AS number")
    assert nobody_serves(directory)
    with EmbeddedPostgres(directory) as server:
        assert execute(server.url, "SELECT number FROM shift") == 42
    assert nobody_serves(directory)


def test_a_database_is_made_once_and_is_apart_from_the_others(postgres: EmbeddedPostgres) -> None:
    first = postgres.create_database("books")
    execute(first, "CREATE TABLE only_here (x int)")
    assert postgres.create_database("books") == first
    assert execute(first, "SELECT current_database()") == "books"
    assert execute(postgres.url, "SELECT to_regclass('only_here')") is None


@pytest.mark.parametrize("name", ["", "Books", "a-b", 'x"; DROP', "1st"])
def test_a_database_name_that_would_need_quoting_is_refused(postgres: EmbeddedPostgres, name: str) -> None:
    with pytest.raises(ValueError, match="lower-case"):
        postgres.create_database(name)


def test_it_listens_on_a_socket_that_only_its_user_may_reach(postgres: EmbeddedPostgres) -> None:
    assert execute(postgres.url, "SHOW listen_addresses") == ""
    host = make_url(postgres.url).query["host"]
    assert isinstance(host, str)
    assert stat.S_IMODE(Path(host).stat().st_mode) == 0o700


def test_it_does_not_run_as_root(postgres: EmbeddedPostgres) -> None:
    assert (postgres.directory / "data").stat().st_uid != 0


def test_a_user_of_the_machine_who_set_pg_variables_is_served_all_the_same(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PGPORT": "6000", "PGDATA": "/nowhere", "PGDATABASE": "no"}.items():
        monkeypatch.setenv(name, value)
    with EmbeddedPostgres(directory) as server:
        assert execute(server.url, "SHOW timezone") == "UTC"


@pytest.mark.parametrize("name", ["x" * 120, "with space", "ünï,côde"])
def test_it_works_in_a_path_that_no_socket_could_have(directory: Path, name: str) -> None:
    place = directory / name / "postgres"
    with EmbeddedPostgres(place) as server:
        assert execute(server.url, "SELECT 1") == 1
        host = make_url(server.url).query["host"]
        assert isinstance(host, str)
        assert len(f"{host}/{SOCKET_NAME}") < 104
        with EmbeddedPostgres(place) as same:
            assert same.url == server.url
    assert not Path(host).exists()


def test_it_runs_until_its_last_user_leaves(directory: Path) -> None:
    with another_user(directory) as other:
        with EmbeddedPostgres(directory) as server:
            other.communicate("")  # who started it leaves first: its keeper is no child of ours from then on
            assert execute(server.url, "SELECT 1") == 1
        assert eventually(lambda: nobody_serves(directory))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_it_ends_when_its_user_is_killed(directory: Path, number: signal.Signals) -> None:
    with another_user(directory) as other:
        assert processes_with(str(directory / "data"))
        other.send_signal(number)
        other.wait()
    assert eventually(lambda: nobody_serves(directory))
    with EmbeddedPostgres(directory) as server:
        assert execute(server.url, "SELECT 1") == 1


def test_one_user_killed_leaves_it_to_the_others(directory: Path) -> None:
    with another_user(directory) as other, EmbeddedPostgres(directory) as server:
        other.kill()
        other.wait()
        assert execute(server.url, "SELECT 1") == 1
    # The one that was killed had started it: its keeper, no child of ours, ends a moment after the server.
    assert eventually(lambda: nobody_serves(directory))


def test_it_ends_when_its_keeper_is_killed(directory: Path) -> None:
    with EmbeddedPostgres(directory) as server:
        assert server._keeper is not None
        server._keeper.kill()
        server._keeper.wait()
        if sys.platform == "linux":
            assert eventually(lambda: nobody_serves(directory))


def test_it_stops_when_the_work_with_it_fails(directory: Path) -> None:
    with pytest.raises(ZeroDivisionError), EmbeddedPostgres(directory):
        raise ZeroDivisionError
    assert nobody_serves(directory)


def test_stopping_twice_and_starting_twice_are_harmless(directory: Path) -> None:
    server = EmbeddedPostgres(directory)
    server.stop()
    assert server.start() == server.start()
    server.stop()
    server.stop()
    assert nobody_serves(directory)


def test_an_interrupted_creation_is_begun_again(directory: Path) -> None:
    (directory / "data.new").mkdir()
    (directory / "data.new" / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(directory) as server:
        assert execute(server.url, "SELECT 1") == 1


def test_data_of_another_major_version_is_left_alone(directory: Path) -> None:
    (directory / "data").mkdir()
    (directory / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(PostgresError, match=r"made by PostgreSQL 9, .* move the directory away"):
        EmbeddedPostgres(directory).start()


def test_a_server_that_cannot_start_says_what_its_log_says(directory: Path) -> None:
    with EmbeddedPostgres(directory):
        pass
    (directory / "data" / "postgresql.conf").write_text("no_such_setting = on\n")
    with pytest.raises(PostgresError, match="no_such_setting"):
        EmbeddedPostgres(directory).start()
    assert nobody_serves(directory)


def test_a_directory_that_cannot_be_used_is_named(directory: Path) -> None:
    (directory / "file").touch()
    with pytest.raises(PostgresError, match="give the directory to the user who runs this"):
        EmbeddedPostgres(directory / "file" / "pg").start()
