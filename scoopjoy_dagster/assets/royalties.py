"""`royalties`: every franchise owes exactly its royalty for the day."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date

import dagster as dg

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import (
    Action,
    BaseInvoice,
    RoyaltyPlan,
    plan_royalties,
    with_sales,
    with_shares,
)
from scoopjoy_dagster.accounting.shares import Share
from scoopjoy_dagster.assets.outcome import Outcome, PlanLine
from scoopjoy_dagster.assets.royalty_posting import BooksLocked, Posting
from scoopjoy_dagster.assets.runner import NOTHING_TO_FIX, asset_of, what_to_do
from scoopjoy_dagster.assets.tools import Tools
from scoopjoy_dagster.erpnext import royalty_entries, royalty_shares
from scoopjoy_dagster.erpnext.accounts import PostingAccounts, Unusable, posting_accounts
from scoopjoy_dagster.erpnext.client import Written
from scoopjoy_dagster.erpnext.errors import ERPNextError, NameTaken, Rejected
from scoopjoy_dagster.erpnext.sales_totals import day_sales
from scoopjoy_dagster.erpnext.single_sales import single_sales
from scoopjoy_dagster.erpnext.site import Books, Site
from scoopjoy_dagster.steps import ROYALTIES

NAME = ROYALTIES.asset


def read_days(
    site: Site,
    books: Books,
    policy: RoyaltyPolicy,
    days: Sequence[date],
    *,
    re_rate: bool = False,
    since: date | None = None,
) -> dict[date, RoyaltyPlan]:
    """These days: franchises, sums of their invoices, our entries and their ledger rows. Reads only.

    As many list calls for a month of a thousand franchises as for a day of one. With `re_rate` the plans are by today's terms.
    `since`: from when on entries are listed, for who needs those of before too.
    """
    first, last = days[0], days[-1]
    franchises = royalty_entries.franchises(site, books.franchise_group)
    sales = day_sales(site, policy, first, last)
    posted = royalty_entries.entries_between(site, books, first, last, since=since)
    former = royalty_entries.former_franchises(
        site, franchises, [one for entries in posted.values() for one in entries], books.franchise_group
    )
    found: dict[date, RoyaltyPlan] = {}
    for day in days:
        entries = posted.get(day, [])
        customers = {entry.customer for entry in entries}
        found[day] = plan_royalties(
            company=books.company,
            day=day,
            policy=policy,
            franchises=franchises,
            invoices=sales.get(day, []),
            posted=entries,
            former=[one for one in former if one.customer in customers],
            company_currency=books.currency,
            re_rate=re_rate,
        )
    return found


def read_day(
    site: Site,
    books: Books,
    policy: RoyaltyPolicy,
    day: date,
    *,
    re_rate: bool = False,
    since: date | None = None,
) -> RoyaltyPlan:
    """The royalties of one day; see `read_days`."""
    return read_days(site, books, policy, [day], re_rate=re_rate, since=since)[day]


def complete(site: Site, books: Books, the_plan: RoyaltyPlan) -> RoyaltyPlan:
    """The plan with the shares of what is to be posted; adjustments name the sales that they follow. Reads only."""
    return _with(
        the_plan, (one for part in completed(site, books, the_plan, the_plan.actions) for one in part)
    )


def _with(the_plan: RoyaltyPlan, actions: Iterable[Action]) -> RoyaltyPlan:
    """The plan with these actions in the places of those of the same franchises."""
    new = {one.royalty.customer: one for one in actions}
    return replace(the_plan, actions=tuple(new.get(one.royalty.customer, one) for one in the_plan.actions))


def completed(
    site: Site, books: Books, the_plan: RoyaltyPlan, actions: Iterable[Action]
) -> Iterator[list[Action]]:
    """Those of these actions that post something, with the rows of their entries, some franchises at a time. Reads only.

    Looked at are also the franchises whose sums are right although a sale was touched since: it may have taken the place
    of one that was cancelled. An action whose sales have changed since they were added up is refused.
    """
    todo = {one.royalty.customer: one for one in actions if one.posts or one.touched_since}

    def done(part: Mapping[str, Sequence[BaseInvoice]]) -> list[Action]:
        chosen = [todo[customer] for customer in part if customer in todo]
        posted = royalty_shares.shares_of(site, [entry.name for one in chosen for entry in one.entries])
        return [_completed(one, part[one.royalty.customer], posted, the_plan) for one in chosen]

    sold = {customer: one.royalty.invoice_count for customer, one in todo.items() if one.royalty.invoices}
    nothing_left: dict[str, Sequence[BaseInvoice]] = {one: () for one in todo if one not in sold}
    if nothing_left:
        yield done(nothing_left)
    for part in single_sales(site, books, the_plan.policy, the_plan.day, sold):
        yield done(part)


def _completed(
    action: Action,
    sales: Sequence[BaseInvoice],
    posted: Mapping[str, Sequence[Share]],
    the_plan: RoyaltyPlan,
) -> Action:
    rows = [row for entry in action.entries for row in posted.get(entry.name, ())]
    try:
        return with_shares(with_sales(action, sales), rows, the_plan.policy.precision)
    except ValueError as problem:
        return replace(action, kind="refuse", reason=str(problem))


def with_rows(the_plan: RoyaltyPlan, rows: Mapping[str, Sequence[BaseInvoice]]) -> RoyaltyPlan:
    """`RoyaltyPlan.with_rows`, where a booking between two reads is ERPNext's business.

    Raises:
        Rejected: rows and sums differ.
    """
    try:
        return the_plan.with_rows(rows)
    except ValueError as problem:
        raise Rejected(f"read the invoices of {the_plan.day}", f"{problem}; run the day again") from None


def accounts_of(site: Site, books: Books, the_plan: RoyaltyPlan) -> PostingAccounts:
    """The accounts of what is to be posted. Reads only, and nothing where nothing is to be posted."""
    customers = {action.royalty.customer for action in the_plan.writes()}
    return posting_accounts(site, books, customers) if customers else PostingAccounts(books)


def require(site: Site, accounts: PostingAccounts, the_plan: RoyaltyPlan) -> None:
    """See that something can be posted.

    Raises:
        Rejected: entries are to be posted, and the accounts take none, or the user does not see all sales; nothing was posted.
    """
    if not the_plan.writes():
        return
    site.require_all_documents()
    if accounts.problems:
        raise Rejected("check the accounts", "; ".join(accounts.problems))


def unusable_accounts(accounts: PostingAccounts, the_plan: RoyaltyPlan) -> dict[str, Finding]:
    """The franchises of the plan that cannot be posted on their own receivable account, with the exception of each."""
    return {
        action.royalty.customer: _unusable(action, accounts.unusable[action.royalty.customer])
        for action in the_plan.writes()
        if action.royalty.customer in accounts.unusable
    }


def close(site: Site, day: date, tools: Tools) -> Outcome:
    """Read and post the royalties of `day`."""
    books = site.books()
    the_plan = read_day(site, books, tools.royalty_policy.policy, day, re_rate=tools.close.re_rate)
    accounts = accounts_of(site, books, the_plan)
    require(site, accounts, the_plan)
    today = tools.clock.site_now().date()
    return post_royalties(site, accounts, the_plan, today=today, url=tools.erpnext.document_url)


def _known_before(books: Books, the_plan: RoyaltyPlan, unusable: Mapping[str, Finding]) -> list[Finding]:
    """The exception rows that are known before anything is posted."""
    findings = [*the_plan.findings, *the_plan.notes, *unusable.values()]
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
    return findings


def foreseen(
    site: Site, accounts: PostingAccounts, the_plan: RoyaltyPlan, today: date
) -> tuple[list[PlanLine], list[Finding]]:
    """What `post_royalties` would do with a plan, in the same words, as far as it can be seen. Reads only; `today` is site time."""
    unusable = unusable_accounts(accounts, the_plan)
    findings = _known_before(accounts.books, the_plan, unusable)
    posting = Posting(site, accounts.books, the_plan.policy, the_plan.day, today)
    posting_date = posting.foresee() if the_plan.writes() else the_plan.day
    lines: list[PlanLine] = []
    for action in the_plan.actions:
        reason, who = action.reason, action.royalty.customer_name
        if action.posts:
            if (problem := unusable.get(action.royalty.customer)) is not None:
                lines.append(PlanLine("refuse", who, action.amount, problem.message))
                continue
            if posting_date is None:
                findings.append(_not_posted(action, BooksLocked(f"post {the_plan.day}", posting.locked)))
                lines.append(PlanLine("refuse", who, action.amount, posting.locked))
                continue
            if posting_date != the_plan.day:
                reason += f"; posted on {posting_date}"
                findings.append(_moved(action, the_plan.day, posting_date, posting.locked))
        lines.append(plan_line(action, reason, action.adjusts))
    return lines, findings


def post_royalties(
    site: Site,
    accounts: PostingAccounts,
    the_plan: RoyaltyPlan,
    *,
    today: date,
    url: Callable[[str, str], str],
) -> Outcome:
    """Post what is missing in the ledger of a day; a franchise that fails never hides the others. `today` is site time."""
    books = accounts.books
    day, policy = the_plan.day, the_plan.policy
    unusable = unusable_accounts(accounts, the_plan)
    findings = _known_before(books, the_plan, unusable)
    posting = Posting(site, books, policy, day, today)
    posted: dict[str, tuple[date, Written | ERPNextError]] = {}
    usable = [one for one in the_plan.actions if one.royalty.customer not in unusable]
    for part in completed(site, books, the_plan, usable):
        the_plan = _with(the_plan, part)
        findings += [_sales_changed(one) for one in part if one.kind == "refuse"]
        for action, posting_date, done in posting.post([one for one in part if one.posts]):
            posted[action.royalty.customer] = posting_date, done
    findings += posting.series_behind()
    lines: list[PlanLine] = []
    written = adopted = 0
    for action in the_plan.actions:
        name, reason = "", action.reason
        if action.posts:
            if (problem := unusable.get(action.royalty.customer)) is not None:
                lines.append(PlanLine("refuse", action.royalty.customer_name, action.amount, problem.message))
                continue
            posting_date, done = posted[action.royalty.customer]
            if isinstance(done, ERPNextError):
                findings.append(_not_posted(action, done))
                lines.append(PlanLine("refuse", action.royalty.customer_name, action.amount, done.said))
                continue
            name = done.name
            written += done.created
            adopted += not done.created
            if posting_date != day:
                reason += f"; posted on {posting_date}"
                findings.append(_moved(action, day, posting_date, posting.locked))
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
        plots={"royalty": the_plan.due, "sales": the_plan.sales},
        findings=tuple(findings),
        lines=tuple(lines),
        facts={
            "policy_version": the_plan.policy_version,
            "invoices": sum(action.royalty.invoice_count for action in the_plan.actions),
            "base": str(sum((action.royalty.base for action in the_plan.actions), ZERO)),
            "currency": books.currency,
        },
    )


def plan_line(action: Action, reason: str, document: str = "", url: str = "") -> PlanLine:
    """One line of the royalty plan as people see it: an adjustment shows its difference, all others the royalty."""
    amount = action.amount if action.posts or action.kind == "refuse" else action.royalty.amount
    return PlanLine(action.kind, action.royalty.customer_name, amount, reason, document, url)


def _moved(action: Action, day: date, posting_date: date, locked: str) -> Finding:
    return Finding(
        "warning",
        "royalty posted on another day",
        action.royalty.customer_name,
        f"{action.amount:.2f} for {day} are posted on {posting_date}: {locked}",
        "Nothing is to do: the policy locked_days says so; the entry's remark names the day that it is for.",
    )


def _sales_changed(action: Action) -> Finding:
    return Finding(
        "error",
        "sales changed while they were read",
        action.royalty.customer_name,
        f"{action.amount:.2f} are not in the ledger: {action.reason}",
        NOTHING_TO_FIX.format(asset=NAME),
        passes=True,
    )


def _unusable(action: Action, problem: Unusable) -> Finding:
    who = action.royalty.customer_name
    message = f"{action.amount:.2f} are not in the ledger: {problem.why}"
    remedy = (
        "Set another receivable account at the Customer or its Customer Group in ERPNext, or set SCOOPJOY_RECEIVABLE_ACCOUNT for "
        "all franchises; then re-run `royalties` for this day."
    )
    if problem.foreign:
        return Finding("error", "receivable account in another currency", who, message, remedy)
    return Finding("error", "receivable account not usable", who, message, remedy)


def _not_posted(action: Action, problem: ERPNextError) -> Finding:
    """Why an entry was not posted. A warning where it only moves shares: the ledger is right without it."""
    found = _refusal(action, problem)
    return found if action.amount else replace(found, severity="warning")


def _refusal(action: Action, problem: ERPNextError) -> Finding:
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
            "ERPNext takes no entry for a disabled customer: enable it, run the day again, and disable it again.",
        )
    if isinstance(problem, NameTaken):
        return Finding(
            "error",
            "royalty not posted",
            action.royalty.customer_name,
            f"{action.amount:.2f} are not in the ledger: in every naming series ERPNext gives a name that is taken",
            "Set the counters of the naming series (rows *naming series behind*), then re-run `royalties` for this day.",
        )
    who, said = action.royalty.customer_name, f"{problem.said} (royalty of {action.amount:.2f})"
    todo = what_to_do(problem, NAME)
    if problem.is_conflict:
        return Finding("error", "royalty posting lost to other writers", who, said, todo, passes=True)
    return Finding("error", "royalty not posted", who, said, todo, passes=problem.cause.passes)


DESCRIPTION = """\
Calculate Royalties (critical): every franchise owes exactly its royalty for the day.

**Green** means: one submitted Journal Entry per franchise is in the ledger, receivable account with the franchise as
party against royalty income with the cost center. Base: the day's submitted Sales Invoices of the franchise, returns
with their sign. Rate: the franchise's own, or the policy's default. Rounded once per franchise and day. The entry has a row
for each sale with its share; each sale shows its rate, share and entry. It is an accrual, not a tax invoice. A later change of sales is followed by one signed *adjustment* that says what changed, at
the rate that the day was posted at; posted entries are never edited, cancelled or deleted. `re_rate: true` in the
launchpad applies today's rates to the day.

**Red** means: at least one franchise is not booked, and invoices, reports and headquarters wait. The others are booked.
`exception_table` names the franchise, the reason and what to do; then materialize the day again: what is booked
stays. A day whose books are locked keeps its difference here until it opens (policy `locked_days`).

**Figures**: `royalty` is the sum of all royalties of the day and `sales` the invoices of all franchises, tax included,
both in company currency (INR); `base` is what the royalty was computed on; `seen` counts franchises.
"""


def build(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset, on these business days."""
    return asset_of(ROYALTIES, close, days, description=DESCRIPTION, kinds={"erpnext"})
