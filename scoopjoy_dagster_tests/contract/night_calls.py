"""The calls that a night makes, but for those on DocTypes of our own.

Held against a night by `two_lines/test_roles.py`, and against ERPNext's permissions by `test_roles_of_the_close.py`.
"""

from __future__ import annotations

from .shifts import TAKINGS

LISTS: dict[str, tuple[list[str], str | None]] = {
    "Account": (["name", "account_type", "account_currency"], None),
    "Accounting Dimension": (["name", "fieldname", "dimension_defaults.company"], None),
    "Accounting Period": (["name", "start_date", "end_date"], None),
    "Company": (["name", "abbr", "default_currency", "cost_center", "default_receivable_account"], None),
    "Cost Center": (["name", "company", "is_group"], None),
    "Customer": (["name", "customer_group", "accounts.company", "accounts.account"], None),
    "Customer Group": (["name", "accounts.company", "accounts.account"], None),
    "File": (["name", "file_name", "attached_to_name"], None),
    "Fiscal Year": (["name", "year_start_date", "year_end_date"], None),
    "GL Entry": (["name", "voucher_no", "account", "party", "debit", "credit"], None),
    "Has Role": (["parent"], "User"),
    "Journal Entry": (["name", "docstatus", "accounts.account", "accounts.debit"], None),
    "Journal Entry Account": (["parent", "account", "party", "debit", "credit"], "Journal Entry"),
    "Mode of Payment Account": (["parent", "default_account"], "Mode of Payment"),
    "POS Closing Entry": (["name", "status", "payment_reconciliation.mode_of_payment"], None),
    "POS Invoice": (["name", "customer", "consolidated_invoice"], None),
    "POS Invoice Reference": (["parent", "pos_invoice"], "POS Closing Entry"),
    "POS Opening Entry": (["name", "pos_profile", "user", "status"], None),
    "POS Opening Entry Detail": (["parent", "mode_of_payment", "opening_amount"], "POS Opening Entry"),
    "POS Profile": (["name", "company"], None),
    "Period Closing Voucher": (["name"], None),
    "Sales Invoice": (["name", "customer", "base_grand_total", "is_return"], None),
    "Sales Invoice Payment": (["parent", "mode_of_payment", "amount"], "POS Invoice"),
    "Sales Taxes and Charges": (["parent", "account_head", "tax_amount"], "POS Invoice"),
    "User": (["name", "email", "enabled"], None),
}
"""Lists: fields, and the DocType of the parent for rows of a table."""

LISTS_SINCE_V16: dict[str, tuple[list[str], str | None]] = {
    "Sales Invoice Reference": (["parent", "sales_invoice"], "POS Closing Entry"),
}

OWN_PERMISSIONS = "frappe.core.doctype.user_permission.user_permission.get_user_permissions"
QUESTIONS = [
    "frappe.auth.get_logged_user",
    "frappe.utils.change_log.get_versions",
    "frappe.client.get_time_zone",
    OWN_PERMISSIONS,
]
"""Methods without arguments."""

FORM = "frappe.desk.form.load.getdoctype"
FORMS = ["Customer", "Sales Invoice", "POS Invoice", "POS Opening Entry"]
"""DocTypes whose rules are asked for, in the form of the desk."""

WRITES = {
    ("POST", "POS Closing Entry"),
    ("PUT", "POS Closing Entry"),
    ("frappe.client.insert_many", "Journal Entry"),
    ("frappe.client.insert_many", "File"),
}
READ_ONE = {("GET", "POS Closing Entry")}

COVERED = {
    *(("frappe.client.get_list", doctype) for doctype in [*LISTS, *LISTS_SINCE_V16]),
    *((method, "") for method in [*QUESTIONS, *TAKINGS.values()]),
    *((FORM, doctype) for doctype in FORMS),
    *WRITES,
    *READ_ONE,
}
"""What `test_roles_of_the_close.py` tries: the method, or the HTTP verb of /api/resource, and the DocType."""
