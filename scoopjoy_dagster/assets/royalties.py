"""`royalties`: every franchise owes exactly its royalty for the day."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import dagster as dg

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.inputs import DayInputs, day_inputs, terms_of
from scoopjoy_dagster.accounting.locks import Locks
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.policy import LockedDays, RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import Action, RoyaltyPlan, plan_royalties, with_named_invoices
from scoopjoy_dagster.assets import closed_shifts
from scoopjoy_dagster.assets.nightly import GROUP, OWNERS, close_days
from scoopjoy_dagster.assets.outcome import Outcome, PlanLine
from scoopjoy_dagster.assets.tools import TOOLS
from scoopjoy_dagster.erpnext import invoice_royalty, royalty_entries
from scoopjoy_dagster.erpnext.client import Written
from scoopjoy_dagster.erpnext.errors import ERPNextError, LoginFailed, Rejected, Unreachable
from scoopjoy_dagster.erpnext.locks import read_locks
from scoopjoy_dagster.erpnext.site import Books, Site

NAME = "royalties"
LOCK_REFUSALS = frozenset({"ValidationError", "ClosedAccountingPeriod", "FiscalYearError"})
"""What ERPNext's refusal of an entry on a locked day is called; frozen books and closed years have no name of their own."""


def plan(site: Site, books: Books, policy: RoyaltyPolicy, day: date) -> RoyaltyPlan:
    """What the rule and the ledger say for `day`. Reads only: franchises, invoices, our entries and their ledger rows."""
    return read_inputs(site, books, policy, day)[0]


def read_inputs(site: Site, books: Books, policy: RoyaltyPolicy, day: date) -> tuple[RoyaltyPlan, DayInputs]:
    """The plan of `day`, and what it was computed from as one comparable value. Reads only."""
    franchises = royalty_entries.franchises(site, books.franchise_group)
    invoices = royalty_entries.base_invoices(site, books, policy, franchises, day)
    posted = royalty_entries.posted_entries(site, books, day)
    found = plan_royalties(
        company=books.company,
        day=day,
        policy=policy,
        franchises=franchises,
        invoices=invoices,
        posted=posted,
        former=royalty_entries.former_franchises(site, franchises, posted, books.franchise_group),
        company_currency=books.currency,
    )
    adjusted = [action.adjusts for action in found.actions if action.kind == "adjust"]
    if adjusted:
        found = with_named_invoices(found, invoice_royalty.annotated_invoices(site, adjusted))
    return found, day_inputs(terms_of(franchises), invoices)


def checked_books(site: Site) -> Books:
    """The books, once accounts and cost center are seen to be right.

    Raises:
        Rejected: an account or the cost center cannot be posted to; nothing was posted.
    """
    books = site.books()
    problems = site.wrong_accounts(books)
    if problems:
        raise Rejected("check the accounts", "; ".join(problems))
    return books


@dataclass(slots=True)
class _Posting:
    """Posts the entries of a day: on the day itself, or by the policy on the next open day once it is seen to be locked.

    Only ERPNext knows whether this user may post on a locked day, so the day itself is tried first. `today` bounds
    the search for an open day: nothing is posted into the future.
    """

    site: Site
    books: Books
    policy: RoyaltyPolicy
    day: date
    today: date
    posting_date: date
    locked: str = ""
    """Why the day is locked, once a refusal has shown it."""
    open: bool = False
    """Whether the day has taken an entry of this run: then no later refusal is because of a lock."""
    _locks: Locks | None = None

    def post(self, action: Action) -> Written:
        """Post the entry of one action.

        Raises:
            BooksLocked: the day is locked, and nothing else was asked for or is open.
            ERPNextError: ERPNext refused the entry, or never answered.
        """
        if self.locked and self.posting_date == self.day:
            raise BooksLocked(f"post {self.day}", self.locked)
        try:
            return self._insert(action)
        except Rejected as problem:
            if problem.exc_type not in LOCK_REFUSALS or self.locked or self.open or not self._find_lock():
                raise
        if self.posting_date == self.day:
            raise BooksLocked(f"post {self.day}", self.locked)
        return self._insert(action)

    def _find_lock(self) -> bool:
        """Whether the day is locked; then `posting_date` is the next open day, if the policy asks for it and there is one."""
        if self._locks is None:
            try:
                self._locks = read_locks(self.site)
            except Rejected:
                return (
                    False  # this user may not read the locks: ERPNext's own refusal is what people are told
                )
        self.locked = self._locks.reason(self.day)
        if self.locked and self.policy.locked_days is LockedDays.NEXT_OPEN_DAY:
            self.posting_date = self._locks.first_open_day(self.day, self.today) or self.day
        return bool(self.locked)

    def _insert(self, action: Action) -> Written:
        done = royalty_entries.post_entry(
            self.site, self.books, action, self.day, self.posting_date, self.locked
        )
        self.open = self.open or (done.created and self.posting_date == self.day)
        return done


class BooksLocked(Rejected):
    """The books take no entry for the business day; the text says which lock."""


def post_royalties(
    site: Site, policy: RoyaltyPolicy, day: date, *, today: date, url: Callable[[str, str], str]
) -> Outcome:
    """Post what is missing in the ledger of `day`; a franchise that fails never hides the others. `today` is site time."""
    books = checked_books(site)
    the_plan, inputs = read_inputs(site, books, policy, day)
    findings = list(the_plan.findings)
    if not the_plan.actions:
        findings.append(
            Finding(
                "warning",
                "no franchises",
                books.franchise_group,
                "ERPNext has no enabled Customer in this group or below it",
                "Check the Customer Group, and SCOOPJOY_FRANCHISE_GROUP.",
            )
        )
    posting = _Posting(site, books, policy, day, today, posting_date=day)
    lines: list[PlanLine] = []
    written = adopted = 0
    for action in the_plan.actions:
        name, reason = "", action.reason
        if action.kind in {"create", "adjust"}:
            try:
                done = posting.post(action)
            except (LoginFailed, Unreachable):
                raise
            except ERPNextError as problem:
                findings.append(_not_posted(action, problem))
                lines.append(PlanLine("refuse", action.royalty.customer_name, action.amount, problem.said))
                continue
            name = done.name
            written += done.created
            adopted += not done.created
            if posting.posting_date != day:
                reason += f"; posted on {posting.posting_date}"
                findings.append(_moved(action, posting))
        adopted += action.kind == "adopt"
        lines.append(plan_line(action, reason, name, url("Journal Entry", name) if name else ""))
    return Outcome(
        NAME,
        day,
        seen=len(the_plan.actions),
        written=written,
        adopted=adopted,
        skipped=sum(action.kind == "skip" for action in the_plan.actions),
        amount=the_plan.due,
        plots={"royalty": the_plan.due, "sales": sold(the_plan)},
        findings=tuple(findings),
        lines=tuple(lines),
        facts={
            "policy_version": policy.version,
            "invoices": inputs.invoices,
            "base": str(inputs.base),
            "currency": books.currency,
        },
        # The late changes sensor compares both with what it reads later.
        record={"sold": inputs.sold, "terms": dict(inputs.terms)},
    )


def sold(plan: RoyaltyPlan) -> Decimal:
    """Grand totals of all franchises' invoices, in INR, whatever the policy's base is."""
    return sum((invoice.sales for action in plan.actions for invoice in action.royalty.invoices), ZERO)


def plan_line(action: Action, reason: str, document: str = "", url: str = "") -> PlanLine:
    """One line of the royalty plan as people see it: an adjustment shows its difference, all others the royalty."""
    amount = action.amount if action.kind in {"create", "adjust", "refuse"} else action.royalty.amount
    return PlanLine(action.kind, action.royalty.customer_name, amount, reason, document, url)


def _moved(action: Action, posting: _Posting) -> Finding:
    return Finding(
        "warning",
        "royalty posted on another day",
        action.royalty.customer_name,
        f"{action.amount:.2f} for {posting.day} are posted on {posting.posting_date}: {posting.locked}",
        "Nothing is to do: the policy locked_days says so; the entry's remark names the day that it is for.",
    )


def _not_posted(action: Action, problem: ERPNextError) -> Finding:
    if isinstance(problem, BooksLocked):
        return Finding(
            "error",
            "books locked",
            action.royalty.customer_name,
            f"{action.amount:.2f} are not in the ledger: {problem.said} ({action.reason})",
            "Open the day in ERPNext and materialize royalties for it again; or set the policy locked_days to next_open_day "
            "(for one run: in the launchpad, at royalty_policy).",
        )
    if problem.exc_type == "PartyDisabled":
        return Finding(
            "error",
            "royalty not posted",
            action.royalty.customer_name,
            f"{problem.said} (royalty of {action.amount:.2f}: {action.reason})",
            "ERPNext takes no entry for a disabled customer: enable it, materialize royalties for the day, and disable it again; "
            "or set the policy former_franchises to keep.",
        )
    return Finding(
        "error",
        "royalty not posted",
        action.royalty.customer_name,
        f"{problem.said} (royalty of {action.amount:.2f})",
        "Mend what ERPNext names, then materialize royalties for the day again.",
    )


def build(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset, on these business days."""

    @dg.asset(
        name=NAME,
        deps=[closed_shifts.NAME],
        partitions_def=days,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"erpnext"},
        code_version="1",
        output_required=False,
        required_resource_keys=set(TOOLS),
        tags={"scoopjoy/critical": "yes"},
    )
    def royalties(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        """Calculate Royalties (critical): every franchise owes exactly its royalty for the day.

        **Green** means: one submitted Journal Entry per franchise is in the ledger, receivable account with the franchise as
        party against royalty income with the cost center. Base: the day's submitted Sales Invoices of the franchise, returns
        with their sign. Rate: the franchise's own, or the policy's default. Rounded once per franchise and day. It is an
        accrual, not a tax invoice. A later change of the day is followed by one signed *adjustment* that says what changed;
        posted entries are never edited, cancelled or deleted.

        **Red** means: at least one franchise is not booked, and invoices, reports and headquarters wait. The others are booked.
        `exception_table` names the franchise, the reason and what to do; then materialize the day again: what is booked
        stays. A day whose books are locked keeps its difference here until it opens (policy `locked_days`).

        **Figures**: `royalty` is the sum of all royalties of the day and `sales` the invoices of all franchises, tax included,
        both in company currency (INR); `base` is what the royalty was computed on; `seen` counts franchises.
        """
        yield from close_days(
            context,
            lambda site, day, tools: post_royalties(
                site,
                tools.royalty_policy.policy,
                day,
                today=tools.clock.site_now().date(),
                url=tools.erpnext.document_url,
            ),
        )

    return royalties
