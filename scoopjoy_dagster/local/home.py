"""DAGSTER_HOME on one machine: the shipped ``dagster.yaml`` in a directory, and the environment that points there.

Dagster reads ``dagster.yaml`` from DAGSTER_HOME only, and keeps the logs of steps below it. So the file at the top
of the repository, which is the one to edit, is copied there at every start.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import scoopjoy_dagster
from scoopjoy_dagster.local.private import private_directory

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECT = Path(scoopjoy_dagster.__file__).resolve().parents[1]
"""The repository, when the package is used out of it."""

LOOPBACK = "127.0.0.1,localhost"

REST_OF_URL = re.compile(
    r"""
    (?!.*%(?![0-9A-Fa-f]{2}))                   # a % begins an escape
    (?: [^:@/\s]* (?: : [^@/\s]* )? @ )?         # user and password
    [^@/?\#\s]*                                 # host and port, or several
    (?: / [^@/?\#\s]* )? (?: \? [^@\#\s]+ )?    # database and options
    """,
    re.VERBOSE,
)
"""What follows the scheme of a database URL, so that SQLAlchemy and libpq find the same user, password and host in it."""


class HomeError(Exception):
    """DAGSTER_HOME cannot be prepared; the message says why and what to do."""


def prepare_home(
    home: Path, postgres_url: str, *, project: Path = PROJECT, base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Put the shipped ``dagster.yaml`` into a directory, and return the environment for Dagster's processes.

    Args:
        home: the directory that becomes DAGSTER_HOME; made when it is not there.
        postgres_url: where Dagster keeps its runs; see ``psycopg2_url``.
        project: the directory that holds ``dagster.yaml``.
        base: the environment to add to; ours when not given.

    Raises:
        HomeError: ``dagster.yaml`` is not there, as when only the package was installed; or the directory cannot be used.
        ValueError: the URL is not one of PostgreSQL.
    """
    shipped = shipped_file("dagster.yaml", project)
    home = home.expanduser().resolve()  # Dagster refuses a relative DAGSTER_HOME
    used = home / "dagster.yaml"
    try:
        private_directory(home)
        if not (used.exists() and used.samefile(shipped)):  # a link to the shipped one is as good as a copy
            shutil.copyfile(shipped, used)
    except OSError as error:
        raise HomeError(
            f"{home} cannot be used ({error.strerror}): give it to the user who runs this, or choose another SCOOPJOY_DIRECTORY."
        ) from None
    before = dict(os.environ if base is None else base)
    return {
        **before,
        "DAGSTER_HOME": str(home),
        "SCOOPJOY_POSTGRES_URL": psycopg2_url(postgres_url),
        # Failure alerts: so many failed runs are told about in one tick. The default, 5, makes a bad backfill's last
        # alert come half an hour late.
        "DAGSTER_RUN_STATUS_SENSOR_PROCESS_LIMIT": "25",
        # A proxy that the environment names must not be asked for servers on this machine.
        **{name: ",".join(filter(None, (before.get(name), LOOPBACK))) for name in ("NO_PROXY", "no_proxy")},
        "PYTHONUNBUFFERED": "1",  # log files that end with the last words
    }


def shipped_file(name: str, project: Path = PROJECT) -> Path:
    """A file from the top of the repository.

    Raises:
        HomeError: it is not there.
    """
    path = project / name
    if not path.is_file():
        raise HomeError(
            f"{name} is not in {project}: it belongs to the repository, not to the installed package, "
            "so run this from a clone that was installed with `make setup`."
        )
    return path


def psycopg2_url(url: str) -> str:
    """A PostgreSQL URL with the driver that dagster-postgres installs: ``postgresql+psycopg2://...``.

    ``postgres://`` and ``postgresql://`` are what everybody writes; the first is unknown to SQLAlchemy, the second
    means psycopg 3 from SQLAlchemy 2.1 on.

    Raises:
        ValueError: another database, another driver, or a sign that stands for something else in a URL: of a password with an
            `@`, a part would be taken for the host, and shown. The message does not repeat the URL.
    """
    found = re.match(r"(?:postgres|postgresql)(?:\+(?P<driver>\w+))?://(?P<rest>.+)", url.strip())
    if found is None or found["driver"] not in {None, "psycopg2"}:
        raise ValueError(
            "The database URL must be postgresql+psycopg2://USER:PASSWORD@HOST:PORT/DATABASE: "
            "Dagster's storage speaks to PostgreSQL, through psycopg2."
        )
    if not REST_OF_URL.fullmatch(found["rest"]):
        raise ValueError(
            "The database URL is not of the form postgresql+psycopg2://USER:PASSWORD@HOST:PORT/DATABASE; in the user and the "
            "password write @ as %40, / as %2F and % as %25."
        )
    return f"postgresql+psycopg2://{found['rest']}"
