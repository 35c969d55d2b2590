"""Royalty statements: what each says, whether it is attached to its entry, and attaching it."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.keys import revision_of
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.royalties import SUBMITTED, Action, RoyaltyPlan
from scoopjoy_dagster.accounting.shares import Share, by_document
from scoopjoy_dagster.assets.outcome import PlanLine
from scoopjoy_dagster.assets.runner import what_to_do
from scoopjoy_dagster.erpnext import royalty_entries, royalty_shares, statements
from scoopjoy_dagster.erpnext.client import RUN_FIELD
from scoopjoy_dagster.erpnext.errors import ERPNextError, LoginFailed, Unreachable
from scoopjoy_dagster.erpnext.sales_totals import sales_by_franchise
from scoopjoy_dagster.erpnext.site import Books, Site
from scoopjoy_dagster.erpnext.statement_files import StatementFile, attach_all

if TYPE_CHECKING:
    from scoopjoy_dagster.reporting.model import RoyaltyStatement

PART = 200
"""Statements whose lines are read at a time."""

AHEAD = 1000
"""PDFs that are made before they are taken: 24 MB."""

MonthToDate = Mapping[str, tuple[Decimal, Decimal]]
"""By customer: base and royalty of the month up to and including the business day, in INR."""


def statement_of(
    plan: RoyaltyPlan, action: Action, currency: str, shares: Iterable[Share] = ()
) -> RoyaltyStatement:
    """The royalty statement of a franchise whose royalty is in the ledger; its lines are the shares of its entries."""
    from scoopjoy_dagster.reporting.model import RoyaltyStatement, StatementEntry, StatementLine

    royalty = action.royalty
    return RoyaltyStatement(
        company=plan.company,
        customer=royalty.customer,
        customer_name=royalty.customer_name,
        business_day=plan.day,
        currency=currency,
        policy=plan.sentence_for(royalty),
        policy_version=royalty.policy_version,
        rate=royalty.rate,
        base=royalty.base,
        royalty=royalty.amount,
        invoices=royalty.invoice_count,
        newest_invoice=royalty.newest_invoice,
        by_person=royalty.by_person,
        lines=tuple(
            StatementLine(one.document[1], plan.day, one.base < 0, one.base, one.share)
            for one in by_document(shares).values()
            if one.base or one.share
        ),
        entries=tuple(
            StatementEntry(
                entry.name,
                entry.posting_date or plan.day,
                revision_of(entry.key),
                entry.amount,
                entry.reason,
            )
            for entry in action.entries
        ),
    )


def month_to_date(site: Site, books: Books, plan: RoyaltyPlan) -> MonthToDate:
    """The month of the plan's day for all its franchises at once: one grouped request for the bases, and the entries of the month."""
    first, last = plan.day.replace(day=1), plan.day
    customers = [action.royalty.customer for action in plan.actions]
    bases: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    royalties: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    for sold in sales_by_franchise(site, books, plan.policy, customers, first, last):
        bases[sold.customer] += sold.base
    for entries in royalty_entries.entries_between(site, books, first, last).values():
        for entry in entries:
            if entry.docstatus == SUBMITTED:
                royalties[entry.customer] += entry.amount
    return {customer: (bases[customer], royalties[customer]) for customer in customers}


def with_month(statement: RoyaltyStatement, months: MonthToDate) -> RoyaltyStatement:
    """The statement with the month of its franchise."""
    base, royalty = months.get(statement.customer, (None, None))
    return replace(statement, month_to_date_base=base, month_to_date_royalty=royalty)


@dataclass(frozen=True, slots=True)
class StatementDue:
    """The statement that belongs to a franchise's first entry: whether it is there, and which files it replaces."""

    action: Action
    statement: RoyaltyStatement
    file_name: str
    present: bool
    old: tuple[statements.Attachment, ...]

    @property
    def entry(self) -> str:
        """The Journal Entry that it is attached to."""
        return self.action.entries[0].name


def plan_statements(
    books: Books, plan: RoyaltyPlan, attached: Mapping[str, Sequence[statements.Attachment]]
) -> list[StatementDue]:
    """The statements of a settled day, one for every franchise with a royalty entry, against those that are attached. Pure."""
    from scoopjoy_dagster.reporting.digest import statement_digest, statement_file_name

    found = []
    for action in plan.actions:
        if not action.entries:
            continue
        entry = action.entries[0].name
        there = attached.get(entry, [])
        if action.royalty.frozen and there:
            continue
        statement = statement_of(plan, action, books.currency)
        name = statement_file_name(plan.day, entry, statement_digest(statement))
        same = [one for one in there if statements.same_statement(one.file_name, name)]
        old = tuple(one for one in there if one not in same[:1])
        found.append(StatementDue(action, statement, name, bool(same), old))
    return found


def with_lines(
    site: Site, plan: RoyaltyPlan, due: Sequence[StatementDue], currency: str
) -> Iterator[list[StatementDue]]:
    """The same statements with a line for each sale that their entries carry, so many at a time; a list call for each part."""
    for part in (due[start : start + PART] for start in range(0, len(due), PART)):
        entries = [entry.name for one in part for entry in one.action.entries]
        shares = royalty_shares.shares_of(site, entries)
        yield [
            replace(
                one,
                statement=statement_of(
                    plan,
                    one.action,
                    currency,
                    (row for entry in one.action.entries for row in shares.get(entry.name, ())),
                ),
            )
            for one in part
        ]


@dataclass(slots=True)
class Attached:
    """What became of statements: how many were attached and were right already, and what is to be said of them."""

    written: int = 0
    right: int = 0
    findings: list[Finding] = field(default_factory=list)
    lines: list[PlanLine] = field(default_factory=list)

    def add(self, other: Attached) -> None:
        """Count these, too."""
        self.written += other.written
        self.right += other.right
        self.findings += other.findings
        self.lines += other.lines


def keep_statements(site: Site, present: Iterable[StatementDue]) -> Attached:
    """Count the statements that are there, and remove those before them, which a run that was cut off has left.

    Raises:
        LoginFailed, Unreachable: the site cannot be worked with any more.
    """
    found = Attached()
    for one in present:
        found.right += _settle(site, one, None, found)
    return found


def attach_statements(
    site: Site,
    plan: RoyaltyPlan,
    missing: Iterable[StatementDue],
    files: Iterable[StatementFile],
    url: Callable[[str, str], str],
) -> Attached:
    """Attach the statements of the plan's day that are missing or changed, and remove the ones before them.

    An entry is never without a statement: what is superseded is removed once the new one is there.

    Args:
        site: on which the entries are.
        plan: of the day.
        missing: the statements.
        files: the same with their PDFs; see `rendered`.
        url: address of a document, by its DocType and name.

    Raises:
        LoginFailed, Unreachable: the site cannot be worked with any more.
    """
    found = Attached()
    by_entry = {one.entry: one for one in missing}
    for file, problem in attach_all(site, files, company=plan.company, day=plan.day):
        one = by_entry[file.entry]
        if _settle(site, one, problem, found):
            found.written += 1
            who, link = one.action.royalty.customer_name, url("Journal Entry", one.entry)
            found.lines.append(PlanLine("create", who, one.statement.royalty, one.file_name, one.entry, link))
    return found


def _settle(site: Site, one: StatementDue, problem: ERPNextError | None, found: Attached) -> bool:
    """Remove what a statement that is there replaces. Returns whether all is right; if not, a finding says why."""
    try:
        if problem is None:
            statements.remove_statements(site, one.old)
    except (LoginFailed, Unreachable):
        raise
    except ERPNextError as refused:
        problem = refused
    if problem is None:
        return True
    found.findings.append(
        Finding(
            "error",
            "statement not attached",
            f"{one.action.royalty.customer_name}: {one.entry}",
            problem.said,
            what_to_do(problem, "invoices"),
            passes=problem.cause.passes,
        )
    )
    return False


@contextmanager
def rendered(
    site: Site, missing: Sequence[StatementDue], months: MonthToDate
) -> Iterator[Iterator[StatementFile]]:
    """These statements with their PDFs, made in the background from now on, while ERPNext works."""
    if not missing:
        yield iter(())
        return
    made_by = site.client.stamp.get(RUN_FIELD, "")

    def made(one: StatementDue) -> StatementFile:
        from scoopjoy_dagster.reporting.pdf_statement import statement_pdf

        content = statement_pdf(with_month(one.statement, months), made_by=made_by)
        return StatementFile(one.entry, one.file_name, content)

    # One thread: the font tables of the PDF library are shared.
    with ThreadPoolExecutor(1, thread_name_prefix="statement") as pool:
        waiting = deque(pool.submit(made, one) for one in missing[:AHEAD])

        def files() -> Iterator[StatementFile]:
            later = iter(missing[AHEAD:])
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(pool.submit(made, one) for one in islice(later, 1))

        try:
            yield files()
        finally:
            pool.shutdown(cancel_futures=True)
