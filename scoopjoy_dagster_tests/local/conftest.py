"""Directories for embedded PostgreSQL servers, and one server for the tests that only need some server.

Not pytest's ``tmp_path``: that lies in a directory which every starting pytest closes to other users, and for root
the server runs as another user.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scoopjoy_dagster.local.postgres import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="scoopjoy-test-") as name:
        yield Path(name).resolve()


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    with tempfile.TemporaryDirectory(prefix="scoopjoy-test-") as name, EmbeddedPostgres(Path(name)) as server:
        yield server
