"""DocTypes of the books: company, accounts, journal entries, the ledgers, periods."""

from __future__ import annotations

_VOUCHERS = (
    "Journal Entry|Inter Company Journal Entry|Bank Entry|Cash Entry|Credit Card Entry|Debit Note|Credit Note"
    "|Contra Entry|Excise Entry|Write Off Entry|Opening Entry|Depreciation Entry|Exchange Rate Revaluation"
    "|Exchange Gain Or Loss|Deferred Revenue|Deferred Expense"
)

_ACCOUNT_TYPES = (
    "|Bank|Cash|Receivable|Payable|Income Account|Expense Account|Cost of Goods Sold|Round Off|Stock|Tax"
    "|Equity|Fixed Asset|Temporary|Chargeable|Depreciation|Direct Income|Indirect Income|Direct Expense"
)

TEXT = f"""
# Company | field:company_name | | System Manager:rwcd, Accounts User:r, Sales User:r, Accounts Manager:rwcd
company_name: Data *U
abbr: Data *
is_group: Check
parent_company: Link(Company)
default_currency: Link(Currency) *
country: Link(Country) *
default_bank_account: Link(Account)
default_cash_account: Link(Account)
default_receivable_account: Link(Account)
default_payable_account: Link(Account)
default_income_account: Link(Account)
default_expense_account: Link(Account)
round_off_account: Link(Account)
round_off_cost_center: Link(Cost Center)
write_off_account: Link(Account)
unrealized_profit_loss_account: Link(Account)
cost_center: Link(Cost Center)
tax_id: Data
phone_no: Data
email: Data
@Int lft rgt

# Account | | | Accounts User:rwcd, Auditor:r, Sales User:r, Accounts Manager:rwcd
disabled: Check
account_name: Data *N
account_number: Data
is_group: Check
company: Link(Company) *
root_type: Select(|Asset|Liability|Income|Expense|Equity)
report_type: Select(|Balance Sheet|Profit and Loss)
account_currency: Link(Currency)
parent_account: Link(Account)
account_type: Select({_ACCOUNT_TYPES})
tax_rate: Float
freeze_account: Select(No|Yes)
@Int lft rgt

# Party Account | hash | child |
company: Link(Company) *
account: Link(Account) "Default Account"
advance_account: Link(Account)

# Accounting Dimension | field:label | | System Manager:rwcd, Accounts Manager:rwcd
label: Data U "Dimension Name"
fieldname: Data
document_type: Link(DocType) * "Reference Document Type"
disabled: Check
dimension_defaults: Table(Accounting Dimension Detail)

# Accounting Dimension Detail | hash | child |
company: Link(Company)
reference_document: Link(DocType)
default_dimension: Dynamic Link(reference_document)
mandatory_for_bs: Check "Mandatory For Balance Sheet"
mandatory_for_pl: Check "Mandatory For Profit and Loss Account"

# Branch | field:branch | | System Manager:rwcd
branch: Data *U

# Cost Center | | | Accounts Manager:rwcd, Auditor:r, Accounts User:r, Sales User:r
cost_center_name: Data *N
parent_cost_center: Link(Cost Center)
company: Link(Company) *
is_group: Check
disabled: Check
@Int lft rgt

# Fiscal Year | field:year | | System Manager:rwcd, Sales User:r, Accounts User:r, Accounts Manager:r, Auditor:r
year: Data *U
disabled: Check
is_short_year: Check
year_start_date: Date *N
year_end_date: Date *N
auto_created: Check
companies: Table(Fiscal Year Company)

# Fiscal Year Company | hash | child |
company: Link(Company)

# Accounting Period | field:period_name | | System Manager:rwcd, Accounts Manager:rwcd, Accounts User:rwcd
period_name: Data *
start_date: Date *
end_date: Date *
company: Link(Company) *
closed_documents: Table(Closed Document) *

# Period Closing Voucher | ACC-PCV-.YYYY.-.##### | submittable | System Manager:rwcsxd, Accounts Manager:rwcsxd
transaction_date: Date
company: Link(Company) *
fiscal_year: Link(Fiscal Year) *
period_start_date: Date *
period_end_date: Date *
closing_account_head: Link(Account) *
remarks: Small Text *

# Closed Document | hash | child |
document_type: Link(DocType) *
closed: Check

# Accounts Settings | | single | Accounts Manager:rwc, Sales User:r
acc_frozen_upto: Date
frozen_accounts_modifier: Link(Role)
credit_controller: Link(Role)
delete_linked_ledger_entries: Check
post_change_gl_entries: Check = 1
enable_immutable_ledger: Check

# Currency | field:currency_name | | System Manager:rwcd, Accounts Manager:r, Accounts User:r, Sales User:r
currency_name: Data *U
enabled: Check
fraction: Data
fraction_units: Int
smallest_currency_fraction_value: Currency
symbol: Data
number_format: Data

# Currency Exchange | | | Accounts Manager:rwcd, Accounts User:r, Sales User:r
date: Date *
from_currency: Link(Currency) *
to_currency: Link(Currency) *
exchange_rate: Float *
for_buying: Check = 1
for_selling: Check = 1

# Mode of Payment | field:mode_of_payment | | Accounts Manager:rwc, Accounts User:r
mode_of_payment: Data *U
enabled: Check = 1
type: Select(Cash|Bank|General|Phone)
accounts: Table(Mode of Payment Account)

# Mode of Payment Account | hash | child |
company: Link(Company)
default_account: Link(Account)

# Journal Entry | naming_series: | submittable | Accounts User:rwcsxd, Accounts Manager:rwcsxd, Auditor:r
is_system_generated: Check
title: Data !N
voucher_type: Select({_VOUCHERS}) * = Journal Entry "Entry Type"
naming_series: Select(ACC-JV-.YYYY.-) *N "Series"
finance_book: Data
reversal_of: Link(Journal Entry)
company: Link(Company) *
posting_date: Date *N
apply_tds: Check
cheque_no: Data N "Reference Number"
cheque_date: Date N "Reference Date"
user_remark: Small Text N
total_debit: Currency N
total_credit: Currency N
difference: Currency N "Difference (Dr - Cr)"
multi_currency: Check
total_amount_currency: Link(Currency) N
total_amount: Currency N
clearance_date: Date N
remark: Small Text N
bill_no: Data
bill_date: Date
due_date: Date
write_off_based_on: Select(Accounts Receivable|Accounts Payable) = Accounts Receivable
write_off_amount: Currency
pay_to_recd_from: Data !N "Pay To / Recd From"
letter_head: Data !
select_print_heading: Data !N
mode_of_payment: Link(Mode of Payment)
is_opening: Select(No|Yes) = No
auto_repeat: Data !N
amended_from: Link(Journal Entry) N
accounts: Table(Journal Entry Account) * "Accounting Entries"

# Journal Entry Account | hash | child |
account: Link(Account) *
account_type: Data
party_type: Link(DocType)
party: Dynamic Link(party_type)
cost_center: Link(Cost Center) ! = :Company
project: Data !
account_currency: Link(Currency) N
exchange_rate: Float
debit_in_account_currency: Currency "Debit"
debit: Currency N "Debit in Company Currency"
credit_in_account_currency: Currency "Credit"
credit: Currency N "Credit in Company Currency"
reference_type: Select(|Sales Invoice|Purchase Invoice|Journal Entry|Sales Order|Purchase Order|Expense Claim|Asset|Loan|Payroll Entry|Employee Advance|Exchange Rate Revaluation|Invoice Discounting|Fees|Full and Final Statement|Payment Entry) N
reference_name: Dynamic Link(reference_type) N
reference_due_date: Date N
is_advance: Select(No|Yes) N
user_remark: Small Text N
against_account: Text N

# GL Entry | hash | | Accounts User:r, Accounts Manager:r, Auditor:r
posting_date: Date
transaction_date: Date
account: Link(Account)
party_type: Link(DocType)
party: Dynamic Link(party_type)
cost_center: Link(Cost Center)
debit: Currency
credit: Currency
account_currency: Link(Currency)
debit_in_account_currency: Currency
credit_in_account_currency: Currency
against: Text
against_voucher_type: Link(DocType)
against_voucher: Dynamic Link(against_voucher_type)
voucher_type: Link(DocType)
voucher_no: Dynamic Link(voucher_type)
voucher_subtype: Small Text
remarks: Text
is_opening: Select(No|Yes) = No
is_advance: Select(No|Yes)
fiscal_year: Link(Fiscal Year)
company: Link(Company)
due_date: Date
is_cancelled: Check

# Payment Ledger Entry | hash | | Accounts User:r, Accounts Manager:r, Auditor:r
posting_date: Date
company: Link(Company)
account_type: Select(Receivable|Payable)
account: Link(Account)
party_type: Link(DocType)
party: Dynamic Link(party_type)
voucher_type: Link(DocType)
voucher_no: Dynamic Link(voucher_type)
against_voucher_type: Link(DocType)
against_voucher_no: Dynamic Link(against_voucher_type)
amount: Currency
account_currency: Link(Currency)
amount_in_account_currency: Currency
due_date: Date
delinked: Check
"""
