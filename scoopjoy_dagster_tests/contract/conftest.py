"""The site that the contract is tested against: the embedded sandbox in both lines, or a real ERPNext by environment.

With SCOOPJOY_CONTRACT_URL, SCOOPJOY_CONTRACT_KEY and SCOOPJOY_CONTRACT_SECRET set, the suite runs on that site, with the
tests of its line. It makes its own users and master data under a random prefix (`SJC-....`), disables the users at the
end, and leaves submitted documents and five custom fields behind, since ERPNext deletes no submitted document: use a
test site. On v16 and later no shift of others may be open there: what its tills make is switched for a while. The key
needs System Manager, Sales Manager, Accounts Manager, Accounts User and Sales User, or be Administrator's.
"""

from __future__ import annotations

import os
import secrets
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .books import KEEPER_ROLES, Books, open_books
from .lines import LINES, V16, real_line
from .shifts import Counter, open_counter
from .site import Site, patiently

# What a key needs; in the sandbox the suite hires a user with exactly these.
ROBOT_ROLES = ["System Manager", "Sales Manager", "Accounts Manager", "Accounts User", "Sales User"]

# What docs/security.md gives the integration user for the nights.
SMALL_ROLES = ["Sales Manager", "Accounts Manager"]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .shifts import Shift
    from .site import Caller


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test is one for each line that it holds on."""
    if "site" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("line")
    metafunc.parametrize("site", marker.args if marker else LINES, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A real site is of one line: the tests of the other are none of its."""
    real = real_line()
    others = [item for item in items if real and _line_of(item) not in (None, real)]
    if others:
        items[:] = [item for item in items if item not in others]
        config.hook.pytest_deselected(items=others)


def _line_of(item: pytest.Item) -> str | None:
    """Of a test of the contract; tests elsewhere have none."""
    if Path(__file__).parent not in item.path.parents or not isinstance(item, pytest.Function):
        return None
    call = getattr(item, "callspec", None)
    return str(call.params["site"]) if call and "site" in call.params else None


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    url, line = os.environ.get("SCOOPJOY_CONTRACT_URL"), str(request.param)
    prefix = f"SJC-{secrets.token_hex(2)}-{secrets.token_hex(2)}"
    if url:
        key, secret = os.environ["SCOOPJOY_CONTRACT_KEY"], os.environ["SCOOPJOY_CONTRACT_SECRET"]
        with closing(Site(url.rstrip("/"), f"token {key}:{secret}", prefix, line)) as real:
            yield real
        return
    from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
    from scoopjoy_dagster.sandbox.seed import master_data

    world = SandboxERPNext(":memory:", line=line)
    try:
        master_data(world)
        world.start()
        owner = world.administrator
        with closing(Site(world.url, f"token {owner.api_key}:{owner.api_secret}", prefix, line)) as sandbox:
            sandbox.robot = sandbox.hire("robot", ROBOT_ROLES)
            yield sandbox
    finally:
        world.close()


@pytest.fixture(scope="session")
def line(site: Site) -> str:
    """Of the site."""
    return site.line


@pytest.fixture(scope="session")
def robot(site: Site) -> Caller:
    """The user whose key was given: what the nightly close runs as."""
    return site.robot


@pytest.fixture(scope="session")
def small(site: Site) -> Caller:
    """A user with the documented roles of the nightly close, and no others."""
    return site.hire("small", SMALL_ROLES)


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


@pytest.fixture(scope="session")
def other_profile(site: Site, books: Books, other_cashier: Caller) -> str:
    """Of a counter that opens no shift."""
    return open_counter(site, books, other_cashier, "Other Counter").profile


@pytest.fixture(scope="session")
def sell_with(line: str, robot: Caller) -> Iterator[Callable[[str], None]]:
    """Sets which kind of invoice the tills of the site make, where that can be chosen; at the end it is as it was."""
    settings = "POS Settings"

    def switch(kind: str) -> None:
        if line == V16 and robot.get(settings, settings).value["invoice_type"] != kind:
            answer = robot.put(settings, settings, invoice_type=kind)
            assert answer.status == 200, f"Is somebody else's shift open? {answer.summary()}"

    before = robot.get(settings, settings).value["invoice_type"] if line == V16 else ""
    yield switch
    switch(before)


@pytest.fixture
def open_shift(counter: Counter, sell_with: Callable[[str], None]) -> Iterator[Callable[[], Shift]]:
    """Opens shifts of the cashier; one that a test leaves open is ended, so that nobody's close finds it."""
    sell_with("POS Invoice")
    opened: list[Shift] = []

    def opening() -> Shift:
        opened.append(counter.open_shift())
        return opened[-1]

    yield opening
    for shift in opened:
        shift.abandon()
    counter.sweep()


@pytest.fixture(params=["Sales Invoice", "POS Invoice"])
def sold(request: pytest.FixtureRequest, robot: Caller, books: Books, franchise: str) -> tuple[str, str]:
    """DocType and name of a submitted invoice."""
    doctype: str = request.param
    if doctype == "Sales Invoice":
        made = patiently(lambda: robot.insert(doctype, **books.invoice(franchise), docstatus=1))
        return doctype, str(made.value["name"])
    shift: Shift = request.getfixturevalue("shift")
    return doctype, shift.sell(1)


@pytest.fixture
def shift(open_shift: Callable[[], Shift]) -> Shift:
    return open_shift()
