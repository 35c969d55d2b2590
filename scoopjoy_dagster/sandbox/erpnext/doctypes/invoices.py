"""Sales Invoice and POS Invoice with their rows."""

from __future__ import annotations

_COMMON_TOTALS = """
@Float total_qty
@Currency base_total base_net_total total net_total base_total_taxes_and_charges total_taxes_and_charges
@Currency base_grand_total base_rounding_adjustment base_rounded_total grand_total rounding_adjustment
@Currency rounded_total total_advance outstanding_amount
apply_discount_on: Select(|Grand Total|Net Total) = Grand Total
@Currency base_discount_amount
additional_discount_percentage: Float
@Currency discount_amount base_paid_amount paid_amount base_change_amount change_amount
account_for_change_amount: Link(Account) {change}
@Currency write_off_amount base_write_off_amount
"""

_COMMON_TAIL = """
territory: Link(Territory)
po_no: Data !
po_date: Date !
debit_to: Link(Account) *
party_account_currency: Link(Currency)
is_opening: Select(No|Yes) {opening}= No
against_income_account: Small Text
amount_eligible_for_commission: Currency
commission_rate: Float
total_commission: Currency
letter_head: Data !
group_same_items: Check !
language: Data = en
select_print_heading: Data !
from_date: Date !
to_date: Date !
auto_repeat: Data !
customer_group: Link(Customer Group)
is_discounted: Check
remarks: Small Text N
amended_from: Link({doctype}) N
taxes: Table(Sales Taxes and Charges)
items: Table({doctype} Item) *
payments: Table(Sales Invoice Payment)
"""

_COMMON_HEAD = """
title: Data !N
naming_series: Select({series}) *N "Series"
customer: Link(Customer)
customer_name: Data
tax_id: Data
company: Link(Company) *
posting_date: Date *N "{date}"
posting_time: Time N
set_posting_time: Check N "Edit Posting Date and Time"
due_date: Date N "Payment Due Date"
is_return: Check N
return_against: Link({doctype}) N
currency: Link(Currency) *
conversion_rate: Float * "Exchange Rate"
selling_price_list: Link(Price List) = Standard Selling
ignore_pricing_rule: Check
update_stock: Check
set_warehouse: Link(Warehouse)
"""

_ITEM = """
item_code: Link(Item)
item_name: Data *
description: Text Editor
item_group: Link(Item Group)
qty: Float
stock_uom: Link(UOM)
uom: Link(UOM) *
conversion_factor: Float *
stock_qty: Float
@Currency price_list_rate base_price_list_rate
discount_percentage: Percent
discount_amount: Currency
rate: Currency *
amount: Currency *
base_rate: Currency *
base_amount: Currency *
net_rate: Currency
net_amount: Currency
base_net_rate: Currency
base_net_amount: Currency
is_free_item: Check
grant_commission: Check
income_account: Link(Account) *!
expense_account: Link(Account) !
cost_center: Link(Cost Center) *! = :Company
warehouse: Link(Warehouse)
item_tax_rate: Small Text
"""

TEXT = (
    "# Sales Invoice | naming_series: | submittable | Accounts Manager:rwcsxd, Accounts User:rwcs\n"
    + _COMMON_HEAD.format(
        series="ACC-SINV-.YYYY.-|ACC-SINV-RET-.YYYY.-", date="Date", doctype="Sales Invoice"
    )
    + """
is_pos: Check "Include Payment (POS)"
pos_profile: Link(POS Profile)
is_consolidated: Check
is_debit_note: Check
update_outstanding_for_self: Check = 1
cost_center: Link(Cost Center) !
project: Data !
disable_rounded_total: Check
"""
    + _COMMON_TOTALS.format(change="!")
    + """
write_off_account: Link(Account) !
write_off_cost_center: Link(Cost Center)
is_internal_customer: Check <- customer.is_internal_customer
represents_company: Link(Company) <- customer.represents_company
unrealized_profit_loss_account: Link(Account) !
status: Select(|Draft|Return|Credit Note Issued|Submitted|Paid|Partly Paid|Unpaid|Unpaid and Discounted|Partly Paid and Discounted|Overdue and Discounted|Overdue|Cancelled|Internal Transfer) N = Draft
"""
    + _COMMON_TAIL.format(doctype="Sales Invoice", opening="! ")
    + "\n# Sales Invoice Item | hash | child |\n"
    + _ITEM
    + "\n# POS Invoice | naming_series: | submittable | Accounts Manager:rwcsxd, Accounts User:rwcs\n"
    + _COMMON_HEAD.format(series="ACC-PSINV-.YYYY.-", date="Date", doctype="POS Invoice")
    + """
pos_profile: Link(POS Profile)
consolidated_invoice: Link(Sales Invoice) !N
is_pos: Check = 1 "Include Payment"
cost_center: Link(Cost Center)
"""
    + _COMMON_TOTALS.format(change="")
    + """
status: Select(|Draft|Return|Credit Note Issued|Consolidated|Submitted|Paid|Unpaid|Unpaid and Discounted|Overdue and Discounted|Overdue|Cancelled) N = Draft
"""
    + _COMMON_TAIL.format(doctype="POS Invoice", opening="")
    + "\n# POS Invoice Item | hash | child |\n"
    + _ITEM
    + """
# Sales Taxes and Charges | hash | child |
charge_type: Select(|Actual|On Net Total|On Previous Row Amount|On Previous Row Total|On Item Quantity) *
row_id: Data
account_head: Link(Account) *!
description: Small Text *
included_in_print_rate: Check
included_in_paid_amount: Check
cost_center: Link(Cost Center) ! = :Company
rate: Float
account_currency: Link(Currency) <- account_head.account_currency
@Currency tax_amount total tax_amount_after_discount_amount base_tax_amount base_total
@Currency base_tax_amount_after_discount_amount
item_wise_tax_detail: Code
dont_recompute_tax: Check

# Sales Invoice Payment | hash | child |
default: Check
mode_of_payment: Link(Mode of Payment) *
amount: Currency *
reference_no: Data
account: Link(Account)
type: Read Only <- mode_of_payment.type
base_amount: Currency N
clearance_date: Date N
"""
)
