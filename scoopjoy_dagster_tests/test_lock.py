"""What is installed is byte for byte what the lock files name: on every machine and Python, and the build backend, too."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-dev.lock")
PYTHONS = ("3.11", "3.12", "3.13")


def locked(name: str) -> list[tuple[Requirement, list[str]]]:
    """The requirements of a lock file with the hashes of their files."""
    text = (PROJECT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    found = []
    for line in text.splitlines():
        requirement, *hashes = line.split(" --hash=")
        found.append((Requirement(requirement.strip()), [one.strip() for one in hashes]))
    return found


def names(requirements: list[Requirement], python: str) -> set[str]:
    """Those that count on this kind of machine with that Python."""
    there = {**default_environment(), "python_version": python, "python_full_version": f"{python}.9"}
    return {
        canonicalize_name(one.name) for one in requirements if not one.marker or one.marker.evaluate(there)
    }


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_one_version_with_the_hashes_of_its_files_and_no_address(lock: str) -> None:
    assert len(locked(lock)) > 30
    for requirement, hashes in locked(lock):
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement
        assert requirement.url is None
        assert hashes
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), requirement
    text = (PROJECT / lock).read_text(encoding="utf-8")
    assert not re.search(r"://|index|find-links|trusted", text)


@pytest.mark.parametrize("python", PYTHONS)
def test_the_locks_name_all_that_is_asked_for_on_every_python(python: str) -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    program, tests = (names([one for one, _ in locked(lock)], python) for lock in LOCKS)
    of_the_image = [*project["dependencies"], *extras["celery"], *extras["k8s"], *extras["build"]]
    assert names([Requirement(one) for one in of_the_image], python) <= program
    assert names([Requirement(one) for one in extras["dev"]], python) <= program | tests


def test_what_stands_in_both_is_the_same_version() -> None:
    versions: list[dict[str, set[str]]] = [{}, {}]
    for lock, found in zip(LOCKS, versions, strict=True):
        for one, _ in locked(lock):
            found.setdefault(one.name, set()).add(str(one.specifier))
    both = versions[0].keys() & versions[1].keys()
    assert {name: versions[0][name] for name in both} == {name: versions[1][name] for name in both}


@pytest.mark.parametrize("uv", [False, True], ids=["pip", "uv"])
def test_make_setup_takes_nothing_that_is_not_in_the_locks(uv: bool) -> None:
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", "setup"],
        check=True,
        capture_output=True,
        text=True,
        cwd=PROJECT,
    )
    installer = (
        r"uv pip install --quiet --python \S+"
        if uv
        else r"-m pip install --quiet --disable-pip-version-check"
    )
    libraries, ourselves = re.findall(rf"{installer} (.*?);", done.stdout)
    assert libraries.split() == [
        "--require-hashes",
        *(word for lock in LOCKS for word in ("--requirement", lock)),
    ]
    assert ourselves == "--no-deps --no-build-isolation --editable ."
