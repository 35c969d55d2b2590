"""A site for each module: its tests use keys and customers of their own, and leave no fault behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scoopjoy_dagster_tests.local.system import eventually
from scoopjoy_dagster_tests.world import session_of, started_site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scoopjoy_dagster.erpnext.client import Client
    from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext


@pytest.fixture(scope="module")
def module_site(chain_template: Path) -> Iterator[SandboxERPNext]:
    with started_site(chain_template) as site:
        yield site


@pytest.fixture
def erp(module_site: SandboxERPNext) -> Iterator[SandboxERPNext]:
    """The module's site, without faults, and without a request that a client of the test before has given up."""
    yield module_site
    module_site.faults.clear()
    assert eventually(lambda: module_site.requests.under_way == 0)


@pytest.fixture
def client(erp: SandboxERPNext) -> Iterator[Client]:
    from scoopjoy_dagster.erpnext.client import Client

    with session_of(erp) as session:
        yield Client(session)
