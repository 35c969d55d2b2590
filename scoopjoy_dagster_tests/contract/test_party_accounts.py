"""Which receivable account a franchise is debited on, and what ERPNext refuses on one of another currency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .books import account_of

if TYPE_CHECKING:
    from .books import Books
    from .site import Caller, Site

ACCOUNTS = ["accounts.company", "accounts.account"]


@pytest.fixture(scope="module")
def other_debtors(site: Site, keeper: Caller, books: Books) -> str:
    """A second receivable account of the company."""
    return account_of(keeper, books.company, f"{site.prefix} Franchise Debtors", "Asset", "Receivable")


def party_account(books: Books, account: str) -> list[dict[str, str]]:
    return [{"company": books.company, "account": account}]


def group_of(keeper: Caller, books: Books, label: str, above: str, **fields: Any) -> str:
    body = {"customer_group_name": f"{books.prefix} {label}", "parent_customer_group": above}
    return str(keeper.insert("Customer Group", **body, **fields).value["name"])


def debited(robot: Caller, books: Books, customer: str) -> str:
    """The account that ERPNext itself chooses for a Sales Invoice."""
    invoice = {key: value for key, value in books.invoice(customer).items() if key != "debit_to"}
    return str(robot.insert("Sales Invoice", **invoice).value["debit_to"])


def test_a_customers_own_account_comes_before_its_groups_and_that_before_the_companys(
    robot: Caller, keeper: Caller, books: Books, other_debtors: str
) -> None:
    group = group_of(
        keeper, books, "East", books.franchises, accounts=party_account(books, other_debtors), is_group=0
    )
    of_group = books.customer(robot, "Of A Group", group)
    own = books.customer(keeper, "Of Its Own", group, accounts=party_account(books, books.receivable))
    plain = books.customer(robot, "Of The Company")
    assert debited(robot, books, of_group) == other_debtors
    assert debited(robot, books, own) == books.receivable
    assert debited(robot, books, plain) == books.receivable


def test_the_account_of_a_group_above_is_nobodys(
    robot: Caller, keeper: Caller, books: Books, other_debtors: str
) -> None:
    above = group_of(
        keeper, books, "West", books.franchises, accounts=party_account(books, other_debtors), is_group=1
    )
    below = group_of(keeper, books, "West Below", above, is_group=0)
    assert debited(robot, books, books.customer(robot, "Far Below", below)) == books.receivable


def test_the_accounts_are_listed_with_the_customer_and_with_the_group_by_the_roles_of_the_close(
    small: Caller, robot: Caller, keeper: Caller, books: Books, other_debtors: str
) -> None:
    """A row for each account of a customer, and one with nulls for a customer without."""
    group = group_of(
        keeper, books, "Centre", books.franchises, accounts=party_account(books, other_debtors), is_group=0
    )
    own = books.customer(keeper, "Listed Own", group, accounts=party_account(books, other_debtors))
    plain = books.customer(robot, "Listed Plain", group)
    found = small.rows(
        "Customer", ["name", "customer_group", *ACCOUNTS], [["name", "in", sorted([own, plain])]]
    )
    assert found == [
        {"name": own, "customer_group": group, "company": books.company, "account": other_debtors},
        {"name": plain, "customer_group": group, "company": None, "account": None},
    ]
    listed = small.rows("Customer Group", ["name", *ACCOUNTS], [["name", "in", [group]]])
    assert listed == [{"name": group, "company": books.company, "account": other_debtors}]


def test_two_accounts_for_one_company_are_refused(keeper: Caller, books: Books, other_debtors: str) -> None:
    twice = [*party_account(books, books.receivable), *party_account(books, other_debtors)]
    body = books.customer_body("Two Accounts", accounts=twice)
    keeper.insert("Customer", **body).refused(417, "DuplicatePartyAccountError")


def test_an_entry_on_a_receivable_account_in_another_currency_is_refused(
    site: Site, robot: Caller, keeper: Caller, books: Books, franchise: str
) -> None:
    foreign = "USD" if books.currency != "USD" else "EUR"
    account = account_of(
        keeper,
        books.company,
        f"{site.prefix} Debtors {foreign}",
        "Asset",
        "Receivable",
        account_currency=foreign,
    )
    entry = books.royalty(franchise)
    entry["accounts"][0]["account"] = account
    robot.insert("Journal Entry", **entry, docstatus=1).refused(417, "ValidationError")
