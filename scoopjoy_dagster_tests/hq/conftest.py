"""Headquarters on loopback, and a client whose waits are recorded instead of slept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scoopjoy_dagster.hq.delivery import HQClient
from scoopjoy_dagster.sandbox.hq import SandboxHQ

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def hq() -> Iterator[SandboxHQ]:
    server = SandboxHQ()
    server.start()
    yield server
    server.close()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def client(hq: SandboxHQ, waits: list[float]) -> HQClient:
    return HQClient(hq.url, hq.secret, timeout_s=5, sleep=waits.append)
