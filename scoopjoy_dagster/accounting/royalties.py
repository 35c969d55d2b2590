"""Royalties of one business day: from franchises, invoices and what is posted already to a list of actions.

`plan_royalties` is the whole rule. It is pure: a re-run of a day that is right is a plan of nothing but *adopt*
and *skip*, and a late change is a plan with one signed *adjust*. A posted entry is never edited, cancelled or
deleted: what it should have been is reached by posting the difference. What was posted keeps the terms that it was
posted by (`posted_terms`): a new rate never charges a closed day, unless a person asks for that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Literal

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.keys import digest, normalised, revision_of, royalty_key, without_revision
from scoopjoy_dagster.accounting.money import ZERO, rounded
from scoopjoy_dagster.accounting.policy import NegativeDays, RoyaltyPolicy
from scoopjoy_dagster.accounting.shares import UNKNOWN, Document, Share, changes, differences

HIGHEST_RATE = Decimal(100)
SUBMITTED, CANCELLED = 1, 2

BY_DEFAULT = "default_rate"
"""The code beside the policy's on an entry whose franchise had no rate of its own."""

NAMED = 5
"""So many franchises or invoices are named in one sentence; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Franchise:
    """A Customer of the franchise group. `rate` in percent as ERPNext stores it (0 means not set)."""

    customer: str
    customer_name: str
    rate: Decimal = ZERO
    exempt: bool = False


@dataclass(frozen=True, slots=True)
class BaseInvoice:
    """A sale of the day, in company currency, negative for a return; or several, added up.

    A royalty follows from sums, so a day is read as sums: the invoices of one customer and currency, added up by the server,
    have no `name`, and `count` says how many they are. Where each of them is needed (to post its share, to list it in a report)
    the rows take their place, see `with_sales`.

    `base` is what the royalty is computed on by the policy, `sales` the grand total whatever the policy says. `newest` is
    when the newest of them was created and `touched` when one was changed last (submitting changes it), in site time as ERPNext
    writes it. `share` is what is posted of it, in INR.
    """

    name: str
    customer: str
    base: Decimal
    is_return: bool = False
    currency: str = ""
    sales: Decimal = ZERO
    count: int = 1
    newest: str = ""
    touched: str = ""
    doctype: str = "Sales Invoice"
    share: Decimal = ZERO

    @property
    def document(self) -> Document:
        """DocType and name."""
        return self.doctype, self.name


@dataclass(frozen=True, slots=True)
class PostedEntry:
    """A royalty Journal Entry of ours as ERPNext holds it.

    Attributes:
        amount: what the ledger says the franchise owes by it (debit minus credit with that party), in INR; an entry
            that a person cancelled and amended counts with the amendment's amount.
        customer: the party by the ledger, which follows a renamed Customer as the key cannot; empty where the ledger
            never had a row of the entry.
        booked: whether the ledger has a row of it; a submitted entry without one was not read completely.
        base, rate, policy, terms: what the royalty of the day followed from when it was posted: base in INR, rate in percent,
            version of the policy, and its codes (`RoyaltyPolicy.terms`; empty on an entry of an earlier version).
        posting_date: the business day, or a later one when that was locked.
        reason: why it was posted, for people.
        run: the Dagster run that posted it.
        adjusts: the first entry, where this one adjusts it.
        created: when it was made, in site time as ERPNext writes it.
        account: the receivable account that the ledger has it on.
        amended: whether a person has cancelled and amended it.
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
    terms: str = ""
    adjusts: str = ""
    created: str = ""
    account: str = ""
    amended: bool = False


@dataclass(frozen=True, slots=True)
class FormerFranchise:
    """A Customer with royalty entries of the day that is no franchise now, and why: it was disabled, or moved."""

    customer: str
    customer_name: str
    why: str


@dataclass(frozen=True, slots=True)
class Royalty:
    """What one franchise owes for the day, and how that follows: `amount` = `base` x `rate` %, rounded once, + `by_person`.

    Attributes:
        terms: codes of the policy that it was computed by, as every entry carries them (`RoyaltyPolicy.terms`).
        kept: why the amount is what is posted, whatever was sold; empty where it follows from the base.
        merged: entries of a customer that was merged into this one; `amount` has theirs as they were posted, and what
            else was sold is computed at `rate`.
        posted_base: where it is kept, the base that it was posted on, in INR.
        by_person: what a person added when amending an entry, in INR; negative for less. It stands.
    """

    customer: str
    customer_name: str
    invoices: tuple[BaseInvoice, ...]
    base: Decimal
    rate: Decimal
    amount: Decimal
    policy_version: str
    terms: str = ""
    kept: str = ""
    merged: tuple[PostedEntry, ...] = ()
    posted_base: Decimal = ZERO
    by_person: Decimal = ZERO

    @property
    def invoice_count(self) -> int:
        """Number of invoices of the day."""
        return sum(one.count for one in self.invoices)

    @property
    def newest_invoice(self) -> str:
        """When the newest invoice of the day was created, in site time; empty without one."""
        return max((one.newest for one in self.invoices), default="")

    @property
    def frozen(self) -> bool:
        """Whether its statement stays as it is: it was posted on other sales than these."""
        return bool(self.kept) and self.amount != 0 and self.base != self.posted_base

    @property
    def own_base(self) -> Decimal:
        """The base without what a merged customer's entries were posted on, in INR."""
        return self.base - base_of(self.merged)

    @property
    def own_amount(self) -> Decimal:
        """What is due on `own_base` by the rule, in INR: what the shares in its own entries add up to."""
        return self.amount - self.by_person - sum((one.amount for one in self.merged), ZERO)


@dataclass(frozen=True, slots=True)
class Action:
    """One line of the plan: what to do for a franchise, how much (signed INR), and why.

    `create` and `adjust` post an entry under `key`; `adopt` finds the ledger right; `skip` posts nothing;
    `refuse` is a franchise for which nothing may be posted until a person has looked (see the findings).

    `key` is that of the next entry, `shares` are its rows, and `digest` says what it contains; both only `with_shares`.
    """

    kind: Literal["create", "adjust", "adopt", "skip", "refuse"]
    royalty: Royalty
    amount: Decimal
    reason: str
    key: str = ""
    adjusts: str = ""
    entries: tuple[PostedEntry, ...] = ()
    """Submitted entries of the franchise and day, first one first; before this action."""
    shares: tuple[Share, ...] = ()
    digest: str = ""

    @property
    def posts(self) -> bool:
        """Whether it posts an entry."""
        return self.kind in {"create", "adjust"}

    @property
    def touched_since(self) -> bool:
        """Whether a sale was touched after the last entry. With equal sums it may take the place of one that was cancelled."""
        if self.kind != "adopt" or self.royalty.kept:
            return False
        last = max(one.created for one in self.entries)
        return any(one.touched > last for one in self.royalty.invoices)


@dataclass(frozen=True, slots=True)
class RoyaltyPlan:
    """All actions of the day, in order of customer, and what a person should know.

    `findings` are about the day, and its report lists them. `notes` are about what has become of the franchises since it was
    posted (another rate, disabled, moved): news for who runs the day again, and none about the day.
    """

    company: str
    day: date
    policy: RoyaltyPolicy
    actions: tuple[Action, ...]
    findings: tuple[Finding, ...]
    notes: tuple[Finding, ...] = ()

    @property
    def due(self) -> Decimal:
        """Sum of all royalties of the day by the rule, in INR."""
        return sum((action.royalty.amount for action in self.actions), ZERO)

    @property
    def sales(self) -> Decimal:
        """Grand totals of all invoices of the day, in INR, whatever the policy's base is."""
        return sum((one.sales for action in self.actions for one in action.royalty.invoices), ZERO)

    @property
    def policy_version(self) -> str:
        """The policy that the day was posted by; several, where it was by several; the one in force before anything is posted."""
        posted = {one.royalty.policy_version for one in self.actions if one.entries}
        return ", ".join(sorted(posted - {""})) or self.policy.version

    @property
    def policy_sentence(self) -> str:
        """The policy that the day was posted by, in words."""
        version = self.policy_version
        return self.policy.sentence if version == self.policy.version else f"as posted, by {version}"

    def sentence_for(self, royalty: Royalty) -> str:
        """The policy that a royalty was posted by, in words."""
        if royalty.policy_version == self.policy.version:
            return self.policy.sentence
        return f"{royalty.policy_version}: {royalty.terms or 'as posted'}"

    def writes(self) -> list[Action]:
        """The actions that post a Journal Entry."""
        return [action for action in self.actions if action.posts]

    def with_rows(self, rows: Mapping[str, Sequence[BaseInvoice]]) -> RoyaltyPlan:
        """The same plan with each invoice of these customers; `rows` by customer. The others stay added up.

        Raises:
            ValueError: see `with_sales`.
        """
        return replace(
            self,
            actions=tuple(
                with_sales(one, rows[one.royalty.customer]) if one.royalty.customer in rows else one
                for one in self.actions
            ),
        )

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
    re_rate: bool = False,
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
        re_rate: a person wants today's terms for this day, too: rate, exemption, policy, and who is a franchise.
    """
    by_customer: dict[str, list[BaseInvoice]] = defaultdict(list)
    for invoice in invoices:
        by_customer[invoice.customer].append(invoice)
    posted = list(posted)
    entries, taken = _by_customer(posted), _taken(posted)

    actions: list[Action] = []
    findings: list[Finding] = []
    notes = _Notes(day)
    everybody: list[Franchise | FormerFranchise] = [*franchises, *former]
    keys = {one.customer: without_revision(royalty_key(company, day, one.customer, 0)) for one in everybody}
    of_somebody = set(keys.values())
    for one in sorted(everybody, key=lambda one: one.customer):
        mine = entries.pop(normalised(one.customer), []) + entries.pop(keys[one.customer], [])
        own = tuple(sorted(by_customer.get(one.customer, ()), key=lambda each: (each.name, each.currency)))
        standing = _standing(mine, of_somebody - {keys[one.customer]})
        about: list[Finding] = []
        if isinstance(one, FormerFranchise):
            if not standing:
                continue
            royalty = _former(one, own, standing, policy, re_rate=re_rate)
            if re_rate:
                notes.taken_back(one, standing)
            else:
                notes.former(one, royalty, standing)
        elif standing and not re_rate:
            notes.franchise(one, standing, policy)
            royalty, about = _as_posted(one, own, standing, mine, policy, company_currency)
            if royalty.by_person:
                about.append(_changed_by_person(day, royalty, standing))
        else:
            merged = standing.merged if standing else ()
            royalty, about = _royalty(one, own, _todays(one, policy), policy, company_currency, merged)
        findings += about
        if any(note.severity == "error" for note in about):
            actions.append(Action("refuse", royalty, ZERO, about[-1].message))
            continue
        action, problem = _compare(company, day, royalty, mine, taken, standing)
        actions.append(action)
        findings += problem
    findings += _unexplained(entries.values(), company_currency)
    actions.sort(key=lambda action: action.royalty.customer)
    return RoyaltyPlan(company, day, policy, tuple(actions), tuple(findings), tuple(notes.gathered()))


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
        sorted(
            (one for one in entries if one.docstatus == SUBMITTED),
            key=lambda one: (revision_of(one.key), normalised(one.key)),
        )
    )


# -- what is posted, and by which terms -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Standing:
    """What is in the ledger for one customer and day.

    Attributes:
        live: all submitted entries, first one first.
        own: those that adjustments go on from.
        merged: the entries of other chains. Two customers that ERPNext has merged have two first entries of a day; the one
            with the lower key goes on, and the other stays as it is.
    """

    live: tuple[PostedEntry, ...]
    own: tuple[PostedEntry, ...]
    merged: tuple[PostedEntry, ...]

    @property
    def newest(self) -> PostedEntry:
        """The last of its own. Its terms are those of the day: the first entry's, or those of the re-rating since."""
        return self.own[-1]

    @property
    def amount(self) -> Decimal:
        """What is posted in all, in INR."""
        return sum((one.amount for one in self.live), ZERO)


def _standing(entries: Iterable[PostedEntry], of_others: AbstractSet[str]) -> _Standing | None:
    """What stands of these entries of one customer; None when nothing does.

    `of_others` are the keys of the other customers: an entry under one of them was booked on this customer by mistake.
    """
    live = _live(entries)
    if not live:
        return None
    own = [one for one in live if without_revision(one.key) not in of_others] or list(live)
    first = without_revision(own[0].key)
    others = {one.name for one in own if revision_of(one.key) == 0 and without_revision(one.key) != first}
    merged = tuple(one for one in own if one.name in others or one.adjusts in others)
    return _Standing(live, tuple(one for one in own if one not in merged), merged)


def base_of(merged: Iterable[PostedEntry]) -> Decimal:
    """The base that these chains of entries were posted on: that of the last entry of each, in INR."""
    last: dict[str, PostedEntry] = {}
    for one in merged:
        last[one.adjusts or one.name] = one
    return sum((one.base for one in last.values()), ZERO)


@dataclass(frozen=True, slots=True)
class _Terms:
    """By what a royalty is computed: rate in percent (0 pays nothing), codes and version of the policy."""

    rate: Decimal
    codes: str
    policy_version: str


def _todays(franchise: Franchise, policy: RoyaltyPolicy) -> _Terms:
    if franchise.exempt:
        return _Terms(ZERO, policy.terms, policy.version)
    if franchise.rate == 0:
        return _Terms(policy.default_rate, f"{policy.terms} {BY_DEFAULT}", policy.version)
    return _Terms(franchise.rate, policy.terms, policy.version)


def _not_followed(standing: _Standing, policy: RoyaltyPolicy) -> str:
    """Why what is posted cannot follow another base: it was posted by another rule than this run's. Empty when it can."""
    newest = standing.newest
    if newest.rate == 0 and sum((one.amount for one in standing.live if one not in standing.merged), ZERO):
        return "the rate of the entry is not known"
    if newest.terms:
        codes = newest.terms.removesuffix(BY_DEFAULT).strip()
        return f"posted by {codes}" if codes != policy.terms else ""
    return f"posted by the policy {newest.policy or 'unknown'}" if newest.policy != policy.version else ""


def _as_posted(
    franchise: Franchise,
    invoices: tuple[BaseInvoice, ...],
    standing: _Standing,
    entries: Iterable[PostedEntry],
    policy: RoyaltyPolicy,
    company_currency: str,
) -> tuple[Royalty, list[Finding]]:
    """The royalty by the terms that the day was posted by; what a person added to it stands."""
    why = _not_followed(standing, policy)
    newest = standing.newest
    if not why and newest.rate == 0 and standing.merged:
        why = "it pays nothing for this day, and another customer was merged into it"
    if why:
        return _kept(franchise, invoices, standing, why), []
    terms = _Terms(newest.rate, newest.terms or policy.terms, newest.policy)
    royalty, findings = _royalty(franchise, invoices, terms, policy, company_currency, standing.merged)
    if royalty.amount * royalty.base < 0:
        # Of merged customers: more was cancelled of what one of them had sold than the other's rate can give back.
        return _kept(franchise, invoices, standing, "posted for customers that were merged since"), []
    added = _by_person(standing, entries, policy)
    return replace(royalty, amount=royalty.amount + added, by_person=added), findings


def _by_person(standing: _Standing, entries: Iterable[PostedEntry], policy: RoyaltyPolicy) -> Decimal:
    """What is posted beyond what the last entry says that the royalty was, in INR, where a person has amended an entry.

    Nothing while another entry is cancelled or a draft, or is not in the ledger: that is not decided yet.
    """
    undecided = any(one.docstatus != SUBMITTED or not one.booked for one in entries)
    if undecided or not any(one.amended for one in standing.own):
        return ZERO
    base, posted = standing.newest.base, sum((one.amount for one in standing.own), ZERO)
    if base < 0 and policy.negative_days is NegativeDays.SKIP and not standing.merged:
        return posted
    return posted - _due(base, standing.newest.rate, policy)


def _changed_by_person(day: date, royalty: Royalty, standing: _Standing) -> Finding:
    newest = standing.newest
    return Finding(
        "warning",
        "royalty changed by a person",
        royalty.customer_name,
        f"{', '.join(one.name for one in standing.own)} differ by {royalty.by_person:+.2f} from {_percent(newest.rate)} of "
        f"{newest.base:.2f}: a person changed them in ERPNext, and that stays",
        f"To go back to the rule, run `scoopjoy close --date {day} --re-rate`.",
    )


def _former(
    former: FormerFranchise,
    invoices: tuple[BaseInvoice, ...],
    standing: _Standing,
    policy: RoyaltyPolicy,
    *,
    re_rate: bool,
) -> Royalty:
    """A former franchise keeps what was posted; where a person wants today's rule for the day, it owes nothing."""
    if not re_rate:
        return _kept(former, invoices, standing, former.why)
    nothing = rounded(ZERO, policy.precision)
    return Royalty(
        former.customer, former.customer_name, (), ZERO, ZERO, nothing, policy.version, policy.terms
    )


def _kept(
    customer: Franchise | FormerFranchise, invoices: tuple[BaseInvoice, ...], standing: _Standing, why: str
) -> Royalty:
    newest = standing.newest
    return Royalty(
        customer.customer,
        customer.customer_name,
        invoices,
        sum((one.base for one in invoices), ZERO),
        newest.rate,
        standing.amount,
        newest.policy,
        newest.terms,
        why,
        standing.merged,
        base_of([standing.newest, *standing.merged]),
    )


class _Notes:
    """What has become of the franchises since the day was posted, gathered: one row for each kind, whatever their number."""

    def __init__(self, day: date) -> None:
        self._day = day
        self._rates: list[str] = []
        self._rules: list[str] = []
        self._left: list[Finding] = []

    def franchise(self, franchise: Franchise, standing: _Standing, policy: RoyaltyPolicy) -> None:
        """A franchise whose royalty is posted."""
        why, then = _not_followed(standing, policy), standing.newest.rate
        if why:
            self._rules.append(f"{franchise.customer_name} ({why})")
        elif (now := _todays(franchise, policy).rate) != then:
            self._rates.append(f"{franchise.customer_name} (posted at {_percent(then)}, now {_percent(now)})")

    def former(self, former: FormerFranchise, royalty: Royalty, standing: _Standing) -> None:
        """A former franchise that keeps what was posted."""
        names = ", ".join(one.name for one in standing.live)
        changed = (
            f"; its sales of the day were {royalty.posted_base:.2f} then and are {royalty.base:.2f} now, which changes nothing"
            if royalty.posted_base != royalty.base
            else ""
        )
        self._left.append(
            Finding(
                "warning",
                "former franchise",
                former.customer_name,
                f"{former.why}; {names} keep {standing.amount:.2f} for {self._day}{changed}",
                "Nothing is to do. If the franchise owes nothing for this day, run `scoopjoy close --date "
                f"{self._day} --re-rate`, which takes the royalty back.",
            )
        )

    def taken_back(self, former: FormerFranchise, standing: _Standing) -> None:
        """A former franchise whose royalty a person wants to be taken back."""
        if standing.amount:
            names = ", ".join(one.name for one in standing.live)
            self._left.append(
                Finding(
                    "warning",
                    "former franchise",
                    former.customer_name,
                    f"{former.why}: {standing.amount:.2f} posted for {self._day} by {names} are taken back, as this run was "
                    "asked to",
                    "If it still owes its royalty for this day, put it back into the franchise group and run the day again "
                    "with --re-rate.",
                )
            )

    def gathered(self) -> Iterator[Finding]:
        """The rows."""
        yield from self._left
        if self._rates:
            yield Finding(
                "warning",
                "posted rate kept",
                self._day.isoformat(),
                f"the rate has changed since this day was posted: {_some(self._rates)}",
                "Nothing is to do: posted days keep their rate. To apply today's rates to this day, too, run "
                f"`scoopjoy close --date {self._day} --re-rate`.",
            )
        if self._rules:
            yield Finding(
                "warning",
                "posted by another policy",
                self._day.isoformat(),
                f"what is posted stays as it is, whatever was sold since: {_some(self._rules)}",
                "To post a later change of sales by the rule of then, launch the day with that rule at royalty_policy. To apply "
                f"today's rule to this day, run `scoopjoy close --date {self._day} --re-rate`.",
            )


# -- the rule -------------------------------------------------------------------------------------------------


def _royalty(
    franchise: Franchise,
    invoices: tuple[BaseInvoice, ...],
    terms: _Terms,
    policy: RoyaltyPolicy,
    company_currency: str,
    merged: tuple[PostedEntry, ...] = (),
) -> tuple[Royalty, list[Finding]]:
    """What a franchise owes by these terms, and what a person should know of it."""
    rate, findings = terms.rate, list[Finding]()
    base = sum((invoice.base for invoice in invoices), ZERO)
    nothing = Royalty(
        franchise.customer,
        franchise.customer_name,
        invoices,
        base,
        rate,
        rounded(ZERO, policy.precision),
        terms.policy_version,
        terms.codes,
        merged=merged,
    )
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
        return replace(nothing, rate=ZERO), findings
    if rate == 0:
        return nothing, findings
    if invoices and terms.codes.endswith(BY_DEFAULT):
        findings.append(
            Finding(
                "warning",
                "no royalty rate set",
                franchise.customer_name,
                f"the default of {_percent(rate)} was used: ERPNext cannot tell 0 from empty",
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
        return nothing, findings
    if base == 0:
        return nothing, findings
    amount = _due(nothing.own_base, rate, policy) + sum((one.amount for one in merged), ZERO)
    if amount == 0:
        findings.append(
            Finding(
                "warning",
                "royalty rounds to zero",
                franchise.customer_name,
                f"{_percent(rate)} of {base:.2f} {company_currency} rounds to 0.00; ERPNext refuses an empty entry",
                "Nothing is to do; the day is listed so that it is not missed.",
            )
        )
    return replace(nothing, amount=amount), findings


def _due(base: Decimal, rate: Decimal, policy: RoyaltyPolicy) -> Decimal:
    """The royalty on a base in INR at a rate in percent, rounded once."""
    return rounded(base * rate / 100, policy.precision, policy.rounding)


def _compare(
    company: str,
    day: date,
    royalty: Royalty,
    entries: Sequence[PostedEntry],
    taken: Mapping[str, int],
    standing: _Standing | None,
) -> tuple[Action, list[Finding]]:
    """What to post for one franchise, given all its entries of the day and the highest revision of every key."""
    live = standing.live if standing else ()
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
    own = taken.get(without_revision(royalty_key(company, day, royalty.customer, 0)), -1)
    revision = 1 + max((own, *(revision_of(entry.key) for entry in entries)))
    key = royalty_key(company, day, royalty.customer, revision)
    posted = sum((entry.amount for entry in live), ZERO)
    difference = royalty.amount - posted
    if difference == 0:
        if live:
            names = ", ".join(entry.name for entry in live)
            reason = f"{names} already owe exactly {royalty.amount:.2f}"
            return Action("adopt", royalty, ZERO, reason, key, entries=live), []
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

    if not standing:
        reason = f"{royalty.rate.normalize():f} % of {royalty.base:.2f}"
        return Action("create", royalty, difference, reason, key), []
    reason = _what_changed(royalty, standing.newest, posted)
    return Action("adjust", royalty, difference, reason, key, live[0].name, live), []


def _what_changed(royalty: Royalty, last: PostedEntry, posted: Decimal) -> str:
    """Why the royalty is another one than what is posted: from what the last entry was computed on to what counts now."""
    parts = []
    if last.base != royalty.own_base:
        parts.append(f"base {last.base:.2f} -> {royalty.own_base:.2f}")
    if last.rate != royalty.rate:
        parts.append(f"rate {_percent(last.rate)} -> {_percent(royalty.rate)}")
    if last.policy and last.policy != royalty.policy_version:
        parts.append(f"policy {last.policy} -> {royalty.policy_version}")
    if not parts:
        parts.append("without what was changed in ERPNext")
    return f"royalty {posted:.2f} -> {royalty.amount:.2f}: " + ", ".join(parts)


# -- the sales behind an entry ----------------------------------------------------------------------------------


def with_sales(action: Action, found: Sequence[BaseInvoice]) -> Action:
    """The action with each sale of its franchise.

    Raises:
        ValueError: the sales and their sums differ: somebody booked between the two reads.
    """
    royalty, base = action.royalty, sum((one.base for one in found), ZERO)
    if (len(found), base) != (royalty.invoice_count, royalty.base):
        raise ValueError(
            f"{royalty.customer_name} has {len(found)} invoices of {base:.2f} now, and had "
            f"{royalty.invoice_count} of {royalty.base:.2f} a moment ago"
        )
    ordered = tuple(sorted(found, key=lambda one: (one.name, one.doctype)))
    return replace(action, royalty=replace(royalty, invoices=ordered))


def with_shares(action: Action, posted: Sequence[Share], precision: int) -> Action:
    """The action with the rows of its entry; the reason of an adjustment names the sales that came, went and changed.

    Where the sums are right and sales took the place of others, an adjustment of 0.00 moves the shares.

    Args:
        action: with each sale of its franchise.
        posted: the rows of its entries.
        precision: decimals of the company currency.
    """
    royalty = action.royalty
    apart = {one.name for one in royalty.merged}
    own = [one for one in posted if one.entry not in apart]
    if action.entries and not own:  # typed by a person, or of an earlier version
        if action.kind == "adopt":
            return action  # that version saved each sale after its entry: touched says nothing
        newest = [one for one in action.entries if one.name not in apart][-1]
        amount = sum((one.amount for one in action.entries if one.name not in apart), ZERO)
        own = [Share(UNKNOWN, newest.base, amount - royalty.by_person)]
    merged = [one for one in posted if one.entry in apart]
    bases = {one.document: one.base for one in royalty.invoices}
    rate = royalty.rate if royalty.own_amount else ZERO
    rows = differences(bases, own, merged, rate=rate, amount=royalty.own_amount, precision=precision)
    moved = changes(rows, bases, posted)
    kind, reason = action.kind, action.reason
    if kind == "adopt":
        if not any(one.base and one.share for one in rows):
            return action
        kind, reason = "adjust", f"royalty {royalty.amount:.2f} as before, on other sales"
    if kind == "adjust":
        named = ((moved.came, "added"), (moved.went, "cancelled"), (moved.changed, "changed"))
        reason = "; ".join([reason, *(f"{_some(names)} {what}" for names, what in named if names)])
    content = digest(
        {
            "key": normalised(action.key),
            "amount": action.amount,
            "base": royalty.own_base,
            "rate": royalty.rate,
            "policy": royalty.policy_version,
            "shares": [[*one.document, one.base, one.share] for one in rows],
        }
    )
    first = action.entries[0].name if action.entries else ""
    return replace(action, kind=kind, reason=reason, adjusts=first, shares=tuple(rows), digest=content)


def _percent(rate: Decimal) -> str:
    return f"{rate.normalize():f} %"


def _some(names: Sequence[str]) -> str:
    """A few names; the rest is counted."""
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _why_nothing(royalty: Royalty) -> str:
    if not royalty.invoices:
        return "no invoices"
    if royalty.rate == 0:
        return "royalty exempt"
    if royalty.base <= 0:
        return f"the base is {royalty.base:.2f}"
    return "the royalty rounds to 0.00"
