"""Royalty statements: what each says, whether it is attached to its entry, and attaching it."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.keys import revision_of
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.royalties import SUBMITTED, Action, RoyaltyPlan
from scoopjoy_dagster.assets.outcome import PlanLine
from scoopjoy_dagster.erpnext import royalty_entries, statements
from scoopjoy_dagster.erpnext.client import RUN_FIELD
from scoopjoy_dagster.erpnext.errors import ERPNextError, LoginFailed, Unreachable
from scoopjoy_dagster.erpnext.sales_totals import sales_by_franchise
from scoopjoy_dagster.erpnext.site import Books, Site
from scoopjoy_dagster.reporting.digest import statement_digest, statement_file_name
from scoopjoy_dagster.reporting.model import RoyaltyStatement, StatementEntry, StatementLine

MonthToDate = Mapping[str, tuple[Decimal, Decimal]]
"""By customer: base and royalty of the month up to and including the business day, in INR."""


def statement_of(plan: RoyaltyPlan, action: Action, currency: str) -> RoyaltyStatement:
    """The royalty statement of a franchise whose royalty is in the ledger."""
    royalty = action.royalty
    shares = royalty.shares(plan.policy.precision)
    return RoyaltyStatement(
        company=plan.company,
        customer=royalty.customer,
        customer_name=royalty.customer_name,
        business_day=plan.day,
        currency=currency,
        policy=plan.policy.sentence,
        policy_version=royalty.policy_version,
        rate=royalty.rate,
        base=royalty.base,
        royalty=royalty.amount,
        lines=tuple(
            StatementLine(invoice.name, plan.day, invoice.is_return, invoice.base, shares[invoice.name])
            for invoice in royalty.invoices
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


def plan_statements(site: Site, books: Books, plan: RoyaltyPlan) -> list[StatementDue]:
    """The statements of a settled day, one for every franchise with a royalty entry. Reads only."""
    due = [action for action in plan.actions if action.entries and not action.royalty.kept]
    attached = statements.attached_statements(site, [action.entries[0].name for action in due])
    found = []
    for action in due:
        entry = action.entries[0].name
        statement = statement_of(plan, action, books.currency)
        name = statement_file_name(plan.day, entry, statement_digest(statement))
        there = attached.get(entry, [])
        same = [one for one in there if statements.same_statement(one.file_name, name)]
        old = tuple(one for one in there if one not in same[:1])
        found.append(StatementDue(action, statement, name, bool(same), old))
    return found


def attach_statements(
    site: Site, books: Books, plan: RoyaltyPlan, url: Callable[[str, str], str]
) -> tuple[int, int, list[Finding], list[PlanLine]]:
    """Attach the statements that are missing or changed. Returns attached, right already, findings, lines."""
    from scoopjoy_dagster.reporting.pdf_statement import statement_pdf

    attached = right = 0
    findings: list[Finding] = []
    lines: list[PlanLine] = []
    planned = plan_statements(site, books, plan)
    # Only for statements that are written: a late change of another day makes none of them wrong.
    months = month_to_date(site, books, plan) if any(not due.present for due in planned) else {}
    for due in planned:
        who = due.action.royalty.customer_name
        try:
            if due.present:
                statements.remove_statements(site, due.old)
                right += 1
                continue
            statement = with_month(due.statement, months)
            content = statement_pdf(statement, made_by=site.client.stamp.get(RUN_FIELD, ""))
            statements.replace_statement(site, due.entry, due.file_name, content, due.old)
            attached += 1
            link = url("Journal Entry", due.entry)
            lines.append(PlanLine("create", who, due.statement.royalty, due.file_name, due.entry, link))
        except (LoginFailed, Unreachable):
            raise
        except ERPNextError as problem:
            findings.append(
                Finding(
                    "error",
                    "statement not attached",
                    f"{who}: {due.entry}",
                    problem.said,
                    "Mend what ERPNext names, then materialize invoices for the day again.",
                )
            )
    return attached, right, findings, lines
