"""What the DocTypes of v16 and later have otherwise than those of v15."""

from __future__ import annotations

TEXT = """
+ Company
accounts_frozen_till_date: Date
role_allowed_for_frozen_entries: Link(Role)

- Accounts Settings: acc_frozen_upto frozen_accounts_modifier

+ Journal Entry
party_not_required: Check N
custom_remark: Check

+ POS Profile
allow_partial_payment: Check

+ POS Settings
invoice_type: Select(Sales Invoice|POS Invoice) = Sales Invoice "Invoice Type"
post_change_gl_entries: Check

- POS Closing Entry: company pos_profile pos_transactions
+ POS Closing Entry
company: Link(Company) * <~ pos_opening_entry.company
pos_profile: Link(POS Profile) * <~ pos_opening_entry.pos_profile
total_taxes_and_charges: Currency
pos_invoices: Table(POS Invoice Reference) "POS Transactions"
sales_invoices: Table(Sales Invoice Reference) "Sales Invoice Transactions"

- POS Closing Entry Taxes: rate

# Sales Invoice Reference | hash | child |
sales_invoice: Link(Sales Invoice) *
posting_date: Date * "Date"
customer: Link(Customer) * <- sales_invoice.customer
grand_total: Currency * <- sales_invoice.grand_total "Amount"
is_return: Check <- sales_invoice.is_return
return_against: Link(Sales Invoice) <- sales_invoice.return_against

+ POS Invoice Merge Log
company: Link(Company) *

- POS Invoice: status
+ POS Invoice
status: Select(|Draft|Return|Credit Note Issued|Consolidated|Submitted|Paid|Partly Paid|Unpaid|Overdue|Cancelled) N = Draft

- Sales Invoice: is_opening
+ Sales Invoice
is_opening: Select(No|Yes) = No
is_created_using_pos: Check "Is created using POS"
pos_closing_entry: Link(POS Closing Entry)

+ Sales Invoice Item
pos_invoice: Link(POS Invoice) N

= User | System Manager:rwcd, Desk User:l
"""
