"""The embedded ERPNext as the demo and the tests use it: start, stop, credentials, faults, oracles.

Belongs here: the public face. Does not belong here: behaviour of the site itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from scoopjoy_dagster.sandbox.erpnext import bootstrap, jobs, keys
from scoopjoy_dagster.sandbox.erpnext.controllers import pos_closing
from scoopjoy_dagster.sandbox.erpnext.database import column, table
from scoopjoy_dagster.sandbox.erpnext.faults import FaultSchedule
from scoopjoy_dagster.sandbox.erpnext.latency import Cost, rows_of_closing
from scoopjoy_dagster.sandbox.erpnext.lines import LINES
from scoopjoy_dagster.sandbox.erpnext.pace import background_s
from scoopjoy_dagster.sandbox.erpnext.request_log import RequestLog
from scoopjoy_dagster.sandbox.erpnext.routes import Application
from scoopjoy_dagster.sandbox.erpnext.server import Server
from scoopjoy_dagster.sandbox.erpnext.session import Session
from scoopjoy_dagster.sandbox.erpnext.settings import Settings
from scoopjoy_dagster.sandbox.erpnext.site import Site
from scoopjoy_dagster.sandbox.erpnext.wire import Call, Reply

ROBOT = "robot@scoopjoy.example"
_HANDLERS: dict[str, jobs.Handler] = {
    pos_closing.JOB: pos_closing.run_job,
    pos_closing.UNDO: pos_closing.undo_job,
}


@dataclass(frozen=True, slots=True)
class Credentials:
    """API key and secret of a user."""

    user: str
    api_key: str
    api_secret: str

    @property
    def authorization(self) -> str:
        """Value of the ``Authorization`` header."""
        return f"token {self.api_key}:{self.api_secret}"


class SandboxERPNext:
    """An ERPNext that answers on the loopback interface and keeps its books in SQLite.

    Args:
        database: File of the site, made if missing, or ``":memory:"``.
        clock: The site's time (naive, Asia/Kolkata); the real time there by default.
        background_delay_s: Seconds that a queued job waits before the worker takes it.
        template: A file made by ``snapshot`` that a new or in-memory database starts from.
        latency: How long a real ERPNext takes (``latency.MODELS``); none: as fast as the sandbox can.
        line: Which line of ERPNext it speaks (``lines.LINES``).
        snapshot_isolation: Whether a request is refused that changes what has changed since it came; as the databases
            of its line do unless said otherwise.

    Raises:
        ValueError: The database, or the template, is of another line.
    """

    def __init__(
        self,
        database: Path | str,
        *,
        clock: Callable[[], datetime] | None = None,
        background_delay_s: float = 0.3,
        template: Path | str | None = None,
        latency: Mapping[str, Cost] | None = None,
        line: str = "v15",
        snapshot_isolation: bool | None = None,
    ) -> None:
        self.latency = latency
        self.line = LINES[line]
        self.snapshot_isolation = (
            self.line.snapshot_isolation if snapshot_isolation is None else snapshot_isolation
        )
        self.site = Site(database, clock, template, self.line)
        bootstrap.bootstrap(self.site)
        self.application = Application(self.site)
        self.faults = FaultSchedule(refuse=self.application.refuse)
        self.requests = RequestLog()
        self.settings = Settings(self.site, self.application.gate)
        self._handlers: dict[str, jobs.Handler] = _HANDLERS | {pos_closing.JOB: self._consolidate}
        self._delay_s = background_delay_s
        self._server: Server | None = None
        self._worker: jobs.Worker | None = None

    # -- life ---------------------------------------------------------------------------------------

    def start(self, port: int = 0) -> None:
        """Serve on 127.0.0.1 (a free port if 0) and run background jobs.

        Raises:
            RuntimeError: It is already running.
        """
        if self._server is not None:
            raise RuntimeError("the embedded ERPNext is already running")
        self._server = Server(self, port)
        self._server.start()
        self._worker = jobs.Worker(self.site, self._handlers, self._delay_s, self._job_s, self.look)
        self._worker.start()

    def stop(self) -> None:
        """Stop serving; the database stays readable. Does nothing if it is not running."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None
        if self._server is not None:
            self._server.stop()
            self._server = None

    def close(self) -> None:
        """Stop, and close the database."""
        self.stop()
        self.site.db.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """``http://127.0.0.1:<port>``.

        Raises:
            RuntimeError: It is not running.
        """
        if self._server is None:
            raise RuntimeError("the embedded ERPNext is not running: call start()")
        return self._server.url

    def snapshot(self, path: Path | str) -> None:
        """Copy the database into a file, for ``template`` of later worlds."""
        self.site.db.backup_to(path)

    # -- people -------------------------------------------------------------------------------------

    def credentials(self, user: str) -> Credentials:
        """API key and secret of an existing user.

        Issued on first use, then always the same for one name, until somebody generates new ones.

        Raises:
            KeyError: There is no such user.
        """
        with self.site.transaction():
            if self.site.real_name("User", user) is None:
                raise KeyError(f"no user {user!r} in the embedded ERPNext")
            pair = keys.pair_of(self.site, user)
            if pair is None:
                key, secret = (
                    hashlib.sha256(f"{what}:{user}".encode()).hexdigest()[: keys.LENGTH]
                    for what in ("key", "secret")
                )
                pair = key, secret
                keys.keep(self.site, user, key, secret)
                self.site.db.run('UPDATE "tabUser" SET api_key = ? WHERE name = ?', (key, user))
                self.site.forget_master("User")
        return Credentials(user, *pair)

    @property
    def robot(self) -> Credentials:
        """The user that the pipeline works as."""
        return self.credentials(ROBOT)

    @property
    def administrator(self) -> Credentials:
        return self.credentials("Administrator")

    # -- work ---------------------------------------------------------------------------------------

    def session(self, user: str = "Administrator") -> Session:
        """A user at work inside the process; use it within ``site.transaction()``."""
        return Session(self.site, user)

    def look(self) -> int | None:
        """What the database is like now, for a request that begins now; ``None`` without snapshot isolation."""
        return self.site.snapshots.now() if self.snapshot_isolation else None

    def handle(self, call: Call) -> Reply:
        """Answer a request without a socket, and count what it wrote."""
        if call.snapshot is None:
            call.snapshot = self.look()
        with self.site.db.lock:
            before = self.site.db.commits
            reply = self.application.handle(call)
            self.requests.wrote(self.site.db.commits - before)
        return reply

    def run_background_jobs(self) -> int:
        """Run all queued jobs now; returns how many there were."""
        done = 0
        while jobs.run_one(self.site, self._handlers, snapshot=self.look()):
            done += 1
        return done

    def _job_s(self, payload: dict[str, Any]) -> float:
        """Seconds that the worker takes for a job by the latency model, besides the sandbox's own work."""
        if not self.latency:
            return 0.0
        return background_s(self.latency, rows_of_closing(self.site, payload["closing"]))

    def _consolidate(self, session: Session, payload: dict[str, Any]) -> None:
        """The job of a POS Closing Entry, which fails when the faults say so: nothing is merged, and it says why."""
        reason = self.faults.strike_job(pos_closing.JOB)
        if not reason:
            _HANDLERS[pos_closing.JOB](session, payload)
            return
        doc = session.load("POS Closing Entry", payload["closing"])
        session.set_fields(doc, {"status": "Failed", "error_message": reason})

    def documents(self, doctype: str, **filters: Any) -> list[dict[str, Any]]:
        """Documents with their rows straight from the database, by name; filters compare for equality."""
        where = " AND ".join(f"{column(key)} = ?" for key in filters) or "1"
        session = self.session()
        with self.site.db.lock:
            names = self.site.db.rows(
                f"SELECT name FROM {table(doctype)} WHERE {where} ORDER BY name", filters.values()
            )
            return [session.load(doctype, name).shown() for (name,) in names]
