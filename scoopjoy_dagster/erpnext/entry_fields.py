"""Further fields that a site wants on a royalty entry: accounting dimensions, and mandatory custom fields with a constant value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ENTRY, ROW = "Journal Entry", "Journal Entry Account"

OURS = {
    ENTRY: frozenset(
        {
            "name",
            "doctype",
            "docstatus",
            "naming_series",
            "voucher_type",
            "company",
            "posting_date",
            "accounts",
        }
        | {"user_remark", "remark", "custom_remark", "multi_currency", "is_opening", "amended_from"}
    ),
    ROW: frozenset(
        {
            "name",
            "doctype",
            "account",
            "party_type",
            "party",
            "cost_center",
            "exchange_rate",
            "debit",
            "credit",
        }
        | {"debit_in_account_currency", "credit_in_account_currency"}
        | {"reference_type", "reference_name", "is_advance"}
    ),
}
"""Fields that the program sets, or whose other value would change what is booked."""

FORM = "write fieldname=value for the account rows and Journal Entry.fieldname=value for the entry, separated by semicolons"


@dataclass(frozen=True, slots=True)
class EntryFields:
    """Constant values by field name: of the Journal Entry, and of each of its account rows."""

    entry: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, str] = field(default_factory=dict)

    def of(self, doctype: str) -> Mapping[str, str]:
        """Those of one of the two DocTypes."""
        return self.entry if doctype == ENTRY else self.rows

    @classmethod
    def parse(cls, text: str) -> EntryFields:
        """From `branch=Pune; Journal Entry.custom_source=Royalty`.

        Raises:
            ValueError: with a sentence that names the part that is wrong.
        """
        found: dict[str, dict[str, str]] = {ENTRY: {}, ROW: {}}
        parts = [one.strip() for one in text.split(";") if one.strip()]
        for number, part in enumerate(parts, start=1):
            left, equals, value = (one.strip() for one in part.partition("="))
            head, dot, name = left.rpartition(".")
            if not equals or not value or not name.isidentifier() or (dot and head != ENTRY):
                message = f"its part {number} cannot be read; {FORM}"
                raise ValueError(message)
            doctype = ENTRY if dot else ROW
            if name in OURS[doctype] or name.startswith(("custom_scoopjoy_", "custom_royalty_")):
                message = f"must not name {name}, which the program sets itself"
                raise ValueError(message)
            if name in found[doctype]:
                message = f"its part {number} names a field for the second time"
                raise ValueError(message)
            found[doctype][name] = value
        return cls(found[ENTRY], found[ROW])
