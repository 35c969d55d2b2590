"""The site that the contract is tested against: the embedded sandbox, or a real ERPNext v15 by environment.

With SCOOPJOY_CONTRACT_URL, SCOOPJOY_CONTRACT_KEY and SCOOPJOY_CONTRACT_SECRET set, the suite runs on that site. It
makes its own users and master data under a random prefix (`SJC-....`), and leaves submitted documents behind, since
ERPNext deletes none of those: use a test site. The key needs System Manager, Sales Manager, Accounts Manager,
Accounts User and Sales User, or be Administrator's.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

import pytest

from .books import Books, open_books
from .shifts import Counter, open_counter
from .site import Caller, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .shifts import Shift


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    url = os.environ.get("SCOOPJOY_CONTRACT_URL")
    prefix = f"SJC-{secrets.token_hex(2)}-{secrets.token_hex(2)}"
    if url:
        key, secret = os.environ["SCOOPJOY_CONTRACT_KEY"], os.environ["SCOOPJOY_CONTRACT_SECRET"]
        yield from _opened(url.rstrip("/"), key, secret, prefix)
        return
    from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
    from scoopjoy_dagster.sandbox.seed import master_data

    world = SandboxERPNext(":memory:")
    master_data(world)
    world.start()
    try:
        yield from _opened(world.url, world.robot.api_key, world.robot.api_secret, prefix)
    finally:
        world.stop()


def _opened(url: str, key: str, secret: str, prefix: str) -> Iterator[Site]:
    robot = Caller(url, f"token {key}:{secret}")
    opened = Site(url, robot, prefix)
    try:
        robot.user = robot.call("GET", "/api/method/frappe.auth.get_logged_user").value
        yield opened
    finally:
        opened.close()


@pytest.fixture(scope="session")
def robot(site: Site) -> Caller:
    """The user whose key was given: what the nightly close runs as."""
    return site.robot


@pytest.fixture(scope="session")
def books(site: Site) -> Books:
    return open_books(site)


@pytest.fixture(scope="session")
def limited(site: Site) -> Caller:
    """A user without any role."""
    return site.hire("limited", [])


@pytest.fixture(scope="session")
def cashier(site: Site) -> Caller:
    return site.hire("cashier", ["Sales User", "Accounts User"])


@pytest.fixture(scope="session")
def other_cashier(site: Site) -> Caller:
    return site.hire("other-cashier", ["Sales User", "Accounts User"])


@pytest.fixture(scope="session")
def franchise(robot: Caller, books: Books) -> str:
    """A customer that owes royalties."""
    return books.customer(robot, "Franchise One")


@pytest.fixture(scope="session")
def counter(site: Site, books: Books, cashier: Caller) -> Counter:
    return open_counter(site, books, cashier, "Counter")


@pytest.fixture
def open_shift(counter: Counter) -> Iterator[Callable[[], Shift]]:
    """Opens shifts of the cashier; one that a test leaves open is cancelled, so that nobody's close finds it."""
    opened: list[Shift] = []

    def opening() -> Shift:
        opened.append(counter.open_shift())
        return opened[-1]

    yield opening
    for shift in opened:
        shift.abandon()


@pytest.fixture
def shift(open_shift: Callable[[], Shift]) -> Shift:
    return open_shift()
