"""An open site: client, dialect, and the books that royalties are posted to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from scoopjoy_dagster.erpnext.client import Client, Filter, Row
from scoopjoy_dagster.erpnext.dialects.detection import detect, is_newer_than_known
from scoopjoy_dagster.erpnext.dialects.interface import Dialect
from scoopjoy_dagster.erpnext.errors import Rejected
from scoopjoy_dagster.erpnext.naming_series import ROYALTY_SERIES
from scoopjoy_dagster.erpnext.session import Session
from scoopjoy_dagster.nearest import did_you_mean, nearest


@dataclass(frozen=True, slots=True)
class BookSettings:
    """What the configuration says about the books; empty means what ERPNext suggests.

    Attributes:
        company: empty means the only company of the site.
        receivable_account: default `Debtors - <abbr>`.
        income_account: default `Royalty Income - <abbr>`.
        cost_center: default the company's own.
        franchise_group: Customer Group; franchises are in it or in a group below it.
        royalty_series: naming series of royalty Journal Entries, one for each parallel request.
        royalty_batch: royalty entries per request at most.
        annotation_script: whether a Server Script of the site annotates invoices.
    """

    company: str = ""
    receivable_account: str = ""
    income_account: str = ""
    cost_center: str = ""
    franchise_group: str = "Franchise"
    royalty_series: tuple[str, ...] = ROYALTY_SERIES
    royalty_batch: int = 100
    annotation_script: bool = False


@dataclass(frozen=True, slots=True)
class Books:
    """Company, currency and accounts of the royalty entries, as they stand on the site."""

    company: str
    currency: str
    receivable_account: str
    income_account: str
    cost_center: str
    franchise_group: str
    royalty_series: tuple[str, ...] = ROYALTY_SERIES
    royalty_batch: int = 100


@dataclass(slots=True)
class Site:
    """A session with a site whose line of ERPNext is known."""

    client: Client
    dialect: Dialect
    version: str
    settings: BookSettings = field(default_factory=BookSettings)
    controlled: bool = False
    """Whether the control totals of the same days are asked in this session, too."""
    _known: dict[str, Row] = field(default_factory=dict)

    @classmethod
    def open(
        cls, session: Session, settings: BookSettings | None = None, stamp: Mapping[str, str] | None = None
    ) -> Site:
        """Log in, and choose the dialect by what the server says of itself. `stamp`: see `Client`.

        Raises:
            LoginFailed, Unreachable, UnsupportedSite: with one sentence each.
        """
        client = Client(session, stamp)
        dialect, version = detect(client)
        return cls(client, dialect, version, settings or BookSettings())

    @property
    def company(self) -> Row:
        """The company's row: name, abbr, default_currency, cost_center. Read once.

        Raises:
            Rejected: there is no such company, or there are several and none is set.
        """
        if "company" not in self._known:
            self._known["company"] = self._find_company()
        return self._known["company"]

    @property
    def unproven(self) -> str:
        """That the site is of a newer line than this program was proven against, in a sentence; empty where it is not."""
        if not is_newer_than_known(self.version):
            return ""
        return f"ERPNext {self.version} is newer than what this program was proven against: it is spoken to as {self.dialect.line}"

    @property
    def reads_once(self) -> bool:
        """Whether every fact is read once, for the assets and for their control totals, with the days that these compare with.

        So it is until the session writes. From then on nobody relies on what was read before, and the control totals
        ask in another way than the assets do (ADR 33).
        """
        return self.controlled and self.client.session.traffic.writes == 0

    @property
    def user(self) -> str:
        """The user whose key this is. Asked once."""
        if "user" not in self._known:
            found = self.client.call("frappe.auth.get_logged_user", doing="find the user")
            self._known["user"] = {"name": found}
        return str(self._known["user"]["name"])

    def stamped(self, stamp: Mapping[str, str] | None) -> Site:
        """The same site, over the same session, for documents with another stamp (see `Client`)."""
        client = Client(self.client.session, stamp, self.client.remembered)
        return replace(self, client=client)

    def _find_company(self) -> Row:
        wanted = self.settings.company
        rows = self.client.rows(
            "Company",
            ["name", "abbr", "default_currency", "cost_center"],
            [["name", "=", wanted]] if wanted else [],
        )
        if len(rows) == 1:
            return rows[0]
        doing = "find the company"
        if wanted:
            names = [str(row["name"]) for row in self.client.rows("Company", ["name"], [])]
            raise Rejected(
                doing,
                f"there is no Company {wanted!r} in ERPNext; correct SCOOPJOY_COMPANY{did_you_mean(wanted, names)}",
            )
        if not rows:
            raise Rejected(
                doing, "ERPNext has no Company that this user may read; give it the role Accounts User"
            )
        listed = ", ".join(str(row["name"]) for row in rows[:5])
        raise Rejected(
            doing, f"ERPNext has {len(rows)} companies ({listed}); set SCOOPJOY_COMPANY to one of them"
        )

    def books(self) -> Books:
        """The books by settings and ERPNext's defaults. That the accounts are right is `wrong_accounts`' business."""
        company = self.company
        abbr = company["abbr"]
        return Books(
            company=str(company["name"]),
            currency=str(company["default_currency"]),
            receivable_account=self.settings.receivable_account or f"Debtors - {abbr}",
            income_account=self.settings.income_account or f"Royalty Income - {abbr}",
            cost_center=self.settings.cost_center or str(company["cost_center"] or f"Main - {abbr}"),
            franchise_group=self.settings.franchise_group,
            royalty_series=self.settings.royalty_series,
            royalty_batch=self.settings.royalty_batch,
        )

    def wrong_accounts(self, books: Books) -> list[str]:
        """Why the accounts and the cost center cannot be posted to: a sentence each, empty when all is right.

        ERPNext would take some of these silently (a party on an income account makes two reports disagree), so
        they are checked before anything is posted.
        """
        accounts = {
            str(row["name"]): row
            for row in self.client.rows(
                "Account",
                ["name", "company", "is_group", "disabled", "root_type", "account_type", "account_currency"],
                [["name", "in", [books.receivable_account, books.income_account]]],
            )
        }
        centers = self.client.rows(
            "Cost Center", ["name", "company", "is_group", "disabled"], [["name", "=", books.cost_center]]
        )
        problems: list[str] = []
        for setting, name, root_type in (
            ("SCOOPJOY_RECEIVABLE_ACCOUNT", books.receivable_account, "Asset"),
            ("SCOOPJOY_ROYALTY_ACCOUNT", books.income_account, "Income"),
        ):
            account = accounts.get(name)
            if account is None:
                problems.append(
                    f"there is no Account {name!r} in ERPNext; create it or set {setting} to another account"
                    f"{self._suggestion('Account', name, [['root_type', '=', root_type]])}"
                )
            else:
                problems += _account_problems(account, name, setting, root_type, books)
        receivable = accounts.get(books.receivable_account)
        if receivable and receivable["account_type"] != "Receivable":
            problems.append(
                f"the account {books.receivable_account!r} is of type {receivable['account_type'] or 'none'!r}, not Receivable; "
                "set SCOOPJOY_RECEIVABLE_ACCOUNT to a receivable account"
            )
        if not centers:
            problems.append(
                f"there is no Cost Center {books.cost_center!r}; create it or set SCOOPJOY_COST_CENTER"
                f"{self._suggestion('Cost Center', books.cost_center)}"
            )
        else:
            problems += _leaf_problems(
                centers[0], f"the Cost Center {books.cost_center!r}", "SCOOPJOY_COST_CENTER", books
            )
        return problems

    def _suggestion(self, doctype: str, name: str, filters: Sequence[Filter] = ()) -> str:
        """The nearest name in a tree of the company that can be posted to, as a question; empty without one.

        The company's abbreviation at the end is no part of the likeness: it may be missing, and all names share it.
        """
        company = self.company
        wanted: list[Filter] = [["company", "=", company["name"]], ["is_group", "=", 0], *filters]
        ending = f" - {company['abbr']}"
        names = {
            str(row["name"]).removesuffix(ending): str(row["name"])
            for row in self.client.rows(doctype, ["name"], wanted)
        }
        near = nearest(name.removesuffix(ending), names)
        return did_you_mean(names[near], names.values()) if near else ""


def _account_problems(account: Row, name: str, setting: str, root_type: str, books: Books) -> list[str]:
    problems = _leaf_problems(account, f"the Account {name!r}", setting, books)
    if account["root_type"] != root_type:
        problems.append(
            f"the Account {name!r} has root type {account['root_type']}, not {root_type}; correct {setting}"
        )
    if (account["account_currency"] or books.currency) != books.currency:
        problems.append(
            f"the Account {name!r} is in {account['account_currency']}, the company's books are in {books.currency}; correct {setting}"
        )
    return problems


def _leaf_problems(row: Row, what: str, setting: str, books: Books) -> list[str]:
    problems = []
    if row["company"] != books.company:
        problems.append(
            f"{what} belongs to the company {row['company']!r}, not {books.company!r}; correct {setting}"
        )
    if row["is_group"]:
        problems.append(f"{what} is a group and cannot be posted to; set {setting} to a leaf")
    if row["disabled"]:
        problems.append(f"{what} is disabled; enable it in ERPNext or correct {setting}")
    return problems
