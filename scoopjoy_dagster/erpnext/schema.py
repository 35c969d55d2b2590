"""What `scoopjoy setup` installs on a site: our custom fields, the rows of royalty entries, and the DocType of delivery records."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from scoopjoy_dagster.erpnext import deliveries, royalty_entries, royalty_shares
from scoopjoy_dagster.erpnext.client import DIGEST_FIELD, KEY_FIELD, POLICY_FIELD, RUN_FIELD
from scoopjoy_dagster.erpnext.custom_doctype import rights
from scoopjoy_dagster.erpnext.dialects.interface import UNCOUNTED_FIELD
from scoopjoy_dagster.erpnext.sale_documents import SALE_DOCUMENTS


@dataclass(frozen=True, slots=True)
class CustomField:
    """A Custom Field of ERPNext. The flags are compared on every setup: a missing one breaks exactly-once."""

    doctype: str
    fieldname: str
    label: str
    fieldtype: str
    insert_after: str
    description: str
    options: str = ""
    unique: bool = False
    no_copy: bool = False
    read_only: bool = False
    allow_on_submit: bool = False
    in_list_view: bool = False
    is_virtual: bool = False

    @property
    def name(self) -> str:
        """The ID that ERPNext gives it."""
        return f"{self.doctype}-{self.fieldname}"

    def document(self) -> dict[str, Any]:
        """The body of the Custom Field."""
        return {
            "dt": self.doctype,
            "fieldname": self.fieldname,
            "label": self.label,
            "fieldtype": self.fieldtype,
            "insert_after": self.insert_after,
            "description": self.description,
            "options": self.options,
            **{flag: int(value) for flag, value in self.flags().items()},
        }

    def flags(self) -> dict[str, bool]:
        """The flags that the program relies on."""
        return {
            "unique": self.unique,
            "no_copy": self.no_copy,
            "read_only": self.read_only,
            "allow_on_submit": self.allow_on_submit,
            "in_list_view": self.in_list_view,
            "is_virtual": self.is_virtual,
        }


def _royalty_of(doctype: str) -> list[CustomField]:
    """What a sale shows of its royalty: evaluated when it is read, and never written."""
    after = "remarks"
    found = []
    for fieldname, label, fieldtype, description in (
        (
            royalty_shares.SALE_RATE,
            "Royalty Rate",
            "Percent",
            "Rate in percent at which this sale bore royalty.",
        ),
        (
            royalty_shares.SALE_SHARE,
            "Royalty Share",
            "Currency",
            "This sale's share of its franchise's royalty of the day.",
        ),
        (
            royalty_shares.SALE_ENTRY,
            "Royalty Journal Entry",
            "Data",
            "The Journal Entries that posted the royalty of this sale.",
        ),
    ):
        found.append(
            CustomField(
                doctype,
                fieldname,
                label,
                fieldtype,
                after,
                description,
                options=royalty_shares.EXPRESSIONS[fieldname],
                no_copy=True,
                read_only=True,
                # A form that was open while the share changed is saved all the same: v15 compares what it sends.
                allow_on_submit=True,
                is_virtual=True,
            )
        )
        after = fieldname
    return found


EARLIER_FIELDS = {
    "custom_royalty_rate": "Royalty Rate (until shares were kept in the entry)",
    "custom_royalty_share": "Royalty Share (until shares were kept in the entry)",
    "custom_royalty_journal_entry": "Royalty Journal Entry (until shares were kept in the entry)",
}
"""Fields that earlier versions wrote on Sales Invoices and POS Invoices, and what they are called now. They keep their values, and
the form shows them where they have one."""


def _stamp(doctype: str, after: str) -> list[CustomField]:
    return [
        CustomField(
            doctype,
            KEY_FIELD,
            "ScoopJoy Key",
            "Data",
            after,
            "Unique key of the nightly close: the same document is never made twice.",
            unique=True,
            no_copy=True,
            read_only=True,
        ),
        CustomField(
            doctype,
            DIGEST_FIELD,
            "ScoopJoy Digest",
            "Data",
            KEY_FIELD,
            "Fingerprint of what the nightly close wrote.",
            no_copy=True,
            read_only=True,
        ),
        CustomField(
            doctype,
            RUN_FIELD,
            "ScoopJoy Run",
            "Data",
            DIGEST_FIELD,
            "The Dagster run that made this document.",
            no_copy=True,
            read_only=True,
        ),
        CustomField(
            doctype,
            POLICY_FIELD,
            "Royalty Policy",
            "Data",
            RUN_FIELD,
            "Version of the royalty policy in force when this document was made.",
            no_copy=True,
            read_only=True,
        ),
    ]


FIELDS: tuple[CustomField, ...] = (
    CustomField(
        "Customer",
        royalty_entries.RATE_FIELD,
        "Royalty Percentage",
        "Percent",
        "customer_group",
        "Royalty of this franchise in percent of its daily sales. 0 or empty means the default rate.",
    ),
    CustomField(
        "Customer",
        royalty_entries.EXEMPT_FIELD,
        "Royalty Exempt",
        "Check",
        royalty_entries.RATE_FIELD,
        "This franchise pays no royalty at all.",
    ),
    *_stamp("Journal Entry", "user_remark"),
    CustomField(
        "Journal Entry",
        royalty_entries.ENTRY_BASE_FIELD,
        "Royalty Base",
        "Currency",
        POLICY_FIELD,
        "Sum of the day's invoices that the royalty was computed on.",
        options="Company:company:default_currency",
        no_copy=True,
        read_only=True,
    ),
    CustomField(
        "Journal Entry",
        royalty_entries.ENTRY_RATE_FIELD,
        "Royalty Rate",
        "Percent",
        royalty_entries.ENTRY_BASE_FIELD,
        "Rate in percent at which the royalty was computed.",
        no_copy=True,
        read_only=True,
    ),
    CustomField(
        "Journal Entry",
        royalty_entries.ENTRY_TERMS_FIELD,
        "Royalty Terms",
        "Data",
        royalty_entries.ENTRY_RATE_FIELD,
        "Base, rounding and negative days of the policy that the royalty was computed by; default_rate if the franchise had none.",
        no_copy=True,
        read_only=True,
    ),
    CustomField(
        "Journal Entry",
        royalty_entries.ENTRY_ADJUSTS_FIELD,
        "Adjusts Royalty Entry",
        "Link",
        royalty_entries.ENTRY_TERMS_FIELD,
        "The first royalty entry of the same franchise and day, when this one posts a difference.",
        options="Journal Entry",
        no_copy=True,
        read_only=True,
    ),
    CustomField(
        "Journal Entry",
        royalty_entries.ENTRY_REASON_FIELD,
        "Royalty Reason",
        "Small Text",
        royalty_entries.ENTRY_ADJUSTS_FIELD,
        "How the amount came about; on an adjustment, what had changed.",
        no_copy=True,
        read_only=True,
    ),
    CustomField(
        "Journal Entry",
        royalty_shares.TABLE,
        "Royalty Shares",
        "Table",
        royalty_entries.ENTRY_REASON_FIELD,
        "The sales behind this entry, each with its share; of an adjustment, the differences.",
        options=royalty_shares.DOCTYPE,
        no_copy=True,
        read_only=True,
    ),
    *_stamp("POS Closing Entry", "status"),
    CustomField(
        "POS Closing Entry",
        UNCOUNTED_FIELD,
        "Not Counted",
        "Check",
        POLICY_FIELD,
        "Closed by the nightly close: nobody counted; closing amounts repeat the expected ones.",
        no_copy=True,
        read_only=True,
    ),
    CustomField(
        "POS Closing Entry Detail",
        UNCOUNTED_FIELD,
        "Not Counted",
        "Check",
        "difference",
        "Nobody counted this mode of payment; the closing amount repeats the expected one.",
        no_copy=True,
        read_only=True,
        in_list_view=True,
    ),
    *(field for sale in SALE_DOCUMENTS for field in _royalty_of(sale.doctype)),
)

SHARE_DOCTYPE: dict[str, Any] = {
    "name": royalty_shares.DOCTYPE,
    "module": "Custom",
    "custom": 1,
    "istable": 1,
    "editable_grid": 1,
    "fields": [
        {"fieldname": "document_type", "label": "Document Type", "fieldtype": "Data", "read_only": 1},
        # No link: a link would keep people from cancelling their own invoice.
        {
            "fieldname": "document",
            "label": "Document",
            "fieldtype": "Data",
            "read_only": 1,
            "in_list_view": 1,
            "search_index": 1,
        },
        {
            "fieldname": "business_day",
            "label": "Business Day",
            "fieldtype": "Date",
            "read_only": 1,
            "in_list_view": 1,
        },
        {
            "fieldname": "franchise",
            "label": "Franchise",
            "fieldtype": "Link",
            "options": "Customer",
            "read_only": 1,
        },
        *(
            {
                "fieldname": fieldname,
                "label": label,
                "fieldtype": "Currency",
                "options": "Company:company:default_currency",
                "read_only": 1,
                "in_list_view": 1,
            }
            for fieldname, label in (("royalty_base", "Base"), ("royalty_share", "Share"))
        ),
    ],
}

SHARE_REPORT: dict[str, Any] = {
    "name": "Royalty Shares",
    "report_name": "Royalty Shares",
    "ref_doctype": "Journal Entry",
    "report_type": "Report Builder",
    "is_standard": "No",
    "json": json.dumps(
        {
            "filters": [
                ["Journal Entry", "docstatus", "=", "1", False],
                [royalty_shares.DOCTYPE, "document", "is", "set", False],
            ],
            "fields": [
                ["name", "Journal Entry"],
                *(
                    [fieldname, royalty_shares.DOCTYPE]
                    for fieldname in (
                        "business_day",
                        "franchise",
                        "document_type",
                        "document",
                        "royalty_base",
                    )
                ),
                [royalty_entries.ENTRY_RATE_FIELD, "Journal Entry"],
                ["royalty_share", royalty_shares.DOCTYPE],
            ],
            "order_by": "`tabJournal Entry`.`posting_date` desc",
            "add_totals_row": 1,
            "page_length": 100,
        }
    ),
}
"""The shares of all sales as a list: a sale shows its share in its form, and ERPNext lists no virtual field."""

AMEND_SCRIPTS: tuple[dict[str, Any], ...] = tuple(
    {
        "name": f"ScoopJoy {doctype}",
        "dt": doctype,
        "view": "Form",
        "enabled": 1,
        "script": f"""// Installed by `scoopjoy setup`. Amend copies all fields, and our key is unique: it stays on the cancelled document.
frappe.ui.form.on("{doctype}", {{
	onload(frm) {{
		if (frm.is_new() && frm.doc.amended_from) frm.doc.{KEY_FIELD} = "";
	}},
}});
""",
    }
    for doctype in ("Journal Entry", "POS Closing Entry")
)
"""Client Scripts without which ERPNext refuses every amendment of a document of ours: "ScoopJoy Key must be unique"."""

DELIVERY_SERIES = "SJ-DLV-.YYYY.-.#####"

DELIVERY_DOCTYPE: dict[str, Any] = {
    "name": deliveries.DOCTYPE,
    "module": "Custom",
    "custom": 1,
    "autoname": "naming_series:",
    "naming_rule": 'By "Naming Series" field',
    "track_changes": 0,
    "fields": [
        {
            "fieldname": "naming_series",
            "label": "Series",
            "fieldtype": "Select",
            "options": DELIVERY_SERIES,
            "default": DELIVERY_SERIES,
            "reqd": 1,
            "hidden": 1,
        },
        {
            "fieldname": "channel",
            "label": "Channel",
            "fieldtype": "Select",
            "options": f"report\nhq\n{deliveries.STATEMENTS}",
            "reqd": 1,
            "read_only": 1,
            "in_list_view": 1,
            "in_standard_filter": 1,
        },
        {
            "fieldname": "business_day",
            "label": "Business Day",
            "fieldtype": "Date",
            "reqd": 1,
            "read_only": 1,
            "in_list_view": 1,
            "in_standard_filter": 1,
        },
        {
            "fieldname": "recipient",
            "label": "Recipient",
            "fieldtype": "Data",
            "reqd": 1,
            "read_only": 1,
            "in_list_view": 1,
        },
        {
            "fieldname": "revision",
            "label": "Revision",
            "fieldtype": "Int",
            "read_only": 1,
            "in_list_view": 1,
        },
        {
            "fieldname": "delivered_at",
            "label": "Delivered At",
            "fieldtype": "Datetime",
            "read_only": 1,
            "in_list_view": 1,
        },
        {"fieldname": "reference", "label": "Reference", "fieldtype": "Data", "read_only": 1},
        {
            "fieldname": KEY_FIELD,
            "label": "ScoopJoy Key",
            "fieldtype": "Data",
            "unique": 1,
            "no_copy": 1,
            "read_only": 1,
        },
        {
            "fieldname": DIGEST_FIELD,
            "label": "ScoopJoy Digest",
            "fieldtype": "Data",
            "no_copy": 1,
            "read_only": 1,
        },
        {
            "fieldname": RUN_FIELD,
            "label": "ScoopJoy Run",
            "fieldtype": "Data",
            "no_copy": 1,
            "read_only": 1,
        },
        {
            "fieldname": POLICY_FIELD,
            "label": "Royalty Policy",
            "fieldtype": "Data",
            "no_copy": 1,
            "read_only": 1,
        },
        {
            "fieldname": deliveries.FIGURES_FIELD,
            "label": "Figures",
            "fieldtype": "Long Text",
            "no_copy": 1,
            "read_only": 1,
        },
    ],
    "permissions": [
        rights("System Manager", read=1, write=1, create=1, delete=1, report=1, export=1),
        # Write: a report or totals that are sent again on request say so in their record. The form shows all fields read-only.
        rights("Accounts Manager", read=1, write=1, create=1, report=1, export=1),
        rights("Sales Manager", read=1, create=1, report=1, export=1),
    ],
}
