"""Background jobs: rows in the database, so that they live and die with the transaction that made them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from scoopjoy_dagster.sandbox.erpnext.errors import SiteError, thrown
from scoopjoy_dagster.sandbox.erpnext.session import Session
from scoopjoy_dagster.sandbox.erpnext.site import Site

Handler = Callable[[Session, dict[str, Any]], None]


def enqueue(session: Session, kind: str, key: str, payload: dict[str, Any]) -> bool:
    """Queue a job unless one with the same key waits; 417 if the scheduler is off. True if it was queued."""
    site = session.site
    if not session.value("System Settings", "System Settings", "enable_scheduler"):
        raise thrown("Scheduler is inactive. Cannot enqueue job.", title="Scheduler Inactive")
    if not site.queue_reachable:
        raise SiteError("ConnectionError", "Error 111 connecting to 127.0.0.1:11000. Connection refused.")
    if site.db.one("SELECT 1 FROM job WHERE key = ?", (key,)):
        return False
    site.db.run(
        "INSERT INTO job (kind, key, payload, ready_at) VALUES (?, ?, ?, ?)",
        (kind, key, json.dumps(payload | {"user": session.user}), time.time()),
    )
    return True


def run_one(
    site: Site, handlers: dict[str, Handler], *, older_than: float = 0.0, snapshot: int | None = None
) -> bool:
    """Run the oldest waiting job that is older than so many seconds; False if there is none.

    ``snapshot``: What the database was like when the job began (``snapshots``).
    """
    with site.db.lock:
        if not site.background_worker:
            return False
        found = site.db.one(
            "SELECT id, kind, payload FROM job WHERE ready_at <= ? ORDER BY id LIMIT 1",
            (time.time() - older_than,),
        )
        if found is None:
            return False
        number, kind, payload = found
        with site.transaction():
            site.db.run("DELETE FROM job WHERE id = ?", (number,))
        values = json.loads(payload)
        try:
            with site.snapshots.seeing(snapshot), site.transaction():
                handlers[kind](Session(site, values["user"]), values)
        except SiteError:
            # The handler has recorded its failure in the document; the worker goes on with the next job.
            return True
        return True


def waiting(site: Site) -> dict[str, Any] | None:
    """The payload of the oldest waiting job; ``None`` if there is none, or no worker."""
    with site.db.lock:
        found = site.db.one("SELECT payload FROM job ORDER BY id LIMIT 1") if site.background_worker else None
    return None if found is None else json.loads(found[0])


def workers(site: Site) -> list[dict[str, Any]]:
    """What RQ Worker lists: the one worker, while it runs."""
    one = {
        "name": "worker.1",
        "worker_name": "worker.1",
        "status": "idle",
        "queue_type": "short,default,long",
    }
    return [one] if site.background_worker else []


class Worker:
    """A thread that runs jobs once they have waited ``delay_s`` seconds; each takes ``job_s`` seconds of its own."""

    def __init__(
        self,
        site: Site,
        handlers: dict[str, Handler],
        delay_s: float,
        job_s: Callable[[dict[str, Any]], float],
        look: Callable[[], int | None],
    ) -> None:
        self._site = site
        self._handlers = handlers
        self._delay_s = delay_s
        self._job_s = job_s
        self._look = look
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="erpnext-worker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _work(self) -> None:
        pause = min(max(self._delay_s / 4, 0.01), 0.1)
        while not self._stopped.wait(pause):
            while not self._stopped.is_set():
                job, snapshot = waiting(self._site), self._look()
                if job is None or self._stopped.wait(self._job_s(job)):
                    break
                if not run_one(self._site, self._handlers, older_than=self._delay_s, snapshot=snapshot):
                    break
