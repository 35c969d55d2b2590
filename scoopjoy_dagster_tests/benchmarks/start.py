"""(e): what it takes until the program can begin: imports, validation, and `scoopjoy dev` until its UI answers."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scoopjoy_dagster.local.home import PROJECT

SETTINGS = {
    "ERPNEXT_URL": "http://127.0.0.1:9",
    "ERPNEXT_API_KEY": "not used",
    "ERPNEXT_API_SECRET": "not used",
    "SCOOPJOY_GO_LIVE": "2026-11-01",
    "SCOOPJOY_AUTOMATION": "off",
}
SERVED_WITHIN_S = 180.0


def start(environment: Mapping[str, str], directory: Path, repetitions: int) -> dict[str, Any]:
    """Seconds, medians; imports in interpreters of their own, taken in turns so that both see the same machine.

    `environment`: with a DAGSTER_HOME and its PostgreSQL, for the validation; `directory`: of `scoopjoy dev`, new.
    """
    whole = {**environment, **SETTINGS, "SCOOPJOY_DIRECTORY": str(directory)}
    dagster: list[float] = []
    ours: list[float] = []
    for _ in range(repetitions + 1):  # the first fills the caches of bytecode and files, and is not counted
        dagster.append(_seconds([sys.executable, "-c", "import dagster"], whole))
        ours.append(_seconds([sys.executable, "-c", "import scoopjoy_dagster.definitions"], whole))
    nothing = statistics.median(_seconds([sys.executable, "-c", ""], whole) for _ in range(repetitions))
    theirs_s, ours_s = (statistics.median(found[1:]) - nothing for found in (dagster, ours))
    return {
        "repetitions": repetitions,
        "interpreter_s": round(nothing, 3),
        "import_dagster_s": round(theirs_s, 3),
        "import_definitions_s": round(ours_s, 3),
        "import_ratio": round(ours_s / theirs_s, 3),
        "validate_s": round(
            _seconds(
                [_beside("dagster"), "definitions", "validate", "-m", "scoopjoy_dagster.definitions"], whole
            ),
            2,
        ),
        "dev_until_ui_s": round(_until_served(whole), 2),
    }


def _beside(program: str) -> str:
    return str(Path(sys.executable).with_name(program))


def _seconds(command: list[str], environment: Mapping[str, str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        command,
        env=environment,
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return time.perf_counter() - began


def _until_served(environment: Mapping[str, str]) -> float:
    """From the start of `scoopjoy dev` until its UI answers; PostgreSQL is new, as on the first start."""
    new = {
        key: value
        for key, value in environment.items()
        if key not in {"SCOOPJOY_POSTGRES_URL", "DAGSTER_HOME"}
    }
    began = time.perf_counter()
    with subprocess.Popen(
        [_beside("scoopjoy"), "dev", "--port", "0"],
        env=new,
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    ) as process:
        assert process.stdout
        try:
            for line in process.stdout:
                found = re.search(r"http://127\.0\.0\.1:\d+", line)
                if found:
                    with urllib.request.urlopen(f"{found[0]}/server_info", timeout=SERVED_WITHIN_S) as answer:
                        answer.read()
                    return time.perf_counter() - began
            raise RuntimeError("scoopjoy dev ended before it served its UI; see its message above")
        finally:
            process.terminate()
