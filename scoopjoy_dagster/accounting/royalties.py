"""Royalties of one business day: from franchises, invoices and what is posted already to a list of actions.

`plan_royalties` is the whole rule. It is pure: a re-run of a day that is right is a plan of nothing but *adopt*
and *skip*, and a late change is a plan with one signed *adjust*. A posted entry is never edited, cancelled or
deleted: what it should have been is reached by posting the difference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Literal

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.keys import digest, normalised, revision_of, royalty_key, without_revision
from scoopjoy_dagster.accounting.money import ZERO, allocate, rounded
from scoopjoy_dagster.accounting.policy import FormerFranchises, NegativeDays, RoyaltyPolicy

HIGHEST_RATE = Decimal(100)
SUBMITTED, CANCELLED = 1, 2


@dataclass(frozen=True, slots=True)
class Franchise:
    """A Customer of the franchise group. `rate` in percent as ERPNext stores it (0 means not set)."""

    customer: str
    customer_name: str
    rate: Decimal = ZERO
    exempt: bool = False


@dataclass(frozen=True, slots=True)
class BaseInvoice:
    """A submitted Sales Invoice of the day, in company currency, negative for a return; or several, added up.

    A royalty follows from sums, so a day is read as sums: the invoices of one customer and currency, added up by the server,
    have no `name`, and `count` says how many they are. Where each of them is needed (its share, the lines of a statement)
    the rows take their place, see `RoyaltyPlan.with_rows`.

    `base` is what the royalty is computed on by the policy, `sales` the grand total whatever the policy says. `newest` is
    when the newest of them was created, in site time as ERPNext writes it.
    """

    name: str
    customer: str
    base: Decimal
    is_return: bool = False
    currency: str = ""
    sales: Decimal = ZERO
    count: int = 1
    newest: str = ""


@dataclass(frozen=True, slots=True)
class PostedEntry:
    """A royalty Journal Entry of ours as ERPNext holds it.

    Attributes:
        amount: what the ledger says the franchise owes by it (debit minus credit with that party), in INR; an entry
            that a person cancelled and amended counts with the amendment's amount.
        customer: the party by the ledger, which follows a renamed Customer as the key cannot; empty where the ledger
            never had a row of the entry.
        booked: whether the ledger has a row of it; a submitted entry without one was not read completely.
        base, rate, policy: what the franchise's royalty of the whole day followed from when it was posted.
        posting_date: the business day, or a later one when that was locked.
        reason: why it was posted, for people.
        run: the Dagster run that posted it.
    """

    name: str
    key: str
    docstatus: int
    amount: Decimal
    digest: str = ""
    customer: str = ""
    booked: bool = True
    base: Decimal = ZERO
    rate: Decimal = ZERO
    policy: str = ""
    posting_date: date | None = None
    reason: str = ""
    run: str = ""


@dataclass(frozen=True, slots=True)
class FormerFranchise:
    """A Customer with royalty entries of the day that is no franchise now, and why: it was disabled, or moved."""

    customer: str
    customer_name: str
    why: str


@dataclass(frozen=True, slots=True)
class Royalty:
    """What one franchise owes for the day, and how that follows: `amount` = `base` x `rate` %, rounded once."""

    customer: str
    customer_name: str
    invoices: tuple[BaseInvoice, ...]
    base: Decimal
    rate: Decimal
    amount: Decimal
    policy_version: str
    former: str = ""
    """Why the customer is no franchise any more; empty for a franchise."""

    @property
    def invoice_count(self) -> int:
        """Number of invoices of the day."""
        return sum(one.count for one in self.invoices)

    @property
    def newest_invoice(self) -> str:
        """When the newest invoice of the day was created, in site time; empty without one."""
        return max((one.newest for one in self.invoices), default="")

    @property
    def kept(self) -> bool:
        """Whether it is that of a former franchise, kept by the policy: what was written about it stays as it is."""
        return bool(self.former) and self.amount != 0

    def shares(self, precision: int) -> dict[str, Decimal]:
        """Each invoice's share of the royalty, in INR; they add up to `amount` to the paisa. Needs the rows.

        Raises:
            ValueError: the invoices are added up.
        """
        if any(not invoice.name for invoice in self.invoices):
            raise ValueError(f"the invoices of {self.customer} are added up: their shares are not known")
        parts = allocate(self.amount, [invoice.base for invoice in self.invoices], precision)
        return {invoice.name: part for invoice, part in zip(self.invoices, parts, strict=True)}


@dataclass(frozen=True, slots=True)
class Action:
    """One line of the plan: what to do for a franchise, how much (signed INR), and why.

    `create` and `adjust` post an entry under `key`; `adopt` finds the ledger right; `skip` posts nothing;
    `refuse` is a franchise for which nothing may be posted until a person has looked (see the findings).
    """

    kind: Literal["create", "adjust", "adopt", "skip", "refuse"]
    royalty: Royalty
    amount: Decimal
    reason: str
    key: str = ""
    digest: str = ""
    adjusts: str = ""
    entries: tuple[PostedEntry, ...] = ()
    """Submitted entries of the franchise and day, first one first; before this action."""


@dataclass(frozen=True, slots=True)
class RoyaltyPlan:
    """All actions of the day, in order of customer, and what a person should know."""

    company: str
    day: date
    policy: RoyaltyPolicy
    actions: tuple[Action, ...]
    findings: tuple[Finding, ...]

    @property
    def due(self) -> Decimal:
        """Sum of all royalties of the day by the rule, in INR."""
        return sum((action.royalty.amount for action in self.actions), ZERO)

    def writes(self) -> list[Action]:
        """The actions that post a Journal Entry."""
        return [action for action in self.actions if action.kind in {"create", "adjust"}]

    def with_rows(self, rows: Mapping[str, Sequence[BaseInvoice]]) -> RoyaltyPlan:
        """The same plan with each invoice of these customers; `rows` by customer. The others stay added up.

        Raises:
            ValueError: rows and sums of a customer differ: somebody booked between the two reads.
        """

        def detailed(action: Action) -> Action:
            found = rows.get(action.royalty.customer)
            if found is None or action.royalty.former:
                return action  # what a former franchise was invoiced is in no royalty
            base = sum((one.base for one in found), ZERO)
            if (len(found), base) != (action.royalty.invoice_count, action.royalty.base):
                raise ValueError(
                    f"{action.royalty.customer_name} has {len(found)} invoices of {base:.2f} now, and had "
                    f"{action.royalty.invoice_count} of {action.royalty.base:.2f} a moment ago"
                )
            ordered = tuple(sorted(found, key=lambda one: one.name))
            return replace(action, royalty=replace(action.royalty, invoices=ordered))

        return replace(self, actions=tuple(detailed(action) for action in self.actions))

    def unsettled(self) -> Finding | None:
        """Why nothing may be told about this day yet: the ledger is not what the rule says. None when it is."""
        left = [action for action in self.actions if action.kind in {"create", "adjust", "refuse"}]
        if not left:
            return None
        names = ", ".join(action.royalty.customer_name for action in left[:5])
        return Finding(
            "error",
            "royalties not settled",
            self.day.isoformat(),
            f"the ledger differs from the rule for {len(left)} franchises: {names}",
            "Materialize royalties for the day first, then this asset.",
        )


def plan_royalties(
    *,
    company: str,
    day: date,
    policy: RoyaltyPolicy,
    franchises: Sequence[Franchise],
    invoices: Iterable[BaseInvoice],
    posted: Iterable[PostedEntry],
    former: Iterable[FormerFranchise] = (),
    company_currency: str = "INR",
) -> RoyaltyPlan:
    """Compare what the rule says with what the ledger holds, franchise by franchise.

    Args:
        company: ERPNext company that the royalties are owed to.
        day: the business day; also the posting date of every entry.
        policy: the royalty policy in force.
        franchises: enabled customers in the franchise group or below it.
        invoices: submitted Sales Invoices of `day`, each or added up; those of other customers do not count.
        posted: our royalty entries of `day`, cancelled ones included.
        former: customers of submitted entries of `day` that are seen to be no franchise any more.
        company_currency: invoices in any other currency are counted at their base amount and listed.
    """
    by_customer: dict[str, list[BaseInvoice]] = defaultdict(list)
    for invoice in invoices:
        by_customer[invoice.customer].append(invoice)
    posted = list(posted)
    entries, taken = _by_customer(posted), _taken(posted)

    actions: list[Action] = []
    findings: list[Finding] = []
    for franchise in sorted(franchises, key=lambda one: one.customer):
        own = tuple(sorted(by_customer.get(franchise.customer, ()), key=lambda one: (one.name, one.currency)))
        mine = _pop(entries, company, day, franchise.customer)
        royalty, notes = _royalty(franchise, own, policy, company_currency)
        findings += notes
        if any(note.severity == "error" for note in notes):
            actions.append(Action("refuse", royalty, ZERO, notes[-1].message))
            continue
        action, problem = _compare(company, day, royalty, mine, taken)
        actions.append(action)
        findings += problem

    for one in sorted(former, key=lambda one: one.customer):
        mine = _pop(entries, company, day, one.customer)
        if mine:
            action, problem = _former(company, day, one, mine, policy, taken)
            actions.append(action)
            findings += problem
    findings += _unexplained(entries.values(), company_currency)
    actions.sort(key=lambda action: action.royalty.customer)
    return RoyaltyPlan(company, day, policy, tuple(actions), tuple(findings))


def _by_customer(posted: Iterable[PostedEntry]) -> dict[str, list[PostedEntry]]:
    """The entries of each customer: by the party in the ledger, or by the key where the ledger has no row."""
    found: dict[str, list[PostedEntry]] = defaultdict(list)
    for entry in posted:
        found[normalised(entry.customer) or without_revision(entry.key)].append(entry)
    return found


def _taken(posted: Iterable[PostedEntry]) -> dict[str, int]:
    """The highest revision of every key, whoever owes by it: a name may be that of a customer who was renamed since."""
    found: dict[str, int] = {}
    for entry in posted:
        key = without_revision(entry.key)
        found[key] = max(found.get(key, 0), revision_of(entry.key))
    return found


def _pop(entries: dict[str, list[PostedEntry]], company: str, day: date, customer: str) -> list[PostedEntry]:
    """Take a customer's entries out of those that are left."""
    by_key = without_revision(royalty_key(company, day, customer, 0))
    return entries.pop(normalised(customer), []) + entries.pop(by_key, [])


def _former(
    company: str,
    day: date,
    former: FormerFranchise,
    entries: Sequence[PostedEntry],
    policy: RoyaltyPolicy,
    taken: Mapping[str, int],
) -> tuple[Action, list[Finding]]:
    """A former franchise owes nothing for the day by the rule: what is posted is taken back, or kept by the policy."""
    live = _live(entries)
    posted = sum((entry.amount for entry in live), ZERO)
    names = ", ".join(entry.name for entry in live)
    if policy.former_franchises is FormerFranchises.KEEP and posted:
        last = live[-1]
        royalty = Royalty(
            former.customer, former.customer_name, (), last.base, last.rate, posted, last.policy, former.why
        )
        note = Finding(
            "warning",
            "former franchise",
            former.customer_name,
            f"{former.why}; {names} keep {posted:.2f} for {day}, as the policy says",
            "Nothing is to do; reverse the entry in ERPNext if the franchise owes nothing for this day.",
        )
        return Action("adopt", royalty, ZERO, f"{former.why}; {names} stay posted", entries=live), [note]
    nothing = rounded(ZERO, policy.precision)
    royalty = Royalty(
        former.customer, former.customer_name, (), ZERO, ZERO, nothing, policy.version, former.why
    )
    action, problem = _compare(company, day, royalty, entries, taken)
    if action.kind == "adjust":
        problem = [
            Finding(
                "warning",
                "former franchise",
                former.customer_name,
                f"{former.why}: {posted:.2f} posted for {day} by {names} are not owed any more and are to be taken back",
                "If it still owes its royalty for this day, put it back into the franchise group, or set the policy "
                "former_franchises to keep, and materialize royalties for the day again.",
            )
        ]
    return action, problem


def _unexplained(left: Iterable[Sequence[PostedEntry]], currency: str) -> list[Finding]:
    """Entries of customers of which nothing is known: never touched, and never silent."""
    return [
        Finding(
            "error",
            "royalty entry of nobody",
            ", ".join(sorted(entry.name for entry in entries)),
            f"{sum((entry.amount for entry in _live(entries)), ZERO):.2f} {currency} are posted under the key {entries[0].key}, "
            "but its customer is neither among the franchises nor seen to have left them",
            "Materialize royalties for the day again; if it stays, see that the user may read every Customer and that this one "
            "was not deleted.",
        )
        for entries in left
        if _live(entries)
    ]


def _live(entries: Iterable[PostedEntry]) -> tuple[PostedEntry, ...]:
    """The submitted entries, first one first."""
    return tuple(
        sorted((one for one in entries if one.docstatus == SUBMITTED), key=lambda one: revision_of(one.key))
    )


def _royalty(
    franchise: Franchise, invoices: tuple[BaseInvoice, ...], policy: RoyaltyPolicy, company_currency: str
) -> tuple[Royalty, list[Finding]]:
    base = sum((invoice.base for invoice in invoices), ZERO)
    findings: list[Finding] = []
    rate = franchise.rate
    if not ZERO <= rate <= HIGHEST_RATE:
        findings.append(
            Finding(
                "error",
                "royalty rate out of range",
                franchise.customer_name,
                f"custom_royalty_percentage is {rate.normalize():f}; it must lie between 0 and 100 percent",
                "Correct Royalty Percentage on the Customer in ERPNext and run the day again.",
            )
        )
        return _owed(franchise, invoices, base, ZERO, ZERO, policy), findings
    if franchise.exempt:
        return _owed(franchise, invoices, base, ZERO, ZERO, policy), findings
    if rate == 0:
        rate = policy.default_rate
        if invoices:
            findings.append(
                Finding(
                    "warning",
                    "no royalty rate set",
                    franchise.customer_name,
                    f"the default of {rate.normalize():f} % was used: ERPNext cannot tell 0 from empty",
                    "Set Royalty Percentage on the Customer, or tick Royalty Exempt if it truly pays nothing.",
                )
            )
    findings += [
        Finding(
            "warning",
            "invoice in a foreign currency",
            f"{franchise.customer_name}: {invoice.name or invoice.count} in {invoice.currency}",
            f"what is invoiced in {invoice.currency} counts at its base amount of {invoice.base:.2f} {company_currency}",
            "Check the conversion rate of the invoices; a corrected rate is followed by an adjustment.",
        )
        for invoice in invoices
        if invoice.currency and invoice.currency != company_currency
    ]
    if base < 0 and policy.negative_days is NegativeDays.SKIP:
        findings.append(
            Finding(
                "warning",
                "returns exceed sales",
                franchise.customer_name,
                f"the base of the day is {base:.2f} {company_currency}; the policy posts nothing for a negative day",
                "Agree with the franchise how the excess is settled, or set the policy negative_days to reverse.",
            )
        )
        return _owed(franchise, invoices, base, rate, ZERO, policy), findings
    amount = rounded(base * rate / 100, policy.precision, policy.rounding)
    if amount == 0 and base != 0:
        findings.append(
            Finding(
                "warning",
                "royalty rounds to zero",
                franchise.customer_name,
                f"{rate.normalize():f} % of {base:.2f} {company_currency} rounds to 0.00; ERPNext refuses an empty entry",
                "Nothing is to do; the day is listed so that it is not missed.",
            )
        )
    return _owed(franchise, invoices, base, rate, amount, policy), findings


def _owed(
    franchise: Franchise,
    invoices: tuple[BaseInvoice, ...],
    base: Decimal,
    rate: Decimal,
    amount: Decimal,
    policy: RoyaltyPolicy,
) -> Royalty:
    return Royalty(
        franchise.customer,
        franchise.customer_name,
        invoices,
        base,
        rate,
        rounded(amount, policy.precision),
        policy.version,
    )


def _compare(
    company: str, day: date, royalty: Royalty, entries: Sequence[PostedEntry], taken: Mapping[str, int]
) -> tuple[Action, list[Finding]]:
    """What to post for one franchise, given all its entries of the day and the highest revision of every key."""
    live = _live(entries)
    unbooked = [entry for entry in live if not entry.booked]
    if unbooked:
        names = ", ".join(entry.name for entry in unbooked)
        finding = Finding(
            "error",
            "royalty entry without ledger entries",
            royalty.customer_name,
            f"{names} for {day} is submitted, but the general ledger shows no row of it with this customer",
            "See that the user may read GL Entry, and look at the entry's ledger in ERPNext (Repost Accounting Ledger).",
        )
        return Action("refuse", royalty, royalty.amount, finding.message), [finding]
    posted = sum((entry.amount for entry in live), ZERO)
    difference = royalty.amount - posted
    if difference == 0:
        if live:
            names = ", ".join(entry.name for entry in live)
            reason = f"{names} already owe exactly {royalty.amount:.2f}"
            return Action("adopt", royalty, ZERO, reason, entries=live), []
        return Action("skip", royalty, ZERO, _why_nothing(royalty)), []

    stuck = [entry for entry in entries if entry.docstatus != SUBMITTED]
    if stuck:
        names = ", ".join(entry.name for entry in stuck)
        drafts = ", ".join(entry.name for entry in stuck if entry.docstatus != CANCELLED)
        state, todo = (
            ("left as a draft", f"Submit {drafts}") if drafts else ("cancelled", "Amend and submit the entry")
        )
        finding = Finding(
            "error",
            f"royalty entry {state} by a person",
            royalty.customer_name,
            f"{names}: {difference:.2f} of {royalty.amount:.2f} for {day} are not in the ledger, and we do not undo a person's decision",
            f"{todo} in ERPNext; if the day's royalty is waived, then post a credit of your own against it.",
        )
        return Action("refuse", royalty, difference, finding.message), [finding]

    own = taken.get(without_revision(royalty_key(company, day, royalty.customer, 0)), -1)
    revision = 1 + max((own, *(revision_of(entry.key) for entry in entries)))
    key = royalty_key(company, day, royalty.customer, revision)
    content = digest(
        {
            "key": normalised(key),
            "amount": difference,
            "base": royalty.base,
            "rate": royalty.rate,
            "policy": royalty.policy_version,
        }
    )
    if not live:
        reason = f"{royalty.rate.normalize():f} % of {royalty.base:.2f}"
        return Action("create", royalty, difference, reason, key, content), []
    return Action(
        "adjust",
        royalty,
        difference,
        _what_changed(royalty, live[-1], posted),
        key,
        content,
        live[0].name,
        live,
    ), []


def _what_changed(royalty: Royalty, last: PostedEntry, posted: Decimal) -> str:
    """Why the royalty is another one than what is posted: from what the last entry was computed on to what counts now."""
    changes = [royalty.former] if royalty.former else []
    if not royalty.former:
        if last.base != royalty.base:
            changes.append(f"base {last.base:.2f} -> {royalty.base:.2f}")
        if last.rate != royalty.rate:
            changes.append(f"rate {last.rate.normalize():f} % -> {royalty.rate.normalize():f} %")
        if last.policy and last.policy != royalty.policy_version:
            changes.append(f"policy {last.policy} -> {royalty.policy_version}")
    if not changes:
        changes.append("an entry was changed by a person")
    return f"royalty {posted:.2f} -> {royalty.amount:.2f}: " + ", ".join(changes)


_ADDED, _GONE = "added", "cancelled or no longer of this day"


def with_named_invoices(plan: RoyaltyPlan, annotated: Mapping[str, Iterable[str]]) -> RoyaltyPlan:
    """The plan whose adjustments also name the invoices that came and went since the day was annotated.

    Args:
        plan: the day's plan, with the rows of those who are adjusted (`RoyaltyPlan.with_rows`).
        annotated: by the name of a first entry, the invoices (cancelled ones included) that say they bore its royalty.
    """

    def named(action: Action) -> Action:
        before = set(annotated.get(action.adjusts, ()))
        if action.kind != "adjust" or action.royalty.former or not before:
            return action  # without annotations nothing is known of the day before
        if any(not invoice.name for invoice in action.royalty.invoices):
            raise ValueError(f"the invoices of {action.royalty.customer} are added up and have no names")
        now = {invoice.name for invoice in action.royalty.invoices}
        # A cancelled invoice says for ever that it bore royalty: the adjustment that followed has named it already.
        told = {
            name.partition(" and ")[0]
            for entry in action.entries
            for note in entry.reason.split("; ")
            if note.endswith(_GONE)
            for name in note.removesuffix(f" {_GONE}").split(", ")
        }
        gone = before - now - told
        notes = [f"{_some(names)} {what}" for names, what in ((now - before, _ADDED), (gone, _GONE)) if names]
        return replace(action, reason="; ".join([action.reason, *notes]))

    return replace(plan, actions=tuple(named(action) for action in plan.actions))


def _some(names: Iterable[str]) -> str:
    """A few names in order; the rest is counted."""
    ordered = sorted(names)
    return ", ".join(ordered[:5]) + (f" and {len(ordered) - 5} more" if len(ordered) > 5 else "")


def _why_nothing(royalty: Royalty) -> str:
    if not royalty.invoices:
        return "no invoices"
    if royalty.rate == 0:
        return "royalty exempt"
    if royalty.base <= 0:
        return f"the base is {royalty.base:.2f}"
    return "the royalty rounds to 0.00"
