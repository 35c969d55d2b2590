"""`scoopjoy sandbox`: its exports make every other command work, and SIGTERM leaves nothing of it behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest
import requests

from scoopjoy_dagster_tests.cli.command import environment, processes_of, running, scoopjoy


def exports_of(text: Path) -> dict[str, str]:
    """What a shell has in its environment after it has read the exports."""
    shell = subprocess.run(
        ["sh", "-c", f'. "{text}"; env -0'],
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"]},
    )
    assert shell.stderr == ""
    return dict(entry.split("=", 1) for entry in shell.stdout.split("\0") if "=" in entry)


def test_the_exports_of_the_sandbox_serve_the_other_commands_until_sigterm_ends_it(
    tmp_path: Path, postgres_url: str
) -> None:
    directory = tmp_path / "embedded"
    exports = tmp_path / "exports.sh"
    # As a job in the background of a script is started: with SIGINT ignored. SIGTERM must end it all the same.
    with running(
        "sandbox", "--port", "0", environment=environment(directory), output=exports, interrupts="IGN"
    ) as sandbox:
        sandbox.wait_for(r"# mails: http://127\.0\.0\.1:\d+", 60)
        exported = exports_of(exports)
        assert exported["ERPNEXT_URL"].startswith("http://127.0.0.1:")
        checked = scoopjoy(
            "check",
            environment=environment(directory, {**exported, "SCOOPJOY_POSTGRES_URL": postgres_url}),
        )
        assert checked.code == 0, checked.text
        assert "error" not in checked.out
        assert processes_of(directory)
        assert sandbox.end(signal.SIGTERM, within_s=20) == 143
        assert "Traceback" not in sandbox.printed
    assert processes_of(directory) == {}
    port = re.search(r":(\d+)$", exported["ERPNEXT_URL"])
    assert port
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(port[1]))) != 0


@pytest.mark.parametrize("version", ["15", "16"])
def test_the_sandbox_is_an_erpnext_of_the_version_that_was_asked_for(tmp_path: Path, version: str) -> None:
    exports = tmp_path / "exports.sh"
    with running(
        "sandbox",
        "--port",
        "0",
        "--erpnext-version",
        version,
        environment=environment(tmp_path / "embedded"),
        output=exports,
    ) as sandbox:
        sandbox.wait_for(r"# mails: http://127\.0\.0\.1:\d+", 60)
        exported = exports_of(exports)
        answer = requests.get(
            f"{exported['ERPNEXT_URL']}/api/method/frappe.utils.change_log.get_versions",
            headers={
                "Authorization": f"token {exported['ERPNEXT_API_KEY']}:{exported['ERPNEXT_API_SECRET']}"
            },
            timeout=20,
        )
        assert answer.json()["message"]["erpnext"]["version"].split(".")[0] == version
        assert sandbox.end(signal.SIGTERM, within_s=20) == 143
