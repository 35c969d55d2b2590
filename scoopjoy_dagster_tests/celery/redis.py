"""The Redis that the tests start: the program of the system, on a free port of loopback, with nothing on disk."""

from __future__ import annotations

import shutil
import socket
from typing import TYPE_CHECKING

from scoopjoy_dagster.local.processes import ChildProcesses, free_port
from scoopjoy_dagster_tests.local.system import eventually

if TYPE_CHECKING:
    from pathlib import Path

REDIS = shutil.which("redis-server")
"""The program; None where it is not installed (Debian: apt install redis-server)."""


def start_redis(children: ChildProcesses, directory: Path) -> str:
    """Start a Redis among these children; returns its URL."""
    assert REDIS is not None
    port = free_port()
    child = children.start(
        "redis",
        [
            *(REDIS, "--bind", "127.0.0.1", "--port", str(port)),
            *("--save", "", "--appendonly", "no", "--dir", str(directory)),
        ],
    )

    def answers() -> bool:
        child.check_alive()
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16) == b"+PONG\r\n"
        except OSError:
            return False

    assert eventually(answers), child.last_lines()
    return f"redis://127.0.0.1:{port}/0"
