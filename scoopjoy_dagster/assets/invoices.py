"""`invoices`: every invoice carries its share of the royalty, and every royalty has its statement."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import dagster as dg

from scoopjoy_dagster.accounting.findings import Finding
from scoopjoy_dagster.accounting.keys import revision_of
from scoopjoy_dagster.accounting.money import ZERO
from scoopjoy_dagster.accounting.policy import RoyaltyPolicy
from scoopjoy_dagster.accounting.royalties import Action, RoyaltyPlan
from scoopjoy_dagster.assets import royalties
from scoopjoy_dagster.assets.nightly import GROUP, OWNERS, close_days
from scoopjoy_dagster.assets.outcome import Outcome, PlanLine
from scoopjoy_dagster.assets.tools import TOOLS
from scoopjoy_dagster.erpnext import statements
from scoopjoy_dagster.erpnext.client import RUN_FIELD
from scoopjoy_dagster.erpnext.errors import ERPNextError, LoginFailed, Unreachable
from scoopjoy_dagster.erpnext.invoice_royalty import Annotation, read_annotations, write_annotations
from scoopjoy_dagster.erpnext.site import Books, Site
from scoopjoy_dagster.reporting.digest import statement_digest, statement_file_name
from scoopjoy_dagster.reporting.model import RoyaltyStatement, StatementEntry, StatementLine

NAME = "invoices"


def wanted_annotations(plan: RoyaltyPlan) -> list[Annotation]:
    """What every invoice of the day must carry; nothing (see `nothing`) where no royalty is in the ledger."""
    wanted: list[Annotation] = []
    for action in plan.actions:
        royalty = action.royalty
        if royalty.kept:
            continue
        if not action.entries:
            wanted += [nothing(invoice.name) for invoice in royalty.invoices]
            continue
        first = action.entries[0].name
        shares = royalty.shares(plan.policy.precision)
        wanted += [Annotation(name, royalty.rate, share, first) for name, share in shares.items()]
    return wanted


def nothing(invoice: str) -> Annotation:
    """What an invoice carries that bears no royalty."""
    return Annotation(invoice, ZERO, ZERO, "")


def changed_annotations(plan: RoyaltyPlan, present: Mapping[str, Annotation]) -> list[Annotation]:
    """What must be written: invoices that say something else than they must, and those that bear no royalty any more
    (their customer left the franchises) but still say so.
    """
    wanted = wanted_annotations(plan)
    known = {one.invoice for one in wanted}
    kept = {action.entries[0].name for action in plan.actions if action.royalty.kept}
    return [
        *(one for one in wanted if present.get(one.invoice, nothing(one.invoice)) != one),
        *(
            nothing(invoice)
            for invoice, one in sorted(present.items())
            if invoice not in known and one.journal_entry not in kept
        ),
    ]


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


def annotate_invoices(
    site: Site, policy: RoyaltyPolicy, day: date, *, url: Callable[[str, str], str]
) -> Outcome:
    """Bring annotations and statements of `day` to what the ledger holds; writes only what differs."""
    books = site.books()
    plan = royalties.plan(site, books, policy, day)
    unsettled = plan.unsettled()
    if unsettled:
        return Outcome(NAME, day, findings=(unsettled,))
    wanted = wanted_annotations(plan)
    changed = changed_annotations(plan, read_annotations(site, books.company, day))
    failed = write_annotations(site, changed)
    findings = [
        Finding(
            "error",
            "invoice not annotated",
            invoice,
            message,
            "Mend what ERPNext names, then materialize invoices for the day again.",
        )
        for invoice, message in sorted(failed.items())
    ]
    lines = [
        PlanLine(
            "create",
            one.invoice,
            one.share,
            f"{one.rate.normalize():f} %" if one.journal_entry else "bears no royalty any more",
            one.journal_entry,
            url("Sales Invoice", one.invoice),
        )
        for one in changed
        if one.invoice not in failed
    ]
    attached, right, problems, more = _attach_statements(site, books, plan, url)
    return Outcome(
        NAME,
        day,
        seen=len(wanted),
        written=len(changed) - len(failed) + attached,
        adopted=len({one.invoice for one in wanted} - {one.invoice for one in changed}) + right,
        amount=sum((one.share for one in wanted), ZERO),
        findings=(*findings, *problems),
        lines=(*lines, *more),
        facts={"statements": attached + right, "statements_attached": attached},
    )


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


def _attach_statements(
    site: Site, books: Books, plan: RoyaltyPlan, url: Callable[[str, str], str]
) -> tuple[int, int, list[Finding], list[PlanLine]]:
    """Attach the statements that are missing or changed. Returns attached, right already, findings, lines."""
    from scoopjoy_dagster.reporting.pdf import statement_pdf

    attached = right = 0
    findings: list[Finding] = []
    lines: list[PlanLine] = []
    for due in plan_statements(site, books, plan):
        who = due.action.royalty.customer_name
        try:
            if due.present:
                statements.remove_statements(site, due.old)
                right += 1
                continue
            content = statement_pdf(due.statement, made_by=site.client.stamp.get(RUN_FIELD, ""))
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


def build(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset, on these business days."""

    @dg.asset(
        name=NAME,
        deps=[royalties.NAME],
        partitions_def=days,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"erpnext", "pdf"},
        code_version="1",
        output_required=False,
        required_resource_keys=set(TOOLS),
        tags={"scoopjoy/critical": "no"},
    )
    def invoices(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        """**Generate Invoices** (not critical). Every invoice shows its royalty, every royalty has its statement.

        - Each submitted Sales Invoice of the day that bore royalty carries the rate, its share and the Journal Entry;
          the shares of a franchise add up to its royalty to the paisa.
        - A royalty statement (PDF, private) is attached to the franchise's Journal Entry, and replaced when the day
          changes.
        - *amount* is the sum of the shares in company currency. *seen* counts invoices; *written* counts annotations
          and statements.
        """
        yield from close_days(
            context,
            lambda site, day, tools: annotate_invoices(
                site, tools.royalty_policy.policy, day, url=tools.erpnext.document_url
            ),
        )

    return invoices
