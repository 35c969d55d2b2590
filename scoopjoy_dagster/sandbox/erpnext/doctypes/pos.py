"""DocTypes of the point of sale: profile, opening, closing, merge log, settings."""

from __future__ import annotations

TEXT = """
# POS Profile | Prompt | | Accounts Manager:rwcd, Accounts User:r
disabled: Check
customer: Link(Customer)
company: Link(Company) *
country: Read Only <- company.country
warehouse: Link(Warehouse) *
currency: Link(Currency) *
selling_price_list: Link(Price List)
write_off_account: Link(Account) *
write_off_cost_center: Link(Cost Center) *
write_off_limit: Currency = 1
account_for_change_amount: Link(Account)
income_account: Link(Account)
expense_account: Link(Account)
cost_center: Link(Cost Center)
apply_discount_on: Select(Grand Total|Net Total) = Grand Total
disable_rounded_total: Check
update_stock: Check
payments: Table(POS Payment Method) *
applicable_for_users: Table(POS Profile User)

# POS Payment Method | hash | child |
default: Check
allow_in_returns: Check
mode_of_payment: Link(Mode of Payment) *

# POS Profile User | hash | child |
default: Check
user: Link(User)

# POS Settings | | single | System Manager:rw, Accounts User:rw, Sales User:rw
invoice_fields: Table(POS Field)

# POS Field | hash | child |
fieldname: Data
label: Data
fieldtype: Data
options: Text

# POS Opening Entry | POS-OPE-.YYYY.-.##### | submittable | System Manager:rwcsxd, Sales Manager:rwcsx
period_start_date: Datetime *
period_end_date: Date
status: Select(Draft|Open|Closed|Cancelled) ! = Draft
posting_date: Date * = Today
set_posting_date: Check
company: Link(Company) *
pos_profile: Link(POS Profile) *
pos_closing_entry: Data !
user: Link(User) * "Cashier"
amended_from: Link(POS Opening Entry) N
balance_details: Table(POS Opening Entry Detail) * "Opening Balance Details"

# POS Opening Entry Detail | hash | child |
mode_of_payment: Link(Mode of Payment) *
opening_amount: Currency

# POS Closing Entry | POS-CLO-.YYYY.-.##### | submittable | System Manager:rwcsxd, Sales Manager:rwcsx
period_start_date: Datetime * <- pos_opening_entry.period_start_date
period_end_date: Datetime * = Today
posting_date: Date * = Today
posting_time: Time *N = Now
pos_opening_entry: Link(POS Opening Entry) *
status: Select(Draft|Submitted|Queued|Failed|Cancelled) ! = Draft
company: Link(Company) *
pos_profile: Link(POS Profile) * <- pos_opening_entry.pos_profile
user: Link(User) * <- pos_opening_entry.user "Cashier"
@Currency grand_total net_total
total_quantity: Float
error_message: Small Text
amended_from: Link(POS Closing Entry) N
payment_reconciliation: Table(POS Closing Entry Detail)
pos_transactions: Table(POS Invoice Reference)
taxes: Table(POS Closing Entry Taxes)

# POS Closing Entry Detail | hash | child |
mode_of_payment: Link(Mode of Payment) *
opening_amount: Currency
expected_amount: Currency
closing_amount: Currency
difference: Currency

# POS Closing Entry Taxes | hash | child |
account_head: Link(Account)
rate: Percent
amount: Currency

# POS Invoice Reference | hash | child |
pos_invoice: Link(POS Invoice) *
posting_date: Date * <- pos_invoice.posting_date "Date"
customer: Link(Customer) * <- pos_invoice.customer
grand_total: Currency * <- pos_invoice.grand_total "Amount"
is_return: Check <- pos_invoice.is_return
return_against: Link(POS Invoice) <- pos_invoice.return_against

# POS Invoice Merge Log | hash | submittable | System Manager:rwcsxd, Sales Manager:rwcsxd, Sales User:rwcd
posting_date: Date *
posting_time: Time *N
merge_invoices_based_on: Select(Customer|Customer Group) *
pos_closing_entry: Link(POS Closing Entry)
customer: Link(Customer) *
customer_group: Link(Customer Group)
consolidated_invoice: Link(Sales Invoice) !
consolidated_credit_note: Link(Sales Invoice) !
amended_from: Link(POS Invoice Merge Log) N
pos_invoices: Table(POS Invoice Reference) *
"""
