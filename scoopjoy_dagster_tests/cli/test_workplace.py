"""Where the command keeps local state: for nobody else on the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scoopjoy_dagster.cli import workplace as module
from scoopjoy_dagster.cli.workplace import workplace
from scoopjoy_dagster.settings import SettingsError

SETTINGS = {
    "ERPNEXT_URL": "https://erp.example",
    "ERPNEXT_API_KEY": "key",
    "ERPNEXT_API_SECRET": "secret",
    "SCOOPJOY_GO_LIVE": "2026-01-10",
    "SCOOPJOY_POSTGRES_URL": "postgresql://u:p@db.example/dagster",
}


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"PATH": os.environ["PATH"], **SETTINGS})


def open_to_others(path: Path) -> int:
    return path.stat().st_mode & 0o077


@pytest.mark.parametrize("there", [False, True])
def test_the_directory_of_the_project_is_ours_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    monkeypatch.setattr(module, "PROJECT", tmp_path)
    local = tmp_path / ".scoopjoy"
    if there:
        local.mkdir(0o777)
    with workplace(local / "demo") as place:
        (place.directory / "home" / "storage").mkdir()  # as Dagster does
        for path in (local, *local.rglob("*")):
            assert open_to_others(path) & (0o067 if path.is_dir() else 0o077) == 0, path
    (tmp_path / "report.pdf").touch(0o644)
    assert open_to_others(tmp_path / "report.pdf") == 0o044


def test_a_directory_that_was_given_is_ours_alone_when_we_make_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "SCOOPJOY_DIRECTORY", str(tmp_path / "given"))
    with workplace() as place:
        assert place.directory == tmp_path / "given"
        assert open_to_others(place.directory) == 0


def test_a_directory_that_is_somebody_elses_business_stays_as_it_is_and_what_is_made_in_it_is_ours_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o1777)  # as /tmp
    monkeypatch.setitem(os.environ, "SCOOPJOY_DIRECTORY", str(tmp_path))
    with workplace():
        assert tmp_path.stat().st_mode & 0o7777 == 0o1777
        assert open_to_others(tmp_path / "home") == 0


def test_a_directory_that_cannot_be_made_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setitem(os.environ, "SCOOPJOY_DIRECTORY", str(tmp_path / "file" / "local"))
    with pytest.raises(SettingsError, match=r"/file/local cannot be used \(Not a directory\)"), workplace():
        pass
