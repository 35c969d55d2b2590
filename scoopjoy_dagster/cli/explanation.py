"""What `scoopjoy explain` shows: one royalty with everything that it follows from, as JSON and on paper.

Not here: finding out what is meant, and reading it (`explain`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from html import unescape
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scoopjoy_dagster.accounting.day_record import BookedEntry, OtherRoyalty
from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.keys import revision_of
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import SUBMITTED, Action
from scoopjoy_dagster.accounting.shares import Document, Share
from scoopjoy_dagster.erpnext.range_reading import DeliveryRecord
from scoopjoy_dagster.erpnext.site import Books

_STATES = {0: "draft", 1: "submitted", 2: "cancelled"}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that an amount follows from, and what became of it. Amounts in the company's currency.

    Attributes:
        rate_source: where the rate came from.
        entries: our entries of franchise and day, first one first, cancelled ones included.
        shares: the rows of the entries that stand.
        findings: what a close would say about the franchise.
        deliveries: what was told about the day, over all channels.
        others: royalty entries of the franchise posted on the day that are not ours.
    """

    books: Books
    policy: RoyaltyPolicy
    policy_sentence: str
    day: date
    action: Action
    rate_source: str
    entries: tuple[BookedEntry, ...]
    shares: tuple[Share, ...]
    findings: tuple[Finding, ...]
    deliveries: tuple[DeliveryRecord, ...]
    others: tuple[OtherRoyalty, ...] = ()

    @property
    def product(self) -> Decimal:
        """Base times rate, exact, before rounding."""
        return self.action.royalty.base * self.action.royalty.rate / 100

    @property
    def ledger(self) -> Decimal:
        """What the general ledger says that the franchise owes for the day."""
        return sum((one.posted.amount for one in self.entries if one.posted.docstatus == SUBMITTED), ZERO)

    @property
    def agrees(self) -> bool:
        """Whether the ledger holds what the rule says, and nothing besides."""
        return self.action.kind in {"adopt", "skip"} and not self.others

    def rows_of(self, document: Document) -> list[Share]:
        """The rows about a sale, oldest entry first."""
        return [one for one in self.shares if one.document == document]

    @property
    def no_sales(self) -> dict[Document, list[Share]]:
        """The rows about documents that are no sales of the day now."""
        sales = {one.document for one in self.action.royalty.invoices}
        gone = dict.fromkeys(one.document for one in self.shares if one.document not in sales)
        return {document: self.rows_of(document) for document in gone}

    @property
    def rounding(self) -> str:
        """The rounding rule in words."""
        how = self.policy.rounding.value.replace("_", " ")
        return f"{how} to {self.policy.precision} decimals, once per franchise and day"

    def as_dict(self) -> dict[str, Any]:
        """The JSON of `--json`: amounts are exact decimal strings."""
        royalty = self.action.royalty
        return {
            "business_day": self.day.isoformat(),
            "company": self.books.company,
            "currency": self.books.currency,
            "customer": royalty.customer,
            "customer_name": royalty.customer_name,
            "policy_version": royalty.policy_version,
            "policy": self.policy_sentence,
            "invoices": [
                {
                    "invoice": one.name,
                    "is_return": one.is_return,
                    "currency": one.currency,
                    "base": f"{one.base:.2f}",
                    **_posted(self.rows_of(one.document)),
                }
                for one in royalty.invoices
            ],
            "no_sales_now": [{"invoice": name, **_posted(rows)} for (_, name), rows in self.no_sales.items()],
            "base": f"{royalty.base:.2f}",
            "rate": _plain(royalty.rate),
            "rate_source": self.rate_source,
            "product": _plain(self.product),
            "rounding": self.rounding,
            "royalty": f"{royalty.amount:.2f}",
            "by_person": f"{royalty.by_person:.2f}",
            "entries": [_entry(one) for one in self.entries],
            "ledger": f"{self.ledger:.2f}",
            "not_ours": [{"journal_entry": one.name, "amount": f"{one.amount:.2f}"} for one in self.others],
            "difference": f"{self.ledger - royalty.amount:.2f}",
            "agrees": self.agrees,
            "reason": self.action.reason,
            "exceptions": [one.as_dict() for one in self.findings],
            "deliveries": [
                {
                    "channel": one.channel,
                    "recipient": one.recipient,
                    "revision": one.revision,
                    "delivered_at": one.delivered_at,
                    "reference": one.reference,
                }
                for one in self.deliveries
            ],
        }


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _posted(rows: Sequence[Share]) -> dict[str, Any]:
    """What the entries say of a sale."""
    return {
        "posted_base": f"{sum((one.base for one in rows), ZERO):.2f}",
        "share": f"{sum((one.share for one in rows), ZERO):.2f}",
        "journal_entries": [one.entry for one in rows],
    }


def _entry(one: BookedEntry) -> dict[str, Any]:
    posted = one.posted
    return {
        "journal_entry": posted.name,
        "amends": one.keyed if one.keyed != posted.name else "",
        "state": _STATES[posted.docstatus],
        "kind": "adjustment" if revision_of(posted.key) else "first",
        "amount": f"{posted.amount:.2f}",
        "posting_date": posted.posting_date.isoformat() if posted.posting_date else "",
        "key": posted.key,
        "digest": posted.digest,
        "base": f"{posted.base:.2f}",
        "rate": _plain(posted.rate),
        "policy_version": posted.policy,
        "run_id": posted.run,
        "reason": posted.reason,
        "adjusts": one.adjusts,
    }


def print_explanation(out: Console, found: Explanation) -> None:
    def say(text: str) -> None:
        out.print(text, highlight=False, soft_wrap=True)

    royalty, currency = found.action.royalty, found.books.currency
    say(
        f"Royalty of [bold]{escape(royalty.customer_name)}[/] ({escape(royalty.customer)}) "
        f"for [bold]{found.day}[/], {escape(found.books.company)}\n"
    )
    nothing = "No submitted Sales Invoices count for this day."
    out.print(_invoices(found) if royalty.invoices or found.shares else nothing)
    say(
        f"\nBase       {royalty.base:.2f} {currency}, {found.policy.base.field} of {len(royalty.invoices)} invoices"
    )
    say(f"Rate       {_plain(royalty.rate)} %, {escape(found.rate_source)}")
    say(f"Product    {_plain(found.product)} exactly, rounded {found.rounding}")
    if royalty.by_person:
        say(f"Besides    {royalty.by_person:.2f} {currency} that a person entered in ERPNext, and that stay")
    say(f"Royalty    {royalty.amount:.2f} {currency}{'' if royalty.by_person else ' by the rule'}")
    say(f"Policy     {escape(found.policy_sentence)}\n")
    for number, one in enumerate(found.entries):
        _print_entry(out, one, number)
    if not found.entries:
        say("No entry of ours is there for this day.")
    for other in found.others:
        say(
            f"Not ours   {escape(other.name)}: {other.amount:.2f} posted besides, by a person or another program"
        )
    colour, verdict = ("green", "agrees with the rule") if found.agrees else ("red", "differs from the rule")
    say(
        f"Ledger     {found.ledger:.2f} {currency}: [{colour}]{verdict}[/] "
        f"(difference {found.ledger - royalty.amount:.2f}): {escape(found.action.reason)}"
    )
    for finding in found.findings:
        say(f"           {finding.severity}: {escape(finding.what)}: {escape(finding.message)}")
    say("")
    for told in found.deliveries:
        what = f"{told.channel} revision {told.revision} to {escape(told.recipient)}"
        if told.reference:  # ERPNext keeps a Message-ID escaped
            say(f"Delivered  {what} at {told.delivered_at} ({escape(unescape(told.reference))})")
        else:
            say(f"Sent       {what}: not confirmed, it may have arrived")
    if not found.deliveries:
        say("Nothing was delivered for this day: no report, nothing to headquarters.")


def _invoices(found: Explanation) -> Table:
    table = Table("Sales Invoice", "", box=None, pad_edge=False)
    for column in ("Base", "Share"):
        table.add_column(column, justify="right")
    table.add_column("Posted by")

    def add(name: str, notes: Sequence[str], base: Decimal, rows: Sequence[Share]) -> None:
        share = sum((one.share for one in rows), ZERO)
        entries = ", ".join(one.entry for one in rows) or "no entry"
        table.add_row(escape(name), ", ".join(notes), f"{base:.2f}", f"{share:.2f}", escape(entries))

    for one in found.action.royalty.invoices:
        notes = ["return"] if one.is_return else []
        notes += [one.currency] if one.currency != found.books.currency else []
        add(one.name, notes, one.base, found.rows_of(one.document))
    for (_, name), rows in found.no_sales.items():
        add(name, ["no sale now"], ZERO, rows)
    return table


def _print_entry(out: Console, one: BookedEntry, number: int) -> None:
    posted = one.posted
    amends = f", amends {one.keyed}" if one.keyed != posted.name else ""
    adjusts = f", adjusts {one.adjusts}" if one.adjusts else ""
    out.print(
        escape(
            f"Entry {number + 1}    {posted.name}: {posted.amount:.2f} posted on {posted.posting_date}, "
            f"{_STATES[posted.docstatus]}{amends}{adjusts}\n"
            f"           {_plain(posted.rate)} % of {posted.base:.2f}, policy {posted.policy or 'unknown'}\n"
            f"           key {posted.key}, digest {posted.digest or 'none'}\n"
            f"           run {posted.run or 'unknown'}; reason: {posted.reason or 'none given'}"
        ),
        highlight=False,
        soft_wrap=True,
    )
