"""One clock for all processes of a night: libfaketime, preloaded, reads from a file how far their time is from the real one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

IST = ZoneInfo("Asia/Kolkata")
LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
"""None where the machine has no libfaketime (Debian: apt install faketime)."""


def forget_the_dead() -> None:
    """Remove what libfaketime keeps for processes that are gone.

    It does so itself only for a process that ends in order, and a new one that gets the number of a killed one ends at once.
    """
    # Where Linux keeps shared memory and semaphores.
    for kept in Path("/dev/shm").glob("*faketime_*_*"):
        number = kept.name.rpartition("_")[2]
        if number.isdecimal() and not Path("/proc", number).exists():
            kept.unlink(missing_ok=True)


class SimulatedClock:
    """The clock of a night. Sleeps and timeouts last as long as ever; only what time it is, is simulated."""

    def __init__(self, directory: Path) -> None:
        forget_the_dead()
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)
        self._file = directory / "clock"
        self._offset_s = 0

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process needs to live by this clock."""
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, moment: datetime) -> None:
        """Make it this moment now."""
        self._offset_s = round(moment.timestamp() - time.time())
        new = self._file.with_suffix(".new")
        new.write_text(f"{self._offset_s:+d}\n", encoding="utf-8")
        new.chmod(0o644)
        new.replace(self._file)

    def now(self) -> datetime:
        """What time it is, aware."""
        return datetime.fromtimestamp(time.time() + self._offset_s, IST)

    def site_now(self) -> datetime:
        """What time it is on the ERPNext site."""
        return self.now().replace(tzinfo=None)
