"""The royalty statement of a franchise, as PDF.

What belongs here: what the statement says and in which order. What does not: layout (that is `pdf_page`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scoopjoy_dagster.reporting.fonts import printable
from scoopjoy_dagster.reporting.numbers import count, money, percent
from scoopjoy_dagster.reporting.pdf_page import Column, Document

if TYPE_CHECKING:
    from datetime import date

    from scoopjoy_dagster.reporting.model import RoyaltyStatement, StatementEntry

#: Printed on every royalty statement. A Journal Entry carries no GST and deducts no TDS.
ACCRUAL_NOTICE = (
    "This is a statement of royalty accrued by Journal Entry. It is not a tax invoice: it carries no GST and no TDS has been "
    "deducted. Tax invoicing (GST) and tax deducted at source (TDS) are decided and documented by the company separately."
)


def statement_pdf(statement: RoyaltyStatement, *, made_by: str = "") -> bytes:
    """The royalty statement of one franchise for one business day. Equal arguments give equal bytes.

    Args:
        statement: What it says.
        made_by: Kept in the document's properties: the run that made it.
    """
    day, currency = statement.business_day, statement.currency
    name = statement.customer_name if statement.customer_name.strip() else statement.customer
    document = Document(
        title=f"{statement.company}: royalty statement {day.isoformat()}, {statement.customer}",
        author=statement.company,
        subject=" ".join(filter(None, (f"policy {statement.policy_version}", made_by and f"run {made_by}"))),
    )
    document.masthead(
        f"{statement.company} · Royalty statement",
        name if printable(name) else statement.customer,
        f"Customer {statement.customer}. Business day {day.isoformat()} ({_long_date(day)}). All amounts in {currency}.",
    )
    document.text(ACCRUAL_NOTICE, "notice")
    document.figures(
        [
            ("Sales (base)", money(statement.base, currency), ()),
            ("Rate", percent(statement.rate), ()),
            ("Royalty for the day", money(statement.royalty, currency), ()),
            ("Posted by Journal Entry", money(statement.posted, currency), ()),
        ]
    )
    document.text(f"Royalty policy: {statement.policy}", "small")
    document.text(f"Policy version: {statement.policy_version}", "small")
    open_amount = statement.royalty - statement.posted
    if open_amount:
        document.text(f"{money(open_amount, currency)} of the royalty of this day is not posted yet.", "care")
    if statement.by_person:
        document.text(
            f"{money(statement.by_person, currency)} of the royalty were entered by hand besides "
            f"{percent(statement.rate)} of the sales."
        )
    if statement.month_to_date_base is not None and statement.month_to_date_royalty is not None:
        document.text(
            f"{day:%B %Y} up to and including this day: sales {money(statement.month_to_date_base, currency)}, "
            f"royalty {money(statement.month_to_date_royalty, currency)}."
        )

    document.heading(f"Royalty entries ({currency})")
    document.table(
        [
            Column("Journal Entry", 0.3),
            Column("Posting date", 0.14),
            Column("Reason", 0.38),
            Column("Amount", 0.18, "right", places=2),
        ],
        (
            (entry.journal_entry, entry.posting_date.isoformat(), _entry_reason(entry), entry.amount)
            for entry in sorted(statement.entries, key=lambda entry: entry.revision)
        ),
        "Total posted",
    )

    document.heading(f"Sales Invoices in the base ({currency})")
    document.table(
        [
            Column("Sales Invoice", 0.34),
            Column("Posting date", 0.14),
            Column("Kind", 0.12),
            Column("Base", 0.2, "right", places=2),
            Column("Royalty share", 0.2, "right", places=2),
        ],
        (
            (
                line.invoice,
                line.posting_date.isoformat(),
                "Return" if line.is_return else "Invoice",
                line.base,
                line.share,
            )
            for line in statement.lines
        ),
        count(len(statement.lines), "invoice"),
    )
    if statement.invoices and not statement.lines:
        document.text("The royalty was posted without the shares of its invoices.", "small")
    return document.render()


def _entry_reason(entry: StatementEntry) -> str:
    kind = f"Adjustment {entry.revision}" if entry.revision else "Royalty"
    return f"{kind}: {entry.reason}" if entry.reason else kind


def _long_date(day: date) -> str:
    return f"{day:%A}, {day.day} {day:%B %Y}"
