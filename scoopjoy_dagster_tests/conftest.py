"""Shared fixtures: a small world, made once in each test process and copied for each test."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from scoopjoy_dagster_tests.nights.clock import LIBRARY

if TYPE_CHECKING:
    # Dagster takes seconds to import; a run of the pure tests alone must not pay for it.
    from collections.abc import Iterator
    from pathlib import Path

    import dagster as dg

    from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
    from scoopjoy_dagster.sandbox.hq import SandboxHQ
    from scoopjoy_dagster.sandbox.mail import MailSink
    from scoopjoy_dagster_tests.world import World


# No deadline for an example: a busy machine is not a failure, and pytest-timeout ends what hangs.
settings.register_profile("default", settings.get_profile("default"), deadline=None)
settings.load_profile("default")


@pytest.fixture(scope="session")
def chain_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site's database: masters, our custom fields, six franchises."""
    from scoopjoy_dagster_tests.world import build_template

    path = tmp_path_factory.mktemp("chain") / "site.db"
    build_template(path)
    return path


@pytest.fixture
def chain_site(chain_template: Path) -> Iterator[SandboxERPNext]:
    """An embedded ERPNext with the chain's masters."""
    from scoopjoy_dagster_tests.world import started_site

    with started_site(chain_template) as site:
        yield site


@pytest.fixture(scope="session")
def shared_instance() -> Iterator[dg.DagsterInstance]:
    """An instance for tests that read nothing of the history; those that do make their own."""
    import dagster as dg

    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def chain(chain_site: SandboxERPNext, shared_instance: dg.DagsterInstance) -> World:
    """The chain and the close, without headquarters and mail server."""
    from scoopjoy_dagster_tests.world import World

    return World(chain_site, shared_instance)


@pytest.fixture
def headquarters() -> Iterator[SandboxHQ]:
    """A headquarters that takes everything whose signature is right."""
    from scoopjoy_dagster.sandbox.hq import SandboxHQ

    made = SandboxHQ()
    made.start()
    yield made
    made.close()


@pytest.fixture
def mail_sink() -> Iterator[MailSink]:
    """A mail server that takes everything."""
    from scoopjoy_dagster.sandbox.mail import MailSink

    made = MailSink()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def full_chain(
    chain_site: SandboxERPNext,
    shared_instance: dg.DagsterInstance,
    headquarters: SandboxHQ,
    mail_sink: MailSink,
) -> World:
    """The chain with headquarters and a mail server."""
    from scoopjoy_dagster_tests.world import World

    return World(chain_site, shared_instance, headquarters, mail_sink)


@pytest.fixture(autouse=True)
def no_instance_of_another_test() -> None:
    """Definitions are loaded without an instance, whatever tests ran before.

    Dagster keeps the storage of the instance that was opened last in a context variable, and leaving instances in
    another order than the reverse puts one back that is closed; loading definitions then fails on it.
    """
    state = sys.modules.get("dagster._core.storage.defs_state.base")
    if state is not None:
        state._current_storage.set(None)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist starts its processes
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Against a real ERPNext all tests run in this one process, whatever `--numprocesses` says.

    Two processes would make their users in the site at the same moment, and switch what its tills make under each other's feet:
    each waits for the other's locks, and ERPNext ends one of them as a deadlock.
    """
    if os.environ.get("SCOOPJOY_CONTRACT_URL") and hasattr(config.option, "numprocesses"):
        config.option.numprocesses = 0


def pytest_configure() -> None:
    """Ctrl-C means what it means on a terminal, however the tests were started.

    A shell starts a job in the background with SIGINT ignored, and every process that the tests start would inherit
    that: the ones about Ctrl-C would wait for ever.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


NEEDED = {
    "browser tests": ("chromium", "chromium"),
    "Celery tests": ("redis-server", "redis-server"),
    "simulated nights": ("faketime", "faketime"),
    "nginx tests": ("nginx", "nginx-light"),
}
"""Tests that are left out where a program is not installed: its name, and Debian's package."""


def _said_of(tests: str) -> str:
    program, package = NEEDED[tests]
    if LIBRARY if program == "faketime" else shutil.which(program):
        return f"{tests}: run with {program}"
    return f"{tests}: NOT RUN, {program} is not installed (Debian: apt install {package})"


def _chart_tests() -> str:
    """What is to be said of the tests that render Dagster's Helm chart: they need the chart itself."""
    if os.environ.get("DAGSTER_HELM_CHART"):
        return "Helm chart tests: run"
    return "Helm chart tests: NOT RUN, DAGSTER_HELM_CHART is not set (docs/deployment.md)"


def pytest_report_header() -> list[str]:
    """Said before the tests."""
    return [*map(_said_of, NEEDED), _chart_tests()]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Said after them, too: a test that was not run must not look like one that passed."""
    for said in pytest_report_header():
        if "NOT RUN" in said:
            terminalreporter.write_line(said, yellow=True)
