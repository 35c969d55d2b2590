"""An open site: client, dialect, and the books that royalties are posted to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import time

from scoopjoy_dagster.accounting.business_day import DayEnd
from scoopjoy_dagster.erpnext.client import Client, Row
from scoopjoy_dagster.erpnext.dialects.detection import detect, is_newer_than_known
from scoopjoy_dagster.erpnext.dialects.interface import Dialect
from scoopjoy_dagster.erpnext.entry_fields import EntryFields
from scoopjoy_dagster.erpnext.errors import Rejected
from scoopjoy_dagster.erpnext.naming_series import ROYALTY_SERIES
from scoopjoy_dagster.erpnext.remembered import Remembered
from scoopjoy_dagster.erpnext.restrictions import (
    ACTION,
    DECISIVE,
    DOING,
    restrictions,
    shown_only_own,
    user_permissions,
)
from scoopjoy_dagster.erpnext.session import Session
from scoopjoy_dagster.nearest import did_you_mean


@dataclass(frozen=True, slots=True)
class BookSettings:
    """What the configuration says about the books; empty means what ERPNext suggests.

    Attributes:
        company: empty means the only company of the site.
        receivable_account: of all franchises; default the account that ERPNext would choose for each party.
        income_account: default `Royalty Income - <abbr>`.
        cost_center: default the company's own.
        franchise_group: Customer Group; franchises are in it or in a group below it.
        royalty_series: naming series of royalty Journal Entries, one for each parallel request.
        royalty_batch: royalty entries per request at most.
        entry_fields: further fields of each entry and its account rows.
        day_ends_at: when a business day ends, on the next date and in site time; midnight: a business day is a date.
    """

    company: str = ""
    receivable_account: str = ""
    income_account: str = ""
    cost_center: str = ""
    franchise_group: str = "Franchise"
    royalty_series: tuple[str, ...] = ROYALTY_SERIES
    royalty_batch: int = 100
    entry_fields: EntryFields = field(default_factory=EntryFields)
    day_ends_at: time = time.min


@dataclass(frozen=True, slots=True)
class Books:
    """Company, currency and accounts of the royalty entries, as they stand on the site.

    Attributes:
        receivable_account: of franchises that have none of their own; empty where the company has no default.
        receivables: of the others, by customer; only what is about to be posted needs them.
    """

    company: str
    currency: str
    receivable_account: str
    income_account: str
    cost_center: str
    franchise_group: str
    royalty_series: tuple[str, ...] = ROYALTY_SERIES
    royalty_batch: int = 100
    entry_fields: EntryFields = field(default_factory=EntryFields)
    receivables: Mapping[str, str] = field(default_factory=dict)

    def receivable(self, customer: str) -> str:
        """The account that a franchise is debited on."""
        return self.receivables.get(customer, self.receivable_account)


@dataclass(slots=True)
class Site:
    """A session with a site whose line of ERPNext is known."""

    client: Client
    dialect: Dialect
    version: str
    settings: BookSettings = field(default_factory=BookSettings)
    _known: dict[str, Row] = field(default_factory=dict)
    _of_control_totals: Remembered = field(default_factory=Remembered)

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
    def day_end(self) -> DayEnd:
        """When a business day ends."""
        return DayEnd(self.settings.day_ends_at)

    @property
    def company(self) -> Row:
        """The company's row: name, abbr, default_currency, cost_center, default_receivable_account. Read once.

        Nothing is read of a company without it, so this is where a session asks whether it sees all of that company.

        Raises:
            Rejected: there is no such company, there are several and none is set, or the user sees only a part of it.
        """
        if "company" not in self._known:
            self.require_whole_view()
            self._known["company"] = self._find_company()
        return self._known["company"]

    def require_all_documents(self) -> None:
        """See, once in a session that is about to post, that no rule of the user's roles shows it its own documents alone.

        Raises:
            Rejected: one does; the text names the DocTypes.
        """
        if "all documents" in self._known:
            return
        hidden = shown_only_own(self.client, self.user, DECISIVE)
        if hidden:
            raise Rejected(
                DOING,
                f"its roles show it only documents of its own: {', '.join(hidden)}, so days would be closed in part; take "
                "'Only If Creator' from the rules of these roles in ERPNext's Role Permissions Manager",
            )
        self._known["all documents"] = {}

    def require_whole_view(self) -> None:
        """See that ERPNext hides nothing from the user.

        Raises:
            Rejected: a User Permission lets it see only a part; the text names it.
        """
        hidden = restrictions(user_permissions(self.client), self.settings.company)
        if hidden:
            raise Rejected(
                DOING,
                f"User Permissions let it see only {'; only '.join(hidden)}, so days would be closed in part; {ACTION}",
            )

    @property
    def unproven(self) -> str:
        """That the site is of a newer line than this program was proven against, in a sentence; empty where it is not."""
        if not is_newer_than_known(self.version):
            return ""
        return f"ERPNext {self.version} is newer than what this program was proven against: it is spoken to as {self.dialect.line}"

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

    def for_control_totals(self) -> Site:
        """The same site, over the same session, without what the assets have read: that proves nothing about what they did."""
        return replace(self, client=Client(self.client.session, remembered=self._of_control_totals))

    def _find_company(self) -> Row:
        wanted = self.settings.company
        rows = self.client.rows(
            "Company",
            ["name", "abbr", "default_currency", "cost_center", "default_receivable_account"],
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
        """The books by settings and ERPNext's defaults. That the accounts are right is seen by `accounts.posting_accounts`."""
        company = self.company
        abbr = company["abbr"]
        return Books(
            company=str(company["name"]),
            currency=str(company["default_currency"]),
            receivable_account=self.settings.receivable_account
            or str(company["default_receivable_account"] or ""),
            income_account=self.settings.income_account or f"Royalty Income - {abbr}",
            cost_center=self.settings.cost_center or str(company["cost_center"] or f"Main - {abbr}"),
            franchise_group=self.settings.franchise_group,
            royalty_series=self.settings.royalty_series,
            royalty_batch=self.settings.royalty_batch,
            entry_fields=self.settings.entry_fields,
        )
