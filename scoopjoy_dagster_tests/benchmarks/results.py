"""Results: the machine that they are of, the file that keeps them, and the table on the terminal."""

from __future__ import annotations

import json
import os
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.table import Table

COLUMNS = ("wall", "inside ERPNext", "overhead", "processor", "requests", "writes", "peak memory")


def machine() -> dict[str, Any]:
    """What the figures are of. No name of a host."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(pages / (1 << 30)),
        "architecture": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "dagster": version("dagster"),
    }


def stamped(measured: dict[str, Any]) -> dict[str, Any]:
    """A measurement with its date and the load of the machine at its end: on a busy machine `ours` grows."""
    return {"date": date.today().isoformat(), "load": round(os.getloadavg()[0], 1), **measured}


class Results:
    """The results of one machine and one kind of ERPNext, by benchmark."""

    def __init__(self, erpnext: str) -> None:
        self.found: dict[str, Any] = {"erpnext": erpnext, "machine": machine(), "nights": [], "backfills": []}

    def add(self, kind: str, measured: dict[str, Any]) -> None:
        if kind == "start":
            self.found[kind] = stamped(measured)
            return
        key = {"nights": "franchises", "backfills": "days"}[kind]
        kept = [one for one in self.found[kind] if one[key] != measured[key]]
        self.found[kind] = sorted([*kept, stamped(measured)], key=lambda one: int(one[key]))

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(self.found, indent=2) + "\n", encoding="utf-8")

    def load(self, path: Path) -> None:
        """Go on with a file: what is not measured now is kept.

        Raises:
            ValueError: the file is of another machine or another ERPNext; the two must not stand in one table.
        """
        if not path.exists():
            return
        before = json.loads(path.read_text(encoding="utf-8"))
        for what in ("machine", "erpnext"):
            if before[what] != self.found[what]:
                message = (
                    f"{path} was measured with another {what} ({before[what]}); this is {self.found[what]}. "
                    "Give another file, or remove it."
                )
                raise ValueError(message)
        self.found = before


def rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """Every measured run as texts: what it was, and the columns."""
    told = []
    for one in found["nights"]:
        name = f"{one['franchises']:,} franchises"
        told.append((f"{name}, a night", *_cells(one["night"])))
        told.append((f"{name}, the same day again", *_cells(one["again"])))
        if "naive" in one:
            told.append((f"{name}, two steps the naive way", *_cells(one["naive"])))
    for one in found["backfills"]:
        name = f"{one['days']} days x {one['franchises']} franchises"
        told += [
            (f"{name}", *_cells(one["new"])),
            (f"{name}, the same days again", *_cells(one["again"])),
        ]
    return told


def _cells(figures: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{figures['wall_s']:,.1f} s",
        f"{figures['inside_s']:,.1f} s",
        f"{figures['overhead']:.2f}" if figures["overhead"] else "",
        f"{figures['processor_s']:,.1f} s",
        f"{figures['requests']:,}",
        f"{figures['writes']:,}",
        f"{figures['peak_mib']:,} MiB",
    )


def ratios(found: dict[str, Any]) -> list[str]:
    """What is compared, in sentences."""
    told = []
    for one in found["nights"]:
        if naive := one.get("naive"):
            told.append(
                f"{one['franchises']:,} franchises: the royalty step is {naive['royalty_step_ratio']:.1f} times, the whole "
                f"night {naive['night_ratio']:.1f} times as fast as the naive way."
            )
    for one in found["backfills"]:
        told.append(
            f"{one['days']} days: {one['new']['wall_s'] / one['days']:.2f} s a day, {one['again']['wall_s'] / one['days']:.2f} s "
            "again."
        )
    if start := found.get("start"):
        told.append(
            f"Start: `import scoopjoy_dagster.definitions` {start['import_definitions_s']:.2f} s, `import dagster` "
            f"{start['import_dagster_s']:.2f} s, ratio {start['import_ratio']:.2f}; `dagster definitions validate` "
            f"{start['validate_s']:.1f} s; from `scoopjoy dev` to a served UI {start['dev_until_ui_s']:.1f} s."
        )
    return told


def table(found: dict[str, Any]) -> Table:
    """For the terminal."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column("", no_wrap=True)
    for name in COLUMNS:
        made.add_column(name, justify="right")
    for row in rows(found):
        made.add_row(*row)
    return made
