"""A chain on each line of ERPNext, and in each mode of its tills."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from scoopjoy_dagster.sandbox.hq import SandboxHQ
from scoopjoy_dagster.sandbox.mail import MailSink
from scoopjoy_dagster_tests.world import World, build_template, started_site

SITES = {
    "v15": ("v15", "POS Invoice"),
    "v16, POS Invoices": ("v16", "POS Invoice"),
    "v16, Sales Invoices": ("v16", "Sales Invoice"),
}


@pytest.fixture(scope="session", params=list(SITES))
def site_template(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """The site's database, and the line that it is of."""
    line, invoice_type = SITES[request.param]
    path = tmp_path_factory.mktemp("line") / "site.db"
    build_template(path, line, invoice_type)
    return path, line


@pytest.fixture
def chain(
    site_template: tuple[Path, str],
    shared_instance: dg.DagsterInstance,
    headquarters: SandboxHQ,
    mail_sink: MailSink,
) -> Iterator[World]:
    """The chain on that site, with headquarters and a mail server."""
    with started_site(*site_template) as site:
        yield World(site, shared_instance, headquarters, mail_sink)
