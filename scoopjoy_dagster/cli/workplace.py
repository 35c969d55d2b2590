"""Where the command works: settings, and the Dagster instance that the webserver and the daemon share."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from scoopjoy_dagster.local.home import PROJECT, prepare_home
from scoopjoy_dagster.local.postgres import EmbeddedPostgres
from scoopjoy_dagster.local.private import private_directory
from scoopjoy_dagster.local.processes import free_port
from scoopjoy_dagster.settings import Settings, SettingsError, load_settings


@dataclass(frozen=True, slots=True)
class Workplace:
    """Settings, the directory of everything local, and the environment for Dagster's processes."""

    settings: Settings
    directory: Path
    environment: Mapping[str, str]

    @property
    def postgres_url(self) -> str:
        """Where Dagster keeps its runs; may hold a password."""
        return self.environment["SCOOPJOY_POSTGRES_URL"]

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """The Dagster instance, the same that `scoopjoy dev` serves."""
        with dg.DagsterInstance.get() as instance:
            yield instance

    def prepare_storage(self) -> None:
        """Make Dagster's tables. Its processes, started at once on an empty database, would all try to and collide."""
        with self.instance() as instance:
            instance.get_runs_count()


def local_directory() -> Path:
    """Where local state is kept: SCOOPJOY_DIRECTORY, or `.scoopjoy` at the top of the project."""
    return Path(os.environ.get("SCOOPJOY_DIRECTORY") or PROJECT / ".scoopjoy").expanduser().resolve()


def _make_local_directory() -> None:
    """Make it, for us alone. One that was given and is there already stays as it is: what is made in it is ours alone."""
    local = local_directory()
    try:
        if not (os.environ.get("SCOOPJOY_DIRECTORY") and local.exists()):
            private_directory(local)
    except OSError as problem:
        message = f"{local} cannot be used ({problem.strerror}): give it to the user who runs this, or set SCOOPJOY_DIRECTORY."
        raise SettingsError(message) from None


def usable_port(port: int) -> int:
    """The port, seen to be free on loopback; a free one for 0.

    Raises:
        SettingsError: another program has it.
    """
    if port == 0:
        return free_port()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            message = (
                f"Port {port} is in use by another program; choose another one with --port, or --port 0."
            )
            raise SettingsError(message) from None
    return port


@contextmanager
def workplace(directory: Path | None = None) -> Iterator[Workplace]:
    """Settings checked, PostgreSQL reachable (the embedded one unless SCOOPJOY_POSTGRES_URL names another), home made.

    Raises:
        SettingsError: a setting is missing or wrong, or the local directory cannot be made.
        PostgresError, HomeError: the embedded PostgreSQL or DAGSTER_HOME cannot be had.
    """
    settings = load_settings()
    with ExitStack() as stack:
        stack.callback(os.umask, os.umask(0o077))  # what Dagster makes is ours alone, too
        _make_local_directory()
        directory = directory or local_directory()
        url = (
            os.environ.get("SCOOPJOY_POSTGRES_URL")
            or stack.enter_context(EmbeddedPostgres(directory / "postgres")).url
        )
        try:
            environment = prepare_home(directory / "home", url)
        except ValueError as problem:
            message = f"SCOOPJOY_POSTGRES_URL is wrong: {problem}"
            raise SettingsError(message) from None
        os.environ.update(environment)
        yield Workplace(settings, directory, environment)
