"""POS shifts: what a closing must contain, and what to do for a shift in the state in which it is found.

Sources of the rules: ERPNext computes and checks no total of a POS Closing Entry, closes the shift for good when it
is submitted, and leaves every invoice that was not in its rows without a ledger entry. So the rows and the totals
are computed here, and a draft is never submitted before its rows are compared with the shift's invoices.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Literal

from scoopjoy_dagster.accounting.business_day import DayEnd
from scoopjoy_dagster.accounting.findings import Finding, Severity
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
    """One payment row of a till sale, in company currency; negative on a return. `account` is empty where ERPNext wrote none."""

    mode: str
    amount: Decimal
    account: str = ""


@dataclass(frozen=True, slots=True)
class TaxAmount:
    """One tax row of a till sale, in company currency."""

    account_head: str
    rate: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class TillSale:
    """A sale or return at a till that no POS Closing Entry has taken: a POS Invoice, or a Sales Invoice that the till made.

    Amounts are in company currency, whatever the customer paid in: that is what the ledger adds up. `cashier` is the user who
    made it. `payments` and `taxes` are only read for sales that a closing is about to take. `currency` and `exchange_rate` (company
    currency for one unit) are those of the document.
    """

    name: str
    pos_profile: str
    cashier: str
    posted_at: datetime
    grand_total: Decimal
    net_total: Decimal
    quantity: Decimal
    customer: str = ""
    is_return: bool = False
    is_draft: bool = False
    payments: tuple[Payment, ...] = ()
    change_amount: Decimal = ZERO
    change_account: str = ""
    taxes: tuple[TaxAmount, ...] = ()
    doctype: str = "POS Invoice"
    currency: str = ""
    exchange_rate: Decimal = Decimal(1)


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
class Closing:
    """A POS Closing Entry as found. `invoices` and `counted` are read only for drafts; `payments` are its rows as they stand."""

    name: str
    opening: str
    docstatus: int
    status: str
    key: str = ""
    error_message: str = ""
    grand_total: Decimal = ZERO
    invoices: tuple[str, ...] = ()
    counted: Mapping[str, Decimal] = field(default_factory=dict)
    payments: tuple[PaymentLine, ...] = ()


@dataclass(frozen=True, slots=True)
class ClosingDraft:
    """Everything that a POS Closing Entry must say, independent of the ERPNext version."""

    key: str
    opening: Opening
    posting_date: date
    posting_time: time
    period_end: datetime
    invoices: tuple[TillSale, ...]
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
    shift closed; `selling` leaves it to its cashier for a while; `refuse` needs a person.
    """

    kind: Literal["create", "complete", "wait", "retry", "adopt", "selling", "refuse"]
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
    invoices: Iterable[TillSale],
    counted: Mapping[str, Decimal] | None = None,
    accounts: Mapping[str, str] | None = None,
) -> tuple[PaymentLine, ...]:
    """Expected amount by mode of payment: opening + payments - change, in company currency, as the ledger books it.

    Change is taken from the mode whose account is the change account of the sale, though it be another mode than the customer
    paid with: change for a card comes out of the drawer. Where no mode has that account, the ledger takes the change from
    no mode, and neither does this.

    Args:
        balances: opening amount by mode of payment: the modes of the shift.
        invoices: the sales, with their payments.
        counted: what a person counted, by mode; all else is uncounted.
        accounts: the account of each mode of payment in the company, for payments that name none.
    """
    accounts = accounts or {}
    expected: dict[str, Decimal] = defaultdict(lambda: ZERO, balances)
    for invoice in invoices:
        for payment in invoice.payments:
            expected[payment.mode] += payment.amount
        mode = _mode_of_change(invoice, balances, accounts) if invoice.change_amount else ""
        if mode:
            expected[mode] -= invoice.change_amount
    return tuple(
        PaymentLine(mode, balances.get(mode, ZERO), amount, (counted or {}).get(mode))
        for mode, amount in expected.items()
    )


def _mode_of_change(sale: TillSale, balances: Mapping[str, Decimal], accounts: Mapping[str, str]) -> str:
    """The mode of payment out of which the change was given; empty where none has that account."""
    paid = {one.mode: one.account or accounts.get(one.mode, "") for one in sale.payments}
    shift = {mode: accounts.get(mode, "") for mode in balances}
    return next(
        (
            mode
            for modes in (paid, shift, accounts)
            for mode, account in modes.items()
            if account and account == sale.change_account
        ),
        "",
    )


def change_needs_accounts(sales: Iterable[TillSale]) -> bool:
    """Whether the accounts of the modes of payment must be known to see where the change of these sales came from.

    They need not while each names its own: a sale that is submitted in the request that makes it names none.
    """
    return any(
        one.change_amount and all(payment.account != one.change_account for payment in one.payments)
        for one in sales
    )


def still_selling(sales: Iterable[TillSale], now: datetime, quiet: timedelta) -> datetime | None:
    """When the shift sold last, if that is less than `quiet` before `now`; None when it has stopped selling.

    What is dated later than now says nothing about the till.
    """
    last = max((one.posted_at for one in sales if one.posted_at <= now), default=None)
    return last if last is not None and now - last < quiet else None


def draft_closing(
    opening: Opening,
    invoices: Sequence[TillSale],
    day: date,
    revision: int,
    counted: Mapping[str, Decimal] | None = None,
    accounts: Mapping[str, str] | None = None,
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
        period_end=max([end, opening.period_start, *(invoice.posted_at for invoice in invoices)]),
        invoices=tuple(invoices),
        payments=reconcile(opening.balances, invoices, counted, accounts),
        taxes=tuple(TaxAmount(head, rate, amount) for (head, rate), amount in sorted(taxes.items())),
    )


def window_end(opening: Opening, openings: Iterable[Opening], now: datetime) -> datetime:
    """Until when sales belong to a shift: the next shift of the same cashier and profile, or now.

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


def by_shift(sales: Iterable[TillSale], openings: Iterable[Opening]) -> dict[str, list[TillSale]]:
    """The sales of each shift, by name of its opening, in order of time; those of no shift under the empty name.

    A sale belongs to the last shift of its till and cashier that began at or before it. So windows are half open: a sale at
    the very second of an opening belongs to that shift, and to no other.
    """
    begun: dict[tuple[str, str], list[tuple[datetime, str]]] = defaultdict(list)
    for one in openings:
        begun[one.pos_profile, one.user].append((one.period_start, one.name))
    for shifts in begun.values():
        shifts.sort()
    found: dict[str, list[TillSale]] = defaultdict(list)
    for sale in sorted(sales, key=lambda one: (one.posted_at, one.name)):
        shifts = begun.get((sale.pos_profile, sale.cashier), [])
        before = bisect_right(shifts, sale.posted_at, key=lambda one: one[0])
        found[shifts[before - 1][1] if before else ""].append(sale)
    return dict(found)


def plan_shift(
    opening: Opening,
    sales: Sequence[TillSale],
    closings: Iterable[Closing],
    day: date,
    accounts: Mapping[str, str] | None = None,
) -> tuple[ShiftAction, list[Finding]]:
    """What to do for one shift of `day`.

    Args:
        opening: the shift.
        sales: those of it that no closing has taken, drafts among them.
        closings: all of its closings, cancelled ones included.
        day: the business day.
        accounts: the account of each mode of payment in the company.
    """
    all_closings = sorted(closings, key=lambda one: one.name)
    submitted = [closing for closing in all_closings if closing.docstatus == SUBMITTED]
    drafts = [closing for closing in all_closings if closing.docstatus == DRAFT]
    invoices = [one for one in sales if not one.is_draft]
    notes = _left_as_drafts(opening, [one for one in sales if one.is_draft])
    if submitted:
        action, found = _of_submitted(opening, submitted[0], invoices)
        return action, [*notes, *found, *_counted_differences(opening, submitted[0].payments)]
    if opening.status != "Open":
        reason = f"the shift is {opening.status} but has no submitted POS Closing Entry"
        finding = Finding(
            "error",
            "shift without a closing",
            opening.label,
            reason,
            "Look at the POS Opening Entry in ERPNext.",
        )
        return ShiftAction("refuse", opening, reason), [*notes, finding]

    mixed = _in_several_currencies(invoices)
    if mixed:
        reason = (
            f"the sales to {mixed} are in several currencies: ERPNext would add them up as if they were one"
        )
        finding = Finding(
            "error",
            "shift in several currencies",
            opening.label,
            reason,
            "Cancel the sales in the foreign currency in ERPNext and enter them as Sales Invoices; then re-run `closed_shifts` "
            "for this day.",
        )
        return ShiftAction("refuse", opening, reason), [*notes, finding]

    ours = [
        revision_of(closing.key) for closing in all_closings if closing.key and closing.docstatus == CANCELLED
    ]
    revision = 1 + max(ours, default=-1)
    if not drafts:
        draft = draft_closing(opening, invoices, day, revision, accounts=accounts)
        return ShiftAction("create", opening, f"{len(invoices)} invoices", draft=draft), notes

    chosen = next((one for one in drafts if one.key), drafts[0])
    draft = draft_closing(
        opening,
        invoices,
        day,
        revision_of(chosen.key) if chosen.key else revision,
        chosen.counted,
        accounts,
    )
    missing = {invoice.name for invoice in invoices} - set(chosen.invoices)
    reason = f"the draft {chosen.name} was found" + (
        f"; {len(missing)} invoices were missing in it" if missing else ""
    )
    notes += [
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
    notes += _counted_differences(opening, draft.payments)
    return ShiftAction("complete", opening, reason, closing=chosen.name, draft=draft), notes


def _counted_differences(opening: Opening, payments: Iterable[PaymentLine]) -> list[Finding]:
    """What the cashier counted and what should be there, where the two differ."""
    differing = [
        f"{line.mode}: {line.counted:.2f} counted, {line.expected:.2f} expected: "
        f"{abs(line.difference):.2f} {'short' if line.difference < 0 else 'over'}"
        for line in payments
        if line.difference
    ]
    if not differing:
        return []
    return [
        Finding(
            "warning",
            "count differs",
            opening.label,
            "; ".join(differing),
            "Ask the cashier. ERPNext books no difference: if it stays, post it with a Journal Entry.",
        )
    ]


def _in_several_currencies(invoices: Iterable[TillSale]) -> str:
    """A customer whose POS Invoices are not all in one currency and at one rate; empty when there is none.

    ERPNext consolidates the POS Invoices of one customer into one Sales Invoice, in the currency of the last of them. v15 books
    10 dollars as 10 rupees so, and says nothing.
    """
    found: dict[str, set[tuple[str, Decimal]]] = defaultdict(set)
    for one in invoices:
        if one.doctype == "POS Invoice":
            found[one.customer].add((one.currency, one.exchange_rate))
    return next((customer for customer, kinds in sorted(found.items()) if len(kinds) > 1), "")


def _left_as_drafts(opening: Opening, drafts: Sequence[TillSale]) -> list[Finding]:
    if not drafts:
        return []
    amount = sum((one.grand_total for one in drafts), ZERO)
    return [
        Finding(
            "warning",
            "draft sales in a shift",
            opening.label,
            f"{_sales(len(drafts), amount)} {'is a draft' if len(drafts) == 1 else 'are drafts'}, so in no closing: "
            f"{named(one.name for one in drafts)}",
            "Ask the cashier. Submit the ones that were paid, then re-run `closed_shifts` for this day; delete the others.",
        )
    ]


def _of_submitted(
    opening: Opening, closing: Closing, unbooked: Sequence[TillSale]
) -> tuple[ShiftAction, list[Finding]]:
    def action(kind: Literal["wait", "retry", "adopt", "refuse"], reason: str) -> ShiftAction:
        return ShiftAction(kind, opening, reason, closing.name, None, closing.grand_total)

    if closing.status == "Queued":
        return action("wait", f"{closing.name} is being consolidated"), []
    if opening.status != "Open":
        # Failed with a closed shift: a retry of a finished closing flips its status although all is booked.
        return action("adopt", f"closed by {closing.name}"), []
    if closing.status == "Failed":
        return action("retry", closing.error_message or "ERPNext gave no message"), []
    if unbooked:
        # ERPNext v16+ answers a cancellation of ten rows or more with an error, and carries out half of it.
        return action(
            "retry", f"{closing.name} is submitted, and its sales are not consolidated any more"
        ), []
    reason = f"the shift is Open although {closing.name} is submitted and all of its sales are booked"
    finding = Finding(
        "error",
        "shift open in spite of its closing",
        opening.label,
        reason,
        "Cancel the POS Closing Entry in ERPNext, then re-run `closed_shifts` for this day: it makes a new one.",
    )
    return action("refuse", reason), [finding]


def _sales(count: int, amount: Decimal) -> str:
    return f"{count} {'sale' if count == 1 else 'sales'} of {amount:.2f}"


NAMED = 5
"""Documents that a row names before it counts the others."""


def named(names: Iterable[str]) -> str:
    """The first of some names, and how many more there are."""
    found = sorted(names)
    return ", ".join(found[:NAMED]) + (f" and {len(found) - NAMED} more" if len(found) > NAMED else "")


@dataclass(frozen=True, slots=True)
class UnbookedSales:
    """Submitted sales of one cashier at one till and day that no closing has taken and none will: they are in no ledger.

    `shift`: that of the till and day which had begun when the first of them was made, so that its closing should have had them, if
    its user had made them; None where there was none. `day` is then the day of that shift, else the day on which they were made.
    `first_sold` is the business day of the first of them: that of a shift which is opened to take them.
    """

    pos_profile: str
    cashier: str
    day: date
    shift: Opening | None
    sales: tuple[TillSale, ...]
    first_sold: date

    @property
    def in_a_shift(self) -> bool:
        """Whether they were made in the time of a shift of the till."""
        return self.shift is not None

    @property
    def why(self) -> str:
        """Why no closing has them."""
        if self.shift is None:
            return "no shift had begun at the till that day"
        if self.shift.user == self.cashier:
            return f"the shift {self.shift.name} was closed without them"
        return (
            f"{self.cashier} made them in the shift {self.shift.name} of {self.shift.user}, and a closing takes only the sales of its "
            "own user"
        )

    @property
    def amount(self) -> Decimal:
        """What they add up to with tax, in company currency."""
        return sum((one.grand_total for one in self.sales), ZERO)

    @property
    def label(self) -> str:
        """How a person recognises them."""
        return f"{self.day.isoformat()} ({self.pos_profile}, {self.cashier})"


def unbooked_sales(
    sales: Iterable[TillSale], openings: Sequence[Opening], day_end: DayEnd
) -> list[UnbookedSales]:
    """The sales that no closing will ever take, by business day, till and cashier.

    A sale waits while its shift is open. It does not where its shift was closed before it arrived (a till that was offline), where
    another user made it than the one who opened the shift, or where the till had no shift at all.
    """
    shifts = {one.name: one for one in openings}
    of_till = defaultdict(list)
    for one in sorted(openings, key=lambda one: one.period_start):
        of_till[one.pos_profile].append(one)
    found: dict[tuple[date, str, str, bool], list[tuple[TillSale, Opening | None]]] = defaultdict(list)
    for name, own in by_shift((one for one in sales if not one.is_draft), openings).items():
        shift = shifts.get(name)
        if shift and shift.status == "Open":
            continue
        for sale in own:
            begun = [one for one in of_till[sale.pos_profile] if one.period_start <= sale.posted_at]
            of = shift or (begun[-1] if begun else None)
            began, sold = day_end.day_of(of.period_start) if of else None, day_end.day_of(sale.posted_at)
            in_a_shift = began is not None and (of is shift or began == sold)
            day = began if began and in_a_shift else sold
            found[day, sale.pos_profile, sale.cashier, in_a_shift].append((sale, of if in_a_shift else None))
    return [
        UnbookedSales(
            till,
            cashier,
            day,
            own[0][1],
            tuple(sale for sale, _ in own),
            day_end.day_of(min(sale.posted_at for sale, _ in own)),
        )
        for (day, till, cashier, _), own in sorted(found.items(), key=lambda one: one[0])
    ]


def unbooked_finding(unbooked: UnbookedSales, severity: Severity, *, explained: bool = True) -> Finding:
    """The exception row of such sales: what to do in ERPNext so that the next run closes them.

    `explained`: whether all shifts of their day were read, so that it is known why no closing has them.
    """
    first = min(one.posted_at for one in unbooked.sales)
    return Finding(
        severity,
        "till sales not in the ledger",
        unbooked.label,
        f"{_sales(len(unbooked.sales), unbooked.amount)} {'is' if len(unbooked.sales) == 1 else 'are'} in no POS Closing Entry: "
        f"{named(one.name for one in unbooked.sales)}" + (f"; {unbooked.why}" if explained else ""),
        f"While no shift is open at {unbooked.pos_profile}, submit a POS Opening Entry there for {unbooked.cashier} with the "
        f"Period Start Date {first:%Y-%m-%d %H:%M:%S}; then re-run `closed_shifts` for {unbooked.first_sold}.",
    )
