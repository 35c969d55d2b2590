"""A closed day against the rule: every difference between what ERPNext holds and what should be there.

Here: the comparison of one day, as a pure function. Not here: reading ERPNext (`erpnext.range_reading`), printing,
and the rule itself, which is `royalties.plan_royalties`: a second opinion on the rule would be a second rule.

A posted day is compared by the terms that it was posted by, as a close does: a rate that has changed since is no difference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from scoopjoy_dagster.accounting.day_record import BookedEntry, DayRecord
from scoopjoy_dagster.accounting.differences import DayDifference, DayVerdict, What
from scoopjoy_dagster.accounting.keys import normalised, revision_of, royalty_key, without_revision
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import (
    SUBMITTED,
    Action,
    Franchise,
    PostedEntry,
    RoyaltyPlan,
    plan_royalties,
)
from scoopjoy_dagster.accounting.shares import Share, by_document
from scoopjoy_dagster.accounting.shifts import unbooked_finding

NAMED = 5
"""So many documents are named in one row; the rest is counted."""

CLOSE_AGAIN = "Close the day again: `scoopjoy close --date {day}`."


ROWS_CHANGED = (
    "Find out in ERPNext who changed the rows of the entry; cancel and amend it with the right ones."
)


def plan_of(
    company: str, policy: RoyaltyPolicy, franchises: Sequence[Franchise], currency: str, record: DayRecord
) -> RoyaltyPlan:
    """What a close of the day would find; entries whose key has no revision are left out."""
    return plan_royalties(
        company=company,
        day=record.day,
        policy=policy,
        franchises=franchises,
        invoices=record.invoices,
        posted=[one.posted for one in record.entries if readable(one.posted.key)],
        former=record.former,
        company_currency=currency,
    )


def verify_day(
    company: str, policy: RoyaltyPolicy, franchises: Sequence[Franchise], currency: str, record: DayRecord
) -> DayVerdict:
    """Every difference of a day, in the order: royalties, entries, invoices, statements, headquarters, shifts.

    Args:
        company: ERPNext company that the royalties are owed to.
        policy: the royalty policy in force now.
        franchises: enabled customers in the franchise group or below it, as they are now.
        currency: the company's currency.
        record: what ERPNext holds of the day.
    """
    plan = plan_of(company, policy, franchises, currency, record)
    day = _Day(record, plan, entries_by_customer(plan, record))
    return DayVerdict(
        record.day,
        plan.due,
        day.booked,
        (
            *day.royalties(),
            *day.of_nobody(),
            *day.not_ours(),
            *day.keys(),
            *day.general_ledger(),
            *day.shares(),
            *day.statements(),
            *day.other_steps(),
        ),
    )


def entries_by_customer(plan: RoyaltyPlan, record: DayRecord) -> dict[str, list[BookedEntry]]:
    """The entries of every customer of the plan, in order of revision; under the empty name those of nobody known.

    As in the plan, an entry is its party's in the ledger (a Customer may have been renamed since the key was written),
    and its key's where the ledger has no row.
    """
    owners: dict[str, str] = {}
    for action in plan.actions:
        customer = action.royalty.customer
        owners[normalised(customer)] = customer
        owners[without_revision(royalty_key(plan.company, record.day, customer, 0))] = customer
    found: dict[str, list[BookedEntry]] = defaultdict(list)
    for entry in record.entries:
        if readable(entry.posted.key):
            owner = normalised(entry.posted.customer) or without_revision(entry.posted.key)
            found[owners.get(owner, "")].append(entry)
    for entries in found.values():
        entries.sort(key=lambda one: (revision_of(one.posted.key), one.posted.name))
    return found


@dataclass(frozen=True, slots=True)
class _Day:
    """One day under comparison."""

    record: DayRecord
    plan: RoyaltyPlan
    entries: Mapping[str, list[BookedEntry]]

    @property
    def booked(self) -> Decimal:
        """Royalties of the day in the general ledger, in INR."""
        return sum((one.posted.amount for one in self.record.entries), ZERO)

    @property
    def close_again(self) -> str:
        return CLOSE_AGAIN.format(day=self.record.day)

    def live(self, customer: str) -> list[PostedEntry]:
        """The submitted ones."""
        mine = self.entries.get(customer, [])
        return [one.posted for one in mine if one.posted.docstatus == SUBMITTED]

    def difference(self, who: str, what: str, message: str, action: str, **amounts: Decimal) -> DayDifference:
        """A row of this day; amounts are `expected` and `actual`."""
        return DayDifference(self.record.day, who, what, message, action, **amounts)

    # -- the ledger against the rule --------------------------------------------------------------------------

    def royalties(self) -> Iterator[DayDifference]:
        """Per franchise: what the rule says, what is posted."""
        for action in self.plan.actions:
            if action.kind == "create":
                yield self.difference(
                    action.royalty.customer_name,
                    What.MISSING,
                    f"nothing is posted; the rule says {_by_rule(action)}",
                    self.close_again,
                    expected=action.royalty.amount,
                    actual=ZERO,
                )
            elif action.kind == "adjust":
                yield self._wrong(action)
            elif action.kind == "refuse":
                yield self._refused(action)

    def _wrong(self, action: Action) -> DayDifference:
        live = action.entries
        posted = sum((one.amount for one in live), ZERO)
        last = live[-1]
        names = ", ".join(one.name for one in live)
        message = (
            f"{names}: posted on a base of {last.base:.2f} at {_percent(last.rate)} (policy {last.policy or 'unknown'}); "
            f"the rule says {_by_rule(action)} (policy {action.royalty.policy_version})"
        )
        return self.difference(
            action.royalty.customer_name,
            What.DIFFERS,
            message,
            f"{self.close_again} It posts the difference as a signed adjustment.",
            expected=action.royalty.amount,
            actual=posted,
        )

    def _refused(self, action: Action) -> DayDifference:
        finding = next(one for one in self.plan.findings if one.message == action.reason)
        posted = sum((one.amount for one in self.live(action.royalty.customer)), ZERO)
        amounts = {"expected": action.royalty.amount, "actual": posted} if action.amount else {}
        return self.difference(
            action.royalty.customer_name, finding.what, finding.message, finding.action, **amounts
        )

    def of_nobody(self) -> Iterator[DayDifference]:
        """Entries in the ledger of which no Customer is known."""
        for entry in self.entries.get("", []):
            if entry.posted.amount:
                yield self.difference(
                    entry.posted.name,
                    What.OF_NOBODY,
                    f"posted under the key {entry.posted.key}, but its customer is neither among the franchises nor seen "
                    "to have left them",
                    "See that the user may read every Customer and that this one was not deleted; otherwise reverse the "
                    "entry in ERPNext.",
                    expected=ZERO,
                    actual=entry.posted.amount,
                )

    def not_ours(self) -> Iterator[DayDifference]:
        """Entries of others for the same royalties, which the rule and the close do not know of."""
        names = {action.royalty.customer: action.royalty.customer_name for action in self.plan.actions}
        for one in self.record.others:
            yield self.difference(
                names.get(one.customer, one.customer),
                What.NOT_OURS,
                f"{one.name} is posted besides our entries: a person or another program made it",
                "If it charges the same sales again, cancel it in ERPNext. If it is meant, leave it: the close neither counts "
                "nor changes it.",
                expected=ZERO,
                actual=one.amount,
            )

    # -- the entries themselves -------------------------------------------------------------------------------

    def keys(self) -> Iterator[DayDifference]:
        """Every revision of a franchise's entries once, from 0 on, none missing."""
        for entry in self.record.entries:
            if not readable(entry.posted.key):
                yield self.difference(
                    entry.posted.name,
                    What.KEY_UNREADABLE,
                    f"the key {entry.posted.key!r} does not end in a revision: this program did not write it",
                    "Find out in ERPNext who changed the key; reverse the entry if it is not owed.",
                    expected=ZERO,
                    actual=entry.posted.amount,
                )
        same: dict[tuple[str, int], list[str]] = defaultdict(list)
        for entries in self.entries.values():
            for one in entries:
                key = one.posted.key
                same[without_revision(key), revision_of(key)].append(one.posted.name)
        for (begin, revision), names in same.items():
            if len(names) > 1:
                yield self.difference(
                    _names(names),
                    What.KEY_TWICE,
                    f"{len(names)} entries carry revision {revision} of {begin}",
                    "Reverse what is posted too much in ERPNext, and run `scoopjoy check`: the field must be unique.",
                )
        for customer, entries in self.entries.items():
            there = {revision_of(one.posted.key) for one in entries}
            # A damaged revision is no proof of a million deleted ones: only the first few gaps are looked for.
            gaps = [number for number in range(min(max(there), len(there) + NAMED)) if number not in there]
            if customer and gaps:
                yield self.difference(
                    _names(one.posted.name for one in entries),
                    What.REVISION_MISSING,
                    f"there is no revision {', '.join(map(str, gaps))} before {entries[-1].posted.key}: an entry was deleted",
                    "Find out in ERPNext's Deleted Documents who deleted it.",
                )

    def general_ledger(self) -> Iterator[DayDifference]:
        """The ledger rows of every entry against the entry."""
        for entry in self.record.entries:
            posted = entry.posted
            if entry.left_over:
                yield self.difference(
                    entry.keyed or posted.name,
                    What.CANCELLED_IN_LEDGER,
                    f"it is cancelled, but rows of {entry.left_over:.2f} of it still count",
                    "Look at the entry's ledger in ERPNext (Repost Accounting Ledger).",
                    expected=ZERO,
                    actual=entry.left_over,
                )
            if posted.docstatus != SUBMITTED:
                continue
            for side, amount in (("debit", entry.debit), ("credit", entry.credit)):
                if amount != entry.total:
                    yield self.difference(
                        posted.name,
                        What.LEDGER_DIFFERS,
                        f"the {side} of its ledger rows is {amount:.2f}, the entry says {entry.total:.2f}",
                        "Look at the entry's ledger in ERPNext (Repost Accounting Ledger).",
                        expected=entry.total,
                        actual=amount,
                    )
        by_key = {
            without_revision(
                royalty_key(self.plan.company, self.record.day, one.royalty.customer, 0)
            ): one.royalty
            for one in self.plan.actions
        }
        for customer, entries in self.entries.items():
            for one in entries:
                meant = by_key.get(without_revision(one.posted.key))
                if customer and meant and meant.customer != customer:
                    yield self.difference(
                        meant.customer_name,
                        What.OTHER_PARTY,
                        f"the key of {one.posted.name} is of {meant.customer}, its {one.posted.amount:.2f} are booked on {customer}",
                        "Cancel the entry in ERPNext and amend it with the right party.",
                    )

    # -- invoices, statements, headquarters, shifts -----------------------------------------------------------

    def shares(self) -> Iterator[DayDifference]:
        """The rows of the entries against the ledger, and against the sales."""
        rows: dict[str, list[Share]] = defaultdict(list)
        for row in self.record.shares:
            rows[row.entry].append(row)
        for action in self.plan.actions:
            own = [row for entry in action.entries for row in rows.get(entry.name, ())]
            if action.kind == "adopt" and own:
                yield from self._shares_of(action, own)
        unknown = [
            one.posted.name
            for one in self.record.entries
            if one.posted.docstatus == SUBMITTED and not one.posted.digest and one.posted.name not in rows
        ]
        if unknown:
            yield self.difference(
                _names(unknown),
                What.WITHOUT_SHARES,
                "a person typed it under our key: it does not list the share of each sale",
                "If it is not owed, reverse it in ERPNext; the close counts it as it is.",
            )

    def _shares_of(self, action: Action, rows: Sequence[Share]) -> Iterator[DayDifference]:
        royalty = action.royalty
        posted = sum((one.amount for one in action.entries), ZERO) - royalty.by_person
        carried = sum((one.share for one in rows), ZERO)
        if carried != posted:
            yield self.difference(
                royalty.customer_name,
                What.SHARES_DIFFER,
                f"the shares in {_names(one.name for one in action.entries)} add up to {carried:.2f}, {posted:.2f} are in the ledger",
                ROWS_CHANGED,
                expected=posted,
                actual=carried,
            )
            return
        base = sum((one.base for one in rows), ZERO)
        if not royalty.kept and not royalty.merged and base != action.entries[-1].base:
            yield self.difference(
                royalty.customer_name,
                What.BASES_DIFFER,
                f"the bases in {_names(one.name for one in action.entries)} add up to {base:.2f}, the royalty was posted on "
                f"{action.entries[-1].base:.2f}",
                ROWS_CHANGED,
            )
        elif not royalty.kept and base == royalty.base:
            now = {one.document: one.base for one in royalty.invoices}
            then = {one.document: one.base for one in by_document(rows).values() if one.base}
            wrong = [one[1] for one in now.keys() | then.keys() if now.get(one, ZERO) != then.get(one, ZERO)]
            if wrong:
                yield self.difference(
                    royalty.customer_name,
                    What.SHARE_WRONG,
                    f"{_names(wrong)}: the entries carry another base than the sales have",
                    self.close_again,
                )

    def statements(self) -> Iterator[DayDifference]:
        """Every franchise with a royalty in the ledger has its statement on the first entry."""
        for action in self.plan.actions:
            live = self.live(action.royalty.customer)
            if live and live[0].name not in self.record.statements:
                yield self.difference(
                    action.royalty.customer_name,
                    What.STATEMENT_MISSING,
                    f"no royalty statement is attached to {live[0].name}",
                    self.close_again,
                )

    def other_steps(self) -> Iterator[DayDifference]:
        """Headquarters and shifts."""
        told = self.record.headquarters
        if told and told.revision is None:
            yield self.difference(
                "headquarters",
                What.NOT_ACKNOWLEDGED,
                "there is no record that headquarters has taken the day's totals",
                self.close_again,
            )
        elif told and told.royalty is not None and told.royalty != self.booked:
            yield self.difference(
                "headquarters",
                What.TOLD_OTHERWISE,
                f"revision {told.revision} says {told.royalty:.2f}, {self.booked:.2f} are in the ledger",
                self.close_again,
                expected=self.booked,
                actual=told.royalty,
            )
        for label in self.record.open_shifts:
            yield self.difference(
                label,
                What.SHIFT_OPEN,
                "the shift of the day has no submitted POS Closing Entry: its sales are not in the ledger",
                self.close_again,
            )
        for one in self.record.unbooked:
            row = unbooked_finding(one, "error")
            yield self.difference(row.who, What.UNBOOKED, row.message, row.action)


def readable(key: str) -> bool:
    """Whether a key ends in a revision, as all do that this program wrote."""
    try:
        revision_of(key)
    except ValueError:
        return False
    return True


def _by_rule(action: Action) -> str:
    royalty = action.royalty
    return f"{royalty.amount:.2f}: {_percent(royalty.rate)} of {royalty.base:.2f} on {royalty.invoice_count} invoices"


def _percent(rate: Decimal) -> str:
    return f"{rate.normalize():f} %"


def _names(names: Iterable[str]) -> str:
    """A few names in order; the rest is counted."""
    ordered = sorted(names)
    more = f" and {len(ordered) - NAMED} more" if len(ordered) > NAMED else ""
    return ", ".join(ordered[:NAMED]) + more
