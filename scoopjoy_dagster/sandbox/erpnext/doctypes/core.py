"""DocTypes of the framework: users, files, comments, customisation, settings."""

from __future__ import annotations

_FIELDTYPES = (
    "Autocomplete|Attach|Attach Image|Barcode|Button|Check|Code|Color|Column Break|Currency|Data|Date|Datetime"
    "|Duration|Dynamic Link|Float|Fold|Geolocation|Heading|HTML|HTML Editor|Icon|Image|Int|JSON|Link|Long Text"
    "|Markdown Editor|Password|Percent|Phone|Read Only|Rating|Section Break|Select|Signature|Small Text"
    "|Tab Break|Table|Table MultiSelect|Text|Text Editor|Time"
)

_FIELD_FLAGS = (
    "search_index hidden allow_in_quick_entry print_hide report_hide bold in_global_search"
    " collapsible no_copy allow_on_submit ignore_user_permissions in_list_view fetch_if_empty ignore_xss_filter"
    " print_hide_if_no_value in_standard_filter in_preview read_only translatable hide_border hide_days"
    " hide_seconds non_negative is_virtual sort_options show_dashboard"
)

TEXT = f"""
# User | | | System Manager:rwcd, Desk User:rl
enabled: Check = 1
email: Data *N
first_name: Data *
full_name: Data
username: Data U
language: Data
time_zone: Data
user_type: Data = System User
api_key: Data U
send_welcome_email: Check = 1
mobile_no: Data U
roles: Table(Has Role)

# Has Role | hash | child |
role: Link(Role)

# RQ Worker | hash | | System Manager:r
worker_name: Data
status: Data
queue_type: Data

# Document Naming Settings | | single | System Manager:rwc
prefix: Data
current_value: Int

# User Permission | hash | | System Manager:rwcd
user: Link(User) *
allow: Link(DocType) *
for_value: Dynamic Link(allow) *
is_default: Check
apply_to_all_doctypes: Check = 1
applicable_for: Link(DocType)
hide_descendants: Check

# DocShare | hash | | System Manager:rwcd
user: Link(User)
share_doctype: Link(DocType) *
share_name: Dynamic Link(share_doctype) *
@Check read write share submit everyone
notify_by_email: Check = 1

# Role | field:role_name | | System Manager:rwcd
role_name: Data *U
disabled: Check
desk_access: Check = 1
is_custom: Check

# Module Def | field:module_name | | System Manager:rwcd, Desk User:r
module_name: Data *U
custom: Check
app_name: Data

# File | hash | | System Manager:rwcd, All:rwcd
file_name: Data
is_private: Check
file_type: Data
is_home_folder: Check
is_attachments_folder: Check
file_size: Int
file_url: Code
folder: Data
is_folder: Check
attached_to_doctype: Link(DocType)
attached_to_name: Data
attached_to_field: Data
content_hash: Data
uploaded_to_dropbox: Check
uploaded_to_google_drive: Check

# Comment | hash | | System Manager:rwcd, Website Manager:rwcd
comment_type: Select(Comment|Like|Info|Label|Workflow|Created|Submitted|Cancelled|Updated|Deleted|Assigned|Assignment Completed|Attachment|Attachment Removed|Shared|Unshared|Bot|Relinked|Edit) * = Comment
comment_email: Data
subject: Text
comment_by: Data
published: Check
seen: Check
reference_doctype: Link(DocType)
reference_name: Dynamic Link(reference_doctype)
reference_owner: Data
content: HTML Editor
ip_address: Data

# Communication | hash | | System Manager:rcd, Inbox User:rcd
subject: Small Text *
communication_medium: Select(|Email|Chat|Phone|SMS|Event|Meeting|Visit|Other)
sender: Data
recipients: Code
content: Text Editor
communication_type: Select(Communication|Comment|Chat|Notification|Feedback|Automated Message) * = Communication
status: Select(Open|Replied|Closed|Linked) *
sent_or_received: Select(Sent|Received) *
communication_date: Datetime = Now
reference_doctype: Link(DocType)
reference_name: Dynamic Link(reference_doctype)
email_status: Select(Open|Spam|Trash)
delivery_status: Select(|Sent|Bounced|Opened)

# ToDo | hash | | All:rwcd, System Manager:rwcd
status: Select(Open|Closed|Cancelled) = Open
priority: Select(High|Medium|Low) = Medium
date: Date = Today
allocated_to: Link(User)
description: Text Editor *
reference_type: Link(DocType)
reference_name: Dynamic Link(reference_type)

# Version | hash | | System Manager:r
ref_doctype: Data
docname: Data
data: Code

# DocType | Prompt | | System Manager:rwcd
module: Link(Module Def) *
@Check is_submittable istable issingle
editable_grid: Check = 1
@Check quick_entry track_changes track_seen track_views custom beta
autoname: Data
naming_rule: Data
description: Small Text
title_field: Data
search_fields: Data
icon: Data
sort_field: Data = modified
sort_order: Select(ASC|DESC) = DESC
document_type: Select(|Document|Setup|System|Other)
@Check hide_toolbar allow_copy allow_import is_tree is_virtual in_create allow_auto_repeat
allow_rename: Check = 1
engine: Select(InnoDB|MyISAM) = InnoDB
@Check read_only show_title_field_in_link queue_in_background is_calendar_and_gantt
index_web_pages_for_search: Check = 1
fields: Table(DocField)
permissions: Table(DocPerm)
states: Table(DocType State)

# DocType State | hash | child |
title: Data *
color: Select(Blue|Cyan|Gray|Green|Light Blue|Orange|Pink|Purple|Red|Yellow) * = Blue
custom: Check

# DocField | hash | child |
fieldname: Data
label: Data
fieldtype: Select({_FIELDTYPES}) * = Data
options: Small Text
@Check reqd unique set_only_once
default: Small Text
fetch_from: Small Text
@Check {_FIELD_FLAGS}
precision: Data
@Int length permlevel columns
description: Small Text
depends_on: Code
mandatory_depends_on: Code
read_only_depends_on: Code

# DocPerm | hash | child |
role: Link(Role) *
@Check if_owner
@Int permlevel
read: Check = 1
write: Check = 1
create: Check = 1
delete: Check = 1
@Check submit cancel amend import
report: Check = 1
export: Check = 1
share: Check = 1
print: Check = 1
email: Check = 1

# Custom Field | | | System Manager:rwcd
is_system_generated: Check
dt: Link(DocType) * "DocType"
module: Link(Module Def)
label: Data N
fieldname: Data N
insert_after: Data
length: Int
fieldtype: Select({_FIELDTYPES}) * = Data
precision: Data
options: Small Text
fetch_from: Small Text
default: Text
depends_on: Code
mandatory_depends_on: Code
read_only_depends_on: Code
description: Text
@Check reqd unique {_FIELD_FLAGS}
@Int permlevel columns

# Property Setter | | | System Manager:rwcd
doctype_or_field: Select(|DocField|DocType|DocType Link|DocType Action|DocType State) *
value: Small Text
doc_type: Link(DocType) *
field_name: Data
property: Data *
property_type: Data
default_value: Data
row_name: Data
module: Link(Module Def)
is_system_generated: Check

# Workflow State | field:workflow_state_name | | System Manager:rwcd, All:r
workflow_state_name: Data *U

# Workflow Action Master | field:workflow_action_name | | System Manager:rwcd, All:r
workflow_action_name: Data *U

# Workflow | field:workflow_name | | System Manager:rwcd
workflow_name: Data *U
document_type: Link(DocType) *
is_active: Check
workflow_state_field: Data * = workflow_state
states: Table(Workflow Document State) *
transitions: Table(Workflow Transition) *

# Workflow Document State | hash | child |
state: Link(Workflow State) *
doc_status: Select(0|1|2) = 0
allow_edit: Link(Role) *

# Workflow Transition | hash | child |
state: Link(Workflow State) *
action: Link(Workflow Action Master) *
next_state: Link(Workflow State) *
allowed: Link(Role) *
allow_self_approval: Check = 1

# Client Script | Prompt | | System Manager:rwcd
dt: Link(DocType) *O "DocType"
view: Select(List|Form) O = Form "Apply To"
module: Link(Module Def)
enabled: Check
script: Code

# Report | field:report_name | | System Manager:rwcd
report_name: Data *U
ref_doctype: Link(DocType) *
is_standard: Select(No|Yes) * = No
module: Link(Module Def)
report_type: Select(Report Builder|Query Report|Script Report|Custom Report) *
disabled: Check
json: Code

# Workspace | field:label | | Workspace Manager:rwcd, Desk User:rwcd
label: Data *U "Name"
title: Data *
icon: Data
indicator_color: Select(green|cyan|blue|orange|yellow|gray|grey|red|pink|purple|light-blue)
module: Link(Module Def)
for_user: Data
parent_page: Data
public: Check
is_hidden: Check
hide_custom: Check
content: Long Text = []
sequence_id: Float
roles: Table(Has Role)
links: Table(Workspace Link)
shortcuts: Table(Workspace Shortcut)

# Workspace Link | hash | child |
type: Select(Link|Card Break) = Link
label: Data
link_type: Select(DocType|Page|Report)
link_to: Dynamic Link(link_type)

# Workspace Shortcut | hash | child |
type: Select(DocType|Report|Page|Dashboard|URL) * = DocType
link_to: Dynamic Link(type)
doc_view: Select(|List|Report Builder|Dashboard|Tree|New|Calendar|Kanban)
label: Data *
icon: Data
stats_filter: Code
color: Data
format: Data
url: Data

# System Settings | | single | System Manager:rwc
country: Link(Country)
language: Data = en
time_zone: Data * = Asia/Kolkata
setup_complete: Check
date_format: Data = dd-mm-yyyy
time_format: Data = HH:mm:ss
number_format: Data = #,##,###.##
float_precision: Data = 3
currency_precision: Data
enable_scheduler: Check
allow_error_traceback: Check = 1
rounding_method: Data = Banker's Rounding

# Global Defaults | | single | System Manager:rwc
default_company: Link(Company)
default_currency: Link(Currency)
country: Link(Country)
disable_rounded_total: Check

# Country | field:country_name | | System Manager:rwcd, Accounts User:r
country_name: Data *U
code: Data
"""
