"""Locks that end with the process that holds them: PostgreSQL's advisory locks, each in a connection.

Here: a connection for locks, and the sign of life of a run: a lock that its process holds while it works, so that others
see when it is gone, on whatever machine it was. Not here: who waits for whom (``close``).
"""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg2 import extensions

PROCESS = "scoopjoy/process"
"""Run tag: `<run id> <process id> on <host>`, of the process that gives the run's sign of life. The run's own id is in it
because a re-execution inherits the tags of the run that it repeats."""

RENEW_S = 5.0
"""How often a sign of life is looked after: so long it is missing where PostgreSQL was restarted."""


def connected(url: str, name: str) -> extensions.connection:
    """A connection for locks, shown to the database's administrator under this name. Commits each statement.

    The server notices within a minute that the machine at the other end has vanished, and gives its locks back.

    Raises:
        psycopg2.Error: PostgreSQL cannot be reached.
    """
    import psycopg2

    made = psycopg2.connect(
        url.replace("+psycopg2", "", 1),
        connect_timeout=10,
        keepalives_idle=30,
        keepalives_interval=10,
        keepalives_count=3,
        application_name=name,
    )
    made.autocommit = True
    with made.cursor() as cursor:  # the server's side of the same; without effect on a Unix socket
        cursor.execute(
            "SELECT set_config('tcp_keepalives_idle', '30', false), set_config('tcp_keepalives_interval', '10', false),"
            " set_config('tcp_keepalives_count', '3', false)"
        )
    return made


def lock_number(*parts: str) -> int:
    """The signed 64-bit number by which PostgreSQL knows the lock of this name."""
    name = ":".join(("scoopjoy_dagster", *parts))
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def try_lock(connection: extensions.connection, number: int) -> bool:
    """Take a lock for as long as the connection lives, if nobody has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (number,))
        found = cursor.fetchone()
    return bool(found and found[0])


def is_held(url: str, number: int) -> bool:
    """Whether anybody holds a lock; takes nothing.

    Raises:
        psycopg2.Error: PostgreSQL cannot be asked.
    """
    high, low = divmod(number & 0xFFFFFFFFFFFFFFFF, 1 << 32)
    with closing(connected(url, "scoopjoy: who is alive")) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND classid::bigint = %s AND objid::bigint = %s",
            (high, low),
        )
        found = cursor.fetchone()
    return bool(found and found[0])


def process_tag(run_id: str) -> dict[str, str]:
    """The tag by which a run names this process."""
    return {PROCESS: f"{run_id} {os.getpid()} on {socket.gethostname()}"}


class SignOfLife:
    """Held by the process that works on a run, from `begin` to `end`. A connection that breaks is made anew."""

    def __init__(self, url: str, run_id: str) -> None:
        self._url, self._run_id = url, run_id
        self._number = lock_number("run", run_id)
        self._ended = threading.Event()
        self._connection: extensions.connection | None = None
        self._held = False
        self._thread = threading.Thread(target=self._keep, name="sign of life", daemon=True)

    def begin(self) -> None:
        """Give it from now on.

        Raises:
            psycopg2.Error: PostgreSQL cannot be reached.
        """
        self._connect()
        self._thread.start()

    def end(self) -> None:
        """The process has done its work."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._disconnect()

    def _keep(self) -> None:
        import psycopg2

        while not self._ended.wait(RENEW_S):
            try:
                if self._connection is None:
                    self._connect()
                elif (
                    not self._held
                ):  # a connection of ours before, which the server does not know to be dead yet, has it
                    self._held = try_lock(self._connection, self._number)
                else:
                    with self._connection.cursor() as cursor:
                        cursor.execute("SELECT 1")
            except psycopg2.Error:
                self._disconnect()

    def _connect(self) -> None:
        self._connection = connected(self._url, f"scoopjoy run {self._run_id[:8]}")
        self._held = try_lock(self._connection, self._number)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._held = False
        if connection is not None:
            connection.close()
