"""Masters: names, trees, currencies of accounts, and what a new user needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scoopjoy_dagster.sandbox.erpnext.controllers.base import Controller
from scoopjoy_dagster.sandbox.erpnext.database import column, table
from scoopjoy_dagster.sandbox.erpnext.errors import SiteError, thrown
from scoopjoy_dagster.sandbox.erpnext.values import as_date

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext.document import Doc
    from scoopjoy_dagster.sandbox.erpnext.session import Session


class Tree(Controller):
    """A nested set: ``lft`` and ``rgt`` are renumbered after every change; trees here are small."""

    def __init__(self, parent_field: str) -> None:
        self._parent_field = parent_field

    def on_update(self, session: Session, doc: Doc) -> None:
        db, parent = session.site.db, column(self._parent_field)
        rows = db.rows(f"SELECT name, {parent} FROM {table(doc.doctype)} ORDER BY name")
        children: dict[str | None, list[str]] = {}
        for name, above in rows:
            children.setdefault(above or None, []).append(name)
        numbered: list[tuple[int, int, str]] = []
        self._number(children, None, 1, numbered)
        db.run_many(f"UPDATE {table(doc.doctype)} SET lft = ?, rgt = ? WHERE name = ?", numbered)
        session.site.forget_master(doc.doctype)
        doc["lft"], doc["rgt"] = session.values(doc.doctype, doc.name, ["lft", "rgt"])

    def _number(
        self,
        children: dict[str | None, list[str]],
        above: str | None,
        start: int,
        out: list[tuple[int, int, str]],
    ) -> int:
        place = start
        for name in children.get(above, []):
            end = self._number(children, name, place + 1, out)
            out.append((place, end, name))
            place = end + 1
        return place


class Account(Tree):
    """Named ``<account name> - <abbr>``; inherits root, report and currency from its parent."""

    def autoname(self, session: Session, doc: Doc) -> str | None:
        abbr = session.value("Company", doc.get("company"), "abbr")
        return f"{doc.get('account_name')} - {abbr}"

    def validate(self, session: Session, doc: Doc) -> None:
        parent = doc.get("parent_account")
        if parent:
            is_group, root, report = session.values(
                "Account", parent, ["is_group", "root_type", "report_type"]
            )
            if not is_group:
                raise thrown(f"Account {doc.name}: Parent account {parent} can not be a ledger")
            doc["root_type"], doc["report_type"] = root, report
        elif doc.get("root_type"):
            is_pl = doc["root_type"] in {"Income", "Expense"}
            doc["report_type"] = "Profit and Loss" if is_pl else "Balance Sheet"
        doc["account_currency"] = doc.get("account_currency") or session.value(
            "Company", doc.get("company"), "default_currency"
        )


class CostCenter(Tree):
    """Named ``<cost center name> - <abbr>``."""

    def autoname(self, session: Session, doc: Doc) -> str | None:
        return f"{doc.get('cost_center_name')} - {session.value('Company', doc.get('company'), 'abbr')}"


class Warehouse(Tree):
    """Named ``<warehouse name> - <abbr>``, unless the name ends so already."""

    def autoname(self, session: Session, doc: Doc) -> str | None:
        name = str(doc.get("warehouse_name") or "")
        suffix = f" - {session.value('Company', doc.get('company'), 'abbr')}"
        return name if name.endswith(suffix) else name + suffix


class PriceList(Controller):
    """For buying, selling or both."""

    def validate(self, session: Session, doc: Doc) -> None:
        del session
        if not doc.get("buying") and not doc.get("selling"):
            raise thrown("Price List must be applicable for Buying or Selling")


class POSProfile(Controller):
    """What a till sells from and books to belongs to its company."""

    def validate(self, session: Session, doc: Doc) -> None:
        linked = {"Account": ("income_account", "expense_account"), "Cost Center": ("cost_center",)}
        for doctype, fields in (linked | {"Warehouse": ("warehouse",)}).items():
            for key in fields:
                if doc.get(key) and session.value(doctype, doc[key], "company") != doc["company"]:
                    raise thrown(f"{doc[key]} does not belong to Company {doc['company']}")


def _check_party_accounts(session: Session, doc: Doc) -> None:
    companies = [row["company"] for row in doc.rows("accounts")]
    if len(companies) != len(set(companies)):
        raise thrown(
            f"There can only be 1 Account per Company in {doc.doctype} {doc.name}",
            "DuplicatePartyAccountError",
        )
    for row in doc.rows("accounts"):
        owner = session.value("Account", row.get("account"), "company")
        if row.get("account") and owner != row["company"]:
            raise thrown(
                f"Row {row['idx']}: The {row['account']} account does not belong to the company {row['company']}"
            )


class CustomerGroup(Tree):
    """A tree; each group may name a receivable account for each company."""

    def validate(self, session: Session, doc: Doc) -> None:
        super().validate(session, doc)
        _check_party_accounts(session, doc)


class AccountingDimension(Controller):
    """A DocType whose documents ledger rows carry, in a custom field that is made for it (in the background, on a real site)."""

    def before_insert(self, session: Session, doc: Doc) -> None:
        del session
        doc["label"] = doc.get("label") or doc["document_type"]
        doc["fieldname"] = doc.get("fieldname") or str(doc["label"]).lower().replace(" ", "_")

    def after_insert(self, session: Session, doc: Doc) -> None:
        for doctype in ("Journal Entry Account", "GL Entry", "Sales Invoice", "POS Invoice"):
            values = {
                "dt": doctype,
                "fieldname": doc["fieldname"],
                "label": doc["label"],
                "fieldtype": "Link",
                "options": doc["document_type"],
            }
            if doc["fieldname"] not in session.site.meta(doctype).by_name:
                session.insert_unasked("Custom Field", values)


class Customer(Controller):
    """Named by its customer name (Selling Settings: Customer Naming By), never by the client."""

    def before_insert(self, session: Session, doc: Doc) -> None:
        if session.site.line.customers_in_leaves and doc.get("customer_name") is None:
            raise SiteError("AttributeError", "'NoneType' object has no attribute 'strip'")

    def validate(self, session: Session, doc: Doc) -> None:
        if not doc.get("is_internal_customer"):
            doc["represents_company"] = None
        in_node = session.value("Customer Group", doc.get("customer_group"), "is_group")
        if session.site.line.customers_in_leaves and in_node:
            raise thrown(
                "Cannot select a Group type Customer Group. Please select a non-group Customer Group.",
                title="Invalid Customer Group",
            )
        _check_party_accounts(session, doc)

    def autoname(self, session: Session, doc: Doc) -> str | None:
        name = str(doc.get("customer_name") or "").strip()
        if not name or not session.exists("Customer", name):
            return name or None
        number = 1
        while session.exists("Customer", f"{name} - {number}"):
            number += 1
        return f"{name} - {number}"


class User(Controller):
    """Named by the mail address."""

    def autoname(self, session: Session, doc: Doc) -> str | None:
        del session
        email = str(doc.get("email") or "").strip()
        return email.lower() if "@" in email else email

    def validate(self, session: Session, doc: Doc) -> None:
        doc["full_name"] = doc.get("full_name") or doc.get("first_name")
        if session.site.line.system_users_see_tracebacks:
            desk = any(session.value("Role", row.get("role"), "desk_access") for row in doc.rows("roles"))
            doc["user_type"] = "System User" if desk or doc.name == "Administrator" else "Website User"


class FiscalYear(Controller):
    """Start before end, no overlap."""

    def validate(self, session: Session, doc: Doc) -> None:
        start, end = as_date(doc["year_start_date"]), as_date(doc["year_end_date"])
        if end <= start:
            raise thrown("Fiscal Year End Date should be one year after Fiscal Year Start Date")
        found = session.site.db.one(
            f"SELECT name FROM {table('Fiscal Year')} WHERE name <> ? AND year_start_date <= ? AND year_end_date >= ?",
            (doc.name, end.isoformat(), start.isoformat()),
        )
        if found:
            raise thrown(
                f"Year start date or end date is overlapping with {found[0]}. To avoid please set company"
            )


class AccountingPeriod(Controller):
    """No two of one company may overlap."""

    def validate(self, session: Session, doc: Doc) -> None:
        found = session.site.db.one(
            f"SELECT name FROM {table('Accounting Period')} WHERE name <> ? AND company = ? AND start_date <= ?"
            " AND end_date >= ?",
            (doc.name, doc["company"], str(doc["end_date"]), str(doc["start_date"])),
        )
        if found:
            error = thrown(f"Accounting Period overlaps with {found[0]}")
            raise SiteError("OverlapError", error.text, server_messages=error.server_messages)


CONTROLLERS: dict[str, Controller] = {
    "Account": Account("parent_account"),
    "Cost Center": CostCenter("parent_cost_center"),
    "Accounting Dimension": AccountingDimension(),
    "Customer Group": CustomerGroup("parent_customer_group"),
    "Territory": Tree("parent_territory"),
    "Item Group": Tree("parent_item_group"),
    "Warehouse": Warehouse("parent_warehouse"),
    "Price List": PriceList(),
    "POS Profile": POSProfile(),
    "Customer": Customer(),
    "User": User(),
    "Fiscal Year": FiscalYear(),
    "Accounting Period": AccountingPeriod(),
}
