"""The books that the contract is tested on: found where the site has them, made under the run's prefix where not.

Nothing here depends on the name of the company, its chart of accounts, its language or its naming rules: every
name is read from the site, and every document that the suite makes is used by the name that the server gave it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .site import Caller, Site

KEEPER_ROLES = [
    "System Manager",
    "Accounts Manager",
    "Accounts User",
    "Sales Manager",
    "Sales Master Manager",
    "Sales User",
    "Stock Manager",
    "Item Manager",
]

# Custom fields stay on the site under these fixed names: every new name would be a new database column.
KEY = "custom_sjc_contract_key"
NOTE = "custom_sjc_contract_note"
POS_NOTE = "custom_sjc_contract_pos_note"
LOCK = "custom_sjc_contract_lock"
PERCENT = "custom_sjc_contract_percent"
CUSTOM_FIELDS = (
    {
        "dt": "Journal Entry",
        "fieldname": KEY,
        "label": "SJC Contract Key",
        "fieldtype": "Data",
        "insert_after": "user_remark",
        "unique": 1,
        "no_copy": 1,
        "read_only": 1,
    },
    {
        "dt": "Sales Invoice",
        "fieldname": NOTE,
        "label": "SJC Contract Note",
        "fieldtype": "Data",
        "insert_after": "remarks",
        "no_copy": 1,
        "allow_on_submit": 1,
    },
    {
        "dt": "POS Invoice",
        "fieldname": POS_NOTE,
        "label": "SJC Contract POS Note",
        "fieldtype": "Data",
        "insert_after": "remarks",
        "no_copy": 1,
        "allow_on_submit": 1,
    },
    {
        "dt": "Sales Invoice",
        "fieldname": LOCK,
        "label": "SJC Contract Lock",
        "fieldtype": "Data",
        "insert_after": "remarks",
        "no_copy": 1,
    },
    {
        "dt": "Customer",
        "fieldname": PERCENT,
        "label": "SJC Contract Percent",
        "fieldtype": "Percent",
        "insert_after": "customer_group",
    },
)
TAX_PERCENT = 5
RATE = 100  # company currency, without tax


def money(value: Any) -> Decimal:
    """An amount of the wire (a JSON number) as two-decimal money."""
    return Decimal(str(value)).quantize(Decimal("0.01"))


@dataclass
class Books:
    """Names of the master data, all of one company."""

    prefix: str
    company: str
    currency: str
    receivable: str
    income: str
    income_group: str
    tax: str
    cash: str
    write_off: str
    temporary: str  # of the balance sheet, for opening balances
    cost_center: str
    warehouse: str
    price_list: str
    franchises: str  # the parent of the two customer groups below
    north: str
    south: str
    territory: str | None
    item: str
    unit: str
    mode: str  # of payment, with an account of the company
    today: dt.date  # by the clock of the site
    other_day: dt.date  # next to today and in a fiscal year too
    first_fiscal_day: dt.date  # of the oldest fiscal year
    no_fiscal_year: dt.date  # a day that no fiscal year covers

    @property
    def day(self) -> str:
        return self.today.isoformat()

    def customer(self, caller: Caller, label: str, group: str | None = None, **fields: Any) -> str:
        body = self.customer_body(label, group, **fields)
        return str(caller.insert("Customer", **body).value["name"])

    def customer_body(self, label: str, group: str | None = None, **fields: Any) -> dict[str, Any]:
        territory = {"territory": self.territory} if self.territory else {}
        return {
            "customer_name": f"{self.prefix} {label}",
            "customer_type": "Company",
            "customer_group": group or self.north,
            **territory,
            **fields,
        }

    def taxes(self) -> list[dict[str, Any]]:
        """One tax row of our own, so that no default tax template of the site applies."""
        return [
            {
                "charge_type": "On Net Total",
                "account_head": self.tax,
                "description": "Tax",
                "rate": TAX_PERCENT,
                "cost_center": self.cost_center,
            }
        ]

    def items(self, qty: int, rate: int = RATE) -> list[dict[str, Any]]:
        row = {"item_code": self.item, "qty": qty, "rate": rate}
        return [{**row, "income_account": self.income, "cost_center": self.cost_center}]

    def invoice(self, customer: str, qty: int = 1, **fields: Any) -> dict[str, Any]:
        """A Sales Invoice over qty x 100 plus 5 % tax, on the site's today."""
        return {
            "customer": customer,
            "company": self.company,
            "currency": self.currency,
            "selling_price_list": self.price_list,
            "debit_to": self.receivable,
            "set_posting_time": 1,
            "posting_date": self.day,
            "due_date": self.day,
            "disable_rounded_total": 1,
            "items": self.items(qty),
            "taxes": self.taxes(),
            **fields,
        }

    def royalty(self, customer: str, amount: float = 100, **fields: Any) -> dict[str, Any]:
        """A Journal Entry of the royalty form: receivable with the party against income without one."""
        return {
            "voucher_type": "Journal Entry",
            "company": self.company,
            "posting_date": self.day,
            "accounts": [
                {
                    "account": self.receivable,
                    "party_type": "Customer",
                    "party": customer,
                    "debit_in_account_currency": amount,
                    "cost_center": self.cost_center,
                },
                {
                    "account": self.income,
                    "credit_in_account_currency": amount,
                    "cost_center": self.cost_center,
                },
            ],
            **fields,
        }


def open_books(site: Site, keeper: Caller) -> Books:
    """Find what the tests need; what is missing the keeper makes, who has the roles for master data."""
    company = _company(site.robot)
    name = company["name"]
    group = _root(keeper, "Customer Group", "parent_customer_group")
    made = keeper.insert(
        "Customer Group",
        customer_group_name=f"{site.prefix} Franchise",
        parent_customer_group=group,
        is_group=1,
    ).value
    franchises = made["name"]
    today = dt.date.fromisoformat(made["creation"][:10])
    north, south = (
        keeper.insert(
            "Customer Group",
            customer_group_name=f"{site.prefix} {label}",
            parent_customer_group=franchises,
            is_group=0,
        ).value["name"]
        for label in ("North", "South")
    )
    fiscal_years = _fiscal_years(site.robot, today)
    income_group = _group_account(keeper, name, "Income")
    accounts = {
        label: account_of(keeper, name, f"{site.prefix} {label}", root, account_type)
        for label, root, account_type in (
            ("Royalty", "Income", "Income Account"),
            ("Sales Tax", "Liability", "Tax"),
            ("Till", "Asset", "Cash"),
            ("Write Off", "Expense", "Expense Account"),
            ("Opening", "Asset", "Temporary"),
        )
    }
    cost_center = company.get("cost_center") or _first(
        keeper, "Cost Center", [["company", "=", name], ["is_group", "=", 0]]
    )
    warehouse = _first(keeper, "Warehouse", [["company", "=", name], ["is_group", "=", 0]]) or str(
        keeper.insert("Warehouse", warehouse_name=f"{site.prefix} Store", company=name).value["name"]
    )
    price_list = keeper.insert(
        "Price List",
        price_list_name=f"{site.prefix} Selling",
        currency=company["default_currency"],
        selling=1,
        enabled=1,
    ).value["name"]
    item_group = keeper.insert(
        "Item Group",
        item_group_name=f"{site.prefix} Scoops",
        parent_item_group=_root(keeper, "Item Group", "parent_item_group"),
        is_group=0,
    ).value["name"]
    unit = str(_first(keeper, "UOM", [["name", "=", "Nos"]]) or _first(keeper, "UOM", []))
    item = keeper.insert(
        "Item",
        item_code=f"{site.prefix}-CONE",
        item_name=f"{site.prefix} Cone",
        item_group=item_group,
        stock_uom=unit,
        is_stock_item=0,
        is_sales_item=1,
    ).value["name"]
    mode = keeper.insert(
        "Mode of Payment",
        mode_of_payment=f"{site.prefix} Cash",
        type="Cash",
        enabled=1,
        accounts=[{"company": name, "default_account": accounts["Till"]}],
    ).value["name"]
    for custom_field in CUSTOM_FIELDS:
        _ensure_custom_field(site.robot, custom_field)
    return Books(
        prefix=site.prefix,
        company=name,
        currency=company["default_currency"],
        receivable=company["default_receivable_account"],
        income=accounts["Royalty"],
        income_group=income_group,
        tax=accounts["Sales Tax"],
        cash=accounts["Till"],
        write_off=accounts["Write Off"],
        temporary=accounts["Opening"],
        cost_center=str(cost_center),
        warehouse=warehouse,
        price_list=price_list,
        franchises=franchises,
        north=north,
        south=south,
        territory=_first(keeper, "Territory", [["is_group", "=", 0]]),
        item=item,
        unit=unit,
        mode=mode,
        today=today,
        other_day=next(
            day
            for day in (today - dt.timedelta(days=1), today + dt.timedelta(days=1))
            if any(start <= day <= end for start, end in fiscal_years)
        ),
        first_fiscal_day=fiscal_years[0][0],
        no_fiscal_year=fiscal_years[0][0] - dt.timedelta(days=400),
    )


def _company(robot: Caller) -> dict[str, Any]:
    """The first company whose books the set-up wizard completed, a parent rather than a subsidiary."""
    names = [row["name"] for row in robot.rows("Company", ["name"], order_by="lft asc, creation asc")]
    for name in names:
        company: dict[str, Any] = robot.get("Company", name).value
        if company.get("default_receivable_account") and company.get("default_currency"):
            return company
    message = (
        f"No Company of the site has a default receivable account: complete the set-up wizard (found {names})"
    )
    raise AssertionError(message)


def _fiscal_years(robot: Caller, today: dt.date) -> list[tuple[dt.date, dt.date]]:
    """First and last days of the fiscal years, the oldest first; today's is made if it is missing."""
    fields = ["year_start_date", "year_end_date"]
    years = robot.rows("Fiscal Year", fields, [["disabled", "=", 0]])
    spans = [tuple(dt.date.fromisoformat(year[name]) for name in fields) for year in years]
    if not any(start <= today <= end for start, end in spans):
        start, end = dt.date(today.year, 1, 1), dt.date(today.year, 12, 31)
        dates = dict(zip(fields, (start.isoformat(), end.isoformat()), strict=True))
        robot.insert("Fiscal Year", year=str(today.year), **dates).accepted()
        spans.append((start, end))
    return sorted((start, end) for start, end in spans)


def _root(keeper: Caller, doctype: str, parent_field: str) -> str:
    rows = keeper.rows(doctype, ["name", parent_field], [["is_group", "=", 1]], order_by="lft asc")
    return str(next(row["name"] for row in rows if not row[parent_field]))


def _first(keeper: Caller, doctype: str, filters: list[Any]) -> str | None:
    rows = keeper.rows(doctype, ["name"], filters, limit_page_length=1)
    return str(rows[0]["name"]) if rows else None


def _group_account(keeper: Caller, company: str, root_type: str) -> str:
    """The deepest-lying group of a root type: the roots themselves take no accounts of the suite."""
    filters = [["company", "=", company], ["is_group", "=", 1], ["root_type", "=", root_type]]
    rows = keeper.rows("Account", ["name", "parent_account"], filters, order_by="lft asc")
    return str(next((row["name"] for row in rows if row["parent_account"]), rows[0]["name"]))


def account_of(
    keeper: Caller, company: str, label: str, root_type: str, account_type: str, **fields: Any
) -> str:
    parent = _group_account(keeper, company, root_type)
    body = {"account_name": label, "company": company, "parent_account": parent, "account_type": account_type}
    return str(keeper.insert("Account", **body, is_group=0, **fields).value["name"])


def _ensure_custom_field(robot: Caller, custom_field: dict[str, Any]) -> None:
    """Another run may be making the same field at this moment: what counts is that it is there afterwards."""
    which = [["dt", "=", custom_field["dt"]], ["fieldname", "=", custom_field["fieldname"]]]
    if robot.rows("Custom Field", ["name"], which):
        return
    made = robot.insert("Custom Field", **custom_field)
    assert robot.rows("Custom Field", ["name"], which), made.summary()
