"""POS shifts: what a closing must contain, and what to do for a shift in the state in which it is found.

Sources of the rules: ERPNext computes and checks no total of a POS Closing Entry, closes the shift for good when it
is submitted, and leaves every invoice that was not in its rows without a ledger entry. So the rows and the totals
are computed here, and a draft is never submitted before its rows are compared with the shift's invoices.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Literal

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.keys import closing_key, digest, normalised, revision_of
from scoopjoy_dagster.accounting.money import ZERO

END_OF_DAY = time(23, 59, 59)
DRAFT, SUBMITTED, CANCELLED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Opening:
    """A submitted POS Opening Entry. `balances`: opening amount by mode of payment, in INR."""

    name: str
    company: str
    pos_profile: str
    user: str
    period_start: datetime
    status: str
    balances: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """How a person recognises the shift."""
        return f"{self.name} ({self.pos_profile}, {self.user})"


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment row of a POS Invoice; negative on a return."""

    mode: str
    amount: Decimal
    account: str = ""


@dataclass(frozen=True, slots=True)
class TaxAmount:
    """One tax row of a POS Invoice."""

    account_head: str
    rate: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class ShiftInvoice:
    """A submitted invoice of a shift that no closing has taken yet: a POS Invoice, or a Sales Invoice that the till made."""

    name: str
    customer: str
    posted_at: datetime
    grand_total: Decimal
    net_total: Decimal
    quantity: Decimal
    is_return: bool = False
    payments: tuple[Payment, ...] = ()
    change_amount: Decimal = ZERO
    change_account: str = ""
    taxes: tuple[TaxAmount, ...] = ()
    doctype: str = "POS Invoice"


@dataclass(frozen=True, slots=True)
class Closing:
    """A POS Closing Entry as found. `invoices` and `counted` are read only for drafts."""

    name: str
    opening: str
    docstatus: int
    status: str
    key: str = ""
    error_message: str = ""
    grand_total: Decimal = ZERO
    invoices: tuple[str, ...] = ()
    counted: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PaymentLine:
    """One mode of payment of a shift, in INR. `counted` is None where nobody counted."""

    mode: str
    opening_amount: Decimal
    expected: Decimal
    counted: Decimal | None = None

    @property
    def difference(self) -> Decimal | None:
        """Counted minus expected: negative is a shortage; None where nobody counted."""
        return None if self.counted is None else self.counted - self.expected


@dataclass(frozen=True, slots=True)
class ClosingDraft:
    """Everything that a POS Closing Entry must say, independent of the ERPNext version."""

    key: str
    opening: Opening
    posting_date: date
    posting_time: time
    period_end: datetime
    invoices: tuple[ShiftInvoice, ...]
    payments: tuple[PaymentLine, ...]
    taxes: tuple[TaxAmount, ...]

    @property
    def grand_total(self) -> Decimal:
        """Sales of the shift with tax, returns subtracted, in INR."""
        return sum((invoice.grand_total for invoice in self.invoices), ZERO)

    @property
    def net_total(self) -> Decimal:
        """Sales of the shift without tax, in INR."""
        return sum((invoice.net_total for invoice in self.invoices), ZERO)

    @property
    def quantity(self) -> Decimal:
        """Units sold."""
        return sum((invoice.quantity for invoice in self.invoices), ZERO)

    @property
    def uncounted(self) -> bool:
        """Whether at least one mode of payment was closed without a count."""
        return any(line.counted is None for line in self.payments)

    @property
    def digest(self) -> str:
        """Digest of what the closing books."""
        return digest(
            {
                "key": normalised(self.key),
                "invoices": sorted(invoice.name for invoice in self.invoices),
                "grand_total": self.grand_total,
                "payments": sorted(f"{line.mode}={line.expected.normalize():f}" for line in self.payments),
            }
        )


@dataclass(frozen=True, slots=True)
class ShiftAction:
    """What to do for one shift.

    `create` makes and submits a closing from `draft`; `complete` brings an existing draft closing to `draft` and
    submits it; `wait` polls a queued closing; `retry` restarts one that failed in the background; `adopt` finds the
    shift closed; `refuse` needs a person.
    """

    kind: Literal["create", "complete", "wait", "retry", "adopt", "refuse"]
    opening: Opening
    reason: str
    closing: str = ""
    draft: ClosingDraft | None = None
    booked: Decimal = ZERO
    """Sales of a closing that was submitted before, in INR."""

    @property
    def sales(self) -> Decimal:
        """Sales of the shift with tax, in INR."""
        return self.draft.grand_total if self.draft else self.booked


def reconcile(
    balances: Mapping[str, Decimal],
    invoices: Iterable[ShiftInvoice],
    counted: Mapping[str, Decimal] | None = None,
) -> tuple[PaymentLine, ...]:
    """Expected amount by mode of payment: opening + payments - change, as ERPNext's own closing form computes it.

    Change is taken from the payment row whose account is the invoice's change account; an invoice without such a
    row takes it from its first payment. `counted` holds what a person counted, by mode; all else is uncounted.
    """
    expected: dict[str, Decimal] = defaultdict(lambda: ZERO, balances)
    for invoice in invoices:
        change = invoice.change_amount
        payer = next((p for p in invoice.payments if p.account and p.account == invoice.change_account), None)
        if payer is None and invoice.payments:
            payer = invoice.payments[0]
        for payment in invoice.payments:
            expected[payment.mode] += payment.amount - (change if payment is payer else ZERO)
    return tuple(
        PaymentLine(mode, balances.get(mode, ZERO), amount, (counted or {}).get(mode))
        for mode, amount in expected.items()
    )


def draft_closing(
    opening: Opening,
    invoices: Sequence[ShiftInvoice],
    day: date,
    revision: int,
    counted: Mapping[str, Decimal] | None = None,
) -> ClosingDraft:
    """The closing of a shift for business day `day`: posted on that day whenever it is made."""
    end = datetime.combine(day, END_OF_DAY)
    taxes: dict[tuple[str, Decimal], Decimal] = defaultdict(lambda: ZERO)
    for invoice in invoices:
        for tax in invoice.taxes:
            taxes[tax.account_head, tax.rate] += tax.amount
    return ClosingDraft(
        key=closing_key(opening.company, day, opening.name, revision),
        opening=opening,
        posting_date=day,
        posting_time=END_OF_DAY,
        period_end=max([end, *(invoice.posted_at for invoice in invoices)]),
        invoices=tuple(invoices),
        payments=reconcile(opening.balances, invoices, counted),
        taxes=tuple(TaxAmount(head, rate, amount) for (head, rate), amount in sorted(taxes.items())),
    )


def window_end(opening: Opening, openings: Iterable[Opening], now: datetime) -> datetime:
    """Until when invoices belong to a shift: the next shift of the same cashier and profile, or now.

    Nothing else ends a shift: sales after midnight belong to the shift in which they were made, and would be left
    without a ledger entry for ever if its closing did not take them.
    """
    later = [
        other.period_start
        for other in openings
        if other.name != opening.name
        and (other.pos_profile, other.user) == (opening.pos_profile, opening.user)
        and other.period_start > opening.period_start
    ]
    return min([now, *later])


def plan_shift(
    opening: Opening, invoices: Sequence[ShiftInvoice], closings: Iterable[Closing], day: date
) -> tuple[ShiftAction, list[Finding]]:
    """What to do for one shift of `day`, from its unconsolidated invoices and its closings (cancelled included)."""
    all_closings = sorted(closings, key=lambda one: one.name)
    submitted = [closing for closing in all_closings if closing.docstatus == SUBMITTED]
    drafts = [closing for closing in all_closings if closing.docstatus == DRAFT]
    if submitted:
        return _of_submitted(opening, submitted)
    if opening.status != "Open":
        reason = f"the shift is {opening.status} but has no submitted POS Closing Entry"
        finding = Finding(
            "error",
            "shift without a closing",
            opening.label,
            reason,
            "Look at the POS Opening Entry in ERPNext.",
        )
        return ShiftAction("refuse", opening, reason), [finding]

    ours = [
        revision_of(closing.key) for closing in all_closings if closing.key and closing.docstatus == CANCELLED
    ]
    revision = 1 + max(ours, default=-1)
    if not drafts:
        draft = draft_closing(opening, invoices, day, revision)
        return ShiftAction("create", opening, f"{len(invoices)} invoices", draft=draft), []

    chosen = next((one for one in drafts if one.key), drafts[0])
    draft = draft_closing(
        opening, invoices, day, revision_of(chosen.key) if chosen.key else revision, chosen.counted
    )
    missing = {invoice.name for invoice in invoices} - set(chosen.invoices)
    reason = f"the draft {chosen.name} was found" + (
        f"; {len(missing)} invoices were missing in it" if missing else ""
    )
    extra = [
        Finding(
            "warning",
            "second draft closing",
            opening.label,
            f"{other.name} is another draft POS Closing Entry of this shift",
            "Delete it in ERPNext; only one closing of a shift can be submitted.",
        )
        for other in drafts
        if other is not chosen
    ]
    return ShiftAction("complete", opening, reason, closing=chosen.name, draft=draft), extra


def _of_submitted(opening: Opening, submitted: Sequence[Closing]) -> tuple[ShiftAction, list[Finding]]:
    closing = submitted[0]
    if closing.status == "Queued":
        return ShiftAction(
            "wait", opening, f"{closing.name} is being consolidated", closing.name, None, closing.grand_total
        ), []
    if closing.status == "Failed" and opening.status == "Open":
        reason = closing.error_message or "ERPNext gave no message"
        return ShiftAction("retry", opening, reason, closing.name, None, closing.grand_total), []
    # Failed with a closed shift: a retry of a finished closing flips its status although all is booked.
    return ShiftAction(
        "adopt", opening, f"closed by {closing.name}", closing.name, None, closing.grand_total
    ), []


@dataclass(frozen=True, slots=True)
class LooseInvoice:
    """A submitted POS Invoice that nothing has consolidated."""

    name: str
    pos_profile: str
    owner: str
    posted_at: datetime
    grand_total: Decimal


def by_day(invoices: Iterable[LooseInvoice]) -> dict[date, list[LooseInvoice]]:
    """POS Invoices by the day on which they were made."""
    found: dict[date, list[LooseInvoice]] = defaultdict(list)
    for one in invoices:
        found[one.posted_at.date()].append(one)
    return dict(found)


def orphans(invoices: Iterable[LooseInvoice], open_shifts: Iterable[Opening]) -> list[Finding]:
    """POS Invoices that no open shift will ever take: submitted, not consolidated, and without a ledger entry."""
    shifts = list(open_shifts)
    found = []
    for invoice in sorted(invoices, key=lambda one: one.name):
        waiting = any(
            (shift.pos_profile, shift.user) == (invoice.pos_profile, invoice.owner)
            and shift.period_start <= invoice.posted_at
            for shift in shifts
        )
        if not waiting:
            found.append(
                Finding(
                    "warning",
                    "orphaned POS Invoice",
                    f"{invoice.name} ({invoice.pos_profile}, {invoice.owner})",
                    f"{invoice.grand_total:.2f} were sold at {invoice.posted_at} outside every open shift: not in the ledger",
                    "Add the invoice by hand to the next POS Closing Entry of the same POS Profile and cashier.",
                )
            )
    return found
