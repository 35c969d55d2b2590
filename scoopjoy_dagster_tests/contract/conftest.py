"""The site that the contract is tested against: the embedded sandbox, or a real ERPNext v15 by environment.

With SCOOPJOY_CONTRACT_URL, SCOOPJOY_CONTRACT_KEY and SCOOPJOY_CONTRACT_SECRET set, the suite runs on that site. It
makes its own users and master data under a random prefix (`SJC-....`), disables the users at the end, and leaves
submitted documents and four custom fields behind, since ERPNext deletes no submitted document: use a test site. The
key needs System Manager, Sales Manager, Accounts Manager,
Accounts User and Sales User, or be Administrator's.
"""

from __future__ import annotations

import os
import secrets
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from .books import KEEPER_ROLES, Books, open_books
from .shifts import Counter, open_counter
from .site import Site

# What a key needs; in the sandbox the suite hires a user with exactly these.
ROBOT_ROLES = ["System Manager", "Sales Manager", "Accounts Manager", "Accounts User", "Sales User"]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .shifts import Shift
    from .site import Caller


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    url = os.environ.get("SCOOPJOY_CONTRACT_URL")
    prefix = f"SJC-{secrets.token_hex(2)}-{secrets.token_hex(2)}"
    if url:
        key, secret = os.environ["SCOOPJOY_CONTRACT_KEY"], os.environ["SCOOPJOY_CONTRACT_SECRET"]
        with closing(Site(url.rstrip("/"), f"token {key}:{secret}", prefix)) as real:
            yield real
        return
    from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
    from scoopjoy_dagster.sandbox.seed import master_data

    world = SandboxERPNext(":memory:")
    try:
        master_data(world)
        world.start()
        owner = world.administrator
        with closing(Site(world.url, f"token {owner.api_key}:{owner.api_secret}", prefix)) as sandbox:
            sandbox.robot = sandbox.hire("robot", ROBOT_ROLES)
            yield sandbox
    finally:
        world.close()


@pytest.fixture(scope="session")
def robot(site: Site) -> Caller:
    """The user whose key was given: what the nightly close runs as."""
    return site.robot


@pytest.fixture(scope="session")
def keeper(site: Site) -> Caller:
    """A user with the roles for master data, and a System Manager: the given key needs not all of them."""
    return site.hire("keeper", KEEPER_ROLES)


@pytest.fixture(scope="session")
def books(site: Site, keeper: Caller) -> Books:
    return open_books(site, keeper)


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
