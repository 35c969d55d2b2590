"""Where royalty entries are posted to: looked at before anything is sent, because ERPNext takes some wrong accounts in silence.

The receivable account is the one that ERPNext itself would choose for the party (`erpnext.accounts.party.get_party_account`):
the Customer's own for the company, else that of its Customer Group (not of a group above it), else the company's default.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from scoopjoy_dagster.erpnext.client import Filter, Row
from scoopjoy_dagster.erpnext.errors import Forbidden
from scoopjoy_dagster.erpnext.royalty_entries import PARTY_ACCOUNTS, customer_rows, franchise_rows
from scoopjoy_dagster.erpnext.site import Books, Site
from scoopjoy_dagster.nearest import did_you_mean, nearest

RECEIVABLE, INCOME = "SCOOPJOY_RECEIVABLE_ACCOUNT", "SCOOPJOY_ROYALTY_ACCOUNT"
COST_CENTER, ENTRY_FIELDS = "SCOOPJOY_COST_CENTER", "SCOOPJOY_ENTRY_FIELDS"


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why nothing can be posted on a franchise's receivable account: a sentence, and whether its currency is the reason."""

    why: str
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class PostingAccounts:
    """Where the entries of some franchises are posted to.

    Attributes:
        books: the books, with the receivable account of each of these franchises.
        problems: why nothing can be posted at all: a sentence each, empty when all is right.
        unusable: franchises on whose own account nothing can be posted; the others can be posted all the same.
    """

    books: Books
    problems: tuple[str, ...] = ()
    unusable: Mapping[str, Unusable] = field(default_factory=dict)


def posting_accounts(site: Site, books: Books, customers: Collection[str]) -> PostingAccounts:
    """The accounts, the cost center and the mandatory dimensions for entries of these customers. Reads only.

    Six list calls at most, whatever the number of customers.
    """
    own = {} if site.settings.receivable_account else _party_accounts(site, books, customers)
    common = books.receivable_account
    for_all = not customers or any(one not in own for one in customers)
    wanted = sorted({books.income_account, *own.values(), *([common] if common and for_all else [])})
    accounts = {
        str(row["name"]): row
        for row in site.client.rows(
            "Account",
            ["name", "company", "is_group", "disabled", "root_type", "account_type", "account_currency"],
            [["name", "in", wanted]],
        )
    }
    problems = [*_account_problems(site, books, accounts, books.income_account, INCOME, "Income")]
    if for_all and not common:
        problems.append(
            f"the company {books.company!r} has no default receivable account; set Default Receivable Account at the Company "
            f"in ERPNext, or {RECEIVABLE}"
        )
    elif for_all:
        named = (
            RECEIVABLE if site.settings.receivable_account else "Default Receivable Account of the Company"
        )
        problems += _account_problems(site, books, accounts, common, named, "Asset")
    problems += _cost_center_problems(site, books)
    problems += missing_dimensions(site, books)
    reasons = {account: _unusable(books, accounts.get(account), account) for account in set(own.values())}
    return PostingAccounts(
        replace(books, receivables=own),
        tuple(problems),
        {customer: reason for customer, account in own.items() if (reason := reasons[account])},
    )


def _party_accounts(site: Site, books: Books, customers: Collection[str]) -> dict[str, str]:
    """The accounts that are set at these customers, or at their groups, for the company: customer -> account."""
    rows = [row for row in franchise_rows(site, books.franchise_group) if row["name"] in customers]
    others = set(customers) - {
        str(row["name"]) for row in rows
    }  # no franchises any more, with an entry all the same
    rows += customer_rows(site, [["name", "in", sorted(others)]])
    found = _of_company(rows, books)
    group_of = {
        str(row["name"]): str(row["customer_group"])
        for row in rows
        if row["name"] not in found and row["customer_group"]
    }
    groups = _of_company(
        site.client.rows(
            "Customer Group",
            ["name", *PARTY_ACCOUNTS],
            [["name", "in", sorted(set(group_of.values()))]],
            remember=True,
        ),
        books,
    )
    return found | {customer: groups[group] for customer, group in group_of.items() if group in groups}


def _of_company(rows: Sequence[Row], books: Books) -> dict[str, str]:
    """The account for the company in rows of documents joined with their Party Accounts: document -> account."""
    return {
        str(row["name"]): str(row["account"])
        for row in rows
        if row["account"] and row["company"] == books.company
    }


def _unusable(books: Books, account: Row | None, name: str) -> Unusable | None:
    what = f"the Account {name!r}, which is set at the Customer or its Customer Group,"
    if account is None:
        return Unusable(f"{what} is not among the accounts that this user may read")
    if (account["account_currency"] or books.currency) != books.currency:
        return Unusable(
            f"{what} is in {account['account_currency']}, the company's books are in {books.currency}",
            foreign=True,
        )
    wrong = [
        *_leaf_problems(account, books),
        *([] if account["account_type"] == "Receivable" else ["is not of type Receivable"]),
    ]
    return Unusable(f"{what} {' and '.join(wrong)}") if wrong else None


def _account_problems(
    site: Site, books: Books, accounts: Mapping[str, Row], name: str, setting: str, root_type: str
) -> Iterator[str]:
    account, what = accounts.get(name), f"the Account {name!r}"
    if account is None:
        yield (
            f"there is no Account {name!r} in ERPNext; create it or set {setting} to another account"
            f"{_suggestion(site, 'Account', name, [['root_type', '=', root_type]])}"
        )
        return
    for problem in _leaf_problems(account, books):
        yield f"{what} {problem}; correct {setting}"
    if account["root_type"] != root_type:
        yield f"{what} has root type {account['root_type']}, not {root_type}; correct {setting}"
    if (account["account_currency"] or books.currency) != books.currency:
        yield f"{what} is in {account['account_currency']}, the company's books are in {books.currency}; correct {setting}"
    if root_type == "Asset" and account["account_type"] != "Receivable":
        yield (
            f"{what} is of type {account['account_type'] or 'none'!r}, not Receivable; "
            f"set {setting} to a receivable account"
        )


def _cost_center_problems(site: Site, books: Books) -> Iterator[str]:
    name = books.cost_center
    centers = site.client.rows(
        "Cost Center", ["name", "company", "is_group", "disabled"], [["name", "=", name]]
    )
    if not centers:
        yield f"there is no Cost Center {name!r}; create it or set {COST_CENTER}{_suggestion(site, 'Cost Center', name)}"
        return
    for problem in _leaf_problems(centers[0], books):
        yield f"the Cost Center {name!r} {problem}; correct {COST_CENTER}"


def _leaf_problems(row: Row, books: Books) -> list[str]:
    problems = []
    if row["company"] != books.company:
        problems.append(f"belongs to the company {row['company']!r}, not {books.company!r}")
    if row["is_group"]:
        problems.append("is a group and cannot be posted to")
    if row["disabled"]:
        problems.append("is disabled")
    return problems


def missing_dimensions(site: Site, books: Books) -> list[str]:
    """Accounting dimensions that ERPNext wants on our rows, and that no setting fills; a sentence each.

    Where the user may not read them, ERPNext refuses entry by entry; `scoopjoy check` names the missing permission.
    """
    try:
        rows = site.client.rows(
            "Accounting Dimension",
            [
                "name",  # v15 cannot order by it otherwise, once rows are joined
                "label",
                "fieldname",
                *(
                    f"dimension_defaults.{name}"
                    for name in ("company", "mandatory_for_bs", "mandatory_for_pl")
                ),
            ],
            [["disabled", "=", 0]],
        )
    except Forbidden:
        return []
    return [
        f"the Accounting Dimension {row['label']!r} is mandatory in {books.company!r}; set {ENTRY_FIELDS} to "
        f"{row['fieldname']}=<{row['label']}> (several are separated by semicolons)"
        for row in rows
        if row["company"] == books.company
        and (row["mandatory_for_bs"] or row["mandatory_for_pl"])
        and row["fieldname"] not in books.entry_fields.rows
    ]


def _suggestion(site: Site, doctype: str, name: str, filters: Sequence[Filter] = ()) -> str:
    """The nearest name in a tree of the company that can be posted to, as a question; empty without one.

    The company's abbreviation at the end is no part of the likeness: it may be missing, and all names share it.
    """
    company = site.company
    wanted: list[Filter] = [["company", "=", company["name"]], ["is_group", "=", 0], *filters]
    ending = f" - {company['abbr']}"
    names = {
        str(row["name"]).removesuffix(ending): str(row["name"])
        for row in site.client.rows(doctype, ["name"], wanted)
    }
    near = nearest(name.removesuffix(ending), names)
    return did_you_mean(names[near], names.values()) if near else ""
