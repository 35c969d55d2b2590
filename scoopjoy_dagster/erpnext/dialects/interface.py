"""The interface behind which the lines of ERPNext differ; nothing outside this package knows a version.

The traps that make this necessary are silent ones: the rows of a POS Closing Entry have other names on v16+, and
ERPNext ignores names that it does not know, closes the shift, and leaves its invoices without a ledger entry. So every
closing is looked at again after it was submitted, whatever the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from scoopjoy_dagster.accounting.shifts import ClosingDraft
from scoopjoy_dagster.erpnext.client import Client, Field, Filter, Row

UNCOUNTED_FIELD = "custom_scoopjoy_uncounted"


@dataclass(frozen=True, slots=True)
class TillDocument:
    """A DocType that tills make their sales with, and how a POS Closing Entry takes its documents.

    Attributes:
        doctype: `POS Invoice` or `Sales Invoice`.
        closed_by: the field of a document that names what has taken it; empty until then.
        only: what distinguishes a till's documents from others of the DocType.
        rows: DocType of the rows of a closing that name them.
        table: the field of a closing that holds these rows.
        named_in: the field of a row that names the document.
    """

    doctype: str
    closed_by: str
    only: tuple[Filter, ...]
    rows: str
    table: str
    named_in: str


class Dialect(Protocol):
    """One line of ERPNext."""

    line: str
    """What people call it, e.g. `v15`."""

    implies: str
    """What the line means for the nightly close, in a sentence for people; empty where there is nothing to say."""

    open_shift_costs: str
    """What a shift that is left open costs its till, as the end of a sentence; empty where it costs nothing."""

    till_documents: Sequence[TillDocument]
    """What tills of this line may sell with, whatever the setting of today: a shift may be older than it."""

    writers_in_a_series: int
    """Requests that may insert documents of one naming series at the same time; they wait for each other, or one of them loses."""

    def is_spoken(self, client: Client) -> bool:
        """Whether the site does what distinguishes this line: its closing helper answers, and it takes these aggregates."""

    def total(self, field: str, alias: str) -> Field:
        """The sum of a field, as a list call wants it."""

    def count(self, alias: str) -> Field:
        """The number of rows of a group, as a list call wants it."""

    def newest(self, field: str, alias: str) -> Field:
        """The greatest value of a field, as a list call wants it."""

    def closing_document(self, draft: ClosingDraft) -> Row:
        """The body of a POS Closing Entry."""

    def pos_mode(self, client: Client) -> str:
        """`POS Invoice` or `Sales Invoice`: which documents a POS sale makes."""

    def remark(self, text: str) -> dict[str, Any]:
        """The fields of a Journal Entry that carry a remark."""

    def books_frozen_until(self, client: Client, company: str) -> date | None:
        """The last day on which nothing may be posted any more, or None."""
