"""What setup installs of the shares: whoever may read a sale sees its royalty, without any right on Journal Entries.

Fields and DocType are the product's own, so this alone of the contract runs the product: its setup, and nothing of the close.
What was there before stays; what was not is taken away again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from scoopjoy_dagster.erpnext.client import Client
from scoopjoy_dagster.erpnext.installation import install, read_installation
from scoopjoy_dagster.erpnext.schema import FIELDS
from scoopjoy_dagster.erpnext.session import Session

from .books import money
from .site import patiently

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from .books import Books
    from .site import Caller, Site

JE, ROWS, TABLE, RATE = "Journal Entry", "Royalty Share", "custom_royalty_shares", "custom_royalty_rate"
OURS = {ROWS, f"{JE}-{TABLE}", f"{JE}-{RATE}", *(field.name for field in FIELDS if field.is_virtual)}
"""The rows, and what shows them."""

NOTHING = (money(0), money(0), "")


@pytest.fixture(scope="module", autouse=True)
def installed(site: Site, books: Books) -> Iterator[None]:
    del books
    key, _, secret = str(site.robot.authorization).removeprefix("token ").partition(":")
    with Session(site.url, key, secret) as session:
        client = Client(session)
        steps = [
            step
            for step in read_installation(client, desk=False, series=(), role="")
            if step.name in OURS and step.doctype != "Report"
        ]
        install(client, steps, lambda _step: None)
        yield
        for step in reversed(steps):
            if step.kind == "create":
                client.delete(step.doctype, step.name)


@pytest.fixture
def reader(limited: Caller, robot: Caller, sold: tuple[str, str]) -> Caller:
    """A user without any role, with whom the one sale is shared to be read."""
    doctype, name = sold
    robot.insert(
        "DocShare", user=limited.user, share_doctype=doctype, share_name=name, read=1, notify_by_email=0
    ).accepted()
    return limited


def entry(books: Books, franchise: str, sold: tuple[str, str], **fields: Any) -> dict[str, Any]:
    row = {
        "document_type": sold[0],
        "document": sold[1],
        "business_day": books.day,
        "franchise": franchise,
        "royalty_base": 100,
        "royalty_share": 7.5,
    }
    return {**books.royalty(franchise, 7.5), "docstatus": 1, RATE: 7.5, TABLE: [row], **fields}


def post(caller: Caller, body: dict[str, Any]) -> str:
    """In the request of the close."""
    docs = [{"doctype": JE, **body}]
    (name,) = patiently(lambda: caller.rpc("frappe.client.insert_many", docs=docs)).value
    return str(name)


def shown(caller: Caller, sold: tuple[str, str]) -> tuple[Decimal, Decimal, str]:
    document = caller.get(*sold).value
    rate, share, said = (document[f"custom_sale_royalty_{what}"] for what in ("rate", "share", "entry"))
    return money(rate), money(share), said


def test_who_may_only_read_the_sale_sees_what_the_entries_that_stand_say_of_it(
    reader: Caller, small: Caller, books: Books, franchise: str, sold: tuple[str, str]
) -> None:
    assert shown(reader, sold) == NOTHING
    first = post(small, entry(books, franchise, sold))
    reader.get(JE, first).refused(403, "PermissionError")
    reader.page(ROWS, ["royalty_share"], parent=JE).refused(403, "PermissionError")
    assert shown(reader, sold) == (money(7.5), money(7.5), first)
    patiently(lambda: small.cancel(JE, first)).accepted()
    assert shown(reader, sold) == NOTHING
    # A person posts it again at another amount: its rows go with it, and say what they said.
    by_person = books.royalty(franchise, 9)["accounts"]
    amended = entry(books, franchise, sold, amended_from=first, accounts=by_person)
    second = patiently(lambda: small.insert(JE, **amended)).value["name"]
    assert shown(reader, sold) == (money(7.5), money(7.5), second)


def test_an_adjustment_is_added_and_its_rate_is_the_one_that_is_shown(
    reader: Caller, small: Caller, books: Books, franchise: str, sold: tuple[str, str]
) -> None:
    first = post(small, entry(books, franchise, sold))
    second = post(small, entry(books, franchise, sold, **{RATE: 15}))
    assert shown(reader, sold) == (money(15), money(15), ", ".join(sorted([first, second])))


def test_a_sale_with_a_share_is_cancelled_by_whoever_may(
    small: Caller, keeper: Caller, books: Books, franchise: str
) -> None:
    """Nothing links to it."""
    made = patiently(lambda: keeper.insert("Sales Invoice", **books.invoice(franchise), docstatus=1)).value
    sold = "Sales Invoice", str(made["name"])
    first = post(small, entry(books, franchise, sold))
    patiently(lambda: keeper.cancel(*sold)).accepted()
    assert shown(small, sold) == (money(7.5), money(7.5), first)
