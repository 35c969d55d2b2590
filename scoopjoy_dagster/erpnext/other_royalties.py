"""Royalty entries that this program did not post: those of a pipeline that was there before it. Reads only.

They carry no key of ours, so the close neither adopts nor counts them: a day that both post is charged twice. They are
known by their remark, which is the same as ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from scoopjoy_dagster.erpnext.client import KEY_FIELD, Client, Filter
from scoopjoy_dagster.erpnext.errors import Rejected

REMARK = "Royalty for %"


@dataclass(frozen=True, slots=True)
class OtherRoyalty:
    """A submitted Journal Entry with a royalty's remark and without a key of ours."""

    name: str
    day: date


def read_other_royalties(client: Client, first: date) -> list[OtherRoyalty]:
    """Those posted on `first` or later, oldest first; an entry that a person amended is ours and not among them.

    Raises:
        ERPNextError: the Journal Entries cannot be listed.
    """
    wanted: list[Filter] = [
        ["docstatus", "=", 1],
        ["posting_date", ">=", first.isoformat()],
        ["user_remark", "like", REMARK],
        ["amended_from", "is", "not set"],
    ]
    fields, order = ["name", "posting_date"], "posting_date asc, name asc"
    try:
        rows = client.rows("Journal Entry", fields, [*wanted, [KEY_FIELD, "is", "not set"]], order_by=order)
    except Rejected:  # before `scoopjoy setup` there is no such field, and no entry of ours
        rows = client.rows("Journal Entry", fields, wanted, order_by=order)
    return [OtherRoyalty(str(row["name"]), date.fromisoformat(str(row["posting_date"]))) for row in rows]
