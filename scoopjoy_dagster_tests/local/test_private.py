"""What we keep is for nobody else, also where an earlier version or a generous umask left it open."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from scoopjoy_dagster.local.postgres import _let_pass, _User
from scoopjoy_dagster.local.private import private_directory, private_file

ROOT = os.geteuid() == 0


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def _generous_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_a_new_directory_is_ours_alone(tmp_path: Path) -> None:
    assert mode_of(private_directory(tmp_path / "new")) == 0o700


@pytest.mark.parametrize("before", [0o777, 0o755, 0o750, 0o711, 0o700])
def test_an_open_directory_is_closed(tmp_path: Path, before: int) -> None:
    tmp_path.chmod(before)
    # Root's embedded PostgreSQL passes through by the group.
    assert mode_of(private_directory(tmp_path)) == before & (0o710 if ROOT else 0o700)


@pytest.mark.parametrize("mode", ["wb", "ab"])
@pytest.mark.parametrize("before", [None, 0o666, 0o644, 0o600])
def test_a_file_is_ours_alone_also_when_it_was_not(tmp_path: Path, mode: str, before: int | None) -> None:
    path = tmp_path / "log"
    if before is not None:
        path.write_text("before ")
        path.chmod(before)
    with private_file(path, mode) as file:
        assert mode_of(path) == 0o600
        file.write(b"after")
    assert path.read_text() == ("before after" if mode == "ab" and before is not None else "after")


@pytest.mark.skipif(not ROOT, reason="only root runs PostgreSQL as another user")
@pytest.mark.parametrize(
    ("before", "after", "group"),
    [(0o700, 0o710, 12345), (0o710, 0o710, 12345), (0o755, 0o755, 0), (0o711, 0o711, 0), (0o750, 0o751, 0)],
)
def test_root_lets_the_servers_group_pass_and_nobody_else_where_it_can(
    tmp_path: Path, before: int, after: int, group: int
) -> None:
    tmp_path.chmod(before)
    _let_pass(tmp_path, _User(12345, 12345))
    assert (mode_of(tmp_path), tmp_path.stat().st_gid) == (after, group)
    private_directory(tmp_path)
    assert mode_of(tmp_path) & 0o007 == 0
    _let_pass(tmp_path, _User(12345, 12345))  # at the next start
    assert mode_of(tmp_path) & 0o066 == 0
    assert tmp_path.stat().st_gid == 12345
