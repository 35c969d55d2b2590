"""Only where redis-server is installed; else the tests that need one are not collected, and the run says so at its end.

Directories: PostgreSQL's is not pytest's ``tmp_path``, which other users may not enter (see ``tests/local``).
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scoopjoy_dagster.local.postgres import EmbeddedPostgres
from scoopjoy_dagster.local.processes import ChildProcesses
from scoopjoy_dagster_tests.celery.redis import REDIS
from scoopjoy_dagster_tests.cli.world import Templates, make_templates
from scoopjoy_dagster_tests.local.system import processes_with

if TYPE_CHECKING:
    from collections.abc import Iterator

collect_ignore_glob = [] if REDIS else ["test_*.py"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    with tempfile.TemporaryDirectory(prefix="scoopjoy-test-") as name, EmbeddedPostgres(Path(name)) as server:
        yield server


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    return make_templates(tmp_path_factory.mktemp("templates"))


@pytest.fixture
def children(tmp_path: Path) -> Iterator[ChildProcesses]:
    with ChildProcesses(tmp_path / "logs") as made:
        yield made
    assert processes_with(str(tmp_path)) == []
