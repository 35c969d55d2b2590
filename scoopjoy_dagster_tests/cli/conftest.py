"""A world for every test, one PostgreSQL for all, and the command: in this process, or in one of its own."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import pytest

from scoopjoy_dagster.cli.main import main
from scoopjoy_dagster.local.postgres import EmbeddedPostgres
from scoopjoy_dagster_tests.cli.command import Done, environment
from scoopjoy_dagster_tests.cli.world import Templates, World, make_templates, running_world

Command = Callable[..., Done]


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    return make_templates(tmp_path_factory.mktemp("templates"))


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("pg")) as server:
        yield server.url


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SCOOPJOY_DIRECTORY of all commands that share the PostgreSQL."""
    return tmp_path_factory.mktemp("scoopjoy")


@pytest.fixture
def world(templates: Templates) -> Iterator[World]:
    with running_world(templates.installed, templates.last_day) as running:
        yield running


@pytest.fixture
def bare_world(templates: Templates) -> Iterator[World]:
    """A site on which `scoopjoy setup` has not been run."""
    with running_world(templates.bare, templates.last_day) as running:
        yield running


@pytest.fixture
def command_environment(world: World, directory: Path, postgres_url: str) -> dict[str, str]:
    """A command's whole environment: the world's settings and the shared PostgreSQL."""
    return environment(directory, {**world.settings, "SCOOPJOY_POSTGRES_URL": postgres_url})


@pytest.fixture
def command(command_environment: dict[str, str]) -> Command:
    """`scoopjoy ARGS` in this process, through its entry point; keywords change settings (None: not set)."""

    def run(*args: str, **changes: str | None) -> Done:
        changed = {**command_environment, **changes}
        return in_this_process(args, {name: value for name, value in changed.items() if value is not None})

    return run


def in_this_process(args: tuple[str, ...], variables: dict[str, str]) -> Done:
    """The command's entry point, its exit code and its outputs."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, variables, clear=True),
        mock.patch.object(sys, "argv", ["scoopjoy", *args]),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as end,
    ):
        main()
    assert isinstance(end.value.code, int)
    return Done(end.value.code, out.getvalue(), err.getvalue()).has_no_traceback()
