"""The embedded PostgreSQL: it is there while somebody uses it, gone when nobody does, and nobody's but its user's."""

from __future__ import annotations

import fcntl
import os
import pwd
import signal
import socket
import stat
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import psycopg2
import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from scoopjoy_dagster.local.postgres import SOCKET_NAME, EmbeddedPostgres, PostgresError, _programs
from scoopjoy_dagster_tests.local.system import eventually, processes_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


def socket_of(server: EmbeddedPostgres) -> Path:
    host = make_url(server.url).query["host"]
    assert isinstance(host, str)
    return Path(host) / SOCKET_NAME


def password_of(server: EmbeddedPostgres) -> str:
    password = make_url(server.url).password
    assert password
    return password


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


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
    assert mode_of(socket_of(postgres).parent) == 0o700


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
        at = socket_of(server)
        assert len(str(at)) < 104
        with EmbeddedPostgres(place) as same:
            assert same.url == server.url
    assert not at.parent.exists()


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


# -- who else is on the machine ---------------------------------------------------------------------------------------


def test_its_processes_know_nothing_of_our_environment(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERPNEXT_API_SECRET", "sentinel-Zk3v")
    with EmbeddedPostgres(directory, {"GIVEN": "yes"}) as server:
        assert server._keeper is not None
        keeper = psutil.Process(server._keeper.pid)
        (postmaster,) = keeper.children()
        for process in (keeper, postmaster):
            assert process.environ() == {"PATH": os.defpath, "LC_ALL": "C", "GIVEN": "yes"}
        for process in postmaster.children():  # their titles are written over it
            with suppress(psutil.NoSuchProcess):  # a worker that has ended meanwhile
                assert "sentinel-Zk3v" not in str(process.environ())


@pytest.mark.parametrize(
    "connection",
    ["user=postgres", "user=postgres dbname=template1", "user=nobody", "user=postgres replication=database"],
)
@pytest.mark.parametrize("password", ["", "postgres", "wrong"])
def test_not_even_the_servers_own_user_connects_without_the_password(
    postgres: EmbeddedPostgres, connection: str, password: str
) -> None:
    owner = (postgres.directory / "data").stat()

    def answer(password: str, connection: str) -> subprocess.CompletedProcess[str]:
        target = f"host={socket_of(postgres).parent} port=5432 {connection}"
        return subprocess.run(
            [str(_programs() / "psql"), "--no-password", "--no-psqlrc", "-Atc", "SELECT 42", target],
            check=False,
            capture_output=True,
            text=True,
            cwd="/",
            env={"PGPASSWORD": password, "LC_ALL": "C"},
            user=owner.st_uid if os.geteuid() == 0 else None,
            group=owner.st_gid if os.geteuid() == 0 else None,
            extra_groups=[] if os.geteuid() == 0 else None,
        )

    refused = answer(password, connection)
    assert refused.returncode == 2
    assert "42" not in refused.stdout
    assert "password" in refused.stderr
    assert answer(password_of(postgres), "user=postgres").stdout == "42\n", (
        "it was there, and could be reached"
    )


def test_the_password_is_in_no_command_line_and_no_text(directory: Path) -> None:
    with EmbeddedPostgres(directory) as server:
        password = password_of(server)
        assert len(password) >= 32
        assert execute(server.url, "SHOW hba_file") == str(directory / "pg_hba.conf")
        assert processes_with(password) == []
        assert password not in repr(server)
        readable = [path for path in directory.rglob("*") if path.is_file() and mode_of(path) & 0o077]
        assert readable == [directory / "pg_hba.conf"]
        assert password not in (directory / "postgres.log").read_text()


@pytest.mark.parametrize("asks", [0, 3, 5], ids=["nothing", "the password", "an md5 of it"])
def test_another_server_in_its_place_is_not_told_the_password_and_not_believed(
    directory: Path, asks: int
) -> None:
    """Somebody who can put a socket where ours was asks for the password in clear text, or for none."""
    with EmbeddedPostgres(directory) as server:
        url = server.url
        password = password_of(server)
        place = socket_of(server)
    place.parent.mkdir(exist_ok=True)
    told: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as impostor:
        impostor.bind(str(place))
        impostor.listen()

        def serve() -> None:
            connection, _ = impostor.accept()
            with connection:
                told.append(connection.recv(4096))
                message = asks.to_bytes(4, "big") + (b"salt" if asks == 5 else b"")
                connection.sendall(b"R" + (4 + len(message)).to_bytes(4, "big") + message)
                told.append(connection.recv(4096))

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(psycopg2.OperationalError, match="authentication"):
            psycopg2.connect(url.replace("+psycopg2", "", 1), connect_timeout=5)
        thread.join()
    assert told[0], "it was asked"
    assert told[1] in {b"", b"X\0\0\0\4"}, "an end of the conversation and nothing else"
    assert password.encode() not in b"".join(told)


def test_what_it_keeps_is_for_nobody_else(directory: Path) -> None:
    place = directory / "postgres"
    with EmbeddedPostgres(place):
        # For root one right is left: the server's own group may pass through, to its data.
        assert mode_of(place) == (0o710 if os.geteuid() == 0 else 0o700)
        for name in ("data", "socket"):
            assert mode_of(place / name) == 0o700
        for name in ("postgres.log", "password", "start.lock", "users.lock"):
            assert mode_of(place / name) == 0o600
            assert (place / name).stat().st_uid == os.geteuid()


@contextmanager
def acting_as(user: pwd.struct_passwd) -> Iterator[None]:
    """Of root: this process with the rights of another user."""
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(user.pw_gid)
    os.seteuid(user.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
@pytest.mark.parametrize("who", ["nobody", "daemon"])
def test_another_user_can_neither_read_nor_hold_anything(directory: Path, who: str) -> None:
    user = pwd.getpwnam(who)
    place = directory / "postgres"
    place.mkdir()
    place.chmod(0o755)
    for name in ("start.lock", "users.lock", "postgres.log"):  # as an earlier version left them
        (place / name).touch(0o644)
    with EmbeddedPostgres(place):
        names = [path for path in place.iterdir() if path.is_file() and path.name != "pg_hba.conf"]
        assert len(names) == 4
        with acting_as(user):
            for path in names:
                with pytest.raises(PermissionError), path.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
@pytest.mark.parametrize("taken", ["a directory", "a link"])
def test_a_place_in_tmp_that_somebody_else_took_before_is_not_used(directory: Path, taken: str) -> None:
    server = EmbeddedPostgres(directory / ("x" * 120))
    place = server._socket_dir
    assert not place.is_relative_to(directory), "the path is too long for a socket"
    with acting_as(pwd.getpwnam("daemon")):
        if taken == "a link":
            place.symlink_to("/tmp")
        else:
            place.mkdir()
    try:
        with pytest.raises(PostgresError, match=f"{place} is not a directory of this user"):
            server.start()
        assert mode_of(Path("/tmp")) & 0o777 == 0o777, "nothing was done to what the link leads to"
    finally:
        if taken == "a link":
            place.unlink()
        elif place.exists():
            place.rmdir()
    assert nobody_serves(directory)


def as_an_earlier_version_left_it(directory: Path) -> None:
    """Data whose every connection is trusted, of a role without a password, in a directory for all."""
    with EmbeddedPostgres(directory) as server:
        execute(server.url, "CREATE TABLE shift AS SELECT 42 AS number")
        execute(server.url, "ALTER ROLE postgres PASSWORD NULL")
    (directory / "data" / "pg_hba.conf").write_text("local all all trust\n")
    (directory / "password").unlink()
    (directory / "pg_hba.conf").unlink()
    directory.chmod(0o755)


def no_password(_: Path) -> None:
    """An earlier version's data."""


def an_empty_password(directory: Path) -> None:
    """A start that was interrupted."""
    (directory / "password").touch()


def another_password(directory: Path) -> None:
    """The data of an earlier version were put back beside the password of a later one."""
    (directory / "password").write_text("of-other-data")


@pytest.mark.parametrize("then", [no_password, an_empty_password, another_password])
def test_data_of_an_earlier_version_are_carried_over_and_trust_nobody_from_then_on(
    directory: Path, then: Callable[[Path], None]
) -> None:
    as_an_earlier_version_left_it(directory)
    then(directory)
    with EmbeddedPostgres(directory) as server:
        assert execute(server.url, "SELECT number FROM shift") == 42
        assert mode_of(directory) & 0o007 == 0
        with pytest.raises(psycopg2.OperationalError, match="no password supplied"):
            psycopg2.connect(host=str(socket_of(server).parent), port=5432, user="postgres")


def test_a_password_that_cannot_be_set_is_a_sentence_and_the_server_goes_on(directory: Path) -> None:
    with EmbeddedPostgres(directory) as server:
        url = server.url
        (directory / "password").unlink()  # as when an earlier version, which had none, still runs
        with pytest.raises(
            PostgresError, match=r"end every program that uses it, then try again\. It says: .*FATAL"
        ):
            EmbeddedPostgres(directory).start()
        assert execute(url, "SELECT 42") == 42
