"""What it costs to load the definitions: every process of Dagster (code server, daemon's ticks, each run) pays it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys

HEAVY = {
    "alembic",
    "apprise",
    "numpy",
    "openpyxl",
    "pandas",
    "reportlab",
    "requests",
    "rich",
    "sqlalchemy",
    "tenacity",
    "urllib3",
    "xlsxwriter",
}
"""Libraries of steps, ticks and commands: imported by what uses them, when it does."""

TIMED = """
import json, time
begun = time.process_time()
import dagster
theirs = time.process_time()
import scoopjoy_dagster.definitions
print(json.dumps([theirs - begun, time.process_time() - begun]))
"""

LOADED = """
import json, sys
from scoopjoy_dagster import definitions
definitions.defs()
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""

SETTINGS = {
    "ERPNEXT_URL": "http://127.0.0.1:9",
    "ERPNEXT_API_KEY": "not used",
    "ERPNEXT_API_SECRET": "not used",
    "SCOOPJOY_GO_LIVE": "2026-11-01",
}


def in_a_fresh_interpreter(program: str) -> list[object]:
    # Nothing else of our environment: a tracer of coverage would be started by it, and measured too.
    environment = {"PATH": os.environ["PATH"], **SETTINGS}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: list[object] = json.loads(done.stdout)
    return found


def test_the_definitions_import_no_library_that_only_a_step_needs() -> None:
    loaded = set(in_a_fresh_interpreter(LOADED))
    assert "dagster" in loaded
    assert loaded & HEAVY == set()


def test_importing_the_definitions_costs_at_most_three_tenths_more_than_dagster() -> None:
    """In CPU seconds, which another process on the machine hardly moves; with a tenth of Dagster's as margin."""
    in_a_fresh_interpreter(TIMED)  # fills the caches of bytecode and files
    measured = [in_a_fresh_interpreter(TIMED) for _ in range(3)]
    ratio = statistics.median(float(str(ours)) / float(str(theirs)) for theirs, ours in measured)
    assert ratio <= 1.4
