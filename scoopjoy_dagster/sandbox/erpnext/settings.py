"""Switches of the site that tests turn: maintenance, scheduler, rate limit, frozen books ..."""

from __future__ import annotations

from datetime import date
from typing import Any

from scoopjoy_dagster.sandbox.erpnext.database import column, table
from scoopjoy_dagster.sandbox.erpnext.routes import Gate, RateLimit
from scoopjoy_dagster.sandbox.erpnext.site import Site
from scoopjoy_dagster.sandbox.erpnext.values import as_date


class Settings:
    """Switches of the site that tests turn. Those that ERPNext keeps in documents live there."""

    def __init__(self, site: Site, gate: Gate) -> None:
        self._site = site
        self._gate = gate

    def _single(self, doctype: str, name: str) -> Any:
        with self._site.db.lock:
            found = self._site.db.one(f"SELECT {column(name)} FROM {table(doctype)}")
        return found[0] if found else None

    def _set_single(self, doctype: str, name: str, value: Any) -> None:
        with self._site.transaction():
            self._site.db.run(f"UPDATE {table(doctype)} SET {column(name)} = ?", (value,))
            self._site.forget_master(doctype)

    @property
    def scheduler_active(self) -> bool:
        """System Settings.enable_scheduler: off, a closing of ten rows or more is refused."""
        return bool(self._single("System Settings", "enable_scheduler"))

    @scheduler_active.setter
    def scheduler_active(self, value: bool) -> None:
        self._set_single("System Settings", "enable_scheduler", int(value))

    @property
    def background_worker(self) -> bool:
        """Whether queued jobs are ever run."""
        return self._site.background_worker

    @background_worker.setter
    def background_worker(self, value: bool) -> None:
        self._site.background_worker = value

    @property
    def queue_reachable(self) -> bool:
        """Whether jobs can be queued at all (the Redis queue)."""
        return self._site.queue_reachable

    @queue_reachable.setter
    def queue_reachable(self, value: bool) -> None:
        self._site.queue_reachable = value

    @property
    def maintenance(self) -> bool:
        """Maintenance mode: 503 SessionStopped for everything."""
        return self._gate.maintenance

    @maintenance.setter
    def maintenance(self, value: bool) -> None:
        self._gate.maintenance = value

    @property
    def reads_during_maintenance(self) -> bool:
        """In maintenance mode reads go on and writes are 503 InReadOnlyMode."""
        return self._gate.reads_during_maintenance

    @reads_during_maintenance.setter
    def reads_during_maintenance(self, value: bool) -> None:
        self._gate.reads_during_maintenance = value

    @property
    def rate_limit(self) -> RateLimit | None:
        """Requests in a window of seconds; ``None`` for no limit."""
        return self._gate.rate_limit

    @rate_limit.setter
    def rate_limit(self, value: RateLimit | None) -> None:
        self._gate.rate_limit = value

    @property
    def time_zone(self) -> str:
        """System Settings.time_zone. The clock of the world is not changed by it."""
        return str(self._single("System Settings", "time_zone"))

    @time_zone.setter
    def time_zone(self, value: str) -> None:
        self._set_single("System Settings", "time_zone", value)

    @property
    def allow_error_traceback(self) -> bool:
        """System Settings.allow_error_traceback: off, errors carry no ``exception`` and no ``exc``."""
        return bool(self._single("System Settings", "allow_error_traceback"))

    @allow_error_traceback.setter
    def allow_error_traceback(self, value: bool) -> None:
        self._set_single("System Settings", "allow_error_traceback", int(value))

    @property
    def frozen_upto(self) -> date | None:
        """No ledger entry up to this day (``Line.freeze``; on later lines of every company)."""
        freeze = self._site.line.freeze
        found = self._single(freeze.doctype, freeze.day)
        return as_date(found) if found else None

    @frozen_upto.setter
    def frozen_upto(self, value: date | None) -> None:
        freeze = self._site.line.freeze
        self._set_single(freeze.doctype, freeze.day, value.isoformat() if value else None)

    @property
    def invoice_type(self) -> str:
        """POS Settings.invoice_type of v16: whether tills make POS Invoices or Sales Invoices."""
        return str(self._single("POS Settings", "invoice_type"))

    @invoice_type.setter
    def invoice_type(self, value: str) -> None:
        self._set_single("POS Settings", "invoice_type", value)
