"""DocTypes of selling: customers, their groups, items, price lists, warehouses."""

from __future__ import annotations

TEXT = """
# Customer Group | field:customer_group_name | | Sales Manager:r, Sales User:r, Sales Master Manager:rwcd, Accounts User:r
customer_group_name: Data *UN
parent_customer_group: Link(Customer Group)
is_group: Check
@Int lft rgt
accounts: Table(Party Account)

# Territory | field:territory_name | | Sales Manager:r, Sales User:r, Sales Master Manager:rwcd, Accounts User:r
territory_name: Data *UN
parent_territory: Link(Territory)
is_group: Check
@Int lft rgt

# Customer | naming_series: | | Sales User:rwc, Sales Manager:r, Sales Master Manager:rwcd, Stock User:r, Accounts User:r, Accounts Manager:r
naming_series: Select(CUST-.YYYY.-) N "Series"
salutation: Data
customer_name: Data *N
customer_type: Select(Company|Individual|Partnership) * = Company
customer_group: Link(Customer Group)
territory: Link(Territory)
gender: Data
account_manager: Link(User)
image: Data
default_currency: Link(Currency) N "Billing Currency"
default_price_list: Link(Price List)
is_internal_customer: Check
represents_company: Link(Company)
market_segment: Data
industry: Data
customer_pos_id: Data N
website: Data
language: Data = en
customer_details: Text
mobile_no: Data
email_id: Data
tax_id: Data
tax_category: Data
payment_terms: Data
default_commission_rate: Float
@Check so_required dn_required is_frozen disabled
accounts: Table(Party Account)

# Item Group | field:item_group_name | | Stock Manager:r, Stock User:r, Item Manager:rwcd, Sales User:r, Accounts User:r
item_group_name: Data *U
parent_item_group: Link(Item Group)
is_group: Check
@Int lft rgt

# UOM | field:uom_name | | Item Manager:rwcd, Stock Manager:r, Stock User:r
uom_name: Data *U
must_be_whole_number: Check
enabled: Check = 1

# Item | field:item_code | | Item Manager:rwcd, Stock Manager:r, Stock User:r, Sales User:r, Accounts User:r
item_code: Data *U
item_name: Data
item_group: Link(Item Group) *
stock_uom: Link(UOM) *
disabled: Check
is_stock_item: Check = 1
description: Text Editor
standard_rate: Currency
grant_commission: Check = 1

# Price List | field:price_list_name | | Sales User:r, Sales Master Manager:rwcd
enabled: Check = 1
price_list_name: Data *U
currency: Link(Currency) *
buying: Check
selling: Check
price_not_uom_dependent: Check

# Warehouse | | | Item Manager:rwcd, Stock User:r, Sales User:r, Accounts User:r
warehouse_name: Data *
is_group: Check
company: Link(Company) *
disabled: Check
account: Link(Account)
email_id: Data
phone_no: Data
parent_warehouse: Link(Warehouse)
is_rejected_warehouse: Check
@Int lft rgt
"""
