"""Company, accounts, groups, items, outlets, users: what is there before the first sale."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
    from scoopjoy_dagster.sandbox.erpnext.session import Session

COMPANY = "ScoopJoy"
ABBR = "SJ"
WALK_IN = "Walk-in Customer"
PRICE_LIST = "Standard Selling"

#: Account name, parent, account type, is group. Roots carry their root type in place of the account type.
_ROOTS = (
    ("Application of Funds (Assets)", "Asset"),
    ("Source of Funds (Liabilities)", "Liability"),
    ("Income", "Income"),
    ("Expenses", "Expense"),
)
_ACCOUNTS = (
    ("Accounts Receivable", "Application of Funds (Assets)", "", True),
    ("Debtors", "Accounts Receivable", "Receivable", False),
    ("Cash In Hand", "Application of Funds (Assets)", "Cash", True),
    ("Cash", "Cash In Hand", "Cash", False),
    ("Bank Accounts", "Application of Funds (Assets)", "Bank", True),
    ("HDFC Bank", "Bank Accounts", "Bank", False),
    ("Card Clearing", "Bank Accounts", "Bank", False),
    ("Duties and Taxes", "Source of Funds (Liabilities)", "Tax", True),
    ("GST Output", "Duties and Taxes", "Tax", False),
    ("Creditors", "Source of Funds (Liabilities)", "Payable", False),
    ("Temporary Opening", "Application of Funds (Assets)", "Temporary", False),
    ("Direct Income", "Income", "", True),
    ("Sales", "Direct Income", "Income Account", False),
    ("Royalty Income", "Direct Income", "Income Account", False),
    ("Indirect Expenses", "Expenses", "", True),
    ("Cost of Goods Sold", "Indirect Expenses", "Cost of Goods Sold", False),
    ("Round Off", "Indirect Expenses", "Round Off", False),
    ("Write Off", "Indirect Expenses", "", False),
)

_ITEMS = (
    ("SJ-VAN-500", "Vanilla Tub 500ml", 180),
    ("SJ-CHO-500", "Chocolate Tub 500ml", 210),
    ("SJ-MAN-CONE", "Mango Cone", 60),
    ("SJ-KUL-STK", "Kulfi Stick", 45),
    ("SJ-SUPPLY", "Franchise Supplies", 0),
)


@dataclass(frozen=True, slots=True)
class Outlet:
    """An outlet of the chain: its POS Profile and its cashier."""

    profile: str
    cashier: str


OUTLETS = tuple(
    Outlet(f"POS {place}", f"cashier.{place.lower().replace(' ', '')}@scoopjoy.example")
    for place in ("Bandra", "Indiranagar", "T Nagar", "Koregaon Park", "Salt Lake", "Jubilee Hills")
)


@dataclass(frozen=True, slots=True)
class Franchise:
    """A franchise: its customer group and its royalty terms, once those fields exist."""

    name: str
    group: str
    percentage: Decimal | None = None
    exempt: bool = False
    disabled: bool = False


FRANCHISES = (
    Franchise("Franchise Koramangala", "Owned Outlets", Decimal("4.5")),
    Franchise("Franchise Indiranagar", "Owned Outlets"),
    Franchise("Franchise Bandra", "Owned Outlets", Decimal(6)),
    Franchise("Franchise Hebbal", "Owned Outlets", exempt=True),
    Franchise("Franchise Thane", "Partner Outlets", Decimal("7.5")),
    Franchise("Franchise T Nagar", "Partner Outlets", Decimal("5.25")),
    Franchise("Franchise Viman Nagar", "Partner Outlets"),
    Franchise("Franchise Mylapore", "Franchise", Decimal("12.5")),
    Franchise("Franchise Saket", "Partner Outlets", Decimal(5), disabled=True),
    Franchise("Franchise Banjara Hills", "Metro Partners", Decimal(8)),
    Franchise("Franchise Salt Lake", "Metro Partners", Decimal("6.75")),
    Franchise('Gelato "N" Go / Pune & Co 🍦', "Metro Partners", Decimal("7.125")),
    Franchise("O'Cone's Café \\ Goa", "Metro Partners"),
)
#: Groups with members of their own and groups below: where the members are on lines that take none in such a group.
_LEAVES = {"Franchise": "Franchise Stores", "Partner Outlets": "Partner Stores"}
WHOLESALE = ("Hotel Blue Lagoon", "Sunrise Caterers", "Metro Mart Retail")

_USERS: tuple[tuple[str, str, tuple[str, ...], bool], ...] = (
    ("owner@scoopjoy.example", "Owner", ("System Manager", "Accounts Manager", "Sales Manager"), True),
    ("it.admin@scoopjoy.example", "IT Admin", ("System Manager",), True),
    ("sales.head@scoopjoy.example", "Sales Head", ("Sales Manager",), True),
    ("ops.manager@scoopjoy.example", "Operations Manager", ("Sales Manager", "Sales User"), True),
    ("regional.manager@scoopjoy.example", "Regional Manager", ("Sales Manager",), True),
    ("former.manager@scoopjoy.example", "Former Manager", ("Sales Manager",), False),
    ("accountant@scoopjoy.example", "Accountant", ("Accounts Manager", "Accounts User"), True),
    ("limited@scoopjoy.example", "Limited", (), True),
)


REPORT_READERS = tuple(user for user, _, roles, _ in _USERS if roles[:1] == ("Sales Manager",))
"""The managers, one of whom has left."""


def _add(session: Session, doctype: str, **values: Any) -> str:
    return session.insert(session.new(doctype, values)).name


def member_group(world: SandboxERPNext, group: str) -> str:
    """The customer group in which members of a group are: a leaf beside its subgroups, on lines that ask for one."""
    return _LEAVES.get(group, group) if world.line.customers_in_leaves else group


def master_data(world: SandboxERPNext, *, invoice_type: str = "POS Invoice") -> None:
    """Fill an empty site with the chain's masters; does nothing if the company exists.

    ``invoice_type``: What its tills make, ``POS Invoice`` or ``Sales Invoice``; the second is known from v16 on.
    """
    session = world.session()
    with world.site.transaction():
        if session.exists("Company", COMPANY):
            return
        _add(session, "Company", company_name=COMPANY, abbr=ABBR, default_currency="INR", country="India")
        _accounts(session)
        _periods(session, world.site.clock().date())
        _groups(session, leaves=world.line.customers_in_leaves)
        _items(session)
        _users(session)
        _shelves(session)
        _outlets(session)
        _customers(session)
        _add(
            session,
            "Currency Exchange",
            date="2020-01-01",
            from_currency="USD",
            to_currency="INR",
            exchange_rate=84.15,
        )
        if world.line.invoice_modes:
            settings = session.load("POS Settings", "POS Settings")
            session.amend(settings, {"invoice_type": invoice_type})
            session.save(settings)


def _accounts(session: Session) -> None:
    for name, root in _ROOTS:
        _add(session, "Account", account_name=name, company=COMPANY, root_type=root, is_group=1)
    for name, parent, kind, is_group in _ACCOUNTS:
        _add(
            session,
            "Account",
            account_name=name,
            company=COMPANY,
            parent_account=f"{parent} - {ABBR}",
            account_type=kind,
            is_group=int(is_group),
        )
    _add(session, "Cost Center", cost_center_name=COMPANY, company=COMPANY, is_group=1)
    _add(
        session,
        "Cost Center",
        cost_center_name="Main",
        company=COMPANY,
        parent_cost_center=f"{COMPANY} - {ABBR}",
    )
    company = session.load("Company", COMPANY)
    accounts = {
        "default_receivable_account": "Debtors",
        "default_payable_account": "Creditors",
        "default_income_account": "Sales",
        "default_expense_account": "Cost of Goods Sold",
        "default_cash_account": "Cash",
        "default_bank_account": "HDFC Bank",
        "round_off_account": "Round Off",
        "write_off_account": "Write Off",
        "round_off_cost_center": "Main",
        "cost_center": "Main",
    }
    session.amend(company, {key: f"{name} - {ABBR}" for key, name in accounts.items()})
    session.save(company)
    defaults = session.load("Global Defaults", "Global Defaults")
    session.amend(defaults, {"default_company": COMPANY, "default_currency": "INR", "country": "India"})
    session.save(defaults)


def _periods(session: Session, today: date) -> None:
    """Fiscal years from April to March: the last one, this one and the next."""
    start = today.year if today.month >= 4 else today.year - 1
    for year in (start - 1, start, start + 1):
        _add(
            session,
            "Fiscal Year",
            year=f"{year}-{year + 1}",
            year_start_date=f"{year}-04-01",
            year_end_date=f"{year + 1}-03-31",
        )


def _groups(session: Session, *, leaves: bool) -> None:
    def group(name: str, parent: str | None, *, is_group: bool) -> None:
        _add(
            session,
            "Customer Group",
            customer_group_name=name,
            parent_customer_group=parent,
            is_group=int(is_group),
        )

    group("All Customer Groups", None, is_group=True)
    group("Individual", "All Customer Groups", is_group=False)
    group("Commercial", "All Customer Groups", is_group=False)
    group("Franchise", "All Customer Groups", is_group=True)
    group("Owned Outlets", "Franchise", is_group=False)
    group("Partner Outlets", "Franchise", is_group=True)
    group("Metro Partners", "Partner Outlets", is_group=False)
    for above, leaf in _LEAVES.items() if leaves else ():
        group(leaf, above, is_group=False)
    _add(session, "Territory", territory_name="All Territories", is_group=1)
    _add(session, "Territory", territory_name="India", parent_territory="All Territories")


def _items(session: Session) -> None:
    _add(session, "UOM", uom_name="Nos", must_be_whole_number=1)
    _add(session, "Item Group", item_group_name="All Item Groups", is_group=1)
    _add(session, "Item Group", item_group_name="Products", parent_item_group="All Item Groups")
    for code, name, rate in _ITEMS:
        _add(
            session,
            "Item",
            item_code=code,
            item_name=name,
            description=name,
            item_group="Products",
            stock_uom="Nos",
            is_stock_item=0,
            standard_rate=rate,
        )


def _shelves(session: Session) -> None:
    """Where the goods lie and what they are sold for, as the set-up wizard of ERPNext names them."""
    _add(session, "Price List", price_list_name=PRICE_LIST, currency="INR", selling=1)
    _add(session, "Warehouse", warehouse_name="All Warehouses", company=COMPANY, is_group=1)
    above = f"All Warehouses - {ABBR}"
    _add(session, "Warehouse", warehouse_name="Stores", company=COMPANY, parent_warehouse=above)


def _users(session: Session) -> None:
    cashiers = tuple(
        (outlet.cashier, f"Cashier {outlet.profile[4:]}", ("Sales User", "Accounts User"), True)
        for outlet in OUTLETS
    )
    for email, name, roles, enabled in (*_USERS, *cashiers):
        _add(
            session,
            "User",
            email=email,
            first_name=name,
            enabled=int(enabled),
            roles=[{"role": role} for role in roles],
        )


def _outlets(session: Session) -> None:
    for mode, kind, account in (
        ("Cash", "Cash", "Cash"),
        ("Card", "Bank", "Card Clearing"),
        ("UPI", "Bank", "HDFC Bank"),
    ):
        _add(
            session,
            "Mode of Payment",
            mode_of_payment=mode,
            type=kind,
            accounts=[{"company": COMPANY, "default_account": f"{account} - {ABBR}"}],
        )
    for outlet in OUTLETS:
        _add(
            session,
            "POS Profile",
            __newname=outlet.profile,
            company=COMPANY,
            warehouse=f"Stores - {ABBR}",
            selling_price_list=PRICE_LIST,
            currency="INR",
            write_off_account=f"Write Off - {ABBR}",
            write_off_cost_center=f"Main - {ABBR}",
            account_for_change_amount=f"Cash - {ABBR}",
            cost_center=f"Main - {ABBR}",
            payments=[
                {"mode_of_payment": mode, "default": int(mode == "Cash")} for mode in ("Cash", "Card", "UPI")
            ],
            applicable_for_users=[{"user": outlet.cashier, "default": 1}],
        )


def _customers(session: Session) -> None:
    _add(
        session,
        "Customer",
        customer_name=WALK_IN,
        customer_type="Individual",
        customer_group="Individual",
        territory="India",
    )
    for name in WHOLESALE:
        _add(session, "Customer", customer_name=name, customer_group="Commercial", territory="India")


def set_royalty_terms(world: SandboxERPNext) -> int:
    """Fill the customers' royalty fields where setup has installed them; returns how many customers changed."""
    session = world.session()
    changed = 0
    with world.site.transaction():
        known = world.site.meta("Customer").by_name
        for franchise in FRANCHISES:
            if not session.exists("Customer", franchise.name):
                continue
            terms: dict[str, Any] = {}
            if "custom_royalty_percentage" in known and franchise.percentage is not None:
                terms["custom_royalty_percentage"] = float(franchise.percentage)
            if "custom_royalty_exempt" in known and franchise.exempt:
                terms["custom_royalty_exempt"] = 1
            if terms:
                doc = session.load("Customer", franchise.name)
                session.amend(doc, terms)
                session.save(doc)
                changed += 1
    return changed


def give_report_role(world: SandboxERPNext, role: str) -> None:
    """Give the chain's managers a role that setup has made."""
    session = world.session()
    with world.site.transaction():
        for user in REPORT_READERS:
            doc = session.load("User", user)
            had = [row["role"] for row in doc.rows("roles")]
            session.amend(doc, {"roles": [{"role": one} for one in dict.fromkeys([*had, role])]})
            session.save(doc)
