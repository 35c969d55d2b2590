"""What ERPNext holds of one closed business day, as far as it can be right or wrong; what is read, not what should be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.royalties import BaseInvoice, FormerFranchise, PostedEntry
from scoopjoy_dagster.accounting.shares import Share
from scoopjoy_dagster.accounting.shifts import UnbookedSales


@dataclass(frozen=True, slots=True)
class BookedEntry:
    """A royalty entry of ours, with its rows in the general ledger (those that are not cancelled), in INR.

    Attributes:
        posted: the entry; the amendment, where a person has amended it.
        keyed: name of the Journal Entry that carries the key: the cancelled one, where it was amended.
        total: total debit of the Journal Entry.
        debit, credit: sums of all its ledger rows.
        left_over: ledger rows (debit) of cancelled entries under this key.
        adjusts: the entry that this one adjusts; empty for the first.
    """

    posted: PostedEntry
    keyed: str = ""
    total: Decimal = ZERO
    debit: Decimal = ZERO
    credit: Decimal = ZERO
    left_over: Decimal = ZERO
    adjusts: str = ""


@dataclass(frozen=True, slots=True)
class OtherRoyalty:
    """A submitted Journal Entry without a key of ours that a franchise owes or is credited a royalty by.

    Attributes:
        name: of the Journal Entry.
        day: its posting date; of which business day it is meant to be, nobody can tell.
        customer: the franchise.
        amount: what the franchise owes by it, in INR; negative where it is a credit.
    """

    name: str
    day: date
    customer: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Told:
    """What headquarters acknowledged last for a day: revision (None: nothing), and the royalty in INR if it is known."""

    revision: int | None = None
    royalty: Decimal | None = None


@dataclass(frozen=True, slots=True)
class DayRecord:
    """What ERPNext holds of one business day.

    Attributes:
        invoices: submitted Sales Invoices of franchises.
        shares: the rows of the entries that stand.
        entries: our royalty entries whose key is of this day, cancelled ones included.
        others: royalty entries posted on this day that are not ours.
        former: customers of such entries that are no franchise now.
        statements: Journal Entries that have a royalty statement attached.
        headquarters: what it acknowledged last; None: there is no headquarters.
        open_shifts: labels of shifts that began on this day and are open.
        unbooked: till sales of the day that no closing has taken and none will.
    """

    day: date
    invoices: tuple[BaseInvoice, ...] = ()
    shares: tuple[Share, ...] = ()
    entries: tuple[BookedEntry, ...] = ()
    former: tuple[FormerFranchise, ...] = ()
    statements: frozenset[str] = frozenset()
    headquarters: Told | None = None
    open_shifts: tuple[str, ...] = ()
    unbooked: tuple[UnbookedSales, ...] = ()
    others: tuple[OtherRoyalty, ...] = ()
