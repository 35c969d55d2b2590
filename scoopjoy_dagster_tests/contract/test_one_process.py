"""Against a real site the suite runs in one process, however many a person's command asks for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext

ROOT = Path(__file__).parents[2]


def test_a_command_with_two_processes_runs_in_one(tmp_path: Path) -> None:
    with_a_site = SandboxERPNext(":memory:", line="v15")
    with_a_site.start()
    try:
        owner = with_a_site.administrator
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "--numprocesses", "2", "--maxprocesses", "4"),
                *("scoopjoy_dagster_tests/contract/test_users_and_site.py", "-k", "get_versions"),
            ],
            cwd=ROOT,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
                "PYTEST_DEBUG_TEMPROOT": str(
                    tmp_path
                ),  # else it closes the common directory to this session's PostgreSQL
                "SCOOPJOY_CONTRACT_URL": with_a_site.url,
                "SCOOPJOY_CONTRACT_KEY": owner.api_key,
                "SCOOPJOY_CONTRACT_SECRET": owner.api_secret,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
    finally:
        with_a_site.close()
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
    assert "workers" not in done.stdout
